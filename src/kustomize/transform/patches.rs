//! Patches: strategic merge and JSON, with and without a target.

use super::Failure;
use super::json6902::{self, Operation};
use crate::error::Origin;
use crate::kustomize::gvk::{Gvk, Identified as _, ObjectId};
use crate::kustomize::merge::{Conflict, Merger};
use crate::kustomize::resource::{Resource, Step, metadata_mut};
use crate::kustomize::resources::Resources;
use crate::kustomize::schema::{Field, Table, builtin};
use crate::kustomize::selector::Selector;
use crate::kustomize::threads::Threads;
use crate::suggest::did_you_mean;
use serde_json::Value;

/// One patch with what it needs to be applied many times.
#[derive(Clone, Debug)]
pub struct Patch {
    /// What it does.
    pub body: Body,
    /// Which objects; none lets a merge patch find its own.
    pub target: Option<Selector>,
    /// True if a merge patch may change the name.
    pub allow_name_change: bool,
    /// True if a merge patch may change the kind.
    pub allow_kind_change: bool,
    /// True for `patches`: a JSON patch then remembers the old name for references.
    pub remembers: bool,
    /// What it is for, in a few words.
    pub what: String,
    /// Where the body is written.
    pub at: Origin,
}

/// What a patch does.
#[derive(Clone, Debug)]
pub enum Body {
    /// Merges an object over another.
    Merge(Box<Resource>),
    /// Carries out operations.
    Json(Vec<Operation>),
}

impl Patch {
    /// Applies it; returns how many objects it changed.
    pub fn apply(&self, resources: &mut Resources) -> Result<usize, Failure> {
        let places = self.places(resources)?;
        let mut gone = Vec::new();
        for &place in &places {
            let Some(resource) = resources.get_mut(place) else { continue };
            let before = resource.id();
            match &self.body {
                Body::Merge(patch) => {
                    if !self.merge(resource, patch)? {
                        gone.push(place);
                        continue;
                    }
                }
                Body::Json(operations) => self.operate(resource, operations)?,
            }
            let renamed = before != resource.id() || self.allow_name_change || self.allow_kind_change;
            if renamed {
                resources.ids_changed();
            }
        }
        let renamed = self.target.is_some() && (self.allow_name_change || self.allow_kind_change);
        resources.remove(&gone);
        if renamed && let Some(id) = resources.duplicate(Threads::One) {
            return Err(Failure::plain(format!("the patch makes two objects one: {id}")));
        }
        Ok(places.len())
    }

    /// Returns false if the type of an object that keeps it rules it out.
    pub fn may_choose(&self, object: &Value) -> bool {
        match (&self.target, &self.body) {
            (Some(target), _) => target.may_choose(object),
            (None, Body::Json(_)) => true,
            (None, Body::Merge(patch)) => patch.gvk() == Gvk::new(&object.api_version(), &object.kind()),
        }
    }

    fn places(&self, resources: &mut Resources) -> Result<Vec<usize>, Failure> {
        match (&self.target, &self.body) {
            (Some(target), _) => Ok(resources.select(target)),
            (None, Body::Json(_)) => Err(Failure::plain("a JSON patch needs a `target`")),
            (None, Body::Merge(patch)) => {
                let id = patch.id();
                let places = resources.with_any_id(&id);
                match places.len() {
                    1 => Ok(places),
                    0 => Err(not_found(resources, &id)),
                    n => Err(Failure::plain(format!("{n} objects have or had the id {id}"))
                        .hint("give the patch a `target` that tells them apart")),
                }
            }
        }
    }

    /// Merges the patch over an object; false if it deletes the object.
    fn merge(&self, resource: &mut Resource, patch: &Resource) -> Result<bool, Failure> {
        let table = resource.table.clone().unwrap_or_else(builtin);
        let (name, namespace) = (resource.value.name().into_owned(), resource.value.namespace().into_owned());
        let kind = resource.value.get("kind").cloned();
        if self.allow_name_change || self.allow_kind_change {
            resource.remember_id();
        }
        drop_blanks(resource, &table);
        let object = std::mem::take(&mut resource.value);
        let api_version = object.get("apiVersion").cloned();
        let merged = match (&self.target, api_version) {
            // A target gives the patch the type of what it chose.
            (Some(_), Some(api_version)) if patch.value.get("apiVersion") != Some(&api_version) => {
                let mut own = patch.value.clone();
                if let Some(map) = own.as_object_mut() {
                    map.insert("apiVersion".into(), api_version);
                }
                Merger::new(&table).merge(object, &own)
            }
            _ => Merger::new(&table).merge(object, &patch.value),
        };
        let merged = merged.map_err(|c| self.conflict(&c, &name, patch))?;
        let Some(value) = merged.filter(|v| v.as_object().is_some_and(|m| !m.is_empty())) else {
            return Ok(false);
        };
        resource.value = value;
        if !self.allow_kind_change
            && let (Some(map), Some(kind)) = (resource.value.as_object_mut(), kind)
        {
            map.insert("kind".into(), kind);
        }
        if !self.allow_name_change {
            resource.set_name(name);
        }
        if metadata_mut(&mut resource.value).is_some() {
            resource.set_namespace(&namespace);
        }
        resource.sync_shared();
        Ok(true)
    }

