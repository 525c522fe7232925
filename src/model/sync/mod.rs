//! What a sync is asked and what came of it: the Applications, the request, the outcome.
//!
//! The names are Argo CD's. Nothing in here talks to anybody: `edge::argocd` does, and
//! `stage::sync_plan` puts the Applications in order.

mod outcome;
pub mod policy;

pub use outcome::{FailingResource, Failure, SyncOutcome, SyncResult};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// Which Argo CD server: its base URL as the settings resolved it, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub String);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one Application among all that a run may touch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey {
    /// The Argo CD server that holds it.
    pub server: ServerId,
    /// The namespace of the Application object.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where an Application takes its manifests from, seen from the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum AppSource {
    /// A path of the repository we push to: synced at the pushed commit.
    #[serde(rename_all = "camelCase")]
    OurPath {
        /// `spec.source.repoURL`.
        repo_url: String,
        /// `spec.source.path`.
        path: String,
        /// `spec.source.targetRevision`, as the manifest writes it.
        target_revision: String,
    },
    /// A Helm chart: our commit reaches it through its own Application manifest only.
    Chart,
    /// A path in somebody else's repository: as a chart.
    Foreign,
}

impl AppSource {
    /// Tells where a manifest's Application takes its manifests from; among several sources
    /// one of ours decides.
    fn of(manifest: &Value, our_repo: &str) -> Self {
        let spec = manifest.get("spec");
        let many = spec.and_then(|s| s.get("sources")).and_then(Value::as_array);
        let one = spec.and_then(|s| s.pointer("/sourceHydrator/drySource").or_else(|| s.get("source")));
        let sources: Vec<&Value> = match many {
            Some(many) if !many.is_empty() => many.iter().collect(),
            _ => one.into_iter().collect(),
        };
        let text = |source: &Value, key: &str| {
            source.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let ours = sources
            .iter()
            .find(|s| s.get("chart").is_none() && same_repository(&text(s, "repoURL"), our_repo));
        match ours {
            Some(source) => AppSource::OurPath {
                repo_url: text(source, "repoURL"),
                path: text(source, "path"),
                target_revision: text(source, "targetRevision"),
            },
            None if sources.iter().any(|s| s.get("chart").is_some()) => AppSource::Chart,
            None => AppSource::Foreign,
        }
    }
}

/// Compares repository URLs as Argo CD does: without scheme, user, `.git` and case.
pub fn same_repository(a: &str, b: &str) -> bool {
    fn bare(url: &str) -> String {
        let rest = url.split_once("://").map_or(url, |(_, r)| r);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, r)| r);
        rest.trim_end_matches('/').trim_end_matches(".git").to_lowercase()
    }
    bare(a) == bare(b)
}

/// Where an Application belongs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The Argo CD server of the cluster.
    pub server: ServerId,
    /// The cluster.
    pub cluster: String,
    /// Its environment.
    pub env: String,
}

