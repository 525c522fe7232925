//! Remembers units between runs: unit key → final bytes, in one file of the cache folder.
//!
//! The file is rebuilt from what a run used, written beside and renamed, so several
//! processes may share it and the last one wins. Every entry carries its own digest: what
//! is damaged is rendered again. It is safe to delete.

use crate::error::{Origin, Severity, Violation};
use crate::model::overlay::Matches;
use crate::model::tree::ObjectId;
use crate::model::unit::{File, Hydrated, Memo, ObjectRef, UnitKey};
use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Names the form; another one is not read.
const MAGIC: &[u8; 16] = b"hydrant memo 1\n\0";
/// The largest file that is read or written, in bytes.
const MAX_FILE: u64 = 1 << 30;
/// An entry's head: key, digest of the payload, and its length.
const HEAD: usize = 32 + 32 + 8;

/// The memo of one fleet.
pub struct DiskMemo {
    path: PathBuf,
    /// Read when the first unit is asked for: a run that ends early never needs it.
    old: OnceLock<Old>,
    keep_unused: bool,
    used: Mutex<Used>,
}

/// What the file held.
struct Old {
    bytes: Vec<u8>,
    index: HashMap<[u8; 32], Range<usize>>,
}

#[derive(Default)]
struct Used {
    units: HashMap<[u8; 32], Option<Arc<Hydrated>>>,
    fresh: usize,
}

impl DiskMemo {
    /// Opens the memo of a fleet in a cache folder; a missing or damaged one is empty. A run
    /// of a part of the fleet keeps what it does not use.
    pub fn open(cache: &Path, name: &str, keep_unused: bool) -> Self {
        let path = cache.join("units").join(format!("{}.memo", blake3::hash(name.as_bytes()).to_hex()));
        Self { path, old: OnceLock::new(), keep_unused, used: Mutex::default() }
    }

    fn old(&self) -> &Old {
        self.old.get_or_init(|| {
            let bytes = read(&self.path).unwrap_or_default();
            Old { index: index(&bytes), bytes }
        })
    }

    /// Writes what this run used, if it made anything new.
    ///
    /// # Errors
    /// A cache folder that cannot be written; the delivery does not depend on it.
    pub fn save(&self) -> std::io::Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.units.is_empty() {
            return Ok(());
        }
        let Old { bytes: old, index } = self.old();
        let unchanged = used.fresh == 0 && (self.keep_unused || used.units.len() == index.len());
        if unchanged {
            return Ok(());
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let mut out = std::io::BufWriter::new(file.as_file_mut());
        out.write_all(MAGIC)?;
        let mut total = MAGIC.len() as u64;
        let kept = index.keys().filter(|k| self.keep_unused && !used.units.contains_key(*k));
        let mut keys: Vec<&[u8; 32]> = used.units.keys().chain(kept).collect();
        keys.sort();
        for key in keys {
            let encoded;
            let payload = match (used.units.get(key), index.get(key)) {
                (Some(Some(hydrated)), _) => {
                    encoded = encode(hydrated);
                    encoded.as_slice()
                }
                (_, Some(range)) => &old[range.clone()],
                _ => continue,
            };
            total += (HEAD + payload.len()) as u64;
            if total > MAX_FILE {
                break;
            }
            out.write_all(key)?;
            out.write_all(blake3::hash(payload).as_bytes())?;
            out.write_all(&(payload.len() as u64).to_le_bytes())?;
            out.write_all(payload)?;
        }
        out.flush()?;
        drop(out);
        file.persist(&self.path).map_err(|e| e.error)?;
        Ok(())
    }
}

impl Memo for DiskMemo {
    fn get(&self, key: &UnitKey) -> Option<Arc<Hydrated>> {
        let Old { bytes: old, index } = self.old();
        let range = index.get(&key.0)?;
        let head = range.start.checked_sub(HEAD)?;
        let payload = old.get(range.clone())?;
        let digest = old.get(head + 32..head + 64)?;
        if blake3::hash(payload).as_bytes() != digest {
            return None;
        }
        let hydrated = decode(*key, payload).map(Arc::new)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.units.insert(key.0, None);
        Some(hydrated)
    }

    fn put(&self, hydrated: &Arc<Hydrated>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.fresh += 1;
        used.units.insert(hydrated.key.0, Some(hydrated.clone()));
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_FILE && bytes.starts_with(MAGIC)).then_some(bytes)
}

fn index(bytes: &[u8]) -> HashMap<[u8; 32], Range<usize>> {
    let mut index = HashMap::new();
    let mut at = MAGIC.len();
    while let Some(head) = bytes.get(at..at + HEAD) {
        let mut key = [0; 32];
        key.copy_from_slice(&head[..32]);
        let mut length = [0; 8];
        length.copy_from_slice(&head[64..]);
        let start = at + HEAD;
        let Some(end) = usize::try_from(u64::from_le_bytes(length)).ok().and_then(|l| start.checked_add(l))
        else {
            break;
        };
        if end > bytes.len() {
            break;
        }
        index.insert(key, start..end);
        at = end;
    }
    index
}

