//! What became of each binding: the phases and the shape of the original's status, computed
//! from the inputs, from what stands in the GitOps repository, and from Argo CD when it was asked.
//!
//! Two things of the original are left out on purpose: the webhook's secret (its name stands in
//! its place) and `lastTransitionTime`, which nobody here observes.

use super::{FailedBinding, FailedIdentity, Subject, SubjectData, Subjects};
use crate::error::{Severity, Violations};
use crate::model::id::{ClusterId, SubjectId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where a binding is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Phase {
    /// Accepted, and not delivered everywhere yet; or waiting for its Organization.
    Pending,
    /// Delivered, and not known to be synced and healthy.
    Provisioning,
    /// Synced and healthy on all its clusters.
    Ready,
    /// A check failed, or what was delivered is degraded.
    Failed,
}

impl Phase {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Provisioning => "Provisioning",
            Phase::Ready => "Ready",
            Phase::Failed => "Failed",
        }
    }
}

/// One condition, in the shape of the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One word why.
    pub reason: &'static str,
    /// A sentence why.
    pub message: String,
}

/// What to enter at GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookConfiguration {
    /// The payload URL.
    pub url: String,
    /// The namespace and name of the Secret that holds the webhook's secret; never the secret.
    pub secret: String,
    /// The events.
    pub events: Vec<&'static str>,
}

/// Which kinds of resources stand in the GitOps repository, on all clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionedResources {
    /// The namespace.
    pub namespace: bool,
    /// The ServiceAccount.
    pub service_account: bool,
    /// Roles and their bindings.
    pub rbac: bool,
    /// The quota.
    pub resource_quota: bool,
    /// The network policies.
    pub network_policy: bool,
    /// What reacts to a push.
    pub event_listener: bool,
    /// The Pipeline.
    pub pipeline_resources: bool,
}

/// One cluster of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OnCluster {
    /// The cluster.
    pub cluster: String,
    /// Whether the branch holds all its files as they should be; none if it could not be read.
    pub delivered: Option<bool>,
    /// Argo CD's sync status; empty if it was not asked.
    pub sync: String,
    /// Argo CD's health; empty if it was not asked.
    pub health: String,
}

/// What became of one binding.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingStatus {
    /// `Organization`, `RepoBinding` or `KnowledgeBase`; `Unknown` for a file that cannot be read.
    pub kind: &'static str,
    /// The organization's, tenant's or knowledge base's name.
    pub name: String,
    /// Where the binding stands.
    pub at: String,
    /// Its status, in the shape of the API document.
    pub status: Status,
    /// Cluster by cluster.
    pub clusters: Vec<OnCluster>,
}

/// The status of one binding.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its phase.
    pub phase: Phase,
    /// One sentence.
    pub message: String,
    /// The conditions; none for a binding that failed its checks.
    pub conditions: Vec<Condition>,
    /// The webhook, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_configuration: Option<WebhookConfiguration>,
    /// The namespace of an organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The webhook URL of an organization that has one.
    #[serde(rename = "webhookURL", skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// What stands in the GitOps repository.
    pub provisioned_resources: ProvisionedResources,
}