/// One Application, as its final manifest names it.
#[derive(Clone, Debug)]
pub struct AppRef {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.project`; Argo CD tells a typo from a missing right only when it is sent.
    pub project: String,
    /// The Argo CD server of the cluster.
    pub server: ServerId,
    /// The cluster whose delivery this belongs to.
    pub cluster: String,
    /// The environment of the cluster.
    pub env: String,
    /// True if our manifest has no automated sync policy.
    pub manual: bool,
    /// Where it takes its manifests from.
    pub source: AppSource,
    /// The whole Application as we delivered it; `spec` is compared with the server's.
    pub manifest: Value,
    /// The Application that applies this one (the layer's), by name.
    pub parent: Option<String>,
    /// Applications that must be healthy first, by name, on the same cluster.
    pub needs: Vec<String>,
    /// The commit this Application must reach, if not the run's: for what is still owed.
    pub revision: Option<String>,
}

impl AppRef {
    /// Reads an Application from its final manifest. `our_repo` is `gitops.repo_url` of its
    /// cluster: a source from there is ours, everything else reaches it by its spec.
    ///
    /// # Errors
    /// Says which part of the manifest is missing.
    pub fn from_manifest(manifest: Value, at: &Place, our_repo: &str) -> Result<Self, String> {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
        let need = |pointer: &str| {
            text(pointer).map(str::to_owned).ok_or_else(|| {
                format!("an Application without `{}`", pointer.trim_start_matches('/').replace('/', "."))
            })
        };
        let automated = manifest.pointer("/spec/syncPolicy/automated");
        let automated =
            automated.is_some_and(|a| !a.is_null() && a.get("enabled") != Some(&Value::Bool(false)));
        let (name, namespace) = (need("/metadata/name")?, need("/metadata/namespace")?);
        let project = text("/spec/project").unwrap_or("default").to_owned();
        let source = AppSource::of(&manifest, our_repo);
        Ok(Self {
            name,
            namespace,
            project,
            server: at.server.clone(),
            cluster: at.cluster.clone(),
            env: at.env.clone(),
            manual: !automated,
            source,
            manifest,
            parent: None,
            needs: Vec::new(),
            revision: None,
        })
    }

    /// Returns the name that is unique among all servers.
    pub fn key(&self) -> AppKey {
        AppKey { server: self.server.clone(), namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Returns the key of another Application of the same cluster.
    pub fn sibling(&self, name: &str) -> AppKey {
        AppKey { server: self.server.clone(), namespace: self.namespace.clone(), name: name.to_owned() }
    }
}

/// How far a sync is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// Until the commit is live and the Application healthy.
    #[default]
    Health,
    /// Until Argo CD's operation has ended.
    Operation,
    /// Not at all: the request was accepted.
    None,
}

/// The optional parts of Argo CD's sync request. Every default leaves the key out.
///
/// The seed's example sends `strategy.apply`, `Replace=true` and `Validate=false`; the
/// first turns hooks off, the others replace the Application's own options. All are
/// available here, none is a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncOptions {
    /// Delete live objects that left Git. `None` takes the Application's automated policy,
    /// and true for manual ones: their deletions were guarded in Git.
    pub prune: Option<bool>,
    /// `hook` (Argo CD's default) or `apply`, which runs no hooks.
    pub strategy: Strategy,
    /// Delete and recreate what cannot be changed in place.
    pub force: bool,
    /// Replaces `spec.syncPolicy.syncOptions` for this operation; empty leaves them alone.
    pub sync_options: Vec<String>,
    /// Only these resources; no hooks and no history entry then.
    pub resources: Vec<ResourceFilter>,
    /// Argo CD's own retries of the operation, if the Application's are not wanted.
    pub retry: Option<RetryStrategy>,
}

/// How objects are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// With hooks: what Argo CD does when nothing is said.
    #[default]
    Hook,
    /// `kubectl apply` only: PreSync and PostSync jobs are skipped.
    Apply,
}

/// One entry of a partial sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceFilter {
    /// The API group, empty for core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace, empty for cluster-scoped objects.
    pub namespace: String,
}

impl std::str::FromStr for ResourceFilter {
    type Err = String;

    /// Reads `GROUP:KIND:NAME` or `GROUP:KIND:NAMESPACE/NAME`, as the argocd CLI writes it;
    /// the core group is empty.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "is not GROUP:KIND:[NAMESPACE/]NAME; the core group is empty: `:ConfigMap:web`".to_owned();
        let (group, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (kind, name) = rest.split_once(':').ok_or_else(wrong)?;
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        // Without one of these Argo CD's filter matches nothing, and says Succeeded.
        if kind.is_empty() || name.is_empty() || name.contains(['/', ':']) {
            return Err(wrong());
        }
        Ok(Self { group: group.into(), kind: kind.into(), name: name.into(), namespace: namespace.into() })
    }
}

/// Argo CD's retry strategy. Its first wait is `duration` × `factor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryStrategy {
    /// How many retries; negative means without end.
    pub limit: i64,
    /// The base wait, as Argo CD writes it (`5s`).
    pub duration: String,
    /// The factor between waits.
    pub factor: i64,
    /// The longest wait (`3m`).
    pub max_duration: String,
}

/// What one sync run is asked to do.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The Applications to sync.
    pub apps: Vec<AppRef>,
    /// Applications that exist and are not synced; needs are looked up here.
    pub known: Vec<AppRef>,
    /// The pushed commit, 40 lower-case hex digits.
    pub revision: String,
    /// The source commit of the fleet, for the audit trail.
    pub source_commit: Option<String>,
    /// Names this run in Argo CD and in the audit log.
    pub run_id: String,
    /// How far to follow.
    pub wait: WaitFor,
    /// The longest time for one Application, counted from its start.
    pub timeout: Duration,
    /// Ask Argo CD to try, and apply nothing.
    pub dry_run: bool,
    /// True if a person named the Applications: drift is then mended, not only explained.
    pub explicit: bool,
    /// The optional parts of the request.
    pub options: SyncOptions,
}

impl SyncRequest {
    /// Returns a request for a commit with every default: follow until healthy, 15 minutes
    /// for each Application. The Applications are still to be filled in.
    pub fn new(revision: impl Into<String>, run_id: impl Into<String>) -> Self {
        Self {
            apps: Vec::new(),
            known: Vec::new(),
            revision: revision.into(),
            source_commit: None,
            run_id: run_id.into(),
            wait: WaitFor::Health,
            timeout: Duration::from_secs(15 * 60),
            dry_run: false,
            explicit: false,
            options: SyncOptions::default(),
        }
    }
}
