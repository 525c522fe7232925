//! Scalars as text, and the texts that name fields.

use serde_json::Value;
use std::borrow::Cow;

/// Returns a scalar as it would be written; nothing for lists and maps.
pub fn scalar_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(s) => Cow::Borrowed(s),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Number(n) => Cow::Owned(number_text(n)),
        Value::Null => Cow::Borrowed("null"),
        Value::Array(_) | Value::Object(_) => Cow::Borrowed(""),
    }
}

/// Prints a number as the writer would: whole floats without a fraction.
fn number_text(number: &serde_json::Number) -> String {
    if number.is_f64() {
        crate::yaml::write(&Value::Number(number.clone())).trim_end().to_owned()
    } else {
        number.to_string()
    }
}

/// Returns true for strings, numbers, booleans and null.
pub fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// Returns true for what counts as "nothing there": null, `{}` and `[]`.
pub fn is_null_or_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(m) => m.is_empty(),
        Value::Array(a) => a.is_empty(),
        _ => false,
    }
}

/// Returns the name of a value's type, for messages.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Splits a field path at a delimiter that a backslash may escape; a leading delimiter is
/// left out.
pub fn split_path(path: &str, delimiter: char) -> Vec<String> {
    let mut parts: Vec<&str> = path.split(delimiter).collect();
    if parts.len() > 1 && parts[0].is_empty() {
        parts.remove(0);
    }
    let mut result: Vec<String> = Vec::with_capacity(parts.len());
    for part in parts {
        match result.last_mut().filter(|last| last.ends_with('\\')) {
            Some(last) => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            None => result.push(part.to_owned()),
        }
    }
    result
}

/// Splits a dotted field path, keeping what stands in brackets together:
/// `spec.containers.[name=a.b].image`.
pub fn split_field_path(path: &str) -> Vec<String> {
    let mut result = Vec::new();
    let mut parts = split_path(path, '.').into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            result.push(part);
            continue;
        }
        let mut bracketed = part;
        for next in parts.by_ref() {
            bracketed.push('.');
            bracketed.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        let keep = bracketed.contains('=');
        result.push(if keep {
            bracketed
        } else {
            bracketed.trim_matches(|c| c == '[' || c == ']').to_owned()
        });
    }
    result
}
