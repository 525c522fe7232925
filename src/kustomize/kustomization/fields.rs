//! Reads fields of a map with their types, and collects everything that is wrong.

use crate::error::{Origin, Violation, Violations};
use crate::suggest::did_you_mean;
use crate::yaml::{Data, Entry, Mark, Node, Schema};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A map being read.
#[derive(Clone, Copy)]
pub struct Fields<'n> {
    /// The map.
    pub node: &'n Node,
    /// The file it stands in, as shown.
    pub file: &'n Arc<str>,
    /// The field it is the value of, as a dotted path; empty at the top.
    path: &'n str,
}

/// What is wrong so far.
pub type Wrong = Violations;

impl<'n> Fields<'n> {
    /// Returns a reader of a map.
    pub fn new(node: &'n Node, file: &'n Arc<str>, path: &'n str) -> Self {
        Self { node, file, path }
    }

    /// Returns the place of the map.
    pub fn origin(&self) -> Origin {
        self.origin_at(self.node.at)
    }

    /// Returns a place in the file.
    pub fn origin_at(&self, at: Mark) -> Origin {
        Origin::at(self.file.clone(), at.line, at.column)
    }

    /// Returns the dotted path of a field.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes every field that is not known.
    pub fn only(&self, known: &[&str], wrong: &mut Wrong) {
        if !matches!(self.node.data, Data::Map(_)) {
            wrong.push(self.wrong_at(self.node, self.path, "expected a map"));
            return;
        }
        for entry in self.node.entries().iter().filter(|e| !known.contains(&e.key.as_str())) {
            let mut violation = Violation::error(format!("unknown field `{}`", entry.key))
                .at(self.origin_at(entry.key_at))
                .key(self.path_of(&entry.key));
            violation.hint = did_you_mean(&entry.key, known.iter().copied());
            wrong.push(violation);
        }
    }

    /// Returns an entry that is there and not null.
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.node.entry(key).filter(|e| !is_null(&e.value))
    }

    /// Returns a text field; nothing if it is not there.
    pub fn text(&self, key: &str, wrong: &mut Wrong) -> String {
        let Some(entry) = self.entry(key) else { return String::new() };
        self.text_of(&entry.value, &self.path_of(key), wrong)
    }

    /// Returns the text of a node.
    pub fn text_of(&self, node: &Node, path: &str, wrong: &mut Wrong) -> String {
        match node.to_value(Schema::Kubectl) {
            Ok(Value::String(text)) => text,
            Ok(Value::Null) => String::new(),
            Ok(other) => {
                let shown = crate::kustomize::text::type_name(&other);
                let violation = self.wrong_at(node, path, &format!("expected a text, found {shown}"));
                wrong.push(match other {
                    Value::Bool(_) | Value::Number(_) => violation.hint("put it in quotes"),
                    _ => violation,
                });
                String::new()
            }
            Err(e) => {
                wrong.push(e.in_file(self.file));
                String::new()
            }
        }
    }

    /// Returns a boolean field; false if it is not there.
    pub fn flag(&self, key: &str, wrong: &mut Wrong) -> bool {
        let Some(entry) = self.entry(key) else { return false };
        match entry.value.to_value(Schema::Kubectl) {
            Ok(Value::Bool(flag)) => flag,
            _ => {
                wrong.push(self.wrong_at(&entry.value, &self.path_of(key), "expected true or false"));
                false
            }
        }
    }

    /// Returns a whole number; 0 if it is not there.
    pub fn number(&self, key: &str, wrong: &mut Wrong) -> i64 {
        let Some(entry) = self.entry(key) else { return 0 };
        match entry.value.to_value(Schema::Kubectl).ok().and_then(|v| v.as_i64()) {
            Some(number) => number,
            None => {
                wrong.push(self.wrong_at(&entry.value, &self.path_of(key), "expected a whole number"));
                0
            }
        }
    }

    /// Returns the items of a list field; none if it is not there.
    pub fn items(&self, key: &str, wrong: &mut Wrong) -> &'n [Node] {
        let Some(entry) = self.entry(key) else { return &[] };
        if let Data::Seq(items) = &entry.value.data {
            return items;
        }
        let violation = self.wrong_at(&entry.value, &self.path_of(key), "expected a list");
        wrong.push(violation.hint("begin each item with `- `"));
        &[]
    }

    /// Returns the texts of a list field with their places.
    pub fn texts(&self, key: &str, wrong: &mut Wrong) -> Vec<(String, Origin)> {
        let path = self.path_of(key);
        let items = self.items(key, wrong);
        items.iter().map(|n| (self.text_of(n, &path, wrong), self.origin_at(n.at))).collect()
    }

    /// Returns the maps of a list field.
    pub fn maps<'p>(&self, key: &str, path: &'p str, wrong: &mut Wrong) -> Vec<Fields<'p>>
    where
        'n: 'p,
    {
        let items = self.items(key, wrong);
        items.iter().map(|node| Fields { node, file: self.file, path }).collect()
    }

    /// Returns a map field.
    pub fn map<'p>(&self, key: &str, path: &'p str) -> Option<Fields<'p>>
    where
        'n: 'p,
    {
        self.entry(key).map(|e| Fields { node: &e.value, file: self.file, path })
    }

    /// Returns a map field of texts.
    pub fn text_map(&self, key: &str, wrong: &mut Wrong) -> BTreeMap<String, String> {
        let Some(entry) = self.entry(key) else { return BTreeMap::new() };
        let path = self.path_of(key);
        if !matches!(entry.value.data, Data::Map(_)) {
            wrong.push(self.wrong_at(&entry.value, &path, "expected a map of texts"));
        }
        let text = |e: &Entry, wrong: &mut Wrong| self.text_of(&e.value, &format!("{path}.{}", e.key), wrong);
        entry.value.entries().iter().map(|e| (e.key.clone(), text(e, wrong))).collect()
    }

    /// Returns a violation at a node.
    pub fn wrong_at(&self, node: &Node, path: &str, message: &str) -> Violation {
        Violation::error(message).at(self.origin_at(node.at)).key(path)
    }
}

fn is_null(node: &Node) -> bool {
    matches!(node.to_value(Schema::Kubectl), Ok(Value::Null))
}
