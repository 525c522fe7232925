//! The branch of a merge request: which commits on it are ours and whole, and what others put
//! on top of them. By Git alone, so that it needs no forge and no memory.
//!
//! A proposal carries the digest of its own edits, so that it can be told from a commit that
//! only kept our message (amended, or squashed together with an edit by hand).

use super::publish::{
    Landed, Proposal, Publication, Revision, SoFar, Step, check_history, refused, until_done,
};
use super::repository::{Pushed, Repository, Tip};
use super::store::Commit;
use crate::error::{Error, Result};
use crate::model::tree::{BaseTree, Edit, Entry, ObjectId, files_below};
use std::collections::{BTreeMap, BTreeSet};

/// The trailer with the digest of a proposal's edits.
pub const PROPOSAL_TRAILER: &str = "Hydrant-Proposal";

/// How many commits of ours on the branch are looked at.
const CHAIN: usize = 100;

/// What one path becomes: a file with this content, or nothing.
type Becomes = Option<ObjectId>;

/// Returns the digest of edits, each path once.
pub fn digest(edits: &[Edit]) -> String {
    let mut becomes: BTreeMap<&str, Becomes> = BTreeMap::new();
    for edit in edits {
        match edit {
            Edit::Put { path, bytes } => {
                becomes.insert(path, Some(ObjectId::of_blob(bytes)));
            }
            Edit::Graft { path, graft } => {
                becomes.insert(path, Some(graft.id));
            }
            // What only makes room for a file is no deletion.
            Edit::Delete { path } => {
                becomes.entry(path).or_insert(None);
            }
        }
    }
    digest_of(becomes.into_iter())
}

