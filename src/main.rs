//! The command line of Hydrant.

use clap::Parser;
use hydrant::{cli::Cli, commands};
use std::process::ExitCode;

/// Faster than the system's by a third for many small values; the library leaves the choice open.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(commands::main(Cli::parse()))
}
