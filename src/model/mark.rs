//! The mark `.hydrant`: says whose a cluster's folder is, and what a person rolled back.

use super::id::ClusterId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file's name.
pub const FILE: &str = ".hydrant";
/// The version of its form.
pub const SCHEMA: u32 = 1;

/// The content of a mark. Nothing in it follows the manifests: a line that changed with each
/// delivery would make every revert but the newest a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The cluster's name.
    pub cluster: String,
    /// Its environment.
    pub env: String,
    /// The fleet that owns the folder.
    pub fleet: String,
    /// Places whose refused content is held back: the Git id of that content, or null for
    /// a refused absence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Option<String>>,
    /// The version of this form.
    pub schema: u32,
}

impl Mark {
    /// Returns the mark of a cluster of a fleet.
    pub fn new(cluster: &ClusterId, fleet: &str) -> Self {
        Self {
            cluster: cluster.name.clone(),
            env: cluster.env.clone(),
            fleet: fleet.to_owned(),
            held: BTreeMap::new(),
            schema: SCHEMA,
        }
    }

    /// Reads a mark; none if the bytes are none of ours, or of a form that is not known here.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|mark: &Self| mark.schema == SCHEMA)
    }

    /// Returns the version of a mark's form if a later Hydrant wrote it: what else it says is not
    /// known here, and would be lost if it were written again.
    pub fn later(bytes: &[u8]) -> Option<u32> {
        #[derive(Deserialize)]
        struct Form {
            schema: u32,
        }
        serde_json::from_slice(bytes).ok().map(|form: Form| form.schema).filter(|schema| *schema > SCHEMA)
    }

    /// Prints it: sorted keys, two spaces, a final newline.
    pub fn print(&self) -> Vec<u8> {
        // The fields stand in sorted order above.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
