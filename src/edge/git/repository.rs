//! A repository that is delivered to: read its branch, write a commit, move the branch.

use super::beside::Beside;
use super::clock::{Clock, SystemClock};
use super::local;
use super::loose::LooseWriter;
use super::mirror::Mirror;
use super::pack::PackWriter;
use super::queue::Turn;
use super::remote::Remote;
use super::server::{Server, Swap};
use super::settings::GitSettings;
use super::signing::Signer;
use super::store::{Commit, Store};
use super::write::{Draft, Signature, Sink, write_tree};
use crate::error::{Error, Result};
use crate::model::tree::{BaseTree, Edit, Entry, EntryKind, ObjectId};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// What a branch is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tip {
    /// The repository has no commit at all.
    Empty,
    /// The repository has other branches, but not this one.
    Missing {
        /// The names of those it has, sorted.
        branches: Vec<String>,
    },
    /// The branch's newest commit.
    Head(Commit),
}

impl Tip {
    /// Returns the newest commit, if there is one.
    pub fn head(&self) -> Option<&Commit> {
        match self {
            Tip::Head(commit) => Some(commit),
            _ => None,
        }
    }
}

/// A branch that may have been deleted or rewritten since it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Its newest commit, if it is there.
    pub head: Option<Commit>,
    /// Where it was when it was last seen, if it is gone and that commit is still at hand.
    pub before: Option<ObjectId>,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch is at our commit.
    Landed,
    /// Somebody else moved the branch first.
    Raced,
    /// The server does not want it: its text, cleaned for a terminal.
    Refused(String),
    /// The connection ended before the answer: read the branch again.
    Unknown(String),
}

/// Up to this many edits each object is written to a file of its own.
const FEW_EDITS: usize = 4;
/// The same where many packs lie around: every look-up asks each of them.
const FEW_EDITS_AMONG_PACKS: usize = 64;
const MANY_PACKS: usize = 50;

/// An open repository.
pub struct Repository {
    pub(super) store: Store,
    pub(super) remote: Remote,
    pub(super) clock: Arc<dyn Clock + Send + Sync>,
    pub(super) server: Option<Server>,
    created: bool,
    committer: Option<(String, String)>,
    signer: Option<Arc<Signer>>,
    /// It has signed once.
    signer_works: Cell<bool>,
    /// What is known of notes and of the fleet's own reference.
    pub(super) beside: Beside,
}

impl Repository {
    /// Opens a repository with the machine's clock.
    ///
    /// A missing or empty local folder becomes a bare repository if the settings say so
    /// ([`Repository::created`] tells).
    pub fn open(remote: &Remote, settings: &GitSettings) -> Result<Self> {
        Self::open_with(remote, settings, Arc::new(SystemClock::new()))
    }

