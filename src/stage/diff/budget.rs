//! The deletion budget: what may vanish without a person's word (`DESIGN.md`, Delivery).

use super::{BaseCluster, Files, Opened, Rules};
use crate::error::{Result, Violation};
use crate::model::id::{ClusterId, Domain, SubjectId};
use crate::model::target::{ClusterTarget, Refusal};
use crate::model::tree::BaseTree;
use crate::model::unit::ObjectRef;
use crate::stage::applications::FINALIZER;
use crate::yaml::{Limits, Schema, read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many objects of a cluster may vanish in one run, at least.
const LEAST: usize = 10;

/// Deletions that a person allowed, by flag or in hydrant.yaml.
#[derive(Clone, Debug, Default)]
pub struct AllowDelete(BTreeSet<String>);

impl AllowDelete {
    /// Takes the names of both.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Returns true if a name was given.
    pub fn allows(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// An object or Application that would vanish from a cluster.
struct Vanishing {
    subject: SubjectId,
    reference: ObjectRef,
    cascades: bool,
}

/// Returns the domains that would lose more than they may.
pub fn check(
    id: &ClusterId,
    cluster: &ClusterTarget,
    units: &Opened,
    before: &BaseCluster,
    after: &Files,
    base: &dyn BaseTree,
    rules: &Rules<'_>,
) -> Result<Vec<Refusal>> {
    let remain: BTreeSet<SubjectId> = after.keys().filter_map(|p| SubjectId::of_path(p)).collect();
    let gone: BTreeSet<SubjectId> = before.subjects().filter(|s| !remain.contains(s)).cloned().collect();
    let moving = super::moved::moving(&gone, cluster);
    let mut vanishing = find(units, before, after, base)?;
    let mut refused: BTreeMap<SubjectId, Vec<Violation>> = BTreeMap::new();
    let mut refuse = |subject: &SubjectId, message: String, allow: String| {
        let v = Violation::error(message)
            .hint(format!("if that is meant, run once with --allow-delete {allow} (or list it under allowDelete: in hydrant.yaml)"))
            .guard();
        refused.entry(subject.clone()).or_default().push(v);
    };
    for subject in gone.iter().filter(|s| **s != SubjectId::Cluster) {
        let allow = subject_name(subject);
        if !rules.allow_delete.allows(&allow) && !is_knowledge_base(subject) {
            let message = match moving.get(subject) {
                Some(to) => format!("{subject} would move to the organization `{to}` on {id}"),
                None => format!("{subject} would be deleted from {id}"),
            };
            refuse(subject, message, allow);
        }
    }
    // What an allowed name covers counts nowhere else. A tenant that moves keeps its Application
    // and its objects, so the one question above is all there is to ask.
    vanishing.retain(|v| {
        !(gone.contains(&v.subject)
            && (moving.contains_key(&v.subject) || rules.allow_delete.allows(&subject_name(&v.subject))))
    });
    vanishing.retain(|v| {
        let (kind, allow) = match v.reference.kind.as_str() {
            "Namespace" if v.reference.group.is_empty() => {
                ("the namespace", format!("namespace/{}", v.reference.name))
            }
            "Application" if v.cascades => {
                ("the Application (with all it applied)", format!("application/{id}/{}", v.reference.name))
            }
            _ => return true,
        };
        if !rules.allow_delete.allows(&allow) {
            refuse(&v.subject, format!("{kind} `{}` would be deleted from {id}", v.reference.name), allow);
        }
        false
    });
    let objects = format!("objects/{id}");
    let many = vanishing.len() > LEAST && !rules.allow_delete.allows(&objects);
    // The subjects that were left closed count too.
    let total = if many {
        manifests(&BaseCluster::read(
            base,
            &super::folder_of(rules.path, id),
            &BTreeSet::new(),
            &BTreeSet::new(),
        )?)
    } else {
        0
    };
    let most = LEAST.max(total / 10);
    if many && vanishing.len() > most {
        let message = format!(
            "{} of the {total} objects of {id} would be deleted, more than the {most} that may go in one run",
            vanishing.len()
        );
        let mut subjects: BTreeSet<&SubjectId> = vanishing.iter().map(|v| &v.subject).collect();
        if subjects.contains(&SubjectId::Cluster) {
            subjects = BTreeSet::from([&SubjectId::Cluster]);
        }
        for subject in subjects {
            refuse(subject, message.clone(), objects.clone());
        }
    }
    let domain = |subject: SubjectId| Domain { cluster: id.clone(), subject };
    Ok(refused.into_iter().map(|(subject, why)| Refusal { domain: domain(subject), why }).collect())
}

fn is_knowledge_base(subject: &SubjectId) -> bool {
    // A knowledge base has no name of its own in the budget: its Application and its objects count.
    matches!(subject, SubjectId::KnowledgeBase(_))
}

fn subject_name(subject: &SubjectId) -> String {
    match subject {
        SubjectId::Cluster => "cluster".into(),
        SubjectId::Organization(name) => format!("organization/{name}"),
        SubjectId::Tenant { tenant, .. } => format!("tenant/{tenant}"),
        SubjectId::KnowledgeBase(name) => format!("knowledgebase/{name}"),
    }
}

/// Returns how many objects a base has: every file but generated ones and Applications' parents.
fn manifests(before: &BaseCluster) -> usize {
    before
        .files
        .keys()
        .filter(|p| {
            before.subject_of(p).is_some() && !p.ends_with("kustomization.yaml") && p.ends_with(".yaml")
        })
        .count()
}

/// Finds the objects of the base that no file of the result has. A file that moved inside
/// one Application is no deletion; an object that changes its Application is.
fn find(units: &Opened, before: &BaseCluster, after: &Files, base: &dyn BaseTree) -> Result<Vec<Vanishing>> {
    let mut found = Vec::new();
    let mut still: BTreeMap<String, BTreeSet<&ObjectRef>> = BTreeMap::new();
    for (unit, hydrated) in units.iter().flat_map(|lot| lot.iter()) {
        let applied = application_of(&unit.place());
        still.entry(applied).or_default().extend(hydrated.objects.iter().map(|(object, _)| object));
    }
    for (path, entry) in &before.files {
        let Some(subject) = before.subject_of(path) else { continue };
        let generated = path.ends_with("kustomization.yaml") || !path.ends_with(".yaml");
        let untouched = after.get(path).is_some_and(|(id, _)| *id == entry.id);
        if generated || untouched {
            continue;
        }
        let is_app = path.starts_with("apps/");
        // Only a vanished file loses an object, as its name follows from the object's; an
        // Application's file keeps its name when the Application is renamed.
        if after.contains_key(path) && !is_app {
            continue;
        }
        let place = before.place_of(path).unwrap_or_else(|| path.clone());
        let remaining = still.get(&application_of(&place));
        for object in objects_in(&base.blob(&entry.id)?) {
            let reference = ObjectRef::of(&object);
            if remaining.is_some_and(|r| r.contains(&reference)) {
                continue;
            }
            found.push(Vanishing { subject: subject.clone(), reference, cascades: cascades(&object) });
        }
    }
    Ok(found)
}

/// Returns what stands for the Application that applies a place: a component's folder, or a
/// subject's.
fn application_of(place: &str) -> String {
    let parts: Vec<&str> = place.split('/').collect();
    match parts.as_slice() {
        ["tenants", org, tenant, _, ..] => format!("tenants/{org}/{tenant}"),
        ["organizations" | "knowledgebases", name, ..] => format!("{}/{name}", parts[0]),
        _ => place.to_owned(),
    }
}

fn cascades(object: &Value) -> bool {
    object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|f| f.iter().filter_map(Value::as_str).any(|f| f.starts_with(FINALIZER)))
}

/// Returns the objects of a file of the base; a file that a person broke counts as one object.
fn objects_in(bytes: &[u8]) -> Vec<Value> {
    let Ok(documents) = read(bytes, &Limits::manifests()) else { return vec![Value::Null] };
    documents.iter().map(|d| d.to_value(Schema::Kubectl).unwrap_or(Value::Null)).collect()
}
