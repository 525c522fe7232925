//! The secret firewall: no manifest that carries secret data becomes a commit.
//!
//! It names the kind of secret, the object and the key, never the value.

use crate::error::{Origin, Violation, Violations};
use crate::model::unit::ObjectRef;
use crate::redact::secret_shape;
use serde_json::Value;

/// Manifests come from bounded YAML; the bound here only keeps the stack safe.
const MAX_DEPTH: usize = 200;

/// Returns a violation for each piece of secret data in an object. Keys in `public` were
/// declared by the component not to be secret.
pub fn check(object: &Value, at: &Origin, public: &[String]) -> Violations {
    let reference = ObjectRef::of(object);
    let mut found = Violations::new();
    let refuse = |key: &str, what: String| {
        Violation::error(format!("{reference} carries {what}, and must not reach Git"))
            .at(at.clone())
            .key(key)
            .hint("refer to the secret instead: a VaultStaticSecret or an ExternalSecret")
            .guard()
    };
    secrets(object, "", 0, &mut |key, field, name, _| {
        if !public.iter().any(|p| p == name) {
            found.push(refuse(&dotted(key, &dotted(field, name)), "secret data".into()));
        }
    });
    walk(object, "", 0, &mut |key, text| {
        let decoded = may_be_encoded(key).then(|| decode(text)).flatten();
        let shape = secret_shape(text).or_else(|| decoded.as_deref().and_then(secret_shape));
        if let Some(shape) = shape {
            found.push(refuse(key, format!("a {shape}")));
        }
    });
    found
}

/// Returns true if a Secret in an object has data other than a mark that stands for hidden ones.
pub fn shows_secret_data(object: &Value, hidden: &str) -> bool {
    let mut shows = false;
    secrets(object, "", 0, &mut |_, _, _, value| shows |= value.as_str() != Some(hidden));
    shows
}

/// Finds the data of every Secret, the object itself or one inside it: a List, a Template or the
/// resource of another controller brings it to a cluster just as well.
fn secrets(value: &Value, key: &str, depth: usize, found: &mut dyn FnMut(&str, &str, &str, &Value)) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                secrets(item, &dotted(key, &i.to_string()), depth + 1, found);
            }
        }
        Value::Object(map) => {
            let kind = map.get("kind").and_then(Value::as_str);
            let api = map.get("apiVersion").and_then(Value::as_str);
            if kind == Some("Secret") && api.is_none_or(|api| !api.contains('/')) {
                for field in ["data", "stringData"] {
                    match map.get(field) {
                        None | Some(Value::Null) => {}
                        Some(Value::Object(data)) => {
                            data.iter().for_each(|(name, value)| found(key, field, name, value));
                        }
                        // No API server takes it, but Git would.
                        Some(other) => found(key, field, "", other),
                    }
                }
            }
            for (name, item) in map {
                secrets(item, &dotted(key, name), depth + 1, found);
            }
        }
        _ => {}
    }
}

fn dotted(above: &str, part: &str) -> String {
    match (above.is_empty(), part.is_empty()) {
        (true, _) => part.to_owned(),
        (_, true) => above.to_owned(),
        _ => format!("{above}.{part}"),
    }
}

/// Returns true where base64 stands by the field's meaning.
fn may_be_encoded(key: &str) -> bool {
    key.split('.').any(|part| matches!(part, "data" | "binaryData"))
}

/// Looks into base64, in which a Secret's data and a ConfigMap's binary data stand.
fn decode(text: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

fn walk(value: &Value, key: &str, depth: usize, visit: &mut dyn FnMut(&str, &str)) {
    if depth > MAX_DEPTH {
        return;
    }
    let below = |part: &str| dotted(key, part);
    match value {
        Value::String(text) => visit(key, text),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(item, &below(&i.to_string()), depth + 1, visit);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                // A secret may hide in a key too; the key itself is then not shown.
                match secret_shape(name) {
                    Some(_) => visit(key, name),
                    None => walk(item, &below(name), depth + 1, visit),
                }
            }
        }
        _ => {}
    }
}
