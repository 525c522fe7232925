//! Which of two commits of the fleet's own repository is the newer one.
//!
//! A slow job with older inputs must not undo a newer delivery; the trailer
//! `Hydrant-Source-Commit` of the delivered commit and the fleet's own commit tell.

use super::repository::Repository;
use crate::error::Result;
use crate::model::tree::ObjectId;
use std::path::Path;

/// How one commit stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// They are one.
    Same,
    /// The first is contained in the second.
    Older,
    /// The first contains the second.
    Newer,
    /// Neither contains the other.
    Apart,
    /// It cannot be told: a commit is not there, or the history is cut off (a shallow clone).
    Unknown,
}

/// Compares two commits of the repository that a folder lies in.
pub fn ancestry(folder: &Path, first: &str, second: &str) -> Ancestry {
    compare(folder, first, second).unwrap_or(Ancestry::Unknown)
}

fn compare(folder: &Path, first: &str, second: &str) -> Option<Ancestry> {
    let first = git2::Oid::from_str(first).ok()?;
    let second = git2::Oid::from_str(second).ok()?;
    if first == second {
        return Some(Ancestry::Same);
    }
    let repo = git2::Repository::discover(folder).ok()?;
    // What is not there at all answers nothing.
    repo.find_commit(first).ok()?;
    repo.find_commit(second).ok()?;
    if repo.graph_descendant_of(second, first).ok()? {
        return Some(Ancestry::Older);
    }
    if repo.graph_descendant_of(first, second).ok()? {
        return Some(Ancestry::Newer);
    }
    // Beyond the edge of a shallow clone either may contain the other.
    Some(if repo.is_shallow() { Ancestry::Unknown } else { Ancestry::Apart })
}

/// How often more history is asked for, eight times as much each time: 64, 512, 4,096, 32,768
/// commits.
const ROUNDS: usize = 4;

impl Repository {
    /// Compares two commits, with as much history as that takes.
    ///
    /// # Errors
    /// A repository that cannot be reached or read.
    pub fn compare(&mut self, first: &str, second: &str) -> Result<Ancestry> {
        if first == second {
            return Ok(Ancestry::Same);
        }
        let (Ok(first), Ok(second)) = (first.parse(), second.parse()) else { return Ok(Ancestry::Unknown) };
        // A server may refuse a commit that no branch contains any more.
        if !self.is_had(&first, second)? || !self.is_had(&second, first)? {
            return Ok(Ancestry::Unknown);
        }
        for _ in 0..ROUNDS {
            if self.descends(&second, &first)? {
                return Ok(Ancestry::Older);
            }
            if self.descends(&first, &second)? {
                return Ok(Ancestry::Newer);
            }
            let more = self.deepen(first)? | self.deepen(second)?;
            if !more {
                return Ok(Ancestry::Apart);
            }
        }
        Ok(Ancestry::Unknown)
    }

    /// Returns true if a commit is here, or can be had. Where a server gives only what a
    /// reference is at, it may still come with the history of another.
    fn is_had(&mut self, commit: &ObjectId, other: ObjectId) -> Result<bool> {
        if self.store.has(commit) || self.fetch_revision(&commit.to_string()).is_ok() {
            return Ok(true);
        }
        let by_itself = self.server.as_ref().is_none_or(|server| !server.wire.gives_references_only());
        if by_itself || !self.store.has(&other) && self.fetch_revision(&other.to_string()).is_err() {
            return Ok(false);
        }
        for _ in 0..ROUNDS {
            if !self.deepen(other)? {
                break;
            }
            if self.store.has(commit) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
