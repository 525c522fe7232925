//! [`TargetState`] × base tree → [`ChangeSet`]: what has to change on one destination.
//!
//! Cheap to repeat: a lost race diffs again on the new head and renders nothing. What is
//! held keeps what the base has; the index files are written from the final tree. Subjects
//! whose folder has the id that it should have are never opened, on neither side.

mod base;
mod budget;
mod departed;
mod foreign;
mod graft;
mod index;
mod moved;
mod whole;

pub use base::BaseCluster;
pub use budget::AllowDelete;
pub use foreign::{Drift, Settlement, wanted};
#[cfg(test)]
pub(crate) use index::list_components;

use super::units::Selection;
use crate::error::{Error, Result, Violation, Violations};
use crate::model::fleet::{Destination, MayDelete, Scope};
use crate::model::id::{ClusterId, Domain, SubjectId};
use crate::model::lot::Units;
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
    /// Give subjects that are new as one edit each, whose files are read when they are written.
    pub grafts: bool,
}

/// The final files of one cluster's folder: by path inside it, with their Git ids and, where
/// they are new, their bytes.
pub(crate) type Files = BTreeMap<String, (ObjectId, Option<Arc<[u8]>>)>;

/// The units of the lots that have to be looked into.
pub(crate) type Opened = Vec<Arc<Units>>;

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
                let subject = SubjectId::of_path(place).unwrap_or(SubjectId::Cluster);
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
    let undecided = |place: &str| {
        let subject = SubjectId::of_place(place);
        subject.is_some_and(|s| !rules.pick.takes_subject(&s) || target.holds(id, &s))
    };
    let prefix = id.to_string();
    let released = |place: &str| {
        rules.release.iter().any(|r| *r == prefix || r.strip_prefix(&prefix) == Some(&format!("/{place}")))
    };
    let held_places = held_in(&folder, &mark, rules.settlement);
    let honoured = foreign::Honoured::of(&held_places, cluster, &undecided, &released)?;
    let mark = Mark {
        held: honoured.places.iter().map(|(p, id)| (p.clone(), id.map(|i| i.to_string()))).collect(),
        ..mark
    };
    changes.rolled_back.extend(honoured.rolled_back(id, &folder, rules.settlement));
    let Standing { closed, absent, whole } =
        standing((id, cluster), base, &folder, &held_places, target, rules)?;
    let before = BaseCluster::read(base, &folder, &closed, &whole)?;
    let looked_into = |subject: &SubjectId| !closed.contains(subject) && !absent.contains(subject);
    let open = cluster.lots.iter().filter(|(subject, _)| looked_into(subject));
    let units: Opened = open.map(|(_, lot)| lot.units()).collect::<Result<_>>()?;
    let mut kept: BTreeSet<SubjectId> = held_subjects(id, target, &before);
    // A refusal of the budget holds its domain; the rest is looked at again without it.
    let files = loop {
        let mut files = final_files(&units, &before, &kept, rules);
        honoured.apply(&mut files, &before);
        let mut refused = budget::check(id, cluster, &units, &before, &files, base, rules)?;
        refused.extend(moved::check(id, cluster, &closed, &before, &files));
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
    let mut change = compare(&folder, &before, &files, &mut changes.edits);
    let new = absent.iter().filter(|subject| !kept.contains(**subject));
    for lot in new.filter_map(|subject| cluster.lots.get(*subject)) {
        graft::add(lot, &folder, &mut change, &mut changes.edits);
    }
    change.units.sort();
    changes.clusters.insert(id.clone(), change);
    Ok(())
}

/// How subjects stand on a base, as far as their two ids tell.
#[derive(Default)]
struct Standing<'t> {
    /// Those that need not be looked into: their folder and their Application are as they should
    /// be. What they hold is the same before and after.
    closed: BTreeSet<&'t SubjectId>,
    /// Those that are new as a whole.
    absent: BTreeSet<&'t SubjectId>,
    /// The organizations whose tenants are all among the former, with nothing beside them.
    whole: BTreeSet<&'t str>,
}

fn standing<'t>(
    (id, cluster): (&ClusterId, &'t ClusterTarget),
    base: &dyn BaseTree,
    folder: &str,
    held_places: &BTreeMap<String, Option<ObjectId>>,
    target: &TargetState,
    rules: &Rules<'_>,
) -> Result<Standing<'t>> {
    let mut standing = Standing::default();
    // A base without ids of folders says nothing before it is read.
    if !base.has_folder_ids() {
        return Ok(standing);
    }
    let touched: BTreeSet<SubjectId> = held_places.keys().filter_map(|p| SubjectId::of_place(p)).collect();
    let undecided = |subject: &SubjectId| {
        !rules.pick.takes_subject(subject) || touched.contains(subject) || target.holds(id, subject)
    };
    standing.whole = whole::organizations(cluster, base, folder, &undecided)?;
    let roots = BaseCluster::roots(base, folder, &standing.whole)?;
    for (subject, lot) in &cluster.lots {
        if base::is_in(subject, &standing.whole) {
            standing.closed.insert(subject);
            continue;
        }
        let Some(wanted) = lot.summary.folder else { continue };
        if undecided(subject) {
            continue;
        }
        let there = roots.get(subject).copied().unwrap_or_default();
        if there.folder == Some(wanted) && there.application == lot.summary.application {
            standing.closed.insert(subject);
        } else if rules.grafts && there == base::SubjectRoots::default() && lot.summary.application.is_some()
        {
            standing.absent.insert(subject);
        }
    }
    Ok(standing)
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
    let bytes = match base.entry(&format!("{folder}/{}", mark::FILE))? {
        Some(entry) if entry.kind.is_file() => base.blob(&entry.id)?,
        _ => Arc::default(),
    };
    if let Some(schema) = Mark::later(&bytes) {
        return Ok(Err(later(folder, schema)));
    }
    let found = Mark::read(&bytes);
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

fn later(folder: &str, schema: u32) -> Violation {
    let known = mark::SCHEMA;
    Violation::error(format!(
        "the mark of the folder `{folder}` has form {schema}, and this Hydrant ({}) knows {known}",
        env!("CARGO_PKG_VERSION")
    ))
    .hint("a later Hydrant delivers this folder; use at least that version here too")
    .guard()
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
fn final_files(units: &Opened, before: &BaseCluster, kept: &BTreeSet<SubjectId>, rules: &Rules<'_>) -> Files {
    let mut files = Files::new();
    let all = || units.iter().flat_map(|lot| lot.iter());
    for (_, hydrated) in all().filter(|(unit, _)| !kept.contains(&unit.subject)) {
        for file in &hydrated.files {
            files.insert(file.path.clone(), (file.id, Some(file.bytes.clone())));
        }
    }
    let wanted: BTreeSet<&SubjectId> = all().map(|(unit, _)| &unit.subject).collect();
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
