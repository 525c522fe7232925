//! One object on its way through a build, with what must be remembered about it: the names
//! it had, what changed it, and whether its name needs a hash.

use super::gvk::{Gvk, Identified as _, ObjectId, effective_namespace, split_api_version, text_in};
use super::provenance::Provenance;
use super::schema::{Table, builtin};
use super::shared::Shared;
use crate::error::Origin;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a generator does when the object exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// The object must not exist yet.
    #[default]
    Create,
    /// Its data is added to what exists.
    Merge,
    /// It takes the place of what exists.
    Replace,
}

/// The id of an object, without copies of its parts. Equal when the ids are.
#[derive(Clone, Debug)]
pub struct Identity<'r> {
    api_version: Cow<'r, str>,
    kind: Cow<'r, str>,
    namespace: Cow<'r, str>,
    name: Cow<'r, str>,
}

impl Identity<'_> {
    fn parts(&self) -> (&str, &str, &str, &str, &str) {
        let (group, version) = split_api_version(&self.api_version);
        (group, version, &self.kind, &self.namespace, &self.name)
    }
}

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Identity<'_> {}

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// A name an object had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The name.
    pub name: String,
    /// The namespace it counted for.
    pub namespace: String,
    /// The kind.
    pub kind: String,
}

/// One step to a place inside a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// One object on its way through a build.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// The object.
    pub value: Value,
    /// The names it had, oldest first.
    pub previous: Vec<Previous>,
    /// The prefixes its name got, innermost first.
    pub prefixes: Vec<String>,
    /// The suffixes its name got, innermost first.
    pub suffixes: Vec<String>,
    /// True if its name ends in a hash of its content.
    pub needs_hash: bool,
    /// True if a generator made it.
    pub generated: bool,
    /// What its generator was told to do.
    pub behavior: Behavior,
    /// The variables that read from it.
    pub variables: Vec<String>,
    /// Where it came from, if the build keeps that.
    pub origin: Option<Provenance>,
    /// What changed it, if the build keeps that.
    pub transformations: Vec<Provenance>,
    /// Keys that were written with nothing after them (`emptyDir:`): a merge drops them,
    /// while it keeps a written `null`.
    pub blanks: Vec<Vec<Step>>,
    /// Places that hold one and the same text; see [`super::shared`].
    pub shared: Vec<Shared>,
    /// A schema given by the `openapi` field.
    pub table: Option<Arc<Table>>,
    /// Where it is written, if it is.
    pub at: Option<Origin>,
}

impl Resource {
    /// Wraps an object.
    pub fn new(value: Value) -> Self {
        Self { value, ..Self::default() }
    }

    /// Returns its type.
    pub fn gvk(&self) -> Gvk {
        Gvk::new(&self.value.api_version(), &self.value.kind())
    }

    /// Returns true if its kind certainly has no namespace.
    pub fn is_cluster_scoped(&self) -> bool {
        is_cluster_scoped(&self.value.api_version(), &self.value.kind(), self.table.as_deref())
    }

    /// Returns the namespace it counts for now.
    pub fn effective_namespace(&self) -> Cow<'_, str> {
        if self.is_cluster_scoped() {
            return Cow::Borrowed(super::gvk::NO_NAMESPACE);
        }
        counted(self.value.namespace())
    }

    /// Returns the name it had first.
    pub fn original_name(&self) -> Cow<'_, str> {
        self.previous.first().map_or_else(|| self.value.name(), |p| Cow::Borrowed(p.name.as_str()))
    }

    /// Returns the namespace it counted for first.
    pub fn original_namespace(&self) -> Cow<'_, str> {
        match self.previous.first() {
            Some(p) => Cow::Borrowed(effective_namespace(&p.namespace, false)),
            None => self.effective_namespace(),
        }
    }

    /// Returns the type it had first.
    pub fn original_gvk(&self) -> Gvk {
        let mut gvk = self.gvk();
        if let Some(p) = self.previous.first() {
            gvk.kind.clone_from(&p.kind);
        }
        gvk
    }

    /// Returns the id it has now.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            gvk: self.gvk(),
            namespace: self.effective_namespace().into_owned(),
            name: self.value.name().into_owned(),
        }
    }

    /// Returns the id it has now, without copies.
    pub fn identity(&self) -> Identity<'_> {
        let (api_version, kind) = (self.value.api_version(), self.value.kind());
        let metadata = self.value.get("metadata");
        let namespace = if is_cluster_scoped(&api_version, &kind, self.table.as_deref()) {
            Cow::Borrowed(super::gvk::NO_NAMESPACE)
        } else {
            counted(text_in(metadata, "namespace"))
        };
        Identity { namespace, name: text_in(metadata, "name"), api_version, kind }
    }

    /// Returns the ids it had before.
    pub fn previous_ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let api_version = self.value.api_version().into_owned();
        self.previous.iter().map(move |p| {
            let (group, version) = split_api_version(&api_version);
            ObjectId {
                gvk: Gvk { group: group.into(), version: version.into(), kind: p.kind.clone() },
                namespace: effective_namespace(&p.namespace, false).to_owned(),
                name: p.name.clone(),
            }
        })
    }

    /// Returns true if it has or had this id.
    pub fn has_any_id(&self, id: &ObjectId) -> bool {
        self.previous_ids().any(|p| p == *id) || self.id() == *id
    }

    /// Remembers the id it has, before a change of it.
    pub fn remember_id(&mut self) {
        let previous = Previous {
            name: self.value.name().into_owned(),
            namespace: self.effective_namespace().into_owned(),
            kind: self.value.kind().into_owned(),
        };
        self.previous.push(previous);
    }

    /// Sets `metadata.name`.
    pub fn set_name(&mut self, name: impl Into<String>) {
        if let Some(metadata) = metadata_mut(&mut self.value) {
            metadata.insert("name".into(), Value::String(name.into()));
        }
    }

    /// Sets `metadata.namespace`; an empty one takes the field away.
    pub fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = metadata_mut(&mut self.value) {
            if namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                metadata.insert("namespace".into(), Value::String(namespace.to_owned()));
            }
        }
    }
}

/// Returns the namespace that counts for an object of a kind that has one.
fn counted(namespace: Cow<'_, str>) -> Cow<'_, str> {
    match namespace {
        Cow::Borrowed(ns) => Cow::Borrowed(effective_namespace(ns, false)),
        Cow::Owned(ns) => Cow::Owned(effective_namespace(&ns, false).to_owned()),
    }
}

/// Returns true if a kind certainly has no namespace.
pub fn is_cluster_scoped(api_version: &str, kind: &str, table: Option<&Table>) -> bool {
    let known = builtin().namespaced(api_version, kind);
    let namespaced = known.or_else(|| table.and_then(|t| t.namespaced(api_version, kind)));
    namespaced == Some(false)
}

/// Returns the metadata of an object, created if it is missing.
pub fn metadata_mut(value: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = value.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut()
}

/// Returns labels or annotations as texts.
pub fn metadata_map(value: &Value, map: &str) -> Map<String, Value> {
    let entries = value.get("metadata").and_then(|m| m.get(map)).and_then(Value::as_object);
    let texts = entries.into_iter().flatten();
    texts.map(|(k, v)| (k.clone(), Value::String(super::text::scalar_text(v).into_owned()))).collect()
}

/// Sets labels or annotations; none takes the field away.
pub fn set_metadata_map(value: &mut Value, map: &str, entries: Map<String, Value>) {
    if let Some(metadata) = metadata_mut(value) {
        if entries.is_empty() {
            metadata.remove(map);
        } else {
            metadata.insert(map.to_owned(), Value::Object(entries));
        }
    }
}
