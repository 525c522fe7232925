//! References beside the branches on a server: reading them, and moving them with a branch.

use super::super::clock::Clock;
use super::super::repository::Pushed;
use super::super::server::{Server, Swap};
use super::super::smart::advert::Advert;
use super::super::smart::fetch::{Ask, Edge};
use super::super::smart::push::{Command, How, Outcome, push};
use super::super::store::Store;
use super::{Move, Moved, NOTES, OURS};
use crate::error::Result;
use crate::model::tree::ObjectId;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The most bytes of notes that are fetched. Ours are kept to some hundred kilobytes.
const MOST_NOTES: u64 = 64 << 20;

/// The most bytes that are fetched on the word of `refs/hydrant/…`. Where its commit is no
/// ancestor, or somebody merged an old branch, the answer would be the whole history.
const MOST_BRIDGE: u64 = 8 << 20;

/// What a server last said of references beside the branches.
#[derive(Debug, Default)]
pub(in super::super) struct Shown {
    references: BTreeMap<String, ObjectId>,
    can_shallow: bool,
}

impl Shown {
    /// Keeps what concerns us of a server's list.
    pub(in super::super) fn in_advert(advert: &Advert) -> Self {
        let ours = |name: &str| name == NOTES || name.starts_with(OURS);
        let all = advert.references.iter().filter(|(name, _)| ours(name));
        Self { references: all.map(|(n, id)| (n.clone(), *id)).collect(), can_shallow: advert.can("shallow") }
    }
}

impl Server {
    /// Returns where a reference beside the branches was when the server last told.
    pub(super) fn shown(&self, name: &str) -> Option<ObjectId> {
        self.beside.borrow().references.get(name).copied()
    }

    /// Asks the server again where its references are.
    pub(super) fn look(&self, clock: &dyn Clock) -> Result<()> {
        let advert = self.wire.advert("git-upload-pack", clock)?;
        self.beside.replace(Shown::in_advert(&advert));
        Ok(())
    }

    /// Gets the newest notes: their tip alone with an empty cache, what came since otherwise.
    pub(super) fn notes_tip(&self, store: &Store, clock: &dyn Clock) -> Result<Option<ObjectId>> {
        let known = self.mirror.tip(NOTES).filter(|known| store.has(known));
        let Some(id) = self.shown(NOTES) else {
            self.mirror.set_tip(NOTES, None)?;
            return Ok(None);
        };
        if !store.has(&id) {
            let alone = known.is_none() && self.beside.borrow().can_shallow;
            let (haves, shallow) = (self.haves(store), self.mirror.shallow());
            let ask = Ask { want: id, haves, shallow, depth: alone.then_some(1), most: MOST_NOTES };
            self.get_asked(store, &ask, clock)?;
        }
        if known != Some(id) {
            self.mirror.set_tip(NOTES, Some(&id))?;
        }
        Ok(Some(id))
    }

    /// Gets the history between a commit and one that is said to lie before it.
    ///
    /// Nothing is believed: the caller walks the commits that came. Failing is no loss.
    pub(super) fn bridge(
        &self,
        store: &Store,
        head: &ObjectId,
        from: ObjectId,
        clock: &dyn Clock,
    ) -> Result<()> {
        if store.commit(head)?.parents.contains(&from) {
            let (haves, shallow) = (self.haves(store), self.mirror.shallow());
            let ask = Ask { want: *head, haves, shallow, depth: Some(2), most: u64::MAX };
            return self.get_asked(store, &ask, clock);
        }
        if !store.has(&from) {
            let (haves, shallow) = (self.haves(store), self.mirror.shallow());
            let ask = Ask { want: from, haves, shallow, depth: Some(1), most: u64::MAX };
            self.get_asked(store, &ask, clock)?;
        }
        // As if the head were not here: then the server sends all of its history back to `from`.
        let known = store.reachable(head)?;
        let (cut, shallow): (Vec<_>, Vec<_>) =
            self.mirror.shallow().into_iter().partition(|id| known.contains(id));
        let ask = Ask { want: *head, haves: vec![from], shallow, depth: None, most: MOST_BRIDGE };
        self.get_asked(store, &ask, clock)?;
        self.mirror.move_edge(&Edge { shallow: Vec::new(), unshallow: cut })
    }

