//! What happened on a branch before its head: our commits, and those of others since.

use super::repository::{GitTree, Repository};
use super::store::Commit;
use crate::error::Result;
use crate::model::tree::{BaseTree, EntryKind, ObjectId};
use crate::stage::settle::{By, Foreign, Held, Question, Settled, Verdict, settle};
use std::collections::{BTreeSet, BinaryHeap};

/// The trailer by which a commit of ours is known; its value is the fleet.
pub const FLEET_TRAILER: &str = "Hydrant-Fleet";

/// How many commits of ours are looked through for a state of before.
const OUR_PAST: usize = 100;
/// How many commits are looked through in all for one of ours.
const LOOK_BACK: usize = 20_000;
/// The same where no mark of ours stands at the head: there is probably none.
const LOOK_BACK_UNMARKED: usize = 200;

/// What the caller knows of our folders.
pub struct Ownership<'a> {
    /// The fleet's name, as in the mark and the trailer.
    pub fleet: &'a str,
    /// Our folders, as `<path>/<env>/<cluster>`; those that the branch lacks count too.
    pub roots: &'a [String],
    /// Returns the unit path of a file, `None` for index files and strangers.
    pub unit_of: &'a dyn Fn(&str) -> Option<String>,
    /// Reads what the marks of a tree hold.
    pub held: &'a dyn Fn(&dyn BaseTree) -> Result<Held>,
}

/// A branch after settling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlements {
    /// Our last commit on the branch.
    pub last: Commit,
    /// What the marks held at that commit.
    pub held: Held,
    /// What others did since.
    pub settled: Settled,
}

/// Settles a branch; `None` if no commit of ours is in reach, so that what stands under our
/// marks counts as delivered.
///
/// Fetches more history only as far as the question needs: none if the head is ours.
pub fn settle_branch(repo: &Repository, head: &Commit, us: &Ownership<'_>) -> Result<Option<Settlements>> {
    if head.trailer(FLEET_TRAILER) != Some(us.fleet) {
        repo.bridge(&head.id, us.fleet);
    }
    let mut looked = Look::start(repo, head);
    let limit = if marked(repo, head, us)? { LOOK_BACK } else { LOOK_BACK_UNMARKED };
    let Some(last) = looked.last_of_ours(us.fleet, limit)? else { return Ok(None) };
    let ours = repo.tree(Some(last.id))?;
    let held = (us.held)(&ours)?;
    let mut settled = Settled::default();
    if last.id != head.id && touched(&ours, &repo.tree(Some(head.id))?, us.roots)? {
        let foreign = looked.since(&last)?;
        let mut past = Past::start(repo, &last);
        past.add_reverted(&foreign)?;
        loop {
            settled = ask(repo, head, &last, &foreign, &past, us, &held)?;
            // More of the past can only turn drift into a rollback.
            let open = settled.units.values().any(|s| matches!(s.verdict, Verdict::Drift { .. }));
            if !open || !past.further()? {
                break;
            }
        }
    }
    Ok(Some(Settlements { last, held, settled }))
}

/// Returns our last commit among those that are at hand; nothing is fetched.
pub fn last_of_ours(repo: &Repository, head: &Commit, fleet: &str) -> Result<Option<Commit>> {
    Look { repo, head: head.clone(), fetch: false }.last_of_ours(fleet, LOOK_BACK)
}

fn ask(
    repo: &Repository,
    head: &Commit,
    last: &Commit,
    foreign: &[Commit],
    past: &Past<'_>,
    us: &Ownership<'_>,
    held: &Held,
) -> Result<Settled> {
    let tree = |id: &ObjectId| repo.tree(Some(*id));
    let here = |ids: &[ObjectId]| -> Result<Vec<GitTree<'_>>> {
        ids.iter().filter(|id| repo.store.has(id)).map(tree).collect()
    };
    let (ours, now) = (tree(&last.id)?, tree(&head.id)?);
    let mut known = here(&past.states.iter().copied().collect::<Vec<_>>())?;
    if past.from_nothing {
        known.push(repo.tree(None)?);
    }
    let past: Vec<&dyn BaseTree> = known.iter().map(|t| t as &dyn BaseTree).collect();
    let mut around = Vec::new();
    for commit in foreign {
        around.push((tree(&commit.id)?, here(&commit.parents)?));
    }
    let foreign: Vec<Foreign<'_>> = foreign
        .iter()
        .zip(&around)
        .map(|(commit, (after, before))| Foreign {
            by: By { commit: commit.id, author: commit.author.clone(), subject: commit.subject().to_owned() },
            before: before.iter().map(|t| t as &dyn BaseTree).collect(),
            after,
        })
        .collect();
    settle(&Question {
        ours: &ours,
        head: &now,
        past: &past,
        foreign: &foreign,
        roots: us.roots,
        unit_of: us.unit_of,
        held,
    })
}

