//! Publishes a change: make it for the branch's head, push, and make it anew on the next
//! head when somebody else was faster. Never by force, and bounded by time.

use super::beside::{Along, Made, Move, Noted};
use super::repository::{Pushed, Repository, Tip};
use super::store::Commit;
use super::write::Signature;
use crate::error::{Error, Result};
use crate::model::tree::{Edit, ObjectId};
use crate::suggest::did_you_mean;
use std::time::Duration;

/// A change as it is made for one head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What changes.
    pub edits: Vec<Edit>,
    /// The commit message.
    pub message: String,
}

/// Where and how to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The branch's short name.
    pub branch: String,
    /// Create the branch where a repository with other branches lacks it.
    pub create_branch: bool,
    /// Who signs as author and committer.
    pub who: Signature,
    /// How long to try, from the first fetch on.
    pub deadline: Duration,
    /// The longest wait after the first lost race, if a try is faster than that.
    pub first_wait: Duration,
    /// The longest wait between two tries.
    pub longest_wait: Duration,
    /// How long to wait for a turn among the processes that share a mirror, each time.
    pub turn_wait: Duration,
}

impl Publication {
    /// Returns a publication with the usual patience: five minutes, waits of up to 3 s.
    pub fn new(branch: impl Into<String>, who: Signature) -> Self {
        Self {
            branch: branch.into(),
            create_branch: false,
            who,
            deadline: Duration::from_secs(300),
            first_wait: Duration::from_millis(50),
            longest_wait: Duration::from_secs(3),
            turn_wait: Duration::from_secs(20),
        }
    }

    /// Returns the longest wait after so many tries, the last of which took a time.
    ///
    /// It follows what a try costs here: it doubles four times, so that many writers leave each
    /// other room, and shrinks again for those who have lost often, or they would lose for ever
    /// to those who come fresh.
    fn longest_wait_after(&self, tries: u32, took: Duration) -> Duration {
        let room = took.max(self.first_wait / 2).saturating_mul(1 << tries.min(4));
        let age = tries.saturating_sub(AGED).max(1);
        room.min(self.longest_wait).max(self.first_wait) / age
    }
}

/// From so many lost races on, each more shortens the wait.
const AGED: u32 = 5;

/// Whether something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// The branch is at a new commit of ours.
    Pushed,
    /// There was nothing to change.
    Unchanged,
}

/// Where the branch is after publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Our commit, or the head that needed no change; `None` if there is no commit at all.
    pub commit: Option<ObjectId>,
    /// The head that the change was made on.
    pub base: Option<ObjectId>,
    /// Whether something was written.
    pub landed: Landed,
    /// How many times a change was made, the last one included.
    pub tries: u32,
}

/// Publishes what `make` returns for the branch's head.
///
/// `make` is called again for each new head; `Ok(None)` says that there is nothing to do.
/// A refusal by the server's policy and a branch that was rewritten or deleted meanwhile are
/// guard errors; an outage and a deadline that passed are external ones.
pub fn publish<F>(repo: &mut Repository, to: &Publication, make: F) -> Result<Revision>
where
    F: FnMut(&Repository, Option<&Commit>) -> Result<Option<Proposal>>,
{
    publish_along(repo, to, None, make).map(|(revision, _)| revision)
}

/// As [`publish`], with what goes along with the commit. What became of the note is told and
/// never an error.
pub fn publish_along<F>(
    repo: &mut Repository,
    to: &Publication,
    along: Option<&Along<'_>>,
    make: F,
) -> Result<(Revision, Noted)>
where
    F: FnMut(&Repository, Option<&Commit>) -> Result<Option<Proposal>>,
{
    let (revision, moves) = publish_branch(repo, to, along, make)?;
    let (Some(along), Some(commit), Landed::Pushed) = (along, revision.commit, revision.landed) else {
        return Ok((revision, Noted::Nothing));
    };
    let Some(moves) = moves else { return Ok((revision, Noted::Written)) };
    repo.move_reference(&moves);
    let made = Made { commit, base: revision.base, tries: revision.tries };
    // A note that is there already came with a push whose answer was lost.
    let noted = repo.note_later(commit, &to.who, along.outlived, &|there| match there {
        Some(_) => None,
        None => (along.note)(&made),
    });
    Ok((revision, noted))
}

/// Publishes, and returns what has not moved along with the branch; none if all of it did.
fn publish_branch<F>(
    repo: &mut Repository,
    to: &Publication,
    along: Option<&Along<'_>>,
    mut make: F,
) -> Result<(Revision, Option<Vec<Move>>)>
where
    F: FnMut(&Repository, Option<&Commit>) -> Result<Option<Proposal>>,
{
    until_done(repo, to, |repo, so_far| one_try(repo, to, along, so_far, &mut make))
}

