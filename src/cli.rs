//! The command line: what can be typed, and its help. No behaviour.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ops::Deref;
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

/// The arguments of a subcommand, which are described when it is the one that was asked for:
/// to describe those of all takes longer than a small build.
#[derive(Clone, Debug)]
pub struct Late<T>(T);

impl<T> Deref for Late<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Late<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| {
            // What the list of commands says of it stands, not the line above the arguments.
            let about = command.get_about().cloned().unwrap_or_default();
            let long_about = command.get_long_about().cloned();
            let command = T::augment_args(command).about(about);
            match long_about {
                Some(long_about) => command.long_about(long_about),
                None => command.long_about(None),
            }
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args_for_update)
    }
}

/// What to render.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fleet")]
pub struct FleetArgs {
    /// The fleet: the folder that holds clusters/, or a repository as URL[//FOLDER][?ref=REVISION]
    #[arg(long, value_name = "DIR|URL", default_value = ".", env = "HYDRANT_FLEET")]
    pub fleet: String,
    /// Only these environments
    #[arg(long, value_name = "ENV", value_delimiter = ',', env = "HYDRANT_ENV")]
    pub env: Vec<String>,
    /// Only these clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "HYDRANT_CLUSTER")]
    pub cluster: Vec<String>,
    /// Only the units of these organizations and of their tenants
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "HYDRANT_ORGANIZATION")]
    pub organization: Vec<String>,
    /// The folder of all output inside the repository, instead of `path` in hydrant.yaml
    #[arg(long, value_name = "PATH", env = "HYDRANT_PATH", value_parser = inner_folder)]
    pub path: Option<String>,
    /// Check cluster.yaml by the schema of the clusters repository alone
    #[arg(long, env = "HYDRANT_STRICT_COMPAT", value_parser = clap::builder::FalseyValueParser::new())]
    pub strict_compat: bool,
    /// How repositories are reached
    #[command(flatten)]
    pub git: GitArgs,
}

/// How repositories are reached, that of the fleet too.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Git")]
pub struct GitArgs {
    /// A file of certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE", env = "HYDRANT_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// The private key for SSH remotes; without one the agent of SSH_AUTH_SOCK is asked
    #[arg(long, value_name = "FILE", env = "HYDRANT_GIT_SSH_KEY_FILE")]
    pub ssh_key: Option<PathBuf>,
    /// The host keys to trust, instead of ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
    #[arg(long, value_name = "FILE", env = "HYDRANT_GIT_KNOWN_HOSTS_FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Ask Git's credential helpers where no credentials are set; nobody is asked to type
    #[arg(long, env = "HYDRANT_CREDENTIAL_HELPER", value_parser = clap::builder::FalseyValueParser::new())]
    pub credential_helper: bool,
    /// The folder of caches; safe to delete
    #[arg(long, value_name = "DIR", env = "HYDRANT_CACHE")]
    pub cache: Option<PathBuf>,
}

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

/// `hydrant explain`.
#[derive(Clone, Debug, Subcommand)]
pub enum Explain {
    /// Show each value of a cluster with the file and line that set it
    Values(ExplainValues),
    /// List the components and where they are enabled
    Components(ExplainComponents),
    /// Show every object of a binding, and what it may do
    Binding(ExplainBinding),
    /// List where each secret is read, by name
    Secrets(ExplainSecrets),
}

/// `hydrant explain binding`.
#[derive(Clone, Debug, Args)]
pub struct ExplainBinding {
    /// The fleet
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// A tenant, organization or knowledge base; `tenant/x` says which is meant
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `hydrant explain secrets`.
#[derive(Clone, Debug, Args)]
pub struct ExplainSecrets {
    /// The fleet
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// The form of the list
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// `hydrant status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// The fleet
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// What to compare with
    #[command(flatten)]
    pub destination: DestinationArgs,
    /// The form of the list
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// The forms of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A table
    #[default]
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// `hydrant explain values`.
#[derive(Clone, Debug, Args)]
pub struct ExplainValues {
    /// The fleet
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Only values below this key, such as vault or vault-runtime
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
}

/// `hydrant explain components`.
#[derive(Clone, Debug, Args)]
pub struct ExplainComponents {
    /// The fleet
    #[command(flatten)]
    pub fleet: FleetArgs,
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

/// Reads a folder inside the repository.
fn inner_folder(text: &str) -> Result<String, String> {
    let sound = crate::definition::settings::is_inner_folder(text);
    sound
        .then(|| text.to_owned())
        .ok_or_else(|| "write a relative folder without `.`, `..` or empty parts".to_owned())
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
