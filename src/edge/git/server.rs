//! Delivery to a repository behind a URL, through its mirror.

use super::clock::Clock;
use super::mirror::Mirror;
use super::repository::{Pushed, Tip};
use super::settings::GitSettings;
use super::smart::fetch::{Ask, fetch};
use super::smart::http::Http;
use super::smart::push::{Command, Outcome, push};
use super::store::{Store, from_oid, oid};
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// What Git takes for "all of the history".
const MAX_DEPTH: u32 = 0x7fff_ffff;

/// How often and after which time a server that shows an older head is asked again.
const LAGS: u32 = 3;
const LAG: Duration = Duration::from_millis(500);

/// A server's repository and its mirror.
pub(super) struct Server {
    http: Http,
    mirror: Mirror,
    url: Url,
    settings: GitSettings,
    /// Commits of ours that the server does not have yet, with their packs.
    pending: RefCell<BTreeMap<ObjectId, PathBuf>>,
}

impl Server {
    /// Opens the mirror; nothing is asked of the server yet.
    pub(super) fn open(url: &Url, settings: &GitSettings) -> Result<(Self, Store)> {
        let http = Http::new(url, settings)?;
        let (mirror, repo) = Mirror::open(settings.cache.as_deref(), url, settings.max_mirror)?;
        let server =
            Self { http, mirror, url: url.clone(), settings: settings.clone(), pending: RefCell::default() };
        Ok((server, Store::new(repo)))
    }

    /// Returns a fresh mirror after this one was found damaged.
    pub(super) fn renewed(&self) -> Result<(Self, Store)> {
        self.mirror.quarantine()?;
        Self::open(&self.url, &self.settings)
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
    pub(super) fn tip(&self, store: &Store, branch: &str, name: &str, clock: &dyn Clock) -> Result<Tip> {
        // Known first: whoever shares the mirror may note a newer one while we ask.
        let known = self.mirror.tip(branch);
        let mut advert = self.http.advert("git-upload-pack", clock)?;
        for _ in 0..LAGS {
            let (Some(known), Some(now)) = (known, advert.references.get(name)) else { break };
            if known == *now || !store.reachable(&known)?.contains(now) {
                break;
            }
            // Behind what we saw: a replica that lags, or a branch that was set back.
            clock.sleep(LAG);
            advert = self.http.advert("git-upload-pack", clock)?;
        }
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

    /// Returns the commit that a branch, a tag or an id names, fetched with nothing before it.
    pub(super) fn revision(
        &self,
        store: &Store,
        revision: &str,
        clock: &dyn Clock,
    ) -> Result<Option<ObjectId>> {
        let advert = self.http.advert("git-upload-pack", clock)?;
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
            None => format!("branch `{branch}` of {} is gone; it was at {known}", self.url),
            Some(now) => format!(
                "branch `{branch}` of {} was rewritten: it was at {known} and is at {now}, which does not contain it",
                self.url
            ),
        };
        Error::guard(what).hint("if that was meant, say so: --accept-rewritten")
    }

    fn haves(&self, store: &Store) -> Vec<ObjectId> {
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
        let ask = Ask { want, haves, shallow: self.mirror.shallow(), depth };
        let edge = fetch(&self.http, &store.repo, &ask, clock)?;
        self.mirror.move_edge(&edge)?;
        store.refresh()?;
        if store.has(&want) {
            Ok(())
        } else {
            // The pack was checked as it came, so something here hides it.
            store.mark_damaged();
            Err(Error::external(format!("{} sent a pack without commit {want}", self.url)))
        }
    }

    /// Gets more history of a commit; false if there is no more.
    pub(super) fn deepen(&self, store: &Store, head: ObjectId, clock: &dyn Clock) -> Result<bool> {
        let shallow = self.mirror.shallow();
        if shallow.is_empty() {
            return Ok(false);
        }
        let known = store.reachable(&head)?.len();
        // Eight times as much each time: few requests, and never less than what is here.
        let depth = u32::try_from(known).unwrap_or(MAX_DEPTH).saturating_mul(8).clamp(64, MAX_DEPTH);
        self.get(store, head, self.haves(store), Some(depth), clock)?;
        Ok(store.reachable(&head)?.len() > known)
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
    pub(super) fn push(
        &self,
        store: &Store,
        branch: &str,
        name: &str,
        commit: ObjectId,
        expected: Option<ObjectId>,
        clock: &dyn Clock,
    ) -> Result<Pushed> {
        let advert = self.http.advert("git-receive-pack", clock)?;
        let now = advert.references.get(name).copied();
        if now == Some(commit) {
            return self.landed(store, branch, commit);
        }
        if now != expected {
            return Ok(Pushed::Raced);
        }
        let Some(path) = self.pending.borrow().get(&commit).cloned() else {
            return Err(Error::internal(format!("commit {commit} was not made here")));
        };
        let pack = std::fs::read(&path)
            .map_err(|e| Error::external(format!("cannot read {}", path.display())).because(e))?;
        let command = Command { old: expected, new: commit, name };
        match push(&self.http, advert.can("side-band-64k"), &command, &pack)? {
            Outcome::Known(Pushed::Landed) => self.landed(store, branch, commit),
            Outcome::Known(pushed) => Ok(pushed),
            Outcome::Unclear(text) => {
                let now = self.http.advert("git-upload-pack", clock)?.references.get(name).copied();
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

    fn landed(&self, store: &Store, branch: &str, commit: ObjectId) -> Result<Pushed> {
        if let Some(pack) = self.pending.borrow_mut().remove(&commit) {
            // The delivery is done; a mirror that cannot keep it fetches it again.
            if self.mirror.keep(&pack).is_ok() && store.refresh().is_ok() && store.has(&commit) {
                let _ = self.mirror.set_tip(branch, Some(&commit));
            }
        }
        Ok(Pushed::Landed)
    }
}
