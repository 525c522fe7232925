//! What came of following a branch, as it is noted in the record.

use super::name_of;
use crate::audit::AuditRecord;
use crate::commands::sync::SyncReport;
use crate::edge::git::{Note, Noted, Repository, Signature};
use crate::model::id::ClusterId;
use crate::model::sync::SyncOutcome;
use crate::model::tree::ObjectId;
use crate::record::{Followed, Found, Outcomes, Record};
use crate::stage::apps::Applied;
use std::collections::BTreeMap;

/// How much of a branch a run looked at.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The clusters it looked at; true where it knew all Applications of one.
    pub clusters: BTreeMap<ClusterId, bool>,
    /// True if these are all clusters of the branch.
    pub all: bool,
}

/// What came of following a branch to a commit.
pub struct Outcome<'a> {
    /// The line of the record that it belongs to.
    pub line: &'a str,
    /// The commit.
    pub commit: ObjectId,
    /// What the run looked at.
    pub reach: &'a Reach,
    /// What was known before, for a record that does not tell.
    pub before: Option<&'a Followed>,
    /// What was synced; none if nothing was owed.
    pub report: Option<&'a SyncReport>,
}

impl Outcome<'_> {
    /// Notes it in what was known.
    pub fn add_to(&self, followed: &mut Followed) {
        let mut by_cluster: BTreeMap<ClusterId, Outcomes> = BTreeMap::new();
        for outcome in self.report.iter().flat_map(|report| &report.outcomes) {
            let cluster = ClusterId { env: outcome.env.clone(), name: outcome.cluster.clone() };
            let name = format!("{}/{}", outcome.namespace, outcome.app);
            by_cluster.entry(cluster).or_default().insert(name, outcome.result.is_settled());
        }
        for (cluster, whole) in &self.reach.clusters {
            let outcomes = by_cluster.remove(cluster).unwrap_or_default();
            followed.note(&cluster.to_string(), &self.commit, *whole, &outcomes);
        }
        if self.reach.all {
            let all: Vec<String> = self.reach.clusters.keys().map(ToString::to_string).collect();
            followed.compact(&all, &self.commit);
        }
    }

    /// Writes it into the record of a commit of ours. `blank` is the record of a commit that
    /// has none. Nothing is written if the record would say the same as before.
    pub fn write(
        &self,
        repository: &mut Repository,
        on: ObjectId,
        who: &Signature,
        blank: &Record,
        outlived: &dyn Fn(&[Note]) -> Vec<ObjectId>,
    ) -> Noted {
        repository.note_later(on, who, outlived, &|there| self.update(there, blank))
    }

    fn update(&self, there: Option<&[u8]>, blank: &Record) -> Option<Vec<u8>> {
        let mut record = match there.map(Record::read) {
            Some(Found::Record(record)) if record.fleet == blank.fleet => *record,
            Some(Found::Newer) => return None,
            _ => blank.clone(),
        };
        let before = record.followed.get(self.line).cloned();
        let mut followed = before.clone().or_else(|| self.before.cloned()).unwrap_or_default();
        self.add_to(&mut followed);
        let told = self.report.is_none_or(|report| says_the_same(&record.trail, &report.outcomes));
        if there.is_some() && told && before.as_ref() == Some(&followed) {
            return None;
        }
        record.followed.insert(self.line.to_owned(), followed);
        record.trail.extend(self.report.iter().flat_map(|report| report.audit.iter().cloned()));
        Some(record.bytes())
    }
}

/// Returns true if the trail's last word on each Application is what came of it now: a run
/// that meets the same failure every few minutes shall not write every few minutes.
fn says_the_same(trail: &[AuditRecord], outcomes: &[SyncOutcome]) -> bool {
    outcomes.iter().all(|outcome| {
        let last = trail.iter().rev().find(|line| {
            line.event == "outcome"
                && line.application == outcome.app
                && line.namespace == outcome.namespace
                && line.cluster == outcome.cluster
        });
        // A chart has no commit of its own to reach.
        let same = |line: &&AuditRecord| outcome.wanted.is_empty() || line.revision == outcome.wanted;
        last.filter(same).is_some_and(|line| line.result == outcome.result.word())
    })
}

impl Reach {
    /// Returns the reach of a run over these Applications; each cluster counts as known as a
    /// whole only if `whole` says so.
    pub fn over(all: &[Applied], whole: impl Fn(&ClusterId) -> bool, every: bool) -> Self {
        let clusters = all.iter().map(|applied| (applied.cluster.clone(), whole(&applied.cluster)));
        Self { clusters: clusters.collect(), all: every }
    }
}

/// Returns true if all Applications are known to be followed to a commit.
pub fn all_at(followed: &Followed, all: &[Applied], commit: &ObjectId) -> bool {
    let base = |applied: &Applied| followed.base(&applied.cluster.to_string(), &name_of(&applied.app));
    all.iter().all(|applied| base(applied) == crate::record::Base::At(*commit))
}
