//! Where a fleet lies: a folder, or a repository at a revision.

mod address;
mod folder;
mod repository;
mod source;

use crate::definition::Source;
use crate::definition::tree::Tree;
use crate::edge::git::{Ancestry, ancestry};
use crate::error::Result;
use std::fmt;
use std::path::PathBuf;

pub use folder::load_folder;
pub use repository::FleetRepository;

/// The largest single file, in bytes.
pub const MAX_FILE: u64 = 4 << 20;
/// The most bytes of one fleet.
pub const MAX_TOTAL: u64 = 1 << 30;
/// The most files of one fleet.
pub const MAX_FILES: usize = 500_000;
/// How deep folders may nest.
const MAX_DEPTH: usize = 16;

/// The folders of a fleet that are read, and the one file.
const FOLDERS: [&str; 4] = ["clusters", "bindings", "templates", "overlays"];

/// Where a fleet lies.
#[derive(Clone, Debug)]
pub enum FleetPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A folder in a repository, at a revision.
    Repository(Box<FleetRepository>),
}

impl Default for FleetPlace {
    fn default() -> Self {
        Self::Folder(PathBuf::default())
    }
}

impl From<PathBuf> for FleetPlace {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl fmt::Display for FleetPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FleetPlace::Folder(folder) => write!(f, "{}", folder.display()),
            FleetPlace::Repository(repository) => repository.fmt(f),
        }
    }
}

impl FleetPlace {
    /// Reads all files of the fleet, and tells where they came from.
    ///
    /// # Errors
    /// A folder that cannot be listed at all; a repository that cannot be reached or has no
    /// such revision or folder.
    pub fn load(&self) -> Result<(Tree, Source)> {
        match self {
            FleetPlace::Folder(folder) => folder::load(folder),
            FleetPlace::Repository(repository) => repository.load(),
        }
    }

    /// Compares two commits of the repository that the fleet lies in.
    pub fn ancestry(&self, first: &str, second: &str) -> Ancestry {
        match self {
            FleetPlace::Folder(folder) => ancestry(folder, first, second),
            FleetPlace::Repository(repository) => repository.ancestry(first, second),
        }
    }

    /// Returns a text that is the same for the same place.
    pub fn key(&self) -> String {
        match self {
            FleetPlace::Folder(folder) => {
                std::fs::canonicalize(folder).unwrap_or_default().to_string_lossy().into_owned()
            }
            FleetPlace::Repository(repository) => repository.to_string(),
        }
    }
}
