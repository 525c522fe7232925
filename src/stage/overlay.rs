//! [`Rendered`] → [`Overlaid`]: applies the overlay chain of one unit.

use crate::error::{Origin, Violations};
use crate::model::overlay::{Matches, Step};
use crate::model::unit::{Manifest, ObjectRef, Overlaid, RenderUnit, Rendered};
use serde_json::Value;
use std::collections::BTreeMap;

/// Applies the overlays of a unit to its objects.
///
/// # Errors
/// A patch that does not fit an object it found.
pub fn overlay(rendered: Rendered, unit: &RenderUnit<'_>) -> Result<Overlaid, Violations> {
    let mut objects = rendered.objects;
    let mut matched = Matches::default();
    for step in &unit.overlays {
        objects = apply(step, objects, &mut matched)?;
    }
    Ok(Overlaid { objects, matched })
}

fn apply(step: &Step, objects: Vec<Manifest>, matched: &mut Matches) -> Result<Vec<Manifest>, Violations> {
    let (values, places): (Vec<Value>, Vec<Origin>) = objects.into_iter().map(|m| (m.value, m.at)).unzip();
    let by_name: BTreeMap<ObjectRef, Origin> =
        values.iter().map(ObjectRef::of).zip(places.iter().cloned()).collect();
    let (changed, found) = step.overlay.apply(values)?;
    matched
        .0
        .extend((0..step.overlay.entries().len()).filter(|n| found.contains(*n)).map(|n| (step.name, n)));
    let same_count = changed.len() == places.len();
    let place = |i: usize, value: &Value| {
        let known = if same_count { places.get(i) } else { by_name.get(&ObjectRef::of(value)) };
        // What the overlay added comes from the overlay.
        known.cloned().unwrap_or_else(|| Origin::file(step.shown.clone()))
    };
    Ok(changed.into_iter().enumerate().map(|(i, value)| Manifest { at: place(i, &value), value }).collect())
}