fn digest_of<'p>(becomes: impl Iterator<Item = (&'p str, Becomes)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, content) in becomes {
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
        match content {
            Some(id) => hasher.update(b"+").update(id.as_bytes()),
            None => hasher.update(b"-"),
        };
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

/// Returns the files that differ between two trees, with what the second has there.
pub fn changed(before: &dyn BaseTree, after: &dyn BaseTree) -> Result<BTreeMap<String, Option<Entry>>> {
    let old = files_below(before, "", Some(after))?;
    let new = files_below(after, "", Some(before))?;
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    Ok(differ.map(|path| (path.clone(), new.get(path).cloned())).collect())
}

/// Returns the digest of what changes from one commit to another.
fn digest_between(repo: &Repository, before: &ObjectId, after: &ObjectId) -> Result<String> {
    let changed = changed(&repo.tree(Some(*before))?, &repo.tree(Some(*after))?)?;
    Ok(digest_of(changed.iter().map(|(path, entry)| (path.as_str(), entry.as_ref().map(|e| e.id)))))
}

/// Returns true unless a commit says that it is a proposal and holds other edits than it says.
pub(super) fn is_whole(repo: &Repository, commit: &Commit) -> Result<bool> {
    let Some(said) = commit.trailer(PROPOSAL_TRAILER) else { return Ok(true) };
    let Some(onto) = commit.parents.last() else { return Ok(true) };
    let here = repo.store.has(onto) || repo.deepen(commit.id)? && repo.store.has(onto);
    // Beyond the edge of what the server gives, the trailer has to do.
    Ok(!here || digest_between(repo, onto, &commit.id)? == said)
}

/// Returns true if a commit holds exactly the edits of a proposal that its message quotes
/// anywhere, as squash commits of forges do.
pub(super) fn quotes(repo: &Repository, commit: &Commit, fleet: &str) -> Result<bool> {
    let said: BTreeSet<&str> = lines(commit, PROPOSAL_TRAILER).collect();
    let [before] = commit.parents.as_slice() else { return Ok(false) };
    if said.is_empty() || !lines(commit, super::FLEET_TRAILER).any(|of| of == fleet) {
        return Ok(false);
    }
    let here = repo.store.has(before) || repo.deepen(commit.id)? && repo.store.has(before);
    Ok(here && said.contains(digest_between(repo, before, &commit.id)?.as_str()))
}

/// Returns the values of all lines `key: value` of a message.
fn lines<'c>(commit: &'c Commit, key: &'c str) -> impl Iterator<Item = &'c str> {
    commit.message.lines().filter_map(move |line| {
        let (name, value) = line.trim().split_once(':')?;
        name.eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

/// A branch that a merge request asks to merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProposalBranch {
    /// Its newest commit, if it is there.
    pub head: Option<Commit>,
    /// Commits of ours on it, the newest first; if it is gone, those that were.
    pub ours: Vec<Commit>,
    /// A commit of somebody else on top of ours that the target does not have.
    pub foreign: Option<Commit>,
}

impl ProposalBranch {
    /// Returns our newest commit on the branch, if it is there and nobody worked on top of it.
    pub fn standing(&self) -> Option<&Commit> {
        if self.head.is_none() || self.foreign.is_some() { None } else { self.ours.first() }
    }
}

/// Reads the branch of a merge request against a target.
pub fn read_proposals(
    repo: &mut Repository,
    branch: &str,
    target: &Commit,
    fleet: &str,
) -> Result<ProposalBranch> {
    let seen = repo.glance(branch)?;
    let start = match (&seen.head, seen.before) {
        (Some(head), _) => Some(head.clone()),
        (None, Some(before)) => Some(repo.read_commit(&before)?),
        (None, None) => None,
    };
    let mut found = ProposalBranch { head: seen.head, ..ProposalBranch::default() };
    let Some(mut at) = start else { return Ok(found) };
    // What came before a branch that is gone may be had from nobody any more.
    let gone = found.head.is_none();
    while found.ours.len() < CHAIN {
        let is_ours = at.trailer(super::FLEET_TRAILER) == Some(fleet)
            && at.trailer(PROPOSAL_TRAILER).is_some()
            && is_whole(repo, &at).or_else(|error| if gone { Ok(true) } else { Err(error) })?;
        // The first proposal has the target as its only parent: nothing of ours is before it.
        let before = if is_ours && at.parents.len() < 2 { None } else { at.parents.first().copied() };
        let next = match before {
            Some(id) if repo.store.has(&id) => Some(repo.read_commit(&id)?),
            Some(id) if !gone && repo.deepen(at.id)? && repo.store.has(&id) => Some(repo.read_commit(&id)?),
            _ => None,
        };
        if !is_ours {
            let brings_target = match &next {
                Some(next) => only_merges(repo, &at, next, target)?,
                None => false,
            };
            if !brings_target {
                if found.ours.is_empty() && found.head.is_some() && !repo.contains(&target.id, &at.id)? {
                    found.foreign = Some(at);
                }
                break;
            }
        } else {
            found.ours.push(at.clone());
        }
        let Some(next) = next else { break };
        at = next;
    }
    Ok(found)
}

/// Returns true if a commit only merges the target into the branch, as the button of a forge
/// does: it has the proposal's edits and otherwise the target's files.
fn only_merges(repo: &Repository, merge: &Commit, ours: &Commit, target: &Commit) -> Result<bool> {
    let [_, brought] = merge.parents.as_slice() else { return Ok(false) };
    let Some(said) = ours.trailer(PROPOSAL_TRAILER) else { return Ok(false) };
    let here = repo.store.has(brought) || repo.deepen(merge.id)? && repo.store.has(brought);
    Ok(here && repo.contains(&target.id, brought)? && digest_between(repo, brought, &merge.id)? == said)
}

/// Where a proposal is after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The target branch, which a proposal leaves where it is.
    pub target: Revision,
    /// The proposal that was pushed; none if nothing was.
    pub pushed: Option<ObjectId>,
}

/// Pushes a proposal against the branch of a publication to another branch, forward only.
///
/// `make` is called for each pair of heads; `Ok(None)` says that nothing is to be pushed. The
/// proposal's tree is the target's with the edits, its parents are the head of its own branch
/// (if there is one) and the target's head.
///
/// # Errors
/// As those of `publish`; a target that is missing is the refusal of a guard.
pub fn propose<F>(
    repo: &mut Repository,
    to: &Publication,
    branch: &str,
    fleet: &str,
    mut make: F,
) -> Result<Proposed>
where
    F: FnMut(&Repository, &Commit, &ProposalBranch) -> Result<Option<Proposal>>,
{
    let onto = Publication { branch: branch.to_owned(), ..to.clone() };
    until_done(repo, &onto, |repo, so_far| {
        so_far.tries += 1;
        let head = match repo.fetch(&to.branch)? {
            Tip::Head(head) => head,
            Tip::Empty | Tip::Missing { .. } => return Err(no_target(repo, to)),
        };
        check_history(repo, to, so_far.seen, Some(&head))?;
        so_far.seen = Some(head.id);
        let done = |pushed| {
            let landed = Landed::Unchanged;
            let on = Some(head.id);
            Step::Done(Proposed {
                target: Revision { commit: on, base: on, landed, tries: so_far.tries },
                pushed,
            })
        };
        let there = read_proposals(repo, branch, &head, fleet)?;
        if let Some(commit) = arrived(repo, so_far, &there)? {
            return Ok(done(Some(commit)));
        }
        let Some(proposal) = make(repo, &head, &there)? else { return Ok(done(None)) };
        let before = there.head.as_ref().map(|c| c.id);
        let parents: Vec<ObjectId> =
            before.into_iter().filter(|id| *id != head.id).chain([head.id]).collect();
        let commit = repo.commit_merge(&parents, head.id, &proposal.edits, &proposal.message, &to.who)?;
        match repo.push(commit, branch, before)? {
            Pushed::Landed => Ok(done(Some(commit))),
            Pushed::Refused(text) => Err(refused(repo, &onto, &text)),
            Pushed::Raced => Ok(Step::Again("somebody else was faster each time".into())),
            Pushed::Unknown(text) => {
                so_far.in_doubt.push((commit, before));
                Ok(Step::Again(text))
            }
        }
    })
}

/// Returns a proposal that arrived although we were not told.
fn arrived(repo: &Repository, so_far: &SoFar, there: &ProposalBranch) -> Result<Option<ObjectId>> {
    let Some(head) = &there.head else { return Ok(None) };
    for (commit, _) in &so_far.in_doubt {
        if repo.descends(&head.id, commit)? {
            return Ok(Some(*commit));
        }
    }
    Ok(None)
}

fn no_target(repo: &Repository, to: &Publication) -> Error {
    Error::guard(format!("{} has no branch `{}` to ask a merge into", repo.remote, to.branch)).hint(format!(
        "create it with a first commit: git commit --allow-empty -m start && git push origin HEAD:{}",
        to.branch
    ))
}
