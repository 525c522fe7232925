//! The parts of Argo CD's Application that the agent looks at. Everything may be missing:
//! zero values are left out on the wire, and a list may be `null`.

use crate::model::sync::FailingResource;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An Application as the API returns it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Application {
    /// Name, namespace, version.
    pub metadata: Metadata,
    /// The whole spec, compared with ours.
    #[serde(deserialize_with = "lenient")]
    pub spec: Value,
    /// What the controller found.
    #[serde(deserialize_with = "lenient")]
    pub status: Status,
    /// The operation that was asked for or runs.
    pub operation: Option<Operation>,
}

/// The parts of `metadata`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub resource_version: String,
    pub deletion_timestamp: Option<String>,
}

/// An operation as it was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Operation {
    pub sync: Option<OperationSync>,
    #[serde(deserialize_with = "lenient")]
    pub info: Vec<Info>,
    #[serde(deserialize_with = "lenient")]
    pub initiated_by: InitiatedBy,
}

/// The sync of an operation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct OperationSync {
    pub revision: String,
    #[serde(deserialize_with = "lenient")]
    pub revisions: Vec<String>,
    pub dry_run: bool,
    /// Present in a partial sync, selfHeal's own among them.
    #[serde(deserialize_with = "lenient")]
    pub resources: Vec<Value>,
}

/// Who asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct InitiatedBy {
    pub username: String,
    pub automated: bool,
}

/// A free note of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Info {
    pub name: String,
    pub value: String,
}

/// What the controller found.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Status {
    #[serde(deserialize_with = "lenient")]
    pub sync: SyncStatus,
    #[serde(deserialize_with = "lenient")]
    pub health: HealthStatus,
    pub operation_state: Option<OperationState>,
    #[serde(deserialize_with = "lenient")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "lenient")]
    pub resources: Vec<Resource>,
    pub reconciled_at: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub source_hydrator: Hydrator,
}

/// The last comparison, with what the Application tracks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct SyncStatus {
    pub status: String,
    pub revision: String,
    #[serde(deserialize_with = "lenient")]
    pub revisions: Vec<String>,
}

/// Health of an Application or object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct HealthStatus {
    pub status: String,
    pub message: String,
}

/// The running or last operation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct OperationState {
    #[serde(deserialize_with = "lenient")]
    pub operation: Operation,
    pub phase: String,
    pub message: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub retry_count: i64,
    pub sync_result: Option<SyncResultView>,
}

/// What an operation did.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct SyncResultView {
    pub revision: String,
    #[serde(deserialize_with = "lenient")]
    pub revisions: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub resources: Vec<ResultResource>,
}

/// What an operation did to one object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ResultResource {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub status: String,
    pub message: String,
    pub hook_phase: String,
}

/// A condition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
}

/// One object of the Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Resource {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub status: String,
    pub health: Option<HealthStatus>,
    pub requires_pruning: bool,
}

/// The source hydrator's own progress.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Hydrator {
    pub current_operation: Option<HydrateOperation>,
}

/// One hydration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct HydrateOperation {
    pub phase: String,
    pub message: String,
    #[serde(rename = "drySHA")]
    pub dry_sha: String,
    #[serde(rename = "hydratedSHA")]
    pub hydrated_sha: String,
}

/// Takes `null` for the zero value, as Go writes it.
fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl Operation {
    /// Returns the value of a note.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.info.iter().find(|i| i.name == name).map(|i| i.value.as_str())
    }

    /// Returns the revision at a source's place, or the single one.
    pub fn revision(&self, source: Option<usize>) -> &str {
        self.sync.as_ref().map_or("", |s| at(&s.revision, &s.revisions, source))
    }
}

impl SyncStatus {
    /// Returns the revision at a source's place, or the single one.
    pub fn revision_of(&self, source: Option<usize>) -> &str {
        at(&self.revision, &self.revisions, source)
    }
}

impl SyncResultView {
    /// Returns the revision at a source's place, or the single one.
    pub fn revision_of(&self, source: Option<usize>) -> &str {
        at(&self.revision, &self.revisions, source)
    }
}