/// Writes the parts of an entry one after the other, each with its length.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, n: usize) {
        self.0.extend_from_slice(&(n as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn origin(&mut self, at: &Origin) {
        self.text(&at.file);
        self.number(at.line as usize);
        self.number(at.column as usize);
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.number(usize::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }
}

fn encode(hydrated: &Hydrated) -> Vec<u8> {
    let mut w = Writer::default();
    w.number(hydrated.files.len());
    for file in &hydrated.files {
        w.text(&file.path);
        w.bytes(&file.bytes);
        w.bytes(file.id.as_bytes());
    }
    w.number(hydrated.objects.len());
    for (object, at) in &hydrated.objects {
        for part in [&object.group, &object.kind, &object.namespace, &object.name] {
            w.text(part);
        }
        w.origin(at);
    }
    w.number(hydrated.matched.0.len());
    for (step, entry) in &hydrated.matched.0 {
        w.bytes(&step.to_le_bytes());
        w.number(*entry);
    }
    w.number(hydrated.warnings.len());
    for v in &hydrated.warnings {
        w.number(v.severity as usize);
        w.number(usize::from(v.guard));
        w.number(usize::from(v.at.is_some()));
        w.origin(&v.at.clone().unwrap_or_else(|| Origin::file("")));
        w.maybe(v.key.as_deref());
        w.text(&v.message);
        w.maybe(v.hint.as_deref());
    }
    w.0
}

/// Reads what [`Writer`] wrote; anything else gives none.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<usize> {
        let bytes: [u8; 8] = self.take(8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    }

    /// A count of things that take at least 8 bytes each: never more than can follow.
    fn count(&mut self) -> Option<usize> {
        self.number().filter(|n| *n <= self.0.len() / 8 + 1)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.number()?;
        self.take(n)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn origin(&mut self) -> Option<Origin> {
        let file = self.text()?;
        let line = u32::try_from(self.number()?).ok()?;
        let column = u32::try_from(self.number()?).ok()?;
        Some(Origin::at(file, line, column))
    }

    fn maybe(&mut self) -> Option<Option<String>> {
        let there = self.number()? == 1;
        let text = self.text()?;
        Some(there.then_some(text))
    }
}

fn decode(key: UnitKey, payload: &[u8]) -> Option<Hydrated> {
    let mut r = Reader(payload);
    let mut files = Vec::new();
    for _ in 0..r.count()? {
        let path = r.text()?;
        let bytes = Arc::from(r.bytes()?);
        let id = ObjectId::from_bytes(r.bytes()?.try_into().ok()?);
        files.push(File { path, bytes, id });
    }
    let mut objects = Vec::new();
    for _ in 0..r.count()? {
        let (group, kind, namespace, name) = (r.text()?, r.text()?, r.text()?, r.text()?);
        objects.push((ObjectRef { group, kind, namespace, name }, r.origin()?));
    }
    let mut matched = Matches::default();
    for _ in 0..r.count()? {
        let step = u64::from_le_bytes(r.bytes()?.try_into().ok()?);
        matched.0.insert((step, r.number()?));
    }
    let mut warnings = Vec::new();
    for _ in 0..r.count()? {
        let severity = match r.number()? {
            1 => Severity::Warning,
            _ => Severity::Notice,
        };
        let guard = r.number()? == 1;
        let placed = r.number()? == 1;
        let at = r.origin()?;
        let key = r.maybe()?;
        let message = r.text()?;
        let hint = r.maybe()?;
        warnings.push(Violation { severity, at: placed.then_some(at), key, message, hint, guard });
    }
    r.0.is_empty().then_some(Hydrated { key, files, objects, matched, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(n: u8) -> Arc<Hydrated> {
        let object = ObjectRef {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "n".into(),
            name: "a".into(),
        };
        Arc::new(Hydrated {
            key: UnitKey([n; 32]),
            files: vec![File::new("platform/a/deployment-a.yaml".into(), vec![n; 50])],
            objects: vec![(object, Origin::at("t.yaml", 3, 1))],
            matched: Matches([(1, 2)].into()),
            warnings: vec![
                Violation::warning("w").key("k").hint("h"),
                Violation::notice("n").at(Origin::file("f")),
            ],
        })
    }

    #[test]
    fn a_unit_comes_back_as_it_was_put() {
        let dir = tempfile::tempdir().unwrap();
        let memo = DiskMemo::open(dir.path(), "fleet", false);
        memo.put(&unit(1));
        memo.put(&unit(2));
        memo.save().unwrap();
        let again = DiskMemo::open(dir.path(), "fleet", false);
        let found = again.get(&UnitKey([1; 32])).unwrap();
        assert_eq!(encode(&found), encode(&unit(1)));
        assert!(again.get(&UnitKey([3; 32])).is_none());
        assert!(DiskMemo::open(dir.path(), "other fleet", false).get(&UnitKey([1; 32])).is_none());
    }

    #[test]
    fn what_a_run_does_not_use_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let memo = DiskMemo::open(dir.path(), "fleet", false);
        memo.put(&unit(1));
        memo.put(&unit(2));
        memo.save().unwrap();
        let second = DiskMemo::open(dir.path(), "fleet", false);
        assert!(second.get(&UnitKey([2; 32])).is_some());
        second.save().unwrap();
        assert!(DiskMemo::open(dir.path(), "fleet", false).get(&UnitKey([1; 32])).is_none());
    }

    #[test]
    fn a_damaged_file_gives_nothing_wrong_wherever_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let memo = DiskMemo::open(dir.path(), "fleet", false);
        memo.put(&unit(1));
        memo.save().unwrap();
        let path = memo.path.clone();
        let whole = fs::read(&path).unwrap();
        for i in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[i] ^= 0x55;
            fs::write(&path, &damaged).unwrap();
            if let Some(found) = DiskMemo::open(dir.path(), "fleet", false).get(&UnitKey([1; 32])) {
                assert_eq!(encode(&found), encode(&unit(1)), "byte {i}");
            }
            fs::write(&path, &whole[..i]).unwrap();
            assert!(
                DiskMemo::open(dir.path(), "fleet", false).get(&UnitKey([1; 32])).is_none(),
                "cut at {i}"
            );
        }
    }
}
