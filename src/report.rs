//! What happened in a run: as text for people, as JSON for monitoring, as an exit code.

use crate::commands::sync::SyncReport;
use crate::error::{Error, ErrorKind, Severity, Violation};
use crate::model::id::{ClusterId, Domain};
use crate::model::target::ClusterChange;
use crate::redact::redact;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The version of the JSON form.
const SCHEMA: u32 = 1;

/// What became of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its change landed.
    Delivered,
    /// Its change waits in a merge request.
    Proposed,
    /// It differs from the branch; nothing was written (`render`).
    Differs,
    /// The branch already has it.
    Unchanged,
    /// The branch has what a newer commit of the fleet gave.
    Newer,
    /// It keeps what the branch has: something of it is wrong.
    Held,
    /// A guard refused.
    Refused,
}

/// One cluster in a report.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterReport {
    /// Its environment.
    pub env: String,
    /// Its name.
    pub cluster: String,
    /// What became of it.
    pub status: Status,
    /// Files added.
    pub added: usize,
    /// Files changed.
    pub changed: usize,
    /// Files removed.
    pub removed: usize,
}

/// One destination in a report.
#[derive(Clone, Debug, Serialize)]
pub struct DestinationReport {
    /// The repository, without credentials.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The commit that the branch has now.
    pub commit: Option<String>,
    /// Whether that commit is ours of this run.
    pub pushed: bool,
    /// How often the change was made.
    pub tries: u32,
    /// Whether the repository was created.
    pub created: bool,
    /// What became of its merge request, where changes are proposed.
    pub request: Option<RequestReport>,
}

/// A merge request in a report.
#[derive(Clone, Debug, Serialize)]
pub struct RequestReport {
    /// Where it is, and what this run did to it.
    pub state: RequestState,
    /// Its address; none where there is none.
    pub url: Option<String>,
    /// Its number.
    pub number: Option<u64>,
    /// The branch with the proposal.
    pub branch: String,
    /// The newest commit of the proposal.
    pub commit: Option<String>,
}

impl RequestReport {
    /// Returns the report of an environment that has nothing to propose.
    pub fn none(env: &str) -> Self {
        Self {
            state: RequestState::None,
            url: None,
            number: None,
            branch: proposal_branch(env),
            commit: None,
        }
    }
}

/// Returns the branch on which the changes of an environment are proposed.
pub fn proposal_branch(env: &str) -> String {
    format!("hydrant/{env}")
}

/// Where a merge request is, and what a run did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestState {
    /// Nothing differs from the target: there is none.
    None,
    /// It was opened.
    Opened,
    /// It was open, and has a newer proposal now.
    Updated,
    /// It was open and stays as it is.
    Open,
    /// A person closed it without merging; what it proposed is not proposed again.
    Closed,
    /// Nothing differs from the target any more: it was closed by us.
    Withdrawn,
    /// Somebody else works on its branch.
    Foreign,
    /// The forge could not be asked, or did not take it.
    Unknown,
}

/// Something held, with its reasons.
#[derive(Clone, Debug, Serialize)]
pub struct HeldReport {
    /// What is held; none for problems of files whose identity is unknown.
    pub domain: Option<String>,
    /// Whether a guard refused it.
    pub guard: bool,
    /// Why.
    pub why: Vec<Said>,
}

/// A message in a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Said {
    /// `error`, `warning` or `notice`.
    pub severity: Cow<'static, str>,
    /// Where, as file:line:column.
    pub at: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The mend.
    pub hint: Option<String>,
}

impl From<&Violation> for Said {
    fn from(v: &Violation) -> Self {
        Self {
            severity: v.severity.word().into(),
            at: v.at.as_ref().map(ToString::to_string),
            key: v.key.as_deref().map(|key| redact(key).into_owned()),
            message: redact(&v.message).into_owned(),
            hint: v.hint.as_deref().map(|hint| redact(hint).into_owned()),
        }
    }
}

/// What happened in a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The version of this form.
    pub schema: u32,
    /// The fleet's name.
    pub fleet: String,
    /// The exit code.
    pub exit: u8,
    /// How many units were rendered.
    pub units: usize,
    /// The clusters.
    pub clusters: Vec<ClusterReport>,
    /// The destinations.
    pub destinations: Vec<DestinationReport>,
    /// What is held.
    pub held: Vec<HeldReport>,
    /// Warnings and notices.
    pub notices: Vec<Said>,
    /// Errors of destinations.
    pub errors: Vec<String>,
    /// What became of the Applications, one a destination.
    pub syncs: Vec<SyncReport>,
    /// The notices that follow from the inputs alone, and come again each run.
    #[serde(skip)]
    pub lasting: Vec<Said>,
    /// True if something has to be said again next time although nothing failed: an edit by
    /// hand that stays, a cluster that was left alone.
    #[serde(skip)]
    pub unfinished: bool,
    /// The trees that delivered clusters have.
    #[serde(skip)]
    pub trees: Vec<crate::edge::clean::CleanCluster>,
    /// The kinds of those errors.
    #[serde(skip)]
    pub kinds: Vec<ErrorKind>,
}

