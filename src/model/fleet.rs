//! The fleet after resolve: clusters with everything that derives from their files, and who is held.

use super::cluster::ClusterFile;
use super::id::{ClusterId, Domain, SubjectId};
use super::overlay::Step;
use super::platform::{Argocd, Vault};
use super::settings::Deliver;
use super::values::ValueTree;
use crate::definition::catalog::Component;
use crate::error::{Origin, Violations};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Where a cluster's manifests go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The repository as Argo CD reaches it.
    pub repo: String,
    /// The branch.
    pub branch: String,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.repo, self.branch)
    }
}

/// One component on one cluster, for the subjects of its scope.
#[derive(Clone, Debug)]
pub struct Placed<'d> {
    /// The component.
    pub component: &'d Component,
    /// Its values there.
    pub values: Arc<Value>,
}

/// One cluster, resolved.
#[derive(Debug)]
pub struct Cluster<'d> {
    /// Its identity.
    pub id: ClusterId,
    /// Its cluster.yaml.
    pub file: &'d ClusterFile,
    /// Where that stands.
    pub at: Origin,
    /// All its values with their origins.
    pub values: ValueTree,
    /// Its Vault settings.
    pub vault: Vault,
    /// Its Argo CD settings.
    pub argocd: Argocd,
    /// The values under `global`.
    pub global: Arc<Value>,
    /// What templates see as `cluster`.
    pub view: Arc<Value>,
    /// The components that serve the cluster, enabled there, by id.
    pub components: Vec<Placed<'d>>,
    /// The components that serve its subjects, with their values.
    pub subject_components: Vec<Placed<'d>>,
    /// The subjects placed on it, with what templates see of each.
    pub subjects: BTreeMap<SubjectId, Arc<SubjectView>>,
    /// Its destination.
    pub destination: Destination,
    /// How changes get there.
    pub deliver: Deliver,
    /// The overlays for all its units, built-in first.
    pub overlays: Overlays,
}

/// What templates see of a subject and of its parents: the same on all its clusters.
#[derive(Debug)]
pub struct SubjectView {
    /// By the name that templates use.
    pub parts: Vec<(&'static str, Arc<ViewPart>)>,
}

/// One binding as templates see it.
#[derive(Debug)]
pub struct ViewPart {
    /// The data.
    pub data: Arc<Value>,
    digest: OnceLock<blake3::Hash>,
}

impl ViewPart {
    /// Returns the part that holds this data.
    pub fn new(data: Arc<Value>) -> Self {
        Self { data, digest: OnceLock::new() }
    }
}

impl SubjectView {
    /// Returns the view of these parts.
    pub fn new(parts: Vec<(&'static str, Arc<ViewPart>)>) -> Self {
        Self { parts }
    }

    /// Returns the digest of the data; each part's is computed once for all clusters and subjects.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (name, part) in &self.parts {
            let digest = part.digest.get_or_init(|| blake3::hash(part.data.to_string().as_bytes()));
            hasher.update(name.as_bytes()).update(digest.as_bytes());
        }
        hasher.finalize()
    }
}

/// The overlay chain of a cluster's environment.
#[derive(Clone, Debug, Default)]
pub struct Overlays {
    /// The built-in env, and the fleet's.
    pub env: [Option<Arc<Step>>; 2],
    /// By `<layer>/<component>`: the built-in component's, and the fleet's.
    pub component: BTreeMap<String, [Option<Arc<Step>>; 2]>,
}

impl Overlays {
    /// Returns the steps for a unit of a component, in the order they apply.
    pub fn for_component(&self, key: &str) -> Vec<Arc<Step>> {
        let none = [None, None];
        let own = self.component.get(key).unwrap_or(&none);
        [&self.env[0], &own[0], &self.env[1], &own[1]].into_iter().flatten().cloned().collect()
    }

    /// Returns the steps for an Application, which component overlays do not reach.
    pub fn for_application(&self) -> Vec<Arc<Step>> {
        self.env.iter().flatten().cloned().collect()
    }

    /// Returns every step.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Step>> {
        self.env.iter().flatten().chain(self.component.values().flat_map(|pair| pair.iter().flatten()))
    }
}

/// The fleet, resolved.
#[derive(Debug)]
pub struct Fleet<'d> {
    /// Its name.
    pub name: String,
    /// The folder inside the repositories that holds all output; empty for the root.
    pub path: String,
    /// The clusters whose files could be read, by id.
    pub clusters: Vec<Cluster<'d>>,
    /// What is held, and why.
    pub held: BTreeMap<Domain, Violations>,
    /// The bindings, resolved: what `explain` and `status` tell.
    pub subjects: crate::stage::bindings::Subjects,
    /// Held everywhere: problems that no domain of this run can be named for.
    pub failed: Violations,
    /// Warnings and notices.
    pub notices: Violations,
    /// Whether clusters, organizations, tenants and knowledge bases that are not in the
    /// fleet have left it: false while a file's identity is unknown.
    pub may_delete: MayDelete,
    /// Names of clusters that have a file, readable or not: they did not leave.
    pub known_clusters: Vec<String>,
}

/// Which kinds of things may be deleted because they are not in the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayDelete {
    /// Clusters.
    pub clusters: bool,
    /// Organizations.
    pub organizations: bool,
    /// Tenants.
    pub tenants: bool,
    /// Knowledge bases.
    pub knowledge_bases: bool,
}

/// Returns true if a subject on a cluster is held: itself, its organization or its cluster.
pub fn holds(held: &BTreeMap<Domain, Violations>, cluster: &ClusterId, subject: &SubjectId) -> bool {
    let has = |subject: SubjectId| held.contains_key(&Domain { cluster: cluster.clone(), subject });
    // A fleet has tens of thousands of subjects, and mostly nothing is held.
    !held.is_empty()
        && (has(SubjectId::Cluster)
            || has(subject.clone())
            || match subject {
                SubjectId::Tenant { organization, .. } => {
                    has(SubjectId::Organization(organization.clone()))
                }
                _ => false,
            })
}

impl Default for MayDelete {
    fn default() -> Self {
        Self { clusters: true, organizations: true, tenants: true, knowledge_bases: true }
    }
}
