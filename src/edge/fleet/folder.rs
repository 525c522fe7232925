//! Reads a fleet's folder into memory: bounded, confined, and never waiting for a device.
//!
//! A file that cannot be read is a value ([`Tree::unreadable`]), so that nothing is
//! deleted because an input could not be read.

use super::{FOLDERS, MAX_DEPTH, MAX_FILE, MAX_FILES, MAX_TOTAL};
use crate::definition::Source;
use crate::definition::tree::Tree;
use crate::error::{Error, Origin, Result, Violation};
use rayon::prelude::*;
use std::fs::{self, File, FileType};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the fleet in a folder.
///
/// # Errors
/// A folder that is not there or cannot be listed at all.
pub(super) fn load(folder: &Path) -> Result<(Tree, Source)> {
    let root = fs::canonicalize(folder).map_err(|e| {
        Error::input(format!("the fleet `{}` cannot be read", folder.display()))
            .because(e)
            .hint("give the folder that holds clusters/ with --fleet")
    })?;
    if !root.is_dir() {
        return Err(Error::input(format!("the fleet `{}` is no folder", folder.display())));
    }
    let mut walk = Walk::new(root.clone(), MAX_FILE, "fleet");
    for name in FOLDERS {
        let path = root.join(name);
        match fs::canonicalize(&path) {
            // One of them may be a link, as ConfigMap mounts have them, but inside the fleet.
            Ok(real) if real.starts_with(&root) => walk.folder(&real, name, 0),
            Ok(_) => walk.close(name, "this link leads out of the fleet".into()),
            Err(_) if fs::symlink_metadata(&path).is_err() => {}
            Err(e) => walk.close(name, format!("cannot be read: {e}")),
        }
    }
    if fs::symlink_metadata(root.join("hydrant.yaml")).is_ok() {
        walk.named(&root.join("hydrant.yaml"), "hydrant.yaml");
    } else if fs::symlink_metadata(root.join("hydrant.yml")).is_ok() {
        refuse_yml(&mut walk.tree);
    }
    let source = super::source::of_folder(&root);
    Ok((walk.read(), source))
}

/// Refuses settings under a name that is not read: without them a fleet has another name, and
/// would not know its own folders.
pub(super) fn refuse_yml(tree: &mut Tree) {
    let v = Violation::error("this file is not read: settings stand in hydrant.yaml")
        .at(Origin::file("hydrant.yml"))
        .hint("rename it to hydrant.yaml");
    tree.unreadable.insert("hydrant.yaml".into(), v);
}

/// The largest single file of other folders, in bytes: the OpenAPI document of a cluster is large.
const MAX_OTHER_FILE: u64 = 64 << 20;

/// Reads any folder with the bounds of a fleet, but larger files.
///
/// # Errors
/// A folder that is not there.
pub fn load_folder(folder: &Path) -> Result<Tree> {
    let wrong = || Error::input(format!("the folder `{}` cannot be read", folder.display()));
    let root = fs::canonicalize(folder).map_err(|e| wrong().because(e))?;
    if !root.is_dir() {
        return Err(wrong().hint("give a folder, not a file"));
    }
    let mut walk = Walk::new(root.clone(), MAX_OTHER_FILE, "folder");
    walk.folder(&root, "", 0);
    let mut tree = walk.read();
    tree.shown_before = format!("{}/", folder.display());
    for (path, v) in &mut tree.unreadable {
        v.at = Some(Origin::file(format!("{}{path}", tree.shown_before)));
    }
    Ok(tree)
}

/// So many files are read at once, so that what is in memory beyond the bound stays small.
const AT_ONCE: usize = 256;

struct Walk {
    root: PathBuf,
    tree: Tree,
    /// The files that were found, and their names in the fleet.
    found: Vec<(PathBuf, String)>,
    bytes: u64,
    /// The largest file that is read, in bytes.
    max_file: u64,
    /// What is read, for messages.
    what: &'static str,
}

impl Walk {
    fn new(root: PathBuf, max_file: u64, what: &'static str) -> Self {
        Self { root, tree: Tree::default(), found: Vec::new(), bytes: 0, max_file, what }
    }

