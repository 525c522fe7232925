//! `hydrant explain binding NAME`: every object a binding yields, and what it may do, in words.

use crate::cli::ExplainBinding;
use crate::config::RenderRequest;
use crate::edge::embedded::renderer;
use crate::error::{Error, Result, Violation};
use crate::model::fleet::Fleet;
use crate::model::id::{ClusterId, SubjectId, UnitId};
use crate::model::unit::{ObjectRef, RenderUnit, Work};
use crate::reconcile;
use crate::stage::bindings::grants;
use crate::stage::bindings::{FailedBinding, FailedIdentity, Subject};
use crate::stage::units::{Selection, units};
use crate::stage::{names, overlay, render};
use crate::suggest::did_you_mean;
use serde_json::Value;
use std::collections::BTreeSet;

/// One object of a unit, with its file and the template line that made it.
pub struct Yielded {
    /// The unit.
    pub unit: UnitId,
    /// The file inside the cluster's folder.
    pub path: String,
    /// The template's file and line.
    pub template: String,
    /// The object.
    pub value: Value,
}

/// Prints what the bindings of a name yield.
///
/// # Errors
/// As [`explain`].
pub fn run(args: &ExplainBinding) -> Result<u8> {
    super::print(&explain(&super::rendering(&args.fleet)?, &args.name)?)?;
    Ok(0)
}

/// Explains the bindings of a name: a tenant's, an organization's, a knowledge base's, or
/// `metadata.name`; `tenant/x`, `organization/x` and `knowledgebase/x` say which is meant.
///
/// # Errors
/// A fleet that cannot be read, a name that no binding has, or a binding that has failed.
pub fn explain(request: &RenderRequest, name: &str) -> Result<String> {
    let definitions = reconcile::definitions(request)?;
    let fleet = reconcile::fleet(&definitions, &request.pick)?;
    let found: Vec<&Subject> = subjects(&fleet).filter(|s| is_called(&s.id, &s.binding, name)).collect();
    let failed: Vec<&FailedBinding> =
        fleet.subjects.failed.iter().filter(|f| has_failed_as(f, name)).collect();
    if found.is_empty() && failed.is_empty() {
        let known: BTreeSet<String> = subjects(&fleet).map(|s| bare(&s.id).to_owned()).collect();
        let mut error = Error::input(format!("there is no binding `{}`", crate::redact::redact(name)));
        if let Some(hint) = did_you_mean(name, known.iter().map(String::as_str)) {
            error = error.hint(hint);
        }
        return Err(error);
    }
    if found.is_empty() {
        let why = failed.iter().flat_map(|f| f.why.iter().cloned()).collect();
        return Err(Error::input(format!("the binding `{name}` yields nothing: it has failed")).with(why));
    }
    let mut out = String::new();
    for subject in found {
        of_subject(&fleet, &request.pick, subject, &mut out)?;
    }
    Ok(out)
}

/// Returns every subject of a fleet.
pub fn subjects<'f>(fleet: &'f Fleet<'_>) -> impl Iterator<Item = &'f Subject> {
    let all = &fleet.subjects;
    all.organizations.values().chain(all.tenants.values()).chain(all.knowledge_bases.values())
}

/// Returns the subject's name alone.
pub fn bare(id: &SubjectId) -> &str {
    match id {
        SubjectId::Cluster => "cluster",
        SubjectId::Organization(name) | SubjectId::KnowledgeBase(name) => name,
        SubjectId::Tenant { tenant, .. } => tenant,
    }
}

fn is_called(id: &SubjectId, binding: &str, name: &str) -> bool {
    bare(id) == name || binding == name || id.to_string() == name
}

fn has_failed_as(failed: &FailedBinding, name: &str) -> bool {
    let by_id = match &failed.id {
        FailedIdentity::Subject(id) => is_called(id, "", name),
        FailedIdentity::Kind(_) | FailedIdentity::Unknown => false,
    };
    by_id || failed.name.as_deref() == Some(name)
}

