//! JSON patches (RFC 6902), as the library that kustomize uses carries them out.

use crate::error::{Origin, Violation};
use crate::kustomize::text::type_name;
use crate::yaml::{Node, Schema};
use serde_json::{Number, Value};
use std::sync::Arc;

/// One operation and where it is written.
#[derive(Clone, Debug)]
pub struct Operation {
    kind: Kind,
    path: String,
    from: String,
    value: Value,
    /// Where it is written.
    pub at: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

/// Reads the operations of a JSON patch.
///
/// # Errors
/// Something in it is no operation.
pub fn read_operations(node: &Node, file: &Arc<str>) -> Result<Vec<Operation>, Vec<Violation>> {
    let (mut operations, mut wrong) = (Vec::new(), Vec::new());
    for item in node.items() {
        match operation(item, file) {
            Ok(operation) => operations.push(operation),
            Err(violation) => wrong.push(*violation),
        }
    }
    if wrong.is_empty() { Ok(operations) } else { Err(wrong) }
}

fn operation(node: &Node, file: &Arc<str>) -> Result<Operation, Box<Violation>> {
    let at = Origin::at(file.clone(), node.at.line, node.at.column);
    let wrong = |message: String| Box::new(Violation::error(message).at(at.clone()));
    let text = |key: &str| node.get(key).and_then(Node::text);
    let word = text("op").ok_or_else(|| wrong("an operation of a JSON patch has no `op`".to_owned()))?;
    let kind = match word {
        "add" => Kind::Add,
        "remove" => Kind::Remove,
        "replace" => Kind::Replace,
        "move" => Kind::Move,
        "copy" => Kind::Copy,
        "test" => Kind::Test,
        other => {
            let known = ["add", "remove", "replace", "move", "copy", "test"];
            let mut violation = wrong(format!("`{other}` is not an operation of a JSON patch"));
            violation.hint = crate::suggest::did_you_mean(other, known);
            return Err(violation);
        }
    };
    let need = |key: &str| {
        text(key).map(str::to_owned).ok_or_else(|| wrong(format!("the operation `{word}` has no `{key}`")))
    };
    let path = need("path")?;
    let from = if matches!(kind, Kind::Move | Kind::Copy) { need("from")? } else { String::new() };
    let value = match node.get("value") {
        Some(value) => value.to_value(Schema::Kubectl).map_err(|e| Box::new(e.in_file(file)))?,
        None => Value::Null,
    };
    Ok(Operation { kind, path, from, value, at })
}

/// Carries out the operations on an object, one after the other.
///
/// # Errors
/// The place of the operation that could not be carried out, its path, and why.
pub fn apply(operations: &[Operation], object: &mut Value) -> Result<(), (Origin, String, String)> {
    for operation in operations {
        operation.apply(object).map_err(|why| (operation.at.clone(), operation.path.clone(), why))?;
    }
    as_json(object);
    Ok(())
}

impl Operation {
    fn apply(&self, object: &mut Value) -> Result<(), String> {
        match self.kind {
            Kind::Add => add(object, &self.path, self.value.clone()),
            Kind::Remove => remove(object, &self.path).map(drop),
            Kind::Replace => self.replace(object),
            Kind::Move => {
                let value = remove(object, &self.from)?;
                add(object, &self.path, value)
            }
            Kind::Copy => {
                let value = find(object, &self.from)?.unwrap_or(Value::Null);
                add(object, &self.path, value)
            }
            Kind::Test => self.test(object),
        }
    }

    /// Sets a field, or the whole object; a field that is not there is made, against the
    /// standard but as the library does it.
    fn replace(&self, object: &mut Value) -> Result<(), String> {
        if self.path.is_empty() {
            if !self.value.is_object() {
                return Err(format!("an object cannot become {}", type_name(&self.value)));
            }
            *object = self.value.clone();
            return Ok(());
        }
        let (path, last) = split(&self.path)?;
        match parent(object, &path)? {
            Value::Object(map) => {
                map.insert(last, self.value.clone());
            }
            items => *child(items, &last)? = self.value.clone(),
        }
        Ok(())
    }

