//! From a YAML tree to a type: every problem at once, each with its place.
//!
//! The JSON Schema that `hydrant schema` prints is the one that is checked here; it is
//! generated from the type, so the three cannot drift apart.

use crate::error::{Origin, Violation, Violations};
use crate::suggest::did_you_mean;
use crate::yaml::{Node, Schema};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// A schema, compiled, with its text for hints.
#[derive(Debug)]
pub struct Checker {
    schema: Value,
    validator: Validator,
}

impl Checker {
    /// Compiles a schema (draft-07).
    ///
    /// # Errors
    /// A schema that is none.
    pub fn new(schema: Value) -> Result<Self, Violation> {
        let validator = jsonschema::draft7::options()
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|e| Violation::error(format!("this is no JSON Schema: {}", e.masked())))?;
        Ok(Self { schema, validator })
    }

    /// Checks a document and gives it its type.
    ///
    /// # Errors
    /// Every violation of the schema.
    pub fn read<T: DeserializeOwned>(&self, node: &Node, file: &Arc<str>) -> Result<T, Violations> {
        let value = node.to_value(Schema::Kubectl).map_err(|e| vec![e.in_file(file)])?;
        let found = self.violations(node, &value, file);
        if !found.is_empty() {
            return Err(found);
        }
        serde_json::from_value(value).map_err(|e| {
            vec![
                Violation::error(format!("the document does not fit its type: {e}"))
                    .at(Origin::file(file.clone())),
            ]
        })
    }

    /// Returns every violation of a value that has no tree with places, keys relative to it.
    pub fn plain_violations(&self, value: &Value) -> Violations {
        let mut found = Violations::new();
        for error in self.validator.iter_errors(value) {
            let key = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
            let join = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    let known = known_keys(&self.schema, &error);
                    for name in unexpected {
                        let mut v = Violation::error("this key is not known here").key(join(name));
                        v.hint = did_you_mean(name, known.iter().map(String::as_str));
                        found.push(v);
                    }
                }
                ValidationErrorKind::Required { property } => {
                    let name = property.as_str().unwrap_or_default();
                    found.push(Violation::error("this key is required and missing").key(join(name)));
                }
                ValidationErrorKind::Type { kind } => {
                    found.push(Violation::error(type_message(kind, error.instance())).key(key));
                }
                _ => found.push(Violation::error(error.masked().to_string()).key(key)),
            }
        }
        found
    }

    /// Returns every violation, in the order of the file.
    pub fn violations(&self, node: &Node, value: &Value, file: &Arc<str>) -> Violations {
        let mut found = Vec::new();
        for error in self.validator.iter_errors(value) {
            describe(&self.schema, node, file, &error, &mut found);
        }
        found.sort_by(|a: &Violation, b: &Violation| a.at.cmp(&b.at).then_with(|| a.cmp(b)));
        found.dedup();
        found
    }
}

fn describe(
    schema: &Value,
    root: &Node,
    file: &Arc<str>,
    error: &ValidationError<'_>,
    found: &mut Violations,
) {
    let pointer = error.instance_path().as_str().to_owned();
    let node = root.nearest(&pointer);
    let key = pointer.trim_start_matches('/').replace('/', ".");
    let place = |n: &Node| Origin::at(file.clone(), n.at.line, n.at.column);
    let join = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    let mut v = Violation::error("").at(place(node));
    if !key.is_empty() {
        v.key = Some(key.clone());
    }
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_keys(schema, error);
            for name in unexpected {
                let entry = node.entry(name);
                let at = entry.map_or_else(
                    || place(node),
                    |e| Origin::at(file.clone(), e.key_at.line, e.key_at.column),
                );
                let mut v = Violation::error("this key is not known here").at(at).key(join(name));
                v.hint = did_you_mean(name, known.iter().map(String::as_str));
                found.push(v);
            }
            return;
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            v.key = Some(join(name));
            v.message = "this key is required and missing".into();
        }
        ValidationErrorKind::Type { kind } => {
            v.message = type_message(kind, error.instance());
            v.hint = quote_hint(node, kind, pointer.rsplit('/').next().unwrap_or(""));
        }
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::OneOfNotValid { .. }
            if !allowed_words(schema, error).is_empty() =>
        {
            let words = allowed_words(schema, error);
            v.message = format!("expected one of {}", words.join(", "));
            v.hint = node.text().and_then(|t| did_you_mean(t, words)).filter(|h| h.starts_with("did"));
        }
        ValidationErrorKind::Pattern { pattern } => {
            v.message = format!("`{}` does not match {pattern}", shown(node));
            v.hint = blanks_hint(node).or_else(|| in_words(pattern).map(str::to_owned));
        }
        ValidationErrorKind::MinLength { .. } => v.message = "must not be empty".into(),
        ValidationErrorKind::MaxLength { limit } => {
            v.message = format!("must not be longer than {limit} characters")
        }
        ValidationErrorKind::MinItems { limit } => v.message = format!("needs at least {limit} item(s)"),
        ValidationErrorKind::Minimum { limit } => v.message = format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => v.message = format!("must be at most {limit}"),
        ValidationErrorKind::Format { format } => {
            v.message = format!("`{}` is no {format}", shown(node));
            if format == "uri" {
                v.hint =
                    Some("write the whole address, as in https://git.example/platform/gitops.git".into());
            }
        }
        _ => v.message = crate::redact::redact(&error.masked().to_string()).into_owned(),
    }
    found.push(v);
}

