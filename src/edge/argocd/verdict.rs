//! Whether an Application is where it should be: one pure predicate on one object.
//!
//! Success is: no operation, our own operation Succeeded (where we asked for one), Synced
//! with our commit or a descendant (for a chart: our spec, Synced), healthy, and no
//! comparison error. Nothing else counts: `reconciledAt` proves nothing, health keeps its
//! old value after a failed comparison, and OutOfSync right after Succeeded is routine.

use super::application::{Application, Operation, OperationState};
use serde_json::Value;

/// The note that carries the run's id.
pub const RUN_NOTE: &str = "hydrant-run";
/// The note that tells one request of a run from the next.
pub const TRY_NOTE: &str = "hydrant-try";
/// The note that carries the delivered commit.
pub const COMMIT_NOTE: &str = "hydrant-commit";

/// Knows which commit came after which.
pub trait Ancestry: Send + Sync {
    /// Returns whether `older` is an ancestor of `newer`; `None` when one is unknown.
    fn is_ancestor(&self, older: &str, newer: &str) -> Option<bool>;
}

/// Knows nothing: only equal commits count.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAncestry;

impl Ancestry for NoAncestry {
    fn is_ancestor(&self, _: &str, _: &str) -> Option<bool> {
        None
    }
}

/// One request of ours, as it is found again in Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run's id.
    pub run: String,
    /// Which request of the run for this Application, from 1.
    pub attempt: u32,
}

impl Mark {
    /// Returns true if an operation carries this mark.
    pub fn is_on(&self, operation: &Operation) -> bool {
        operation.note(RUN_NOTE) == Some(&self.run)
            && operation.note(TRY_NOTE) == Some(&self.attempt.to_string())
    }
}

/// What an Application has to reach.
pub struct Wanted<'w> {
    /// The commit; `None` for a chart or foreign source.
    pub commit: Option<&'w str>,
    /// The place of our source among several.
    pub source: Option<usize>,
    /// Our spec, for a chart or foreign source.
    pub spec: Option<&'w Value>,
    /// Our request, when we made one.
    pub mark: Option<&'w Mark>,
    /// Which commit came after which.
    pub ancestry: &'w dyn Ancestry,
    /// Suspended counts as healthy.
    pub accept_suspended: bool,
}

/// Where an Application stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The one success.
    Live,
    /// An operation waits for the controller.
    Pending {
        /// True if it is our request.
        ours: bool,
    },
    /// An operation runs (also: waits for its retry, or ends).
    Running {
        /// True if it is our request.
        ours: bool,
        /// True while a termination is not through.
        terminating: bool,
        /// True while a window that closed midway holds it.
        window: bool,
        /// Argo CD's words.
        message: String,
    },
    /// Our operation ended badly; or, without a request of ours, the one for this commit did.
    Failed {
        /// `Failed` or `Error`.
        phase: String,
        /// Argo CD's words.
        message: String,
    },
    /// Our operation is gone from the record: somebody else's has taken its place.
    Replaced,
    /// The comparison failed or was never made.
    NotCompared(String),
    /// Compared with a commit that is older than ours or unknown.
    Behind(String),
    /// Compared with ours (or a descendant) and different.
    OutOfSync {
        /// What it was compared with.
        revision: String,
        /// True when our operation applied ours and the comparison is with a newer commit.
        newer: bool,
    },
    /// The spec is not ours yet.
    SpecDiffers,
    /// Synced, and its health is not good.
    NotHealthy(String),
    /// Being deleted.
    Deleting,
}

