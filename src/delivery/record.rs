//! The record of a run in the git note of its commit, as it is made when the change is pushed.

use super::Run;
use crate::edge::embedded::{builtin, renderer};
use crate::edge::git::{Made, Note, Repository};
use crate::error::{Result, Violations};
use crate::follow::run_id;
use crate::message::Trailers;
use crate::model::fleet::Destination;
use crate::model::target::ChangeSet;
use crate::model::tree::ObjectId;
use crate::owed::{self, Known, line_of};
use crate::record::{Changes, Record, SCHEMA, Source, Target, outlived};

impl Run<'_> {
    /// Returns the record of a commit that is about to be pushed.
    pub(super) fn record_of(
        &self,
        to: &Destination,
        changes: &ChangeSet,
        trailers: &Trailers,
        known: Option<&Known>,
        made: &Made,
    ) -> Record {
        let changed = changes.clusters.iter().filter(|(_, change)| !change.is_empty());
        let clusters = changed.map(|(id, change)| {
            let changes = Changes {
                added: change.added,
                changed: change.changed,
                removed: change.removed,
                units: change.units.len(),
                listed: change.units.clone(),
            };
            (id.to_string(), changes)
        });
        // Of an empty repository nothing was ever followed, and nothing is there to follow.
        let followed = known.and_then(|known| known.followed.clone());
        Record {
            clusters: clusters.collect(),
            followed: followed.map(|followed| (line_of(to), followed)).into_iter().collect(),
            inputs: trailers.inputs().to_owned(),
            source: Source {
                name: trailers.source().to_owned(),
                commit: self.definitions.source.commit.clone(),
            },
            destination: Target {
                base: made.base.map(|base| base.to_string()),
                tries: made.tries,
                ..target_of(to)
            },
            ..blank(&self.fleet.name, to, &made.commit, self.request.seconds)
        }
    }

    /// Writes the record of a commit that was pushed without one: a proposal.
    pub(super) fn note_pushed(
        &self,
        repository: &mut Repository,
        to: &Destination,
        changes: &ChangeSet,
        made: &Made,
        notices: &mut Violations,
    ) -> Result<()> {
        let trailers = Trailers::of(self.definitions, self.fleet, builtin());
        let head = made.base.and_then(|base| repository.read_commit(&base).ok());
        let known = head.map(|head| owed::known(repository, &head, &self.fleet.name, to, notices));
        let text = self.record_of(to, changes, &trailers, known.as_ref(), made).bytes();
        let outlived = |notes: &[Note]| self.outlived(notes, to);
        let first = |there: Option<&[u8]>| there.is_none().then(|| text.clone());
        let noted = repository.note_later(made.commit, &self.signature()?, &outlived, &first);
        owed::tell(&noted, notices);
        Ok(())
    }

    /// Picks the commits whose notes go.
    pub(super) fn outlived(&self, notes: &[Note], to: &Destination) -> Vec<ObjectId> {
        outlived(notes, &self.fleet.name, &to.branch)
    }
}

/// Returns a record of a commit of ours of which nothing else is known.
pub fn blank(fleet: &str, to: &Destination, commit: &ObjectId, seconds: i64) -> Record {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Record {
        schema: SCHEMA,
        run: run_id(commit, seconds),
        time: time.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        templates: renderer().rsplit(' ').next().unwrap_or_default().to_owned(),
        fleet: fleet.to_owned(),
        destination: target_of(to),
        ..Record::default()
    }
}

fn target_of(to: &Destination) -> Target {
    // A path of this machine says nothing elsewhere.
    let name = to.repo.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let repo = if to.repo.contains("://") { to.repo.as_str() } else { name };
    Target { repo: repo.to_owned(), branch: to.branch.clone(), ..Target::default() }
}
