//! OpenAPI schemas of Kubernetes → JSON Schema, with unknown fields refused.
//!
//! Structural schemas mean more than they say: fields that are not listed are dropped (which
//! strict validation refuses), `nullable` and `int-or-string` are no words of JSON Schema, and
//! every object has `apiVersion`, `kind` and `metadata` (Kubernetes: custom resources,
//! "Specifying a structural schema", "Field pruning").
//!
//! What calls itself here follows a document down, and the readers bound how deep one is; what
//! follows a `$ref` counts its steps.

use super::Type;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How deep a path into a schema is followed.
const MAX_STEPS: usize = 256;

/// Returns the schema of a custom resource, closed.
pub fn of_custom_resource(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema {
        map.entry("properties").or_insert_with(|| json!({}));
    }
    close(&mut schema);
    describe_object(&mut schema, false);
    schema
}

/// Refuses unknown fields wherever the schema lists the known ones, and lets a nullable field be
/// null. What stands in allOf, anyOf and oneOf only narrows, and stays as it is.
fn close(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    let is = |map: &Map<String, Value>, key: &str| map.get(key) == Some(&json!(true));
    let open = is(map, "x-kubernetes-preserve-unknown-fields") || map.contains_key("additionalProperties");
    let object = map.contains_key("properties") || map.get("type") == Some(&json!("object"));
    let embedded = is(map, "x-kubernetes-embedded-resource");
    if map.contains_key("properties") && !open {
        map.insert("additionalProperties".into(), json!(false));
    } else if object && !open && !embedded {
        // Not `additionalProperties: false`: the validator would not tell which field it was.
        map.insert("maxProperties".into(), json!(0));
    }
    if is(map, "x-kubernetes-int-or-string") && !map.contains_key("type") {
        map.insert("type".into(), json!(["integer", "string"]));
    }
    if map.get("x-kubernetes-list-type") == Some(&json!("set")) {
        map.insert("uniqueItems".into(), json!(true));
    }
    if is(map, "nullable") {
        allow_null(map);
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(close);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            close(inner);
        }
    }
    if embedded {
        describe_object(schema, true);
    }
}

fn allow_null(map: &mut Map<String, Value>) {
    match map.get("type").cloned() {
        Some(Value::String(kind)) => {
            map.insert("type".into(), json!([kind, "null"]));
        }
        Some(Value::Array(mut kinds)) => {
            kinds.push(json!("null"));
            map.insert("type".into(), Value::Array(kinds));
        }
        _ => {}
    }
    if let Some(Value::Array(options)) = map.get_mut("enum")
        && !options.contains(&Value::Null)
    {
        options.push(Value::Null);
    }
}

/// Adds what every object has; an object inside another must say what it is.
fn describe_object(schema: &mut Value, inside: bool) {
    let Value::Object(map) = schema else { return };
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    let Value::Object(properties) = properties else { return };
    for key in ["apiVersion", "kind"] {
        properties.entry(key).or_insert_with(|| json!({"type": "string"}));
    }
    // A CRD may narrow metadata.name and no more; the API server knows the rest itself.
    let narrowed = properties.get("metadata").and_then(|m| m.get("properties")).cloned();
    let mut metadata = object_meta();
    if let Some(narrowed) = narrowed {
        metadata["allOf"] = json!([{"properties": narrowed}]);
    }
    properties.insert("metadata".into(), metadata);
    if inside {
        let required = map.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(required) = required {
            for key in ["apiVersion", "kind"] {
                if !required.contains(&json!(key)) {
                    required.push(json!(key));
                }
            }
        }
    }
}

/// Returns the schema of ObjectMeta (Kubernetes' API, `meta/v1`).
fn object_meta() -> Value {
    let text = || json!({"type": ["string", "null"]});
    let texts = || json!({"type": ["object", "null"], "additionalProperties": {"type": "string"}});
    let number = || json!({"type": ["integer", "null"]});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "annotations": texts(),
            "creationTimestamp": text(),
            "deletionGracePeriodSeconds": number(),
            "deletionTimestamp": text(),
            "finalizers": {"type": ["array", "null"], "items": {"type": "string"}},
            "generateName": text(),
            "generation": number(),
            "labels": texts(),
            "managedFields": {"type": ["array", "null"]},
            "name": text(),
            "namespace": text(),
            "ownerReferences": {"type": ["array", "null"], "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "blockOwnerDeletion": {"type": ["boolean", "null"]},
                    "controller": {"type": ["boolean", "null"]},
                    "kind": {"type": "string"},
                    "name": {"type": "string"},
                    "uid": {"type": "string"},
                },
            }},
            "resourceVersion": text(),
            "selfLink": text(),
            "uid": text(),
        },
    })
}

const REFERENCE: &str = "#/definitions/";

/// Returns the schema that is a definition.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("{REFERENCE}{}", name.replace('~', "~0").replace('/', "~1"))})
}

