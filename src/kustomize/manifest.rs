//! From the bytes of a manifest file to objects.

use super::resource::{Resource, Step};
use super::schema::Table;
use super::text::scalar_text;
use super::transform::replacements::typed;
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Data, Entry, Limits, Node, Schema, read};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// Reads the objects of a file; lists of objects are taken apart.
///
/// # Errors
/// The text is not YAML, or something in it is not a Kubernetes object.
pub fn read_manifests(
    bytes: &[u8],
    file: &Arc<str>,
    table: Option<&Arc<Table>>,
) -> Result<Vec<Resource>, Violations> {
    let documents = read(bytes, &Limits::manifests()).map_err(|e| vec![e.in_file(file)])?;
    objects(&documents, file, table)
}

/// Returns the objects of documents that are read already.
///
/// # Errors
/// As [`read_manifests`].
pub fn objects(
    documents: &[Node],
    file: &Arc<str>,
    table: Option<&Arc<Table>>,
) -> Result<Vec<Resource>, Violations> {
    let mut queue: VecDeque<(&Node, bool)> = documents.iter().map(|d| (d, true)).collect();
    let (mut found, mut wrong) = (Vec::new(), Violations::new());
    while let Some((node, outer)) = queue.pop_front() {
        if is_empty(node) {
            continue;
        }
        let kind = node.get("kind").and_then(Node::text).unwrap_or("");
        if kind.ends_with("List")
            && let Some(items) = node.get("items")
        {
            match &items.data {
                Data::Seq(inner) => {
                    let as_written = documents.len() == 1 && kind == "List";
                    queue.extend(inner.iter().map(|n| (n, as_written)));
                }
                Data::Scalar(_) if is_empty(items) => {}
                _ => wrong.push(at(file, items, "`items` of a list of objects is not a list")),
            }
            continue;
        }
        match object(node, file, outer) {
            Ok(mut resource) => {
                resource.table = table.cloned();
                found.push(resource);
            }
            Err(violation) => wrong.push(*violation),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn is_empty(node: &Node) -> bool {
    match &node.data {
        Data::Scalar(s) => s.plain && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
        Data::Map(entries) => entries.is_empty(),
        Data::Seq(_) => false,
    }
}

fn at(file: &Arc<str>, node: &Node, message: impl Into<String>) -> Violation {
    Violation::error(message).at(Origin::at(file.clone(), node.at.line, node.at.column))
}

/// Reads one object. `as_written` is false where kustomize reads it from JSON, which does
/// not tell `key:` from `key: null`.
fn object(node: &Node, file: &Arc<str>, as_written: bool) -> Result<Resource, Box<Violation>> {
    if !matches!(node.data, Data::Map(_)) {
        return Err(Box::new(
            at(file, node, "this is not a Kubernetes object: it is not a map")
                .hint("write apiVersion, kind and metadata.name"),
        ));
    }
    if let Some(entry) = odd_key(node) {
        let shown = Origin::at(file.clone(), entry.key_at.line, entry.key_at.column);
        let message = format!("the key `{}` is not text", entry.key);
        return Err(Box::new(Violation::error(message).at(shown).hint("put it in quotes")));
    }
    let mut value = node.to_value(Schema::Kustomize).map_err(|e| Box::new(e.in_file(file)))?;
    let named = |v: &Value| {
        let name = v.get("metadata").and_then(|m| m.get("name"));
        name.is_some_and(|n| !n.is_null() && !scalar_text(n).is_empty())
    };
    let kind = value.get("kind").map_or_else(String::new, |k| scalar_text(k).into_owned());
    if kind.is_empty() || value["kind"].is_null() {
        return Err(Box::new(at(file, node, "`kind` is missing in this object")));
    }
    if !kind.ends_with("List") && !named(&value) {
        return Err(Box::new(at(file, node, format!("`metadata.name` is missing in this {kind}"))));
    }
    annotations_as_text(node, &mut value);
    let mut blanks = Vec::new();
    if as_written {
        find_blanks(node, &mut Vec::new(), &mut blanks);
    }
    let mut resource = Resource::new(value);
    resource.blanks = blanks;
    resource.at = Some(Origin::at(file.clone(), node.at.line, node.at.column));
    Ok(resource)
}

/// Returns the first key that is a number, a boolean or nothing; kustomize cannot print those.
fn odd_key(node: &Node) -> Option<&Entry> {
    let odd = |e: &&Entry| e.key_plain && !typed(&e.key).is_string();
    match &node.data {
        Data::Scalar(_) => None,
        Data::Seq(items) => items.iter().find_map(odd_key),
        Data::Map(entries) => {
            entries.iter().find(odd).or_else(|| entries.iter().find_map(|e| odd_key(&e.value)))
        }
    }
}

/// Annotations are texts to kustomize, whatever they look like: `1.0` stays `1.0`.
fn annotations_as_text(node: &Node, value: &mut Value) {
    let written = node.get("metadata").and_then(|m| m.get("annotations")).map_or(&[][..], Node::entries);
    let Some(Value::Object(map)) = value.pointer_mut("/metadata/annotations") else { return };
    for entry in written {
        if let Some(text) = entry.value.text() {
            map.insert(entry.key.clone(), Value::String(text.to_owned()));
        }
    }
}

/// Collects the places of keys that were written with nothing after them.
fn find_blanks(node: &Node, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    match &node.data {
        Data::Scalar(s) if s.plain && s.text.is_empty() && s.tag.is_none() => found.push(path.clone()),
        Data::Scalar(_) => {}
        Data::Seq(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push(Step::Index(i));
                find_blanks(item, path, found);
                path.pop();
            }
        }
        Data::Map(entries) => {
            for entry in entries {
                path.push(Step::Key(entry.key.clone()));
                find_blanks(&entry.value, path, found);
                path.pop();
            }
        }
    }
}
