//! What the engine knows of Kubernetes' own types: which lists merge by which keys, and
//! which kinds have a namespace.
//!
//! [`Table`] is read once from a compact text, `data/kubernetes-1.21.2.txt`, the version
//! whose schema kustomize 5.5 carries. A test derives that text again from the published
//! OpenAPI document. The `openapi` field of a kustomization gives a table of its own by
//! the same derivation.

mod derive;
mod scope;
mod table;

pub use derive::derive;
pub use scope::{Scope, scope};
pub use table::{Field, Table, TypeRef};

use std::sync::{Arc, LazyLock};

static BUILTIN: LazyLock<Arc<Table>> =
    LazyLock::new(|| Arc::new(Table::parse(include_str!("../data/kubernetes-1.21.2.txt"))));

/// Returns the table of Kubernetes' own types.
pub fn builtin() -> Arc<Table> {
    BUILTIN.clone()
}
