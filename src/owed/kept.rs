//! The record's shortcut in the cache folder: up to where this machine followed a branch.
//!
//! It saves the fetch of notes where all is done, and stands in for the record where the
//! server takes no notes. It may be lost at any time.

use super::line_of;
use crate::config::DeliveryRequest;
use crate::model::fleet::Destination;
use crate::record::Followed;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

/// The longest file that is read, in bytes.
const MOST: u64 = 4 << 20;

/// Up to where a branch was followed from here.
pub struct Kept {
    path: Option<PathBuf>,
}

impl Kept {
    /// Opens the file of a branch; without a cache folder nothing is kept.
    pub fn of(request: &DeliveryRequest, fleet: &str, to: &Destination) -> Self {
        let name = blake3::hash(format!("{fleet}\n{}\n{}", to.repo, line_of(to)).as_bytes()).to_hex();
        Self { path: request.cache.as_ref().map(|c| c.join("followed").join(&name[..32])) }
    }

    /// Returns what is kept; none if there is nothing that can be read.
    pub fn read(&self) -> Option<Followed> {
        let mut text = Vec::new();
        fs::File::open(self.path.as_ref()?).ok()?.take(MOST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps it. A cache that cannot be written is no failure.
    pub fn write(&self, followed: &Followed) {
        let Some(path) = &self.path else { return };
        let folder = path.parent().unwrap_or(path);
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec(followed)?)?;
            file.persist(path).map(|_| ()).map_err(|e| e.error)
        });
        if let Err(error) = written {
            tracing::warn!("the cache was not written: {error}");
        }
    }
}