impl Report {
    /// Starts the report of a fleet.
    pub fn new(fleet: &str) -> Self {
        Self { schema: SCHEMA, fleet: fleet.to_owned(), ..Self::default() }
    }

    /// Adds a cluster.
    pub fn cluster(&mut self, id: &ClusterId, status: Status, change: &ClusterChange) {
        self.clusters.push(ClusterReport {
            env: id.env.clone(),
            cluster: id.name.clone(),
            status,
            added: change.added,
            changed: change.changed,
            removed: change.removed,
        });
    }

    /// Adds what is held.
    pub fn hold(&mut self, domain: Option<&Domain>, why: &[Violation]) {
        let guard = why.iter().any(|v| v.guard);
        let domain = domain.map(ToString::to_string);
        self.held.push(HeldReport { domain, guard, why: why.iter().map(Said::from).collect() });
    }

    /// Adds a unit that keeps what the branch has.
    pub fn hold_unit(&mut self, unit: &str, why: &[Violation]) {
        let why = why.iter().map(Said::from).collect();
        self.held.push(HeldReport { domain: Some(unit.to_owned()), guard: false, why });
    }

    /// Adds the error of a destination.
    pub fn error(&mut self, error: &Error) {
        self.errors.push(redact(&error.message).into_owned());
        self.kinds.push(error.kind);
    }

    /// Returns the exit code of a run that delivers: the highest of 70 > 4 > 3 > 5 > 2 > 0 wins.
    pub fn delivery_code(&self) -> u8 {
        worst(self.syncs.iter().map(|s| s.exit).chain([self.own_code()]))
    }

    /// Returns what outranks anything about the inputs: a bug, a guard, the outside.
    fn outranks(&self) -> Option<ErrorKind> {
        let guarded = self.held.iter().any(|h| h.guard);
        [ErrorKind::Internal, ErrorKind::Guard, ErrorKind::External]
            .into_iter()
            .find(|kind| self.kinds.contains(kind) || (*kind == ErrorKind::Guard && guarded))
    }

    fn own_code(&self) -> u8 {
        if let Some(kind) = self.outranks() {
            return kind.exit_code();
        }
        if self.held.is_empty() && self.kinds.is_empty() {
            return 0;
        }
        let any_fine = self.clusters.iter().any(|c| {
            matches!(c.status, Status::Delivered | Status::Proposed | Status::Unchanged | Status::Newer)
        });
        if any_fine || self.kinds.contains(&ErrorKind::Partial) {
            ErrorKind::Partial.exit_code()
        } else {
            ErrorKind::Input.exit_code()
        }
    }

    /// Returns the exit code of a command that only looks: any error is the input's.
    pub fn inspection_code(&self, differences: bool) -> u8 {
        if let Some(kind) = self.outranks() {
            return kind.exit_code();
        }
        if !self.held.is_empty() || !self.kinds.is_empty() {
            return ErrorKind::Input.exit_code();
        }
        u8::from(differences)
    }

    /// Prints it as JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns how many violations of each severity it holds.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for said in self.held.iter().flat_map(|h| &h.why).chain(&self.notices) {
            *counts.entry(&*said.severity).or_default() += 1;
        }
        counts
    }
}

/// Returns the exit code that wins: 70 > 4 > 3 > 5 > 2 > 1 > 0 (`DESIGN.md`, Commands).
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: &u8| [0, 1, 2, 5, 3, 4, 70].iter().position(|c| c == code);
    codes.into_iter().max_by_key(rank).unwrap_or(0)
}

/// Returns the violations that are worth a line of their own, errors first.
pub fn ordered(mut found: Vec<Violation>) -> Vec<Violation> {
    found.sort_by(|a, b| {
        let rank = |v: &Violation| match v.severity {
            Severity::Error => 0,
            Severity::Warning => 1,
            Severity::Notice => 2,
        };
        rank(a).cmp(&rank(b)).then_with(|| a.at.cmp(&b.at)).then_with(|| a.cmp(b))
    });
    found.dedup();
    found
}
