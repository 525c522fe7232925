//! Fleet → units, one at a time: what each sees, and the key of its bytes.

use super::applications;
use super::extras::Extras;
use super::resolve::base_context;
use crate::definition::catalog::{Component, NamespaceRule};
use crate::error::{Violation, Violations};
use crate::model::fleet::{Cluster, Common, Fleet, Placed, SubjectView, holds};
use crate::model::id::{ClusterId, Domain, Part as IdPart, Scope, SubjectId, UnitId};
use crate::model::lot::LotKey;
use crate::model::overlay::Step;
use crate::model::unit::{RenderUnit, UnitKey, Work};
use crate::model::values::type_name;
use crate::template::{Context, Part};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which part of a fleet a run is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Environments; all when empty.
    pub envs: Vec<String>,
    /// Cluster names; all when empty.
    pub clusters: Vec<String>,
    /// Organizations; when set, only their units and their tenants'.
    pub organizations: Vec<String>,
}

impl Selection {
    /// Returns true if a cluster is selected.
    pub fn takes_cluster(&self, id: &ClusterId) -> bool {
        (self.envs.is_empty() || self.envs.contains(&id.env))
            && (self.clusters.is_empty() || self.clusters.contains(&id.name))
    }

    /// Returns true if a subject is selected.
    pub fn takes_subject(&self, subject: &SubjectId) -> bool {
        if self.organizations.is_empty() {
            return true;
        }
        match subject {
            SubjectId::Organization(name) | SubjectId::Tenant { organization: name, .. } => {
                self.organizations.contains(name)
            }
            SubjectId::Cluster | SubjectId::KnowledgeBase(_) => false,
        }
    }

    /// Returns true if a run with it judges clusters that left the fleet.
    pub fn judges_departures(&self) -> bool {
        self.clusters.is_empty() && self.organizations.is_empty()
    }
}

/// A unit, or why its domain is held before anything is rendered.
pub type Prepared<'f> = Result<RenderUnit<'f>, (Domain, Violations)>;

/// Lists the units of the selected clusters that are not held as a whole.
pub fn units<'f>(
    fleet: &'f Fleet<'_>,
    pick: &'f Selection,
    renderer: &'f str,
) -> impl Iterator<Item = Prepared<'f>> + 'f {
    lots(fleet, pick, renderer).into_iter().flat_map(|lot| lot.units())
}

/// All units of one subject on one cluster, before any of them is prepared.
pub struct PlannedLot<'f> {
    maker: Maker<'f>,
    /// The subject.
    pub subject: SubjectId,
    /// What templates see of it; nothing of the cluster itself.
    view: Option<&'f SubjectView>,
    /// The digest of what its cluster gives to all subjects of its scope.
    common: blake3::Hash,
}

/// Lists the lots of the selected clusters that are not held as a whole.
pub fn lots<'f>(fleet: &'f Fleet<'_>, pick: &Selection, renderer: &'f str) -> Vec<PlannedLot<'f>> {
    let mut all = Vec::new();
    let whole = |id: &ClusterId| fleet.held.contains_key(&Domain::cluster(id.clone()));
    for cluster in fleet.clusters.iter().filter(|c| pick.takes_cluster(&c.id) && !whole(&c.id)) {
        let maker = Maker { root: &fleet.path, cluster, renderer };
        if pick.takes_subject(&SubjectId::Cluster) {
            let common = maker.common(Scope::Cluster);
            all.push(PlannedLot { maker, subject: SubjectId::Cluster, view: None, common });
        }
        let mut common = BTreeMap::new();
        for (subject, view) in cluster.subjects.iter().filter(|(subject, _)| pick.takes_subject(subject)) {
            if holds(&fleet.held, &cluster.id, subject) {
                continue;
            }
            let common = *common.entry(subject.scope()).or_insert_with(|| maker.common(subject.scope()));
            all.push(PlannedLot { maker, subject: subject.clone(), view: Some(view), common });
        }
    }
    all
}

