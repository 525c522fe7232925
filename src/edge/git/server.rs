//! Delivery to a repository behind a URL, through its mirror.

use super::beside::Shown;
use super::clock::Clock;
use super::mirror::Mirror;
use super::remote::Remote;
use super::repository::{Glance, Pushed, Tip};
use super::settings::GitSettings;
use super::smart::advert::Advert;
use super::smart::fetch::{Ask, fetch};
use super::smart::push::{Command, How, Outcome, push};
use super::smart::wire::Wire;
use super::store::{Store, from_oid, oid};
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What Git takes for "all of the history".
const MAX_DEPTH: u32 = 0x7fff_ffff;

/// How often and after which time a server that shows an older head is asked again.
const LAGS: u32 = 3;
const LAG: Duration = Duration::from_millis(500);

/// A branch, and the commit it shall move to.
#[derive(Clone, Copy)]
pub(super) struct Swap<'a> {
    /// Its short name.
    pub(super) branch: &'a str,
    /// Its full name.
    pub(super) name: &'a str,
    /// Our commit.
    pub(super) commit: ObjectId,
    /// Where the branch has to be; `None`: nowhere.
    pub(super) expected: Option<ObjectId>,
}

/// A server's repository and its mirror.
pub(super) struct Server {
    pub(super) wire: Wire,
    pub(super) mirror: Mirror,
    pub(super) remote: Remote,
    settings: GitSettings,
    /// Commits of ours that the server does not have yet, with their packs.
    pub(super) pending: RefCell<BTreeMap<ObjectId, PathBuf>>,
    /// What the server last said of references beside the branches.
    pub(super) beside: RefCell<Shown>,
}

impl Server {
    /// Opens the mirror; nothing is asked of the server yet.
    pub(super) fn open(remote: &Remote, settings: &GitSettings) -> Result<(Self, Store)> {
        let wire = Wire::new(remote, settings)?
            .ok_or_else(|| Error::internal(format!("{remote} is on no server")))?;
        let (mirror, repo) = Mirror::open(settings.cache.as_deref(), remote, settings.max_mirror)?;
        let server = Self {
            wire,
            mirror,
            remote: remote.clone(),
            settings: settings.clone(),
            pending: RefCell::default(),
            beside: RefCell::default(),
        };
        Ok((server, Store::new(repo)))
    }

    /// Returns a fresh mirror after this one was found damaged.
    pub(super) fn renewed(&self) -> Result<(Self, Store)> {
        self.mirror.quarantine()?;
        Self::open(&self.remote, &self.settings)
    }

    /// Returns the folder for a commit's pack.
    pub(super) fn outgoing(&self) -> &Path {
        self.mirror.outgoing()
    }

    /// Returns the folder where those who publish through the same mirror queue up.
    pub(super) fn queue(&self) -> PathBuf {
        self.mirror.queue()
    }

    /// Remembers the pack of a commit until it is pushed.
    pub(super) fn remember(&self, commit: ObjectId, pack: PathBuf) {
        self.pending.borrow_mut().insert(commit, pack);
    }

