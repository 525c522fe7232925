//! What came of a sync: one result for each Application, and what the next run must know.

use super::ServerId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

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

/// Why an Application did not reach its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is wrong, and why.
    pub reason: String,
    /// The edit, grant or command that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// True if somebody has to change something first; else a later run alone may help.
    pub permanent: bool,
    /// True if Argo CD could not be asked (unreachable, token, rights), whatever the
    /// Application is like: exit 3 instead of 5.
    pub outside: bool,
}

impl Failure {
    /// Returns a failure that a later run may not meet again.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), mend: None, permanent: false, outside: false }
    }

    /// Returns a failure that stays until somebody changes something.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { permanent: true, ..Self::passing(reason) }
    }

    /// Adds the mend.
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Adds the mend of a fault, if it has one.
    pub fn maybe_mend(mut self, mend: Option<&str>) -> Self {
        self.mend = mend.map(str::to_owned).or(self.mend);
        self
    }

    /// Marks that Argo CD itself was the obstacle.
    pub fn outside(mut self) -> Self {
        self.outside = true;
        self
    }
}

impl From<Failure> for SyncResult {
    fn from(failure: Failure) -> Self {
        SyncResult::Failed(failure)
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
    /// Argo CD or the cluster refused or failed.
    Failed(Failure),
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
            SyncResult::Failed(_) => "failed",
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
            SyncResult::Failed(Failure { reason, .. }) | SyncResult::Parked { reason } => Some(reason),
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
