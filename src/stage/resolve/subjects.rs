//! Puts organizations, tenants and knowledge bases on their clusters, and holds those that failed.

use crate::definition::{Definitions, Failed};
use crate::error::Violation;
use crate::model::fleet::{Cluster, Fleet, SubjectView};
use crate::model::id::{Domain, SubjectId};
use crate::model::settings::Placement;
use crate::stage::bindings::{
    BindingRules, Checked, ClusterView, Clusters, FailedIdentity, Subject, SubjectData, Subjects,
    UnreadCluster, resolve_bindings,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Turns the bindings of a fleet into subjects. Texts that an earlier run has checked are not read again.
pub fn resolve(definitions: &Definitions, checked: Arc<Checked>) -> Subjects {
    let explicit = |env: &str| {
        let settings = definitions.settings.environments.get(env);
        settings.and_then(|s| s.placement) == Some(Placement::Explicit)
    };
    let clusters: Vec<ClusterView> = definitions
        .clusters
        .iter()
        .map(|c| ClusterView { placement_explicit: explicit(&c.file.gitops.env), id: c.file.id() })
        .collect();
    let rules = BindingRules::new(&definitions.settings.tenants, dispatchers(definitions));
    let rules = BindingRules { checked, ..rules };
    let files = &definitions.bindings;
    let unread: Vec<UnreadCluster> = definitions.failed_clusters.iter().map(unread).collect();
    let clusters = Clusters { known: &clusters, unread: &unread };
    resolve_bindings(&files.documents, &files.unreadable, clusters, &rules)
}

fn unread(failed: &Failed) -> UnreadCluster {
    let file =
        failed.why.iter().find_map(|v| v.at.as_ref()).map_or_else(|| "clusters".into(), |at| at.file.clone());
    UnreadCluster { name: failed.who.clone(), file }
}

/// Returns the names of the dispatcher catalog: its components' ids below `dispatchers/`.
fn dispatchers(definitions: &Definitions) -> Vec<String> {
    let ids = definitions.catalog.components.keys();
    ids.filter_map(|id| id.strip_prefix("dispatchers/")).map(str::to_owned).collect()
}

/// Fills in the subjects of every cluster.
pub fn place(definitions: &Definitions, fleet: &mut Fleet<'_>) {
    let subjects = &fleet.subjects;
    fleet.may_delete.organizations = subjects.may_delete.organizations;
    fleet.may_delete.tenants = subjects.may_delete.tenants;
    fleet.may_delete.knowledge_bases = subjects.may_delete.knowledge_bases;
    fleet.notices.extend(subjects.notices.iter().cloned());
    let all = [&subjects.organizations, &subjects.tenants, &subjects.knowledge_bases];
    for subject in all.into_iter().flat_map(BTreeMap::values) {
        fleet.notices.extend(subject.warnings.iter().cloned());
        let view = Arc::new(view(subject, subjects));
        for cluster in fleet.clusters.iter_mut().filter(|c| subject.placed_on.contains(&c.id)) {
            fleet.notices.extend(left_to_the_hub(subject, cluster));
            cluster.subjects.insert(subject.id.clone(), view.clone());
        }
    }
    for failed in &fleet.subjects.failed {
        match &failed.id {
            FailedIdentity::Subject(id) => {
                for definition in &definitions.clusters {
                    let domain = Domain { cluster: definition.file.id(), subject: id.clone() };
                    fleet.held.entry(domain).or_default().extend(failed.why.iter().cloned());
                }
            }
            FailedIdentity::Kind(_) | FailedIdentity::Unknown => {
                fleet.failed.extend(failed.why.iter().cloned());
            }
        }
    }
}

/// Returns a warning if a tenant's workload Application cannot be delivered to a cluster: it would
/// have to stand beside Argo CD, on the hub, and the tenant's Application applies to the cluster.
fn left_to_the_hub(subject: &Subject, cluster: &Cluster<'_>) -> Option<Violation> {
    let wanted = !subject.context.entry("deployPath").is_null();
    (wanted && cluster.argocd.remote).then(|| {
        let (id, hub) = (&cluster.id, &cluster.argocd.instance);
        Violation::warning(format!(
            "{} has no workload Application on {id}: it would stand on the Argo CD instance `{hub}`, \
             where the tenant's Application does not reach",
            subject.id
        ))
        .at(subject.at.clone())
        .key("hydrant.dev/deploy-path")
        .hint(format!("add the Application and its AppProject there by hand, or leave {id} out of the binding's placement"))
    })
}

/// Returns what the templates of a subject see of it and of its parents.
fn view(subject: &Subject, all: &Subjects) -> SubjectView {
    let own = subject.context.clone();
    SubjectView::new(match &subject.id {
        SubjectId::Cluster => Vec::new(),
        SubjectId::Organization(_) => vec![("organization", own)],
        SubjectId::Tenant { organization, .. } => {
            let parent = all.organizations.get(organization).map(|o| o.context.clone());
            vec![
                ("tenant", own),
                ("organization", parent.unwrap_or_else(|| Arc::new(SubjectData::new(Value::Null)))),
            ]
        }
        SubjectId::KnowledgeBase(_) => vec![("knowledgeBase", own)],
    })
}
