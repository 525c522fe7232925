//! [`TargetState`] × base tree → [`ChangeSet`]: what has to change on one destination.
//!
//! Cheap to repeat: a lost race diffs again on the new head and renders nothing. What is
//! held keeps what the base has; the index files are written from the final tree.

mod base;
mod budget;
mod departed;
mod foreign;
mod index;
mod moved;

pub use base::{BaseCluster, subject_of};
pub use budget::AllowDelete;
pub use foreign::{Drift, Settlement, wanted};

use super::units::Selection;
use crate::error::{Error, Result, Violation, Violations};
use crate::model::fleet::{Destination, MayDelete, Scope};
use crate::model::id::{ClusterId, Domain, SubjectId};
use crate::model::mark::{self, Mark};
use crate::model::target::{ChangeSet, ClusterChange, ClusterTarget, Refusal, TargetState};
use crate::model::tree::{BaseTree, Edit, ObjectId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a diff needs to know besides the target and the base.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The fleet's name, as in the marks.
    pub fleet: &'a str,
    /// The folder that holds all output; empty for the root.
    pub path: &'a str,
    /// What the run is about.
    pub pick: &'a Selection,
    /// The environments that the destination is about.
    pub scope: Scope<'a>,
    /// Which kinds may be deleted because they are not in the fleet.
    pub may_delete: MayDelete,
    /// Names of clusters that have a file in the fleet.
    pub known_clusters: &'a [String],
    /// Ids of clusters that have a file in the fleet and could be read.
    pub known_ids: &'a [ClusterId],
    /// Deletions that a person allowed.
    pub allow_delete: &'a AllowDelete,
    /// Folders without our mark that a person gave to us: `<env>/<cluster>`.
    pub adopt: &'a [String],
    /// Rollbacks that a person ends: `<env>/<cluster>` or `<env>/<cluster>/<unit path>`.
    pub release: &'a [String],
    /// What others did on this base since our last commit, where it is known.
    pub settlement: Option<&'a Settlement<'a>>,
}

/// The final files of one cluster's folder: by path inside it, with their Git ids and, where
/// they are new, their bytes.
pub(crate) type Files = BTreeMap<String, (ObjectId, Option<Arc<[u8]>>)>;

/// Compares the target with one base.
///
/// # Errors
/// A base that cannot be read. Refusals are values in the result.
pub fn diff(
    target: &TargetState,
    to: &Destination,
    base: &dyn BaseTree,
    rules: &Rules<'_>,
) -> Result<ChangeSet> {
    let mut changes = ChangeSet::default();
    for (id, cluster) in target.clusters.iter().filter(|(id, _)| target.homes.get(*id) == Some(to)) {
        if target.holds(id, &SubjectId::Cluster) {
            continue;
        }
        one_cluster(id, cluster, target, base, rules, &mut changes)?;
    }
    if rules.pick.judges_departures() {
        departed::judge(base, rules, &mut changes)?;
    }
    put_back(target, rules, &mut changes)?;
    changes.edits.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(changes)
}

/// Puts back what drifted where this run writes nothing: in held units and outside the selection.
fn put_back(target: &TargetState, rules: &Rules<'_>, changes: &mut ChangeSet) -> Result<()> {
    let Some(settlement) = rules.settlement else { return Ok(()) };
    let folders: BTreeSet<String> = rules.known_ids.iter().map(|id| folder_of(rules.path, id)).collect();
    let written = |unit: &str| {
        changes.clusters.keys().any(|id| {
            let inside =
                unit.strip_prefix(&folder_of(rules.path, id)).and_then(|rest| rest.strip_prefix('/'));
            inside.is_some_and(|place| {
                let subject = subject_of(place).unwrap_or(SubjectId::Cluster);
                rules.pick.takes_subject(&subject) && !target.holds(id, &subject)
            })
        })
    };
    let edits = foreign::put_back(settlement, &written, &folders)?;
    let taken: BTreeSet<String> = changes.edits.iter().map(|e| e.path().to_owned()).collect();
    changes.edits.extend(edits.into_iter().filter(|e| !taken.contains(e.path())));
    Ok(())
}

/// Returns the folder of a cluster from the repository's root.
pub fn folder_of(path: &str, id: &ClusterId) -> String {
    if path.is_empty() { format!("{}/{}", id.env, id.name) } else { format!("{path}/{}/{}", id.env, id.name) }
}

