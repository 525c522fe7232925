//! The local copy of a repository behind a URL: kept between runs, shared by processes,
//! safe to delete at any time, and set aside when it is damaged.
//!
//! It is a bare repository with a shallow history. Objects are only ever added, each pack
//! appears whole, and the few files beside them are replaced by renaming, so that a crash
//! leaves nothing that blocks the next run.

use super::local::open_or_create;
use super::loose::cannot_write;
use super::remote::Remote;
use super::smart::fetch::Edge;
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Unfinished files of a process that is gone are removed after this time, even while
/// another process uses the mirror.
const STALE: Duration = Duration::from_secs(3600);

/// With more packs than this every look-up is slow.
const MAX_PACKS: usize = 200;

/// A mirror in use.
pub(super) struct Mirror {
    folder: PathBuf,
    generation: Generation,
    /// Held shared while in use, so that nobody throws the mirror away meanwhile.
    _in_use: File,
    /// The mirror itself, where no cache folder was given.
    _temporary: Option<TempDir>,
    outgoing: TempDir,
}

/// Tells one mirror from the next at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation {
    created: SystemTime,
    number: u64,
}

impl Mirror {
    /// Opens the mirror of a repository, made if there is none.
    pub(super) fn open(
        cache: Option<&Path>,
        remote: &Remote,
        max_bytes: u64,
    ) -> Result<(Self, git2::Repository)> {
        let (root, temporary) = match cache {
            Some(cache) => (cache.join("git"), None),
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("hydrant-git-")
                    .tempdir()
                    .map_err(|e| Error::external("cannot create a temporary folder").because(e))?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        create_private(&root)?;
        let folder = root.join(key(remote));
        let mut last = None;
        // Twice more: a damaged or oversized mirror is replaced, a race with others repeated.
        for _ in 0..3 {
            match Self::try_open(&folder, max_bytes) {
                Ok(Some((in_use, generation, outgoing, repo))) => {
                    let mirror =
                        Self { folder, generation, _in_use: in_use, _temporary: temporary, outgoing };
                    return Ok((mirror, repo));
                }
                Ok(None) => {}
                Err(error) => {
                    last = Some(error);
                    set_aside(&folder)?;
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::external(format!("cannot use the mirror at {}", folder.display()))))
    }

    /// Opens once; `None` asks to try again.
    fn try_open(
        folder: &Path,
        max_bytes: u64,
    ) -> Result<Option<(File, Generation, TempDir, git2::Repository)>> {
        let (repo, _) = open_or_create(folder, true)?;
        // libgit2 opens more than plain Git does.
        if !std::fs::read(folder.join("HEAD")).is_ok_and(|head| head.starts_with(b"ref: refs/")) {
            return Err(Error::external(format!("the mirror at {} is damaged", folder.display())));
        }
        let failed = |e: std::io::Error| Error::external(cannot_write(folder)).because(e);
        let in_use = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(folder.join("hydrant-use"))
            .map_err(failed)?;
        let before = generation(folder)?;
        if in_use.try_lock().is_ok() {
            // Nobody else is here, so whatever is unfinished belongs to the dead.
            sweep(folder, Duration::ZERO);
            if too_large(folder, max_bytes) {
                drop(repo);
                set_aside(folder)?;
                remove_aside(folder);
                return Ok(None);
            }
            in_use.unlock().map_err(failed)?;
        } else {
            sweep(folder, STALE);
        }
        in_use.lock_shared().map_err(failed)?;
        // Between opening and locking somebody may have put another one here.
        if generation(folder).ok() != Some(before) {
            return Ok(None);
        }
        let outgoing = tempfile::Builder::new().prefix("hydrant-out-").tempdir_in(folder).map_err(failed)?;
        Ok(Some((in_use, before, outgoing, repo)))
    }

    /// Returns true if a branch was read through the mirror in a cache folder before.
    pub(super) fn has_seen(cache: &Path, remote: &Remote, branch: &str) -> bool {
        tip_file(&cache.join("git").join(key(remote)), branch).is_file()
    }

    /// Sets the mirror aside because it is damaged, unless somebody did already.
    pub(super) fn quarantine(&self) -> Result<()> {
        if generation(&self.folder).ok() == Some(self.generation) {
            set_aside(&self.folder)?;
        }
        Ok(())
    }

    /// Returns the folder for packs that no server has taken yet.
    pub(super) fn outgoing(&self) -> &Path {
        self.outgoing.path()
    }

    /// Returns the folder where those who publish through this mirror queue up.
    pub(super) fn queue(&self) -> PathBuf {
        self.folder.join("hydrant-queue")
    }

    /// Keeps a pack that the server took.
    pub(super) fn keep(&self, pack: &Path) -> Result<()> {
        let to = self.folder.join("objects/pack");
        let Some(name) = pack.file_name() else { return Ok(()) };
        let target = to.join(name);
        let moved = std::fs::rename(pack, &target)
            .and_then(|()| std::fs::rename(pack.with_extension("idx"), target.with_extension("idx")));
        moved.map_err(|e| Error::external(cannot_write(&target)).because(e))
    }

    /// Returns where a branch was when it was last seen.
    pub(super) fn tip(&self, branch: &str) -> Option<ObjectId> {
        std::fs::read_to_string(tip_file(&self.folder, branch)).ok()?.trim().parse().ok()
    }

    /// Returns where all branches were.
    pub(super) fn tips(&self) -> Vec<ObjectId> {
        let files = std::fs::read_dir(self.folder.join("hydrant-tips")).into_iter().flatten().flatten();
        let tips: BTreeSet<ObjectId> =
            files.filter_map(|file| std::fs::read_to_string(file.path()).ok()?.trim().parse().ok()).collect();
        tips.into_iter().collect()
    }

    /// Notes where a branch is; `None`: it is gone.
    pub(super) fn set_tip(&self, branch: &str, tip: Option<&ObjectId>) -> Result<()> {
        let file = tip_file(&self.folder, branch);
        match tip {
            Some(id) => replace(&file, &format!("{id}\n")),
            None => {
                let _ = std::fs::remove_file(file);
                Ok(())
            }
        }
    }

    /// Returns the commits that are here without their parents.
    pub(super) fn shallow(&self) -> Vec<ObjectId> {
        let text = std::fs::read_to_string(self.folder.join("shallow")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Moves the edge of the known history.
    pub(super) fn move_edge(&self, edge: &Edge) -> Result<()> {
        if edge.shallow.is_empty() && edge.unshallow.is_empty() {
            return Ok(());
        }
        let path = self.folder.join("hydrant-turn");
        let turn = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|e| Error::external(cannot_write(&path)).because(e))?;
        let mut all: BTreeSet<ObjectId> = self.shallow().into_iter().collect();
        all.extend(&edge.shallow);
        edge.unshallow.iter().for_each(|id| {
            all.remove(id);
        });
        let text: String = all.iter().map(|id| format!("{id}\n")).collect();
        let written = replace(&self.folder.join("shallow"), &text);
        drop(turn);
        written
    }
}

fn tip_file(folder: &Path, branch: &str) -> PathBuf {
    // Branch names may differ in case only, or be folders of each other: hash them.
    let name = ObjectId::of_blob(branch.as_bytes()).to_string();
    folder.join("hydrant-tips").join(name)
}

/// Returns the folder name of a repository's mirror: readable, and one for each address.
fn key(remote: &Remote) -> String {
    let host: String = remote
        .host()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' })
        .take(60)
        .collect();
    let hash: String = blake3::hash(remote.to_string().as_bytes()).to_hex().chars().take(16).collect();
    format!("{host}-{hash}.git")
}

fn create_private(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|e| {
        Error::external(format!("cannot create the cache folder {}", folder.display()))
            .hint("--cache DIR names another")
            .because(e)
    })
}

fn generation(folder: &Path) -> Result<Generation> {
    let head = folder.join("HEAD");
    let metadata = std::fs::metadata(&head)
        .map_err(|e| Error::external(format!("cannot read {}", head.display())).because(e))?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Ok(Generation { created: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), number })
}

/// Replaces a small file at once; a crash leaves the old or the new one.
fn replace(file: &Path, text: &str) -> Result<()> {
    let failed = |e: std::io::Error| Error::external(cannot_write(file)).because(e);
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut temporary =
        tempfile::Builder::new().prefix("tmp_hydrant_").tempfile_in(folder).map_err(failed)?;
    temporary.write_all(text.as_bytes()).map_err(failed)?;
    temporary.as_file().sync_data().map_err(failed)?;
    temporary.persist(file).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Moves a mirror out of the way; only the last damaged one is kept, for a look.
fn set_aside(folder: &Path) -> Result<()> {
    remove_aside(folder);
    match std::fs::rename(folder, aside(folder)) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::external(format!("cannot set the damaged mirror {} aside", folder.display()))
            .hint("delete it by hand; it holds nothing that the server does not have")
            .because(e)),
    }
}