    fn test(&self, object: &mut Value) -> Result<(), String> {
        // A missing field equals null.
        let found = match self.path.as_str() {
            "" => object.clone(),
            path => find(object, path)?.unwrap_or(Value::Null),
        };
        if equal(&found, &self.value) {
            return Ok(());
        }
        Err(format!("the test failed: there is {} of another value", type_name(&found)))
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(x, y)| equal(x, y)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

/// Splits a pointer into the path to the parent and the last key.
fn split(pointer: &str) -> Result<(Vec<String>, String), String> {
    let mut parts = pointer.split('/').map(|p| p.replace("~1", "/").replace("~0", "~"));
    // What stands before the first slash is passed over.
    parts.next();
    let mut parts: Vec<String> = parts.collect();
    match parts.pop() {
        Some(last) => Ok((parts, last)),
        None => Err("the path names the whole object; name a field, as `/spec`".to_owned()),
    }
}

fn parent<'v>(object: &'v mut Value, path: &[String]) -> Result<&'v mut Value, String> {
    let mut at = object;
    for part in path {
        at = child(at, part)?;
    }
    Ok(at)
}

fn child<'v>(value: &'v mut Value, key: &str) -> Result<&'v mut Value, String> {
    match value {
        Value::Object(map) => map.get_mut(key).ok_or_else(|| format!("there is no field `{key}`")),
        Value::Array(items) => {
            let place = index(key, items.len())?;
            let length = items.len();
            items.get_mut(place).ok_or_else(|| format!("there is no item {place}, the list has {length}"))
        }
        other => Err(format!("there is {} where `{key}` should be", type_name(other))),
    }
}

/// Reads an index; a negative one counts from the end.
fn index(key: &str, length: usize) -> Result<usize, String> {
    let wanted: i64 = key.parse().map_err(|_| format!("`{key}` is not a place in a list"))?;
    let place = if wanted < 0 { wanted + length as i64 } else { wanted };
    usize::try_from(place).map_err(|_| format!("there is no item {wanted}, the list has {length}"))
}

/// Returns what stands at a pointer; none if only the last field is missing.
fn find(object: &mut Value, pointer: &str) -> Result<Option<Value>, String> {
    let (path, last) = split(pointer)?;
    match parent(object, &path)? {
        Value::Object(map) => Ok(map.get(&last).cloned()),
        items => child(items, &last).map(|v| Some(v.clone())),
    }
}

fn add(object: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let (path, last) = split(pointer)?;
    match parent(object, &path)? {
        Value::Object(map) => {
            map.insert(last, value);
            Ok(())
        }
        Value::Array(items) if last == "-" => {
            items.push(value);
            Ok(())
        }
        Value::Array(items) => {
            // A negative place counts in the list as it will be.
            let place = index(&last, items.len() + 1)?;
            if place > items.len() {
                return Err(format!("there is no place {place}, the list has {} items", items.len()));
            }
            items.insert(place, value);
            Ok(())
        }
        other => Err(format!("there is {} where `{last}` should be added", type_name(other))),
    }
}

fn remove(object: &mut Value, pointer: &str) -> Result<Value, String> {
    let (path, last) = split(pointer)?;
    match parent(object, &path)? {
        Value::Object(map) => {
            map.remove(&last).ok_or_else(|| format!("there is no field `{last}` to remove"))
        }
        Value::Array(items) => {
            let place = index(&last, items.len())?;
            if place >= items.len() {
                return Err(format!("there is no item {place}, the list has {}", items.len()));
            }
            Ok(items.remove(place))
        }
        other => Err(format!("there is {} where `{last}` should be removed", type_name(other))),
    }
}

/// Gives numbers the precision they have after a way through Go's JSON, where all of them
/// are floats.
fn as_json(value: &mut Value) {
    match value {
        Value::Number(number) => {
            const EXACT: u64 = 1 << 53;
            let large = number.as_i64().map_or_else(|| number.as_u64(), |n| Some(n.unsigned_abs()));
            if large.is_some_and(|n| n > EXACT)
                && let Some(rounded) = number.as_f64().and_then(Number::from_f64)
            {
                *number = rounded;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_json),
        Value::Object(map) => map.values_mut().for_each(as_json),
        _ => {}
    }
}
