//! Puts one value into fields of many objects (`ValueAddTransformer`).

use super::Failure;
use super::metadata::{NamespaceChange, Subjects};
use crate::kustomize::resources::Resources;
use crate::kustomize::selector::Selector;
use crate::kustomize::text::{is_scalar, scalar_text};
use serde_json::{Map, Value};

/// One target of the transformer.
#[derive(Clone, Debug)]
pub struct AddTarget {
    /// Which objects; none means all.
    pub selector: Option<Selector>,
    /// The field, `/`-separated.
    pub field: String,
    /// Where in a file path the value goes, from 1; 0 replaces the text.
    pub position: usize,
}

/// The transformer.
#[derive(Clone, Debug)]
pub struct ValueAdd {
    /// The value.
    pub value: String,
    /// Where it goes.
    pub targets: Vec<AddTarget>,
}

impl ValueAdd {
    /// Changes all objects.
    pub fn apply(&self, resources: &mut Resources) -> Result<(), Failure> {
        for target in &self.targets {
            let places = match &target.selector {
                Some(selector) => resources.select(selector),
                None => (0..resources.list().len()).collect(),
            };
            if target.field == "metadata/namespace" {
                self.namespace(resources, &places)?;
                continue;
            }
            let steps = crate::kustomize::text::split_path(&target.field, '/');
            for place in places {
                let Some(resource) = resources.list_mut().get_mut(place) else { continue };
                let set = |field: &mut Value| {
                    if !is_scalar(field) {
                        return Err(format!("the field `{}` is no single value", target.field));
                    }
                    let text = if target.position == 0 {
                        self.value.clone()
                    } else {
                        insert(&scalar_text(field), target.position - 1, &self.value)
                    };
                    *field = Value::String(text);
                    Ok(())
                };
                reach(&mut resource.value, &steps, &set).map_err(|why| Failure::at(resource, why))?;
            }
        }
        Ok(())
    }

    fn namespace(&self, resources: &mut Resources, places: &[usize]) -> Result<(), Failure> {
        let change = NamespaceChange {
            namespace: self.value.clone(),
            specs: Vec::new(),
            unset_only: false,
            subjects: Subjects::Default,
        };
        for place in places {
            if let Some(resource) = resources.list_mut().get_mut(*place) {
                change.one(resource).map_err(|why| Failure::at(resource, why))?;
            }
        }
        Ok(())
    }
}

/// Goes to a field, making maps on the way, and changes it.
fn reach(
    value: &mut Value,
    steps: &[String],
    set: &dyn Fn(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else { return set(value) };
    if let (Value::Array(items), Ok(place)) = (&mut *value, step.parse::<usize>()) {
        return match items.get_mut(place) {
            Some(item) => reach(item, rest, set),
            None => Ok(()),
        };
    }
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { return Err(format!("there is no map to hold `{step}`")) };
    let fresh = if rest.is_empty() { Value::String(String::new()) } else { Value::Object(Map::new()) };
    reach(map.entry(step.clone()).or_insert(fresh), rest, set)
}

/// Puts a part into a file path; an absolute path stays absolute.
fn insert(path: &str, position: usize, part: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}