fn aside(folder: &Path) -> PathBuf {
    folder.with_extension("damaged")
}

fn remove_aside(folder: &Path) {
    let _ = std::fs::remove_dir_all(aside(folder));
}

/// Removes what unfinished work left behind. Failing to is no failure: it is tried each time.
fn sweep(folder: &Path, older: Duration) {
    let objects = folder.join("objects");
    let mut folders = vec![folder.to_owned(), objects.join("pack"), folder.join("hydrant-tips")];
    folders.extend(std::fs::read_dir(&objects).into_iter().flatten().flatten().map(|e| e.path()));
    for entry in folders.iter().flat_map(|f| std::fs::read_dir(f).into_iter().flatten().flatten()) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unfinished = ["tmp_", "pack_git2_", "hydrant-out-"].iter().any(|start| name.starts_with(start));
        let age = entry.metadata().and_then(|m| m.modified()).map(|m| m.elapsed().unwrap_or_default());
        if unfinished && age.is_ok_and(|age| age >= older) {
            let path = entry.path();
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}

fn too_large(folder: &Path, max_bytes: u64) -> bool {
    let packs = std::fs::read_dir(folder.join("objects/pack")).into_iter().flatten().flatten();
    let sizes: Vec<u64> = packs.filter_map(|e| e.metadata().ok()).map(|m| m.len()).collect();
    // A pack and its index are two files.
    sizes.len() > 2 * MAX_PACKS || sizes.iter().sum::<u64>() > max_bytes
}
