//! What a sync is asked and what came of it: the Applications, the request, the outcome.
//!
//! The names are Argo CD's. Nothing in here talks to anybody: `edge::argocd` does, and
//! `stage::sync_plan` puts the Applications in order.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Which Argo CD server: its base URL as the settings resolved it, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub String);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one Application among all that a run may touch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey {
    /// The Argo CD server that holds it.
    pub server: ServerId,
    /// The namespace of the Application object.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where an Application takes its manifests from, seen from the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum AppSource {
    /// A path of the repository we push to: synced at the pushed commit.
    #[serde(rename_all = "camelCase")]
    OurPath {
        /// `spec.source.repoURL`.
        repo_url: String,
        /// `spec.source.path`.
        path: String,
        /// `spec.source.targetRevision`, as the manifest writes it.
        target_revision: String,
    },
    /// A Helm chart: our commit reaches it through its own Application manifest only.
    Chart,
    /// A path in somebody else's repository: as a chart.
    Foreign,
}

/// One Application, as its final manifest names it.
#[derive(Clone, Debug)]
pub struct AppRef {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.project`; Argo CD tells a typo from a missing right only when it is sent.
    pub project: String,
    /// The Argo CD server of the cluster.
    pub server: ServerId,
    /// The cluster whose delivery this belongs to.
    pub cluster: String,
    /// The environment of the cluster.
    pub env: String,
    /// True if our manifest has no automated sync policy.
    pub manual: bool,
    /// Where it takes its manifests from.
    pub source: AppSource,
    /// The whole Application as we delivered it; `spec` is compared with the server's.
    pub manifest: Value,
    /// The Application that applies this one (the layer's), by name.
    pub parent: Option<String>,
    /// Applications that must be healthy first, by name, on the same cluster.
    pub needs: Vec<String>,
    /// The commit this Application must reach, if not the run's: for what is still owed.
    pub revision: Option<String>,
}

impl AppRef {
    /// Returns the name that is unique among all servers.
    pub fn key(&self) -> AppKey {
        AppKey { server: self.server.clone(), namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Returns the key of another Application of the same cluster.
    pub fn sibling(&self, name: &str) -> AppKey {
        AppKey { server: self.server.clone(), namespace: self.namespace.clone(), name: name.to_owned() }
    }
}

/// How far a sync is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// Until the commit is live and the Application healthy.
    #[default]
    Health,
    /// Until Argo CD's operation has ended.
    Operation,
    /// Not at all: the request was accepted.
    None,
}

/// The optional parts of Argo CD's sync request. Every default leaves the key out.
///
/// The seed's example sends `strategy.apply`, `Replace=true` and `Validate=false`; the
/// first turns hooks off, the others replace the Application's own options. All are
/// available here, none is a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncOptions {
    /// Delete live objects that left Git. `None` takes the Application's automated policy,
    /// and true for manual ones: their deletions were guarded in Git.
    pub prune: Option<bool>,
    /// `hook` (Argo CD's default) or `apply`, which runs no hooks.
    pub strategy: Strategy,
    /// Delete and recreate what cannot be changed in place.
    pub force: bool,
    /// Replaces `spec.syncPolicy.syncOptions` for this operation; empty leaves them alone.
    pub sync_options: Vec<String>,
    /// Only these resources; no hooks and no history entry then.
    pub resources: Vec<ResourceFilter>,
    /// Argo CD's own retries of the operation, if the Application's are not wanted.
    pub retry: Option<RetryStrategy>,
}

/// How objects are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// With hooks: what Argo CD does when nothing is said.
    #[default]
    Hook,
    /// `kubectl apply` only: PreSync and PostSync jobs are skipped.
    Apply,
}

/// One entry of a partial sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceFilter {
    /// The API group, empty for core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace, empty for cluster-scoped objects.
    pub namespace: String,
}

/// Argo CD's retry strategy. Its first wait is `duration` × `factor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryStrategy {
    /// How many retries; negative means without end.
    pub limit: i64,
    /// The base wait, as Argo CD writes it (`5s`).
    pub duration: String,
    /// The factor between waits.
    pub factor: i64,
    /// The longest wait (`3m`).
    pub max_duration: String,
}

/// What one sync run is asked to do.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The Applications to sync.
    pub apps: Vec<AppRef>,
    /// Applications that exist and are not synced; needs are looked up here.
    pub known: Vec<AppRef>,
    /// The pushed commit, 40 lower-case hex digits.
    pub revision: String,
    /// The source commit of the fleet, for the audit trail.
    pub source_commit: Option<String>,
    /// Names this run in Argo CD and in the audit log.
    pub run_id: String,
    /// How far to follow.
    pub wait: WaitFor,
    /// The longest time for one Application, counted from its start.
    pub timeout: Duration,
    /// Ask Argo CD to try, and apply nothing.
    pub dry_run: bool,
    /// True if a person named the Applications: drift is then mended, not only explained.
    pub explicit: bool,
    /// The optional parts of the request.
    pub options: SyncOptions,
}

