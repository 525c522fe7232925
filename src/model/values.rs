//! Values: what a fleet sets, each leaf with the file and line that set it.

use crate::error::{Origin, Violation, Violations};
use crate::suggest::did_you_mean;
use crate::yaml::{Data, Node, Schema};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A tree of values in which every leaf knows its origin. Lists are leaves: they replace.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTree {
    /// A mapping; deeper sources merge into it key by key.
    Map(BTreeMap<String, ValueTree>, Origin),
    /// Anything else; a later source replaces it.
    Leaf(Value, Origin),
}

impl ValueTree {
    /// Returns an empty mapping.
    pub fn empty(origin: Origin) -> Self {
        ValueTree::Map(BTreeMap::new(), origin)
    }

    /// Builds the tree of a values file.
    ///
    /// # Errors
    /// Scalars whose tag does not fit.
    pub fn from_node(node: &Node, file: &Arc<str>) -> Result<Self, Violation> {
        let origin = Origin::at(file.clone(), node.at.line, node.at.column);
        match &node.data {
            Data::Map(entries) => {
                let mut map = BTreeMap::new();
                for e in entries {
                    let mut child = Self::from_node(&e.value, file)?;
                    child.set_origin(Origin::at(file.clone(), e.key_at.line, e.key_at.column));
                    map.insert(e.key.clone(), child);
                }
                Ok(ValueTree::Map(map, origin))
            }
            _ => {
                let value = node.to_value(Schema::Kubectl).map_err(|e| e.in_file(file))?;
                Ok(ValueTree::Leaf(value, origin))
            }
        }
    }

    fn set_origin(&mut self, to: Origin) {
        match self {
            ValueTree::Map(_, origin) | ValueTree::Leaf(_, origin) => *origin = to,
        }
    }

    /// Returns the place that set it.
    pub fn origin(&self) -> &Origin {
        match self {
            ValueTree::Map(_, origin) | ValueTree::Leaf(_, origin) => origin,
        }
    }

    /// Returns the child of a mapping.
    pub fn get(&self, key: &str) -> Option<&ValueTree> {
        match self {
            ValueTree::Map(map, _) => map.get(key),
            ValueTree::Leaf(..) => None,
        }
    }

    /// Lays another tree over this one: mappings merge deep, everything else replaces.
    pub fn merge(&mut self, over: ValueTree) {
        match (self, over) {
            (ValueTree::Map(under, _), ValueTree::Map(over, _)) => {
                for (key, value) in over {
                    match under.get_mut(&key) {
                        Some(existing) => existing.merge(value),
                        None => {
                            under.insert(key, value);
                        }
                    }
                }
            }
            (under, over) => *under = over,
        }
    }

    /// Returns the plain value.
    pub fn to_value(&self) -> Value {
        match self {
            ValueTree::Leaf(value, _) => value.clone(),
            ValueTree::Map(map, _) => {
                Value::Object(map.iter().map(|(k, v)| (k.clone(), v.to_value())).collect::<Map<_, _>>())
            }
        }
    }

    /// Calls a function with the dotted path, value and origin of every leaf (an empty
    /// mapping counts as one), in key order.
    pub fn leaves(&self, path: &str, visit: &mut dyn FnMut(&str, &Value, &Origin)) {
        match self {
            ValueTree::Map(map, origin) if map.is_empty() => visit(path, &Value::Object(Map::new()), origin),
            ValueTree::Map(map, _) => {
                for (key, child) in map {
                    let dotted = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    child.leaves(&dotted, visit);
                }
            }
            ValueTree::Leaf(value, origin) => visit(path, value, origin),
        }
    }

    /// Checks that a tree laid over these defaults sets only what is read, with the types
    /// that the defaults have. An empty default mapping takes any key, a null any value.
    pub fn check_fits(&self, defaults: &ValueTree, path: &str, found: &mut Violations) {
        match (self, defaults) {
            (_, ValueTree::Leaf(Value::Null, _)) => {}
            (ValueTree::Map(_, _), ValueTree::Map(open, _)) if open.is_empty() => {}
            (ValueTree::Map(over, _), ValueTree::Map(known, _)) => {
                for (key, child) in over {
                    let dotted = format!("{path}.{key}");
                    match known.get(key) {
                        Some(default) => child.check_fits(default, &dotted, found),
                        None => found.push(unread(&dotted, key, child.origin(), known)),
                    }
                }
            }
            (given, default) => {
                let (is, wanted) = (kind_of(given), kind_of(default));
                // `2` is a number too, where the default is 1.5; and a key with nothing below it
                // would take all its defaults away.
                let fits = is == wanted
                    || (is == "null" && wanted != "a mapping")
                    || (is == "an integer" && wanted == "a number");
                if !fits {
                    found.push(
                        Violation::error(format!("expected {wanted}, found {is}"))
                            .at(given.origin().clone())
                            .key(path)
                            .hint(format!("the default that gives the type stands at {}", default.origin())),
                    );
                }
            }
        }
    }
}

fn unread(path: &str, key: &str, at: &Origin, known: &BTreeMap<String, ValueTree>) -> Violation {
    let mut v = Violation::error("nothing reads this value").at(at.clone()).key(path);
    v.hint = did_you_mean(key, known.keys().map(String::as_str));
    v
}

fn kind_of(tree: &ValueTree) -> &'static str {
    match tree {
        ValueTree::Map(..) => "a mapping",
        ValueTree::Leaf(value, _) => type_name(value),
    }
}

/// Returns the word for a value's type.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
