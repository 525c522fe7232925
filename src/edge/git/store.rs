//! Reads objects out of a repository on this machine, through libgit2.

use super::settings::MAX_BLOB;
use crate::error::{Error, Result};
use crate::model::tree::{Entry, EntryKind, ObjectId};
use git2::ObjectType;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One row of a tree object, as raw as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeRow {
    pub(super) mode: u32,
    pub(super) id: ObjectId,
}

impl TreeRow {
    pub(super) fn file(id: ObjectId) -> Self {
        Self { mode: 0o100_644, id }
    }

    pub(super) fn tree(id: ObjectId) -> Self {
        Self { mode: 0o40_000, id }
    }

    pub(super) fn kind(self) -> EntryKind {
        match self.mode & 0o170_000 {
            0o40_000 => EntryKind::Tree,
            0o120_000 => EntryKind::Symlink,
            0o160_000 => EntryKind::Submodule,
            _ if self.mode & 0o111 != 0 => EntryKind::Executable,
            _ => EntryKind::File,
        }
    }
}

/// A commit's parts that delivery needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, the one it was made on first.
    pub parents: Vec<ObjectId>,
    /// The author, as `name <mail>`, without control characters.
    pub author: String,
    /// The committer's time in seconds since 1970.
    pub seconds: i64,
    /// The whole message; bytes that are no UTF-8 are replaced.
    pub message: String,
}

impl Commit {
    /// Returns the last value of a trailer such as `Hydrant-Fleet`.
    ///
    /// Trailers are the lines `Key: value` of the last paragraph.
    pub fn trailer(&self, key: &str) -> Option<&str> {
        let mut found = None;
        for line in self.message.trim_end().lines().rev() {
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case(key)
                && found.is_none()
            {
                found = Some(value.trim());
            }
        }
        found
    }

    /// Returns the first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// Trees held in memory; forgotten all at once when there are too many rows.
#[derive(Default)]
struct TreeCache {
    trees: HashMap<ObjectId, Arc<[Entry]>>,
    rows: usize,
}

const MAX_CACHED_ROWS: usize = 400_000;

/// The objects of one repository.
pub(super) struct Store {
    pub(super) repo: git2::Repository,
    cache: RefCell<TreeCache>,
    damaged: Cell<bool>,
}

impl Store {
    pub(super) fn new(repo: git2::Repository) -> Self {
        Self { repo, cache: RefCell::default(), damaged: Cell::new(false) }
    }

    pub(super) fn git_dir(&self) -> &Path {
        self.repo.path()
    }

    /// Returns the path that people know the repository by.
    pub(super) fn shown(&self) -> PathBuf {
        self.repo.workdir().unwrap_or(self.repo.path()).to_owned()
    }

    /// Looks again at what other processes wrote.
    pub(super) fn refresh(&self) -> Result<()> {
        self.repo.odb().and_then(|odb| odb.refresh()).map_err(|e| self.unreadable("its objects", e))
    }

    pub(super) fn has(&self, id: &ObjectId) -> bool {
        self.repo.odb().is_ok_and(|odb| odb.exists(oid(id)))
    }

    /// Returns true if something that had to be there could not be read.
    pub(super) fn damaged(&self) -> bool {
        self.damaged.get()
    }

    /// Notes that the repository cannot be trusted any more.
    pub(super) fn mark_damaged(&self) {
        self.damaged.set(true);
    }

    /// Returns a commit and all that it contains, as far as they are here.
    pub(super) fn reachable(&self, id: &ObjectId) -> Result<BTreeSet<ObjectId>> {
        let mut found = BTreeSet::new();
        let mut next = vec![*id];
        while let Some(id) = next.pop() {
            // A shallow history ends where a parent is missing.
            if !found.contains(&id) && self.has(&id) {
                found.insert(id);
                next.extend(self.commit(&id)?.parents);
            }
        }
        Ok(found)
    }

    pub(super) fn commit(&self, id: &ObjectId) -> Result<Commit> {
        let failed = |e| self.unreadable(&format!("commit {id}"), e);
        let commit = self.repo.find_commit(oid(id)).map_err(failed)?;
        let author = commit.author();
        let name = |bytes: &[u8]| -> String {
            String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect()
        };
        Ok(Commit {
            id: *id,
            tree: from_oid(commit.tree_id()),
            // libgit2 leaves out the parents beyond the edge of a shallow history; whether
            // there is more to fetch is told by those that the commit itself names.
            parents: parents_in(commit.raw_header_bytes()),
            author: format!("{} <{}>", name(author.name_bytes()), name(author.email_bytes())),
            seconds: commit.time().seconds(),
            message: String::from_utf8_lossy(commit.message_raw_bytes()).into_owned(),
        })
    }