    fn folder(&mut self, path: &Path, shown: &str, depth: usize) {
        if depth > MAX_DEPTH {
            self.close(shown, format!("folders nest deeper than {MAX_DEPTH} levels"));
            return;
        }
        let real_is_folder = fs::metadata(path).map(|m| m.is_dir());
        match real_is_folder {
            Ok(true) => {}
            Ok(false) => {
                self.close(shown, "this must be a folder".into());
                return;
            }
            Err(e) => {
                self.close(shown, format!("cannot be read: {e}"));
                return;
            }
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) => {
                self.close(shown, format!("cannot be read: {e}"));
                return;
            }
        };
        for entry in entries {
            match entry {
                Ok(entry) => match entry.file_name().into_string() {
                    Ok(name) if name.starts_with(['.', '_']) => {}
                    Ok(name) => {
                        let shown = if shown.is_empty() { name } else { format!("{shown}/{name}") };
                        self.entry(&entry.path(), &shown, entry.file_type(), depth + 1);
                    }
                    Err(name) => {
                        let lossy = name.to_string_lossy().into_owned();
                        self.close(&format!("{shown}/{lossy}"), "the file name is not UTF-8".into());
                    }
                },
                Err(e) => self.close(shown, format!("cannot be read: {e}")),
            }
        }
    }

    /// Takes what stands at a path that nobody listed.
    fn named(&mut self, path: &Path, shown: &str) {
        self.entry(path, shown, fs::symlink_metadata(path).map(|meta| meta.file_type()), 0);
    }

    fn entry(&mut self, path: &Path, shown: &str, kind: std::io::Result<FileType>, depth: usize) {
        let kind = match kind {
            Ok(kind) => kind,
            Err(e) => {
                self.close(shown, format!("cannot be read: {e}"));
                return;
            }
        };
        if kind.is_symlink() {
            self.link(path, shown);
        } else if kind.is_dir() {
            self.folder(path, shown, depth);
        } else if kind.is_file() {
            self.file(path, shown);
        } else {
            let what = "this is a pipe, socket or device, not a file";
            self.refuse(shown, what.into(), Some("remove it; Hydrant reads plain files only"));
            self.tree.closed.insert(shown.to_owned());
        }
    }

    /// Follows a link to a file inside the fleet (as ConfigMap mounts have them); refuses all others.
    fn link(&mut self, path: &Path, shown: &str) {
        match fs::canonicalize(path) {
            Ok(real) if real.is_file() && real.starts_with(&self.root) => return self.file(&real, shown),
            Ok(real) if !real.starts_with(&self.root) => {
                self.refuse(
                    shown,
                    format!("this link leads out of the {}", self.what),
                    Some("copy the file there"),
                );
            }
            Ok(_) => self.refuse(
                shown,
                "this link leads to no file".into(),
                Some("link single files, not folders"),
            ),
            Err(e) => self.refuse(shown, format!("this link cannot be followed: {e}"), None),
        }
        self.tree.closed.insert(shown.to_owned());
    }

    fn file(&mut self, path: &Path, shown: &str) {
        if self.found.len() >= MAX_FILES {
            self.refuse(shown, format!("the {} has more than {MAX_FILES} files", self.what), None);
            return;
        }
        self.found.push((path.to_owned(), shown.to_owned()));
    }

    /// Reads the files that were found: some at once, and taken in the order in which they were.
    fn read(mut self) -> Tree {
        let found = std::mem::take(&mut self.found);
        for some in found.chunks(AT_ONCE) {
            let read: Vec<_> = match self.bytes > MAX_TOTAL {
                false => some.par_iter().map(|(path, _)| read_bounded(path, self.max_file)).collect(),
                true => some.iter().map(|_| Ok(Some(Vec::new()))).collect(),
            };
            for ((_, shown), bytes) in some.iter().zip(read) {
                self.take(shown, bytes);
            }
        }
        self.tree
    }

    fn take(&mut self, shown: &str, bytes: std::io::Result<Option<Vec<u8>>>) {
        match bytes {
            Ok(Some(bytes)) => {
                self.bytes += bytes.len() as u64;
                if self.bytes > MAX_TOTAL {
                    self.refuse(shown, format!("the {} holds more than {MAX_TOTAL} bytes", self.what), None);
                    return;
                }
                self.tree.files.insert(shown.to_owned(), bytes.into());
            }
            Ok(None) => self.refuse(
                shown,
                format!("the file is larger than the {} bytes allowed", self.max_file),
                Some("split it into several files"),
            ),
            Err(e) => self.refuse(shown, format!("cannot be read: {e}"), None),
        }
    }

    /// Refuses what may hold more files than we know of.
    fn close(&mut self, shown: &str, message: String) {
        self.refuse(shown, message, None);
        self.tree.closed.insert(shown.to_owned());
    }

    fn refuse(&mut self, shown: &str, message: String, hint: Option<&str>) {
        let mut v = Violation::error(message).at(Origin::file(Arc::from(shown)));
        v.hint = hint.map(str::to_owned);
        self.tree.unreadable.insert(shown.to_owned(), v);
    }
}

/// Reads a file up to the bound; none if it is larger.
fn read_bounded(path: &Path, max: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > max {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}
