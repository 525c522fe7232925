//! The tree that reading gives: every node knows its place.

use super::parse::YamlError;
use super::scalar::{Schema, resolve, resolve_owned};
use serde_json::{Map, Value};

/// A place in one document stream; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// One YAML node with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Mark,
    /// What it is.
    pub data: Data,
}

/// What a node is. Aliases and merge keys are resolved while reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Text, not yet given a type.
    Scalar(Scalar),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping, in the order it was written; no key appears twice.
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as text (a number or boolean key keeps its spelling).
    pub key: String,
    /// Where the key begins.
    pub key_at: Mark,
    /// True if the key stood without quotes, so that `1:` is a number to some readers.
    pub key_plain: bool,
    /// The value.
    pub value: Node,
}

/// A scalar as written: its type depends on who reads it ([`Schema`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text after escapes and folding.
    pub text: String,
    /// True if it stood without quotes and is not a block scalar.
    pub plain: bool,
    /// An explicit tag (`!!str` is `tag:yaml.org,2002:str`), if any.
    pub tag: Option<String>,
}

impl Node {
    /// Returns the value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// Returns the value of a key of a mapping, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.data {
            Data::Map(entries) => entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value),
            _ => None,
        }
    }

    /// Returns the entry of a key of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.key == key)
    }

    /// Returns the entries of a mapping; none for other nodes.
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a sequence; none for other nodes.
    pub fn items(&self) -> &[Node] {
        match &self.data {
            Data::Seq(items) => items,
            _ => &[],
        }
    }

    /// Returns the text of a scalar, whatever its type would be.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(s) => Some(&s.text),
            _ => None,
        }
    }

    /// Returns the scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.data {
            Data::Scalar(s) => Some(s),
            _ => None,
        }
    }

    /// Returns the node at a JSON pointer (`/spec/containers/0/image`), or the nearest
    /// ancestor that exists.
    pub fn nearest(&self, pointer: &str) -> &Node {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.data {
                Data::Map(_) => node.get(&part),
                Data::Seq(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
                Data::Scalar(_) => None,
            };
            match next {
                Some(child) => node = child,
                None => break,
            }
        }
        node
    }

    /// Returns the node as a value, by one reader's rules.
    ///
    /// # Errors
    /// A scalar whose explicit tag its text does not fit, or a number no reader can hold.
    pub fn to_value(&self, schema: Schema) -> Result<Value, YamlError> {
        Ok(match &self.data {
            Data::Scalar(s) => resolve(s, schema).map_err(|message| YamlError::new(self.at, message))?,
            Data::Seq(items) => {
                Value::Array(items.iter().map(|n| n.to_value(schema)).collect::<Result<_, _>>()?)
            }
            Data::Map(entries) => {
                let mut map = Map::new();
                for e in entries {
                    map.insert(e.key.clone(), e.value.to_value(schema)?);
                }
                Value::Object(map)
            }
        })
    }

    /// Turns the node into a value, as [`Node::to_value`] does, without copying its texts.
    ///
    /// # Errors
    /// As [`Node::to_value`].
    pub fn into_value(self, schema: Schema) -> Result<Value, YamlError> {
        let at = self.at;
        Ok(match self.data {
            Data::Scalar(s) => resolve_owned(s, schema).map_err(|message| YamlError::new(at, message))?,
            Data::Seq(items) => {
                Value::Array(items.into_iter().map(|n| n.into_value(schema)).collect::<Result<_, _>>()?)
            }
            Data::Map(entries) => {
                let mut map = Map::new();
                for e in entries {
                    map.insert(e.key, e.value.into_value(schema)?);
                }
                Value::Object(map)
            }
        })
    }
}
