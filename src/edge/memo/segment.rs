//! One file of the memo: the bytes of lots, then a table of the lots, then one of their units.
//!
//! A file is written once, under a name of its own, and never changed. The table of lots is read
//! when a run begins; everything else only where it is asked for. Each part has a digest.

use super::encode::{Reader, Writer};
use crate::model::lot::{LotKey, Summary, Units};
use crate::model::unit::{Hydrated, UnitKey};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, Result, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tempfile::NamedTempFile;

/// Names the form; another one is not read.
const MAGIC: &[u8; 16] = b"hydrant memo 2\n\0";
/// The head of a unit: its key, the digest of what follows, and its length.
const HEAD: usize = 32 + 32 + 8;
/// The end of a file: length and digest of each table, then [`MAGIC`] again.
const FOOT: usize = 2 * (8 + 32) + 16;
/// A row of the table of units: key, offset, length with the head.
const ROW: usize = 32 + 8 + 8;
/// The largest table that is read, in bytes.
const MAX_TABLE: u64 = 1 << 30;
/// How the names of finished files end.
pub(super) const SUFFIX: &str = "memo";
/// How the names of unfinished files begin.
pub(super) const UNFINISHED: &str = "tmp_";

/// One lot in a file.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// None for units whose lot has failed: only they are found.
    pub(super) key: Option<LotKey>,
    /// Where its units begin, and how long they are together.
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) summary: Summary,
}

/// A finished file.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: Arc<File>,
    /// The length of the file.
    pub(super) length: u64,
    pub(super) rows: Vec<Row>,
    table: (u64, u64, [u8; 32]),
    units: OnceLock<Vec<u8>>,
}

impl Segment {
    /// Opens a file and reads its table of lots; none if it is no whole file of ours.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut foot = [0; FOOT];
        let foot_at = length.checked_sub(FOOT as u64)?;
        file.read_exact_at(&mut foot, foot_at).ok()?;
        let mut r = Reader(&foot);
        let (lots, lots_digest): (_, [u8; 32]) = (r.number()? as u64, r.raw()?);
        let (units, units_digest): (_, [u8; 32]) = (r.number()? as u64, r.raw()?);
        if r.take(16)? != MAGIC || lots > MAX_TABLE || units > MAX_TABLE {
            return None;
        }
        let units_at = foot_at.checked_sub(units)?;
        let lots_at = units_at.checked_sub(lots)?;
        let table = read_table(&file, lots_at, lots, &lots_digest)?;
        let rows = read_rows(&table, lots_at)?;
        let table = (units_at, units, units_digest);
        Some(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            length,
            rows,
            table,
            units: OnceLock::new(),
        })
    }

    /// Finds a unit by its key, in whatever lot.
    pub(super) fn unit(&self, key: &UnitKey) -> Option<Hydrated> {
        let (at, length, digest) = &self.table;
        let table =
            self.units.get_or_init(|| read_table(&self.file, *at, *length, digest).unwrap_or_default());
        let row = |n: usize| table.get(n * ROW..(n + 1) * ROW);
        let (mut low, mut high) = (0, table.len() / ROW);
        while low < high {
            let middle = low + (high - low) / 2;
            let here = row(middle)?;
            match here[..32].cmp(&key.0[..]) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let mut r = Reader(&here[32..]);
                    let (offset, length) = (r.number()? as u64, r.number()? as u64);
                    let mut units = read_units(&self.file, offset, length)?;
                    return units.pop().filter(|unit| unit.key == *key);
                }
            }
        }
        None
    }

    /// Returns the bytes of a lot as they stand in the file.
    pub(super) fn raw(&self, row: &Row) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(row.length).ok()?];
        self.file.read_exact_at(&mut bytes, row.offset).ok()?;
        Some(bytes)
    }

    /// Returns the open file, to read lots from later.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }
}

fn read_table(file: &File, at: u64, length: u64, digest: &[u8; 32]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, at).ok()?;
    (blake3::hash(&bytes).as_bytes() == digest).then_some(bytes)
}

/// Reads the first of the units that stand at a place.
pub(super) fn read_first(file: &File, offset: u64, length: u64) -> Option<Hydrated> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, offset).ok()?;
    let payload = Reader(&head[64..]).number()? as u64;
    let first = payload.checked_add(HEAD as u64).filter(|first| *first <= length)?;
    read_units(file, offset, first)?.pop()
}

/// Reads the units that stand one after the other at a place.
pub(super) fn read_units(file: &File, offset: u64, length: u64) -> Option<Vec<Hydrated>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    let mut r = Reader(&bytes);
    let mut units = Vec::new();
    while !r.0.is_empty() {
        let (key, digest): ([u8; 32], [u8; 32]) = (r.raw()?, r.raw()?);
        let payload = r.bytes()?;
        if digest_of(&key, payload) != digest {
            return None;
        }
        units.push(Reader(payload).unit(UnitKey(key))?);
    }
    Some(units)
}

fn digest_of(key: &[u8; 32], payload: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(key).update(payload).finalize().as_bytes()
}

