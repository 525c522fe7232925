//! Copies values from a field of one object to fields of others.

mod path;

use super::Failure;
use crate::error::Origin;
use crate::kustomize::gvk::{Gvk, Identified as _, effective_namespace};
use crate::kustomize::labels::LabelSelector;
use crate::kustomize::resource::{Resource, metadata_map};
use crate::kustomize::resources::Resources;
use crate::kustomize::text::{is_null_or_empty, is_scalar, scalar_text, type_name};
use crate::suggest::did_you_mean;
use crate::yaml::{Data, Mark, Node, Scalar, Schema};
use serde_json::Value;

pub use path::FieldPath;

/// Names objects exactly; empty parts match all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The type.
    pub gvk: Gvk,
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
}

impl Ids {
    fn is_empty(&self) -> bool {
        self.gvk.is_empty() && self.name.is_empty() && self.namespace.is_empty()
    }

    /// Returns true if an object has or had an id like this.
    fn select(&self, resource: &Resource) -> bool {
        let (api_version, namespace) = (resource.value.api_version(), resource.value.namespace());
        let one = |kind: &str, name: &str, namespace: &str| {
            let (group, version) = crate::kustomize::gvk::split_api_version(&api_version);
            let fits = |wanted: &str, there: &str| wanted.is_empty() || wanted == there;
            fits(&self.name, name)
                && fits(&self.gvk.kind, kind)
                && fits(&self.gvk.group, group)
                && fits(&self.gvk.version, version)
                && (self.namespace.is_empty()
                    || effective_namespace(&self.namespace, false) == effective_namespace(namespace, false))
        };
        one(&resource.value.kind(), &resource.value.name(), &namespace)
            || resource.previous.iter().any(|p| one(&p.kind, &p.name, &p.namespace))
    }
}

impl std::fmt::Display for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let api_version = self.gvk.api_version();
        let parts = [api_version.as_str(), &self.gvk.kind, &self.namespace, &self.name];
        let said: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        f.write_str(&if said.is_empty() { "any object".to_owned() } else { said.join(" ") })
    }
}

/// How a field is split and joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the text is split at.
    pub delimiter: String,
    /// Which part.
    pub index: i64,
    /// True if a missing field is made.
    pub create: bool,
}

/// Objects chosen as targets, or left out.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// By id.
    pub ids: Ids,
    /// By labels, if given.
    pub labels: Option<LabelSelector>,
    /// By annotations, if given.
    pub annotations: Option<LabelSelector>,
}

impl Choice {
    fn has(&self, resource: &Resource) -> bool {
        let holds = |selector: &Option<LabelSelector>, map: &str| {
            selector.as_ref().is_none_or(|s| {
                let texts = metadata_map(&resource.value, map);
                s.matches(|key| texts.get(key).and_then(Value::as_str).map(str::to_owned))
            })
        };
        holds(&self.labels, "labels") && holds(&self.annotations, "annotations")
    }
}

/// Fields of objects that get the value.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which objects.
    pub select: Choice,
    /// Which of them not.
    pub reject: Vec<Choice>,
    /// Which fields.
    pub fields: Vec<FieldPath>,
    /// How they are written.
    pub options: Options,
}

/// One replacement.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The object the value is read from.
    pub source: Ids,
    /// The field it is read from.
    pub field: FieldPath,
    /// How it is read.
    pub options: Options,
    /// Where it goes.
    pub targets: Vec<Target>,
    /// Where the replacement is written.
    pub at: Origin,
}

impl Replacement {
    /// Copies the value; returns how many objects got it.
    pub fn apply(&self, resources: &mut Resources) -> Result<usize, Failure> {
        let value = self.read(resources)?;
        let mut changed = 0;
        for target in &self.targets {
            for resource in resources.list_mut() {
                if target.chooses(resource) {
                    target.write(resource, &value)?;
                    resource.sync_shared();
                    changed += 1;
                }
            }
        }
        Ok(changed)
    }

    fn read(&self, resources: &Resources) -> Result<Value, Failure> {
        let mut matching = resources.list().iter().filter(|r| self.source.select(r));
        let Some(source) = matching.next() else { return Err(self.no_source(resources)) };
        if let Some(other) = matching.next() {
            return Err(Failure::plain(format!(
                "the source `{}` chooses several objects, as {} and {}",
                self.source,
                source.id(),
                other.id()
            ))
            .hint("name its kind, name and namespace"));
        }
        let found =
            self.field.get(&source.value).map_err(|why| Failure::at(source, why).field(self.field.text()))?;
        let value = found.filter(|v| !is_null_or_empty(v)).ok_or_else(|| {
            Failure::at(source, "the source of the replacement has no such field").field(self.field.text())
        })?;
        self.part(source, value)
    }