fn of_subject(fleet: &Fleet<'_>, pick: &Selection, subject: &Subject, out: &mut String) -> Result<()> {
    out.push_str(&format!("{} ({}, binding {})\n", subject.id, subject.at, subject.binding));
    let places: Vec<String> = subject.placed_on.iter().map(ToString::to_string).collect();
    let places = if places.is_empty() { "no cluster".to_owned() } else { places.join(", ") };
    out.push_str(&format!("  placed on  {places}\n"));
    for claim in &subject.claims {
        out.push_str(&format!("  claims     {}\n", claim.what));
    }
    for warning in &subject.warnings {
        out.push_str(&format!("  {}  {}\n", warning.severity.word(), warning.message));
    }
    for cluster in subject.placed_on.iter().filter(|c| pick.takes_cluster(c)) {
        let objects = yielded(fleet, cluster, Some(&subject.id))
            .map_err(|why| Error::input(format!("{} yields nothing on {cluster}", subject.id)).with(why))?;
        out.push_str(&format!("\n# {cluster}: {} objects\n", objects.len()));
        let rows: Vec<(String, &str, &str)> = objects
            .iter()
            .map(|o| (ObjectRef::of(&o.value).to_string(), o.path.as_str(), o.template.as_str()))
            .collect();
        let width = rows.iter().map(|r| r.0.chars().count()).max().unwrap_or(0).min(64);
        for (object, path, template) in &rows {
            out.push_str(&format!("{object:width$}  {path}  {template}\n"));
        }
        out.push_str("what it may do:\n");
        let values: Vec<&Value> = objects.iter().map(|o| &o.value).collect();
        let grants = grants::in_words(&values);
        if grants.is_empty() {
            out.push_str("  - nothing: it brings no rights, no quota and no network rule\n");
        }
        for line in grants {
            out.push_str(&format!("  - {line}\n"));
        }
    }
    Ok(())
}

/// Returns the objects of one subject on a cluster, or of all its subjects, overlays applied.
///
/// # Errors
/// What fails in their templates.
pub fn yielded(
    fleet: &Fleet<'_>,
    cluster: &ClusterId,
    subject: Option<&SubjectId>,
) -> Result<Vec<Yielded>, Vec<Violation>> {
    let renderer = renderer();
    let pick = Selection {
        envs: vec![cluster.env.clone()],
        clusters: vec![cluster.name.clone()],
        ..Selection::default()
    };
    let mut objects = Vec::new();
    let mut found = Vec::new();
    for prepared in units(fleet, &pick, &renderer) {
        match prepared {
            Ok(unit) if subject.is_none_or(|s| unit.id.subject == *s) => match of_unit(&unit) {
                Ok(mut made) => objects.append(&mut made),
                Err(why) => found.extend(why),
            },
            Err((domain, why)) if subject.is_some_and(|s| domain.subject == *s) => found.extend(why),
            _ => {}
        }
    }
    if subject.is_some() && !found.is_empty() {
        return Err(found);
    }
    Ok(objects)
}

fn of_unit(unit: &RenderUnit<'_>) -> Result<Vec<Yielded>, Vec<Violation>> {
    let overlaid = overlay::overlay(render::render(unit)?, unit)?;
    let references: Vec<ObjectRef> = overlaid.objects.iter().map(|o| ObjectRef::of(&o.value)).collect();
    let place = unit.id.place();
    let paths: Vec<String> = match &unit.work {
        Work::Templates { namespace, .. } => {
            let references: Vec<&ObjectRef> = references.iter().collect();
            let names = names::file_names(&references, namespace.as_deref());
            names.into_iter().map(|name| format!("{place}/{name}")).collect()
        }
        Work::Application(_) => vec![place; overlaid.objects.len()],
    };
    Ok(overlaid
        .objects
        .into_iter()
        .zip(paths)
        .map(|(o, path)| Yielded { unit: unit.id.clone(), path, template: o.at.to_string(), value: o.value })
        .collect())
}
