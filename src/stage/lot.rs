//! Puts the units of one subject together, and says what later stages ask of them.

use super::validate::kustomization;
use crate::model::id::{ClusterId, Part, SubjectId, UnitId};
use crate::model::lot::{Lot, Summary, Units};
use crate::model::overlay::Matches;
use crate::model::tree::{ObjectId, folder_id};
use crate::model::unit::ObjectRef;
use std::collections::BTreeSet;
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
    let manifests = |units: &Units| units.iter().any(|(id, _)| matches!(id.part, Part::Manifests { .. }));
    if units.iter().any(|(_, hydrated)| hydrated.files.is_empty()) {
        drop_those_without_files(units);
    }
    if *subject != SubjectId::Cluster && !manifests(units) {
        units.retain(|(id, _)| id.part != Part::SubjectApplication);
    }
}

fn drop_those_without_files(units: &mut Units) {
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for (id, _) in units.iter().filter(|(_, hydrated)| hydrated.files.is_empty()) {
        gone.insert(id.place());
        if let Part::Manifests { layer, component } = &id.part {
            let part = Part::ComponentApplication { layer: *layer, component: component.clone() };
            gone.insert(UnitId { part, ..id.clone() }.place());
        }
    }
    units.retain(|(id, _)| !gone.contains(&id.place()));
}

/// Returns the Git id of a subject's folder with its generated kustomization.yaml.
fn folder_of(subject: &SubjectId, units: &Units) -> Option<ObjectId> {
    let folder = subject.folder()?;
    let inside = |path: &str| path.strip_prefix(&folder).and_then(|p| p.strip_prefix('/')).map(str::len);
    let places: Vec<String> = units.iter().map(|(id, _)| id.place()).collect();
    let components: Vec<String> = places
        .iter()
        .filter_map(|place| inside(place).map(|length| place[place.len() - length..].to_owned()))
        .collect();
    if components.is_empty() {
        return None;
    }
    let listed = ObjectId::of_blob(kustomization(&components).as_bytes());
    let files = units.iter().flat_map(|(_, hydrated)| &hydrated.files);
    let files = files.filter_map(|file| {
        let length = inside(&file.path)?;
        Some((&file.path[file.path.len() - length..], file.id))
    });
    folder_id(files.chain([("kustomization.yaml", listed)]))
}

/// Returns a short hash of an object's identity.
pub fn identity(object: &ObjectRef) -> u64 {
    let parts = [&object.group, &object.kind, &object.namespace, &object.name];
    let mut bytes = Vec::with_capacity(128);
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    let mut short = [0; 8];
    short.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    u64::from_le_bytes(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Layer;
    use crate::model::unit::{File, Hydrated, UnitKey};
    use crate::stage::diff::list_components;
    use std::collections::BTreeMap;

    #[test]
    fn the_folder_is_that_of_the_files_and_the_index_that_a_delivery_writes() {
        let subject = SubjectId::Tenant { organization: "acme".into(), tenant: "app".into() };
        let cluster = ClusterId { env: "prod".into(), name: "c".into() };
        let unit = |component: &str, files: &[&str]| {
            let part = Part::Manifests { layer: Layer::Tenants, component: component.into() };
            let id = UnitId { cluster: cluster.clone(), subject: subject.clone(), part };
            let place = id.place();
            let made = |name: &&str| File::new(format!("{place}/{name}"), name.as_bytes().to_vec());
            let hydrated = Hydrated {
                key: UnitKey([0; 32]),
                files: files.iter().map(made).collect(),
                objects: Vec::new(),
                matched: Matches::default(),
                warnings: Vec::new(),
            };
            (id, Arc::new(hydrated))
        };
        let units = vec![
            unit("quota", &["kustomization.yaml", "resourcequota-q.yaml"]),
            unit("network/base", &["kustomization.yaml", "other/networkpolicy-n.yaml", "z.yaml"]),
            unit("network-more", &["a.yaml", "kustomization.yaml"]),
        ];
        let mut files = BTreeMap::new();
        for file in units.iter().flat_map(|(_, h)| &h.files) {
            files.insert(file.path.clone(), (file.id, None));
        }
        list_components(&mut files);
        let written =
            files.iter().map(|(path, (id, _))| (path.strip_prefix("tenants/acme/app/").unwrap(), *id));
        assert_eq!(folder_of(&subject, &units), folder_id(written));
        assert_eq!(folder_of(&subject, &Vec::new()), None);
    }
}
