//! What persons allowed once, and a proposal keeps for as long as it waits: without that, the
//! next run without the flag would take the deletion back out of the request.

use crate::config::DeliveryRequest;
use crate::edge::git::Commit;
use crate::message::Trailers;
use crate::stage::diff::AllowDelete;

/// The trailers that keep it in the proposal's commit.
const KEPT: [&str; 3] = ["Hydrant-Allow-Delete", "Hydrant-Adopt", "Hydrant-Release"];

/// Deletions, folders given to us, and rollbacks ended, as the flags name them.
#[derive(Clone, Default)]
pub(super) struct Allowed {
    delete: Vec<String>,
    /// Folders without our mark that are given to us.
    pub(super) adopt: Vec<String>,
    /// Rollbacks that are ended.
    pub(super) release: Vec<String>,
}

impl Allowed {
    /// Returns what a run was told.
    pub(super) fn of(request: &DeliveryRequest) -> Self {
        Self {
            delete: request.allow_delete.clone(),
            adopt: request.adopt.clone(),
            release: request.release.clone(),
        }
    }

    /// Adds what the waiting proposal was made with.
    pub(super) fn with(mut self, waiting: Option<&Commit>) -> Self {
        for line in waiting.iter().flat_map(|commit| commit.message.lines()) {
            let Some((key, value)) = line.split_once(": ") else { continue };
            let lists = KEPT.iter().zip([&mut self.delete, &mut self.adopt, &mut self.release]);
            for (_, list) in lists.filter(|(known, _)| **known == key) {
                if !list.iter().any(|known| known == value) {
                    list.push(value.to_owned());
                }
            }
        }
        self
    }

    /// Returns the deletions, with those of `hydrant.yaml`.
    pub(super) fn deletions(&self, listed: &[String]) -> AllowDelete {
        AllowDelete::new(self.delete.iter().chain(listed).cloned())
    }

    /// Adds the trailers that keep it.
    pub(super) fn keep(&self, trailers: Trailers) -> Trailers {
        let lists = KEPT.iter().zip([&self.delete, &self.adopt, &self.release]);
        lists
            .flat_map(|(key, list)| list.iter().map(move |value| (*key, value)))
            .fold(trailers, |all, (key, value)| all.with(key, value))
    }
}
