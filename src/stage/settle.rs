//! Settles what other people committed under our marks, by Git alone and unit by unit:
//! a return to a state that a commit of ours left or found is a rollback, all else drift.
//!
//! Nothing here knows what the fleet wants now. It compares trees: that of our last commit,
//! that of the head, and those before and after our earlier commits.

use crate::error::Result;
use crate::model::tree::{BaseTree, Edit, Entry, EntryKind, ObjectId, files_below, join};
use std::collections::{BTreeMap, BTreeSet};

/// For each held unit the id of the content that was refused; `None`: its absence.
pub type Held = BTreeMap<String, Option<ObjectId>>;

/// Who changed something, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The commit.
    pub commit: ObjectId,
    /// Its author, as `name <mail>`.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
}

/// A commit that is not ours, with the trees around it.
pub struct Foreign<'t> {
    /// Who made it.
    pub by: By,
    /// The trees of its parents.
    pub before: Vec<&'t dyn BaseTree>,
    /// Its own tree.
    pub after: &'t dyn BaseTree,
}

/// What is to be settled.
pub struct Question<'t> {
    /// The tree of our last commit.
    pub ours: &'t dyn BaseTree,
    /// The tree of the branch's head.
    pub head: &'t dyn BaseTree,
    /// Trees that earlier commits of ours left or found, those of our last one included.
    pub past: &'t [&'t dyn BaseTree],
    /// The foreign commits since our last one, the newest first.
    pub foreign: &'t [Foreign<'t>],
    /// The folders under our marks, as `<env>/<cluster>`.
    pub roots: &'t [String],
    /// Returns the path of the unit that a file belongs to; `None` for index files and
    /// files that are no unit's.
    pub unit_of: &'t dyn Fn(&str) -> Option<String>,
    /// What the marks at our last commit hold.
    pub held: &'t Held,
}

/// What became of one unit (or of one file that belongs to no unit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Put back to a state of before: to be honoured. `refused` goes into the mark.
    Rollback {
        /// The id of the content that was refused; `None`: its absence was.
        refused: Option<ObjectId>,
    },
    /// Changed by hand to something that never was delivered or found.
    Drift {
        /// The id of what would be put back; `None`: it is to go.
        refused: Option<ObjectId>,
    },
    /// A held unit is back at the content that was refused: no longer held.
    Ended,
}

/// One file that differs between our last commit and the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path.
    pub path: String,
    /// What our last commit had there.
    pub ours: Option<Entry>,
    /// What the head has there.
    pub head: Option<Entry>,
}

/// The verdict on one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The verdict.
    pub verdict: Verdict,
    /// The newest foreign commit that made it so, where one can be named.
    pub by: Option<By>,
    /// The files that differ, sorted by path.
    pub files: Vec<Changed>,
}

/// All verdicts of a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// By the unit's path.
    pub units: BTreeMap<String, Settlement>,
    /// By the path of a file that belongs to no unit. Index files are written anew from the
    /// final tree whatever stands here.
    pub others: BTreeMap<String, Settlement>,
}

impl Settled {
    /// Returns true if nobody but us changed anything of ours.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.others.is_empty()
    }

    /// Returns the paths of units with a verdict of drift.
    pub fn drifted(&self) -> impl Iterator<Item = (&str, &Settlement)> {
        self.units
            .iter()
            .filter(|(_, settlement)| matches!(settlement.verdict, Verdict::Drift { .. }))
            .map(|(path, settlement)| (path.as_str(), settlement))
    }

    /// Returns what the marks hold once rollbacks are honoured, and drift too if it is only
    /// to be reported.
    pub fn held_after(&self, before: &Held, keep_drift: bool) -> Held {
        let mut held = before.clone();
        for (path, settlement) in &self.units {
            match settlement.verdict {
                Verdict::Rollback { refused } => {
                    held.insert(path.clone(), refused);
                }
                Verdict::Drift { refused } if keep_drift => {
                    held.insert(path.clone(), refused);
                }
                Verdict::Drift { .. } => {}
                Verdict::Ended => {
                    held.remove(path);
                }
            }
        }
        held
    }
}

/// Returns the edits that put back what our last commit had, for what drifted.
pub fn restore(settlement: &Settlement, ours: &dyn BaseTree) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for file in &settlement.files {
        // What stands in the way goes first; the commit applies a delete before a put below it.
        match (&file.ours, &file.head) {
            (Some(entry), head) if entry.kind.is_file() => {
                if head.as_ref().is_some_and(|head| !head.kind.is_file()) {
                    edits.push(Edit::Delete { path: file.path.clone() });
                }
                edits.push(Edit::Put { path: file.path.clone(), bytes: ours.blob(&entry.id)? });
            }
            // A link or submodule of somebody else, which our last commit carried along.
            (Some(_), _) => {}
            (None, _) => edits.push(Edit::Delete { path: file.path.clone() }),
        }
    }
    Ok(edits)
}

