//! Writes the files of a commit into a folder, for a fleet that lies in a repository.

use super::loose::cannot_write;
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::model::tree::{BaseTree, EntryKind, ObjectId, join};
use std::path::Path;

/// The most that one export writes.
const MAX_FILES: usize = 500_000;
const MAX_BYTES: u64 = 2 << 30;

/// What an export left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many files were written.
    pub files: usize,
    /// Links and submodules, which are not followed.
    pub skipped: Vec<String>,
}

/// Writes all files below a folder of a commit (`""`: all of it) into an empty folder.
pub fn export(repo: &Repository, commit: ObjectId, dir: &str, to: &Path) -> Result<Exported> {
    let tree = repo.tree(Some(commit))?;
    let mut exported = Exported::default();
    let mut bytes = 0u64;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = tree.entries(&folder)?.ok_or_else(|| {
            Error::input(format!("{} has no folder `{folder}` at commit {commit}", repo.remote()))
        })?;
        let inside = folder.strip_prefix(dir).unwrap_or(&folder).trim_start_matches('/');
        let target = to.join(inside);
        std::fs::create_dir_all(&target).map_err(|e| Error::external(cannot_write(&target)).because(e))?;
        for entry in entries {
            let path = join(&folder, &entry.name);
            // A tree of a hostile server may hold names that leave the folder.
            if entry.name.is_empty()
                || entry.name.contains(['/', '\\', '\0'])
                || matches!(entry.name.as_str(), "." | "..")
            {
                return Err(Error::external(format!(
                    "commit {commit} holds the impossible name `{}`",
                    path.escape_debug()
                )));
            }
            match entry.kind {
                EntryKind::Tree => folders.push(path),
                EntryKind::File | EntryKind::Executable => {
                    let content = tree.blob(&entry.id)?;
                    exported.files += 1;
                    bytes += content.len() as u64;
                    if exported.files > MAX_FILES || bytes > MAX_BYTES {
                        return Err(Error::input(format!("{} is too large for a fleet", repo.remote()))
                            .hint(format!("at most {MAX_FILES} files and {MAX_BYTES} bytes are read")));
                    }
                    let file = target.join(&entry.name);
                    std::fs::write(&file, &content)
                        .map_err(|e| Error::external(cannot_write(&file)).because(e))?;
                }
                EntryKind::Symlink | EntryKind::Submodule => exported.skipped.push(path),
            }
        }
    }
    exported.skipped.sort();
    Ok(exported)
}
