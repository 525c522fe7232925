//! The states that a branch had since a commit.

use super::repository::Repository;
use crate::error::Result;
use crate::model::tree::ObjectId;

/// The most commits that are fetched and looked through.
const LOOK_BACK: usize = 4096;

/// Returns the commits that a branch stood at after `base`, the newest first; none if the
/// branch does not contain `base`, or so deep that it is not looked for.
///
/// A branch moves along first parents: what a merge brought in from the side was not live.
/// More history is fetched only until `base` is here.
pub fn states_since(repo: &Repository, head: ObjectId, base: ObjectId) -> Result<Option<Vec<ObjectId>>> {
    while repo.read_commit(&base).is_err() {
        if repo.store.reachable(&head)?.len() >= LOOK_BACK || !repo.deepen(head)? {
            return Ok(None);
        }
    }
    // The edge of what is here may lie between the two.
    while !repo.descends(&head, &base)? {
        if repo.store.reachable(&head)?.len() >= LOOK_BACK || !repo.deepen(head)? {
            return Ok(None);
        }
    }
    let before = repo.store.reachable(&base)?;
    let (mut states, mut at) = (Vec::new(), head);
    while !before.contains(&at) {
        states.push(at);
        let commit = repo.read_commit(&at)?;
        // The base may have been merged from the side; then this line has no state of it.
        let Some(parent) = commit.parents.first().filter(|id| repo.store.has(id)) else { break };
        if states.len() >= LOOK_BACK {
            return Ok(None);
        }
        at = *parent;
    }
    Ok(Some(states))
}
