//! Whether a kind lives in a namespace.

use super::{Table, builtin};
use std::sync::LazyLock;

/// Where the objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster as a whole.
    Cluster,
}

/// Kinds that came after the version whose schema kustomize carries. The engine must not
/// use them where it follows kustomize, which takes them for namespaced; checks may.
static NEWER: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("../data/kubernetes-newer.txt")));

/// Returns the scope of one of Kubernetes' own kinds, of newer versions too; none for
/// kinds that Kubernetes does not have itself.
pub fn scope(api_version: &str, kind: &str) -> Option<Scope> {
    let namespaced =
        builtin().namespaced(api_version, kind).or_else(|| NEWER.namespaced(api_version, kind))?;
    Some(if namespaced { Scope::Namespaced } else { Scope::Cluster })
}