/// Tries until it is done, refused, told to stop, or out of time.
pub(super) fn until_done<T>(
    repo: &mut Repository,
    to: &Publication,
    mut one_try: impl FnMut(&mut Repository, &mut SoFar) -> Result<Step<T>>,
) -> Result<T> {
    let clock = std::sync::Arc::clone(&repo.clock);
    let deadline = clock.now() + to.deadline;
    let mut so_far = SoFar::default();
    let mut renewed = false;
    loop {
        if clock.stopping() {
            return Err(Error::external("nothing was delivered: the run was told to stop"));
        }
        let patience = deadline.saturating_sub(clock.now()).min(to.turn_wait);
        let turn = repo.turn(patience);
        let began = clock.now();
        let tried = one_try(repo, &mut so_far);
        let took = clock.now().saturating_sub(began);
        drop(turn);
        let failed = match tried {
            Ok(Step::Done(done)) => return Ok(done),
            Ok(Step::Again(why)) => why,
            // Once: a mirror that is damaged again at once has another fault.
            Err(error) if !renewed => {
                if !repo.renew_if_damaged()? {
                    return Err(error);
                }
                renewed = true;
                continue;
            }
            Err(error) => return Err(error),
        };
        if clock.now() >= deadline {
            return Err(out_of_time(repo, to, &so_far, &failed));
        }
        let longest = to.longest_wait_after(so_far.tries, took);
        clock.sleep(longest.mul_f64(clock.jitter().clamp(0.0, 1.0)));
    }
}

/// What earlier tries of this publication found.
#[derive(Default)]
pub(super) struct SoFar {
    pub(super) tries: u32,
    /// The head of the last try.
    pub(super) seen: Option<ObjectId>,
    /// Commits of ours of which it is not known whether they landed, each with its base.
    pub(super) in_doubt: Vec<(ObjectId, Option<ObjectId>)>,
}

pub(super) enum Step<T> {
    Done(T),
    /// Why it has to be tried again.
    Again(String),
}

fn one_try<F>(
    repo: &mut Repository,
    to: &Publication,
    along: Option<&Along<'_>>,
    so_far: &mut SoFar,
    make: &mut F,
) -> Result<Step<(Revision, Option<Vec<Move>>)>>
where
    F: FnMut(&Repository, Option<&Commit>) -> Result<Option<Proposal>>,
{
    so_far.tries += 1;
    let tries = so_far.tries;
    let tip = repo.fetch(&to.branch)?;
    check_branch(repo, to, &tip)?;
    let head = tip.head();
    check_history(repo, to, so_far.seen, head)?;
    let on = head.map(|c| c.id);
    so_far.seen = on.or(so_far.seen);
    let done =
        |commit, base, landed| Ok(Step::Done((Revision { commit, base, landed, tries }, Some(vec![]))));
    if let Some(head) = on {
        // A change that arrived although we were not told is not made twice.
        for (commit, base) in &so_far.in_doubt {
            if repo.descends(&head, commit)? {
                return done(Some(*commit), *base, Landed::Pushed);
            }
        }
    }
    let Some(proposal) = make(repo, head)? else { return done(on, on, Landed::Unchanged) };
    let along = along.map(|along| (along, tries));
    let (commit, moves) = repo.commit_along(on, &proposal.edits, &proposal.message, &to.who, along)?;
    if Some(commit) == on {
        return done(on, on, Landed::Unchanged);
    }
    let (pushed, all) = repo.push_along(commit, &to.branch, on, &moves)?;
    match pushed {
        Pushed::Landed => {
            let revision = Revision { commit: Some(commit), base: on, landed: Landed::Pushed, tries };
            // Without a note among them, why there is none is yet to be told.
            let whole = all && (along.is_none() || moves.iter().any(Move::is_note));
            Ok(Step::Done((revision, (!whole).then(|| if all { Vec::new() } else { moves }))))
        }
        Pushed::Refused(text) => Err(refused(repo, to, &text)),
        Pushed::Raced => Ok(Step::Again("somebody else was faster each time".into())),
        Pushed::Unknown(text) => {
            so_far.in_doubt.push((commit, on));
            Ok(Step::Again(text))
        }
    }
}

fn out_of_time(repo: &Repository, to: &Publication, so_far: &SoFar, why: &str) -> Error {
    let error = Error::external(format!(
        "branch `{}` of {} did not take the change in {} tries and {} s: {why}",
        to.branch,
        repo.remote,
        so_far.tries,
        to.deadline.as_secs()
    ));
    if so_far.in_doubt.is_empty() {
        error.hint("the next run tries again")
    } else {
        error.hint("it may have arrived all the same; the next run looks and makes no change twice")
    }
}

fn check_branch(repo: &Repository, to: &Publication, tip: &Tip) -> Result<()> {
    let Tip::Missing { branches } = tip else { return Ok(()) };
    if to.create_branch {
        return Ok(());
    }
    let mut error = Error::guard(format!("{} has no branch `{}`", repo.remote, to.branch));
    if let Some(hint) = did_you_mean(&to.branch, branches.iter().map(String::as_str)) {
        error = error.hint(hint);
    }
    Err(error.hint("if it shall be created: --create-branch"))
}

/// Stops when the branch lost a commit that we saw on it.
pub(super) fn check_history(
    repo: &Repository,
    to: &Publication,
    seen: Option<ObjectId>,
    head: Option<&Commit>,
) -> Result<()> {
    let Some(seen) = seen else { return Ok(()) };
    let error = match head {
        None => format!("branch `{}` was deleted while we delivered; it was at {seen}", to.branch),
        Some(head) if repo.descends(&head.id, &seen)? => return Ok(()),
        Some(head) => format!(
            "branch `{}` was rewritten while we delivered: it was at {seen} and is at {}, which does not contain it",
            to.branch, head.id
        ),
    };
    Err(Error::guard(error).hint("if that was meant, run again"))
}

pub(super) fn refused(repo: &Repository, to: &Publication, text: &str) -> Error {
    Error::guard(format!("{} refuses the change to branch `{}`: {text}", repo.remote, to.branch))
}
