//! The `crds` field: OpenAPI definitions of custom types, whose extensions say which fields
//! hold names, labels and annotations.

use super::config::{Config, NameReference};
use super::fieldspec::{FieldSpec, merge_spec};
use super::gvk::Gvk;
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Limits, Schema, read};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How deep definitions may refer to each other.
const DEPTH: usize = 32;

/// Reads definitions and returns the field specs they give.
///
/// # Errors
/// The text is not YAML, or not a map of definitions.
pub fn read_crds(bytes: &[u8], file: &Arc<str>) -> Result<Config, Violations> {
    let documents = read(bytes, &Limits::manifests()).map_err(|e| vec![e.in_file(file)])?;
    let Some(node) = documents.first() else { return Ok(Config::default()) };
    let value = node.to_value(Schema::Kubectl).map_err(|e| vec![e.in_file(file)])?;
    let wrong = |message: String| {
        let violation = Violation::error(message).at(Origin::at(file.clone(), node.at.line, node.at.column));
        vec![violation.hint(
            "`crds` takes OpenAPI definitions (`<package>.<Kind>: {Schema: …}`); a CustomResourceDefinition belongs into `resources`",
        )]
    };
    let definitions =
        value.as_object().ok_or_else(|| wrong("this is not a map of definitions".to_owned()))?;
    if let Some((name, _)) = definitions.iter().find(|(_, d)| !d.is_object() && !d.is_null()) {
        return Err(wrong(format!("`{name}` is not an OpenAPI definition")));
    }
    let mut config = Config::default();
    for (name, definition) in definitions {
        let Some(properties) = properties(definition) else { continue };
        if ["kind", "apiVersion", "metadata"].iter().all(|key| properties.contains_key(*key)) {
            let kind = name.rsplit('.').next().unwrap_or(name);
            let gvk = Gvk { kind: kind.to_owned(), ..Gvk::default() };
            let mut finder = Finder { definitions, gvk, config: &mut config };
            finder.search(name, &mut Vec::new()).map_err(wrong)?;
        }
    }
    config.sort();
    Ok(config)
}

fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    let any_case = |value: &'static str, map: &Value| -> Option<String> {
        map.as_object()?.keys().find(|k| k.eq_ignore_ascii_case(value)).cloned()
    };
    let schema = definition.get(any_case("schema", definition)?)?;
    schema.get(any_case("properties", schema)?)?.as_object()
}

struct Finder<'d> {
    definitions: &'d Map<String, Value>,
    gvk: Gvk,
    config: &'d mut Config,
}

impl Finder<'_> {
    fn search(&mut self, name: &str, path: &mut Vec<String>) -> Result<(), String> {
        if path.len() > DEPTH {
            return Err(format!("the definitions below `{name}` refer to each other without end"));
        }
        let Some(properties) = self.definitions.get(name).and_then(properties) else { return Ok(()) };
        for (key, property) in properties {
            path.push(key.clone());
            self.property(property, path)?;
            if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
                self.search(reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn property(&mut self, property: &Value, path: &[String]) -> Result<(), String> {
        let text = |key: &str| property.get(key).and_then(Value::as_str);
        let spec = |more: Option<&str>| {
            let steps: Vec<&str> = path.iter().map(String::as_str).chain(more).collect();
            FieldSpec::new(self.gvk.clone(), steps.join("/"), false)
        };
        let own = spec(None);
        if text("x-kubernetes-annotation").is_some() {
            merge_spec(&mut self.config.common_annotations, &own)?;
        }
        if text("x-kubernetes-label-selector").is_some() {
            merge_spec(&mut self.config.common_labels, &own)?;
        }
        if text("x-kubernetes-identity").is_some() {
            merge_spec(&mut self.config.name_prefix, &own)?;
        }
        if let (Some(version), Some(kind)) =
            (text("x-kubernetes-object-ref-api-version"), text("x-kubernetes-object-ref-kind"))
        {
            let name_key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let target = Gvk { group: String::new(), version: version.to_owned(), kind: kind.to_owned() };
            let referrers = vec![spec(Some(name_key))];
            self.config.add_name_reference(NameReference { target, referrers })?;
        }
        Ok(())
    }
}