impl Wanted<'_> {
    /// Returns true for our commit and its descendants.
    pub fn covers(&self, revision: &str) -> bool {
        match self.commit {
            None => true,
            Some(commit) => commit == revision || self.is_descendant(revision),
        }
    }

    /// Returns true for a commit that came after ours.
    fn is_descendant(&self, revision: &str) -> bool {
        // After a failed comparison this is a branch name, which is no commit of anybody.
        is_commit(revision)
            && self
                .commit
                .is_some_and(|c| c != revision && self.ancestry.is_ancestor(c, revision) == Some(true))
    }

    /// Judges one object.
    pub fn judge(&self, app: &Application) -> Verdict {
        if app.metadata.deletion_timestamp.is_some() {
            return Verdict::Deleting;
        }
        let state = app.status.operation_state.as_ref();
        if let Some(operation) = &app.operation {
            return self.in_flight(operation, state);
        }
        if let Some(state) = state {
            // The operation is gone but its last phase is not written yet.
            if !is_over(state) {
                return running(state, self.is_ours(&state.operation));
            }
            if let Some(verdict) = self.ended_badly(app, state) {
                return verdict;
            }
        }
        match (self.mark, state) {
            (Some(mark), Some(state)) if !mark.is_on(&state.operation) => return Verdict::Replaced,
            (Some(_), None) => return Verdict::Replaced,
            _ => {}
        }
        self.compared(app, state)
    }

    fn in_flight(&self, operation: &Operation, state: Option<&OperationState>) -> Verdict {
        let ours = self.is_ours(operation);
        match state {
            Some(state) if state.phase == "Running" || state.phase == "Terminating" => running(state, ours),
            // Between the last phase and the removal of the operation: not over.
            Some(state) if self.mark.is_none() || self.is_ours(&state.operation) => running(state, ours),
            _ => Verdict::Pending { ours },
        }
    }

    fn is_ours(&self, operation: &Operation) -> bool {
        self.mark.is_some_and(|m| m.is_on(operation))
    }

    fn ended_badly(&self, app: &Application, state: &OperationState) -> Option<Verdict> {
        let bad = matches!(state.phase.as_str(), "Failed" | "Error");
        let concerns_us = match self.mark {
            Some(mark) => mark.is_on(&state.operation),
            // Synced with ours although the last operation failed, at whatever commit: its
            // hooks never succeeded, and nobody will try again while it is Synced.
            None => {
                let sync = &app.status.sync;
                let synced = sync.status == "Synced" && self.covers(sync.revision_of(self.source));
                synced || self.covers(self.revision_of(state))
            }
        };
        let filtered_all = self.mark.is_some_and(|m| m.is_on(&state.operation))
            && state.phase == "Succeeded"
            && state.operation.sync.as_ref().is_some_and(|s| !s.resources.is_empty())
            && state.sync_result.as_ref().is_none_or(|r| r.resources.is_empty());
        if filtered_all {
            let message = "no resource matched the `resources` filter; nothing was done".to_owned();
            return Some(Verdict::Failed { phase: "Failed".into(), message });
        }
        (bad && concerns_us).then(|| Verdict::Failed {
            phase: state.phase.clone(),
            message: super::fault::short(&state.message),
        })
    }

    fn revision_of<'s>(&self, state: &'s OperationState) -> &'s str {
        let done = state.sync_result.as_ref().map_or("", |r| r.revision_of(self.source));
        if done.is_empty() { state.operation.revision(self.source) } else { done }
    }

    /// The second half: the comparison and the health.
    fn compared(&self, app: &Application, state: Option<&OperationState>) -> Verdict {
        let sync = &app.status.sync;
        if let Some(condition) = app.comparison_error() {
            return Verdict::NotCompared(super::fault::short(&condition.message));
        }
        if sync.status != "Synced" && sync.status != "OutOfSync" {
            return Verdict::NotCompared("Argo CD has not compared it with Git".into());
        }
        if let Some(spec) = self.spec
            && !spec_holds(spec, &app.spec)
        {
            return Verdict::SpecDiffers;
        }
        let revision = sync.revision_of(self.source);
        if !self.covers(revision) {
            return Verdict::Behind(revision.to_owned());
        }
        // What we asked for must be what was done, not only what is compared.
        if let (Some(_), Some(state)) = (self.mark, state)
            && !self.covers(self.revision_of(state))
        {
            return Verdict::Behind(self.revision_of(state).to_owned());
        }
        if sync.status == "OutOfSync" {
            let newer = self.mark.is_some() && self.is_descendant(revision);
            return Verdict::OutOfSync { revision: revision.to_owned(), newer };
        }
        if self.is_healthy(&app.status.health.status) {
            Verdict::Live
        } else {
            Verdict::NotHealthy(health(app))
        }
    }

    /// Returns true for a health that counts as good.
    pub fn is_healthy(&self, health: &str) -> bool {
        health == "Healthy" || self.accept_suspended && health == "Suspended"
    }
}

/// Judges an Application that is only needed, not synced: any revision will do.
pub fn is_steady(app: &Application, accept_suspended: bool) -> bool {
    let wanted = Wanted {
        commit: None,
        source: None,
        spec: None,
        mark: None,
        ancestry: &NoAncestry,
        accept_suspended,
    };
    // Its own last operation may have failed at another commit long ago; what counts for
    // those who need it is that it is compared and healthy now.
    app.comparison_error().is_none()
        && matches!(app.status.sync.status.as_str(), "Synced" | "OutOfSync")
        && wanted.is_healthy(&app.status.health.status)
}

fn health(app: &Application) -> String {
    match app.status.health.status.as_str() {
        "" => "Unknown".into(),
        status => status.into(),
    }
}

/// A retry wait is phase Running with `finishedAt`; only a last phase is an end.
fn is_over(state: &OperationState) -> bool {
    matches!(state.phase.as_str(), "Succeeded" | "Failed" | "Error")
}

fn running(state: &OperationState, ours: bool) -> Verdict {
    Verdict::Running {
        ours,
        terminating: state.phase == "Terminating",
        window: state.message.contains("blocked by sync window"),
        message: super::fault::short(&state.message),
    }
}

/// Returns true for a whole SHA-1 or SHA-256 in lower case.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns true if the server's spec says all that ours says, and takes its manifests from
/// exactly our sources. Zero values do not count: Go leaves them out. More keys than ours
/// are allowed outside the sources, for defaults that a webhook may add.
pub fn spec_holds(ours: &Value, theirs: &Value) -> bool {
    let (ours, theirs) = (without_zeros(ours), without_zeros(theirs));
    let same = |key: &str| ours.get(key) == theirs.get(key);
    same("source") && same("sources") && same("sourceHydrator") && contains(&theirs, &ours, 0)
}

fn contains(whole: &Value, part: &Value, depth: usize) -> bool {
    match (whole, part) {
        // Deeper than any Application: compare as it stands.
        _ if depth > 32 => whole == part,
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(k, p)| whole.get(k).is_some_and(|w| contains(w, p, depth + 1)))
        }
        _ => whole == part,
    }
}

fn without_zeros(value: &Value) -> Value {
    fn is_zero(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(b) => !b,
            Value::String(s) => s.is_empty(),
            Value::Number(n) => n.as_f64() == Some(0.0),
            Value::Array(a) => a.is_empty(),
            Value::Object(o) => o.is_empty(),
        }
    }
    fn strip(value: &Value, depth: usize) -> Value {
        match value {
            Value::Object(map) if depth < 32 => map
                .iter()
                .map(|(k, v)| (k.clone(), strip(v, depth + 1)))
                .filter(|(_, v)| !is_zero(v))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Array(items) if depth < 32 => items.iter().map(|v| strip(v, depth + 1)).collect(),
            other => other.clone(),
        }
    }
    strip(value, 0)
}
