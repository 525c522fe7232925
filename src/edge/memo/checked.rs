//! The texts of bindings in which the last run found nothing to say, by their hashes: one small
//! file, replaced when they change. What is lost is read again.

use crate::stage::bindings::Checked;
use std::fs;
use std::io::Write as _;
use std::path::Path;

const NAME: &str = "checked";
/// The length of one hash, in bytes.
const ONE: usize = 32;
/// The largest file that is read, in bytes: two million hashes.
const MAX: u64 = 64 << 20;

/// Reads the file; nothing if it is missing or damaged.
pub(super) fn read(folder: &Path) -> Checked {
    let path = folder.join(NAME);
    let small = fs::metadata(&path).is_ok_and(|found| found.len() <= MAX);
    let Some(bytes) = small.then(|| fs::read(&path).ok()).flatten() else { return Checked::default() };
    let Some((digest, rows)) = bytes.split_first_chunk::<ONE>() else { return Checked::default() };
    if blake3::hash(rows).as_bytes() != digest {
        return Checked::default();
    }
    rows.chunks_exact(ONE).filter_map(|row| row.try_into().ok()).collect()
}

/// Writes the file.
///
/// # Errors
/// A folder that cannot be written.
pub(super) fn write(folder: &Path, checked: &Checked) -> std::io::Result<()> {
    let mut rows: Vec<[u8; ONE]> = checked.iter().copied().collect();
    rows.sort_unstable();
    let rows = rows.concat();
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(super::segment::UNFINISHED).tempfile_in(folder)?;
    file.write_all(blake3::hash(&rows).as_bytes())?;
    file.write_all(&rows)?;
    file.persist(folder.join(NAME)).map_err(|e| e.error)?;
    Ok(())
}
