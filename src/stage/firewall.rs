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
    let mut found = Violations::new();
    let mut refuse = |key: String, what: &str| {
        let reference = ObjectRef::of(object);
        found.push(
            Violation::error(format!("{reference} carries {what}, and must not reach Git"))
                .at(at.clone())
                .key(key)
                .hint("refer to the secret instead: a VaultStaticSecret or an ExternalSecret")
                .guard(),
        );
    };
    let mut shapes = Vec::new();
    let mut typed = false;
    walk(object, &Path::Root, false, &mut |seen| match seen {
        Seen::Secret => typed = true,
        Seen::Text(path, text, may_be_encoded) => {
            shapes.extend(shape(text, may_be_encoded).map(|shape| (path.dotted(), shape)));
        }
    });
    if typed {
        secrets(object, &Path::Root, &mut |path, field, name, _| {
            if !public.iter().any(|p| p == name) {
                refuse(dotted(&path.dotted(), &dotted(field, name)), "secret data");
            }
        });
    }
    for (key, shape) in shapes {
        refuse(key, &format!("a {shape}"));
    }
    found
}

/// Returns true if [`check`] would find nothing in a part of an object, whatever that object is.
pub fn is_clean(part: &Value, may_be_encoded: bool) -> bool {
    let mut clean = true;
    let mut typed = false;
    walk(part, &Path::Root, may_be_encoded, &mut |seen| match seen {
        Seen::Secret => typed = true,
        Seen::Text(_, text, may_be_encoded) => clean = clean && shape(text, may_be_encoded).is_none(),
    });
    if clean && typed {
        secrets(part, &Path::Root, &mut |_, _, _, _| clean = false);
    }
    clean
}

/// Returns the shape of a secret that a text holds, as it is or in base64.
fn shape(text: &str, may_be_encoded: bool) -> Option<&'static str> {
    secret_shape(text).or_else(|| {
        let decoded = may_be_encoded.then(|| decode(text)).flatten();
        decoded.as_deref().and_then(secret_shape)
    })
}

/// Returns true if a Secret in an object has data other than a mark that stands for hidden ones.
pub fn shows_secret_data(object: &Value, hidden: &str) -> bool {
    let mut shows = false;
    secrets(object, &Path::Root, &mut |_, _, _, value| shows |= value.as_str() != Some(hidden));
    shows
}

/// Where a value stands in an object. It is put into words only when something is found there.
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str, usize),
    Item(&'a Path<'a>, usize, usize),
}

impl Path<'_> {
    fn depth(&self) -> usize {
        match self {
            Path::Root => 0,
            Path::Key(_, _, depth) | Path::Item(_, _, depth) => *depth,
        }
    }

    fn dotted(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Key(above, key, _) => dotted(&above.dotted(), key),
            Path::Item(above, index, _) => dotted(&above.dotted(), &index.to_string()),
        }
    }
}

/// Returns true for the name of a field in which base64 stands by its meaning.
pub fn may_be_encoded(key: &str) -> bool {
    // Dots join the parts of a path that a patch or a reference names.
    let is_data = |part: &str| matches!(part, "data" | "binaryData");
    is_data(key) || key.bytes().any(|b| b == b'.') && key.split('.').any(is_data)
}

/// Finds the data of every Secret, the object itself or one inside it: a List, a Template or the
/// resource of another controller brings it to a cluster just as well.
fn secrets(value: &Value, path: &Path<'_>, found: &mut dyn FnMut(&Path<'_>, &str, &str, &Value)) {
    let depth = path.depth() + 1;
    if depth > MAX_DEPTH + 1 {
        return;
    }
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                secrets(item, &Path::Item(path, i, depth), found);
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
                            data.iter().for_each(|(name, value)| found(path, field, name, value));
                        }
                        // No API server takes it, but Git would.
                        Some(other) => found(path, field, "", other),
                    }
                }
            }
            for (name, item) in map {
                secrets(item, &Path::Key(path, name, depth), found);
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

/// Looks into base64, in which a Secret's data and a ConfigMap's binary data stand.
fn decode(text: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// What a walk through an object comes by.
enum Seen<'a> {
    /// A text or a key that is to be looked into, and whether base64 may stand there.
    Text(&'a Path<'a>, &'a str, bool),
    /// A map that may be a Secret.
    Secret,
}

fn walk(value: &Value, path: &Path<'_>, encoded: bool, visit: &mut dyn FnMut(Seen<'_>)) {
    let depth = path.depth() + 1;
    if depth > MAX_DEPTH + 1 {
        return;
    }
    match value {
        Value::String(text) => visit(Seen::Text(path, text, encoded)),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(item, &Path::Item(path, i, depth), encoded, visit);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                if name == "kind" && item.as_str() == Some("Secret") {
                    visit(Seen::Secret);
                }
                // A secret may hide in a key too; the key itself is then not shown.
                match secret_shape(name) {
                    Some(_) => {
                        visit(Seen::Text(path, name, encoded));
                        // Nobody looks below it here.
                        visit(Seen::Secret);
                    }
                    None => {
                        let encoded = encoded || may_be_encoded(name);
                        walk(item, &Path::Key(path, name, depth), encoded, visit);
                    }
                }
            }
        }
        _ => {}
    }
}
