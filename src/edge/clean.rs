//! Remembers the last clean run: when its inputs and what stands in Git are still the same,
//! nothing has to be rendered to know that nothing changes.

use crate::model::settings::RepositorySettings;
use crate::model::tree::ObjectId;
use crate::report::Said;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// One cluster's folder as a clean run left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanCluster {
    /// Its environment.
    pub env: String,
    /// Its name.
    pub cluster: String,
    /// The repository it was delivered to.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// Its folder.
    pub folder: String,
    /// The id of the folder's tree.
    pub tree: String,
    /// The environment whose changes are proposed there, if they are not pushed.
    #[serde(default)]
    pub proposes: Option<String>,
}

/// A run that delivered everything and held nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanRun {
    /// Of everything that the run was told and read.
    pub key: String,
    /// The fleet's name.
    pub fleet: String,
    /// How many units it has.
    pub units: usize,
    /// Its clusters.
    pub clusters: Vec<CleanCluster>,
    /// What it said besides.
    pub notices: Vec<Said>,
    /// How its hydrant.yaml has repositories reached.
    #[serde(default)]
    pub git: RepositorySettings,
}

/// The largest record that is read, in bytes.
const MAX: u64 = 16 << 20;

fn file(cache: &Path, key: &str) -> PathBuf {
    cache.join("clean").join(format!("{}.json", key.get(..32).unwrap_or(key)))
}

impl CleanRun {
    /// Finds the record of a run with this key; none if there is none that can be read.
    pub fn find(cache: &Path, key: &str) -> Option<Self> {
        let path = file(cache, key);
        if fs::metadata(&path).ok()?.len() > MAX {
            return None;
        }
        let record: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (record.key == key).then_some(record)
    }

    /// Keeps the record, and forgets the oldest beyond a few.
    ///
    /// # Errors
    /// A cache folder that cannot be written.
    pub fn keep(&self, cache: &Path) -> std::io::Result<()> {
        let path = file(cache, &self.key);
        let folder = path.parent().unwrap_or(cache);
        fs::create_dir_all(folder)?;
        let mut temp = tempfile::NamedTempFile::new_in(folder)?;
        temp.write_all(&serde_json::to_vec(self)?)?;
        temp.persist(&path).map_err(|e| e.error)?;
        forget_oldest(folder)
    }

    /// Returns the tree that a cluster's folder must still have.
    pub fn tree_of(cluster: &CleanCluster) -> Option<ObjectId> {
        cluster.tree.parse().ok()
    }
}

/// How many records a cache keeps: one a selection, and a few of before.
const KEPT: usize = 32;

fn forget_oldest(folder: &Path) -> std::io::Result<()> {
    let mut records: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        records.push((entry.metadata()?.modified()?, entry.path()));
    }
    records.sort();
    let too_many = records.len().saturating_sub(KEPT);
    for (_, path) in records.into_iter().take(too_many) {
        // Another process may have been faster.
        let _ = fs::remove_file(path);
    }
    Ok(())
}