fn at<'a>(one: &'a str, many: &'a [String], source: Option<usize>) -> &'a str {
    match source {
        Some(place) => many.get(place).map_or("", String::as_str),
        None => one,
    }
}

impl Application {
    /// Returns true if Argo CD syncs it by itself. `automated: {}` is on; `enabled: false` is off.
    pub fn is_automated(&self) -> bool {
        match self.spec.pointer("/syncPolicy/automated") {
            None | Some(Value::Null) => false,
            Some(automated) => automated.get("enabled").and_then(Value::as_bool) != Some(false),
        }
    }

    /// Returns a switch of the automated policy (`prune`, `selfHeal`, `allowEmpty`).
    pub fn automated(&self, key: &str) -> bool {
        self.spec.pointer("/syncPolicy/automated").and_then(|a| a.get(key)).and_then(Value::as_bool)
            == Some(true)
    }

    /// Returns true if the hydrator makes what is synced.
    pub fn is_hydrated(&self) -> bool {
        self.spec.get("sourceHydrator").is_some_and(Value::is_object)
    }

    /// Returns the sources of a multi-source Application.
    pub fn sources(&self) -> Option<&Vec<Value>> {
        self.spec.get("sources").and_then(Value::as_array).filter(|s| !s.is_empty())
    }

    /// Returns what it tracks, for messages.
    pub fn tracks(&self) -> &str {
        self.spec.pointer("/source/targetRevision").and_then(Value::as_str).unwrap_or("HEAD")
    }

    /// Returns the first condition that makes the comparison worthless.
    pub fn comparison_error(&self) -> Option<&Condition> {
        self.status
            .conditions
            .iter()
            .find(|c| matches!(c.kind.as_str(), "ComparisonError" | "InvalidSpecError" | "UnknownError"))
    }

    /// Returns true if the last operation left objects alone because they are marked so:
    /// `Prune=false`, which no later sync overrules.
    pub fn kept_from_pruning(&self) -> bool {
        let results = self.status.operation_state.as_ref().and_then(|s| s.sync_result.as_ref());
        let mut skipped =
            results.into_iter().flat_map(|r| &r.resources).filter(|r| r.status == "PruneSkipped").peekable();
        skipped.peek().is_some() && skipped.all(|r| r.message.contains("(no prune)"))
    }

    /// Returns the version for dropping what is older, if it is a number.
    pub fn version(&self) -> Option<u64> {
        self.metadata.resource_version.parse().ok()
    }

    /// Lists the objects at fault: those the operation failed on, else those that are not
    /// healthy or not synced.
    pub fn failing(&self) -> Vec<FailingResource> {
        let mut found = self.failing_in_operation();
        for object in &self.status.resources {
            let health = object.health.as_ref();
            let bad = health
                .filter(|h| matches!(h.status.as_str(), "Degraded" | "Missing" | "Unknown" | "Progressing"));
            let known = found
                .iter()
                .any(|f| f.kind == object.kind && f.name == object.name && f.namespace == object.namespace);
            if let (Some(health), false) = (bad, known) {
                found.push(FailingResource {
                    group: object.group.clone(),
                    kind: object.kind.clone(),
                    namespace: object.namespace.clone(),
                    name: object.name.clone(),
                    status: health.status.clone(),
                    message: super::fault::short(&health.message),
                });
            }
        }
        found.truncate(50);
        found
    }

    fn failing_in_operation(&self) -> Vec<FailingResource> {
        let results = self.status.operation_state.as_ref().and_then(|s| s.sync_result.as_ref());
        results
            .into_iter()
            .flat_map(|r| &r.resources)
            // Health and hook failures are `Synced` with a failed hook phase.
            .filter(|r| r.status == "SyncFailed" || matches!(r.hook_phase.as_str(), "Failed" | "Error"))
            .map(|r| FailingResource {
                group: r.group.clone(),
                kind: r.kind.clone(),
                namespace: r.namespace.clone(),
                name: r.name.clone(),
                status: if r.status == "SyncFailed" { "SyncFailed".into() } else { r.hook_phase.clone() },
                message: super::fault::short(&r.message),
            })
            .collect()
    }
}
