//! Processes of one machine that publish through one mirror take turns, in the order in which
//! they came: a lost race costs each of them a fetch, a comparison and a push.
//!
//! Only a courtesy: the server decides who was first. Whoever waits too long, or cannot write the
//! queue, goes on without a turn. Each ticket is a file that its owner keeps locked; the lock ends
//! with the process, so the tickets of the dead are known and removed.

use super::clock::Clock;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long each place in the queue waits before it looks again.
const POLL: Duration = Duration::from_millis(4);
/// The longest time between two looks.
const MAX_POLL: Duration = Duration::from_millis(100);

/// A turn, or a place in the queue; over when it is dropped.
pub(super) struct Turn {
    path: PathBuf,
    _locked: File,
}

impl Turn {
    /// Waits for a turn; none if it does not come in time.
    pub(super) fn take(folder: &Path, clock: &dyn Clock, patience: Duration) -> Option<Self> {
        let deadline = clock.now() + patience;
        let mut mine = Self::queue_up(folder)?;
        loop {
            let waiting = waiting(folder)?;
            let Some(place) = waiting.iter().position(|path| *path == mine.path) else {
                // Taken for a dead one's in the moment before it was locked.
                mine = Self::queue_up(folder)?;
                continue;
            };
            if place == 0 {
                return Some(mine);
            }
            if remove_if_dead(&waiting[0]) {
                continue;
            }
            if clock.now() >= deadline || clock.stopping() {
                return None;
            }
            let places = u32::try_from(place).unwrap_or(u32::MAX);
            clock.sleep(POLL.saturating_mul(places).min(MAX_POLL));
        }
    }

    fn queue_up(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).ok()?;
        let last = waiting(folder)?.into_iter().next_back();
        let mut number: u64 = match last.as_ref().and_then(|p| p.file_name()?.to_str()?.parse::<u64>().ok()) {
            Some(last) => last.checked_add(1)?,
            None => 0,
        };
        loop {
            // Padded, so that names sort as numbers do.
            let path = folder.join(format!("{number:020}"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    file.try_lock().ok()?;
                    return Some(Self { path, _locked: file });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number = number.checked_add(1)?,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the tickets, in their order.
fn waiting(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut tickets: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    tickets.sort();
    Some(tickets)
}

/// Removes a ticket whose process has ended; returns true if the queue has to be read again.
fn remove_if_dead(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => file.try_lock().is_ok() && fs::remove_file(path).is_ok(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::git::SystemClock;

    const SOON: Duration = Duration::from_millis(300);

    #[test]
    fn turns_come_in_order_and_a_dead_ones_ticket_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        fs::write(dir.path().join(format!("{:020}", 7)), "").unwrap();
        let first = Turn::take(dir.path(), &clock, SOON).unwrap();
        assert!(first.path.ends_with(format!("{:020}", 8)));
        assert_eq!(waiting(dir.path()).unwrap().len(), 1);
        assert!(Turn::take(dir.path(), &clock, SOON).is_none());
        let folder = dir.path().to_owned();
        let second =
            std::thread::spawn(move || Turn::take(&folder, &SystemClock::new(), SOON * 20).is_some());
        std::thread::sleep(SOON);
        drop(first);
        assert!(second.join().unwrap());
        assert!(waiting(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn a_queue_that_cannot_be_written_gives_no_turn_at_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(Turn::take(&dir.path().join("file/queue"), &SystemClock::new(), SOON * 100).is_none());
    }
}
