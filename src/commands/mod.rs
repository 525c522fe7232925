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

use crate::cli::{
    Cli, Command, CommitArgs, DestinationArgs, Explain, FleetArgs, GitArgs, TableFormat, Wait, WaitArgs,
};
use crate::config::{CommitTime, DeliveryRequest, RenderRequest};
use crate::edge::fleet::FleetPlace;
use crate::edge::forge::Tokens;
use crate::edge::git::{Credentials, GitSettings, KeySource, SshSettings, passphrase};
use crate::edge::memo::DiskMemo;
use crate::error::{Error, Result};
use crate::follow::Wish;
use crate::model::id::{ClusterId, SubjectId};
use crate::model::lot::{Lot, LotKey};
use crate::model::sync::WaitFor;
use crate::model::unit::{Hydrated, Memo, NoMemo, UnitKey};
use crate::redact::Secret;
use crate::report::Report;
use crate::stage::bindings::Checked;
use crate::stage::types::Types;
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

/// Gathers what a command that renders is told.
///
/// # Errors
/// A fleet's address that cannot be understood; credentials that are set in halves.
fn rendering(args: &FleetArgs) -> Result<RenderRequest> {
    let fleet = FleetPlace::parse(&args.fleet, || {
        let credentials = Credentials::of_fleet(variable)?;
        let git = git_settings(&args.git)?;
        Ok(GitSettings { credentials, ssh: git.ssh.clone().of_fleet(variable)?, ..git })
    })?;
    Ok(RenderRequest {
        fleet,
        pick: Selection {
            envs: args.env.clone(),
            clusters: args.cluster.clone(),
            organizations: args.organization.clone(),
        },
        strict_compat: args.strict_compat,
        path: args.path.clone(),
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Gathers how repositories are reached.
///
/// # Errors
/// Credentials that are set in halves, or in a file that cannot be read.
fn git_settings(args: &GitArgs) -> Result<GitSettings> {
    Ok(GitSettings {
        credentials: Credentials::from_environment(variable)?,
        credential_helper: args.credential_helper.then(|| PathBuf::from("git")),
        ssh: ssh_settings(args)?,
        ca_file: args.ca_file.clone(),
        proxy: variable("HYDRANT_PROXY").map(Secret::new),
        cache: cache_folder(args).map(|c| c.join("git")),
        ..GitSettings::default()
    })
}

/// Gathers what a delivery is told, from flags and the environment.
///
/// # Errors
/// A fleet's address that cannot be understood; credentials that are set in halves, or in a
/// file that cannot be read.
fn delivery(fleet: &FleetArgs, to: &DestinationArgs, commit: Option<&CommitArgs>) -> Result<DeliveryRequest> {
    let commit = commit.cloned().unwrap_or_default();
    let time = commit.commit_time.unwrap_or_else(|| CommitTime { seconds: now(), offset: 0 });
    Ok(DeliveryRequest {
        render: rendering(fleet)?,
        repo: to.repo.clone(),
        branch: to.branch.clone(),
        create_branch: to.create_branch,
        allow_delete: to.allow_delete.clone(),
        adopt: to.adopt.clone(),
        drift: to.drift,
        release: to.release.clone(),
        allow_older: to.allow_older,
        author: commit.author,
        committer: commit.committer,
        seconds: time.seconds,
        offset: time.offset,
        signing_key: commit.signing_key,
        signing_passphrase: passphrase("HYDRANT_SIGNING_PASSPHRASE", variable)?,
        git: GitSettings { accept_rewritten: to.accept_rewritten, ..git_settings(&fleet.git)? },
        forge: Tokens::from_environment(|name| std::env::var(name).ok())?,
        argocd_server: variable("ARGOCD_API_URL").or_else(|| variable("ARGOCD_SERVER")),
        audit: to.audit.clone(),
        cache: cache_folder(&fleet.git),
    })
}

/// Gathers how servers are reached over SSH; a flag stands above the environment.
fn ssh_settings(to: &GitArgs) -> Result<SshSettings> {
    let flag_over = |name: &str| match name {
        "HYDRANT_GIT_SSH_KEY" | "HYDRANT_GIT_SSH_KEY_FILE" => to.ssh_key.is_some(),
        "HYDRANT_GIT_KNOWN_HOSTS" | "HYDRANT_GIT_KNOWN_HOSTS_FILE" => to.known_hosts.is_some(),
        _ => false,
    };
    let mut ssh =
        SshSettings::from_environment(|name| std::env::var(name).ok().filter(|_| !flag_over(name)))?;
    if let Some(key) = &to.ssh_key {
        ssh.key = Some(KeySource::File(key.clone()));
    }
    if let Some(file) = &to.known_hosts {
        ssh.known_hosts = vec![file.clone()];
    }
    Ok(ssh)
}

/// The memo of a run: on disk where there is a cache folder.
pub(crate) enum AnyMemo {
    Disk(Box<DiskMemo>),
    None(NoMemo),
}

impl AnyMemo {
    fn inner(&self) -> &dyn Memo {
        match self {
            AnyMemo::Disk(memo) => memo.as_ref(),
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

    fn checked(&self) -> Arc<Checked> {
        self.inner().checked()
    }

    fn keep_checked(&self, checked: Checked) {
        self.inner().keep_checked(checked);
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
    Wish { wait, timeout: args.timeout, ..Wish::default() }
}

/// Reads the types of `--crds`.
///
/// # Errors
/// A folder that cannot be read, or that gives no types.
fn types(folder: Option<&Path>) -> Result<Option<Types>> {
    let Some(folder) = folder else { return Ok(None) };
    let tree = crate::edge::fleet::load_folder(folder)?;
    let types = Types::read(&tree).map_err(|why| {
        Error::input(format!("nothing was checked: the types in {} cannot be read", folder.display()))
            .with(why)
    })?;
    tracing::debug!("{} types in {}", types.len(), folder.display());
    Ok(Some(types))
}

/// Opens the memo of a run.
fn memo(request: &DeliveryRequest) -> AnyMemo {
    let Some(cache) = request.cache.clone() else { return AnyMemo::None(NoMemo) };
    let partial = request.render.pick != Selection::default();
    AnyMemo::Disk(Box::new(DiskMemo::open(&cache, partial)))
}

/// Returns the folder of caches: `--cache`, or `hydrant` in the user's cache folder.
fn cache_folder(args: &GitArgs) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    args.cache
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
