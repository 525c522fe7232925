//! What happened on a branch before its head: our commits, and those of others since.

use super::proposal::{is_whole, quotes};
use super::repository::{GitTree, Repository};
use super::store::Commit;
use crate::error::Result;
use crate::model::tree::{BaseTree, Entry, EntryKind, ObjectId};
use crate::stage::settle::{By, Foreign, Held, Question, Settled, Verdict, settle};
use std::collections::{BTreeSet, BinaryHeap};

/// The trailer by which a commit of ours is known; its value is the fleet.
pub const FLEET_TRAILER: &str = "Hydrant-Fleet";

/// The trailer with the environments that a commit of ours is about, where not about all.
pub const ENVIRONMENTS_TRAILER: &str = "Hydrant-Environments";

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
    /// The environment that all the folders are of, where environments are delivered apart;
    /// a commit of ours that is only about others is then none.
    pub env: Option<&'a str>,
    /// Our commits on the branch of a merge request, the newest first: a merge or squash whose
    /// folders are those of one counts as ours.
    pub proposals: &'a [Commit],
}

/// A branch after settling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlements {
    /// Our last commit on the branch, or the merge or squash of a proposal of ours.
    pub last: Commit,
    /// The commit of ours that it stands for; its trailers tell where it came from.
    pub made: Commit,
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
    let mine = Mine::of(repo, us)?;
    let looked = Look { repo, head: head.clone() };
    let Some(found) = looked.last_of_ours(&mine, marked(repo, head, us)?)? else { return Ok(None) };
    let Found { last, made, .. } = found;
    let ours = repo.tree(Some(last.id))?;
    let held = (us.held)(&ours)?;
    let mut settled = Settled::default();
    if last.id != head.id && touched(&ours, &repo.tree(Some(head.id))?, us.roots)? {
        let foreign = looked.since(&last)?;
        let mut past = Past::start(repo, &mine, &last);
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
    Ok(Some(Settlements { last, made, held, settled }))
}

/// Returns our last commit among those that are at hand, as its trailer tells; nothing is
/// fetched.
pub fn last_of_ours(repo: &Repository, head: &Commit, fleet: &str) -> Result<Option<Commit>> {
    let mut walk = Walk::from(head);
    let mut found: Option<Commit> = None;
    for _ in 0..LOOK_BACK {
        let Some((seconds, id)) = walk.heap.pop() else { break };
        // Ours are never older than their parents, as above.
        if found.as_ref().is_some_and(|found| seconds < found.seconds) {
            break;
        }
        let commit = repo.store.commit(&id)?;
        if commit.trailer(FLEET_TRAILER) != Some(fleet) {
            repo.store.parents_here(&commit)?.iter().for_each(|parent| walk.push(parent));
            continue;
        }
        let newer = match &found {
            Some(other) => repo.descends(&commit.id, &other.id)?,
            None => true,
        };
        if newer {
            found = Some(commit);
        }
    }
    Ok(found)
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

/// Returns the environments that a commit of ours is about, if not about all. A forge may have
/// squashed it, so the words may stand anywhere.
fn about(commit: &Commit) -> Option<&str> {
    commit.message.lines().find_map(|line| {
        let (key, envs) = line.trim().split_once(':')?;
        key.eq_ignore_ascii_case(ENVIRONMENTS_TRAILER).then_some(envs)
    })
}

impl Settlements {
    /// Returns true if our last commit is about some environments only: for the others another
    /// one may be the last.
    pub fn is_about_some(&self) -> bool {
        about(&self.last).is_some() || about(&self.made).is_some()
    }
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

/// Tells which commits are ours.
struct Mine<'r> {
    repo: &'r Repository,
    us: &'r Ownership<'r>,
    /// What stands in our folders at each proposal.
    folders: Vec<Vec<Option<Entry>>>,
}

impl<'r> Mine<'r> {
    fn of(repo: &'r Repository, us: &'r Ownership<'r>) -> Result<Self> {
        let mut mine = Self { repo, us, folders: Vec::new() };
        for proposal in us.proposals {
            mine.folders.push(mine.folders_at(proposal)?);
        }
        Ok(mine)
    }

    fn folders_at(&self, commit: &Commit) -> Result<Vec<Option<Entry>>> {
        let tree = self.repo.tree(Some(commit.id))?;
        self.us.roots.iter().map(|root| tree.entry(root)).collect()
    }

    /// Returns true if a commit says that it is ours, and is what it says.
    fn says_so(&self, commit: &Commit) -> Result<bool> {
        let others = |env| about(commit).is_some_and(|envs| !envs.split_whitespace().any(|e| e == env));
        if self.us.env.is_some_and(others) {
            return Ok(false);
        }
        if commit.trailer(FLEET_TRAILER) == Some(self.us.fleet) {
            return is_whole(self.repo, commit);
        }
        quotes(self.repo, commit, self.us.fleet)
    }

    /// Returns the newest proposal, as a number from the newest on, whose folders a commit has.
    fn alike(&self, commit: &Commit, open: impl Fn(usize) -> bool) -> Result<Option<usize>> {
        if self.folders.is_empty() {
            return Ok(None);
        }
        let here = self.folders_at(commit)?;
        let some = here.iter().any(Option::is_some);
        Ok((0..self.folders.len()).find(|n| some && open(*n) && self.folders.get(*n) == Some(&here)))
    }

    /// Returns true if a commit is ours, or has the folders of any proposal of ours.
    fn has(&self, commit: &Commit) -> Result<bool> {
        Ok(self.says_so(commit)? || self.alike(commit, |_| true)?.is_some())
    }
}

/// Our last commit, as it was found.
struct Found {
    last: Commit,
    made: Commit,
    /// The number of the proposal, if it was told by its folders.
    proposal: Option<usize>,
}

/// The search for our last commit.
struct Look<'r> {
    repo: &'r Repository,
    head: Commit,
}

