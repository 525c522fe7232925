//! From the bytes of a manifest file to objects.

use super::resource::{Resource, Step};
use super::schema::Table;
use super::text::scalar_text;
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Data, Entry, Limits, Node, Schema, is_text, read};
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
    objects(documents, file, table, annotation_texts)
}

/// Returns the objects of patches that are read already. `copied` says that kustomize copies the
/// patch before it merges it: then labels and annotations are texts as written, a `null` too,
/// which otherwise takes a label or an annotation away.
///
/// # Errors
/// As [`read_manifests`].
pub fn read_patches(
    mut documents: Vec<Node>,
    file: &Arc<str>,
    table: Option<&Arc<Table>>,
    copied: bool,
) -> Result<Vec<Resource>, Violations> {
    if copied {
        documents.iter_mut().for_each(make_metadata_texts);
    }
    objects(documents, file, table, |node| {
        let mut texts = annotation_texts(node);
        texts.retain(|(key, _)| !annotations_of(node).iter().any(|e| e.key == *key && is_null(&e.value)));
        texts
    })
}

/// Makes texts of the labels and annotations of an object, as kustomize does where it copies it.
fn make_metadata_texts(node: &mut Node) {
    let Some(metadata) = node.get_mut("metadata") else { return };
    let Data::Map(fields) = &mut metadata.data else { return };
    let texts = |key: &str| matches!(key, "labels" | "annotations");
    let empty = |node: &Node| is_null(node) || matches!(&node.data, Data::Map(entries) if entries.is_empty());
    fields.retain(|field| !(texts(&field.key) && empty(&field.value)));
    for field in fields.iter_mut().filter(|field| texts(&field.key)) {
        let Data::Map(entries) = &mut field.value.data else { continue };
        for entry in entries {
            if let Data::Scalar(scalar) = &mut entry.value.data {
                (scalar.plain, scalar.tag) = (false, None);
            }
        }
    }
}

/// Returns true for nothing, as it may be written.
fn is_null(node: &Node) -> bool {
    let null = |text: &str| matches!(text, "" | "~" | "null" | "Null" | "NULL");
    node.scalar().is_some_and(|s| s.plain && s.tag.is_none() && null(&s.text))
}