/// What Argo CD says of an Application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveApplication {
    /// `Synced`, `OutOfSync`, `Unknown`.
    pub sync: String,
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing`, `Unknown`.
    pub health: String,
    /// What it says besides.
    pub message: String,
}

/// What is known of one subject on one cluster.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The files it should have, each with whether the branch holds it so; none if the branch
    /// could not be read.
    pub files: Option<BTreeMap<String, bool>>,
    /// What Argo CD says of its Application; none if it was not asked or does not know it.
    pub live: Option<LiveApplication>,
    /// Why its units could not be rendered.
    pub held: Violations,
}

/// What is known of all subjects.
pub type Sight = BTreeMap<(ClusterId, SubjectId), Seen>;

/// Returns the status of every binding, in order of kind and name.
pub fn of_all(subjects: &Subjects, sight: &Sight) -> Vec<BindingStatus> {
    let mut all: Vec<BindingStatus> = Vec::new();
    for maps in [&subjects.organizations, &subjects.tenants, &subjects.knowledge_bases] {
        all.extend(maps.values().map(|s| of_subject(s, subjects, sight)));
    }
    all.extend(subjects.failed.iter().map(of_failed));
    let order = |s: &BindingStatus| {
        ["Organization", "RepoBinding", "KnowledgeBase"].iter().position(|k| *k == s.kind)
    };
    all.sort_by(|a, b| (order(a), &a.name, &a.at).cmp(&(order(b), &b.name, &b.at)));
    all
}

fn kind_of(id: &SubjectId) -> &'static str {
    match id {
        SubjectId::Cluster => "Unknown",
        SubjectId::Organization(_) => "Organization",
        SubjectId::Tenant { .. } => "RepoBinding",
        SubjectId::KnowledgeBase(_) => "KnowledgeBase",
    }
}

fn name_of(id: &SubjectId) -> String {
    match id {
        SubjectId::Cluster => String::new(),
        SubjectId::Organization(name) | SubjectId::KnowledgeBase(name) => name.clone(),
        SubjectId::Tenant { tenant, .. } => tenant.clone(),
    }
}

fn of_failed(failed: &FailedBinding) -> BindingStatus {
    let errors: Vec<_> = failed.why.iter().filter(|v| v.severity == Severity::Error).collect();
    let more = errors.len().saturating_sub(1);
    let first = errors.first();
    let waits = first.is_some_and(|v| v.message.starts_with("waiting for Organization"));
    let mut message = first.map_or_else(String::new, |v| {
        let field =
            v.key.as_deref().map_or(String::new(), |k| format!("{}: ", k.trim_start_matches("spec.")));
        if waits { v.message.clone() } else { format!("Validation failed: {field}{}", v.message) }
    });
    if more > 0 {
        message.push_str(&format!(" (and {more} more)"));
    }
    let (kind, name) = match &failed.id {
        FailedIdentity::Subject(id) => (kind_of(id), name_of(id)),
        FailedIdentity::Kind(kind) => (kind.name(), failed.name.clone().unwrap_or_default()),
        FailedIdentity::Unknown => ("Unknown", failed.name.clone().unwrap_or_default()),
    };
    BindingStatus {
        kind,
        name,
        at: failed.at.to_string(),
        status: Status {
            phase: if waits && more == 0 { Phase::Pending } else { Phase::Failed },
            message: crate::redact::redact(&message).into_owned(),
            conditions: Vec::new(),
            webhook_configuration: None,
            namespace: None,
            webhook_url: None,
            provisioned_resources: ProvisionedResources::default(),
        },
        clusters: Vec::new(),
    }
}

fn of_subject(subject: &Subject, all: &Subjects, sight: &Sight) -> BindingStatus {
    let nothing = Seen::default();
    let seen: Vec<(&ClusterId, &Seen)> = subject
        .placed_on
        .iter()
        .map(|c| (c, sight.get(&(c.clone(), subject.id.clone())).unwrap_or(&nothing)))
        .collect();
    let clusters: Vec<OnCluster> = seen.iter().map(|(c, s)| on_cluster(c, s)).collect();
    let (phase, message) = phase_of(subject, &seen);
    let webhook = webhook_of(subject, all);
    let of_organization = matches!(subject.id, SubjectId::Organization(_));
    let text = |key: &str| subject.context.entry(key).as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    BindingStatus {
        kind: kind_of(&subject.id),
        name: name_of(&subject.id),
        at: subject.at.to_string(),
        status: Status {
            phase,
            message,
            conditions: conditions(subject, &seen, webhook.as_ref()),
            namespace: of_organization.then(|| text("namespace")).flatten(),
            webhook_url: of_organization.then(|| text("webhookUrl")).flatten(),
            webhook_configuration: webhook,
            provisioned_resources: provisioned(&seen),
        },
        clusters,
    }
}

fn on_cluster(cluster: &ClusterId, seen: &Seen) -> OnCluster {
    let live = seen.live.clone().unwrap_or_default();
    OnCluster {
        cluster: cluster.to_string(),
        delivered: seen.files.as_ref().map(|files| files.values().all(|there| *there)),
        sync: live.sync,
        health: live.health,
    }
}

fn phase_of(subject: &Subject, seen: &[(&ClusterId, &Seen)]) -> (Phase, String) {
    if seen.is_empty() {
        return (Phase::Pending, "the binding is placed on no cluster".into());
    }
    if let Some((cluster, held)) = seen.iter().find(|(_, s)| !s.held.is_empty()) {
        let why = held.held.first().map_or(String::new(), |v| v.message.clone());
        let message = format!("Failed to provision on {cluster}: {}", crate::redact::redact(&why));
        return (Phase::Failed, message);
    }
    if let Some((cluster, _)) = seen.iter().find(|(_, s)| s.files.is_none()) {
        return (Phase::Pending, format!("what stands in the branch of {cluster} could not be read"));
    }
    let absent: Vec<String> = seen
        .iter()
        .filter(|(_, s)| s.files.as_ref().is_some_and(|f| f.values().any(|there| !there)))
        .map(|(c, _)| c.to_string())
        .collect();
    if !absent.is_empty() {
        return (Phase::Pending, format!("not delivered yet to {}", absent.join(", ")));
    }
    if let Some((cluster, live)) =
        seen.iter().find_map(|(c, s)| s.live.as_ref().filter(|l| l.health == "Degraded").map(|l| (c, l)))
    {
        return (Phase::Failed, format!("Degraded on {cluster}{}", after_colon(&live.message)));
    }
    if seen.iter().any(|(_, s)| s.live.is_none()) {
        return (Phase::Provisioning, "delivered; Argo CD did not say how it stands".into());
    }
    let unsteady = seen.iter().find_map(|(c, s)| {
        s.live.as_ref().filter(|l| l.sync != "Synced" || l.health != "Healthy").map(|l| (c, l))
    });
    if let Some((cluster, live)) = unsteady {
        let message = format!("{} and {} on {cluster}{}", live.sync, live.health, after_colon(&live.message));
        return (Phase::Provisioning, message);
    }
    (Phase::Ready, done_message(subject))
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {}", crate::redact::redact(message)) }
}

fn done_message(subject: &Subject) -> String {
    match &subject.id {
        SubjectId::Organization(_) => "Organization provisioned successfully".into(),
        SubjectId::KnowledgeBase(_) => {
            let count = subject.context.entry("repositories").as_array().map_or(0, Vec::len);
            format!("Tracking {count} repositories")
        }
        _ => "Tenant resources provisioned successfully".into(),
    }
}

/// The URL follows the organization that the binding names, where the tunnel is; the original
/// built it from the repository's.
fn webhook_of(subject: &Subject, all: &Subjects) -> Option<WebhookConfiguration> {
    let text = |v: &SubjectData, key: &str| v.entry(key).as_str().unwrap_or_default().to_owned();
    let (url, secret) = match &subject.id {
        SubjectId::Organization(_) => (
            text(&subject.context, "webhookUrl"),
            format!("{}/github-webhook-secret", text(&subject.context, "namespace")),
        ),
        SubjectId::Tenant { organization, tenant } => {
            if subject.context.entry("ownListener") == true {
                let host = text(&subject.context, "ingressHost");
                (format!("https://{host}/{tenant}"), format!("{tenant}/webhook-{tenant}"))
            } else if subject.context.entry("pipeline").is_null() {
                return None;
            } else {
                let parent = &all.organizations.get(organization)?.context;
                (text(parent, "webhookUrl"), format!("{}/github-webhook-secret", text(parent, "namespace")))
            }
        }
        _ => return None,
    };
    (!url.is_empty()).then(|| WebhookConfiguration { url, secret, events: vec!["push"] })
}

/// The kinds behind each condition.
const CONDITIONS: [(&str, &[&str]); 4] = [
    ("NamespaceReady", &["namespace"]),
    ("RBACReady", &["serviceaccount", "role", "rolebinding", "clusterrole", "clusterrolebinding"]),
    ("NetworkPolicyReady", &["networkpolicy"]),
    ("EventListenerReady", &["eventlistener", "trigger", "triggertemplate", "triggerbinding"]),
];

fn conditions(
    subject: &Subject,
    seen: &[(&ClusterId, &Seen)],
    webhook: Option<&WebhookConfiguration>,
) -> Vec<Condition> {
    if matches!(subject.id, SubjectId::KnowledgeBase(_)) {
        return Vec::new();
    }
    let mut all: Vec<Condition> = CONDITIONS
        .iter()
        .filter(|(_, kinds)| seen.iter().any(|(_, s)| s.files.iter().flatten().any(|(p, _)| is_of(p, kinds))))
        .map(|(kind, kinds)| condition(kind, kinds, seen))
        .collect();
    let listens = all.iter().find(|c| c.kind == "EventListenerReady").map(|c| c.status);
    if let Some(status) = listens {
        all.push(match webhook {
            Some(w) => {
                Condition { kind: "WebhookReady", status, reason: "Configured", message: w.url.clone() }
            }
            None => Condition {
                kind: "WebhookReady",
                status: "False",
                reason: "NoHost",
                message: "no tunnel and no ingressHost leads to the listener".into(),
            },
        });
    }
    all
}

fn condition(kind: &'static str, kinds: &[&str], seen: &[(&ClusterId, &Seen)]) -> Condition {
    let delivered = seen.iter().all(|(_, s)| {
        s.files.as_ref().is_some_and(|f| f.iter().filter(|(p, _)| is_of(p, kinds)).all(|(_, there)| *there))
    });
    let live = |l: &LiveApplication| l.sync == "Synced" && l.health == "Healthy";
    let (status, reason, message) = if !delivered {
        ("False", "NotDelivered", "not in the GitOps repository yet")
    } else if seen.iter().all(|(_, s)| s.live.as_ref().is_some_and(live)) {
        ("True", "Synced", "delivered, synced and healthy")
    } else {
        ("Unknown", "Delivered", "delivered; not known to be synced and healthy")
    };
    Condition { kind, status, reason, message: message.into() }
}

/// Tells the kind of an object by its file: `<kind>-<name>.yaml`, or `<kind>.<group>-<name>.yaml`.
fn is_of(path: &str, kinds: &[&str]) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let kind = file.split(['-', '.']).next().unwrap_or(file);
    !path.starts_with("apps/") && kinds.contains(&kind)
}

fn provisioned(seen: &[(&ClusterId, &Seen)]) -> ProvisionedResources {
    let mut there: BTreeSet<&str> = BTreeSet::new();
    const KINDS: [&[&str]; 7] = [
        &["namespace"],
        &["serviceaccount"],
        &["role", "rolebinding"],
        &["resourcequota"],
        &["networkpolicy"],
        &["eventlistener", "trigger"],
        &["pipeline"],
    ];
    for kinds in KINDS {
        let on_all = !seen.is_empty()
            && seen.iter().all(|(_, s)| {
                let mut files = s.files.iter().flatten().filter(|(p, _)| is_of(p, kinds)).peekable();
                files.peek().is_some() && files.all(|(_, there)| *there)
            });
        if on_all {
            there.insert(kinds[0]);
        }
    }
    ProvisionedResources {
        namespace: there.contains("namespace"),
        service_account: there.contains("serviceaccount"),
        rbac: there.contains("role"),
        resource_quota: there.contains("resourcequota"),
        network_policy: there.contains("networkpolicy"),
        event_listener: there.contains("eventlistener"),
        pipeline_resources: there.contains("pipeline"),
    }
}

/// Returns the statuses as a table for people.
pub fn table(all: &[BindingStatus]) -> String {
    let rows: Vec<[&str; 4]> = all
        .iter()
        .map(|s| [s.kind, s.name.as_str(), s.status.phase.word(), s.status.message.as_str()])
        .collect();
    let head = ["KIND", "NAME", "PHASE", "MESSAGE"];
    let width =
        |i: usize| rows.iter().map(|r| r[i].chars().count()).chain([head[i].len()]).max().unwrap_or(0);
    let (w0, w1, w2) = (width(0), width(1), width(2));
    let mut out = String::new();
    for r in [head].iter().chain(&rows) {
        out.push_str(&format!("{:w0$}  {:w1$}  {:w2$}  {}\n", r[0], r[1], r[2], r[3]));
    }
    out
}
