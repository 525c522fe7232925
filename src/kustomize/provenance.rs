//! Where an object came from and what changed it, as `buildMetadata` shows it.

use serde_json::{Map, Value};

/// One origin or transformation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The file of an object that was read.
    pub path: String,
    /// The kustomization or configuration file of a generator or transformer.
    pub configured_in: String,
    /// `apiVersion`, `kind`, name and namespace of a generator or transformer.
    pub configured_by: Option<[String; 4]>,
}

impl Provenance {
    /// Returns the origin of an object that was read from a file.
    pub fn file(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Returns the origin of what a field of a kustomization made.
    pub fn builtin(kustomization: &str, kind: &str) -> Self {
        let by = ["builtin".to_owned(), kind.to_owned(), String::new(), String::new()];
        Self { configured_in: kustomization.to_owned(), configured_by: Some(by), ..Self::default() }
    }

    fn value(&self) -> Value {
        let mut map = Map::new();
        let set = |map: &mut Map<String, Value>, key: &str, text: &str| {
            if !text.is_empty() {
                map.insert(key.to_owned(), Value::String(text.to_owned()));
            }
        };
        set(&mut map, "path", &self.path);
        set(&mut map, "configuredIn", &self.configured_in);
        if let Some([api_version, kind, name, namespace]) = &self.configured_by {
            let mut by = Map::new();
            set(&mut by, "apiVersion", api_version);
            set(&mut by, "kind", kind);
            set(&mut by, "name", name);
            set(&mut by, "namespace", namespace);
            map.insert("configuredBy".into(), Value::Object(by));
        }
        Value::Object(map)
    }
}

/// Prints an origin as its annotation holds it.
pub fn origin_text(origin: &Provenance) -> String {
    yaml_in_declared_order(&[origin.value()], false)
}

/// Prints transformations as their annotation holds them.
pub fn transformations_text(all: &[Provenance]) -> String {
    let values: Vec<Value> = all.iter().map(Provenance::value).collect();
    yaml_in_declared_order(&values, true)
}

/// The annotation's text keeps the order path, configuredIn, configuredBy (with
/// apiVersion, kind, name, namespace inside).
fn yaml_in_declared_order(values: &[Value], list: bool) -> String {
    let mut out = String::new();
    for value in values {
        let mut first = list;
        let mut line = |out: &mut String, text: &str| {
            let lead = match (list, first) {
                (true, true) => "- ",
                (true, false) => "  ",
                _ => "",
            };
            first = false;
            out.push_str(lead);
            out.push_str(text);
            out.push('\n');
        };
        for key in ["path", "configuredIn"] {
            if let Some(text) = value.get(key) {
                line(&mut out, &entry(key, text));
            }
        }
        if let Some(by) = value.get("configuredBy") {
            line(&mut out, "configuredBy:");
            for key in ["apiVersion", "kind", "name", "namespace"] {
                if let Some(text) = by.get(key) {
                    line(&mut out, &format!("  {}", entry(key, text)));
                }
            }
        }
    }
    out
}

fn entry(key: &str, text: &Value) -> String {
    format!("{key}: {}", crate::yaml::write(text).trim_end())
}