    fn no_source(&self, resources: &Resources) -> Failure {
        let failure = Failure::nothing(format!("the source `{}` chooses no object", self.source));
        let names: Vec<String> = resources.list().iter().map(|r| r.original_name().into_owned()).collect();
        match did_you_mean(&self.source.name, names.iter().map(String::as_str)) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// Returns the part of the value that the options ask for.
    fn part(&self, source: &Resource, value: &Value) -> Result<Value, Failure> {
        if self.options.delimiter.is_empty() {
            return Ok(value.clone());
        }
        let wrong = |why: String| Failure::at(source, why).field(self.field.text());
        if !is_scalar(value) {
            return Err(wrong(format!("`delimiter` splits text, and this is {}", type_name(value))));
        }
        let text = scalar_text(value);
        let parts: Vec<&str> = text.split(self.options.delimiter.as_str()).collect();
        let part = usize::try_from(self.options.index).ok().and_then(|i| parts.get(i));
        let Some(part) = part else {
            return Err(wrong(format!(
                "`options.index` is {}, and splitting at `{}` gives {} parts",
                self.options.index,
                self.options.delimiter,
                parts.len()
            )));
        };
        Ok(match value {
            Value::String(_) => Value::String((*part).to_owned()),
            _ => typed(part),
        })
    }
}

impl Target {
    fn chooses(&self, resource: &Resource) -> bool {
        let by_text = |c: &Choice| c.labels.is_some() || c.annotations.is_some();
        self.select.has(resource)
            && self.select.ids.select(resource)
            && !self.reject.iter().any(|r| by_text(r) && r.has(resource))
            && !self.reject.iter().any(|r| !r.ids.is_empty() && r.ids.select(resource))
    }

    fn write(&self, resource: &mut Resource, value: &Value) -> Result<(), Failure> {
        let id = resource.id();
        for field in &self.fields {
            let make = self.options.create.then_some(value);
            let mut set = |place: &mut Value, made: bool| self.set(place, value, made);
            let changed = field.change(&mut resource.value, make, &mut set).and_then(|n| {
                if n > 0 {
                    return Ok(());
                }
                let or_make = if self.options.create { " or made" } else { "" };
                Err(format!("this fieldPath cannot be found{or_make} in a target of the replacement"))
            });
            changed.map_err(|why| {
                let mut failure =
                    Failure::plain(format!("the fieldPath does not fit: {why}")).field(field.text());
                failure.object = Some(id.clone());
                if self.options.create { failure } else { failure.hint("`options: {create: true}` makes it") }
            })?;
        }
        Ok(())
    }

    fn set(&self, place: &mut Value, value: &Value, made: bool) -> Result<(), String> {
        let mut text = scalar_text(value).into_owned();
        if !self.options.delimiter.is_empty() {
            if !is_scalar(place) {
                return Err(format!("`delimiter` splits text, and this is {}", type_name(place)));
            }
            text = self.join(&scalar_text(place), text);
        }
        if made && is_scalar(value) {
            *place = typed(&text);
            return Ok(());
        }
        if !is_scalar(place) {
            *place = match value {
                Value::String(_) => Value::String(text),
                other => other.clone(),
            };
            return Ok(());
        }
        // A single value keeps its type and gets the text.
        let new = if place.is_string() { Value::String(text) } else { typed(&text) };
        if std::mem::discriminant(&new) != std::mem::discriminant(place) {
            let (old, text) = (type_name(place), scalar_text(&new));
            return Err(format!("the field holds {old}, which `{text}` is not"));
        }
        *place = new;
        Ok(())
    }

    /// Puts a text into the wanted part of another.
    fn join(&self, there: &str, text: String) -> String {
        let mut parts: Vec<String> =
            there.split(self.options.delimiter.as_str()).map(str::to_owned).collect();
        match usize::try_from(self.options.index) {
            Err(_) => parts.insert(0, text),
            Ok(i) if i >= parts.len() => parts.push(text),
            Ok(i) => parts[i] = text,
        }
        parts.join(&self.options.delimiter)
    }
}

/// Returns the value that an unquoted text stands for.
pub fn typed(text: &str) -> Value {
    let scalar = Scalar { text: text.to_owned(), plain: true, tag: None };
    let node = Node { at: Mark::default(), data: Data::Scalar(scalar) };
    let plain = !text.contains('\n') && !text.is_empty();
    let value = if plain { node.to_value(Schema::Kustomize).ok() } else { None };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}
