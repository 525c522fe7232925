//! The fleet after resolve: clusters with everything that derives from their files, and who is held.

use super::cluster::ClusterFile;
use super::id::{ClusterId, Domain, SubjectId};
use super::overlay::Step;
use super::platform::{Argocd, Vault};
use super::values::ValueTree;
use crate::definition::catalog::Component;
use crate::error::{Origin, Violations};
use crate::stage::bindings::{SubjectData, Subjects};
use crate::template::Part;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// Where a cluster's manifests go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The repository as Argo CD reaches it.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The environment whose changes a merge request proposes there; none: they are pushed.
    pub proposes: Option<String>,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.repo, self.branch)
    }
}

/// The environments that a destination is about. Several may share a branch, one by pushes and
/// each other by a merge request of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// This one alone.
    pub only: Option<&'a str>,
    /// All but these.
    pub except: Option<&'a BTreeSet<String>>,
}

impl Scope<'_> {
    /// Returns true if an environment belongs to it.
    pub fn takes(&self, env: &str) -> bool {
        self.only.is_none_or(|only| only == env) && !self.except.is_some_and(|others| others.contains(env))
    }
}

/// One component on one cluster, for the subjects of its scope.
#[derive(Clone, Debug)]
pub struct Placed<'d> {
    /// The component.
    pub component: &'d Component,
    /// Its values there.
    pub values: Part,
    /// Its wave.
    pub wave: Part,
    /// What all its units have in common besides.
    pub common: OnceLock<Common>,
}

/// What the units of one component on one cluster have in common, prepared for the first of them.
#[derive(Clone, Debug)]
pub struct Common {
    /// The overlays of its manifests.
    pub overlays: Vec<Arc<Step>>,
    /// The digest of the renderer, the component and the overlays.
    pub digest: blake3::Hash,
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
    /// What every template on it sees: `cluster`, `env` and `global`.
    pub view: BTreeMap<&'static str, Part>,
    /// The ids of its components, as its own units see them.
    pub enabled: Part,
    /// What templates see as `access`: the account and the rights that Hydrant needs on Argo CD.
    pub access: Part,
    /// The components that serve the cluster, enabled there, by id.
    pub components: Vec<Placed<'d>>,
    /// The components that serve its subjects, with their values.
    pub subject_components: Vec<Placed<'d>>,
    /// The subjects placed on it, with what templates see of each.
    pub subjects: BTreeMap<SubjectId, Arc<SubjectView>>,
    /// Its destination.
    pub destination: Destination,
    /// The overlays for all its units, built-in first.
    pub overlays: Overlays,
}

/// What templates see of a subject and of its parents: the same on all its clusters.
#[derive(Debug)]
pub struct SubjectView {
    /// By the name that templates use.
    parts: Vec<(&'static str, Arc<SubjectData>)>,
    digest: OnceLock<blake3::Hash>,
}

impl SubjectView {
    /// Returns the view of these parts.
    pub fn new(parts: Vec<(&'static str, Arc<SubjectData>)>) -> Self {
        Self { parts, digest: OnceLock::new() }
    }

    /// Returns the digest of the data, computed once for all clusters.
    pub fn digest(&self) -> &blake3::Hash {
        self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            for (name, data) in &self.parts {
                hasher.update(&(name.len() as u64).to_le_bytes());
                hasher.update(name.as_bytes()).update(data.digest().as_bytes());
            }
            hasher.finalize()
        })
    }

    /// Returns the parts, prepared for templates.
    ///
    /// # Errors
    /// A text that gives faults, although it was known to be without.
    pub fn prepared(&self) -> Result<Vec<(&'static str, Part)>, Violations> {
        let part = |(name, data): &(&'static str, Arc<SubjectData>)| {
            let value = data.value().map_err(Clone::clone)?;
            Ok((*name, Part::known(value.clone(), *data.digest())))
        };
        self.parts.iter().map(part).collect()
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
    pub subjects: Subjects,
    /// Held everywhere: problems that no domain of this run can be named for.
    pub failed: Violations,
    /// Warnings and notices.
    pub notices: Violations,
    /// Whether clusters, organizations, tenants and knowledge bases that are not in the
    /// fleet have left it: false while a file's identity is unknown.
    pub may_delete: MayDelete,
    /// Names of clusters that have a file, readable or not: they did not leave.
    pub known_clusters: Vec<String>,
    /// The environments whose changes are proposed by merge requests.
    pub proposing: BTreeSet<String>,
    /// Destinations that clusters may have left, besides those of the clusters.
    pub listed: Vec<Destination>,
}

/// What templates saw, taken out of a fleet.
pub type Seen = (Vec<Arc<SubjectView>>, Vec<Arc<SubjectData>>);

impl Fleet<'_> {
    /// Takes out what only templates look at, once nothing is to be rendered any more: of a large
    /// fleet it is most of the memory. Who is where stays known.
    pub fn take_seen(&mut self) -> Seen {
        let nothing = Arc::new(SubjectView::new(Vec::new()));
        let views = self.clusters.iter_mut().flat_map(|c| c.subjects.values_mut());
        let views = views.map(|view| std::mem::replace(view, nothing.clone())).collect();
        let nothing = Arc::new(SubjectData::new(serde_json::Value::Null));
        let Subjects { organizations, tenants, knowledge_bases, .. } = &mut self.subjects;
        let subjects =
            organizations.values_mut().chain(tenants.values_mut()).chain(knowledge_bases.values_mut());
        let data = subjects.map(|s| std::mem::replace(&mut s.context, nothing.clone())).collect();
        (views, data)
    }

    /// Returns the environments that a destination is about.
    pub fn scope<'a>(&'a self, to: &'a Destination) -> Scope<'a> {
        match &to.proposes {
            Some(env) => Scope { only: Some(env), except: None },
            None => Scope { only: None, except: Some(&self.proposing) },
        }
    }
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
                SubjectId::Tenant { organization, .. } => has(SubjectId::Organization(organization.clone())),
                _ => false,
            })
}

impl Default for MayDelete {
    fn default() -> Self {
        Self { clusters: true, organizations: true, tenants: true, knowledge_bases: true }
    }
}
