//! The overlay engine. Its place in the line is here; the engine lands with its own step.

use crate::error::Violations;
use serde_json::Value;

/// One kustomization, compiled.
#[derive(Debug)]
pub struct Overlay;

/// Which entries found something.
#[derive(Debug)]
pub struct Matched;

impl Overlay {
    /// Applies it.
    ///
    /// # Errors
    /// None yet.
    pub fn apply(&self, objects: Vec<Value>) -> Result<(Vec<Value>, Matched), Violations> {
        Ok((objects, Matched))
    }
}
