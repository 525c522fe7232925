//! From an OpenAPI document (Swagger 2) to the compact table.

use super::table::{Field, Kind, Table, Type, TypeRef};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Derives the table from the definitions of an OpenAPI document.
///
/// Only types below which some list merges are kept; the rest merge as plain maps. The
/// scope of a kind is read from `paths`, or from a `resources` list that gives it directly.
pub fn derive(document: &Value) -> Table {
    let empty = Map::new();
    let definitions = document.get("definitions").and_then(Value::as_object).unwrap_or(&empty);
    let mut shapes = Shapes::new();
    for (name, schema) in definitions {
        collect(name, schema, &mut shapes);
    }
    let kept = reach_a_merge(&shapes);
    let index: HashMap<&str, TypeRef> =
        kept.iter().enumerate().map(|(i, name)| (*name, TypeRef(i as u32))).collect();
    let types = kept.iter().map(|name| {
        let fields = shapes[*name].iter();
        let fields = fields.filter_map(|(f, shape)| Some((f.clone(), shape.field(&index)?)));
        Type::new((*name).to_owned(), fields.collect())
    });
    let mut kinds = Kinds::new();
    for (name, schema) in definitions {
        let of = index.get(name.as_str()).copied();
        for (api_version, kind) in kinds_of(schema) {
            kinds.insert((api_version, kind), Kind { of, namespaced: None });
        }
    }
    scopes(document, &mut kinds);
    let known = kinds.into_iter().filter(|(_, k)| k.of.is_some() || k.namespaced.is_some());
    Table::new(types.collect(), known.map(|((api_version, kind), k)| (api_version, kind, k)))
}

/// What is known of kinds, by `apiVersion` and kind.
type Kinds = BTreeMap<(String, String), Kind>;

/// Types by name, each with its fields; an object written in place gets the name of the
/// type and field it stands in (`Type/field`).
type Shapes = BTreeMap<String, Vec<(String, Shape)>>;

/// A field as the document shows it, its types still by name.
enum Shape {
    Object(String),
    MapOf(String),
    List { keys: Vec<String>, items: Option<String> },
}

impl Shape {
    /// Returns the type below, if there is one.
    fn below(&self) -> Option<&str> {
        match self {
            Shape::Object(t) | Shape::MapOf(t) => Some(t),
            Shape::List { items, .. } => items.as_deref(),
        }
    }

    fn field(&self, index: &HashMap<&str, TypeRef>) -> Option<Field> {
        let find = |t: &String| index.get(t.as_str()).copied();
        Some(match self {
            Shape::Object(t) => Field::Object(find(t)?),
            Shape::MapOf(t) => Field::MapOf(find(t)?),
            Shape::List { keys, items } => {
                Field::List { keys: keys.clone(), items: items.as_ref().and_then(find) }
            }
        })
    }
}

fn collect(name: &str, schema: &Value, shapes: &mut Shapes) {
    let mut all: Vec<(String, Shape)> = Vec::new();
    if let Some(of) = schema.get("additionalProperties").and_then(|s| target(name, "*", s, shapes)) {
        all.push(("*".to_owned(), Shape::Object(of)));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (field, property) in properties.into_iter().flatten() {
        all.extend(shape(name, field, property, shapes).map(|s| (field.clone(), s)));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    shapes.insert(name.to_owned(), all);
}

fn shape(of: &str, field: &str, property: &Value, shapes: &mut Shapes) -> Option<Shape> {
    let is_list = property.get("type").and_then(Value::as_str) == Some("array");
    if !is_list {
        if let Some(more) = property.get("additionalProperties")
            && property.get("properties").is_none()
        {
            return target(of, field, more, shapes).map(Shape::MapOf);
        }
        return target(of, field, property, shapes).map(Shape::Object);
    }
    let strategy = property.get("x-kubernetes-patch-strategy").and_then(Value::as_str)?;
    if !strategy.split(',').any(|s| s == "merge") {
        return None;
    }
    let listed = property.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let keys = match listed {
        Some(keys) => keys.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => property
            .get("x-kubernetes-patch-merge-key")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .into_iter()
            .collect(),
    };
    let items = property.get("items").and_then(|items| target(of, field, items, shapes));
    Some(Shape::List { keys, items })
}

/// Returns the name of the type that a schema refers to or is, if it can hold fields.
fn target(of: &str, field: &str, schema: &Value, shapes: &mut Shapes) -> Option<String> {
    if let Some(name) = reference(schema) {
        return Some(name.to_owned());
    }
    if schema.get("properties").is_none() && !schema.get("additionalProperties").is_some_and(Value::is_object)
    {
        return None;
    }
    let name = format!("{of}/{field}");
    collect(&name, schema, shapes);
    Some(name)
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)?.strip_prefix("#/definitions/")
}

/// Returns the types that have a merging list, or a way to one.
fn reach_a_merge(shapes: &Shapes) -> Vec<&str> {
    let mut kept: BTreeSet<&str> = shapes
        .iter()
        .filter(|(_, fields)| fields.iter().any(|(_, s)| matches!(s, Shape::List { .. })))
        .map(|(name, _)| name.as_str())
        .collect();
    loop {
        let before = kept.len();
        for (name, fields) in shapes {
            if fields.iter().any(|(_, s)| s.below().is_some_and(|t| kept.contains(t))) {
                kept.insert(name);
            }
        }
        if kept.len() == before {
            return kept.into_iter().collect();
        }
    }
}

fn kinds_of(schema: &Value) -> Vec<(String, String)> {
    let list = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(type_meta).collect()
}

fn type_meta(gvk: &Value) -> Option<(String, String)> {
    let text = |key: &str| gvk.get(key).and_then(Value::as_str);
    let version = text("version")?;
    let api_version = match text("group") {
        Some(group) if !group.is_empty() => format!("{group}/{version}"),
        _ => version.to_owned(),
    };
    Some((api_version, text("kind")?.to_owned()))
}

fn scopes(document: &Value, kinds: &mut Kinds) {
    let mut set = |api_version: &str, kind: &str, namespaced: bool| {
        let id = (api_version.to_owned(), kind.to_owned());
        let entry = kinds.entry(id).or_insert(Kind { of: None, namespaced: None });
        entry.namespaced = Some(namespaced || entry.namespaced == Some(true));
    };
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let gvk = item.get("get").and_then(|g| g.get("x-kubernetes-group-version-kind"));
        if let Some((api_version, kind)) = gvk.and_then(type_meta) {
            set(&api_version, &kind, path.contains("namespaces/{namespace}"));
        }
    }
    for resource in document.get("resources").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| resource.get(key).and_then(Value::as_str);
        if let (Some(api_version), Some(kind), Some(scope)) =
            (text("apiVersion"), text("kind"), text("scope"))
        {
            set(api_version, kind, scope == "Namespaced");
        }
    }
}
