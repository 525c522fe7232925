//! [`TargetState`] → the Applications to sync: read from their final manifests, with what
//! each waits for and which of them a change set touched.

use crate::error::{Origin, Result, Violation, Violations};
use crate::model::fleet::{Cluster, Fleet};
use crate::model::id::{ClusterId, Layer, Part, SubjectId, UnitId};
use crate::model::sync::{AppRef, Place, ServerId};
use crate::model::target::{ChangeSet, ClusterTarget, TargetState};
use crate::model::unit::Hydrated;
use crate::stage::applications;
use crate::yaml::{Limits, Schema, read_one};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One Application, and where its own manifest and what it applies lie.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The Application.
    pub app: AppRef,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The place of its own manifest inside the cluster's folder.
    pub manifest: String,
    /// The folder that it applies, inside the cluster's folder; none for a chart.
    pub folder: Option<String>,
}

/// Lists the Applications of the clusters in a target. `server` gives the Argo CD server of
/// a cluster's `argocd.api`; clusters without one are left out.
///
/// # Errors
/// A memo that is damaged.
pub fn list(
    fleet: &Fleet<'_>,
    target: &TargetState,
    server: &dyn Fn(&str) -> Option<ServerId>,
    found: &mut Violations,
) -> Result<Vec<Applied>> {
    let mut all = Vec::new();
    for cluster in &fleet.clusters {
        let Some(state) = target.clusters.get(&cluster.id) else { continue };
        let Some(server) = server(&cluster.argocd.api) else { continue };
        let place = Place { server, cluster: cluster.id.name.clone(), env: cluster.id.env.clone() };
        all.extend(of_cluster(cluster, state, &place, found)?);
    }
    Ok(all)
}

fn of_cluster(
    cluster: &Cluster<'_>,
    state: &ClusterTarget,
    place: &Place,
    found: &mut Violations,
) -> Result<Vec<Applied>> {
    let mut all = Vec::new();
    let mut add =
        |manifest: Value, at: String, folder: Option<String>, parent: Option<String>, needs: Vec<String>| {
            match AppRef::from_manifest(manifest, place, &cluster.destination.repo) {
                Ok(app) => {
                    let app = AppRef { parent, needs, ..app };
                    all.push(Applied { app, cluster: cluster.id.clone(), manifest: at, folder });
                }
                Err(why) => {
                    found.push(Violation::error(why).at(Origin::file(format!("{}/{at}", cluster.id))))
                }
            }
        };
    for (path, id, hydrated) in application_units(state)? {
        let folder = match &id.part {
            Part::Manifests { .. } => continue,
            Part::ComponentApplication { layer, component } => {
                let part = Part::Manifests { layer: *layer, component: component.clone() };
                let applied = UnitId { part, ..id.clone() }.place();
                state.has_place(&applied).then_some(applied)
            }
            Part::SubjectApplication => id.subject.folder(),
        };
        let manifest = hydrated.files.first().and_then(|f| parse(&f.bytes));
        let Some(manifest) = manifest else { continue };
        let layer = match &id.part {
            Part::ComponentApplication { layer, .. } => *layer,
            _ => Layer::Tenants,
        };
        let parent = applications::layer_name(cluster, layer);
        add(manifest, path, folder, Some(parent), needs(cluster, &id));
    }
    let root = applications::root_name(cluster);
    for (name, bytes) in &state.layers {
        if let Some(manifest) = parse(bytes) {
            let layer = name.trim_end_matches("-apps.yaml");
            add(
                manifest,
                format!("apps/{name}"),
                Some(format!("apps/{layer}")),
                Some(root.clone()),
                Vec::new(),
            );
        }
    }
    if let Some(manifest) = parse(&state.root) {
        add(manifest, "bootstrap/root-app.yaml".into(), Some("apps".into()), None, Vec::new());
    }
    Ok(all)
}

/// Returns the units that are Applications, with their places, in the order of these. The bytes
/// of the others are let go at once.
fn application_units(state: &ClusterTarget) -> Result<Vec<(String, UnitId, Arc<Hydrated>)>> {
    let mut all = Vec::new();
    for lot in state.lots.values() {
        let units = lot.units()?;
        let applications = units.iter().filter(|(id, _)| !matches!(id.part, Part::Manifests { .. }));
        all.extend(applications.map(|(id, hydrated)| (id.place(), id.clone(), hydrated.clone())));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

fn parse(bytes: &[u8]) -> Option<Value> {
    read_one(bytes, &Limits::manifests()).ok()?.to_value(Schema::Kubectl).ok()
}

/// Returns the names of the Applications that must be healthy before this one: of the
/// components it needs; for a subject, of the cluster's components, and a tenant's organization.
fn needs(cluster: &Cluster<'_>, id: &UnitId) -> Vec<String> {
    let enabled = |need: &str| cluster.components.iter().any(|p| p.component.key.id == need);
    match &id.part {
        Part::ComponentApplication { component, .. } => cluster
            .components
            .iter()
            .filter(|p| p.component.key.id == *component)
            .flat_map(|p| &p.component.file.needs)
            .filter(|need| enabled(need))
            .map(|need| applications::component_name(cluster, need))
            .collect(),
        _ => {
            let components =
                cluster.components.iter().map(|p| applications::component_name(cluster, &p.component.key.id));
            let organization = match &id.subject {
                SubjectId::Tenant { organization, .. } => Some(SubjectId::Organization(organization.clone())),
                _ => None,
            };
            let organization = organization
                .filter(|o| cluster.subjects.contains_key(o))
                .map(|o| applications::subject_name(cluster, &o));
            components.chain(organization).collect()
        }
    }
}

/// Picks the Applications that a change set touched: those whose manifest or whose folder changed.
pub fn touched(all: &[Applied], changes: &ChangeSet) -> Vec<Applied> {
    let mut changed: BTreeMap<&ClusterId, BTreeSet<&str>> = BTreeMap::new();
    for (id, change) in &changes.clusters {
        let places = changed.entry(id).or_default();
        for unit in &change.units {
            places.insert(unit);
            places.extend(unit.match_indices('/').map(|(i, _)| &unit[..i]));
        }
    }
    all.iter()
        .filter(|applied| {
            let Some(places) = changed.get(&applied.cluster) else { return false };
            let folder = applied.folder.as_deref();
            places.contains(applied.manifest.as_str()) || folder.is_some_and(|f| places.contains(f))
        })
        .cloned()
        .collect()
}