/// Returns the objects of documents; `annotations` gives those annotations that are texts.
fn objects(
    documents: Vec<Node>,
    file: &Arc<str>,
    table: Option<&Arc<Table>>,
    annotations: fn(&Node) -> Vec<(String, Value)>,
) -> Result<Vec<Resource>, Violations> {
    let alone = documents.len() == 1;
    let mut queue: VecDeque<(Node, bool)> = documents.into_iter().map(|d| (d, true)).collect();
    let (mut found, mut wrong) = (Vec::new(), Violations::new());
    while let Some((node, outer)) = queue.pop_front() {
        if is_empty(&node) {
            continue;
        }
        let kind = node.get("kind").and_then(Node::text).unwrap_or("");
        if kind.ends_with("List") && node.get("items").is_some() {
            let as_written = alone && kind == "List";
            match items_of(node) {
                Some(Node { data: Data::Seq(inner), .. }) => {
                    queue.extend(inner.into_iter().map(|n| (n, as_written)));
                }
                Some(items) if !matches!(items.data, Data::Scalar(_)) || !is_empty(&items) => {
                    wrong.push(at(file, &items, "`items` of a list of objects is not a list"));
                }
                _ => {}
            }
            continue;
        }
        let annotations = annotations(&node);
        match object(node, file, outer, annotations) {
            Ok(mut resource) => {
                resource.table = table.cloned();
                found.push(resource);
            }
            Err(violation) => wrong.push(*violation),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// Takes the items out of a list of objects.
fn items_of(list: Node) -> Option<Node> {
    let Data::Map(entries) = list.data else { return None };
    entries.into_iter().find(|e| e.key == "items").map(|e| e.value)
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
fn object(
    node: Node,
    file: &Arc<str>,
    as_written: bool,
    annotations: Vec<(String, Value)>,
) -> Result<Resource, Box<Violation>> {
    if !matches!(node.data, Data::Map(_)) {
        return Err(Box::new(
            at(file, &node, "this is not a Kubernetes object: it is not a map")
                .hint("write apiVersion, kind and metadata.name"),
        ));
    }
    if let Some(entry) = odd_key(&node) {
        let shown = Origin::at(file.clone(), entry.key_at.line, entry.key_at.column);
        let message = format!("the key `{}` is not text", entry.key);
        return Err(Box::new(Violation::error(message).at(shown).hint("put it in quotes")));
    }
    let origin = Origin::at(file.clone(), node.at.line, node.at.column);
    let here = |message: String| Box::new(Violation::error(message).at(origin.clone()));
    let mut blanks = Vec::new();
    if as_written {
        find_blanks(&node, &mut Vec::new(), &mut blanks);
    }
    let mut value = node.into_value(Schema::Kustomize).map_err(|e| Box::new(e.in_file(file)))?;
    let named = |v: &Value| {
        let name = v.get("metadata").and_then(|m| m.get("name"));
        name.is_some_and(|n| !n.is_null() && !scalar_text(n).is_empty())
    };
    let kind = value.get("kind").map_or_else(String::new, |k| scalar_text(k).into_owned());
    if kind.is_empty() || value["kind"].is_null() {
        return Err(here("`kind` is missing in this object".to_owned()));
    }
    if !kind.ends_with("List") && !named(&value) {
        return Err(here(format!("`metadata.name` is missing in this {kind}")));
    }
    let there = value.get_mut("metadata").and_then(|m| m.get_mut("annotations"));
    if let Some(Value::Object(map)) = there.filter(|_| !annotations.is_empty()) {
        map.extend(annotations);
    }
    let mut resource = Resource::new(value);
    resource.blanks = blanks;
    resource.at = Some(origin);
    Ok(resource)
}

/// Returns the first key that is a number, a boolean or nothing; kustomize cannot print those.
fn odd_key(node: &Node) -> Option<&Entry> {
    let several_lines = |e: &Entry| e.key.is_empty() || e.key.contains('\n');
    let odd = |e: &&Entry| e.key_plain && !is_text(&e.key, Schema::Kustomize) && !several_lines(e);
    match &node.data {
        Data::Scalar(_) => None,
        Data::Seq(items) => items.iter().find_map(odd_key),
        Data::Map(entries) => {
            entries.iter().find(odd).or_else(|| entries.iter().find_map(|e| odd_key(&e.value)))
        }
    }
}

/// Returns the annotations as written. They are texts to kustomize, whatever they look
/// like: `1.0` stays `1.0`.
fn annotation_texts(node: &Node) -> Vec<(String, Value)> {
    let text = |e: &Entry| Some((e.key.clone(), Value::String(e.value.text()?.to_owned())));
    annotations_of(node).iter().filter_map(text).collect()
}

fn annotations_of(node: &Node) -> &[Entry] {
    node.get("metadata").and_then(|m| m.get("annotations")).map_or(&[][..], Node::entries)
}

/// One step to a node, with the key where it stands.
#[derive(Clone, Copy)]
enum Way<'n> {
    Key(&'n str),
    Index(usize),
}

/// Collects the places of keys that were written with nothing after them.
fn find_blanks<'n>(node: &'n Node, path: &mut Vec<Way<'n>>, found: &mut Vec<Vec<Step>>) {
    match &node.data {
        Data::Scalar(s) if s.plain && s.text.is_empty() && s.tag.is_none() => {
            let step = |way: &Way<'_>| match way {
                Way::Key(key) => Step::Key((*key).to_owned()),
                Way::Index(i) => Step::Index(*i),
            };
            found.push(path.iter().map(step).collect());
        }
        Data::Scalar(_) => {}
        Data::Seq(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push(Way::Index(i));
                find_blanks(item, path, found);
                path.pop();
            }
        }
        Data::Map(entries) => {
            for entry in entries {
                path.push(Way::Key(&entry.key));
                find_blanks(&entry.value, path, found);
                path.pop();
            }
        }
    }
}
