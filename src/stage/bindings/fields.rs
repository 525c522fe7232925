//! Reads the fields of a mapping and says everything that is wrong at once, with its place.
//!
//! A derived deserializer stops at the first fault and may print the value it stumbled over,
//! which can be a secret; this one never prints a value.

use crate::error::{Origin, Violation, Violations};
use crate::model::values::type_name;
use crate::suggest::did_you_mean;
use crate::yaml::{Data, Mark, Node, Schema};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A text with the place where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The text.
    pub text: String,
    /// The dotted path of the key.
    pub key: String,
    /// The place.
    pub at: Origin,
}

impl Placed {
    /// Returns an error at this place.
    pub fn error(&self, message: impl Into<String>) -> Violation {
        Violation::error(message).at(self.at.clone()).key(self.key.clone())
    }

    /// Returns a warning at this place.
    pub fn warning(&self, message: impl Into<String>) -> Violation {
        Violation::warning(message).at(self.at.clone()).key(self.key.clone())
    }
}

/// The fields of one mapping, taken one by one.
pub struct Fields<'n> {
    node: &'n Node,
    file: Arc<str>,
    path: String,
    taken: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping; anything else is an error and gives no fields.
    pub fn open(node: &'n Node, file: &Arc<str>, path: &str, found: &mut Violations) -> Option<Self> {
        if !matches!(node.data, Data::Map(_)) {
            found.push(wrong_type(node, file, path, "a mapping"));
            return None;
        }
        Some(Self { node, file: file.clone(), path: path.to_owned(), taken: Vec::new() })
    }

    /// Returns the place of a key, or of the mapping where the key is missing.
    pub fn origin(&self, key: &str) -> Origin {
        let mark = self.node.entry(key).map_or(self.node.at, |e| e.key_at);
        place(&self.file, mark)
    }

    /// Returns the dotted path of a key.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Returns an error at a key.
    pub fn error(&self, key: &str, message: impl Into<String>) -> Violation {
        Violation::error(message).at(self.origin(key)).key(self.key(key))
    }

    /// Returns true if the key stands there with a value other than null.
    pub fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some_and(|n| !is_null(n))
    }

    /// Marks a key as known without reading it.
    pub fn skip(&mut self, key: &'static str) {
        self.taken.push(key);
    }

    /// Returns the node of a key that is there and not null.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.taken.push(key);
        self.node.get(key).filter(|n| !is_null(n))
    }

    /// Returns a text; absent and null are the same.
    pub fn text(&mut self, key: &'static str, found: &mut Violations) -> Option<Placed> {
        let node = self.node(key)?;
        text_of(node, &self.file, &self.key(key), found)
    }

    /// Returns a text that must be there and not empty.
    pub fn required(&mut self, key: &'static str, found: &mut Violations) -> Option<Placed> {
        let before = found.len();
        match self.text(key, found) {
            Some(text) if !text.text.trim().is_empty() => Some(text),
            _ => {
                if found.len() == before {
                    found.push(self.error(key, format!("{key} is required")));
                }
                None
            }
        }
    }

    /// Returns a whole number.
    pub fn integer(&mut self, key: &'static str, found: &mut Violations) -> Option<i64> {
        let node = self.node(key)?;
        match node.to_value(Schema::Kubectl) {
            Ok(Value::Number(n)) if n.as_i64().is_some() => n.as_i64(),
            _ => {
                found.push(wrong_type(node, &self.file, &self.key(key), "an integer"));
                None
            }
        }
    }

    /// Returns the items of a list.
    pub fn items(&mut self, key: &'static str, found: &mut Violations) -> Option<&'n [Node]> {
        let node = self.node(key)?;
        match &node.data {
            Data::Seq(items) => Some(items),
            _ => {
                found.push(wrong_type(node, &self.file, &self.key(key), "a list"));
                None
            }
        }
    }

    /// Returns a list of texts.
    pub fn texts(&mut self, key: &'static str, found: &mut Violations) -> Option<Vec<Placed>> {
        let path = self.key(key);
        let items = self.items(key, found)?;
        Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(i, n)| text_of(n, &self.file, &format!("{path}[{i}]"), found))
                .collect(),
        )
    }

    /// Returns a mapping of texts.
    pub fn text_map(&mut self, key: &'static str, found: &mut Violations) -> BTreeMap<String, Placed> {
        let path = self.key(key);
        let Some(node) = self.node(key) else { return BTreeMap::new() };
        if !matches!(node.data, Data::Map(_)) {
            found.push(wrong_type(node, &self.file, &path, "a mapping"));
            return BTreeMap::new();
        }
        node.entries()
            .iter()
            .filter_map(|e| {
                let text = text_of(&e.value, &self.file, &format!("{path}.{}", e.key), found)?;
                Some((e.key.clone(), text))
            })
            .collect()
    }

    /// Complains about every key that nobody took.
    pub fn finish(self, found: &mut Violations) {
        for e in self.node.entries() {
            if self.taken.iter().any(|t| *t == e.key) {
                continue;
            }
            let shown = crate::redact::redact(&e.key).into_owned();
            let mut v = Violation::error(format!("`{shown}` is not a field here"))
                .at(place(&self.file, e.key_at))
                .key(self.key(&shown));
            v.hint = did_you_mean(&e.key, self.taken.iter().copied());
            found.push(v);
        }
    }
}

/// Returns a place in a file.
pub fn place(file: &Arc<str>, mark: Mark) -> Origin {
    Origin::at(file.clone(), mark.line, mark.column)
}

/// Returns true for a plain null.
pub fn is_null(node: &Node) -> bool {
    matches!(&node.data, Data::Scalar(_)) && matches!(node.to_value(Schema::Kubectl), Ok(Value::Null))
}

fn text_of(node: &Node, file: &Arc<str>, key: &str, found: &mut Violations) -> Option<Placed> {
    match node.to_value(Schema::Kubectl) {
        Ok(Value::String(text)) => Some(Placed { text, key: key.to_owned(), at: place(file, node.at) }),
        _ => {
            found.push(wrong_type(node, file, key, "a string"));
            None
        }
    }
}

fn wrong_type(node: &Node, file: &Arc<str>, key: &str, wanted: &str) -> Violation {
    let is = node.to_value(Schema::Kubectl).map_or("something else", |v| type_name(&v));
    let mut v = Violation::error(format!("expected {wanted}, found {is}")).at(place(file, node.at));
    if !key.is_empty() {
        v = v.key(key);
    }
    if wanted == "a string" && matches!(node.data, Data::Scalar(_)) {
        v = v.hint("put it in quotes");
    }
    v
}
