//! Builds the Applications: of components and subjects (units), of layers and of the whole
//! cluster (index files).
//!
//! Sources: Argo CD's Application CRD, and what a running server showed about generated
//! kustomization files, finalizers and `allowEmpty` (`DESIGN.md`, Output).

use super::extras::Extras;
use crate::definition::catalog::Component;
use crate::model::component::{OnRemove, ProjectChoice};
use crate::model::fleet::Cluster;
use crate::model::id::{Layer, Part, SubjectId, UnitId, file_stem};
use crate::model::platform::SyncMode;
use crate::model::sync::policy;
use serde_json::{Map, Value, json};

/// What an Application applies.
pub enum Applies {
    /// A folder of the destination, and whether with its subfolders.
    Folder {
        /// The path from the repository's root.
        path: String,
        /// Whether subfolders belong to it.
        recurse: bool,
    },
    /// A source that Argo CD renders itself.
    Source(Value),
}

/// Everything that differs between our Applications.
pub struct Spec<'a> {
    /// Its name.
    pub name: String,
    /// Its AppProject.
    pub project: String,
    /// What it applies.
    pub applies: Applies,
    /// The API server that it applies to.
    pub server: &'a str,
    /// The namespace of what it applies.
    pub namespace: Option<String>,
    /// Its sync wave.
    pub wave: i64,
    /// Who starts a sync.
    pub sync: SyncMode,
    /// Sync options.
    pub options: Vec<String>,
    /// Whether deleting it deletes what it applied.
    pub cascades: bool,
    /// Whether it may become empty.
    pub allow_empty: bool,
    /// Labels besides our own.
    pub labels: Vec<(&'static str, String)>,
    /// Fields that are not compared.
    pub ignore_differences: &'a [Value],
}

/// Deletes what the Application applied, with it.
pub const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Returns an Application as an object.
pub fn build(cluster: &Cluster<'_>, spec: Spec<'_>) -> Value {
    let argocd = &cluster.argocd;
    let mut annotations = Map::new();
    annotations.insert("argocd.argoproj.io/sync-wave".into(), json!(spec.wave.to_string()));
    let source = match spec.applies {
        Applies::Folder { path, recurse } => {
            annotations
                .insert("argocd.argoproj.io/manifest-generate-paths".into(), json!(format!("/{path}")));
            json!({
                "repoURL": cluster.destination.repo,
                "targetRevision": cluster.destination.branch,
                "path": path,
                "directory": {"recurse": recurse},
            })
        }
        Applies::Source(source) => source,
    };
    let mut labels = Map::new();
    labels.insert("app.kubernetes.io/managed-by".into(), json!("hydrant"));
    labels.insert("hydrant.dev/environment".into(), json!(cluster.id.env));
    labels.insert("hydrant.dev/cluster".into(), json!(cluster.id.name));
    labels.extend(spec.labels.into_iter().map(|(k, v)| (k.to_owned(), Value::String(v))));
    let mut metadata = json!({
        "name": spec.name,
        "namespace": argocd.namespace,
        "annotations": annotations,
        "labels": labels,
    });
    if spec.cascades {
        metadata["finalizers"] = json!([FINALIZER]);
    }
    let mut destination = json!({"server": spec.server});
    if let Some(namespace) = spec.namespace {
        destination["namespace"] = json!(namespace);
    }
    let mut policy = json!({
        "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
    });
    if spec.sync == SyncMode::Auto {
        policy["automated"] = json!({"prune": true, "selfHeal": true});
        if spec.allow_empty {
            policy["automated"]["allowEmpty"] = json!(true);
        }
    }
    if !spec.options.is_empty() {
        policy["syncOptions"] = json!(spec.options);
    }
    let mut app = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": {"project": spec.project, "source": source, "destination": destination, "syncPolicy": policy},
    });
    if !spec.ignore_differences.is_empty() {
        app["spec"]["ignoreDifferences"] = json!(spec.ignore_differences);
    }
    app
}

/// Returns the path of something of a cluster from the repository's root.
pub fn repository_path(root: &str, cluster: &Cluster<'_>, inside: &str) -> String {
    let base = if root.is_empty() { String::new() } else { format!("{root}/") };
    let tail = if inside.is_empty() { String::new() } else { format!("/{inside}") };
    format!("{base}{}/{}{tail}", cluster.id.env, cluster.id.name)
}

/// Fills in a pattern of names. Names of objects are lower case with `-` and `.`.
fn fill(pattern: &str, cluster: &Cluster<'_>, more: &[(&str, &str)]) -> String {
    let mut name = pattern.replace("{env}", &cluster.id.env).replace("{cluster}", &cluster.id.name);
    for (key, value) in more {
        name = name.replace(&format!("{{{key}}}"), value);
    }
    name
}

/// Returns the name of a component's Application.
pub fn component_name(cluster: &Cluster<'_>, component: &str) -> String {
    let stem = file_stem(component);
    fill(&cluster.argocd.application_name.component, cluster, &[("component", &stem)])
}

/// Returns the name of a subject's Application; the cluster itself has its root Application.
pub fn subject_name(cluster: &Cluster<'_>, subject: &SubjectId) -> String {
    let names = &cluster.argocd.application_name;
    match subject {
        SubjectId::Cluster => root_name(cluster),
        SubjectId::Organization(org) => fill(&names.organization, cluster, &[("org", org)]),
        SubjectId::Tenant { organization, tenant } => {
            fill(&names.tenant, cluster, &[("tenant", tenant), ("org", organization)])
        }
        SubjectId::KnowledgeBase(kb) => fill(&names.knowledgebase, cluster, &[("kb", kb)]),
    }
}

