//! The record of a run in the git note of its commit, as it is made when the change is pushed.

use super::Run;
use crate::edge::embedded::renderer;
use crate::edge::git::{Made, Note};
use crate::follow::run_id;
use crate::message::Trailers;
use crate::model::fleet::Destination;
use crate::model::target::ChangeSet;
use crate::model::tree::ObjectId;
use crate::owed::Known;
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
            followed: followed.map(|followed| (to.branch.clone(), followed)).into_iter().collect(),
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
