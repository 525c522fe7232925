//! One file a subcommand: each is a prefix, a part or a repetition of the line.

mod explain;
mod render;
mod run;
mod schema;
mod show;
pub mod sync;
mod validate;

use crate::cli::{Cli, Command, DestinationArgs, Explain, FleetArgs};
use crate::config::{DeliveryRequest, RenderRequest};
use crate::error::{Error, Result};
use crate::report::Report;
use crate::stage::units::Selection;
use crate::telemetry;
use std::io::Write as _;
use std::path::Path;

/// Runs a command and returns its exit code.
pub fn main(cli: Cli) -> u8 {
    telemetry::start(cli.verbose, cli.quiet, cli.log_format);
    let done = match &cli.command {
        Command::Run(args) => run::run(args, cli.quiet),
        Command::Render(args) => render::run(args, cli.quiet),
        Command::Validate(args) => validate::run(args, cli.quiet),
        Command::Build(args) => build(args),
        Command::Explain(Explain::Values(args)) => explain::values(args),
        Command::Explain(Explain::Components(args)) => explain::components(args),
        Command::Schema { of } => schema::run(*of),
        Command::Completions { shell } => schema::completions(*shell),
        Command::Man => schema::man(),
    };
    match done {
        Ok(code) => code,
        // `hydrant … | head` is no failure of ours.
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            show::error(&error);
            error.kind.exit_code()
        }
    }
}

fn build(args: &crate::cli::BuildArgs) -> Result<u8> {
    let _ = args;
    Err(Error::internal("the overlay engine lands with its own step"))
}

fn is_broken_pipe(error: &Error) -> bool {
    error
        .source
        .as_ref()
        .and_then(|s| s.downcast_ref::<std::io::Error>())
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes a result to stdout.
///
/// # Errors
/// A stdout that cannot be written.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Error::external("the result could not be written to stdout").because(e))
}

impl From<&FleetArgs> for RenderRequest {
    fn from(args: &FleetArgs) -> Self {
        RenderRequest {
            fleet: args.fleet.clone(),
            pick: Selection {
                envs: args.env.clone(),
                clusters: args.cluster.clone(),
                organizations: args.organization.clone(),
            },
            strict_compat: args.strict_compat,
            path: args.path.clone(),
        }
    }
}

fn delivery(fleet: &FleetArgs, to: &DestinationArgs, author: Option<&String>) -> DeliveryRequest {
    DeliveryRequest {
        render: fleet.into(),
        repo: to.repo.clone(),
        branch: to.branch.clone(),
        create_branch: to.create_branch,
        allow_delete: to.allow_delete.clone(),
        adopt: to.adopt.clone(),
        author: author.cloned(),
        seconds: now(),
        cache: to.cache.clone(),
    }
}

/// Returns the time of commits: `SOURCE_DATE_EPOCH` as reproducible builds set it, else now.
fn now() -> i64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let since = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    fixed.unwrap_or_else(|| since().map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
}

/// Writes the JSON report, if one was asked for.
///
/// # Errors
/// A file that cannot be written.
fn write_report(path: Option<&Path>, report: &Report) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, report.json()).map_err(|e| {
        Error::external(format!("the report could not be written to {}", path.display())).because(e)
    })
}