/// Returns the name of a layer's Application.
pub fn layer_name(cluster: &Cluster<'_>, layer: Layer) -> String {
    fill(&cluster.argocd.application_name.layer, cluster, &[("layer", layer.name())])
}

/// Returns the name of the app of apps.
pub fn root_name(cluster: &Cluster<'_>) -> String {
    fill(&cluster.argocd.application_name.root, cluster, &[])
}

/// Returns the account and the policy lines that Hydrant needs for the Applications of a cluster.
pub fn access(cluster: &Cluster<'_>) -> Value {
    let argocd = &cluster.argocd;
    let mut all: Vec<(&str, String)> =
        Layer::ALL.into_iter().map(|l| (argocd.bootstrap_project.as_str(), layer_name(cluster, l))).collect();
    all.push((&argocd.bootstrap_project, root_name(cluster)));
    all.extend(cluster.components.iter().map(|placed| {
        let file = &placed.component.file;
        (project_of(cluster, file.project), component_name(cluster, &placed.component.key.id))
    }));
    // Subjects come and go, and no output file depends on two of them: their names as a glob.
    let any = SubjectId::Tenant { organization: "*".into(), tenant: "*".into() };
    for subject in [any, SubjectId::Organization("*".into()), SubjectId::KnowledgeBase("*".into())] {
        all.push((&argocd.project, subject_name(cluster, &subject)));
    }
    let policy = policy::lines(policy::ACCOUNT, all.iter().map(|(project, name)| (*project, name.as_str())));
    json!({"account": policy::ACCOUNT, "policy": policy})
}

fn project_of<'c>(cluster: &'c Cluster<'_>, choice: ProjectChoice) -> &'c str {
    match choice {
        ProjectChoice::Platform => &cluster.argocd.project,
        ProjectChoice::Bootstrap => &cluster.argocd.bootstrap_project,
    }
}

/// What the templates of a component say about its Application.
#[derive(Debug, Default)]
pub struct Made {
    /// The namespace of what it applies.
    pub namespace: Option<String>,
    /// The source that Argo CD renders itself.
    pub source: Option<Value>,
    /// What its argocd.yaml adds.
    pub extras: Extras,
}

/// Returns the Application of a component that serves the cluster.
pub fn of_component(cluster: &Cluster<'_>, component: &Component, root: &str, made: Made) -> Value {
    let id = UnitId {
        cluster: cluster.id.clone(),
        subject: SubjectId::Cluster,
        part: Part::Manifests { layer: component.key.layer, component: component.key.id.clone() },
    };
    let path = repository_path(root, cluster, &id.place());
    let project = project_of(cluster, component.file.project).to_owned();
    let mut app = build(
        cluster,
        Spec {
            name: component_name(cluster, &component.key.id),
            project,
            applies: made.source.map_or(Applies::Folder { path, recurse: true }, Applies::Source),
            server: match component.file.project {
                ProjectChoice::Platform => &cluster.argocd.destination,
                ProjectChoice::Bootstrap => cluster.argocd.beside(),
            },
            namespace: made.namespace,
            wave: component.wave,
            sync: component.file.sync.unwrap_or(cluster.argocd.sync),
            options: component.file.sync_options.clone().unwrap_or_default(),
            cascades: component.file.on_remove == OnRemove::Delete,
            allow_empty: false,
            labels: vec![("hydrant.dev/component", file_stem(&component.key.id))],
            ignore_differences: &component.file.ignore_differences,
        },
    );
    made.extras.add_to(&mut app);
    app
}

/// Returns the Application that applies a subject's folder.
pub fn of_subject(cluster: &Cluster<'_>, subject: &SubjectId, root: &str) -> Value {
    let path = repository_path(root, cluster, &subject.folder().unwrap_or_default());
    // Organizations come before the tenants that need them.
    let wave = match subject {
        SubjectId::Organization(_) | SubjectId::Cluster => 0,
        SubjectId::KnowledgeBase(_) => 1,
        SubjectId::Tenant { .. } => 2,
    };
    build(
        cluster,
        Spec {
            name: subject_name(cluster, subject),
            project: cluster.argocd.project.clone(),
            applies: Applies::Folder { path, recurse: true },
            server: &cluster.argocd.destination,
            namespace: None,
            wave,
            sync: cluster.argocd.sync,
            options: Vec::new(),
            cascades: true,
            allow_empty: false,
            labels: Vec::new(),
            ignore_differences: &[],
        },
    )
}

/// Returns the parent Application of a layer.
pub fn of_layer(cluster: &Cluster<'_>, layer: Layer, root: &str) -> Value {
    let path = repository_path(root, cluster, &format!("apps/{layer}"));
    build(cluster, parent(cluster, layer_name(cluster, layer), path, true, layer.order()))
}

/// Returns the app of apps: it applies `apps/`, where the layers' Applications stand.
pub fn of_root(cluster: &Cluster<'_>, root: &str) -> Value {
    let path = repository_path(root, cluster, "apps");
    build(cluster, parent(cluster, root_name(cluster), path, false, 0))
}

/// Root and layer Applications: no finalizer, and they may become empty, or the last tenant
/// of a cluster could never leave.
fn parent<'c>(cluster: &'c Cluster<'_>, name: String, path: String, recurse: bool, wave: i64) -> Spec<'c> {
    Spec {
        name,
        project: cluster.argocd.bootstrap_project.clone(),
        applies: Applies::Folder { path, recurse },
        server: cluster.argocd.beside(),
        namespace: Some(cluster.argocd.namespace.clone()),
        wave,
        sync: cluster.argocd.sync,
        options: Vec::new(),
        cascades: false,
        allow_empty: true,
        labels: Vec::new(),
        ignore_differences: &[],
    }
}
