//! Checks objects against the CRDs of a cluster as strictly as `kubectl apply --validate=strict`
//! does: a field that the schema does not know is a problem.
#![allow(dead_code)]

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The schemas of some CRDs, by `apiVersion` and kind.
pub struct Crds {
    kinds: BTreeMap<(String, String), Kind>,
}

struct Kind {
    schema: Value,
    validator: jsonschema::Validator,
}

impl Crds {
    /// Reads every CRD of the `*.yaml` files in some folders.
    pub fn read<P: AsRef<Path>>(folders: &[P]) -> Self {
        let mut kinds = BTreeMap::new();
        for folder in folders {
            let entries = std::fs::read_dir(folder.as_ref()).expect("a folder of CRDs");
            for path in entries.map(|e| e.expect("entry").path()) {
                if path.extension().is_some_and(|e| e == "yaml") {
                    add_file(&path, &mut kinds);
                }
            }
        }
        assert!(!kinds.is_empty(), "no CRD was found");
        Self { kinds }
    }

    /// Returns what is wrong with an object; none if its kind has no CRD here.
    pub fn problems(&self, object: &Value) -> Option<Vec<String>> {
        // The API server fills in defaults before it validates.
        let stored = self.with_defaults(object)?;
        let found = self.kind(object)?.validator.iter_errors(&stored);
        Some(found.map(|e| format!("{}: {e}", e.instance_path())).collect())
    }

    /// Returns the object as the API server would store it, with the schema's defaults filled in.
    pub fn with_defaults(&self, object: &Value) -> Option<Value> {
        let mut stored = object.clone();
        fill_in(&mut stored, &self.kind(object)?.schema);
        Some(stored)
    }

    fn kind(&self, object: &Value) -> Option<&Kind> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.kinds.get(&(text("apiVersion"), text("kind")))
    }
}

fn add_file(path: &Path, kinds: &mut BTreeMap<(String, String), Kind>) {
    // A CRD is larger and deeper than what teams write; these are ours to read.
    let limits = hydrant::yaml::Limits::manifests();
    let bytes = std::fs::read(path).expect("a CRD");
    for node in hydrant::yaml::read(&bytes, &limits).expect("YAML") {
        let crd = node.to_value(hydrant::yaml::Schema::Kubectl).expect("values");
        if crd["kind"] != "CustomResourceDefinition" {
            continue;
        }
        let (group, kind) = (text(&crd, "/spec/group"), text(&crd, "/spec/names/kind"));
        for version in crd["spec"]["versions"].as_array().expect("versions") {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            close(&mut schema, true);
            let validator = jsonschema::draft4::new(&schema).expect("a schema that compiles");
            let api_version = format!("{group}/{}", text(version, "/name"));
            kinds.insert((api_version, kind.clone()), Kind { schema, validator });
        }
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Refuses unknown fields wherever the schema lists the known ones, as structural schemas mean
/// it, and lets a nullable field be null. What stands in allOf, anyOf and oneOf only narrows.
fn close(schema: &mut Value, root: bool) {
    let Value::Object(map) = schema else { return };
    let open = map.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if map.contains_key("properties") && !map.contains_key("additionalProperties") && !open {
        map.insert("additionalProperties".into(), json!(false));
    }
    if map.get("nullable") == Some(&json!(true))
        && let Some(Value::String(kind)) = map.get("type").cloned()
    {
        map.insert("type".into(), json!([kind, "null"]));
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties {
            // The API server knows metadata itself; the CRD says `type: object` alone.
            if !(root && name == "metadata") {
                close(property, false);
            }
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            close(inner, false);
        }
    }
}

fn fill_in(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
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
        Value::Array(items) => items.iter_mut().for_each(|item| fill_in(item, &schema["items"])),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A check that cannot fail proves nothing: this one is seen failing.
    #[test]
    fn an_unknown_field_a_wrong_type_and_a_missing_field_are_problems() {
        let folder = tempfile::tempdir().expect("folder");
        let crd = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Thing}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            spec:
              type: object
              required: [size]
              properties:
                size: {type: integer, nullable: true}
                mode: {type: string, default: plain}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}
                list: {type: array, items: {type: object, properties: {name: {type: string, default: x}}}}
";
        std::fs::write(folder.path().join("crd.yaml"), crd).expect("file");
        let crds = Crds::read(&[folder.path()]);
        let thing = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec});
        let count = |spec: Value| crds.problems(&thing(spec)).expect("a kind it knows").len();
        assert_eq!(count(json!({"size": 1, "free": {"a": "x", "b": 2}, "list": [{"name": "n"}]})), 0);
        assert_eq!(count(json!({"size": null})), 0);
        assert_eq!(count(json!({"size": 1, "sise": 1})), 1);
        assert_eq!(count(json!({"size": 1, "list": [{"nam": "n"}]})), 1);
        assert_eq!(count(json!({"size": "1"})), 1);
        assert_eq!(count(json!({})), 1);
        assert_eq!(crds.problems(&json!({"apiVersion": "v1", "kind": "Thing"})), None);
        let stored = crds.with_defaults(&thing(json!({"size": 1, "list": [{}]}))).expect("a kind it knows");
        assert_eq!(stored["spec"], json!({"size": 1, "mode": "plain", "list": [{"name": "x"}]}));
    }
}
