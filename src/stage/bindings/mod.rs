//! Bindings become subjects: organizations, tenants, knowledge bases.
//!
//! Pure: documents, clusters and rules in, [`Subjects`] out. Nothing stops at the first fault,
//! and one bad binding never stops another: what is wrong is *failed*, with its identity where
//! that is known, so that its last delivered files are held.
//!
//! * [`metadata`], [`organization`], [`tenant`], [`pipeline`], [`knowledge_base`]: one binding
//!   by itself.
//! * [`data`]: what templates see of it.
//! * [`drafts`]: all of them together, joined and placed.
//! * [`placement`]: the clusters it goes to.
//! * [`status`], [`grants`]: what became of a binding, and what it allows, for people.
//! * [`clashes`]: what two bindings must not both have. Neither is first: both fail.

mod clashes;
mod data;
mod drafts;
pub mod fields;
pub mod grants;
mod knowledge_base;
mod metadata;
pub mod names;
mod organization;
mod pipeline;
mod placement;
mod rules;
pub mod status;
mod subjects;
mod tenant;

pub use super::claims::{Claim, ClaimScope};
pub use data::{Checked, SubjectData};
pub use rules::BindingRules;
pub use subjects::{FailedBinding, FailedIdentity, MayDelete, Subject, Subjects};

use crate::error::Violation;
use crate::model::id::ClusterId;
use crate::yaml::Node;
use drafts::Drafts;
use std::sync::Arc;

/// One YAML document of `bindings/**/*.yaml`.
#[derive(Clone, Debug)]
pub struct BindingDocument {
    /// The document.
    pub node: Node,
    /// The file, as the user would name it.
    pub file: Arc<str>,
}

/// A file that could not be read as YAML: whose it is, nobody knows.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The file.
    pub file: Arc<str>,
    /// Why.
    pub why: Violation,
}

/// What placement has to know of a cluster. Held clusters belong here too: a binding that
/// names one is not wrong.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// The cluster.
    pub id: ClusterId,
    /// True if bindings must name it or its environment (`environments.<env>.placement`).
    pub placement_explicit: bool,
}

/// A cluster file that cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadCluster {
    /// The cluster's name, if that much is known.
    pub name: Option<String>,
    /// The file.
    pub file: Arc<str>,
}

/// The clusters that bindings may name.
#[derive(Clone, Copy, Debug)]
pub struct Clusters<'a> {
    /// Those whose file could be read.
    pub known: &'a [ClusterView],
    /// Those whose file could not.
    pub unread: &'a [UnreadCluster],
}

/// Turns the documents of a fleet into subjects.
pub fn resolve_bindings(
    documents: &[BindingDocument],
    unreadable: &[Unreadable],
    clusters: Clusters<'_>,
    rules: &BindingRules,
) -> Subjects {
    let mut all = Drafts::read(documents, unreadable, rules);
    all.place_organizations(clusters);
    all.join_tenants(rules);
    all.place_others(clusters);
    clashes::find(&mut all, rules);
    all.finish(rules)
}
