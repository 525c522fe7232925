//! Labels, annotations, namespaces, prefixes and suffixes.

use crate::kustomize::fieldspec::{FieldSpec, Make};
use crate::kustomize::gvk::{Gvk, Identified as _};
use crate::kustomize::resource::{Resource, Step};
use crate::kustomize::resources::Resources;
use crate::kustomize::shared::Shared;
use crate::kustomize::threads::Threads;
use serde_json::Value;
use std::collections::BTreeMap;

use super::Failure;

/// Sets labels or annotations at the places of the specs.
pub fn set_texts(
    resources: &mut Resources,
    pairs: &BTreeMap<String, String>,
    specs: &[FieldSpec],
) -> Result<(), Failure> {
    if pairs.is_empty() {
        return Ok(());
    }
    for resource in resources.keep_ids_mut() {
        set_in(resource, pairs, specs).map_err(|why| Failure::at(resource, why))?;
    }
    Ok(())
}

fn set_in(
    resource: &mut Resource,
    pairs: &BTreeMap<String, String>,
    specs: &[FieldSpec],
) -> Result<(), String> {
    // For each key, the places where it was new: kustomize puts one node into all of them.
    let mut added: BTreeMap<&str, Vec<Vec<Step>>> = BTreeMap::new();
    let chosen = FieldSpec::choose(specs, &resource.value);
    let alone = chosen.len() == 1;
    for spec in chosen {
        let mut new_keys: Vec<Vec<&str>> = Vec::new();
        let mut set = |field: &mut Value| {
            new_keys.push(set_pairs(field, pairs)?);
            Ok(())
        };
        spec.change_any(&mut resource.value, Make::Map, &mut set)?;
        // One place has nothing to share.
        if alone && new_keys.len() == 1 || new_keys.iter().all(Vec::is_empty) {
            continue;
        }
        for (place, keys) in spec.places(&resource.value).into_iter().zip(new_keys) {
            for key in keys {
                let mut place = place.clone();
                place.push(Step::Key(key.to_owned()));
                added.entry(key).or_default().push(place);
            }
        }
    }
    resource.sync_shared();
    for (key, places) in added.into_iter().filter(|(_, places)| places.len() > 1) {
        resource.shared.push(Shared { places, value: Value::String(pairs[key].clone()) });
    }
    Ok(())
}

/// Sets the pairs in a map; returns the keys that are new in it.
fn set_pairs<'p>(field: &mut Value, pairs: &'p BTreeMap<String, String>) -> Result<Vec<&'p str>, String> {
    match field {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => {
            let set = |(key, text): (&'p String, &String)| {
                let old = map.insert(key.clone(), Value::String(text.clone()));
                old.is_none_or(|v| v.is_null()).then_some(key.as_str())
            };
            Ok(pairs.iter().filter_map(set).collect())
        }
        _ => Err("expected a map to set labels or annotations in".to_owned()),
    }
}

/// Which subjects of role bindings follow a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subjects {
    /// Those named `default`.
    #[default]
    Default,
    /// All service accounts.
    ServiceAccounts,
    /// None.
    None,
}

/// Puts all objects that have a namespace into one.
#[derive(Clone, Debug)]
pub struct NamespaceChange {
    /// The namespace.
    pub namespace: String,
    /// Other places that hold it.
    pub specs: Vec<FieldSpec>,
    /// True if a namespace that is set stays.
    pub unset_only: bool,
    /// Which subjects follow.
    pub subjects: Subjects,
}

impl NamespaceChange {
    /// Changes all objects.
    pub fn apply(&self, resources: &mut Resources) -> Result<(), Failure> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        for resource in resources.list_mut() {
            resource.remember_id();
            self.one(resource).map_err(|why| Failure::at(resource, why))?;
        }
        match resources.duplicate(Threads::One) {
            Some(id) => {
                Err(Failure::plain(format!("the namespace `{}` makes two objects one: {id}", self.namespace)))
            }
            None => Ok(()),
        }
    }

    /// Changes one object.
    pub(super) fn one(&self, resource: &mut Resource) -> Result<(), String> {
        let object = &mut resource.value;
        let cluster_scoped = crate::kustomize::resource::is_cluster_scoped(
            &object.api_version(),
            &object.kind(),
            resource.table.as_deref(),
        );
        let set = &mut |field: &mut Value| self.set(field);
        if !cluster_scoped {
            FieldSpec::new(Gvk::default(), "metadata/namespace", true).change(object, Make::Text, set)?;
        }
        let core = object.api_version() == "v1";
        let binding = matches!(object.kind().as_ref(), "RoleBinding" | "ClusterRoleBinding");
        if binding {
            self.subjects(object)?;
        }
        for spec in &self.specs {
            let own = spec.path == "metadata/namespace"
                || spec.path == "metadata/name" && !core
                || binding
                    && spec.path == "subjects/namespace"
                    && matches!(spec.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
            if !own {
                spec.change(object, Make::Text, set)?;
            }
        }
        Ok(())
    }

    fn set(&self, field: &mut Value) -> Result<(), String> {
        match field {
            Value::Array(_) | Value::Object(_) => Err("a namespace goes into a single value".to_owned()),
            Value::String(there) if self.unset_only && !there.is_empty() => Ok(()),
            field => {
                *field = Value::String(self.namespace.clone());
                Ok(())
            }
        }
    }

    fn subjects(&self, object: &mut Value) -> Result<(), String> {
        let (key, wanted) = match self.subjects {
            Subjects::None => return Ok(()),
            Subjects::Default => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
        };
        let subjects = match object.get_mut("subjects") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(subjects)) => subjects,
            Some(_) => return Err("`subjects` is not a list".to_owned()),
        };
        for subject in subjects.iter_mut().filter_map(Value::as_object_mut) {
            if subject.get(key).and_then(Value::as_str) == Some(wanted) {
                let field = subject.entry("namespace").or_insert(Value::String(String::new()));
                self.set(field)?;
            }
        }
        Ok(())
    }
}

/// Which end of a name grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The front.
    Prefix,
    /// The back.
    Suffix,
}

/// Adds a text to names.
pub fn extend_names(
    resources: &mut Resources,
    text: &str,
    end: End,
    specs: &[FieldSpec],
) -> Result<(), Failure> {
    for resource in resources.list_mut() {
        let original = resource.original_gvk();
        if keeps_its_name(&original) {
            continue;
        }
        for spec in specs.iter().filter(|s| original.is_selected_by(&s.gvk)) {
            if spec.path == "metadata/name" && !text.is_empty() {
                let texts = if end == End::Prefix { &mut resource.prefixes } else { &mut resource.suffixes };
                texts.push(text.to_owned());
                resource.remember_id();
            }
            let mut set = |field: &mut Value| {
                if matches!(field, Value::Array(_) | Value::Object(_)) {
                    return Err("a name is a single value".to_owned());
                }
                let name = crate::kustomize::text::scalar_text(field).into_owned();
                *field = Value::String(match end {
                    End::Prefix => format!("{text}{name}"),
                    End::Suffix => format!("{name}{text}"),
                });
                Ok(())
            };
            spec.change(&mut resource.value, Make::Text, &mut set)
                .map_err(|why| Failure::at(resource, why))?;
        }
    }
    Ok(())
}

/// Kinds whose names other things depend on.
fn keeps_its_name(gvk: &Gvk) -> bool {
    match gvk.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => gvk.group == "apiregistration.k8s.io",
        _ => false,
    }
}