impl<'f> PlannedLot<'f> {
    /// Returns its cluster.
    pub fn cluster(&self) -> &'f ClusterId {
        &self.maker.cluster.id
    }

    /// Returns the hash of everything that its units' bytes depend on: what the cluster gives to
    /// all subjects of the scope, and the subject's own view.
    pub fn key(&self) -> LotKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.common.as_bytes());
        if let Some(view) = self.view {
            hasher.update(view.digest().as_bytes());
        }
        hasher.update(format!("{:?}", self.subject).as_bytes());
        LotKey(*hasher.finalize().as_bytes())
    }

    /// Prepares its units.
    pub fn units(&self) -> Vec<Prepared<'f>> {
        match self.view {
            None => {
                let maker = self.maker;
                maker.cluster.components.iter().flat_map(|placed| maker.for_cluster(placed)).collect()
            }
            Some(view) => self.maker.for_subject(&self.subject, view),
        }
    }
}

#[derive(Clone, Copy)]
struct Maker<'f> {
    /// The folder inside the repositories that holds all output.
    root: &'f str,
    cluster: &'f Cluster<'f>,
    renderer: &'f str,
}

impl<'f> Maker<'f> {
    /// Returns the digest of everything that the cluster gives to the units of a scope: what
    /// [`base_context`] and the Applications are made of, the components, and their overlays.
    fn common(self, scope: Scope) -> blake3::Hash {
        let cluster = self.cluster;
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        part(self.renderer.as_bytes());
        part(self.root.as_bytes());
        part(format!("{:?} {:?} {:?}", cluster.id, cluster.destination, cluster.argocd).as_bytes());
        for (name, data) in &cluster.view {
            part(name.as_bytes());
            part(data.digest().as_bytes());
        }
        for step in cluster.overlays.for_application() {
            part(step.digest.as_bytes());
        }
        let serving = match scope {
            Scope::Cluster => {
                part(cluster.enabled.digest().as_bytes());
                part(cluster.access.digest().as_bytes());
                &cluster.components
            }
            _ => &cluster.subject_components,
        };
        for placed in serving.iter().filter(|p| p.component.scope() == scope) {
            let component = placed.component;
            let key = component.key.to_string();
            part(key.as_bytes());
            part(component.digest.as_bytes());
            part(&[u8::from(component.failed.is_empty())]);
            part(placed.values.digest().as_bytes());
            part(placed.wave.digest().as_bytes());
            // A step more or less moves the others: how many there are is part of it.
            let overlays = cluster.overlays.for_component(&key);
            part(&(overlays.len() as u64).to_le_bytes());
            for step in overlays {
                part(step.digest.as_bytes());
            }
        }
        hasher.finalize()
    }

