//! Remembers lots between runs: lot key → what is said of it, and where its bytes are; unit key →
//! final bytes. One folder a fleet's name, so that a checkout into another folder finds it again.
//!
//! A run adds one file with what it made anew, under a name of its own; files are never changed,
//! so several processes may share a memo. When there are many, or much that nobody uses, one file
//! takes what is used of the others. What is damaged is rendered again. It is safe to delete.

mod checked;
mod encode;
mod segment;

use crate::error::{Error, Result};
use crate::model::id::{ClusterId, SubjectId};
use crate::model::lot::{Lot, LotKey, Stored, Units};
use crate::model::unit::{Hydrated, Memo, UnitKey};
use crate::stage::bindings::Checked;
use segment::{Segment, SegmentWriter, encode, read_first, read_units};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// With more files than this, one takes the place of the small ones.
const MAX_SEGMENTS: usize = 24;
/// What a memo may hold besides what the last run used: this much, or as much again.
const SPARE: u64 = 128 << 20;
/// The most bytes of one fleet's memo; beyond, even runs of a part keep only what they use.
const MAX_BYTES: u64 = 4 << 30;
/// Unfinished files of processes that are gone are removed after this time.
const STALE: Duration = Duration::from_secs(3600);

/// The memo of one fleet.
pub struct DiskMemo {
    cache: PathBuf,
    keep_unused: bool,
    opened: OnceLock<Opened>,
    fresh: Mutex<Option<SegmentWriter>>,
    /// The texts in which this run found nothing, if they are others than before.
    checked: Mutex<Option<Checked>>,
    damaged: Arc<AtomicBool>,
}

/// What was there when the run began.
struct Opened {
    folder: PathBuf,
    segments: Vec<Segment>,
    lots: HashMap<LotKey, Place>,
    checked: Arc<Checked>,
}

/// A row of a segment.
struct Place {
    segment: usize,
    row: usize,
    used: AtomicBool,
}

impl DiskMemo {
    /// Opens the memo in a cache folder; a missing or damaged one is empty. A run of a part of
    /// the fleet keeps what it does not use.
    pub fn open(cache: &Path, keep_unused: bool) -> Self {
        Self {
            cache: cache.to_owned(),
            keep_unused,
            opened: OnceLock::new(),
            fresh: Mutex::new(None),
            checked: Mutex::new(None),
            damaged: Arc::default(),
        }
    }

    /// Writes what this run made anew, if it made anything.
    ///
    /// # Errors
    /// A cache folder that cannot be written; the delivery does not depend on it.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(opened) = self.opened.get() else { return Ok(()) };
        if let Some(checked) = self.checked.lock().unwrap_or_else(PoisonError::into_inner).take() {
            checked::write(&opened.folder, &checked)?;
        }
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(fresh) = fresh else { return Ok(()) };
        fresh.finish()?;
        opened.tidy(self.keep_unused)
    }
}

impl Drop for DiskMemo {
    fn drop(&mut self) {
        // Which part is damaged is not worth finding out: all is made again.
        let damaged = self.opened.get().filter(|_| self.is_damaged());
        for segment in damaged.iter().flat_map(|opened| &opened.segments) {
            let _ = fs::remove_file(&segment.path);
        }
    }
}

