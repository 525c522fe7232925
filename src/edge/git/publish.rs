//! Publishes a change: make it for the branch's head, push, and make it anew on the next
//! head when somebody else was faster. Never by force, and bounded by time.

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
    /// The longest wait after the first lost race; it doubles up to `longest_wait`.
    pub first_wait: Duration,
    /// The longest wait between two tries.
    pub longest_wait: Duration,
}

impl Publication {
    /// Returns a publication with the usual patience: five minutes, waits of 50 ms to 3 s.
    pub fn new(branch: impl Into<String>, who: Signature) -> Self {
        Self {
            branch: branch.into(),
            create_branch: false,
            who,
            deadline: Duration::from_secs(300),
            first_wait: Duration::from_millis(50),
            longest_wait: Duration::from_secs(3),
        }
    }
}

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
pub fn publish<F>(repo: &mut Repository, to: &Publication, mut make: F) -> Result<Revision>
where
    F: FnMut(&Repository, Option<&Commit>) -> Result<Option<Proposal>>,
{
    let clock = std::sync::Arc::clone(&repo.clock);
    let deadline = clock.now() + to.deadline;
    let mut seen: Option<ObjectId> = None;
    let mut wait = to.first_wait;
    for tries in 1.. {
        if clock.stopping() {
            return Err(Error::external("nothing was delivered: the run was told to stop"));
        }
        let tip = repo.fetch(&to.branch)?;
        check_branch(repo, to, &tip)?;
        let head = tip.head();
        check_history(repo, to, seen, head)?;
        let on = head.map(|c| c.id);
        let unchanged = Revision { commit: on, base: on, landed: Landed::Unchanged, tries };
        let Some(proposal) = make(repo, head)? else { return Ok(unchanged) };
        let commit = repo.commit(on, &proposal.edits, &proposal.message, &to.who)?;
        if Some(commit) == on {
            return Ok(unchanged);
        }
        match repo.push(commit, &to.branch, on)? {
            Pushed::Landed => {
                return Ok(Revision { commit: Some(commit), base: on, landed: Landed::Pushed, tries });
            }
            Pushed::Refused(text) => return Err(refused(repo, to, &text)),
            Pushed::Unknown(text) if clock.now() >= deadline => {
                return Err(Error::external(format!(
                    "it is not known whether the change reached branch `{}` of {}: {text}",
                    to.branch, repo.remote
                ))
                .hint("run again: a change that landed is recognised and not made twice"));
            }
            Pushed::Raced | Pushed::Unknown(_) => {}
        }
        if clock.now() >= deadline {
            return Err(Error::external(format!(
                "branch `{}` of {} moved each time before our change arrived ({tries} tries in {} s)",
                to.branch,
                repo.remote,
                to.deadline.as_secs()
            ))
            .hint("other writers keep it busy; the next run tries again"));
        }
        seen = on;
        clock.sleep(wait.mul_f64(clock.jitter().clamp(0.0, 1.0)));
        wait = (wait * 2).min(to.longest_wait);
    }
    Err(Error::internal("publishing ended without a result"))
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
fn check_history(
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

fn refused(repo: &Repository, to: &Publication, text: &str) -> Error {
    Error::guard(format!("{} refuses the change to branch `{}`: {text}", repo.remote, to.branch))
}
