//! What others did under our marks, as a diff takes it into account: rollbacks are honoured,
//! drift is put back or kept (`DESIGN.md`, Delivery).

use super::{BaseCluster, Files};
use crate::error::Result;
use crate::model::id::ClusterId;
use crate::model::target::{ClusterTarget, RolledBack};
use crate::model::tree::{BaseTree, Edit, ObjectId, folder_id};
use crate::stage::settle::{Held, Settled, Verdict, restore};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Drift {
    /// What our last commit had is put back
    #[default]
    Restore,
    /// It stays, and each run says so
    Report,
    /// The run is refused
    Fail,
}

/// A branch's foreign commits, settled.
pub struct Settlement<'a> {
    /// What the marks hold once they are settled, by unit path from the repository's root.
    pub held: Held,
    /// The verdicts.
    pub settled: &'a Settled,
    /// The tree of our last commit.
    pub ours: &'a dyn BaseTree,
}

/// Which places of a cluster keep what the base has because a person put it there.
#[derive(Debug, Default)]
pub struct Honoured {
    /// By place: the id of the content that was refused.
    pub places: BTreeMap<String, Option<ObjectId>>,
}

impl Honoured {
    /// Decides for each held place of a cluster: it stays while what we would write there is
    /// exactly what was refused, and while nothing can be said about what we would write.
    ///
    /// # Errors
    /// A memo that is damaged.
    pub fn of(
        held: &BTreeMap<String, Option<ObjectId>>,
        cluster: &ClusterTarget,
        undecided: &dyn Fn(&str) -> bool,
        released: &dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (place, refused) in held.iter().filter(|(place, _)| !released(place)) {
            if undecided(place) || wanted(cluster, place)? == *refused {
                places.insert(place.clone(), *refused);
            }
        }
        Ok(Self { places })
    }

    /// Returns true if the file at a path keeps what the base has.
    pub fn keeps(&self, path: &str) -> bool {
        let above = path.match_indices('/').map(|(i, _)| &path[..i]);
        self.places.contains_key(path) || above.into_iter().any(|p| self.places.contains_key(p))
    }

    /// Replaces the files of kept places by those of the base.
    pub fn apply(&self, files: &mut Files, before: &BaseCluster) {
        if self.places.is_empty() {
            return;
        }
        files.retain(|path, _| !self.keeps(path));
        for (path, entry) in before.files.iter().filter(|(path, _)| self.keeps(path)) {
            files.insert(path.clone(), (entry.id, None));
        }
    }

    /// Returns what to tell people.
    pub fn rolled_back(
        &self,
        cluster: &ClusterId,
        folder: &str,
        settlement: Option<&Settlement<'_>>,
    ) -> Vec<RolledBack> {
        let told = |place: &String| {
            let settled = settlement.and_then(|s| s.settled.units.get(&format!("{folder}/{place}")));
            RolledBack {
                cluster: cluster.clone(),
                place: place.clone(),
                by: settled.and_then(|s| s.by.clone()),
                drift: settled.is_some_and(|s| matches!(s.verdict, Verdict::Drift { .. })),
                fresh: settled.is_some(),
            }
        };
        self.places.keys().map(told).collect()
    }
}

/// Returns the id of what we would write at a place; none for nothing.
///
/// # Errors
/// A memo that is damaged.
pub fn wanted(cluster: &ClusterTarget, place: &str) -> Result<Option<ObjectId>> {
    let Some(hydrated) = cluster.unit_at(place)? else { return Ok(None) };
    Ok(match hydrated.files.as_slice() {
        [file] if file.path == place => Some(file.id),
        files => folder_id(files.iter().filter_map(|f| {
            let inside = f.path.strip_prefix(place)?.strip_prefix('/')?;
            Some((inside, f.id))
        })),
    })
}

/// Returns the edits that put back what drifted in units that this run does not write.
///
/// # Errors
/// A tree that cannot be read.
pub fn put_back(
    settlement: &Settlement<'_>,
    written: &dyn Fn(&str) -> bool,
    folders: &BTreeSet<String>,
) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for (unit, one) in &settlement.settled.units {
        let ours =
            folders.iter().any(|f| unit.strip_prefix(f.as_str()).is_some_and(|rest| rest.starts_with('/')));
        let drifted = matches!(one.verdict, Verdict::Drift { .. });
        if drifted && ours && !written(unit) && !settlement.held.contains_key(unit) {
            edits.extend(restore(one, settlement.ours)?);
        }
    }
    Ok(edits)
}