    /// Returns a commit's parents, as far as they are here.
    pub(super) fn parents_here(&self, commit: &Commit) -> Result<Vec<Commit>> {
        commit.parents.iter().filter(|id| self.has(id)).map(|id| self.commit(id)).collect()
    }

    /// Returns the rows of a tree by name, for writing it again.
    pub(super) fn tree_rows(&self, id: &ObjectId) -> Result<BTreeMap<Vec<u8>, TreeRow>> {
        let tree = self.repo.find_tree(oid(id)).map_err(|e| self.unreadable(&format!("tree {id}"), e))?;
        let mut rows = BTreeMap::new();
        for entry in &tree {
            rows.insert(entry.name_bytes().to_vec(), row_of(&entry));
        }
        Ok(rows)
    }

    /// Returns the entries of a tree, sorted by name.
    pub(super) fn entries(&self, id: &ObjectId) -> Result<Arc<[Entry]>> {
        if let Some(entries) = self.cache.borrow().trees.get(id) {
            return Ok(Arc::clone(entries));
        }
        let tree = self.repo.find_tree(oid(id)).map_err(|e| self.unreadable(&format!("tree {id}"), e))?;
        let mut entries = Vec::with_capacity(tree.len());
        for entry in &tree {
            let name = std::str::from_utf8(entry.name_bytes()).map_err(|_| {
                Error::guard(format!(
                    "{} holds a file name that is not UTF-8: `{}`",
                    self.shown().display(),
                    entry.name_bytes().escape_ascii()
                ))
                .hint("rename it; Hydrant writes no such name and cannot tell whether it may stay")
            })?;
            let row = row_of(&entry);
            entries.push(Entry { name: name.to_owned(), kind: row.kind(), id: row.id });
        }
        // Git sorts folders as if their names ended in `/`.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let entries: Arc<[Entry]> = entries.into();
        let mut cache = self.cache.borrow_mut();
        if cache.rows + entries.len() > MAX_CACHED_ROWS {
            *cache = TreeCache::default();
        }
        cache.rows += entries.len();
        cache.trees.insert(*id, Arc::clone(&entries));
        Ok(entries)
    }

    /// Returns a file's content; `None` if it is larger than `most` bytes or is no file.
    pub(super) fn small_blob(&self, id: &ObjectId, most: usize) -> Result<Option<Arc<[u8]>>> {
        let unreadable = |e| self.unreadable(&format!("file content {id}"), e);
        let odb = self.repo.odb().map_err(unreadable)?;
        let (length, kind) = odb.read_header(oid(id)).map_err(unreadable)?;
        if kind != ObjectType::Blob || length > most {
            return Ok(None);
        }
        odb.read(oid(id)).map(|object| Some(Arc::from(object.data()))).map_err(unreadable)
    }

    pub(super) fn blob(&self, id: &ObjectId) -> Result<Arc<[u8]>> {
        let what = || format!("file content {id}");
        let odb = self.repo.odb().map_err(|e| self.unreadable(&what(), e))?;
        let (length, kind) = odb.read_header(oid(id)).map_err(|e| self.unreadable(&what(), e))?;
        if kind != ObjectType::Blob {
            return Err(Error::external(format!("object {id} is no file content but a {kind}")));
        }
        if length > MAX_BLOB {
            return Err(Error::guard(format!(
                "file content {id} on the branch has {length} bytes, more than the {MAX_BLOB} that are read"
            )));
        }
        let object = odb.read(oid(id)).map_err(|e| self.unreadable(&what(), e))?;
        Ok(Arc::from(object.data()))
    }

    pub(super) fn unreadable(&self, what: &str, cause: git2::Error) -> Error {
        self.damaged.set(true);
        Error::external(format!("cannot read {what} in {}", self.shown().display())).because(cause)
    }
}

fn row_of(entry: &git2::TreeEntry<'_>) -> TreeRow {
    // The raw mode keeps what other writers put there, as in 100664.
    let mode = u32::try_from(entry.filemode_raw()).unwrap_or(0o100_644);
    TreeRow { mode, id: from_oid(entry.id()) }
}

/// Returns the parents that a commit's header names.
fn parents_in(header: &[u8]) -> Vec<ObjectId> {
    let header = String::from_utf8_lossy(header);
    header.lines().filter_map(|line| line.strip_prefix("parent ")?.parse().ok()).collect()
}

pub(super) fn oid(id: &ObjectId) -> git2::Oid {
    git2::Oid::from_bytes(id.as_bytes()).unwrap_or(git2::Oid::ZERO_SHA1)
}

pub(super) fn from_oid(oid: git2::Oid) -> ObjectId {
    let mut bytes = [0; 20];
    for (to, from) in bytes.iter_mut().zip(oid.as_bytes()) {
        *to = *from;
    }
    ObjectId::from_bytes(bytes)
}
