//! A folder on disk as something to compare with and to write into (`render --out`).

use crate::error::{Error, Result};
use crate::model::mark::{self, Mark};
use crate::model::tree::{BaseTree, Edit, Entry, EntryKind, ObjectId};
use rayon::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read from the folder, in bytes.
const MAX_FILE: u64 = 32 << 20;
/// The largest mark, in bytes.
const MAX_MARK: u64 = 4 << 20;

/// A folder that is empty or bears our marks.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Nothing stood there when it was opened.
    was_empty: bool,
    /// Where a blob that was listed lies.
    blobs: RefCell<BTreeMap<ObjectId, PathBuf>>,
}

impl Folder {
    /// Opens a folder, or creates it.
    ///
    /// # Errors
    /// What is no folder, cannot be made, or holds files that are not ours.
    pub fn open(root: &Path) -> Result<Self> {
        let wrong = |e| Error::external(format!("the folder {} cannot be used", root.display())).because(e);
        fs::create_dir_all(root).map_err(wrong)?;
        let mut entries = fs::read_dir(root).map_err(wrong)?.flatten().filter(|e| e.file_name() != ".git");
        let was_empty = entries.next().is_none();
        let folder = Self { root: root.to_owned(), was_empty, blobs: RefCell::default() };
        if !was_empty && !folder.bears_mark(root, 0) {
            return Err(Error::guard(format!(
                "nothing was written: {} is neither empty nor bears marks of Hydrant",
                root.display()
            ))
            .hint("give an empty folder to --out, or one that an earlier render wrote"));
        }
        Ok(folder)
    }

    /// Looks for a mark where one stands: `<path>/<env>/<cluster>/.hydrant`, naming just that
    /// environment and cluster. Any file of that name would be too little: this folder is then
    /// ours to delete from.
    fn bears_mark(&self, dir: &Path, depth: usize) -> bool {
        // As deep as a `path` may reasonably put it.
        if depth > 8 {
            return false;
        }
        if depth >= 2 && is_marked(dir) {
            return true;
        }
        let Ok(entries) = fs::read_dir(dir) else { return false };
        entries
            .flatten()
            .filter(|e| e.file_name() != ".git" && e.file_type().is_ok_and(|t| t.is_dir()))
            .any(|e| self.bears_mark(&e.path(), depth + 1))
    }

    fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    fn read_entry(&self, full: &Path, name: String) -> Result<Option<Entry>> {
        let meta = match fs::symlink_metadata(full) {
            Ok(meta) => meta,
            Err(e)
                if e.kind() == std::io::ErrorKind::NotFound
                    || e.kind() == std::io::ErrorKind::NotADirectory =>
            {
                return Ok(None);
            }
            Err(e) => return Err(unreadable(full).because(e)),
        };
        if meta.is_dir() {
            return Ok(Some(Entry { name, kind: EntryKind::Tree, id: ObjectId::of("tree", b"") }));
        }
        if !meta.is_file() {
            return Ok(Some(Entry { name, kind: EntryKind::Symlink, id: ObjectId::of_blob(b"") }));
        }
        if meta.len() > MAX_FILE {
            return Err(Error::guard(format!("{} is larger than {MAX_FILE} bytes", full.display())));
        }
        let bytes = fs::read(full).map_err(|e| unreadable(full).because(e))?;
        let id = ObjectId::of_blob(&bytes);
        self.blobs.borrow_mut().insert(id, full.to_owned());
        Ok(Some(Entry { name, kind: EntryKind::File, id }))
    }

    /// Writes and removes files; folders that become empty vanish.
    ///
    /// # Errors
    /// A file that cannot be written or removed.
    pub fn apply(&mut self, edits: &[Edit]) -> Result<()> {
        // What goes may stand in the way of what comes: a file where a folder is to be.
        let mut puts = Vec::new();
        let mut later = Vec::new();
        for edit in edits {
            let full = self.full(edit.path());
            match edit {
                Edit::Put { bytes, .. } => puts.push((full, bytes)),
                Edit::Graft { .. } => later.extend(edit.by_file()?),
                Edit::Delete { .. } => {
                    fs::remove_file(&full).map_err(|e| unwritable(&full).because(e))?;
                    self.prune(&full);
                }
            }
        }
        let folders: BTreeSet<&Path> = puts.iter().filter_map(|(full, _)| full.parent()).collect();
        for folder in folders {
            fs::create_dir_all(folder).map_err(|e| unwritable(folder).because(e))?;
        }
        let was_empty = self.was_empty;
        puts.par_iter().try_for_each(|(full, bytes)| {
            let written = if was_empty { create(full, bytes) } else { replace(full, bytes) };
            written.map_err(|e| unwritable(full).because(e))
        })?;
        if later.is_empty() { Ok(()) } else { self.apply(&later) }
    }

    fn prune(&self, file: &Path) {
        for dir in file.ancestors().skip(1).take_while(|d| *d != self.root) {
            if fs::remove_dir(dir).is_err() {
                return;
            }
        }
    }
}

/// Returns true for a cluster's folder with the mark of that cluster.
fn is_marked(dir: &Path) -> bool {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let path = dir.join(mark::FILE);
    // A link could lead to another folder's mark.
    let plain = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= MAX_MARK);
    let mark = plain.then(|| fs::read(&path).ok()).flatten().and_then(|bytes| Mark::read(&bytes));
    mark.is_some_and(|m| name(Some(dir)) == Some(m.cluster) && name(dir.parent()) == Some(m.env))
}

/// Writes a file where nothing stood that anybody could read.
fn create(full: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::File::create_new(full)?.write_all(bytes)
}

/// Writes beside and renames, so that a file is never half there.
fn replace(full: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(full.parent().unwrap_or(full))?;
    file.write_all(bytes)?;
    set_mode(&file)?;
    file.persist(full).map_err(|e| e.error)?;
    Ok(())
}

/// Gives a file the mode that files have; temporary ones are made for their owner alone.
fn set_mode(file: &tempfile::NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))
}

fn unreadable(path: &Path) -> Error {
    Error::external(format!("{} cannot be read", path.display()))
}

fn unwritable(path: &Path) -> Error {
    Error::external(format!("{} cannot be written", path.display()))
}

impl BaseTree for Folder {
    fn entry(&self, path: &str) -> Result<Option<Entry>> {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        self.read_entry(&self.full(path), name)
    }

    fn entries(&self, dir: &str) -> Result<Option<Vec<Entry>>> {
        let full = self.full(dir);
        let Ok(listed) = fs::read_dir(&full) else { return Ok(None) };
        let mut entries = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|e| unreadable(&full).because(e))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if dir.is_empty() && name == ".git" {
                continue;
            }
            entries.extend(self.read_entry(&entry.path(), name)?);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }

    fn has_folder_ids(&self) -> bool {
        false
    }

    fn blob(&self, id: &ObjectId) -> Result<Arc<[u8]>> {
        let path = self.blobs.borrow().get(id).cloned();
        let path =
            path.ok_or_else(|| Error::internal(format!("the folder was asked for an unknown file {id}")))?;
        fs::read(&path).map(Arc::from).map_err(|e| unreadable(&path).because(e))
    }
}
