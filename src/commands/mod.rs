//! One file a subcommand: each is a prefix, a part or a repetition of the line.

mod build;
mod explain;
pub mod explain_binding;
pub mod explain_secrets;
mod render;
mod run;
mod schema;
mod show;
pub mod status;
pub mod sync;
mod sync_command;
mod validate;

use crate::cli::{Cli, Command, DestinationArgs, Explain, FleetArgs, TableFormat, Wait, WaitArgs};
use crate::config::{DeliveryRequest, RenderRequest};
use crate::edge::git::{Credentials, GitSettings};
use crate::edge::memo::DiskMemo;
use crate::error::{Error, Result};
use crate::follow::Wish;
use crate::model::sync::WaitFor;
use crate::model::id::{ClusterId, SubjectId};
use crate::model::lot::{Lot, LotKey};
use crate::model::unit::{Hydrated, Memo, NoMemo, UnitKey};
use crate::redact::Secret;
use crate::report::Report;
use crate::stage::units::Selection;
use crate::telemetry;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs a command and returns its exit code.
pub fn main(cli: Cli) -> u8 {
    telemetry::start(cli.verbose, cli.quiet, cli.log_format);
    let done = match &cli.command {
        Command::Run(args) => run::run(args, cli.quiet),
        Command::Render(args) => render::run(args, cli.quiet),
        Command::Sync(args) => sync_command::run(args, cli.quiet),
        Command::Audit(args) => sync_command::audit(args),
        Command::Validate(args) => validate::run(args, cli.quiet),
        Command::Build(args) => build::run(args, cli.quiet),
        Command::Explain(Explain::Values(args)) => explain::values(args),
        Command::Explain(Explain::Components(args)) => explain::components(args),
        Command::Explain(Explain::Binding(args)) => explain_binding::run(args),
        Command::Explain(Explain::Secrets(args)) => explain_secrets::run(args),
        Command::Status(args) => status::run(args, cli.quiet),
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

fn is_broken_pipe(error: &Error) -> bool {
    error
        .source
        .as_ref()
        .and_then(|s| s.downcast_ref::<std::io::Error>())
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints a list as JSON or YAML, or the table that was made of it.
///
/// # Errors
/// A stdout that cannot be written.
fn print_list<T: serde::Serialize>(rows: &T, table: &str, format: TableFormat) -> Result<()> {
    let value =
        || serde_json::to_value(rows).map_err(|e| Error::internal("a list has no JSON form").because(e));
    match format {
        TableFormat::Table => print(table),
        TableFormat::Json => print(&format!("{:#}\n", value()?)),
        TableFormat::Yaml => print(&crate::yaml::write(&value()?)),
    }
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

/// Gathers what a delivery is told, from flags and the environment.
///
/// # Errors
/// Credentials that are set in halves, or in a file that cannot be read.
fn delivery(fleet: &FleetArgs, to: &DestinationArgs, author: Option<&String>) -> Result<DeliveryRequest> {
    let variable = |name: &str| std::env::var(name).ok();
    let mut request = DeliveryRequest {
        render: fleet.into(),
        repo: to.repo.clone(),
        branch: to.branch.clone(),
        create_branch: to.create_branch,
        allow_delete: to.allow_delete.clone(),
        adopt: to.adopt.clone(),
        drift: to.drift,
        release: to.release.clone(),
        allow_older: to.allow_older,
        author: author.cloned(),
        seconds: now(),
        git: GitSettings {
            credentials: Credentials::from_environment(variable)?,
            ca_file: to.ca_file.clone(),
            proxy: variable("HYDRANT_PROXY").map(Secret::new),
            accept_rewritten: to.accept_rewritten,
            ..GitSettings::default()
        },
        argocd_server: variable("ARGOCD_API_URL").or_else(|| variable("ARGOCD_SERVER")),
        audit: to.audit.clone(),
        cache: to.cache.clone(),
    };
    request.cache = cache_folder(&request);
    request.git.cache = request.cache.as_ref().map(|c| c.join("git"));
    Ok(request)
}

/// The memo of a run: on disk where there is a cache folder.
pub(crate) enum AnyMemo {
    Disk(DiskMemo),
    None(NoMemo),
}

impl AnyMemo {
    fn inner(&self) -> &dyn Memo {
        match self {
            AnyMemo::Disk(memo) => memo,
            AnyMemo::None(memo) => memo,
        }
    }
}

impl Memo for AnyMemo {
    fn begin(&self, fleet: &str) {
        self.inner().begin(fleet);
    }

    fn lot(&self, key: &LotKey, cluster: &ClusterId, subject: &SubjectId) -> Option<Lot> {
        self.inner().lot(key, cluster, subject)
    }

    fn unit(&self, key: &UnitKey) -> Option<Arc<Hydrated>> {
        self.inner().unit(key)
    }

    fn keep(&self, key: Option<&LotKey>, lot: Lot) -> Lot {
        self.inner().keep(key, lot)
    }

    fn is_damaged(&self) -> bool {
        self.inner().is_damaged()
    }
}

impl AnyMemo {
    /// Writes it; a cache that cannot be written is a warning.
    fn save(&self) {
        if let AnyMemo::Disk(memo) = self
            && let Err(e) = memo.save()
        {
            tracing::warn!("the cache was not written: {e}");
        }
    }
}

/// Returns how far a sync goes.
fn wish(args: &WaitArgs) -> Wish {
    let wait = match args.wait {
        Wait::Health => WaitFor::Health,
        Wait::Operation => WaitFor::Operation,
        Wait::None => WaitFor::None,
    };
    Wish { wait, timeout: args.timeout, dry_run: false, explicit: false }
}

/// Opens the memo of a run.
fn memo(request: &DeliveryRequest) -> AnyMemo {
    let Some(cache) = request.cache.clone() else { return AnyMemo::None(NoMemo) };
    let partial = request.render.pick != Selection::default();
    AnyMemo::Disk(DiskMemo::open(&cache, partial))
}

/// Returns the folder of caches: `--cache`, or `hydrant` in the user's cache folder.
fn cache_folder(request: &DeliveryRequest) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    request
        .cache
        .clone()
        .or_else(|| set("XDG_CACHE_HOME").map(|c| c.join("hydrant")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/hydrant")))
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
