//! Unit → [`Rendered`]: runs the templates of one unit.

use crate::error::{Origin, Violation, Violations};
use crate::model::unit::{Manifest, RenderUnit, Rendered, Work};
use serde_json::Value;

/// The annotation that orders objects inside one Application.
const WAVE: &str = "argocd.argoproj.io/sync-wave";
/// How many objects one unit may have.
pub const MAX_OBJECTS: usize = 10_000;

/// Renders one unit.
///
/// # Errors
/// Everything that fails in its templates.
pub fn render(unit: &RenderUnit<'_>) -> Result<Rendered, Violations> {
    let (component, context, wave) = match &unit.work {
        Work::Application(app) => {
            let at = Origin::file("hydrant's own Applications");
            return Ok(Rendered { objects: vec![Manifest { value: (**app).clone(), at }] });
        }
        Work::Templates { component, context, wave, .. } => (component, context, *wave),
    };
    let mut found = Violations::new();
    let mut objects = Vec::new();
    for template in component.templates.iter() {
        match template.render(context) {
            Ok(made) => {
                objects.extend(made.into_iter().map(|m| Manifest { value: m.value, at: m.at }));
            }
            Err(why) => found.extend(why),
        }
    }
    if objects.len() > MAX_OBJECTS {
        found.push(
            Violation::error(format!("the unit has more than {MAX_OBJECTS} objects"))
                .at(component.at.clone()),
        );
    }
    if !found.is_empty() {
        return Err(found);
    }
    if wave != 0 {
        for object in &mut objects {
            set_wave(&mut object.value, wave);
        }
    }
    Ok(Rendered { objects })
}

/// Gives an object its wave, unless its template did.
fn set_wave(object: &mut Value, wave: i64) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Value::Object(annotations) = annotations {
        annotations.entry(WAVE).or_insert_with(|| Value::String(wave.to_string()));
    }
}