fn one_cluster(
    id: &ClusterId,
    cluster: &ClusterTarget,
    target: &TargetState,
    base: &dyn BaseTree,
    rules: &Rules<'_>,
    changes: &mut ChangeSet,
) -> Result<()> {
    let folder = folder_of(rules.path, id);
    let domain = Domain::cluster(id.clone());
    let mark = match owned(id, &folder, base, rules)? {
        Ok(mark) => mark,
        Err(why) => {
            changes.refused.push(Refusal { domain, why: vec![why] });
            return Ok(());
        }
    };
    let before = BaseCluster::read(base, &folder)?;
    let undecided = |place: &str| {
        let subject = subject_of(&format!("{place}/x")).or_else(|| subject_of(place));
        subject.is_some_and(|s| !rules.pick.takes_subject(&s) || target.holds(id, &s))
    };
    let prefix = id.to_string();
    let released = |place: &str| {
        rules.release.iter().any(|r| *r == prefix || r.strip_prefix(&prefix) == Some(&format!("/{place}")))
    };
    let held_places = held_in(&folder, &mark, rules.settlement);
    let honoured = foreign::Honoured::of(&held_places, cluster, &undecided, &released);
    let mark = Mark {
        held: honoured.places.iter().map(|(p, id)| (p.clone(), id.map(|i| i.to_string()))).collect(),
        ..mark
    };
    changes.rolled_back.extend(honoured.rolled_back(id, &folder, rules.settlement));
    let mut kept: BTreeSet<SubjectId> = held_subjects(id, target, &before);
    // A refusal of the budget holds its domain; the rest is looked at again without it.
    let files = loop {
        let mut files = final_files(cluster, &before, &kept, rules);
        honoured.apply(&mut files, &before);
        let mut refused = budget::check(id, cluster, &before, &files, base, rules)?;
        refused.extend(moved::check(id, cluster, &before, &files));
        let fresh: Vec<Refusal> = refused.into_iter().filter(|r| !kept.contains(&r.domain.subject)).collect();
        if fresh.is_empty() {
            break files;
        }
        for refusal in fresh {
            kept.insert(refusal.domain.subject.clone());
            changes.refused.push(refusal);
        }
        if kept.contains(&SubjectId::Cluster) {
            return Ok(());
        }
    };
    let files = index::add(files, cluster, &mark);
    let change = compare(&folder, &before, &files, &mut changes.edits);
    changes.clusters.insert(id.clone(), change);
    Ok(())
}

/// Returns what is held in one cluster's folder, by place: as settled, or as the mark says
/// where nothing could be settled.
fn held_in(
    folder: &str,
    mark: &Mark,
    settlement: Option<&Settlement<'_>>,
) -> BTreeMap<String, Option<ObjectId>> {
    match settlement {
        Some(settlement) => settlement
            .held
            .iter()
            .filter_map(|(unit, id)| Some((unit.strip_prefix(folder)?.strip_prefix('/')?.to_owned(), *id)))
            .collect(),
        None => {
            let parsed = |text: &Option<String>| text.as_deref().and_then(|t| t.parse().ok());
            mark.held.iter().map(|(place, id)| (place.clone(), parsed(id))).collect()
        }
    }
}

/// Returns the mark that the folder will have, or why it is not ours to write.
fn owned(
    id: &ClusterId,
    folder: &str,
    base: &dyn BaseTree,
    rules: &Rules<'_>,
) -> Result<std::result::Result<Mark, Violation>> {
    let fresh = Mark::new(id, rules.fleet);
    let refuse = |message: String| {
        Ok(Err(Violation::error(message)
            .hint(format!("if the folder is yours to give, run once with --adopt {id}"))
            .guard()))
    };
    if let Some(blocked) = blocked(folder, base)? {
        return Ok(Err(Violation::error(blocked).guard()));
    }
    if base.entries(folder)?.is_none() {
        return Ok(Ok(fresh));
    }
    let found = match base.entry(&format!("{folder}/{}", mark::FILE))? {
        Some(entry) if entry.kind.is_file() => Mark::read(&base.blob(&entry.id)?),
        _ => None,
    };
    let adopted = rules.adopt.iter().any(|a| *a == id.to_string());
    match found {
        Some(mark) if mark.fleet == rules.fleet && mark.cluster == id.name && mark.env == id.env => {
            Ok(Ok(Mark { held: mark.held, ..fresh }))
        }
        _ if adopted => Ok(Ok(fresh)),
        Some(mark) => refuse(format!(
            "the folder `{folder}` bears the mark of the fleet `{}` for {}/{}",
            mark.fleet, mark.env, mark.cluster
        )),
        None => refuse(format!("the folder `{folder}` exists and bears no mark of Hydrant")),
    }
}