impl Opened {
    fn read(cache: &Path, fleet: &str) -> Self {
        let name: String = blake3::hash(fleet.as_bytes()).to_hex()[..32].to_owned();
        let folder = cache.join("units").join(name);
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let unfinished = entry.file_name().to_string_lossy().starts_with(segment::UNFINISHED);
            let age = || entry.metadata().and_then(|m| m.modified()).map(|m| m.elapsed().unwrap_or_default());
            if unfinished && age().is_ok_and(|age| age > STALE) {
                let _ = fs::remove_file(&path);
            } else if path.extension().is_some_and(|e| e == segment::SUFFIX) {
                paths.push(path);
            }
        }
        paths.sort();
        let segments: Vec<Segment> = paths.iter().filter_map(|path| Segment::open(path)).collect();
        let mut lots = HashMap::with_capacity(segments.iter().map(|s| s.rows.len()).sum());
        for (segment, found) in segments.iter().enumerate() {
            for (row, key) in found.rows.iter().enumerate().filter_map(|(n, row)| Some((n, row.key?))) {
                lots.insert(key, Place { segment, row, used: AtomicBool::new(false) });
            }
        }
        let checked = Arc::new(checked::read(&folder));
        Self { folder, segments, lots, checked }
    }

    /// Returns how many bytes of each file this run used.
    fn used(&self) -> Vec<u64> {
        let mut used = vec![0; self.segments.len()];
        for place in self.lots.values().filter(|p| p.used.load(Ordering::Relaxed)) {
            used[place.segment] += self.segments[place.segment].rows[place.row].length;
        }
        used
    }

    /// Makes one file of many when there are too many, or when too much is not used.
    fn tidy(&self, keep_unused: bool) -> std::io::Result<()> {
        let used = self.used();
        let total: u64 = self.segments.iter().map(|s| s.length).sum();
        let live: u64 = used.iter().sum();
        let keep_unused = keep_unused && total < MAX_BYTES;
        let much = !keep_unused && total > SPARE + 2 * live;
        if self.segments.len() < MAX_SEGMENTS && !much {
            return Ok(());
        }
        // A large file of which most is used stays as it is.
        let largest = self.segments.iter().map(|s| s.length).max().unwrap_or(0);
        let stays = |n: usize| {
            let length = self.segments[n].length;
            length == largest && length > total / 2 && (keep_unused || used[n] > length / 2)
        };
        let mut merged = SegmentWriter::new(&self.folder)?;
        let mut places: Vec<&Place> = self.lots.values().filter(|p| !stays(p.segment)).collect();
        places.sort_by_key(|p| (p.segment, p.row));
        for place in places.into_iter().filter(|p| keep_unused || p.used.load(Ordering::Relaxed)) {
            let segment = &self.segments[place.segment];
            let row = &segment.rows[place.row];
            if let Some(bytes) = segment.raw(row) {
                merged.add(row.key, row.summary.clone(), &bytes)?;
            }
        }
        let name = merged.finish()?;
        for (n, segment) in self.segments.iter().enumerate() {
            if !stays(n) && segment.path != name {
                // Another process may have been faster.
                let _ = fs::remove_file(&segment.path);
            }
        }
        Ok(())
    }
}

impl Memo for DiskMemo {
    fn begin(&self, fleet: &str) {
        self.opened.get_or_init(|| Opened::read(&self.cache, fleet));
    }

    fn lot(&self, key: &LotKey, cluster: &ClusterId, subject: &SubjectId) -> Option<Lot> {
        let opened = self.opened.get()?;
        let place = opened.lots.get(key)?;
        place.used.store(true, Ordering::Relaxed);
        let segment = &opened.segments[place.segment];
        let row = &segment.rows[place.row];
        let stored = StoredLot {
            file: segment.file(),
            offset: row.offset,
            length: row.length,
            damaged: self.damaged.clone(),
        };
        Some(Lot::stored(cluster.clone(), subject.clone(), row.summary.clone(), Arc::new(stored)))
    }

    fn unit(&self, key: &UnitKey) -> Option<Arc<Hydrated>> {
        self.opened.get()?.segments.iter().find_map(|segment| segment.unit(key)).map(Arc::new)
    }

    fn keep(&self, key: Option<&LotKey>, lot: Lot) -> Lot {
        let Some(opened) = self.opened.get() else { return lot };
        let Ok(units) = lot.units() else { return lot };
        let bytes = encode(&units);
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_none() {
            // A folder that cannot be written costs the memo, and nothing else.
            *fresh = SegmentWriter::new(&opened.folder).ok();
        }
        let Some(writer) = fresh.as_mut() else { return lot };
        match writer.add(key.copied(), lot.summary.clone(), &bytes) {
            Ok((file, offset)) => {
                let length = bytes.len() as u64;
                let stored = StoredLot { file, offset, length, damaged: self.damaged.clone() };
                Lot::stored(lot.cluster, lot.subject, lot.summary, Arc::new(stored))
            }
            Err(e) => {
                tracing::warn!("the cache is not written: {e}");
                *fresh = None;
                lot
            }
        }
    }

