//! What the notes of a repository say of a branch.

use super::line_of;
use crate::edge::git::{Commit, Noted, Repository, last_of_ours};
use crate::error::{Violation, Violations};
use crate::model::fleet::Destination;
use crate::model::tree::ObjectId;
use crate::record::{Followed, Found, Record};

/// What the notes say of a branch.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Our last commit, whose note is written on; none if it must not be.
    pub last: Option<ObjectId>,
    /// Up to where its Applications were followed; none without a record.
    pub followed: Option<Followed>,
}

/// Reads what the notes say of a branch whose head is at hand. What cannot be read is a
/// warning and counts as nothing.
pub fn known(
    repository: &Repository,
    head: &Commit,
    fleet: &str,
    to: &Destination,
    notices: &mut Violations,
) -> Known {
    let line = line_of(to);
    let ours = last_of_ours(repository, head, fleet);
    let mut known = Known { last: ours.ok().flatten().map(|commit| commit.id), followed: None };
    let mut unreadable = |why: String| notices.push(not_read(&why));
    if let Some(last) = known.last {
        match repository.note(&last).map(|text| text.map(|text| Record::read(&text))) {
            Ok(Some(Found::Record(record))) if record.fleet == fleet => {
                known.followed = record.followed.get(&line).cloned();
                if known.followed.is_some() {
                    return known;
                }
            }
            Ok(Some(Found::Newer)) => {
                unreadable(format!("the note of {} was written by a newer Hydrant", last.short()));
                known.last = None;
            }
            Ok(Some(_)) => unreadable(format!("the note of {} is no record of ours", last.short())),
            Ok(None) => {}
            Err(error) => {
                unreadable(error.message);
                return known;
            }
        }
    }
    // Its push may have failed, or a forge made another commit of ours: what an earlier
    // record says is still true of the commit that it names.
    known.followed = newest(repository, fleet, &line);
    known
}

/// Returns what the newest record of a branch says.
fn newest(repository: &Repository, fleet: &str, line: &str) -> Option<Followed> {
    let mut newest: Option<(String, Followed)> = None;
    for (_, text) in repository.notes().ok()? {
        if let Found::Record(record) = Record::read(&text)
            && record.fleet == fleet
            && let Some(followed) = record.followed.get(line)
            && newest.as_ref().is_none_or(|(time, _)| *time < record.time)
        {
            newest = Some((record.time, followed.clone()));
        }
    }
    newest.map(|(_, followed)| followed)
}

/// Says that a note was not written; the delivery stands.
pub fn tell(noted: &Noted, notices: &mut Violations) {
    if let Noted::Failed(why) = noted {
        notices.push(
            Violation::warning(format!("the run's record was not written to refs/notes/hydrant: {why}"))
                .hint(
                    "the delivery stands; without the record another agent asks Argo CD itself what is owed",
                ),
        );
    }
}

fn not_read(why: &str) -> Violation {
    Violation::warning(format!("the record of the last run cannot be read: {why}"))
        .hint("look at it: git notes --ref=hydrant show <commit>; Argo CD is asked instead")
}
