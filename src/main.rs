//! The command line of Hydrant.

use clap::Parser;
use hydrant::{cli::Cli, commands};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(commands::main(Cli::parse()))
}
