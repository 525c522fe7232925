//! Writes a fleet for measuring: `cargo run --example fleet -- DIR tenants 1000`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used)]

#[path = "fleet.rs"]
mod fleet;

use fleet::Size;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (dir, size) = match args.as_slice() {
        [dir, kind, n] => match (kind.as_str(), n.parse()) {
            ("tenants", Ok(n)) => (dir, Size::tenants(n)),
            ("clusters", Ok(n)) => (dir, Size::clusters(n)),
            _ => return usage(),
        },
        _ => return usage(),
    };
    match fleet::write(Path::new(dir), size) {
        Ok(()) => {
            println!("{} clusters and {} tenants in {dir}", size.clusters, size.tenants);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the fleet could not be written to {dir}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: fleet DIR tenants|clusters NUMBER");
    ExitCode::from(2)
}
