//! The command line: what can be typed, and its help. No behaviour.
//!
//! Each family of flags has a file of its own; here are the subcommands.

mod delivery;
mod explain;
mod fleet;
mod late;
mod sync;

pub use delivery::{CommitArgs, DestinationArgs, DiffFormat, RenderArgs, RunArgs};
pub use explain::{
    Explain, ExplainBinding, ExplainComponents, ExplainSecrets, ExplainValues, StatusArgs, TableFormat,
};
pub use fleet::{FleetArgs, GitArgs};
pub use late::Late;
pub use sync::{AuditArgs, OperationArgs, StrategyArg, SyncArgs, SyncFormat, Wait, WaitArgs};

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold());

/// Turns the description of a fleet of clusters into manifests in a Git repository, and
/// asks Argo CD to sync what changed.
#[derive(Debug, Parser)]
#[command(name = "hydrant", version, about, styles = STYLES, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Say more on stderr (-v, -vv)
    #[arg(short, long, action = clap::ArgAction::Count, global = true, env = "HYDRANT_VERBOSE")]
    pub verbose: u8,
    /// Say only errors on stderr
    #[arg(short, long, global = true, env = "HYDRANT_QUIET", value_parser = clap::builder::FalseyValueParser::new())]
    pub quiet: bool,
    /// The form of log lines on stderr
    #[arg(long, value_enum, default_value_t, global = true, env = "HYDRANT_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Render the fleet, commit what changed, and report
    Run(Late<RunArgs>),
    /// Render the fleet and show what would change; writes nothing but --out
    Render(Late<RenderArgs>),
    /// Ask Argo CD to sync what the last delivery changed, and follow it
    Sync(Late<SyncArgs>),
    /// Show the audit trail of syncs as a table
    Audit(Late<AuditArgs>),
    /// Check the inputs and the rendered manifests, without Git and without network
    Validate(Late<ValidateArgs>),
    /// Build a kustomization: what `kubectl kustomize DIR` prints
    Build(Late<BuildArgs>),
    /// Show where things come from
    #[command(subcommand)]
    Explain(Explain),
    /// Show the phase of every organization, tenant and knowledge base
    Status(Late<StatusArgs>),
    /// Print the JSON Schema of a file that Hydrant reads
    Schema {
        /// The file
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `hydrant validate`.
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// What to check
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Check every rendered object against the types in this folder: CustomResourceDefinitions
    /// (YAML or JSON) and Kubernetes' OpenAPI document
    #[arg(long, value_name = "DIR", env = "HYDRANT_CRDS")]
    pub crds: Option<PathBuf>,
    /// Write a report as JSON
    #[arg(long, value_name = "FILE", env = "HYDRANT_REPORT")]
    pub report: Option<PathBuf>,
}

/// `hydrant build`.
#[derive(Clone, Debug, Args)]
pub struct BuildArgs {
    /// The folder with the kustomization
    pub dir: PathBuf,
    /// Make an error of what is only warned of, such as a patch that matches nothing
    #[arg(long, env = "HYDRANT_STRICT", value_parser = clap::builder::FalseyValueParser::new())]
    pub strict: bool,
}

/// The files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// cluster.yaml
    Cluster,
    /// Organization, RepoBinding, KnowledgeBase
    Binding,
    /// hydrant.yaml
    Config,
    /// component.yaml
    Component,
    /// The typed settings in values: vault and argocd
    Values,
}

/// Reads a time span: a number and `s`, `m` or `h`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is no time span: write 30s, 3m or 1h");
    let (number, seconds) = match text.char_indices().last() {
        Some((i, 's')) => (&text[..i], 1),
        Some((i, 'm')) => (&text[..i], 60),
        Some((i, 'h')) => (&text[..i], 3600),
        _ => return Err(wrong()),
    };
    let n: u64 = number.parse().map_err(|_| wrong())?;
    let total = n.checked_mul(seconds).filter(|t| (1..=7 * 86_400).contains(t)).ok_or_else(wrong)?;
    Ok(std::time::Duration::from_secs(total))
}
