//! Moves a branch of a repository on this machine: compare, then swap.
//!
//! Git locks a branch by the file `<branch>.lock`. A program that is killed while it holds
//! one blocks every later writer until a person deletes it. So the lock is made as a second
//! name of a file whose place is known, while an advisory lock of the operating system is
//! held, which ends with its process: whoever gets the advisory lock knows that a lock of
//! this kind is a dead one's, and removes it. Locks of other Git programs are waited for and
//! never removed.

use super::clock::Clock;
use super::loose::{cannot_write, sync_folder};
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whether the branch moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    /// It was not where it was expected.
    Raced,
}

/// How long the lock of another program is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(20);
const LOCK_POLL: Duration = Duration::from_millis(10);

/// Moves `name` (as `refs/heads/main`) to `new`, if `holds_expected` says so under the lock.
pub(super) fn move_branch(
    git_dir: &Path,
    name: &str,
    new: &ObjectId,
    clock: &dyn Clock,
    holds_expected: impl Fn() -> Result<bool>,
) -> Result<Moved> {
    let turn = Turn::take(git_dir, clock)?;
    let reference = git_dir.join(name);
    let lock = lock_of(git_dir, name);
    turn.announce(name)?;
    turn.prepare(new)?;
    let deadline = clock.now() + LOCK_WAIT;
    while !turn.link(&lock)? {
        if clock.now() >= deadline {
            return Err(Error::external(format!(
                "cannot move {name}: another Git program has held {} for {} s",
                lock.display(),
                LOCK_WAIT.as_secs()
            ))
            .hint("if no Git program runs there any more, delete that file"));
        }
        clock.sleep(LOCK_POLL);
    }
    // From here on the lock is ours; on every way out it must go.
    let moved = holds_expected().and_then(|holds| {
        if !holds {
            return Ok(Moved::Raced);
        }
        // Git leaves empty folders where branches `a/b` were; one may bear our name.
        let _ = std::fs::remove_dir(&reference);
        std::fs::rename(&lock, &reference)
            .map_err(|e| Error::external(cannot_write(&reference)).because(e))?;
        if let Some(folder) = reference.parent() {
            sync_folder(folder)?;
        }
        Ok(Moved::Yes)
    });
    if !matches!(moved, Ok(Moved::Yes)) {
        let _ = std::fs::remove_file(&lock);
    }
    let _ = std::fs::remove_file(&turn.file);
    moved
}

fn lock_of(git_dir: &Path, name: &str) -> PathBuf {
    git_dir.join(format!("{name}.lock"))
}

/// The advisory lock of one repository, and the file that becomes the branch.
struct Turn {
    /// Held as long as this lives; the system frees it when the process ends, however it ends.
    held: File,
    git_dir: PathBuf,
    file: PathBuf,
}

impl Turn {
    fn take(git_dir: &Path, clock: &dyn Clock) -> Result<Self> {
        let path = git_dir.join("hydrant-turn");
        let failed = |e: std::io::Error| Error::external(cannot_write(&path)).because(e);
        let held = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let deadline = clock.now() + LOCK_WAIT;
        loop {
            match held.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if clock.now() < deadline => clock.sleep(LOCK_POLL),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::external(format!(
                        "another Hydrant has been writing to {} for {} s",
                        git_dir.display(),
                        LOCK_WAIT.as_secs()
                    )));
                }
                Err(TryLockError::Error(e)) => return Err(failed(e)),
            }
        }
        let turn = Self { held, git_dir: git_dir.to_owned(), file: git_dir.join("hydrant-next") };
        turn.clear_after_the_dead()?;
        Ok(turn)
    }

    /// Removes the lock of a Hydrant that was killed between locking and moving.
    fn clear_after_the_dead(&self) -> Result<()> {
        let mut name = String::new();
        // The name is short; more than that is not ours.
        let read = (&self.held).take(4096).read_to_string(&mut name);
        if read.is_ok() && name.starts_with("refs/") && !name.contains("..") {
            let lock = lock_of(&self.git_dir, name.trim_end());
            if same_file(&lock, &self.file) {
                std::fs::remove_file(&lock).map_err(|e| Error::external(cannot_write(&lock)).because(e))?;
            }
        }
        Ok(())
    }

    /// Notes which branch is about to be locked, for whoever comes after a crash.
    fn announce(&self, name: &str) -> Result<()> {
        let mut file = &self.held;
        let written = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.set_len(0))
            .and_then(|()| file.write_all(name.as_bytes()))
            .and_then(|()| file.sync_all());
        written.map_err(|e| Error::external(cannot_write(&self.git_dir.join("hydrant-turn"))).because(e))
    }

    /// Writes the branch's next content.
    fn prepare(&self, new: &ObjectId) -> Result<()> {
        let failed = |e: std::io::Error| Error::external(cannot_write(&self.file)).because(e);
        // The old file may be the branch itself by now: never write into it.
        match std::fs::remove_file(&self.file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let mut file = File::create_new(&self.file).map_err(failed)?;
        file.write_all(format!("{new}\n").as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Gives the prepared file the lock's name; false if somebody else holds the lock.
    fn link(&self, lock: &Path) -> Result<bool> {
        if let Some(folder) = lock.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::external(cannot_write(folder)).because(e))?;
        }
        match std::fs::hard_link(&self.file, lock) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::external(cannot_write(lock)).because(e)),
        }
    }
}

#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (std::fs::symlink_metadata(a), std::fs::symlink_metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn same_file(a: &Path, b: &Path) -> bool {
    // Without inode numbers the content has to do; it is written by nobody else.
    match (std::fs::read(a), std::fs::read(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