    /// Opens a repository with a clock of the caller's.
    pub fn open_with(
        remote: &Remote,
        settings: &GitSettings,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Result<Self> {
        let (store, server, created) = match remote {
            Remote::Local(path) => {
                let (repo, created) = local::open_or_create(path, settings.create)?;
                (Store::new(repo), None, created)
            }
            Remote::Http(_) | Remote::Ssh(_) => {
                let (server, store) = Server::open(remote, settings)?;
                (store, Some(server), false)
            }
        };
        Ok(Self {
            store,
            remote: remote.clone(),
            clock,
            server,
            created,
            committer: settings.committer.clone(),
            signer: settings.signer.clone(),
            signer_works: Cell::new(false),
            beside: Beside::default(),
        })
    }

    /// Sets a damaged mirror aside and opens a fresh one; false if nothing is damaged or the
    /// repository is no mirror.
    pub(super) fn renew_if_damaged(&mut self) -> Result<bool> {
        let Some(server) = self.server.as_ref().filter(|_| self.store.damaged()) else { return Ok(false) };
        let (server, store) = server.renewed()?;
        self.server = Some(server);
        self.store = store;
        Ok(true)
    }

    /// Waits until it is this process' turn among those of the machine that share the mirror.
    /// None where nothing is shared, or where the turn does not come in time: then it goes on
    /// without one.
    pub(super) fn turn(&self, patience: Duration) -> Option<Turn> {
        // A local repository has no round trip to lose.
        Turn::take(&self.server.as_ref()?.queue(), self.clock.as_ref(), patience)
    }

    /// Returns true if opening it created it.
    pub fn created(&self) -> bool {
        self.created
    }

    /// Returns the address it was opened by.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns true if a branch was read before by way of this cache folder, so that only what
    /// came since is to be got; true for a repository on this machine.
    pub fn has_seen(remote: &Remote, settings: &GitSettings, branch: &str) -> bool {
        match (remote, &settings.cache) {
            (Remote::Local(_), _) => true,
            (_, Some(cache)) => Mirror::has_seen(cache, remote, branch),
            (_, None) => false,
        }
    }

    /// Reads what a branch is at now.
    pub fn fetch(&mut self, branch: &str) -> Result<Tip> {
        let name = full_name(branch)?;
        self.store.refresh()?;
        self.beside.branch = branch.to_owned();
        match &self.server {
            Some(server) => server.tip(&self.store, branch, &name, self.clock.as_ref()),
            None => local::tip(&self.store, &name),
        }
    }

    /// Reads what a branch that comes and goes is at now: the branch of a merge request, which
    /// forges delete and rewrite. Neither is an error here.
    pub fn glance(&mut self, branch: &str) -> Result<Glance> {
        let name = full_name(branch)?;
        self.store.refresh()?;
        match &self.server {
            Some(server) => server.glance(&self.store, branch, &name, self.clock.as_ref()),
            None => Ok(Glance { head: local::tip(&self.store, &name)?.head().cloned(), before: None }),
        }
    }

    /// Reads the commit that a branch, a tag or a full commit id names now.
    ///
    /// For a fleet that lies in a repository: nothing is remembered, and a branch that was
    /// rewritten is no error.
    pub fn fetch_revision(&mut self, revision: &str) -> Result<Commit> {
        self.store.refresh()?;
        let found = match &self.server {
            Some(server) => server.revision(&self.store, revision, self.clock.as_ref())?,
            None => local::revision(&self.store, revision)?,
        };
        match found {
            Some(id) => self.store.commit(&id),
            None => Err(Error::input(format!(
                "{} has no branch, tag or commit `{}`",
                self.remote,
                revision.escape_debug()
            ))),
        }
    }

    /// Returns a commit that is at hand.
    pub fn read_commit(&self, id: &ObjectId) -> Result<Commit> {
        if !self.store.has(id) {
            return Err(Error::external(format!("commit {id} of {} is not at hand", self.remote)));
        }
        self.store.commit(id)
    }

    /// Returns the tree of a commit, or an empty one.
    pub fn tree(&self, commit: Option<ObjectId>) -> Result<GitTree<'_>> {
        let root = match commit {
            Some(id) => Some(self.store.commit(&id)?.tree),
            None => None,
        };
        Ok(GitTree { store: &self.store, root })
    }

    /// Writes a commit on top of another (or a first one); no branch moves.
    ///
    /// On a server's repository the new commit can be read only once it is pushed.
    /// Edits that change nothing make no commit: then `on` is returned. With no edit at all
    /// and nothing to stand on, the commit holds an empty tree.
    pub fn commit(
        &self,
        on: Option<ObjectId>,
        edits: &[Edit],
        message: &str,
        who: &Signature,
    ) -> Result<ObjectId> {
        let parents: Vec<ObjectId> = on.into_iter().collect();
        self.commit_with(&parents, on, edits, message, who, &mut |_, _| Ok(()))
    }

    /// Writes a commit with these parents whose tree is that of `on` with the edits.
    pub fn commit_merge(
        &self,
        parents: &[ObjectId],
        on: ObjectId,
        edits: &[Edit],
        message: &str,
        who: &Signature,
    ) -> Result<ObjectId> {
        self.commit_with(parents, Some(on), edits, message, who, &mut |_, _| Ok(()))
    }

    /// As [`Repository::commit`], with these parents; `more` adds to what is written, once the
    /// commit is known.
    pub(super) fn commit_with(
        &self,
        parents: &[ObjectId],
        on: Option<ObjectId>,
        edits: &[Edit],
        message: &str,
        who: &Signature,
        more: &mut dyn FnMut(&mut Sink, ObjectId) -> Result<()>,
    ) -> Result<ObjectId> {
        if let (Some(signer), false) = (&self.signer, self.signer_works.get()) {
            signer.check()?;
            self.signer_works.set(true);
        }
        let base = on.map(|id| self.store.commit(&id)).transpose()?;
        let git_dir = self.store.git_dir();
        let few = |most: usize| edits.len() <= most && !edits.iter().any(|e| matches!(e, Edit::Graft { .. }));
        let mut sink = match &self.server {
            // What a push sends; it joins the mirror once the server has it.
            Some(server) => Sink::Pack(Box::new(PackWriter::new(server.outgoing(), false)?)),
            None if few(FEW_EDITS) || few(FEW_EDITS_AMONG_PACKS) && local::packs(git_dir) > MANY_PACKS => {
                Sink::Loose(LooseWriter::new(git_dir))
            }
            None => Sink::Pack(Box::new(PackWriter::new(&git_dir.join("objects/pack"), true)?)),
        };
        let written = write_tree(&self.store, &mut sink, base.as_ref().map(|c| c.tree), edits)?;
        if let (Some(on), false) = (on, written.changed)
            && parents == [on]
        {
            return Ok(on);
        }
        let mut not_before = i64::MIN;
        for parent in parents {
            not_before = not_before.max(self.store.commit(parent)?.seconds);
        }
        let draft = Draft {
            tree: written.tree,
            parents,
            author: who,
            committer: self.committer.as_ref(),
            not_before,
            message,
        };
        let id = draft.write(&mut sink, self.signer.as_deref())?;
        more(&mut sink, id)?;
        let pack = sink.finish()?;
        match (&self.server, pack) {
            (Some(server), Some(pack)) => server.remember(id, pack),
            _ => self.store.refresh()?,
        }
        Ok(id)
    }

