//! What things are called, and where a unit lies: names, layers, subjects, domains, unit ids.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A cluster: its environment (the overlay) and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ClusterId {
    /// The environment, `gitops.env` of its cluster.yaml.
    pub env: String,
    /// The name in its cluster.yaml, its identity in the fleet.
    pub name: String,
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.env, self.name)
    }
}

/// The layers in their order of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// What the cluster needs to run Argo CD's Applications at all.
    Bootstrap,
    /// Operators, storage, secrets, networking.
    Infrastructure,
    /// Shared services.
    Platform,
    /// What runs on the platform.
    Applications,
    /// Organizations, tenants and knowledge bases.
    Tenants,
}

impl Layer {
    /// All layers, in order.
    pub const ALL: [Layer; 5] =
        [Layer::Bootstrap, Layer::Infrastructure, Layer::Platform, Layer::Applications, Layer::Tenants];

    /// Returns its folder name.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Bootstrap => "bootstrap",
            Layer::Infrastructure => "infrastructure",
            Layer::Platform => "platform",
            Layer::Applications => "applications",
            Layer::Tenants => "tenants",
        }
    }

    /// Returns the layer of a folder name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.name() == name)
    }

    /// Returns its place in the order, from 0; the wave of its parent Application.
    pub fn order(self) -> i64 {
        self as i64
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a component is rendered for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Once for each cluster.
    Cluster,
    /// Once for each organization on a cluster.
    Organization,
    /// Once for each tenant (RepoBinding) on a cluster.
    Tenant,
    /// Once for each knowledge base on a cluster.
    KnowledgeBase,
}

/// The subject that a unit serves on its cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum SubjectId {
    /// The cluster itself.
    Cluster,
    /// An organization.
    Organization(String),
    /// A tenant of an organization.
    Tenant {
        /// The organization's name.
        organization: String,
        /// The tenant's name: pipelineName, which is also its namespace.
        tenant: String,
    },
    /// A knowledge base.
    KnowledgeBase(String),
}

impl SubjectId {
    /// Returns the scope of components that serve it.
    pub fn scope(&self) -> Scope {
        match self {
            SubjectId::Cluster => Scope::Cluster,
            SubjectId::Organization(_) => Scope::Organization,
            SubjectId::Tenant { .. } => Scope::Tenant,
            SubjectId::KnowledgeBase(_) => Scope::KnowledgeBase,
        }
    }

    /// Returns its folder inside the cluster's folder; none for the cluster itself.
    pub fn folder(&self) -> Option<String> {
        match self {
            SubjectId::Cluster => None,
            SubjectId::Organization(name) => Some(format!("organizations/{name}")),
            SubjectId::Tenant { organization, tenant } => Some(format!("tenants/{organization}/{tenant}")),
            SubjectId::KnowledgeBase(name) => Some(format!("knowledgebases/{name}")),
        }
    }

    /// Returns the file of its Application inside the cluster's folder; none for the cluster.
    pub fn application_file(&self) -> Option<String> {
        match self {
            SubjectId::Cluster => None,
            SubjectId::Organization(name) => Some(format!("apps/tenants/organizations/{name}.yaml")),
            SubjectId::Tenant { organization, tenant } => {
                Some(format!("apps/tenants/{organization}/{tenant}.yaml"))
            }
            SubjectId::KnowledgeBase(name) => Some(format!("apps/tenants/knowledgebases/{name}.yaml")),
        }
    }
}

impl SubjectId {
    /// Returns the subject of a place or of a path inside a cluster's folder; none for index
    /// files of the cluster. The kustomization.yaml of a subject's folder counts as the subject's.
    pub fn of_path(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let stem = |file: &str| file.strip_suffix(".yaml").map(str::to_owned);
        match parts.as_slice() {
            ["apps", "tenants", "organizations", file] => stem(file).map(Self::Organization),
            ["apps", "tenants", "knowledgebases", file] => stem(file).map(Self::KnowledgeBase),
            ["apps", "tenants", org, file] => {
                stem(file).map(|tenant| Self::Tenant { organization: (*org).to_owned(), tenant })
            }
            ["organizations", name, _, ..] => Some(Self::Organization((*name).to_owned())),
            ["knowledgebases", name, _, ..] => Some(Self::KnowledgeBase((*name).to_owned())),
            ["tenants", org, tenant, _, ..] => {
                Some(Self::Tenant { organization: (*org).to_owned(), tenant: (*tenant).to_owned() })
            }
            [".hydrant" | "kustomization.yaml"] | ["bootstrap", "root-app.yaml"] | ["apps", _] => None,
            ["apps", _, ".keep"] => None,
            _ => Some(Self::Cluster),
        }
    }

    /// Returns the subject of a unit's place, which is a folder or a file.
    pub fn of_place(place: &str) -> Option<Self> {
        Self::of_path(&format!("{place}/x"))
            .filter(|_| !place.starts_with("apps/"))
            .or_else(|| Self::of_path(place))
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubjectId::Cluster => f.write_str("cluster"),
            SubjectId::Organization(name) => write!(f, "organization/{name}"),
            SubjectId::Tenant { tenant, .. } => write!(f, "tenant/{tenant}"),
            SubjectId::KnowledgeBase(name) => write!(f, "knowledgebase/{name}"),
        }
    }
}

/// What fails and is held together, on one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Domain {
    /// The cluster on which it fails.
    pub cluster: ClusterId,
    /// What fails there: the cluster as a whole, or one subject.
    pub subject: SubjectId,
}

impl Domain {
    /// Returns the domain of a whole cluster.
    pub fn cluster(cluster: ClusterId) -> Self {
        Self { cluster, subject: SubjectId::Cluster }
    }

