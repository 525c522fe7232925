//! What the fields of a kustomization do to the objects, one noun a file.

pub mod images;
pub mod json6902;
pub mod metadata;
pub mod names;
pub mod patches;
pub mod replacements;
pub mod replicas;
pub mod value_add;
pub mod variables;

use super::gvk::ObjectId;
use super::resource::Resource;
use crate::error::{Origin, Violation};

/// Why a change could not be made; the step that made it adds its own place.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The object it happened to.
    pub object: Option<ObjectId>,
    /// The field inside the object.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What mends it.
    pub hint: Option<String>,
    /// A nearer place than that of the step.
    pub at: Option<Origin>,
    /// True if nothing was found to change: an overlay on a unit passes over that.
    pub nothing_found: bool,
}

impl Failure {
    /// Returns a failure that concerns no object.
    pub fn plain(message: impl Into<String>) -> Self {
        Self {
            object: None,
            field: None,
            message: message.into(),
            hint: None,
            at: None,
            nothing_found: false,
        }
    }

    /// Returns a failure at an object.
    pub fn at(resource: &Resource, message: impl Into<String>) -> Self {
        Self { object: Some(resource.id()), ..Self::plain(message) }
    }

    /// Returns that nothing was found to change.
    pub fn nothing(message: impl Into<String>) -> Self {
        Self { nothing_found: true, ..Self::plain(message) }
    }

    /// Sets the field.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Sets the mend.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns it as a violation of the entry that asked for the change.
    pub fn in_entry(self, entry: &Origin) -> Violation {
        let mut message = String::new();
        if let Some(object) = &self.object {
            message.push_str(&format!("{object}: "));
        }
        if let Some(field) = &self.field {
            message.push_str(&format!("`{field}`: "));
        }
        message.push_str(&self.message);
        let mut violation = Violation::error(message).at(self.at.unwrap_or_else(|| entry.clone()));
        violation.hint = self.hint;
        violation
    }
}
