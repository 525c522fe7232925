//! The flags of `sync` and `audit`: what Argo CD is asked, and what was asked before.

use super::{DestinationArgs, FleetArgs, GitArgs, duration};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How a sync is followed.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sync")]
pub struct WaitArgs {
    /// Follow each Application until it is healthy, until the operation ended, or not at all
    #[arg(long, value_enum, default_value_t, env = "HYDRANT_WAIT")]
    pub wait: Wait,
    /// The longest time for one Application: 30s, 10m, 1h [default: `argocd.timeout` of hydrant.yaml, or 15m]
    #[arg(long, value_name = "TIME", env = "HYDRANT_TIMEOUT", value_parser = duration)]
    pub timeout: Option<std::time::Duration>,
}

/// How far a sync is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Until the commit is live and the Application healthy
    #[default]
    Health,
    /// Until Argo CD's operation has ended
    Operation,
    /// Not at all
    None,
}

/// `hydrant sync`.
#[derive(Clone, Debug, Args)]
pub struct SyncArgs {
    /// What may be synced
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Where it was delivered
    #[command(flatten)]
    pub destination: DestinationArgs,
    /// How it is followed
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Only these Applications, whether the last delivery changed them or not
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub app: Vec<String>,
    /// Sync to this commit (40 hex digits) instead of the branch's head
    #[arg(long, value_name = "COMMIT")]
    pub revision: Option<String>,
    /// Ask Argo CD to try, and apply nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What Argo CD is asked besides
    #[command(flatten)]
    pub operation: OperationArgs,
    /// The form of the result
    #[arg(long, value_enum, default_value_t)]
    pub format: SyncFormat,
}

/// The optional parts of a sync; none is a good default.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Operation")]
pub struct OperationArgs {
    /// Delete live objects that left Git: `--prune=false` keeps them [default: what the Application's automated policy says, else true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub prune: Option<bool>,
    /// How objects are applied
    #[arg(long, value_enum, default_value_t)]
    pub strategy: StrategyArg,
    /// Delete and recreate what cannot be changed in place
    #[arg(long)]
    pub force: bool,
    /// Use these sync options instead of all of the Application's own, for this sync
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub sync_option: Vec<String>,
    /// Only these objects of the Applications that are named; no hooks run then
    #[arg(long, value_name = "GROUP:KIND:[NAMESPACE/]NAME", value_delimiter = ',', requires = "app")]
    pub resource: Vec<crate::model::sync::ResourceFilter>,
}

/// How objects are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StrategyArg {
    /// With hooks, as Argo CD does by itself
    #[default]
    Hook,
    /// Without: PreSync and PostSync jobs are skipped
    Apply,
}

/// The forms of a sync's result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SyncFormat {
    /// For people
    #[default]
    Text,
    /// JSON
    Json,
}

/// `hydrant audit`.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// The file of the audit trail
    #[arg(long, value_name = "FILE", env = "HYDRANT_AUDIT", required_unless_present = "repo")]
    pub audit: Option<PathBuf>,
    /// Read the records in the git notes of this repository, in place of a file
    #[arg(long, value_name = "REPO")]
    pub repo: Option<String>,
    /// Only this Application
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Only this delivered or source commit, or what starts with it
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,
    /// Only this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// At most so many lines, the newest
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// How the repository is reached
    #[command(flatten)]
    pub git: GitArgs,
}