    fn conflict(&self, conflict: &Conflict, name: &str, patch: &Resource) -> Failure {
        let mut failure = Failure::plain(conflict.message.clone()).field(field_path(&conflict.path));
        failure.object = Some(ObjectId { name: name.to_owned(), ..patch.id() });
        failure.at = Some(patch.at.clone().unwrap_or_else(|| self.at.clone()));
        failure
    }

    fn operate(&self, resource: &mut Resource, operations: &[Operation]) -> Result<(), Failure> {
        if self.remembers {
            resource.remember_id();
        }
        // kustomize keeps its notes in annotations, so a patch finds the map there.
        let noted = !resource.previous.is_empty()
            || resource.needs_hash
            || resource.generated
            || resource.origin.is_some();
        let made = noted && make_annotations(&mut resource.value);
        let changed = json6902::apply(operations, &mut resource.value);
        changed.map_err(|(at, path, why)| {
            let mut failure = Failure::at(resource, why).field(path);
            failure.at = Some(at);
            failure
        })?;
        // The object went through JSON: nothing of how it was written or made is left.
        if made {
            drop_empty_annotations(&mut resource.value);
        }
        resource.blanks.clear();
        resource.shared.clear();
        Ok(())
    }
}

/// Makes an empty map of annotations where there is none; true if it did.
fn make_annotations(object: &mut Value) -> bool {
    let Some(metadata) = metadata_mut(object) else { return false };
    if metadata.get("annotations").is_some_and(|a| !a.is_null()) {
        return false;
    }
    metadata.insert("annotations".into(), Value::Object(serde_json::Map::new()));
    true
}

fn drop_empty_annotations(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata")
        && metadata.get("annotations").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
    {
        metadata.remove("annotations");
    }
}

/// Prints a path of steps: `spec.containers[app].image`.
fn field_path(steps: &[String]) -> String {
    let mut path = String::new();
    for step in steps {
        if !path.is_empty() && !step.starts_with('[') {
            path.push('.');
        }
        path.push_str(step);
    }
    path
}

/// Drops keys that were written with nothing after them, as far as a merge walks: not
/// into lists that it replaces as a whole.
fn drop_blanks(resource: &mut Resource, table: &Table) {
    let kept: Vec<Vec<Step>> = std::mem::take(&mut resource.blanks)
        .into_iter()
        .filter(|path| !drop_blank(&mut resource.value, path, table))
        .collect();
    resource.blanks = kept;
}

fn drop_blank(object: &mut Value, path: &[Step], table: &Table) -> bool {
    let mut of = table.type_of(&object.api_version(), &object.kind());
    let mut merging = false;
    let mut at = object;
    let Some((last, way)) = path.split_last() else { return false };
    for step in way {
        match (step, at) {
            (Step::Key(key), Value::Object(map)) => {
                let Some(next) = map.get_mut(key) else { return true };
                merging = false;
                of = match of.and_then(|t| table.field(t, key)) {
                    Some(Field::Object(t) | Field::MapOf(t)) => Some(*t),
                    Some(Field::List { items, .. }) => {
                        merging = true;
                        *items
                    }
                    None => None,
                };
                at = next;
            }
            (Step::Index(i), Value::Array(items)) => {
                if !merging {
                    return false;
                }
                let Some(next) = items.get_mut(*i) else { return true };
                at = next;
            }
            _ => return true,
        }
    }
    // An annotation was made a text when it was read.
    let blank = |there: &Value| there.is_null() || there.as_str() == Some("");
    if let (Step::Key(key), Value::Object(map)) = (last, at)
        && map.get(key).is_some_and(blank)
    {
        map.remove(key);
    }
    true
}

/// Returns that no object has the id of a patch, with the objects that are nearest.
fn not_found(resources: &Resources, id: &ObjectId) -> Failure {
    let failure = Failure::nothing(format!("no object has or had the id {id}, so the patch changes nothing"));
    match nearest_ids(resources, id) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Returns a hint that names the objects nearest to an id.
pub fn nearest_ids(resources: &Resources, id: &ObjectId) -> Option<String> {
    let list = resources.list();
    let same_name = list.iter().find(|r| r.original_name() == id.name || r.value.name() == id.name);
    if let Some(near) = same_name {
        return Some(format!("there is {}", near.id()));
    }
    let all: Vec<String> = list.iter().map(|r| r.id().to_string()).collect();
    did_you_mean(&id.to_string(), all.iter().map(String::as_str))
}
