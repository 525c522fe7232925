//! Reads a fleet from a commit of a repository: nothing is checked out, links are followed
//! inside the fleet only, and the bounds are those of a folder.

use super::address::{Address, is_address};
use super::{FOLDERS, FleetPlace, MAX_DEPTH, MAX_FILE, MAX_FILES, MAX_TOTAL};
use crate::definition::Source;
use crate::definition::tree::Tree;
use crate::edge::git::{Ancestry, GitSettings, GitTree, Remote, Repository};
use crate::error::{Error, Origin, Result, Violation};
use crate::model::tree::{BaseTree, Entry, EntryKind, join};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A folder in a repository at a revision, and how it is reached.
#[derive(Clone, Debug)]
pub struct FleetRepository {
    remote: Remote,
    folder: String,
    revision: Option<String>,
    settings: GitSettings,
}

/// How many links may lead to one another.
const MAX_LINKS: usize = 8;

impl FleetPlace {
    /// Returns the place that a text names: `URL[//FOLDER][?ref=REVISION]`, or a folder.
    ///
    /// # Errors
    /// An address that cannot be understood.
    pub fn parse(text: &str, settings: impl FnOnce() -> Result<GitSettings>) -> Result<Self> {
        if !is_address(text) {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let Address { remote, folder, revision } = Address::parse(text)?;
        // A moved branch of the fleet is what people do there; what was delivered is guarded
        // by the source commit.
        let settings = GitSettings { create: false, accept_rewritten: true, ..settings()? };
        Ok(Self::Repository(Box::new(FleetRepository { remote, folder, revision, settings })))
    }
}

impl fmt::Display for FleetRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.remote)?;
        if !self.folder.is_empty() {
            write!(f, "//{}", self.folder)?;
        }
        match &self.revision {
            Some(revision) => write!(f, "?ref={revision}"),
            None => Ok(()),
        }
    }
}

impl FleetRepository {
    /// Reads the fleet at the commit that its revision names now.
    pub(super) fn load(&self) -> Result<(Tree, Source)> {
        let mut repository = Repository::open(&self.remote, &self.settings)?;
        let revision = self.revision.as_deref().unwrap_or("HEAD");
        let commit = repository.fetch_revision(revision)?;
        let tree = repository.tree(Some(commit.id))?;
        if tree.entries(&self.folder)?.is_none() && !self.folder.is_empty() {
            return Err(Error::input(format!(
                "the fleet cannot be read: {} has no folder `{}` at {revision} ({})",
                self.remote,
                self.folder,
                commit.id.short()
            ))
            .hint("the folder that holds clusters/ stands behind `//` in --fleet"));
        }
        let mut walk = Walk { root: &self.folder, git: tree, tree: Tree::default(), bytes: 0 };
        for name in FOLDERS {
            let at = join(&self.folder, name);
            match walk.git.entry(&at)? {
                Some(entry) if entry.kind == EntryKind::Tree => walk.folder(&at, name, 0)?,
                Some(entry) => {
                    walk.close(name, format!("this must be a folder; it is {}", entry.kind.words()))
                }
                None => {}
            }
        }
        if let Some(entry) = walk.git.entry(&join(&self.folder, "hydrant.yaml"))? {
            walk.entry(&entry, &join(&self.folder, "hydrant.yaml"), "hydrant.yaml", 0)?;
        } else if walk.git.entry(&join(&self.folder, "hydrant.yml"))?.is_some() {
            super::folder::refuse_yml(&mut walk.tree);
        }
        let name = self.remote.name();
        Ok((walk.tree, Source { name, commit: Some(commit.id.to_string()) }))
    }

    /// Compares two commits, with as much history as that takes.
    pub(super) fn ancestry(&self, first: &str, second: &str) -> Ancestry {
        let compare = || Repository::open(&self.remote, &self.settings)?.compare(first, second);
        compare().unwrap_or_else(|error: Error| {
            tracing::debug!("the fleet's history could not be read: {error}");
            Ancestry::Unknown
        })
    }
}

struct Walk<'r> {
    root: &'r str,
    git: GitTree<'r>,
    tree: Tree,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, at: &str, shown: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            self.close(shown, format!("folders nest deeper than {MAX_DEPTH} levels"));
            return Ok(());
        }
        for entry in self.git.entries(at)?.unwrap_or_default() {
            if !entry.name.starts_with(['.', '_']) {
                self.entry(&entry, &join(at, &entry.name), &join(shown, &entry.name), depth + 1)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, at: &str, shown: &str, depth: usize) -> Result<()> {
        match entry.kind {
            EntryKind::Tree => self.folder(at, shown, depth),
            EntryKind::File | EntryKind::Executable => self.file(entry, shown),
            EntryKind::Symlink => match self.target(entry, at)? {
                Ok(file) => self.file(&file, shown),
                Err(why) => {
                    self.close(shown, why.into());
                    Ok(())
                }
            },
            EntryKind::Submodule => {
                self.close(shown, "this is a submodule, which is not read".into());
                Ok(())
            }
        }
    }

    /// Returns the file that a link leads to, or why it is not followed.
    fn target(&self, link: &Entry, at: &str) -> Result<Result<Entry, &'static str>> {
        let (mut entry, mut at) = (link.clone(), at.to_owned());
        for _ in 0..MAX_LINKS {
            let content = self.git.blob(&entry.id)?;
            let Ok(text) = std::str::from_utf8(&content) else {
                return Ok(Err("this link leads to no file"));
            };
            let folder = at.rsplit_once('/').map_or("", |(folder, _)| folder);
            let inside = |path: &str| self.root.is_empty() || crate::kustomize::is_below(path, self.root);
            at = match follow(folder, text) {
                Some(path) if inside(&path) => path,
                _ => return Ok(Err("this link leads out of the fleet")),
            };
            entry = match self.git.entry(&at)? {
                Some(found) if found.kind.is_file() => return Ok(Ok(found)),
                Some(found) if found.kind == EntryKind::Symlink => found,
                _ => return Ok(Err("this link leads to no file")),
            };
        }
        Ok(Err("this link leads from link to link"))
    }

    fn file(&mut self, entry: &Entry, shown: &str) -> Result<()> {
        if self.tree.files.len() >= MAX_FILES {
            self.refuse(shown, format!("the fleet has more than {MAX_FILES} files"));
            return Ok(());
        }
        let bytes = self.git.blob(&entry.id)?;
        let length = bytes.len() as u64;
        if length > MAX_FILE {
            self.refuse(shown, format!("the file is larger than the {MAX_FILE} bytes allowed"));
            return Ok(());
        }
        self.bytes += length;
        if self.bytes > MAX_TOTAL {
            self.refuse(shown, format!("the fleet holds more than {MAX_TOTAL} bytes"));
            return Ok(());
        }
        self.tree.files.insert(shown.to_owned(), bytes);
        Ok(())
    }

    /// Refuses what may hold more files than we know of.
    fn close(&mut self, shown: &str, why: String) {
        self.refuse(shown, why);
        self.tree.closed.insert(shown.to_owned());
    }

    fn refuse(&mut self, shown: &str, why: String) {
        let v = Violation::error(why).at(Origin::file(Arc::from(shown)));
        self.tree.unreadable.insert(shown.to_owned(), v);
    }
}

/// Returns the path that a link's text leads to from a folder; none above the root.
fn follow(folder: &str, text: &str) -> Option<String> {
    if text.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
