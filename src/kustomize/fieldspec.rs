//! A place in objects of some type, and the walk to it.

use super::gvk::{Gvk, Identified as _, split_api_version};
use super::resource::Step;
use super::text::split_path;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// Names a field of the objects of a type.
#[derive(Clone, Debug)]
pub struct FieldSpec {
    /// Which objects; empty parts match all.
    pub gvk: Gvk,
    /// The path as written, `/`-separated.
    pub path: String,
    /// True if the field is made where it is missing.
    pub create: bool,
    /// The parts of the path, taken apart when somebody walks it: there are hundreds of specs,
    /// and a build walks few of them, but those often.
    parts: OnceLock<Vec<Part>>,
}

impl PartialEq for FieldSpec {
    fn eq(&self, other: &Self) -> bool {
        (&self.gvk, &self.path, self.create) == (&other.gvk, &other.path, other.create)
    }
}

impl Eq for FieldSpec {}

/// One part of a path.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    /// Written with `[]`: a list, which is never made.
    list: bool,
}

impl Part {
    fn new(text: &str) -> Self {
        match text.strip_suffix("[]") {
            Some(name) => Part { name: name.to_owned(), list: true },
            None => Part { name: text.to_owned(), list: false },
        }
    }
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
    pub fn new(gvk: Gvk, path: impl Into<String>, create: bool) -> Self {
        Self { gvk, path: path.into(), create, parts: OnceLock::new() }
    }

    fn parts(&self) -> &[Part] {
        self.parts.get_or_init(|| split_path(&self.path, '/').iter().map(|part| Part::new(part)).collect())
    }

    /// Returns the specs of a list that name fields of this object's type.
    pub fn choose<'s>(specs: &'s [FieldSpec], object: &Value) -> Vec<&'s FieldSpec> {
        let (api_version, kind) = (object.api_version(), object.kind());
        let (group, version) = split_api_version(&api_version);
        let fits = |wanted: &str, there: &str| wanted.is_empty() || wanted == there;
        let chosen = |s: &&FieldSpec| {
            fits(&s.gvk.kind, &kind) && fits(&s.gvk.group, group) && fits(&s.gvk.version, version)
        };
        specs.iter().filter(chosen).collect()
    }

    /// Returns true if it names fields of this object's type.
    fn applies_to(&self, object: &Value) -> bool {
        !Self::choose(std::slice::from_ref(self), object).is_empty()
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
        self.walk(object, self.parts(), make, set).map_err(|why| format!("field `{}`: {why}", self.path))
    }

    /// Returns the places of the field in an object of any type, in the order
    /// [`FieldSpec::change_any`] comes to them.
    pub fn places(&self, object: &Value) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        find(object, self.parts(), &mut Vec::new(), &mut found);
        found
    }

    fn walk(
        &self,
        value: &mut Value,
        way: &[Part],
        make: Make,
        set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let Some((part, rest)) = way.split_first() else { return set(value) };
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.walk(item, way, make, set)),
            Value::Object(map) => {
                let create = self.create && make != Make::Nothing && !part.list;
                let Some(field) = enter(map, part, create, rest.is_empty(), make)? else { return Ok(()) };
                self.walk(field, rest, make, set)
            }
            _ => Err(format!("expected a list or a map above `{}`", part.name)),
        }
    }
}

/// Collects the places that a way leads to.
fn find(value: &Value, way: &[Part], path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    let Some((part, rest)) = way.split_first() else {
        found.push(path.clone());
        return;
    };
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push(Step::Index(i));
                find(item, way, path, found);
                path.pop();
            }
        }
        Value::Object(map) => {
            if let Some(field) = map.get(&part.name) {
                path.push(Step::Key(part.name.clone()));
                find(field, rest, path, found);
                path.pop();
            }
        }
        _ => {}
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
    if !create {
        return Ok(map.get_mut(&part.name));
    }
    let fresh =
        || if last && make == Make::Text { Value::String(String::new()) } else { Value::Object(Map::new()) };
    if !map.contains_key(&part.name) {
        map.insert(part.name.clone(), fresh());
    }
    let field = map.get_mut(&part.name);
    Ok(field.map(|f| {
        if f.is_null() {
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