    fn checked(&self) -> Arc<Checked> {
        self.opened.get().map(|opened| opened.checked.clone()).unwrap_or_default()
    }

    fn keep_checked(&self, checked: Checked) {
        if *self.checked() != checked {
            *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(checked);
        }
    }

    fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// A lot whose units lie in a file of the memo. The file stays readable while it is open, whoever
/// removes it.
struct StoredLot {
    file: Arc<File>,
    offset: u64,
    length: u64,
    damaged: Arc<AtomicBool>,
}

impl StoredLot {
    fn found<T>(&self, found: Option<T>) -> Result<T> {
        found.ok_or_else(|| {
            self.damaged.store(true, Ordering::Relaxed);
            Error::external("nothing was delivered: what the cache remembers cannot be read")
                .hint("run again; the damaged part has been thrown away")
        })
    }
}

impl Stored for StoredLot {
    fn units(&self, lot: &Lot) -> Result<Units> {
        let units = read_units(&self.file, self.offset, self.length);
        let units = self.found(units.filter(|units| units.len() == lot.summary.parts.len()))?;
        Ok(lot.ids().zip(units.into_iter().map(Arc::new)).collect())
    }

    fn first(&self, _: &Lot) -> Result<Option<Arc<Hydrated>>> {
        let unit = read_first(&self.file, self.offset, self.length);
        self.found(unit).map(|unit| Some(Arc::new(unit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Origin, Violation};
    use crate::model::id::{Layer, Part};
    use crate::model::overlay::Matches;
    use crate::model::unit::{File as UnitFile, ObjectRef};

    const SUBJECT: fn() -> SubjectId = || SubjectId::Organization("o".into());

    fn cluster() -> ClusterId {
        ClusterId { env: "prod".into(), name: "p".into() }
    }

    fn unit(n: u8) -> (crate::model::id::UnitId, Arc<Hydrated>) {
        let object = ObjectRef {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "n".into(),
            name: "a".into(),
        };
        let part = Part::Manifests { layer: Layer::Tenants, component: format!("c{n}") };
        let id = crate::model::id::UnitId { cluster: cluster(), subject: SUBJECT(), part };
        let hydrated = Hydrated {
            key: UnitKey([n; 32]),
            files: vec![UnitFile::new(format!("{}/deployment-a.yaml", id.place()), vec![n; 50])],
            objects: vec![(object, Origin::at("t.yaml", 3, 1))],
            matched: Matches([(1, 2)].into()),
            warnings: vec![
                Violation::warning("w").key("k").hint("h"),
                Violation::notice("n").at(Origin::file("f")),
            ],
        };
        (id, Arc::new(hydrated))
    }

    fn lot(n: u8) -> Lot {
        crate::stage::lot::lot(cluster(), SUBJECT(), vec![unit(n), unit(n + 100)])
    }

    fn key(n: u8) -> LotKey {
        LotKey([n; 32])
    }

    fn opened(dir: &Path) -> DiskMemo {
        let memo = DiskMemo::open(dir, false);
        memo.begin("fleet");
        memo
    }

    fn found(memo: &DiskMemo, n: u8) -> Option<Lot> {
        memo.lot(&key(n), &cluster(), &SUBJECT())
    }

    /// Writes lots, one run each.
    fn written(dir: &Path, numbers: &[u8]) {
        for n in numbers {
            let memo = opened(dir);
            memo.keep(Some(&key(*n)), lot(*n));
            memo.save().unwrap();
        }
    }

    fn same(a: &Lot, b: &Lot) -> bool {
        a.summary == b.summary && encode(&a.units().unwrap()) == encode(&b.units().unwrap())
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let folder = fs::read_dir(dir.join("units")).unwrap().next().unwrap().unwrap().path();
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect()
    }

    #[test]
    fn a_lot_comes_back_as_it_was_put_at_once_and_in_later_runs() {
        let dir = tempfile::tempdir().unwrap();
        let memo = opened(dir.path());
        assert!(same(&memo.keep(Some(&key(1)), lot(1)), &lot(1)));
        memo.save().unwrap();
        written(dir.path(), &[2]);
        let again = opened(dir.path());
        for n in [1, 2] {
            assert!(same(&found(&again, n).unwrap(), &lot(n)), "{n}");
            let found = again.unit(&UnitKey([n + 100; 32])).unwrap();
            assert_eq!(found.files, unit(n + 100).1.files);
        }
        assert!(found(&again, 3).is_none() && again.unit(&UnitKey([3; 32])).is_none());
        let other = DiskMemo::open(dir.path(), false);
        other.begin("other fleet");
        assert!(found(&other, 1).is_none());
    }

    #[test]
    fn of_a_lot_that_failed_only_the_units_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let memo = opened(dir.path());
        memo.keep(None, lot(1));
        memo.save().unwrap();
        let again = opened(dir.path());
        assert!(again.unit(&UnitKey([1; 32])).is_some() && found(&again, 1).is_none());
        assert!(again.lot(&LotKey([0; 32]), &cluster(), &SUBJECT()).is_none());
    }

    #[test]
    fn many_files_become_few_and_what_nobody_uses_goes() {
        let dir = tempfile::tempdir().unwrap();
        let numbers: Vec<u8> = (0..u8::try_from(MAX_SEGMENTS).unwrap()).collect();
        written(dir.path(), &numbers);
        assert_eq!(files(dir.path()).len(), MAX_SEGMENTS);
        let memo = opened(dir.path());
        assert!(found(&memo, 3).is_some() && found(&memo, 7).is_some());
        memo.keep(Some(&key(90)), lot(90));
        memo.save().unwrap();
        assert!(files(dir.path()).len() <= 3);
        let again = opened(dir.path());
        assert!([3, 7, 90].iter().all(|n| same(&found(&again, *n).unwrap(), &lot(*n))));
        assert!(found(&again, 4).is_none());
    }

    #[test]
    fn a_run_of_a_part_keeps_what_it_does_not_use() {
        let dir = tempfile::tempdir().unwrap();
        let numbers: Vec<u8> = (0..u8::try_from(MAX_SEGMENTS).unwrap()).collect();
        written(dir.path(), &numbers);
        let memo = DiskMemo::open(dir.path(), true);
        memo.begin("fleet");
        memo.keep(Some(&key(90)), lot(90));
        memo.save().unwrap();
        let again = opened(dir.path());
        assert!(files(dir.path()).len() <= 3);
        assert!(numbers.iter().all(|n| same(&found(&again, *n).unwrap(), &lot(*n))));
    }

    #[test]
    fn two_processes_lose_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (opened(dir.path()), opened(dir.path()));
        a.keep(Some(&key(1)), lot(1));
        b.keep(Some(&key(2)), lot(2));
        a.save().unwrap();
        b.save().unwrap();
        let again = opened(dir.path());
        assert!(found(&again, 1).is_some() && found(&again, 2).is_some());
    }

    #[test]
    fn a_damaged_file_gives_nothing_wrong_wherever_it_is_damaged_and_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &[1]);
        let path = files(dir.path()).remove(0);
        let whole = fs::read(&path).unwrap();
        let check = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).unwrap();
            let memo = opened(dir.path());
            if let Some(found) = memo.unit(&UnitKey([1; 32])) {
                assert_eq!(found.files, unit(1).1.files, "{what}");
            }
            let Some(found) = found(&memo, 1) else { return };
            assert_eq!(found.summary, lot(1).summary, "{what}");
            let units = found.units();
            assert_eq!(units.is_err(), memo.is_damaged(), "{what}");
            if let Ok(units) = units {
                assert_eq!(encode(&units), encode(&lot(1).units().unwrap()), "{what}");
                return;
            }
            drop(memo);
            assert!(!path.exists(), "{what}");
        };
        for i in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[i] ^= 0x55;
            check(&damaged, &format!("byte {i}"));
            check(&whole[..i], &format!("cut at {i}"));
        }
    }
}
