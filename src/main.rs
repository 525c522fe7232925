//! The command line of Hydrant.

use clap::Parser;
use hydrant::{cli::Cli, commands};
use std::process::ExitCode;

/// A render allocates millions of small values on all cores, which the allocators of the system
/// (musl's most of all) are slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(commands::main(Cli::parse()))
}
