//! Variables: `$(NAME)` in texts, replaced by a field of some object (deprecated `vars`).

use super::Failure;
use super::replacements::FieldPath;
use crate::error::Origin;
use crate::kustomize::fieldspec::{FieldSpec, Make};
use crate::kustomize::gvk::{Gvk, Identified as _, ObjectId};
use crate::kustomize::resource::is_cluster_scoped;
use crate::kustomize::resources::Resources;
use crate::kustomize::text::scalar_text;
use serde_json::Value;
use std::collections::BTreeMap;

/// One entry of `vars`.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The type of the object.
    pub gvk: Gvk,
    /// The object's name.
    pub object: String,
    /// The object's namespace; empty finds it in any.
    pub namespace: String,
    /// The field.
    pub field: FieldPath,
    /// Where it is written.
    pub at: Origin,
}

/// The variables of a build so far, by name.
pub type Variables = BTreeMap<String, Variable>;

/// Adds variables, and marks the objects they read from.
pub fn add(variables: &mut Variables, more: &[Variable], resources: &mut Resources) -> Result<(), Failure> {
    for variable in more {
        let places = matching(variable, resources);
        if places.len() > 1 {
            let mut failure = Failure::plain(format!(
                "the variable `{}` reads from `{}`, and {} objects have or had that name",
                variable.name,
                variable.object,
                places.len()
            ));
            failure.at = Some(variable.at.clone());
            return Err(failure.hint("set `objref.namespace`"));
        }
        if let Some(resource) = places.first().and_then(|p| resources.get_mut(*p)) {
            resource.variables.push(variable.name.clone());
        }
        insert(variables, variable)?;
    }
    Ok(())
}

/// Adds the variables of a base.
pub fn merge(variables: &mut Variables, more: Variables) -> Result<(), Failure> {
    more.values().try_for_each(|variable| insert(variables, variable))
}

fn insert(variables: &mut Variables, variable: &Variable) -> Result<(), Failure> {
    if let Some(first) = variables.get(&variable.name) {
        let mut failure =
            Failure::plain(format!("the variable `{}` exists already, from {}", variable.name, first.at));
        failure.at = Some(variable.at.clone());
        return Err(failure);
    }
    variables.insert(variable.name.clone(), variable.clone());
    Ok(())
}

fn matching(variable: &Variable, resources: &mut Resources) -> Vec<usize> {
    let cluster_scoped = is_cluster_scoped(&variable.gvk.api_version(), &variable.gvk.kind, None);
    let namespace = crate::kustomize::gvk::effective_namespace(&variable.namespace, cluster_scoped);
    let exact = !variable.namespace.is_empty() || cluster_scoped;
    let id = ObjectId {
        gvk: variable.gvk.clone(),
        namespace: namespace.to_owned(),
        name: variable.object.clone(),
    };
    if exact {
        return resources.with_any_id(&id);
    }
    let named = resources.named(&variable.object).to_vec();
    let list = resources.list();
    let like = |other: &ObjectId| other.gvk == id.gvk && other.name == id.name;
    named.into_iter().filter(|i| list[*i].previous_ids().any(|p| like(&p)) || like(&list[*i].id())).collect()
}

/// Puts the values of the variables into the objects; returns the names never used.
pub fn resolve(
    variables: &Variables,
    resources: &mut Resources,
    specs: &[FieldSpec],
) -> Result<Vec<String>, Failure> {
    if variables.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: BTreeMap<&str, (Value, bool)> = BTreeMap::new();
    for variable in variables.values() {
        values.insert(&variable.name, (value_of(variable, resources)?, false));
    }
    for resource in resources.list_mut() {
        for spec in specs {
            let mut set = |field: &mut Value| replace(field, &mut values);
            spec.change(&mut resource.value, Make::Nothing, &mut set)
                .map_err(|why| Failure::at(resource, why))?;
        }
    }
    Ok(values.into_iter().filter(|(_, (_, used))| !used).map(|(name, _)| name.to_owned()).collect())
}

fn value_of(variable: &Variable, resources: &Resources) -> Result<Value, Failure> {
    let wrong = |message: String| {
        let mut failure = Failure::plain(message);
        failure.at = Some(variable.at.clone());
        failure
    };
    let source = resources.list().iter().find(|r| r.variables.contains(&variable.name)).ok_or_else(|| {
        let mut failure = wrong(format!(
            "the variable `{}` reads from {} `{}`, which does not exist",
            variable.name, variable.gvk, variable.object
        ));
        let names: Vec<String> = resources
            .list()
            .iter()
            .filter(|r| r.value.kind() == variable.gvk.kind)
            .map(|r| r.original_name().into_owned())
            .collect();
        failure.hint = crate::suggest::did_you_mean(&variable.object, names.iter().map(String::as_str));
        failure
    })?;
    match variable.field.get(&source.value) {
        Ok(Some(value)) => Ok(value.clone()),
        _ => Err(wrong(format!(
            "the variable `{}` reads the field `{}`, which {} does not have",
            variable.name,
            variable.field.text(),
            source.id()
        ))),
    }
}

type Values<'v> = BTreeMap<&'v str, (Value, bool)>;

fn replace(field: &mut Value, values: &mut Values<'_>) -> Result<(), String> {
    match field {
        Value::String(_) => put_in(field, values),
        Value::Object(map) => map.values_mut().for_each(|value| {
            if value.is_string() {
                put_in(value, values);
            }
        }),
        Value::Array(items) => {
            for item in items {
                if !item.is_string() {
                    return Err("a list that may hold variables has an item that is no text".to_owned());
                }
                put_in(item, values);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Replaces the variables in one text. A text that is one variable takes the type of its
/// value; `$$` stands for one `$`.
fn put_in(value: &mut Value, values: &mut Values<'_>) {
    let Value::String(text) = &*value else { return };
    if !text.contains('$') {
        return;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let mut chars = after.chars();
        match chars.next() {
            None => {
                out.push('$');
                rest = "";
            }
            Some('$') => {
                out.push('$');
                rest = chars.as_str();
            }
            Some('(') => match after.find(')') {
                Some(end) => {
                    let name = &after[1..end];
                    let whole = at == 0 && out.is_empty() && end + 2 == text.len();
                    match values.get_mut(name) {
                        Some((found, used)) if !matches!(found, Value::Array(_) | Value::Object(_)) => {
                            *used = true;
                            if whole {
                                *value = found.clone();
                                return;
                            }
                            out.push_str(&scalar_text(found));
                        }
                        _ => out.push_str(&format!("$({name})")),
                    }
                    rest = &after[end + 1..];
                }
                None => {
                    out.push_str("$(");
                    rest = chars.as_str();
                }
            },
            Some(c) => {
                out.push('$');
                out.push(c);
                rest = chars.as_str();
            }
        }
    }
    out.push_str(rest);
    *value = Value::String(out);
}
