//! What the Git side may be told, each with its default.

/// The largest file that is read from a repository, in bytes.
///
/// Manifests are far smaller; GitHub itself refuses files above 100 MB.
pub(super) const MAX_BLOB: usize = 32 << 20;

/// How a repository is opened and spoken to.
#[derive(Clone, Debug, Default)]
pub struct GitSettings {
    /// Create a local repository (bare) where the folder is missing or empty.
    pub create: bool,
}