impl Look<'_> {
    /// Returns our newest commit: the one that contains all others of ours.
    fn last_of_ours(&self, mine: &Mine<'_>, marked: bool) -> Result<Option<Found>> {
        let limit = if marked { LOOK_BACK } else { LOOK_BACK_UNMARKED };
        let proposals = mine.us.proposals;
        // A proposal can only have been merged after the target's commit that it was made on.
        let mut open = vec![true; proposals.len()];
        let mut walk = Walk::from(&self.head);
        let mut found: Option<Found> = None;
        for _ in 0..limit {
            let Some((seconds, id)) = walk.heap.pop() else { break };
            // Ours are never older than their parents, so what is older than the one found
            // cannot contain it.
            if found.as_ref().is_some_and(|f| f.proposal.is_none() && seconds < f.last.seconds) {
                break;
            }
            let commit = self.repo.store.commit(&id)?;
            if mine.says_so(&commit)? {
                let newer = match &found {
                    Some(Found { proposal: Some(n), .. }) => {
                        let told = proposals.get(*n).map(|p| p.id);
                        told.is_none_or(|told| told == commit.id) || !self.known(told, &commit.id)?
                    }
                    Some(other) => self.repo.descends(&commit.id, &other.last.id)?,
                    None => true,
                };
                if newer {
                    // A squash or a rebase with our words stands for the proposal that it is.
                    let stands_for = mine.alike(&commit, |_| true)?.and_then(|n| proposals.get(n)).cloned();
                    let made = stands_for.unwrap_or_else(|| commit.clone());
                    found = Some(Found { last: commit, made, proposal: None });
                }
                continue;
            }
            for (n, proposal) in proposals.iter().enumerate() {
                if proposal.parents.last() == Some(&id)
                    && let Some(open) = open.get_mut(n)
                {
                    *open = false;
                }
            }
            let best = found.as_ref().map_or(proposals.len(), |f| f.proposal.unwrap_or(0));
            let is_open = |n: usize| n < best && open.get(n) == Some(&true);
            if let Some(n) = mine.alike(&commit, is_open)?
                && let Some(made) = proposals.get(n)
            {
                found = Some(Found { last: commit.clone(), made: made.clone(), proposal: Some(n) });
            }
            // A newer proposal may have been merged before: then this one was put back since.
            let best = found.as_ref().and_then(|f| f.proposal);
            if best.is_some_and(|best| !open.iter().take(best).any(|open| *open)) {
                break;
            }
            for parent in parents(self.repo, &commit)? {
                walk.push(&parent);
            }
        }
        Ok(found)
    }

    /// Returns true if a commit contains another, as far as the history is here.
    fn known(&self, commit: Option<ObjectId>, ancestor: &ObjectId) -> Result<bool> {
        match commit {
            Some(commit) => self.repo.descends(&commit, ancestor),
            None => Ok(false),
        }
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
    mine: &'r Mine<'r>,
}

impl<'r> Past<'r> {
    fn start(repo: &'r Repository, mine: &'r Mine<'r>, last: &Commit) -> Self {
        let mut past = Self {
            repo,
            states: BTreeSet::new(),
            from_nothing: false,
            walk: Walk::from(last),
            ours: 0,
            mine,
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
                if self.mine.has(&commit)? {
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
            if self.mine.has(&commit)? {
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
