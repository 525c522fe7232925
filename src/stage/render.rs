//! Unit → [`Rendered`]: runs the templates of one unit.

use crate::error::{Origin, Violation, Violations};
use crate::model::unit::{Manifest, RenderUnit, Rendered, Work};
use crate::template::Evaluated;
use serde_json::Value;

/// The annotation that orders objects inside one Application.
const WAVE: &str = "argocd.argoproj.io/sync-wave";
/// How many objects one unit may have.
pub const MAX_OBJECTS: usize = 10_000;

/// What the templates of a unit gave, one by one, before objects are made of it.
pub type Answers<'u> = Vec<Result<Evaluated<'u>, Violations>>;

/// Renders one unit.
///
/// # Errors
/// Everything that fails in its templates.
pub fn render(unit: &RenderUnit<'_>) -> Result<Rendered, Violations> {
    finish(unit, evaluate(unit))
}

/// Evaluates the expressions in the templates of one unit.
pub fn evaluate<'u>(unit: &'u RenderUnit<'_>) -> Answers<'u> {
    match &unit.work {
        Work::Application(_) => Vec::new(),
        Work::Templates { component, context, .. } => {
            component.templates.iter().map(|template| template.evaluate(context)).collect()
        }
    }
}

/// Makes the objects of one unit of what was evaluated.
///
/// # Errors
/// Everything that fails in its templates.
pub fn finish(unit: &RenderUnit<'_>, answers: Answers<'_>) -> Result<Rendered, Violations> {
    let (component, context, wave) = match &unit.work {
        Work::Application(app) => {
            let at = Origin::file("hydrant's own Applications");
            return Ok(Rendered { objects: vec![Manifest { value: (**app).clone(), at }] });
        }
        Work::Templates { component, context, wave, .. } => (component, context, *wave),
    };
    let mut found = Violations::new();
    let mut objects = Vec::new();
    for (template, answer) in component.templates.iter().zip(answers) {
        match answer.and_then(|evaluated| template.finish(evaluated, context)) {
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
    set_waves(&mut objects, wave);
    Ok(Rendered { objects })
}

/// Gives objects their wave, unless their template did.
pub fn set_waves(objects: &mut [Manifest], wave: i64) {
    if wave != 0 {
        objects.iter_mut().for_each(|object| set_wave(&mut object.value, wave));
    }
}

fn set_wave(object: &mut Value, wave: i64) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Value::Object(annotations) = annotations {
        annotations.entry(WAVE).or_insert_with(|| Value::String(wave.to_string()));
    }
}