/// Settles a branch.
pub fn settle(question: &Question<'_>) -> Result<Settled> {
    let mut settled = Settled::default();
    for (path, files) in changed_units(question)? {
        let (key, is_unit) = match &path {
            Place::Unit(path) => (path, true),
            Place::Other(path) => (path, false),
        };
        let ours = state(question.ours, key)?;
        let head = state(question.head, key)?;
        let refused = question.held.get(key).copied().unwrap_or_else(|| ours.map(|(id, _)| id));
        let verdict = if is_unit && question.held.contains_key(key) && refused == head.map(|(id, _)| id) {
            Verdict::Ended
        } else if is_past(question, key, head)? {
            Verdict::Rollback { refused }
        } else {
            Verdict::Drift { refused }
        };
        let by = author(question, key, head)?;
        let settlement = Settlement { verdict, by, files };
        match path {
            Place::Unit(path) => settled.units.insert(path, settlement),
            Place::Other(path) => settled.others.insert(path, settlement),
        };
    }
    Ok(settled)
}

/// What stands at a path: its id and kind.
type State = Option<(ObjectId, EntryKind)>;

fn state(tree: &dyn BaseTree, path: &str) -> Result<State> {
    Ok(tree.entry(path)?.map(|entry| (entry.id, entry.kind)))
}

fn is_past(question: &Question<'_>, path: &str, head: State) -> Result<bool> {
    for tree in question.past {
        if state(*tree, path)? == head {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the newest foreign commit that brought a path to where it is.
fn author(question: &Question<'_>, path: &str, head: State) -> Result<Option<By>> {
    let mut touched = None;
    for foreign in question.foreign {
        let after = state(foreign.after, path)?;
        let mut differs = Vec::new();
        for before in &foreign.before {
            differs.push(state(*before, path)? != after);
        }
        let changed = if differs.is_empty() { after.is_some() } else { differs.iter().all(|d| *d) };
        if changed && after == head {
            return Ok(Some(foreign.by.clone()));
        }
        // A merge that took one side, or a later state that came back.
        if touched.is_none() && (changed || differs.contains(&true)) {
            touched = Some(foreign.by.clone());
        }
    }
    Ok(touched)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Unit(String),
    Other(String),
}

/// Returns the files that differ, by the unit that they belong to.
fn changed_units(question: &Question<'_>) -> Result<BTreeMap<Place, Vec<Changed>>> {
    let mut units: BTreeMap<Place, Vec<Changed>> = BTreeMap::new();
    for root in question.roots {
        for (path, (ours, head)) in changed_files(question, root)? {
            let place = match (question.unit_of)(&path) {
                Some(unit) => Place::Unit(unit),
                None => Place::Other(path.clone()),
            };
            units.entry(place).or_default().push(Changed { path, ours, head });
        }
    }
    Ok(units)
}

type Sides = (Option<Entry>, Option<Entry>);

fn changed_files(question: &Question<'_>, root: &str) -> Result<BTreeMap<String, Sides>> {
    let ours = question.ours.entry(root)?;
    let head = question.head.entry(root)?;
    if ours == head {
        return Ok(BTreeMap::new());
    }
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let old = side(question.ours, root, ours, question.head, &mut paths)?;
    let new = side(question.head, root, head, question.ours, &mut paths)?;
    let mut changed = BTreeMap::new();
    for path in paths {
        // One side may have been skipped below a folder that is the same on both.
        let sides = (old.get(&path).cloned(), new.get(&path).cloned());
        if sides.0 != sides.1 {
            changed.insert(path, sides);
        }
    }
    Ok(changed)
}

/// Returns the files of one side below a root that the other side may not have.
fn side(
    tree: &dyn BaseTree,
    root: &str,
    entry: Option<Entry>,
    other: &dyn BaseTree,
    paths: &mut BTreeSet<String>,
) -> Result<BTreeMap<String, Entry>> {
    let files = match entry {
        Some(entry) if entry.kind == EntryKind::Tree => files_below(tree, root, Some(other))?,
        Some(entry) => BTreeMap::from([(join("", root), entry)]),
        None => BTreeMap::new(),
    };
    paths.extend(files.keys().cloned());
    Ok(files)
}