    /// The manifests of a component and its Application; a component with a source has the
    /// Application alone.
    fn for_cluster(self, placed: &'f Placed<'f>) -> Vec<Prepared<'f>> {
        let component = placed.component;
        let mut parts = base_context(self.cluster, placed);
        parts.insert("enabled", self.cluster.enabled.clone());
        parts.insert("access", self.cluster.access.clone());
        let domain = Domain::cluster(self.cluster.id.clone());
        let prepared = self.context(component, parts);
        let (context, namespace) = match prepared {
            Ok(ready) => ready,
            Err(why) => return vec![Err((domain, why))],
        };
        let application = self.component_application(component, &context, namespace.clone());
        let mut units = Vec::with_capacity(2);
        match application {
            Ok(unit) => units.push(Ok(unit)),
            Err(why) => units.push(Err((domain, why))),
        }
        if component.source.is_none() {
            units.push(Ok(self.manifests(placed, SubjectId::Cluster, context, namespace)));
        }
        units
    }

    /// The manifests of every component of the subject's scope, and its Application.
    fn for_subject(self, subject: &SubjectId, view: &SubjectView) -> Vec<Prepared<'f>> {
        let domain = Domain { cluster: self.cluster.id.clone(), subject: subject.clone() };
        let own = match view.prepared() {
            Ok(own) => own,
            Err(why) => return vec![Err((domain, why))],
        };
        let mut units = Vec::new();
        let serving =
            self.cluster.subject_components.iter().filter(|p| p.component.scope() == subject.scope());
        for placed in serving {
            let component = placed.component;
            if !component.failed.is_empty() {
                units.push(Err((domain.clone(), component.failed.clone())));
                continue;
            }
            let mut parts = base_context(self.cluster, placed);
            parts.extend(own.iter().cloned());
            match self.context(component, parts) {
                Ok((context, namespace)) => {
                    units.push(Ok(self.manifests(placed, subject.clone(), context, namespace)));
                }
                Err(why) => units.push(Err((domain.clone(), why))),
            }
        }
        if !units.is_empty() {
            let app = applications::of_subject(self.cluster, subject, self.root);
            units.push(Ok(self.application(subject.clone(), IdPart::SubjectApplication, app)));
        }
        units
    }

    fn context(
        self,
        component: &Component,
        parts: BTreeMap<&'static str, Part>,
    ) -> Result<(Context, Option<String>), Violations> {
        let context = Context::new(parts, component.texts.clone());
        let name = match &component.namespace {
            None => return Ok((context, None)),
            Some(NamespaceRule::Fixed(name)) => name.clone(),
            Some(NamespaceRule::Computed(expression)) => {
                match expression.eval(&context).map_err(|v| vec![v.key("namespace")])? {
                    Value::String(name) => name,
                    other => {
                        let is = type_name(&other);
                        let v = Violation::error(format!("the namespace must be a string, and this is {is}"));
                        return Err(vec![v.at(component.at.clone()).key("namespace")]);
                    }
                }
            }
        };
        let part = Part::new(json!(name));
        Ok((context.with("namespace", part), Some(name)))
    }

    fn manifests(
        self,
        placed: &'f Placed<'f>,
        subject: SubjectId,
        context: Context,
        namespace: Option<String>,
    ) -> RenderUnit<'f> {
        let component = placed.component;
        let common = placed.common.get_or_init(|| {
            let overlays = self.cluster.overlays.for_component(&component.key.to_string());
            Common { digest: digest(self.renderer, Some(component), &overlays), overlays }
        });
        // Cluster-scoped components carry their wave on the Application.
        let wave = if component.scope() == Scope::Cluster { 0 } else { component.wave };
        let mut bytes = Vec::with_capacity(512);
        context.add_to(&mut bytes);
        let part = IdPart::Manifests { layer: component.key.layer, component: component.key.id.clone() };
        let id = UnitId { cluster: self.cluster.id.clone(), subject, part };
        let work = Work::Templates { component, context, namespace, wave };
        RenderUnit { id, key: key(&common.digest, bytes), work, overlays: common.overlays.clone() }
    }

    fn component_application(
        self,
        component: &'f Component,
        context: &Context,
        namespace: Option<String>,
    ) -> Result<RenderUnit<'f>, Violations> {
        let source = match &component.source {
            None => None,
            Some(template) => {
                let mut made = template.render(context)?;
                if made.len() != 1 {
                    let v = Violation::error("a source.yaml holds exactly one source");
                    return Err(vec![v.at(crate::error::Origin::file(template.file().clone()))]);
                }
                Some(made.remove(0).value)
            }
        };
        let extras = match &component.application {
            None => Extras::default(),
            Some(template) => Extras::read(template, context)?,
        };
        let made = applications::Made { namespace, source, extras };
        let app = applications::of_component(self.cluster, component, self.root, made);
        let part =
            IdPart::ComponentApplication { layer: component.key.layer, component: component.key.id.clone() };
        Ok(self.application(SubjectId::Cluster, part, app))
    }

    fn application(self, subject: SubjectId, part: IdPart, app: Value) -> RenderUnit<'f> {
        let overlays = self.cluster.overlays.for_application();
        let key = key(&digest(self.renderer, None, &overlays), app.to_string().into_bytes());
        let id = UnitId { cluster: self.cluster.id.clone(), subject, part };
        RenderUnit { id, key, work: Work::Application(Box::new(app)), overlays }
    }
}

/// Returns the hash of (renderer, component, overlay chain, canonical context), of which the first
/// three come as a digest. The context is canonical because its maps are sorted.
fn key(common: &blake3::Hash, mut context: Vec<u8>) -> UnitKey {
    context.extend(common.as_bytes());
    UnitKey(*blake3::hash(&context).as_bytes())
}

/// Returns the digest of (renderer, component, overlay chain).
fn digest(renderer: &str, component: Option<&Component>, overlays: &[Arc<Step>]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    part(renderer.as_bytes());
    match component {
        Some(component) => {
            part(component.key.to_string().as_bytes());
            part(component.digest.as_bytes());
        }
        None => part(b"application"),
    }
    part(&(overlays.len() as u64).to_le_bytes());
    for step in overlays {
        part(step.digest.as_bytes());
    }
    hasher.finalize()
}
