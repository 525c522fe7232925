//! The secret firewall: no manifest that carries secret data becomes a commit.
//!
//! It names the kind of secret, the object and the key, never the value.

use crate::error::{Origin, Violation, Violations};
use crate::model::unit::ObjectRef;
use crate::redact::secret_shape;
use serde_json::Value;

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
    let is_secret = reference.kind == "Secret" && reference.group.is_empty();
    if is_secret {
        for field in ["data", "stringData"] {
            let Some(Value::Object(data)) = object.get(field) else { continue };
            for key in data.keys().filter(|key| !public.contains(key)) {
                found.push(refuse(&format!("{field}.{key}"), "secret data".into()));
            }
        }
    }
    walk(object, "", 0, &mut |key, text| {
        let decoded = is_secret.then(|| decode(text)).flatten();
        let shape = secret_shape(text).or_else(|| decoded.as_deref().and_then(secret_shape));
        if let Some(shape) = shape {
            found.push(refuse(key, format!("a {shape}")));
        }
    });
    found
}

/// Looks into base64, in which a Secret's data stand.
fn decode(text: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

fn walk(value: &Value, key: &str, depth: usize, visit: &mut dyn FnMut(&str, &str)) {
    // Manifests come from bounded YAML; the bound here only keeps the stack safe.
    if depth > 200 {
        return;
    }
    let below = |part: &str| if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") };
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
