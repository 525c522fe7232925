//! One failed check → words: the object, its unit, the field, and the near miss.

use super::schema::Step;
use super::{Type, TypeName};
use crate::definition::checked::type_message;
use crate::error::{Origin, Violation, Violations};
use crate::model::unit::ObjectRef;
use crate::redact::redact;
use crate::suggest::did_you_mean;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::LocationSegment;
use serde_json::Value;
use std::sync::Arc;

/// What a check was about.
pub(super) struct About<'a> {
    pub object: &'a Value,
    pub unit: &'a str,
    pub name: &'a TypeName,
    pub file: &'a Arc<str>,
    pub at: &'a Origin,
}

impl About<'_> {
    fn problem(&self, key: String, message: &str) -> Violation {
        let message = format!(
            "{message} ({}, unit {}, type {} {} of {})",
            ObjectRef::of(self.object),
            self.unit,
            self.name.api_version(),
            self.name.kind,
            self.file
        );
        let v = Violation::error(redact(&message)).at(self.at.clone());
        if key.is_empty() { v } else { v.key(redact(&key)) }
    }
}

/// Adds what one failed check means.
pub(super) fn describe(error: &ValidationError<'_>, known: &Type, about: &About<'_>, found: &mut Violations) {
    let path = error.instance_path();
    let key = field_path(path.segments());
    let join = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}{}", field(name)) };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            unknown(unexpected.iter().map(String::as_str), error, known, about, found)
        }
        // An object that may have no field at all.
        Kind::MaxProperties { limit: 0 } => {
            let fields = error.instance().as_object().into_iter().flatten();
            unknown(fields.map(|(name, _)| name.as_str()), error, known, about, found);
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            found.push(about.problem(join(name), "this field is required and missing"));
        }
        Kind::Type { kind } => found.push(about.problem(key, &type_message(kind, error.instance()))),
        Kind::Enum { options } => {
            let words: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let mut v = about.problem(key, &format!("expected one of {}", words.join(", ")));
            v.hint = error
                .instance()
                .as_str()
                .and_then(|text| did_you_mean(text, words))
                .filter(|h| h.starts_with("did"));
            found.push(v);
        }
        Kind::Pattern { pattern } => found.push(about.problem(key, &format!("does not match {pattern}"))),
        // Masked: the value of a field may be a secret.
        _ => found.push(about.problem(key, &error.masked().to_string())),
    }
}

fn unknown<'n>(
    names: impl Iterator<Item = &'n str>,
    error: &ValidationError<'_>,
    known: &Type,
    about: &About<'_>,
    found: &mut Violations,
) {
    let path = error.instance_path();
    let steps: Vec<Named> = path
        .segments()
        .map(|segment| match segment {
            LocationSegment::Property(name) => Named::Field(name.into_owned()),
            LocationSegment::Index(_) => Named::Item,
        })
        .collect();
    let fields = known.fields_at(steps.iter().map(Named::step));
    let before = field_path(path.segments());
    for name in names {
        let key = format!("{before}{}", field(name));
        let mut v = about.problem(key.trim_start_matches('.').to_owned(), "the type has no such field");
        v.hint = did_you_mean(name, fields.iter().copied());
        found.push(v);
    }
}

enum Named {
    Field(String),
    Item,
}

impl Named {
    fn step(&self) -> Step<'_> {
        match self {
            Named::Field(name) => Step::Field(name),
            Named::Item => Step::Item,
        }
    }
}

/// Returns a path as Kubernetes prints it: `spec.tasks[0].name`.
fn field_path<'s>(segments: impl Iterator<Item = LocationSegment<'s>>) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            LocationSegment::Property(name) => path.push_str(&field(&name)),
            LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path.trim_start_matches('.').to_owned()
}

fn field(name: &str) -> String {
    if name.contains(['.', '/', '[']) { format!("[{name}]") } else { format!(".{name}") }
}
