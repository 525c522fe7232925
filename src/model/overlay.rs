//! Overlays as the line sees them: compiled once, applied to unit after unit.

use crate::error::Origin;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One kustomization in a unit's chain.
#[derive(Debug)]
pub struct Step {
    /// Its folder as people name it.
    pub shown: Arc<str>,
    /// Whether it is one of ours; those never complain.
    pub builtin: bool,
    /// Names it in [`Matches`]: the same for the same folder and content in every run.
    pub name: u64,
    /// Of every byte that went into it.
    pub digest: blake3::Hash,
    /// The compiled kustomization.
    pub overlay: crate::kustomize::Overlay,
}

/// Which entries of which steps (by [`Step::name`]) found something in a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches(pub BTreeSet<(u64, usize)>);

impl Matches {
    /// Adds what another unit matched.
    pub fn join(&mut self, other: &Matches) {
        self.0.extend(other.0.iter().copied());
    }
}

/// An entry that found nothing in any unit.
#[derive(Clone, Debug)]
pub struct Unmatched {
    /// Where it stands.
    pub at: Origin,
    /// What it is, in a few words.
    pub what: String,
}

impl Step {
    /// Returns the entries that are not in a set of matches.
    pub fn unmatched(&self, matched: &Matches) -> Vec<Unmatched> {
        let entries = self.overlay.entries().iter().enumerate();
        entries
            .filter(|(n, _)| !matched.0.contains(&(self.name, *n)))
            .map(|(_, entry)| Unmatched { at: entry.origin.clone(), what: entry.what.clone() })
            .collect()
    }
}
