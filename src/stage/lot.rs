//! Puts the units of one subject together, and says what later stages ask of them.

use super::diff::list_components;
use crate::model::id::{ClusterId, Part, SubjectId, UnitId};
use crate::model::lot::{Lot, Summary, Units};
use crate::model::overlay::Matches;
use crate::model::tree::{ObjectId, folder_id};
use crate::model::unit::ObjectRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Returns the lot of these units. Those without objects, and Applications that would apply
/// nothing, are left out.
pub fn lot(cluster: ClusterId, subject: SubjectId, mut units: Units) -> Lot {
    let mut matched = Matches::default();
    let mut warnings = Vec::new();
    for (_, hydrated) in &units {
        matched.join(&hydrated.matched);
        warnings.extend(hydrated.warnings.iter().cloned());
    }
    drop_empty(&subject, &mut units);
    units.sort_by_cached_key(|(id, _)| id.place());
    warnings.sort();
    warnings.dedup();
    let application =
        units.iter().find(|(id, _)| id.part == Part::SubjectApplication).and_then(|(_, h)| h.files.first());
    let summary = Summary {
        parts: Arc::new(units.iter().map(|(id, _)| id.part.clone()).collect()),
        files: units.iter().map(|(_, h)| h.files.len()).sum(),
        folder: folder_of(&subject, &units),
        application: application.map(|file| file.id),
        objects: units.iter().flat_map(|(_, h)| &h.objects).map(|(object, _)| identity(object)).collect(),
        matched: Arc::new(matched),
        warnings,
    };
    Lot::new(cluster, subject, summary, units)
}

/// Drops units without objects, and Applications that would apply nothing.
fn drop_empty(subject: &SubjectId, units: &mut Units) {
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for (id, _) in units.iter().filter(|(_, hydrated)| hydrated.files.is_empty()) {
        gone.insert(id.place());
        if let Part::Manifests { layer, component } = &id.part {
            let part = Part::ComponentApplication { layer: *layer, component: component.clone() };
            gone.insert(UnitId { part, ..id.clone() }.place());
        }
    }
    units.retain(|(id, _)| !gone.contains(&id.place()));
    let applies = units.iter().any(|(id, _)| matches!(id.part, Part::Manifests { .. }));
    if *subject != SubjectId::Cluster && !applies {
        units.retain(|(id, _)| id.part != Part::SubjectApplication);
    }
}

/// Returns the Git id of a subject's folder with its generated kustomization.yaml.
fn folder_of(subject: &SubjectId, units: &Units) -> Option<ObjectId> {
    let folder = subject.folder()?;
    let mut files = BTreeMap::new();
    for file in units.iter().flat_map(|(_, hydrated)| &hydrated.files) {
        files.insert(file.path.clone(), (file.id, None));
    }
    list_components(&mut files);
    let inside: Vec<(&str, ObjectId)> = files
        .iter()
        .filter_map(|(path, (id, _))| Some((path.strip_prefix(&folder)?.strip_prefix('/')?, *id)))
        .collect();
    folder_id(inside)
}

/// Returns a short hash of an object's identity.
pub fn identity(object: &ObjectRef) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in [&object.group, &object.kind, &object.namespace, &object.name] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut short = [0; 8];
    hasher.finalize_xof().fill(&mut short);
    u64::from_le_bytes(short)
}
