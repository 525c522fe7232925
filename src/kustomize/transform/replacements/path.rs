//! Paths to fields: `spec.containers.[name=app].env.0.value`, `spec.*.x`.

use crate::kustomize::text::{is_scalar, scalar_text, split_field_path, type_name};
use regex::Regex;
use serde_json::{Map, Value};

/// A compiled path.
#[derive(Clone, Debug, Default)]
pub struct FieldPath {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Field(String),
    Index(usize),
    /// `-`: the last item, where a value is read.
    Last,
    /// `*`: every item, where a value is written.
    Every,
    /// `[key=value]` and `[=value]`: the items that have the key, or are the text.
    Item {
        key: String,
        text: String,
        pattern: Regex,
    },
}

impl FieldPath {
    /// Compiles a path.
    ///
    /// # Errors
    /// Something in brackets is no `key=value`, or its value no regular expression.
    pub fn new(text: &str) -> Result<Self, String> {
        let parts = split_field_path(text).iter().map(|p| part(p)).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Returns the path as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the field, if it exists.
    ///
    /// # Errors
    /// The path leads through a value of another type.
    pub fn get<'v>(&self, object: &'v Value) -> Result<Option<&'v Value>, String> {
        let mut at = object;
        for part in &self.parts {
            let next = match (part, at) {
                (_, Value::Null) => None,
                (Part::Field(name), _) if name.trim().is_empty() => Some(at),
                (Part::Field(name), Value::Object(map)) => map.get(name.trim()),
                (Part::Index(i), Value::Array(items)) => items.get(*i),
                (Part::Last, Value::Array(items)) => items.last(),
                (Part::Item { key, text, .. }, Value::Array(items)) => {
                    items.iter().find(|item| is_item(item, key, text))
                }
                (Part::Every, _) => return Err("`*` cannot stand in the path of a source".to_owned()),
                (_, other) => return Err(format!("the path leads through {}", type_name(other))),
            };
            match next {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Changes all fields that match; returns how many. `make` is the value for whose sake
    /// missing fields are made; `set` is told whether the field was made.
    ///
    /// # Errors
    /// The path leads through a value of another type, or the change fails.
    pub fn change(
        &self,
        object: &mut Value,
        make: Option<&Value>,
        set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
    ) -> Result<usize, String> {
        walk(&self.parts, object, make, false, set)
    }
}

fn part(text: &str) -> Result<Part, String> {
    if let Ok(index) = text.parse::<i64>() {
        return usize::try_from(index)
            .map(Part::Index)
            .map_err(|_| format!("the place {index} in a list is negative"));
    }
    match text {
        "*" => return Ok(Part::Every),
        "-" => return Ok(Part::Last),
        _ => {}
    }
    let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
        return Ok(Part::Field(text.to_owned()));
    };
    let (key, value) = inner
        .split_once('=')
        .ok_or_else(|| format!("`{text}` chooses no item of a list: write `[key=value]`"))?;
    let pattern =
        Regex::new(value).map_err(|_| format!("`{value}` in `{text}` is not a regular expression"))?;
    Ok(Part::Item { key: key.to_owned(), text: value.to_owned(), pattern })
}

fn is_item(item: &Value, key: &str, text: &str) -> bool {
    if key.is_empty() {
        return is_scalar(item) && scalar_text(item) == text;
    }
    item.get(key).is_some_and(|v| scalar_text(v) == text)
}

/// Returns what is made where a field is missing: a list above an item, else a map, and at
/// the end something of the value's own type.
fn fresh(rest: &[Part], make: &Value) -> Value {
    match rest.first() {
        Some(Part::Item { .. } | Part::Index(_)) => Value::Array(Vec::new()),
        Some(_) => Value::Object(Map::new()),
        None => match make {
            Value::Object(_) => Value::Object(Map::new()),
            Value::Array(_) => Value::Array(Vec::new()),
            _ => Value::String(String::new()),
        },
    }
}

fn walk(
    parts: &[Part],
    value: &mut Value,
    make: Option<&Value>,
    made: bool,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    let Some((part, rest)) = parts.split_first() else {
        set(value, made)?;
        return Ok(1);
    };
    // What kustomize makes below a null, it does not keep: the null stays, and counts as found.
    if value.is_null() && make.is_some() && !matches!(part, Part::Every) {
        return Ok(1);
    }
    match part {
        Part::Field(name) => field(name, rest, value, make, set),
        Part::Last => field("-", rest, value, make, set),
        Part::Index(i) => {
            let items = items(value)?;
            let mut made = false;
            if let (true, Some(make)) = (items.len() == *i, make) {
                items.push(fresh(rest, make));
                made = true;
            }
            let length = items.len();
            let item =
                items.get_mut(*i).ok_or_else(|| format!("there is no item {i}, the list has {length}"))?;
            walk(rest, item, make, made, set)
        }
        Part::Every => {
            items(value)?.iter_mut().try_fold(0, |n, item| Ok(n + walk(rest, item, make, false, set)?))
        }
        Part::Item { key, text, pattern } => {
            let items = items(value)?;
            let found = matching(items, key, pattern, rest, make, set)?;
            let Some(_) = make.filter(|_| found == 0) else { return Ok(found) };
            items.push(if key.is_empty() {
                super::typed(text)
            } else {
                Value::Object([(key.clone(), super::typed(text))].into_iter().collect())
            });
            matching(items, key, pattern, rest, make, set)
        }
    }
}

fn field(
    name: &str,
    rest: &[Part],
    value: &mut Value,
    make: Option<&Value>,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return Ok(0),
        other => return Err(format!("the path leads through {} at `{name}`", type_name(other))),
    };
    let mut made = false;
    if !map.contains_key(name) {
        let Some(make) = make else { return Ok(0) };
        map.insert(name.to_owned(), fresh(rest, make));
        made = true;
    }
    match map.get_mut(name) {
        Some(field) => walk(rest, field, make, made && rest.is_empty(), set),
        None => Ok(0),
    }
}

fn items(value: &mut Value) -> Result<&mut Vec<Value>, String> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(format!("the path wants a list where there is {}", type_name(other))),
    }
}

fn matching(
    items: &mut [Value],
    key: &str,
    pattern: &Regex,
    rest: &[Part],
    make: Option<&Value>,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    let mut found = 0;
    for item in items {
        let text = if key.is_empty() { Some(shown(item)) } else { item.get(key).map(shown) };
        if text.is_some_and(|t| pattern.is_match(&t)) {
            let rest = if key.is_empty() { &[][..] } else { rest };
            found += walk(rest, item, make, false, set)?;
        }
    }
    Ok(found)
}

/// Returns a value as YAML would show it, which is what the pattern is matched with.
fn shown(value: &Value) -> String {
    crate::yaml::write(value).trim().to_owned()
}