/// One object that did not get where it should.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailingResource {
    /// The API group, empty for core.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace, empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What Argo CD calls its state (`SyncFailed`, `Degraded`, …).
    pub status: String,
    /// Argo CD's own words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl FailingResource {
    /// Returns the name as `kubectl get` takes it: `deployment.apps/web -n demo`.
    pub fn kubectl_name(&self) -> String {
        let kind = self.kind.to_lowercase();
        let dot = if self.group.is_empty() { "" } else { "." };
        let namespace =
            if self.namespace.is_empty() { String::new() } else { format!(" -n {}", self.namespace) };
        format!("{kind}{dot}{}/{}{namespace}", self.group, self.name)
    }
}

impl fmt::Display for FailingResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kubectl_name(), self.status)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// What came of one Application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum SyncResult {
    /// The commit or a descendant is live and the Application healthy: the one success.
    Live,
    /// Our commit was applied and is healthy, but Argo CD already compares with a newer one
    /// that differs; whoever delivered that one syncs it.
    Superseded {
        /// The newer commit.
        by: String,
    },
    /// Accepted (`--wait none`), ended well (`--wait operation`) or tried (`--dry-run`).
    /// Says nothing about health.
    Asked,
    /// Argo CD or the cluster refused or failed; `permanent` says whether a later run alone can help.
    Failed {
        /// True if somebody has to change something first.
        permanent: bool,
        /// What is wrong, and why.
        reason: String,
        /// The edit, grant or command that mends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mend: Option<String>,
    },
    /// A sync window keeps it back; a later run takes it up.
    Parked {
        /// Which window.
        reason: String,
    },
    /// Never asked for, because of another Application or a guard.
    NotStarted {
        /// Which one, and why.
        because: String,
    },
    /// The time was up before the predicate held; Argo CD may go on.
    TimedOut {
        /// The last state that was seen.
        last: String,
    },
    /// The run was stopped (Ctrl-C); Argo CD goes on.
    Interrupted {
        /// The last state that was seen.
        last: String,
    },
}

impl SyncResult {
    /// Returns the word for tables and the audit log.
    pub fn word(&self) -> &'static str {
        match self {
            SyncResult::Live => "live",
            SyncResult::Superseded { .. } => "superseded",
            SyncResult::Asked => "asked",
            SyncResult::Failed { .. } => "failed",
            SyncResult::Parked { .. } => "parked",
            SyncResult::NotStarted { .. } => "not started",
            SyncResult::TimedOut { .. } => "timed out",
            SyncResult::Interrupted { .. } => "interrupted",
        }
    }

    /// Returns true if Applications that need this one may start.
    pub fn lets_dependents_start(&self) -> bool {
        matches!(self, SyncResult::Live | SyncResult::Superseded { .. } | SyncResult::Asked)
    }

    /// Returns true if nothing is owed for this commit any more.
    pub fn is_settled(&self) -> bool {
        matches!(self, SyncResult::Live | SyncResult::Superseded { .. })
    }

    /// Returns the explanation, if there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            SyncResult::Live | SyncResult::Asked => None,
            SyncResult::Superseded { by } => Some(by),
            SyncResult::Failed { reason, .. } | SyncResult::Parked { reason } => Some(reason),
            SyncResult::NotStarted { because } => Some(because),
            SyncResult::TimedOut { last } | SyncResult::Interrupted { last } => Some(last),
        }
    }
}

/// What came of one Application, with what the report needs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncOutcome {
    /// The Application's name.
    pub app: String,
    /// Its namespace.
    pub namespace: String,
    /// Its server.
    pub server: ServerId,
    /// The cluster it belongs to.
    pub cluster: String,
    /// The environment of the cluster.
    pub env: String,
    /// The commit it was to reach; empty for a chart.
    pub wanted: String,
    /// The revision Argo CD last compared with, if it said.
    pub revision: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub result: SyncResult,
    /// The objects that are at fault, worst first as Argo CD lists them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingResource>,
    /// From its start to its end.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub took: Duration,
    /// Its depth in the graph, from 0.
    pub wave: usize,
}

fn as_seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64((d.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// What a run leaves in its git note, so that the next one knows what is still owed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The run.
    pub run: String,
    /// The commit that was delivered.
    pub commit: String,
    /// Per `cluster/namespace/name`: the commit the Application was followed to.
    pub followed: BTreeMap<String, String>,
}
