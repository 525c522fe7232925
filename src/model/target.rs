//! What should stand in the repositories, and what has to change for it.

use super::fleet::Destination;
use super::id::{ClusterId, Domain, SubjectId};
use super::lot::Lot;
use super::tree::Edit;
use super::unit::Hydrated;
use crate::error::{Result, Violations};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What should stand in one cluster's folder.
#[derive(Debug, Default)]
pub struct ClusterTarget {
    /// The units by the subject they serve.
    pub lots: BTreeMap<SubjectId, Lot>,
    /// The root Application's bytes.
    pub root: Vec<u8>,
    /// The layers' Applications by file name (`platform-apps.yaml`).
    pub layers: Vec<(String, Vec<u8>)>,
}

impl ClusterTarget {
    /// Returns how many units it has.
    pub fn units(&self) -> usize {
        self.lots.values().map(|lot| lot.summary.parts.len()).sum()
    }

    /// Returns true if a unit lies at a place.
    pub fn has_place(&self, place: &str) -> bool {
        self.lot_at(place).is_some_and(|lot| lot.ids().any(|id| id.place() == place))
    }

    /// Returns the unit at a place.
    ///
    /// # Errors
    /// A memo that is damaged.
    pub fn unit_at(&self, place: &str) -> Result<Option<Arc<Hydrated>>> {
        let Some(lot) = self.lot_at(place) else { return Ok(None) };
        let units = lot.units()?;
        Ok(units.iter().find(|(id, _)| id.place() == place).map(|(_, hydrated)| hydrated.clone()))
    }

    fn lot_at(&self, place: &str) -> Option<&Lot> {
        self.lots.get(&SubjectId::of_place(place)?)
    }
}

/// What should stand everywhere.
#[derive(Debug, Default)]
pub struct TargetState {
    /// The selected clusters by destination.
    pub homes: BTreeMap<ClusterId, Destination>,
    /// What should stand in each.
    pub clusters: BTreeMap<ClusterId, ClusterTarget>,
    /// What is held, and why: its paths keep what the branch has.
    pub held: BTreeMap<Domain, Violations>,
    /// Warnings and notices of units.
    pub notices: Violations,
}

impl TargetState {
    /// Returns true if a subject on a cluster is held.
    pub fn holds(&self, cluster: &ClusterId, subject: &SubjectId) -> bool {
        super::fleet::holds(&self.held, cluster, subject)
    }
}

/// What changes in one cluster's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterChange {
    /// Files that are new.
    pub added: usize,
    /// Files whose content changes.
    pub changed: usize,
    /// Files that go.
    pub removed: usize,
    /// Units with a change, by place.
    pub units: Vec<String>,
}

impl ClusterChange {
    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added + self.changed + self.removed == 0
    }

    /// Returns it in a few words.
    pub fn summary(&self) -> String {
        let parts = [(self.added, "added"), (self.changed, "changed"), (self.removed, "removed")];
        let said: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        if said.is_empty() { "no change".into() } else { format!("{} file(s)", said.join(", ")) }
    }
}

/// A refusal of a guard: what is held because of it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What keeps its files.
    pub domain: Domain,
    /// Why, and how a person allows it.
    pub why: Violations,
}

/// A unit that keeps what a person put on the branch.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its place.
    pub place: String,
    /// Who put it there, if this run saw the commit.
    pub by: Option<crate::stage::settle::By>,
    /// True for an edit that only stays because drift is to be reported, not put back.
    pub drift: bool,
    /// True if this run saw it for the first time.
    pub fresh: bool,
}

/// What changes on one destination, compared with one base.
#[derive(Debug, Default)]
pub struct ChangeSet {
    /// The edits, in path order, each path once.
    pub edits: Vec<Edit>,
    /// By cluster.
    pub clusters: BTreeMap<ClusterId, ClusterChange>,
    /// What guards refused.
    pub refused: Vec<Refusal>,
    /// What keeps a person's content.
    pub rolled_back: Vec<RolledBack>,
    /// True if nothing was compared: the branch has what newer inputs gave.
    pub left_alone: bool,
}
