//! A place in objects of some type, and the walk to it.

use super::gvk::{Gvk, Identified as _, split_api_version};
use super::resource::Step;
use super::text::split_path;
use serde_json::{Map, Value};

/// Names a field of the objects of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// Which objects; empty parts match all.
    pub gvk: Gvk,
    /// The path as written, `/`-separated.
    pub path: String,
    /// True if the field is made where it is missing.
    pub create: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    /// Written with `[]`: a list, which is never made.
    list: bool,
}

/// What is made where a field is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Nothing, whatever the spec says.
    Nothing,
    /// An empty text.
    Text,
    /// An empty map.
    Map,
}

impl FieldSpec {
    /// Returns the spec of a path.
    pub fn new(gvk: Gvk, path: &str, create: bool) -> Self {
        let parts = split_path(path, '/')
            .into_iter()
            .map(|p| match p.strip_suffix("[]") {
                Some(name) => Part { name: name.to_owned(), list: true },
                None => Part { name: p, list: false },
            })
            .collect();
        Self { gvk, path: path.to_owned(), create, parts }
    }

    /// Returns true if it names fields of this object's type.
    pub fn applies_to(&self, object: &Value) -> bool {
        if !self.gvk.kind.is_empty() && self.gvk.kind != object.kind() {
            return false;
        }
        if self.gvk.group.is_empty() && self.gvk.version.is_empty() {
            return true;
        }
        let api_version = object.api_version();
        let (group, version) = split_api_version(&api_version);
        (self.gvk.group.is_empty() || self.gvk.group == group)
            && (self.gvk.version.is_empty() || self.gvk.version == version)
    }

    /// Changes the field in an object of its type, wherever lists lead to it.
    ///
    /// # Errors
    /// The path leads through a single value, or the change fails.
    pub fn change(
        &self,
        object: &mut Value,
        make: Make,
        set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.applies_to(object) { self.change_any(object, make, set) } else { Ok(()) }
    }

    /// Changes the field in an object of any type.
    ///
    /// # Errors
    /// As [`FieldSpec::change`].
    pub fn change_any(
        &self,
        object: &mut Value,
        make: Make,
        set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
    ) -> Result<(), String> {
        self.walk(object, 0, make, set).map_err(|why| format!("field `{}`: {why}", self.path))
    }

    /// Returns the places of the field in an object, in the order [`FieldSpec::change`]
    /// comes to them.
    pub fn places(&self, object: &Value) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        if self.applies_to(object) {
            self.find(object, 0, &mut Vec::new(), &mut found);
        }
        found
    }

    fn find(&self, value: &Value, at: usize, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        let Some(part) = self.parts.get(at) else {
            found.push(path.clone());
            return;
        };
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    path.push(Step::Index(i));
                    self.find(item, at, path, found);
                    path.pop();
                }
            }
            Value::Object(map) => {
                if let Some(field) = map.get(&part.name) {
                    path.push(Step::Key(part.name.clone()));
                    self.find(field, at + 1, path, found);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    fn walk(
        &self,
        value: &mut Value,
        at: usize,
        make: Make,
        set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let Some(part) = self.parts.get(at) else { return set(value) };
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.walk(item, at, make, set)),
            Value::Object(map) => {
                let create = self.create && make != Make::Nothing && !part.list;
                let last = at + 1 == self.parts.len();
                let Some(field) = enter(map, part, create, last, make)? else { return Ok(()) };
                self.walk(field, at + 1, make, set)
            }
            _ => Err(format!("expected a list or a map above `{}`", part.name)),
        }
    }
}

/// Returns the field of a map, made if that is wanted.
fn enter<'m>(
    map: &'m mut Map<String, Value>,
    part: &Part,
    create: bool,
    last: bool,
    make: Make,
) -> Result<Option<&'m mut Value>, String> {
    if part.name.is_empty() {
        return Err("a part of the path is empty".to_owned());
    }
    let fresh =
        || if last && make == Make::Text { Value::String(String::new()) } else { Value::Object(Map::new()) };
    if !map.contains_key(&part.name) {
        if !create {
            return Ok(None);
        }
        map.insert(part.name.clone(), fresh());
    }
    let field = map.get_mut(&part.name);
    Ok(field.map(|f| {
        if f.is_null() && create {
            *f = fresh();
        }
        f
    }))
}

/// Merges specs: one that is there already is left out.
///
/// # Errors
/// Two specs name one field and disagree about making it.
pub fn merge_specs(into: &mut Vec<FieldSpec>, more: &[FieldSpec]) -> Result<(), String> {
    more.iter().try_for_each(|spec| merge_spec(into, spec))
}

/// Merges one spec.
///
/// # Errors
/// As [`merge_specs`].
pub fn merge_spec(into: &mut Vec<FieldSpec>, spec: &FieldSpec) -> Result<(), String> {
    match into.iter().find(|s| s.path == spec.path && s.gvk.is_selected_by(&spec.gvk)) {
        Some(there) if there.create != spec.create => Err(format!(
            "two field specs for `{}` disagree: one has `create: true`, the other has not",
            spec.path
        )),
        Some(_) => Ok(()),
        None => {
            into.push(spec.clone());
            Ok(())
        }
    }
}
