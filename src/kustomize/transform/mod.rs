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
use std::ops::{Deref, DerefMut};

/// Why a change could not be made; the step that made it adds its own place.
#[derive(Clone, Debug)]
pub struct Failure(Box<Fault>);

/// What a [`Failure`] holds.
#[derive(Clone, Debug, Default)]
pub struct Fault {
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

impl Deref for Failure {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Fault {
        &mut self.0
    }
}

impl Failure {
    /// Returns a failure that concerns no object.
    pub fn plain(message: impl Into<String>) -> Self {
        Self(Box::new(Fault { message: message.into(), ..Fault::default() }))
    }

    /// Returns a failure at an object.
    pub fn at(resource: &Resource, message: impl Into<String>) -> Self {
        let mut failure = Self::plain(message);
        failure.object = Some(resource.id());
        failure
    }

    /// Returns that nothing was found to change.
    pub fn nothing(message: impl Into<String>) -> Self {
        let mut failure = Self::plain(message);
        failure.nothing_found = true;
        failure
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
        let fault = *self.0;
        let mut message = String::new();
        if let Some(object) = &fault.object {
            message.push_str(&format!("{object}: "));
        }
        if let Some(field) = &fault.field {
            message.push_str(&format!("`{field}`: "));
        }
        message.push_str(&fault.message);
        let mut violation = Violation::error(message).at(fault.at.unwrap_or_else(|| entry.clone()));
        violation.hint = fault.hint;
        violation
    }
}