    /// Pushes a commit of ours and what goes along with it, all at once where the server can.
    ///
    /// Whatever becomes of the rest, the branch is pushed as if it were alone.
    pub(super) fn push_along(
        &self,
        store: &Store,
        swap: &Swap<'_>,
        along: &[Move],
        clock: &dyn Clock,
    ) -> Result<(Pushed, bool)> {
        let Swap { branch, name, commit, expected } = *swap;
        let _rest = self.wire.rest_at_end();
        let advert = self.wire.advert("git-receive-pack", clock)?;
        let now = |name: &str| advert.references.get(name).copied();
        let free = now(name) == expected && expected != Some(commit);
        let still = along.iter().all(|beside| now(&beside.name) == beside.old);
        if free && still && !along.is_empty() && advert.can("atomic") {
            let pack = self.pack_of(&commit)?;
            let mut commands = vec![Command { old: expected, new: commit, name }];
            commands.extend(along.iter().map(Move::command));
            let how = How { side_band: advert.can("side-band-64k"), atomic: true };
            let outcomes = push(&self.wire, how, &commands, &pack)?;
            match outcomes.first() {
                Some(Outcome::Known(Pushed::Landed)) => {
                    let pushed = self.landed(store, branch, commit)?;
                    self.moved(store, along);
                    return Ok((pushed, true));
                }
                Some(Outcome::Known(Pushed::Unknown(text))) => {
                    return Ok((Pushed::Unknown(text.clone()), false));
                }
                // Whether the branch or what goes along is refused, the branch alone tells.
                _ => {}
            }
        }
        self.push_to(store, swap, &advert, clock).map(|pushed| (pushed, false))
    }

    /// Moves references beside the branches; each for itself.
    pub(super) fn push_beside(
        &self,
        store: &Store,
        moves: &[Move],
        pack: Option<PathBuf>,
        clock: &dyn Clock,
    ) -> Result<Vec<Moved>> {
        let _rest = self.wire.rest_at_end();
        let advert = self.wire.advert("git-receive-pack", clock)?;
        let still = |beside: &&Move| advert.references.get(&beside.name).copied() == beside.old;
        let due: Vec<&Move> = moves.iter().filter(still).collect();
        let bytes = match &pack {
            Some(path) => std::fs::read(path).map_err(|e| {
                crate::error::Error::external(format!("cannot read {}", path.display())).because(e)
            })?,
            None => empty_pack(),
        };
        let commands: Vec<Command<'_>> = due.iter().map(|beside| beside.command()).collect();
        let how = How { side_band: advert.can("side-band-64k"), atomic: false };
        let outcomes = match commands.is_empty() {
            true => Vec::new(),
            false => push(&self.wire, how, &commands, &bytes)?,
        };
        let came = |beside: &Move| {
            let place = due.iter().position(|other| other.name == beside.name)?;
            outcomes.get(place)
        };
        let moved: Vec<Moved> = moves.iter().map(|beside| Moved::from(came(beside))).collect();
        if let Some(pack) = pack.filter(|_| moved.contains(&Moved::Yes)) {
            // A mirror that cannot keep it fetches it again.
            let _ = self.mirror.keep(&pack).and_then(|()| store.refresh());
        }
        let done = moves.iter().zip(&moved).filter(|(_, moved)| **moved == Moved::Yes);
        let done: Vec<Move> = done.map(|(beside, _)| beside.clone()).collect();
        self.moved(store, &done);
        Ok(moved)
    }

    /// Remembers where references are after we moved them.
    fn moved(&self, store: &Store, moves: &[Move]) {
        for beside in moves {
            self.beside.borrow_mut().references.insert(beside.name.clone(), beside.new);
            if beside.name == NOTES && store.has(&beside.new) {
                let _ = self.mirror.set_tip(NOTES, Some(&beside.new));
            }
        }
    }
}

impl From<Option<&Outcome>> for Moved {
    fn from(outcome: Option<&Outcome>) -> Self {
        match outcome {
            Some(Outcome::Known(Pushed::Landed)) => Moved::Yes,
            Some(Outcome::Known(Pushed::Refused(text))) => Moved::Refused(text.clone()),
            Some(Outcome::Known(Pushed::Unknown(text)) | Outcome::Unclear(text)) => {
                Moved::Unclear(text.clone())
            }
            // Somebody else moved it first.
            Some(Outcome::Known(Pushed::Raced)) | None => Moved::Raced,
        }
    }
}

/// Returns a pack without objects: all that is named is there already.
fn empty_pack() -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02\0\0\0\0".to_vec();
    let checksum = Sha1::digest(&pack);
    pack.extend_from_slice(&checksum);
    pack
}
