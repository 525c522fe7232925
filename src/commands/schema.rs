//! `hydrant schema`, `completions`, `man`: what is generated from the types and the command line.

use super::print;
use crate::cli::{Cli, SchemaOf};
use crate::error::{Error, Result};
use crate::model::binding::BindingFile;
use crate::model::cluster::{ClusterFile, schema_of};
use crate::model::component::ComponentFile;
use crate::model::platform::{ArgocdValues, VaultValues};
use crate::model::settings::Settings;
use clap::CommandFactory;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The typed keys of values.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Hydrant values")]
struct Values {
    /// The cluster's Vault.
    vault: Option<VaultValues>,
    /// The cluster's Argo CD.
    argocd: Option<ArgocdValues>,
}

/// Returns the schema of a file.
pub fn schema(of: SchemaOf) -> Value {
    match of {
        SchemaOf::Cluster => schema_of::<ClusterFile>(),
        SchemaOf::Binding => schema_of::<BindingFile>(),
        SchemaOf::Config => schema_of::<Settings>(),
        SchemaOf::Component => schema_of::<ComponentFile>(),
        SchemaOf::Values => schema_of::<Values>(),
    }
}

/// Prints a schema.
///
/// # Errors
/// A stdout that cannot be written.
pub fn run(of: SchemaOf) -> Result<u8> {
    let mut text = serde_json::to_string_pretty(&schema(of))
        .map_err(|e| Error::internal("the schema could not be printed").because(e))?;
    text.push('\n');
    print(&text)?;
    Ok(0)
}

/// Prints a completion script.
///
/// # Errors
/// A stdout that cannot be written.
pub fn completions(shell: clap_complete::Shell) -> Result<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hydrant", &mut out);
    print(&String::from_utf8_lossy(&out))?;
    Ok(0)
}

/// Prints the manual page.
///
/// # Errors
/// A stdout that cannot be written.
pub fn man() -> Result<u8> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut out)
        .map_err(|e| Error::internal("the manual page could not be made").because(e))?;
    print(&String::from_utf8_lossy(&out))?;
    Ok(0)
}
