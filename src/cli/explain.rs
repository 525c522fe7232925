//! The flags of `explain` and `status`: questions about a fleet.

use super::{DestinationArgs, FleetArgs};
use clap::{Args, Subcommand, ValueEnum};

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
