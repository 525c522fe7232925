//! The command line of Hydrant.

use clap::Parser;
use hydrant::{cli::Cli, commands};
use std::process::ExitCode;

/// A render allocates millions of small values on all cores, which the allocators of the system
/// (musl's most of all) are slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc asks the kernel for huge pages. A run of a tenth of a second mostly waits while they
/// are cleared, and holds a tenth more memory than it uses (docs/performance.md).
fn small_pages() {
    #[cfg(target_os = "linux")]
    // A kernel that knows no such call is as before.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn main() -> ExitCode {
    small_pages();
    ExitCode::from(commands::main(Cli::parse()))
}
