//! A component: what its folder in `templates/` says.

use super::id::{Layer, Scope};
use super::platform::SyncMode;
use crate::error::Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `component.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Hydrant component")]
pub struct ComponentFile {
    /// What it is rendered for.
    #[serde(default = "cluster_scope")]
    pub scope: Scope,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// Components that must be healthy before this one.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The least wave; needs may raise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = -100, max = 100))]
    pub wave: Option<i64>,
    /// An expression over the context; the component is rendered where it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub enabled: Option<String>,
    /// The namespace of its objects: a name, or one expression in `{{ }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// Who starts a sync of its Application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SyncMode")]
    pub sync: Option<SyncMode>,
    /// Argo CD sync options of its Application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub sync_options: Option<Vec<String>>,
    /// What becomes of its objects when it leaves the fleet.
    #[serde(default)]
    pub on_remove: OnRemove,
    /// The AppProject of its Application.
    #[serde(default)]
    pub project: ProjectChoice,
    /// Fields that Argo CD ignores when it compares (`ignoreDifferences` of an Application).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<serde_json::Value>,
    /// The component whose templates this one takes, with values of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub extends: Option<String>,
    /// `builtin`, to take the id of a built-in component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Replaces")]
    pub replaces: Option<Replaces>,
    /// Keys of plain Secrets that are not secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_secret_keys: Vec<String>,
}

fn cluster_scope() -> Scope {
    Scope::Cluster
}

/// What becomes of a component's objects when it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnRemove {
    /// Argo CD deletes them with the Application.
    #[default]
    Delete,
    /// They stay on the cluster.
    Orphan,
}

/// Which AppProject a component's Application belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProjectChoice {
    /// The platform's own.
    #[default]
    Platform,
    /// That of the root Application, for what must be there first.
    Bootstrap,
}

/// What a fleet's component may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Replaces {
    /// The built-in component of the same id.
    Builtin,
}

/// A component's place in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentKey {
    /// Its layer.
    pub layer: Layer,
    /// Its id.
    pub id: String,
}

impl std::fmt::Display for ComponentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.layer, self.id)
    }
}

/// A text with its origin, for expressions that fail later.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Origin,
}
