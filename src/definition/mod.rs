//! What the files of a fleet say, checked one by one: the step from bytes to [`Definitions`].
//!
//! A file that is wrong is a value here ([`Failed`]), not the end: the other files go on,
//! and `resolve` decides what must be held because of it.

pub mod bindings;
pub mod catalog;
pub mod checked;
pub mod clusters;
pub mod overlays;
pub mod settings;
pub mod tree;
pub mod waves;

use crate::error::Violations;
use crate::model::settings::Settings;
use bindings::BindingFiles;
use catalog::Catalog;
use clusters::ClusterDefinition;
use overlays::Environments;
use std::sync::OnceLock;
use tree::Tree;

/// A file, or a document of one, that says nothing we can use.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Whom it was about, if that could be read.
    pub who: Option<String>,
    /// Why.
    pub why: Violations,
}

/// Where the fleet came from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// How people name it: the repository's URL without credentials, or the folder's name.
    pub name: String,
    /// The commit, if it lies in Git and is clean.
    pub commit: Option<String>,
}

/// Everything that a fleet's files say.
#[derive(Debug)]
pub struct Definitions {
    /// `hydrant.yaml`.
    pub settings: Settings,
    /// The clusters that could be read.
    pub clusters: Vec<ClusterDefinition>,
    /// Cluster files that could not.
    pub failed_clusters: Vec<Failed>,
    /// The components, built-in and the fleet's.
    pub catalog: Catalog,
    /// The environments and their values.
    pub environments: Environments,
    /// The documents of its bindings.
    pub bindings: BindingFiles,
    /// The files themselves.
    pub fleet: Tree,
    /// Warnings and notices.
    pub notices: Violations,
    /// Where the fleet came from.
    pub source: Source,
    /// The digest of every input byte, once somebody asked for it.
    pub inputs: OnceLock<String>,
}

/// How strict the reading is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strictness {
    /// Check cluster.yaml by the original schema alone.
    pub compat: bool,
}

/// Reads the definitions out of a fleet's files and the built-in ones.
///
/// # Errors
/// A broken `hydrant.yaml`, or no `clusters/` folder: nothing can be said without them.
pub fn define(
    fleet: Tree,
    builtin: &Tree,
    source: Source,
    strictness: Strictness,
) -> Result<Definitions, Violations> {
    let settings = settings::read_settings(&fleet)?;
    let mut notices = Violations::new();
    let found = clusters::read_clusters(&fleet, strictness, &mut notices)?;
    let catalog = catalog::read_catalog(builtin, &fleet);
    let bindings = bindings::read_bindings(&fleet, &mut notices);
    let environments = overlays::read_environments(builtin, &fleet);
    Ok(Definitions {
        settings,
        clusters: found.read,
        failed_clusters: found.failed,
        catalog,
        environments,
        bindings,
        fleet,
        notices,
        source,
        inputs: OnceLock::new(),
    })
}