    /// Moves a branch from `expected` (`None`: it must not exist) to a commit made on it.
    ///
    /// Never by force: if the branch is elsewhere by now, nothing happens.
    pub fn push(&mut self, commit: ObjectId, branch: &str, expected: Option<ObjectId>) -> Result<Pushed> {
        let name = full_name(branch)?;
        if let Some(server) = &self.server {
            let swap = Swap { branch, name: &name, commit, expected };
            return server.push(&self.store, &swap, self.clock.as_ref());
        }
        let made = self.store.commit(&commit)?;
        if let Some(expected) = expected
            && commit != expected
            && !made.parents.contains(&expected)
        {
            return Err(Error::internal(format!("commit {commit} was not made on {expected}")));
        }
        local::push(&self.store, &name, &commit, expected, self.clock.as_ref())
    }

    /// Returns true if `ancestor` can be reached from `id` through the commits at hand.
    pub fn descends(&self, id: &ObjectId, ancestor: &ObjectId) -> Result<bool> {
        Ok(self.store.reachable(id)?.contains(ancestor))
    }

    /// Returns true if `ancestor` can be reached from `id`, with as much history as that takes.
    pub fn contains(&self, id: &ObjectId, ancestor: &ObjectId) -> Result<bool> {
        loop {
            if self.descends(id, ancestor)? {
                return Ok(true);
            }
            if !self.deepen(*id)? {
                return Ok(false);
            }
        }
    }

    /// Gets more history of a commit from the server; false if there is no more.
    pub fn deepen(&self, commit: ObjectId) -> Result<bool> {
        match &self.server {
            Some(server) => server.deepen(&self.store, commit, self.clock.as_ref()),
            None => Ok(false),
        }
    }
}

/// Returns `refs/heads/<branch>`, or says that it is no branch name.
pub(super) fn full_name(branch: &str) -> Result<String> {
    let name = format!("refs/heads/{branch}");
    if git2::Reference::is_valid_name(&name) && !branch.starts_with('-') {
        Ok(name)
    } else {
        Err(Error::input(format!("`{}` is no name for a branch", branch.escape_debug())))
    }
}

/// The tree of a commit, or an empty one.
pub struct GitTree<'r> {
    store: &'r Store,
    root: Option<ObjectId>,
}

impl GitTree<'_> {
    /// Returns the tree's id; `None` for the tree of no commit.
    pub fn id(&self) -> Option<ObjectId> {
        self.root
    }
}

impl BaseTree for GitTree<'_> {
    fn entry(&self, path: &str) -> Result<Option<Entry>> {
        let Some(root) = self.root else { return Ok(None) };
        let mut at = Entry { name: String::new(), kind: EntryKind::Tree, id: root };
        if path.is_empty() {
            return Ok(Some(at));
        }
        for name in path.split('/') {
            if at.kind != EntryKind::Tree {
                return Ok(None);
            }
            let entries = self.store.entries(&at.id)?;
            match entries.binary_search_by(|e| e.name.as_str().cmp(name)) {
                Ok(found) => match entries.get(found) {
                    Some(entry) => at = entry.clone(),
                    None => return Ok(None),
                },
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn entries(&self, dir: &str) -> Result<Option<Vec<Entry>>> {
        match self.entry(dir)? {
            Some(entry) if entry.kind == EntryKind::Tree => {
                self.store.entries(&entry.id).map(|entries| Some(entries.to_vec()))
            }
            _ => Ok(None),
        }
    }

    fn blob(&self, id: &ObjectId) -> Result<Arc<[u8]>> {
        self.store.blob(id)
    }
}
