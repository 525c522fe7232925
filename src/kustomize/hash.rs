//! The hash that names of generated ConfigMaps and Secrets end in, exactly as kustomize
//! computes it: SHA-256 of a JSON form, ten hex digits, with signs that spell nothing.

use super::gvk::Identified as _;
use super::resource::Resource;
use super::resources::Resources;
use super::text::{is_scalar, scalar_text};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Adds the hash to the names that need one.
pub fn add_hashes(resources: &mut Resources) {
    if !resources.list().iter().any(|r| r.needs_hash) {
        return;
    }
    for resource in resources.list_mut().iter_mut().filter(|r| r.needs_hash) {
        let name = format!("{}-{}", resource.value.name(), hash(resource));
        resource.remember_id();
        resource.set_name(name);
    }
}

/// Returns the hash of an object's content.
pub fn hash(resource: &Resource) -> String {
    let object = &resource.value;
    let part = |key: &str| match object.get(key) {
        None => Value::String(String::new()),
        Some(value) if is_scalar(value) => Value::String(scalar_text(value).into_owned()),
        Some(value) => value.clone(),
    };
    // kustomize looks the name up by a path it then takes for one key, and finds none: the
    // hash does not depend on the name.
    let name = "";
    let mut content = match object.kind().as_ref() {
        "ConfigMap" => json!({"kind": "ConfigMap", "name": name, "data": part("data")}),
        "Secret" => json!({"kind": "Secret", "type": part("type"), "name": name, "data": part("data")}),
        _ => object.clone(),
    };
    let more = if object.kind() == "ConfigMap" { "binaryData" } else { "stringData" };
    if let (Value::Object(map), Some(value @ Value::Object(_))) = (&mut content, object.get(more)) {
        map.insert(more.to_owned(), value.clone());
    }
    let digest = Sha256::digest(go_json(&content).as_bytes());
    digest.iter().flat_map(|b| [b >> 4, b & 15]).take(10).map(spell).collect()
}

/// Returns a hex digit with another sign where vowels and look-alikes could spell words.
fn spell(digit: u8) -> char {
    match char::from_digit(u32::from(digit), 16).unwrap_or('0') {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}

/// Prints JSON as Go does: `<`, `>` and `&` escaped, all numbers as floats.
fn go_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => write_map(map, out),
        other => out.push_str(&scalar_text(other)),
    }
}

fn write_map(map: &Map<String, Value>, out: &mut String) {
    out.push('{');
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
