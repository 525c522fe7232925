//! The flags of `run` and `render`: what is delivered, where, by whom.

use super::{FleetArgs, WaitArgs, duration};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where changes go.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Destination")]
pub struct DestinationArgs {
    /// Push to this repository instead of each cluster's own; a missing local folder becomes a bare repository
    #[arg(long, value_name = "DIR|URL", env = "HYDRANT_REPO")]
    pub repo: Option<String>,
    /// Push to this branch instead of each cluster's own
    #[arg(long, value_name = "NAME", env = "HYDRANT_BRANCH")]
    pub branch: Option<String>,
    /// Create the branch where a repository with other branches lacks it
    #[arg(long, env = "HYDRANT_CREATE_BRANCH", value_parser = clap::builder::FalseyValueParser::new())]
    pub create_branch: bool,
    /// Allow one deletion that the budget refuses: cluster/ENV/C, organization/O, tenant/T, namespace/NS,
    /// application/ENV/C/NAME, objects/ENV/C
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "HYDRANT_ALLOW_DELETE")]
    pub allow_delete: Vec<String>,
    /// Take a folder that bears no mark of this fleet
    #[arg(long, value_name = "ENV/CLUSTER", value_delimiter = ',', env = "HYDRANT_ADOPT")]
    pub adopt: Vec<String>,
    /// What becomes of edits that others made under our marks
    #[arg(long, value_enum, default_value_t, env = "HYDRANT_DRIFT")]
    pub drift: crate::stage::diff::Drift,
    /// End a rollback that is honoured: ENV/CLUSTER or ENV/CLUSTER/UNIT-PATH
    #[arg(long, value_name = "UNIT", value_delimiter = ',', env = "HYDRANT_RELEASE")]
    pub release: Vec<String>,
    /// Deliver although the branch has what a newer commit of the fleet gave
    #[arg(long, env = "HYDRANT_ALLOW_OLDER", value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_older: bool,
    /// Go on although the branch was rewritten or deleted since the last run
    #[arg(long, env = "HYDRANT_ACCEPT_REWRITTEN", value_parser = clap::builder::FalseyValueParser::new())]
    pub accept_rewritten: bool,
    /// Append each request to Argo CD and each outcome to this file, one JSON object a line
    #[arg(long, value_name = "FILE", env = "HYDRANT_AUDIT")]
    pub audit: Option<PathBuf>,
}

/// `hydrant run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What to render
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Where to deliver
    #[command(flatten)]
    pub destination: DestinationArgs,
    /// How the sync of what was delivered is followed, where an Argo CD server is configured
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Deliver only, and leave Argo CD alone
    #[arg(long, env = "HYDRANT_NO_SYNC", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_sync: bool,
    /// Run once and end (the default)
    #[arg(long, conflicts_with = "interval")]
    pub once: bool,
    /// Run again and again, this far apart: 30s, 3m, 1h
    #[arg(long, value_name = "TIME", env = "HYDRANT_INTERVAL", value_parser = duration)]
    pub interval: Option<std::time::Duration>,
    /// Who commits
    #[command(flatten)]
    pub commit: CommitArgs,
    /// Write a report as JSON
    #[arg(long, value_name = "FILE", env = "HYDRANT_REPORT")]
    pub report: Option<PathBuf>,
}

/// Who commits, and when.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Commit")]
pub struct CommitArgs {
    /// The author of commits: 'Name <address>'
    #[arg(long, value_name = "AUTHOR", env = "HYDRANT_AUTHOR")]
    pub author: Option<String>,
    /// The committer, if it is not the author: 'Name <address>'
    #[arg(long, value_name = "COMMITTER", env = "HYDRANT_COMMITTER")]
    pub committer: Option<String>,
    /// The time of commits: seconds since 1970, or 2026-11-21T10:00:00+01:00
    #[arg(long, value_name = "TIME", env = "HYDRANT_COMMIT_TIME", value_parser = crate::config::commit_time)]
    pub commit_time: Option<crate::config::CommitTime>,
    /// Sign commits with this SSH key: a file, or key::ssh-ed25519 … for a key of the agent
    #[arg(long, value_name = "KEY", env = "HYDRANT_SIGNING_KEY")]
    pub signing_key: Option<String>,
}

/// `hydrant render`.
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// What to render
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// What to compare with
    #[command(flatten)]
    pub destination: DestinationArgs,
    /// Show the difference to the branch (the default)
    #[arg(long, conflicts_with = "out")]
    pub dry_run: bool,
    /// Write the manifests into a folder: an empty one, or one that bears our marks
    #[arg(long, value_name = "DIR", env = "HYDRANT_OUT")]
    pub out: Option<PathBuf>,
    /// The form of the difference
    #[arg(long, value_enum, default_value_t, env = "HYDRANT_FORMAT")]
    pub format: DiffFormat,
    /// Check every rendered object against the types in this folder: CustomResourceDefinitions
    /// (YAML or JSON) and Kubernetes' OpenAPI document
    #[arg(long, value_name = "DIR", env = "HYDRANT_CRDS")]
    pub crds: Option<PathBuf>,
    /// End with 1 when something would change
    #[arg(long, env = "HYDRANT_EXIT_CODE", value_parser = clap::builder::FalseyValueParser::new())]
    pub exit_code: bool,
    /// Write a report as JSON
    #[arg(long, value_name = "FILE", env = "HYDRANT_REPORT")]
    pub report: Option<PathBuf>,
}

/// The forms of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// A unified diff
    #[default]
    Text,
    /// The paths alone
    Names,
    /// JSON
    Json,
}