/// The definitions of an OpenAPI document, closed.
pub struct Definitions {
    all: BTreeMap<String, Value>,
}

impl Definitions {
    /// Takes the definitions of an OpenAPI document of version 2 or 3.
    pub fn of(definitions: &Value) -> Self {
        let mut all = BTreeMap::new();
        for (name, definition) in definitions.as_object().into_iter().flatten() {
            let mut definition = definition.clone();
            adapt(name, &mut definition);
            all.insert(name.clone(), definition);
        }
        Self { all }
    }

    /// Returns the definitions that are whole objects, each with its groups, versions and kinds.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.all.iter().filter_map(|(name, definition)| {
            let kinds = definition.get("x-kubernetes-group-version-kind")?.as_array()?;
            Some((name.as_str(), kinds.as_slice()))
        })
    }

    /// Returns a schema together with all that it refers to.
    pub fn with(&self, schema: &Value) -> Value {
        let mut needed: BTreeSet<String> = BTreeSet::new();
        let mut open = Vec::new();
        references(schema, &mut open);
        while let Some(name) = open.pop() {
            if let Some(definition) = self.all.get(&name)
                && needed.insert(name)
            {
                references(definition, &mut open);
            }
        }
        let map: Map<String, Value> =
            needed.into_iter().filter_map(|n| Some((n.clone(), self.all.get(&n)?.clone()))).collect();
        let mut whole = schema.clone();
        whole["definitions"] = Value::Object(map);
        whole
    }

    fn get(&self, reference: &str) -> Option<&Value> {
        self.all.get(reference.strip_prefix(REFERENCE)?)
    }
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(name) =
                map.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(REFERENCE))
            {
                found.push(name.to_owned());
            }
            map.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

/// Closes a definition and says what its Go type takes besides.
fn adapt(name: &str, definition: &mut Value) {
    let Value::Object(map) = definition else { return };
    if map.contains_key("properties") && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".into(), json!(false));
    }
    if map.get("format") == Some(&json!("int-or-string")) {
        map.insert("type".into(), json!(["integer", "string"]));
    }
    // Quantities are decoded from numbers too (apimachinery, `UnmarshalJSON` of Quantity).
    if name.ends_with(".Quantity") {
        map.insert("type".into(), json!(["number", "string"]));
    }
    point_inside(definition);
}

/// Version 3 writes `allOf: [{$ref: '#/components/schemas/…'}]` where version 2 writes a `$ref`.
fn point_inside(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(all)) = map.get("allOf")
                && let [Value::Object(only)] = all.as_slice()
                && let Some(reference) = only.get("$ref").cloned()
            {
                map.remove("allOf");
                map.insert("$ref".into(), reference);
            }
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/components/schemas/")
            {
                *reference = format!("{REFERENCE}{name}");
            }
            map.values_mut().for_each(point_inside);
        }
        Value::Array(items) => items.iter_mut().for_each(point_inside),
        _ => {}
    }
}

impl Type {
    /// Returns an object as the API server would look at it: with defaults filled in (custom
    /// resources), or without nulls (its own types, for which null means absent).
    pub(super) fn as_stored(&self, object: &Value) -> Value {
        let mut stored = object.clone();
        match &self.definitions {
            None => fill_in(&mut stored, &self.schema),
            Some(_) => drop_nulls(&mut stored),
        }
        stored
    }

    /// Returns the fields that the schema knows at a place in an object.
    pub(super) fn fields_at<'p>(&self, path: impl Iterator<Item = Step<'p>>) -> Vec<&str> {
        let mut here = Some(&self.schema);
        for step in path.take(MAX_STEPS) {
            here = self.resolved(here).and_then(|schema| match step {
                Step::Item => schema.get("items"),
                Step::Field(name) => schema
                    .get("properties")
                    .and_then(|p| p.get(name))
                    .or_else(|| schema.get("additionalProperties")),
            });
        }
        let properties = self.resolved(here).and_then(|s| s.get("properties")).and_then(Value::as_object);
        properties.map(|p| p.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    fn resolved<'s>(&'s self, schema: Option<&'s Value>) -> Option<&'s Value> {
        let mut schema = schema?;
        for _ in 0..MAX_STEPS {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
            schema = self.definitions.as_ref()?.get(reference)?;
        }
        None
    }
}

/// One step of a path into an object.
pub enum Step<'p> {
    /// Into a field.
    Field(&'p str),
    /// Into an item of a list.
    Item,
}

fn fill_in(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if let (None, Some(default)) = (map.get(name), property.get("default")) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(inner) = map.get_mut(name) {
                    fill_in(inner, property);
                }
            }
            if let Some(more) = schema.get("additionalProperties").filter(|s| s.is_object()) {
                map.values_mut().for_each(|inner| fill_in(inner, more));
            }
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            items.iter_mut().for_each(|item| fill_in(item, schema));
        }
        _ => {}
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