/// Returns true if a folder of ours differs between two trees.
fn touched(ours: &GitTree<'_>, head: &GitTree<'_>, roots: &[String]) -> Result<bool> {
    for root in roots {
        if ours.entry(root)? != head.entry(root)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn marked(repo: &Repository, head: &Commit, us: &Ownership<'_>) -> Result<bool> {
    let tree = repo.tree(Some(head.id))?;
    for root in us.roots {
        if tree.entry(root)?.is_some_and(|entry| entry.kind == EntryKind::Tree) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Walks a history from the newest commit on, by the committers' clocks.
struct Walk {
    heap: BinaryHeap<(i64, ObjectId)>,
    seen: BTreeSet<ObjectId>,
}

impl Walk {
    fn from(commit: &Commit) -> Self {
        Self { heap: BinaryHeap::from([(commit.seconds, commit.id)]), seen: BTreeSet::from([commit.id]) }
    }

    fn push(&mut self, commit: &Commit) {
        if self.seen.insert(commit.id) {
            self.heap.push((commit.seconds, commit.id));
        }
    }
}

/// Returns a commit's parents, fetched if they are beyond the edge of a shallow history.
fn parents(repo: &Repository, commit: &Commit) -> Result<Vec<Commit>> {
    let mut found = Vec::new();
    for id in &commit.parents {
        let here = repo.store.has(id) || repo.deepen(commit.id)? && repo.store.has(id);
        if here {
            found.push(repo.store.commit(id)?);
        }
    }
    Ok(found)
}

/// The search for our last commit.
struct Look<'r> {
    repo: &'r Repository,
    head: Commit,
    /// More history may be fetched.
    fetch: bool,
}

impl<'r> Look<'r> {
    fn start(repo: &'r Repository, head: &Commit) -> Self {
        Self { repo, head: head.clone(), fetch: true }
    }

    /// Returns our newest commit: the one that contains all others of ours.
    fn last_of_ours(&mut self, fleet: &str, limit: usize) -> Result<Option<Commit>> {
        let mut walk = Walk::from(&self.head);
        let mut found: Option<Commit> = None;
        for _ in 0..limit {
            let Some((seconds, id)) = walk.heap.pop() else { break };
            // Ours are never older than their parents, so what is older than the one found
            // cannot contain it.
            if found.as_ref().is_some_and(|found| seconds < found.seconds) {
                break;
            }
            let commit = self.repo.store.commit(&id)?;
            if commit.trailer(FLEET_TRAILER) == Some(fleet) {
                let newer = match &found {
                    Some(other) => self.repo.descends(&commit.id, &other.id)?,
                    None => true,
                };
                if newer {
                    found = Some(commit);
                }
                continue;
            }
            let before = match self.fetch {
                true => parents(self.repo, &commit)?,
                false => self.repo.store.parents_here(&commit)?,
            };
            before.iter().for_each(|parent| walk.push(parent));
        }
        Ok(found)
    }

    /// Returns the commits that the head has and our last one has not, the newest first.
    fn since(&self, last: &Commit) -> Result<Vec<Commit>> {
        // What our last commit contains, as far as it is here.
        let known = self.repo.store.reachable(&last.id)?;
        let mut walk = Walk::from(&self.head);
        let mut foreign = Vec::new();
        while let Some((_, id)) = walk.heap.pop() {
            if known.contains(&id) || foreign.len() >= LOOK_BACK {
                continue;
            }
            let commit = self.repo.store.commit(&id)?;
            for parent in &commit.parents {
                if self.repo.store.has(parent) {
                    walk.push(&self.repo.store.commit(parent)?);
                }
            }
            foreign.push(commit);
        }
        Ok(foreign)
    }
}

/// States that commits of ours left or found.
struct Past<'r> {
    repo: &'r Repository,
    /// Commits whose trees are such states.
    states: BTreeSet<ObjectId>,
    /// One of them found an empty repository.
    from_nothing: bool,
    walk: Walk,
    ours: usize,
    fleet: Option<String>,
}

impl<'r> Past<'r> {
    fn start(repo: &'r Repository, last: &Commit) -> Self {
        let mut past = Self {
            repo,
            states: BTreeSet::new(),
            from_nothing: false,
            walk: Walk::from(last),
            ours: 0,
            fleet: last.trailer(FLEET_TRAILER).map(str::to_owned),
        };
        past.add(last);
        past
    }

    fn add(&mut self, ours: &Commit) {
        self.from_nothing |= ours.parents.is_empty();
        self.states.insert(ours.id);
        self.states.extend(&ours.parents);
    }

    /// Adds the commits of ours that foreign ones say they revert, however old.
    fn add_reverted(&mut self, foreign: &[Commit]) -> Result<()> {
        for id in foreign.iter().flat_map(|commit| reverted(&commit.message)) {
            while !self.repo.store.has(&id) {
                let Some(oldest) = foreign.last() else { return Ok(()) };
                if !self.repo.deepen(oldest.id)? {
                    break;
                }
            }
            if self.repo.store.has(&id) {
                let commit = self.repo.store.commit(&id)?;
                if commit.trailer(FLEET_TRAILER) == self.fleet.as_deref() {
                    // What it found may lie beyond the edge.
                    parents(self.repo, &commit)?;
                    self.add(&commit);
                }
            }
        }
        Ok(())
    }

    /// Adds the next commits of ours; false if there are no more to look at.
    fn further(&mut self) -> Result<bool> {
        let before = self.ours;
        // In steps: most rollbacks return to the state just before.
        let upto = (before * 4).clamp(4, OUR_PAST);
        for _ in 0..LOOK_BACK {
            if self.ours >= upto {
                break;
            }
            let Some((_, id)) = self.walk.heap.pop() else { break };
            let commit = self.repo.store.commit(&id)?;
            for parent in parents(self.repo, &commit)? {
                self.walk.push(&parent);
            }
            if commit.trailer(FLEET_TRAILER) == self.fleet.as_deref() {
                self.ours += 1;
                self.add(&commit);
            }
        }
        Ok(self.ours > before)
    }
}

/// Returns the commits that a message says it reverts, as `git revert` writes it.
fn reverted(message: &str) -> Vec<ObjectId> {
    message
        .split("This reverts commit ")
        .skip(1)
        .filter_map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>().parse().ok())
        .collect()
}