/// Reads the table of lots. What many of them share is written once.
fn read_rows(table: &[u8], end: u64) -> Option<Vec<Row>> {
    let mut r = Reader(table);
    let mut matches = Vec::new();
    for _ in 0..r.count()? {
        matches.push(Arc::new(r.matches()?));
    }
    let mut parts = Vec::new();
    for _ in 0..r.count()? {
        parts.push(Arc::new(r.parts()?));
    }
    let mut rows = Vec::new();
    for _ in 0..r.count()? {
        let keyed = r.number()? == 1;
        let key = LotKey(r.raw()?);
        let (offset, length) = (r.number()? as u64, r.number()? as u64);
        if offset.checked_add(length)? > end {
            return None;
        }
        let matched = matches.get(r.number()?)?.clone();
        let parts = parts.get(r.number()?)?.clone();
        let files = r.number()?;
        let folder = r.maybe_id()?;
        let application = r.maybe_id()?;
        let mut objects = Vec::new();
        for _ in 0..r.count()? {
            objects.push(u64::from_le_bytes(r.raw()?));
        }
        let warnings = r.warnings()?;
        let summary = Summary { parts, files, folder, application, objects, matched, warnings };
        rows.push(Row { key: keyed.then_some(key), offset, length, summary });
    }
    Some(rows)
}

/// A file that is being written.
pub(super) struct SegmentWriter {
    file: NamedTempFile,
    reader: Arc<File>,
    length: u64,
    rows: Vec<Row>,
    units: Vec<u8>,
}

impl SegmentWriter {
    /// Begins a file in a folder, which is made if need be.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        let reader = Arc::new(file.as_file().try_clone()?);
        let mut writer = Self { file, reader, length: 0, rows: Vec::new(), units: Vec::new() };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.as_file_mut().write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Adds a lot, and returns where its units are to be read.
    pub(super) fn add(
        &mut self,
        key: Option<LotKey>,
        summary: Summary,
        bytes: &[u8],
    ) -> Result<(Arc<File>, u64)> {
        let offset = self.length;
        self.write(bytes)?;
        let length = bytes.len() as u64;
        let mut r = Reader(bytes);
        while !r.0.is_empty() {
            let start = length - r.0.len() as u64;
            let row = (|| Some((r.raw::<32>()?, r.raw::<32>()?, r.bytes()?.len())))();
            let (key, _, payload) = row.ok_or_else(|| Error::other("a unit of the memo is damaged"))?;
            self.units.extend_from_slice(&key);
            self.units.extend_from_slice(&(offset + start).to_le_bytes());
            self.units.extend_from_slice(&((HEAD + payload) as u64).to_le_bytes());
        }
        self.rows.push(Row { key, offset, length, summary });
        Ok((self.reader.clone(), offset))
    }

    /// Writes the tables, and gives the file its name.
    pub(super) fn finish(mut self) -> Result<PathBuf> {
        let lots = write_rows(&self.rows);
        let mut units: Vec<[u8; ROW]> =
            self.units.chunks_exact(ROW).filter_map(|c| c.try_into().ok()).collect();
        units.sort_unstable();
        let units = units.concat();
        let mut foot = Writer::default();
        for table in [&lots, &units] {
            foot.number(table.len());
            foot.raw(blake3::hash(table).as_bytes());
        }
        foot.raw(MAGIC);
        self.write(&lots)?;
        self.write(&units)?;
        self.write(&foot.0)?;
        // Named by its content: a process that writes the same has the same file.
        let name = format!("{}.{SUFFIX}", &blake3::hash(&foot.0).to_hex()[..32]);
        let path = self.file.path().with_file_name(name);
        self.file.persist(&path).map_err(|e| e.error)?;
        Ok(path)
    }
}

fn write_rows(rows: &[Row]) -> Vec<u8> {
    let mut matches: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut parts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let number = |table: &mut BTreeMap<Vec<u8>, usize>, bytes: Vec<u8>| {
        let next = table.len();
        *table.entry(bytes).or_insert(next)
    };
    let mut body = Writer::default();
    body.number(rows.len());
    for row in rows {
        let (mut m, mut p) = (Writer::default(), Writer::default());
        m.matches(&row.summary.matched);
        p.parts(&row.summary.parts);
        body.number(usize::from(row.key.is_some()));
        body.raw(row.key.map_or([0; 32], |key| key.0).as_slice());
        body.raw(&row.offset.to_le_bytes());
        body.raw(&row.length.to_le_bytes());
        body.number(number(&mut matches, m.0));
        body.number(number(&mut parts, p.0));
        body.number(row.summary.files);
        body.maybe_id(row.summary.folder.as_ref());
        body.maybe_id(row.summary.application.as_ref());
        body.number(row.summary.objects.len());
        row.summary.objects.iter().for_each(|object| body.raw(&object.to_le_bytes()));
        body.warnings(&row.summary.warnings);
    }
    let mut table = Writer::default();
    for shared in [matches, parts] {
        let mut in_order: Vec<(usize, Vec<u8>)> = shared.into_iter().map(|(bytes, n)| (n, bytes)).collect();
        in_order.sort();
        table.number(in_order.len());
        in_order.iter().for_each(|(_, bytes)| table.raw(bytes));
    }
    table.raw(&body.0);
    table.0
}

/// Returns the units of a lot as they stand in a file.
pub(super) fn encode(units: &Units) -> Vec<u8> {
    let mut all = Writer::default();
    for (_, hydrated) in units {
        let mut payload = Writer::default();
        payload.unit(hydrated);
        all.raw(&hydrated.key.0);
        all.raw(&digest_of(&hydrated.key.0, &payload.0));
        all.bytes(&payload.0);
    }
    all.0
}