    /// Returns true if a failure of this domain holds the subject too: a cluster holds all,
    /// an organization its tenants.
    pub fn holds(&self, cluster: &ClusterId, subject: &SubjectId) -> bool {
        self.cluster == *cluster
            && match (&self.subject, subject) {
                (SubjectId::Cluster, _) => true,
                (SubjectId::Organization(held), SubjectId::Tenant { organization, .. }) => {
                    held == organization
                }
                (held, other) => held == other,
            }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            SubjectId::Cluster => write!(f, "cluster {}", self.cluster),
            subject => write!(f, "{subject} on {}", self.cluster),
        }
    }
}

/// What a unit makes: a folder of manifests, or one Application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Part {
    /// The manifests of a component.
    Manifests {
        /// The component's layer.
        layer: Layer,
        /// The component's id, which may nest (`istio/base`).
        component: String,
    },
    /// The Application that applies a cluster-scoped component.
    ComponentApplication {
        /// The component's layer.
        layer: Layer,
        /// The component's id.
        component: String,
    },
    /// The Application that applies a subject's folder.
    SubjectApplication,
}

/// One component for one subject on one cluster, or the Application of one of the two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UnitId {
    /// The cluster.
    pub cluster: ClusterId,
    /// The subject.
    pub subject: SubjectId,
    /// What the unit makes of it.
    pub part: Part,
}

impl UnitId {
    /// Returns where the unit lies inside the cluster's folder: a folder for manifests, a
    /// file for an Application.
    pub fn place(&self) -> String {
        match &self.part {
            Part::Manifests { layer, component } => match self.subject.folder() {
                None => format!("{layer}/{component}"),
                Some(folder) => format!("{folder}/{component}"),
            },
            Part::ComponentApplication { layer, component } => {
                format!("apps/{layer}/{}.yaml", file_stem(component))
            }
            Part::SubjectApplication => self.subject.application_file().unwrap_or_default(),
        }
    }

    /// Returns the place of the unit that a path inside a cluster's folder belongs to; none
    /// for index files and for paths that no unit of ours can have.
    ///
    /// A component's folder is the first one on the way down that holds a kustomization.yaml
    /// (no component id is a prefix of another, and the folders above have none), so the
    /// caller says which folders do.
    pub fn place_of(path: &str, has_kustomization: impl Fn(&str) -> bool) -> Option<String> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["apps", "tenants", "organizations" | "knowledgebases", file] if file.ends_with(".yaml") => {
                Some(path.to_owned())
            }
            ["apps", "tenants", _, file] if file.ends_with(".yaml") => Some(path.to_owned()),
            ["apps", layer, file] if file.ends_with(".yaml") && Layer::from_name(layer).is_some() => {
                Some(path.to_owned())
            }
            ["apps", ..] => None,
            ["organizations" | "knowledgebases", _, rest @ ..] => {
                first_component(&parts, parts.len() - rest.len(), has_kustomization)
            }
            ["tenants", _, _, rest @ ..] => {
                first_component(&parts, parts.len() - rest.len(), has_kustomization)
            }
            [layer, _, ..] if Layer::from_name(layer).is_some() => {
                first_component(&parts, 1, has_kustomization)
            }
            _ => None,
        }
    }
}

fn first_component(parts: &[&str], above: usize, has_kustomization: impl Fn(&str) -> bool) -> Option<String> {
    (above + 1..parts.len()).map(|n| parts[..n].join("/")).find(|folder| has_kustomization(folder))
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.place())
    }
}

/// Returns the name that stands for a component in file and object names: `istio/base` is `istio-base`.
pub fn file_stem(component: &str) -> String {
    component.replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(subject: SubjectId, part: Part) -> UnitId {
        UnitId { cluster: ClusterId { env: "prod".into(), name: "p".into() }, subject, part }
    }

    #[test]
    fn every_unit_is_found_again_from_a_path_inside_it() {
        let manifests = |layer, c: &str| Part::Manifests { layer, component: c.into() };
        let tenant = SubjectId::Tenant { organization: "o".into(), tenant: "t".into() };
        let units = [
            unit(SubjectId::Cluster, manifests(Layer::Infrastructure, "istio/base")),
            unit(SubjectId::Cluster, manifests(Layer::Platform, "vault-runtime")),
            unit(SubjectId::Organization("o".into()), manifests(Layer::Tenants, "org")),
            unit(tenant.clone(), manifests(Layer::Tenants, "pipeline")),
            unit(SubjectId::KnowledgeBase("k".into()), manifests(Layer::Tenants, "kb")),
        ];
        for u in units {
            let place = u.place();
            assert_eq!(SubjectId::of_place(&place), Some(u.subject.clone()));
            let inside = format!("{place}/some-namespace/configmap-a.yaml");
            assert_eq!(UnitId::place_of(&inside, |f| f == place), Some(place));
        }
        for u in [
            unit(
                SubjectId::Cluster,
                Part::ComponentApplication { layer: Layer::Platform, component: "a/b".into() },
            ),
            unit(tenant, Part::SubjectApplication),
            unit(SubjectId::Organization("o".into()), Part::SubjectApplication),
        ] {
            assert_eq!(SubjectId::of_place(&u.place()), Some(u.subject.clone()));
            assert_eq!(UnitId::place_of(&u.place(), |_| false), Some(u.place()));
        }
    }

    #[test]
    fn index_files_belong_to_no_unit() {
        for path in [
            ".hydrant",
            "kustomization.yaml",
            "bootstrap/root-app.yaml",
            "apps/platform-apps.yaml",
            "apps/platform/.keep",
            "tenants/o/t/kustomization.yaml",
        ] {
            assert_eq!(UnitId::place_of(path, |_| false), None, "{path}");
        }
    }
}