    /// Reads where a branch is, and gets its commit.
    ///
    /// A branch that moves on while a broken connection is made anew is read again: over SSH a
    /// server gives nothing that is no reference's newest commit any more.
    pub(super) fn tip(&self, store: &Store, branch: &str, name: &str, clock: &dyn Clock) -> Result<Tip> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.tip_now(store, branch, name, clock) {
                Err(error) if tried < LAGS && names_no_reference(&error) => {}
                outcome => return outcome,
            }
        }
    }

    fn tip_now(&self, store: &Store, branch: &str, name: &str, clock: &dyn Clock) -> Result<Tip> {
        let _rest = self.wire.rest_at_end();
        // Known first: whoever shares the mirror may note a newer one while we ask.
        let known = self.mirror.tip(branch);
        let mut advert = self.wire.advert("git-upload-pack", clock)?;
        for _ in 0..LAGS {
            let (Some(known), Some(now)) = (known, advert.references.get(name)) else { break };
            if known == *now || !store.reachable(&known)?.contains(now) {
                break;
            }
            // Behind what we saw: a replica that lags, or a branch that was set back.
            clock.sleep(LAG);
            advert = self.wire.advert("git-upload-pack", clock)?;
        }
        self.beside.replace(Shown::in_advert(&advert));
        let Some(id) = advert.references.get(name).copied() else {
            if let Some(known) = known.filter(|_| !self.settings.accept_rewritten) {
                return Err(self.rewritten(branch, &known, None));
            }
            self.mirror.set_tip(branch, None)?;
            let branches = advert.branches();
            return Ok(if branches.is_empty() { Tip::Empty } else { Tip::Missing { branches } });
        };
        if !store.has(&id) {
            let haves = self.haves(store);
            let depth = (haves.is_empty() && advert.can("shallow")).then_some(1);
            self.get(store, id, haves, depth, clock)?;
        }
        if let Some(known) = known.filter(|known| *known != id && !self.settings.accept_rewritten)
            && !self.reaches(store, &id, &known, clock)?
        {
            return Err(self.rewritten(branch, &known, Some(&id)));
        }
        self.mirror.set_tip(branch, Some(&id))?;
        store.commit(&id).map(Tip::Head)
    }

    /// Reads where a branch is that may have been deleted or rewritten.
    pub(super) fn glance(
        &self,
        store: &Store,
        branch: &str,
        name: &str,
        clock: &dyn Clock,
    ) -> Result<Glance> {
        let advert = self.wire.advert("git-upload-pack", clock)?;
        let Some(id) = advert.references.get(name).copied() else {
            let before = self.mirror.tip(branch).filter(|id| store.has(id));
            return Ok(Glance { head: None, before });
        };
        if !store.has(&id) {
            // A branch that is new here may begin below the edge of what is here of its target:
            // then the server would send all that is before it. Its parents are what is looked at.
            let is_new = self.mirror.tip(branch).is_none_or(|before| !store.has(&before));
            let all = !is_new || self.mirror.shallow().is_empty() && !self.haves(store).is_empty();
            let depth = (!all && advert.can("shallow")).then_some(2);
            self.get(store, id, self.haves(store), depth, clock)?;
        }
        self.mirror.set_tip(branch, Some(&id))?;
        Ok(Glance { head: Some(store.commit(&id)?), before: None })
    }

    /// Returns the commit that a branch, a tag or an id names, fetched with nothing before it.
    pub(super) fn revision(
        &self,
        store: &Store,
        revision: &str,
        clock: &dyn Clock,
    ) -> Result<Option<ObjectId>> {
        let _rest = self.wire.rest_at_end();
        let advert = self.wire.advert("git-upload-pack", clock)?;
        let head = (revision == "HEAD").then(|| revision.to_owned());
        let named = [format!("refs/heads/{revision}"), format!("refs/tags/{revision}")]
            .iter()
            .chain(&head)
            .find_map(|name| advert.references.get(name).copied());
        let Some(id) = named.or_else(|| revision.parse().ok()) else { return Ok(None) };
        if !store.has(&id) {
            let depth = advert.can("shallow").then_some(1);
            self.get(store, id, self.haves(store), depth, clock)?;
        }
        let commit = store.repo.find_object(oid(&id), None).and_then(|object| object.peel_to_commit());
        commit.map(|commit| Some(from_oid(commit.id()))).map_err(|e| store.unreadable(revision, e))
    }

    fn rewritten(&self, branch: &str, known: &ObjectId, now: Option<&ObjectId>) -> Error {
        let what = match now {
            None => format!("branch `{branch}` of {} is gone; it was at {known}", self.remote),
            Some(now) => format!(
                "branch `{branch}` of {} was rewritten: it was at {known} and is at {now}, which does not contain it",
                self.remote
            ),
        };
        Error::guard(what).hint("if that was meant, say so: --accept-rewritten")
    }

    pub(super) fn haves(&self, store: &Store) -> Vec<ObjectId> {
        self.mirror.tips().into_iter().filter(|id| store.has(id)).collect()
    }

    fn get(
        &self,
        store: &Store,
        want: ObjectId,
        haves: Vec<ObjectId>,
        depth: Option<u32>,
        clock: &dyn Clock,
    ) -> Result<()> {
        let ask = Ask { want, haves, shallow: self.mirror.shallow(), depth, most: u64::MAX };
        self.get_asked(store, &ask, clock)
    }

    /// Gets what an [`Ask`] names, and moves the edge of the known history.
    pub(super) fn get_asked(&self, store: &Store, ask: &Ask, clock: &dyn Clock) -> Result<()> {
        let want = ask.want;
        let edge = fetch(&self.wire, &store.repo, ask, clock)?;
        self.mirror.move_edge(&edge)?;
        store.refresh()?;
        if store.has(&want) {
            Ok(())
        } else {
            // The pack was checked as it came, so something here hides it.
            store.mark_damaged();
            Err(Error::external(format!("{} sent a pack without commit {want}", self.remote)))
        }
    }

    /// Gets more history of a commit; false if there is no more.
    pub(super) fn deepen(&self, store: &Store, head: ObjectId, clock: &dyn Clock) -> Result<bool> {
        let shallow = self.mirror.shallow();
        if shallow.is_empty() {
            return Ok(false);
        }
        let known = store.reachable(&head)?.len();
        match self.get(store, head, self.haves(store), Some(depth_beyond(known)), clock) {
            Err(error) if names_no_reference(&error) => self.deepen_from_above(store, head, error, clock),
            outcome => outcome.and_then(|()| Ok(store.reachable(&head)?.len() > known)),
        }
    }

    /// Gets more history of a commit that no reference is at: it lies further down, or the
    /// branch moved on since it was read. Over SSH a server gives nothing then but what a
    /// reference is at, so the whole is asked for from there.
    fn deepen_from_above(
        &self,
        store: &Store,
        head: ObjectId,
        refused: Error,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let known = store.reachable(&head)?.len();
        for round in 0..LAGS {
            let _rest = self.wire.rest_at_end();
            let advert = self.wire.advert("git-upload-pack", clock)?;
            let Some((tip, above)) = self.above(store, &advert, &head)? else { break };
            // The way down from a branch that moved on may be longer than one round shows.
            let depth = depth_beyond(above).saturating_mul(8u32.saturating_pow(round)).min(MAX_DEPTH);
            self.get(store, tip, self.haves(store), Some(depth), clock)?;
            let now = store.reachable(&head)?;
            if now.len() > known {
                return Ok(true);
            }
            if !self.mirror.shallow().iter().any(|edge| now.contains(edge)) {
                return Ok(false);
            }
        }
        Err(refused)
    }

    /// Returns where a branch is that contains a commit, as far as is known here, or where one
    /// is now that contained it before; and how many commits are known there.
    fn above(&self, store: &Store, advert: &Advert, commit: &ObjectId) -> Result<Option<(ObjectId, usize)>> {
        let known = |tip: &ObjectId| -> Result<Option<usize>> {
            if !store.has(tip) {
                return Ok(None);
            }
            let all = store.reachable(tip)?;
            Ok(all.contains(commit).then_some(all.len()))
        };
        let mut moved = None;
        for branch in advert.branches() {
            let Some(now) = advert.references.get(&format!("refs/heads/{branch}")) else { continue };
            if let Some(count) = known(now)? {
                return Ok(Some((*now, count)));
            }
            if moved.is_none()
                && let Some(before) = self.mirror.tip(&branch)
                && let Some(count) = known(&before)?
            {
                moved = Some((*now, count));
            }
        }
        Ok(moved)
    }

    /// Looks whether a commit contains another, with as much history as that takes.
    fn reaches(&self, store: &Store, id: &ObjectId, ancestor: &ObjectId, clock: &dyn Clock) -> Result<bool> {
        loop {
            if store.reachable(id)?.contains(ancestor) {
                return Ok(true);
            }
            if !self.deepen(store, *id, clock)? {
                return Ok(false);
            }
        }
    }

    /// Pushes a commit of ours.
    pub(super) fn push(&self, store: &Store, swap: &Swap<'_>, clock: &dyn Clock) -> Result<Pushed> {
        let _rest = self.wire.rest_at_end();
        let advert = self.wire.advert("git-receive-pack", clock)?;
        self.push_to(store, swap, &advert, clock)
    }

    /// Pushes a commit of ours after the server's list of references was read.
    pub(super) fn push_to(
        &self,
        store: &Store,
        swap: &Swap<'_>,
        advert: &Advert,
        clock: &dyn Clock,
    ) -> Result<Pushed> {
        let Swap { branch, name, commit, expected } = *swap;
        let now = advert.references.get(name).copied();
        if now == Some(commit) {
            return self.landed(store, branch, commit);
        }
        if now != expected {
            return Ok(Pushed::Raced);
        }
        let pack = self.pack_of(&commit)?;
        let command = Command { old: expected, new: commit, name };
        let how = How { side_band: advert.can("side-band-64k"), atomic: false };
        match push(&self.wire, how, &[command], &pack)?.pop() {
            Some(Outcome::Known(Pushed::Landed)) => self.landed(store, branch, commit),
            Some(Outcome::Known(pushed)) => Ok(pushed),
            None => Err(Error::internal("a push without a command")),
            Some(Outcome::Unclear(text)) => {
                let now = self.wire.advert("git-upload-pack", clock)?.references.get(name).copied();
                if now == Some(commit) {
                    self.landed(store, branch, commit)
                } else if now != expected {
                    Ok(Pushed::Raced)
                } else {
                    Ok(Pushed::Refused(text))
                }
            }
        }
    }

    /// Returns the pack of a commit that was made here.
    pub(super) fn pack_of(&self, commit: &ObjectId) -> Result<Vec<u8>> {
        let Some(path) = self.pending.borrow().get(commit).cloned() else {
            return Err(Error::internal(format!("commit {commit} was not made here")));
        };
        std::fs::read(&path)
            .map_err(|e| Error::external(format!("cannot read {}", path.display())).because(e))
    }

    pub(super) fn landed(&self, store: &Store, branch: &str, commit: ObjectId) -> Result<Pushed> {
        if let Some(pack) = self.pending.borrow_mut().remove(&commit) {
            // The delivery is done; a mirror that cannot keep it fetches it again.
            if self.mirror.keep(&pack).is_ok() && store.refresh().is_ok() && store.has(&commit) {
                let _ = self.mirror.set_tip(branch, Some(&commit));
            }
        }
        Ok(Pushed::Landed)
    }
}

/// Returns the depth that shows more than so many commits: eight times as much each time makes
/// few requests, and never less than what is here.
fn depth_beyond(known: usize) -> u32 {
    u32::try_from(known).unwrap_or(MAX_DEPTH).saturating_mul(8).clamp(64, MAX_DEPTH)
}

/// Returns true if a server refused a commit because no reference is at it (any more): the
/// words of Git, and of JGit (Gerrit).
fn names_no_reference(error: &Error) -> bool {
    let said = &error.message;
    said.contains("not our ref") || said.contains("server says: want ") && said.ends_with(" not valid")
}
