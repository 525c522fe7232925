//! Files → types: CustomResourceDefinitions (v1), alone or in a `List`, in YAML or JSON, and
//! OpenAPI documents as the API server gives them (`kubectl get --raw /openapi/v2`).

use super::{Type, TypeName, Types, schema};
use crate::definition::tree::Tree;
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Limits, Schema, read};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

const CRD: &str = "CustomResourceDefinition";

impl Types {
    /// Reads the types that a folder's files give. Files of another kind are passed over.
    ///
    /// # Errors
    /// What cannot be read, a CustomResourceDefinition that is none, or no type at all: a check
    /// that passes because nothing was checked would be worse than none.
    pub fn read(tree: &Tree) -> Result<Self, Violations> {
        // What cannot be read and is of no form that we take may be anything.
        let ours = |path: &String| tree.closed.contains(path) || is_read(path);
        let mut found: Violations =
            tree.unreadable.iter().filter(|(path, _)| ours(path)).map(|(_, v)| v.clone()).collect();
        let mut types = Self { known: BTreeMap::new() };
        let mut own: BTreeMap<TypeName, Type> = BTreeMap::new();
        for (path, bytes) in &tree.files {
            let file = tree.shown(path);
            let documents = match path.rsplit_once('.').map(|(_, extension)| extension) {
                Some("yaml" | "yml") => yaml(bytes, &file),
                Some("json") => json(bytes, &file),
                _ => continue,
            };
            match documents {
                Ok(documents) => {
                    for document in documents {
                        add(document, &file, &mut types.known, &mut own, &mut found);
                    }
                }
                Err(v) => found.push(v),
            }
        }
        // The OpenAPI document of a live cluster describes custom resources too, but loosely.
        for (name, known) in own {
            types.known.entry(name).or_insert_with(|| vec![known]);
        }
        if found.is_empty() && types.is_empty() {
            found.push(
                Violation::error("no CustomResourceDefinition and no OpenAPI document stands there")
                    .at(Origin::file(tree.shown("")))
                    .hint("fill the folder: kubectl get crds -o yaml > crds.yaml; kubectl get --raw /openapi/v2 > kubernetes.json"),
            );
        }
        if found.is_empty() { Ok(types) } else { Err(found) }
    }
}

/// Returns true for a file of a form that is read.
fn is_read(path: &str) -> bool {
    matches!(path.rsplit_once('.'), Some((_, "yaml" | "yml" | "json")))
}

fn yaml(bytes: &[u8], file: &Arc<str>) -> Result<Vec<Value>, Violation> {
    // Larger and deeper than what teams write: these are made by programs.
    let nodes = read(bytes, &Limits::manifests()).map_err(|e| e.in_file(file))?;
    nodes.iter().map(|n| n.to_value(Schema::Kubectl).map_err(|e| e.in_file(file))).collect()
}

fn json(bytes: &[u8], file: &Arc<str>) -> Result<Vec<Value>, Violation> {
    serde_json::from_slice(bytes).map(|value| vec![value]).map_err(|e| {
        let line = u32::try_from(e.line()).unwrap_or(0);
        Violation::error("this is no JSON").at(Origin::at(file.clone(), line, 0))
    })
}

fn add(
    document: Value,
    file: &Arc<str>,
    known: &mut BTreeMap<TypeName, Vec<Type>>,
    own: &mut BTreeMap<TypeName, Type>,
    found: &mut Violations,
) {
    let definitions = document
        .get("definitions")
        .or_else(|| document.pointer("/components/schemas"))
        .filter(|d| d.is_object());
    if let Some(definitions) = definitions {
        add_definitions(definitions, file, own);
        return;
    }
    // `kubectl get crds -o yaml` gives a List.
    let items = document
        .get("items")
        .and_then(Value::as_array)
        .map_or_else(|| vec![&document], |i| i.iter().collect());
    for item in items.into_iter().filter(|i| i["kind"] == CRD) {
        if let Err(v) = add_crd(item, file, known) {
            found.push(v.at(Origin::file(file.clone())));
        }
    }
}

fn add_crd(crd: &Value, file: &Arc<str>, known: &mut BTreeMap<TypeName, Vec<Type>>) -> Result<(), Violation> {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text("/metadata/name");
    let wrong = |what: &str| Violation::error(format!("the {CRD} `{}` {what}", crate::redact::redact(&name)));
    if crd["apiVersion"] != "apiextensions.k8s.io/v1" {
        return Err(
            wrong("is not of apiextensions.k8s.io/v1").hint("take the version that the cluster serves")
        );
    }
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let versions = versions.filter(|v| !v.is_empty() && !group.is_empty() && !kind.is_empty());
    let Some(versions) = versions else {
        return Err(wrong("needs spec.group, spec.names.kind and spec.versions"));
    };
    for version in versions.iter().filter(|v| v["served"] != Value::Bool(false)) {
        let named = version.get("name").and_then(Value::as_str);
        let schema = version.pointer("/schema/openAPIV3Schema").filter(|s| s.is_object());
        let (Some(named), Some(schema)) = (named, schema) else {
            return Err(wrong("has a version without name or without schema.openAPIV3Schema"));
        };
        let schema = schema::of_custom_resource(schema);
        let name = TypeName { group: group.clone(), kind: kind.clone(), version: named.to_owned() };
        let types = known.entry(name).or_default();
        if !types.iter().any(|t| t.schema == schema) {
            types.push(Type { file: file.clone(), schema, definitions: None, compiled: OnceLock::new() });
        }
    }
    Ok(())
}

fn add_definitions(definitions: &Value, file: &Arc<str>, own: &mut BTreeMap<TypeName, Type>) {
    let all = Arc::new(schema::Definitions::of(definitions));
    for (name, kinds) in all.kinds() {
        let schema = schema::reference(name);
        for kind in kinds {
            let text = |key: &str| kind[key].as_str().unwrap_or_default().to_owned();
            let of = TypeName { group: text("group"), kind: text("kind"), version: text("version") };
            own.entry(of).or_insert_with(|| Type {
                file: file.clone(),
                schema: schema.clone(),
                definitions: Some(all.clone()),
                compiled: OnceLock::new(),
            });
        }
    }
}