/// Returns what stands in the way of a folder: a file, link or submodule on its path.
fn blocked(folder: &str, base: &dyn BaseTree) -> Result<Option<String>> {
    let parts: Vec<&str> = folder.split('/').collect();
    for n in 1..=parts.len() {
        let path = parts[..n].join("/");
        if let Some(entry) = base.entry(&path)?
            && entry.kind != crate::model::tree::EntryKind::Tree
        {
            return Ok(Some(format!("`{path}` is {} where a folder is needed", entry.kind.words())));
        }
    }
    Ok(None)
}

/// Returns the subjects of a cluster whose files stay: held ones, in the target or only in the base.
fn held_subjects(id: &ClusterId, target: &TargetState, before: &BaseCluster) -> BTreeSet<SubjectId> {
    let mut held: BTreeSet<SubjectId> =
        before.subjects().filter(|s| **s != SubjectId::Cluster && target.holds(id, s)).cloned().collect();
    held.extend(target.held.keys().filter(|d| d.cluster == *id).map(|d| d.subject.clone()));
    held
}

/// Returns the files of all units: the target's, and the base's where something is kept.
fn final_files(
    cluster: &ClusterTarget,
    before: &BaseCluster,
    kept: &BTreeSet<SubjectId>,
    rules: &Rules<'_>,
) -> Files {
    let mut files = Files::new();
    for (_, hydrated) in cluster.units.values().filter(|(unit, _)| !kept.contains(&unit.subject)) {
        for file in &hydrated.files {
            files.insert(file.path.clone(), (file.id, Some(file.bytes.clone())));
        }
    }
    let wanted: BTreeSet<&SubjectId> = cluster.units.values().map(|(unit, _)| &unit.subject).collect();
    for (path, entry) in &before.files {
        let Some(subject) = before.subject_of(path) else { continue };
        let stays = kept.contains(subject)
            || !rules.pick.takes_subject(subject)
            || (!may_delete(subject, rules) && !wanted.contains(subject));
        if stays {
            files.insert(path.clone(), (entry.id, None));
        }
    }
    files
}

fn may_delete(subject: &SubjectId, rules: &Rules<'_>) -> bool {
    match subject {
        SubjectId::Cluster => true,
        SubjectId::Organization(_) => rules.may_delete.organizations,
        SubjectId::Tenant { .. } => rules.may_delete.tenants,
        SubjectId::KnowledgeBase(_) => rules.may_delete.knowledge_bases,
    }
}

/// Turns the difference between two states of a folder into edits.
fn compare(folder: &str, before: &BaseCluster, files: &Files, edits: &mut Vec<Edit>) -> ClusterChange {
    let mut change = ClusterChange::default();
    let mut units = BTreeSet::new();
    let mut touched = |path: &str| {
        units.insert(before.place_of(path).unwrap_or_else(|| index::place_in(files, path)));
    };
    for (path, (id, bytes)) in files {
        let same = before
            .files
            .get(path)
            .is_some_and(|e| e.id == *id && e.kind == crate::model::tree::EntryKind::File);
        let Some(bytes) = bytes.as_ref().filter(|_| !same) else { continue };
        match before.files.contains_key(path) {
            true => change.changed += 1,
            false => change.added += 1,
        }
        touched(path);
        edits.push(Edit::Put { path: format!("{folder}/{path}"), bytes: bytes.clone() });
    }
    for path in before.files.keys().filter(|path| !files.contains_key(*path)) {
        change.removed += 1;
        touched(path);
        edits.push(Edit::Delete { path: format!("{folder}/{path}") });
    }
    change.units = units.into_iter().collect();
    change
}

/// Returns the error of a base that holds something we cannot read.
pub(crate) fn unreadable(path: &str, why: &str) -> Error {
    Error::guard(format!("nothing was written: `{path}` in the repository {why}"))
}

/// Returns what guards refused, as violations.
pub fn refusals(changes: &ChangeSet) -> Violations {
    changes.refused.iter().flat_map(|r| r.why.iter().cloned()).collect()
}