/// Returns the words that the schema allows where another stood; none if it allows more than words.
fn allowed_words<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Vec<&'s str> {
    let listed = schema.pointer(error.schema_path().as_str()).and_then(Value::as_array);
    let mut words = Vec::new();
    for option in listed.into_iter().flatten() {
        match option {
            Value::String(word) => words.push(word.as_str()),
            // Each word with its own description.
            Value::Object(map) => match (map.get("const"), map.get("enum").and_then(Value::as_array)) {
                (Some(Value::String(word)), _) => words.push(word),
                (_, Some(several)) => words.extend(several.iter().filter_map(Value::as_str)),
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        }
    }
    words
}

/// Returns the keys that the schema knows where an unknown one stood.
fn known_keys(schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
    let path = error.schema_path().as_str();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(&format!("{parent}/properties")).and_then(Value::as_object);
    properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
}

/// Says which type was expected, and which stands there.
pub fn type_message(kind: &TypeKind, instance: &Value) -> String {
    format!("expected {}, found {}", wanted(kind), found_type(instance))
}

fn wanted(kind: &TypeKind) -> String {
    let name = |t: jsonschema::JsonType| match t {
        jsonschema::JsonType::Array => "a list",
        jsonschema::JsonType::Boolean => "a boolean",
        jsonschema::JsonType::Integer => "an integer",
        jsonschema::JsonType::Null => "null",
        jsonschema::JsonType::Number => "a number",
        jsonschema::JsonType::Object => "a mapping",
        jsonschema::JsonType::String => "a string",
    };
    match kind {
        TypeKind::Single(t) => name(*t).to_owned(),
        TypeKind::Multiple(types) => types
            .iter()
            .filter(|t| *t != jsonschema::JsonType::Null)
            .map(name)
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn found_type(value: &Value) -> &'static str {
    crate::model::values::type_name(value)
}

/// Tells what YAML made of an unquoted text that was meant as a string.
fn quote_hint(node: &Node, kind: &TypeKind, key: &str) -> Option<String> {
    let scalar = node.scalar().filter(|s| s.plain)?;
    let wants_string = match kind {
        TypeKind::Single(t) => *t == jsonschema::JsonType::String,
        TypeKind::Multiple(types) => types.iter().any(|t| t == jsonschema::JsonType::String),
    };
    if !wants_string || scalar.text.is_empty() {
        return None;
    }
    let lost = match scalar.text.parse::<f64>() {
        Ok(f) if scalar.text.contains('.') && f.to_string() != scalar.text => {
            format!("YAML reads {} without quotes as the number {f}; ", scalar.text)
        }
        _ => String::new(),
    };
    Some(format!("{lost}put it in quotes: {key}: \"{}\"", scalar.text))
}

/// Says what a pattern of ours wants.
fn in_words(pattern: &str) -> Option<&'static str> {
    Some(match pattern {
        "^[a-z0-9-]+$" => "write lower-case letters, digits and `-`",
        "^[a-z0-9.-]+$" => "write a domain in lower case",
        "^[0-9]{12}$" => "write the 12 digits of the account, in quotes",
        "^Z[A-Z0-9]+$" => "write the zone's id, as in Z0123456789ABC",
        _ => return None,
    })
}

fn blanks_hint(node: &Node) -> Option<String> {
    let text = node.text()?;
    (text != text.trim()).then(|| "remove the blanks around it".to_owned())
}

fn shown(node: &Node) -> String {
    let text = node.text().unwrap_or("this");
    let short: String = text.chars().take(60).collect();
    crate::redact::redact(&short).into_owned()
}
