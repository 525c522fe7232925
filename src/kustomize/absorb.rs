//! How a generated object joins the others: created, merged, or put in the place of one.

use super::gvk::Identified as _;
use super::resource::{Behavior, Resource, metadata_map, set_metadata_map};
use super::resources::Resources;
use super::text::scalar_text;
use super::transform::Failure;
use crate::suggest::did_you_mean;
use serde_json::{Map, Value};

/// Adds a generated object.
///
/// # Errors
/// The object exists where it must not, or does not where it must.
pub fn absorb(resources: &mut Resources, mut new: Resource) -> Result<(), Failure> {
    let id = new.id();
    let places = resources.with_any_id(&id);
    let place = match (places[..].first(), new.behavior) {
        (None, Behavior::Create) => {
            return resources
                .append(new)
                .map_err(|taken| Failure::plain(format!("{} is there already", taken.0)));
        }
        (None, _) => {
            let kind = new.value.kind().into_owned();
            let list = resources.list().iter().filter(|r| r.value.kind() == kind);
            let names: Vec<String> = list.map(|r| r.original_name().into_owned()).collect();
            let failure =
                Failure::nothing(format!("{id} does not exist, so there is nothing to merge or replace"));
            return Err(match did_you_mean(&id.name, names.iter().map(String::as_str)) {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        }
        (Some(_), Behavior::Create) => {
            return Err(Failure::plain(format!("{id} exists already"))
                .hint("set `behavior: merge` or `behavior: replace`"));
        }
        (Some(place), _) if places.len() == 1 => *place,
        _ => return Err(Failure::plain(format!("several objects have or had the id {id}"))),
    };
    let Some(old) = resources.list_mut().get_mut(place) else { return Ok(()) };
    let merge = new.behavior == Behavior::Merge;
    take_over(&mut new, old);
    if merge {
        for map in ["data", "binaryData"] {
            merge_texts(&mut new.value, &old.value, map);
        }
        if old.origin.is_some() {
            new.origin.clone_from(&old.origin);
        }
    }
    *old = new;
    Ok(())
}

/// Gives the new object the metadata and the history of the old one.
fn take_over(new: &mut Resource, old: &Resource) {
    for map in ["labels", "annotations"] {
        let mut both = metadata_map(&old.value, map);
        both.extend(metadata_map(&new.value, map));
        set_metadata_map(&mut new.value, map, both);
    }
    new.set_name(old.value.name());
    new.set_namespace(&old.value.namespace());
    new.needs_hash &= old.needs_hash;
    new.behavior = old.behavior;
    new.previous.clone_from(&old.previous);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.variables.clone_from(&old.variables);
    new.transformations.clone_from(&old.transformations);
    if new.origin.is_none() {
        new.origin.clone_from(&old.origin);
    }
}

fn merge_texts(new: &mut Value, old: &Value, field: &str) {
    let texts = |value: &Value| -> Map<String, Value> {
        let map = value.get(field).and_then(Value::as_object);
        let text =
            |v: &Value| Value::String(if v.is_null() { String::new() } else { scalar_text(v).into_owned() });
        map.into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect()
    };
    let mut both = texts(old);
    both.extend(texts(new));
    if let Value::Object(map) = new {
        if both.is_empty() {
            map.remove(field);
        } else {
            map.insert(field.to_owned(), Value::Object(both));
        }
    }
}
