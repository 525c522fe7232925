//! The short way through the line, for units that differ from others in a few values only.
//!
//! What the templates make, what the overlays change, what the checks say and how it is all printed
//! mostly does not follow from a tenant's values, it only carries them. So the line is run once with
//! marks in place of values (the second time that the same forms of the same templates meet under the
//! same overlays), and gives text with gaps; a unit then prints its values into them.
//!
//! This is a short cut to what [`super::render`], [`super::overlay`] and [`super::validate`] give. It
//! takes only what provably comes out the same, and gives up at any doubt; the unit then goes the long
//! way, which also has the words for what is wrong:
//!
//! * An overlay must [tell](crate::kustomize::Overlay::walks) which fields it walks through, and do
//!   nothing that depends on others. A value on or below such a field must be a text, as a mark is.
//! * Types, keys, and whether there are annotations are never a value's. No two objects of a unit may
//!   have the same type and name.
//! * Values are checked as the long way checks them: names, and marks of secrets in every text and
//!   key. Objects that a lint judges are put together and judged.
//! * Whatever is found, be it a warning, is left to the long way.

use super::overlay::overlay;
use super::render::{Answers, MAX_OBJECTS, set_waves};
use super::validate::{check_object, folder, holds_skip_line};
use super::{firewall, lint, names};
use crate::definition::catalog::Component;
use crate::model::form::{Form, FormKey, FormObject, Text};
use crate::model::unit::{Hydrated, Manifest, ObjectRef, RenderUnit, Rendered, Work};
use crate::template::{Evaluated, holds_mark, slot_of};
use crate::yaml::Gapped;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Gives the final files of a unit, if its form is known and takes its values.
pub fn hydrate(unit: &RenderUnit<'_>, answers: &Answers<'_>) -> Option<Hydrated> {
    let Work::Templates { component, namespace, wave, .. } = &unit.work else { return None };
    let mut templates = Vec::with_capacity(answers.len());
    let mut values: Vec<&Value> = Vec::new();
    for answer in answers {
        let Ok(Evaluated::Form(form, own)) = answer else { return None };
        templates.push(form.number()?);
        values.extend(own);
    }
    let steps = unit.overlays.iter().map(|step| (step.name, step.digest)).collect();
    let form = component.forms.get(FormKey { templates, steps }, || make(unit, component, *wave, answers))?;
    fill(&form, unit, namespace.as_deref(), &values)
}

/// Runs the line with marks in place of values.
fn make(unit: &RenderUnit<'_>, component: &Component, wave: i64, answers: &Answers<'_>) -> Option<Form> {
    let mut objects = Vec::new();
    let mut slots = 0;
    for (template, answer) in component.templates.iter().zip(answers) {
        let Ok(Evaluated::Form(form, values)) = answer else { return None };
        let made = form.marked(template, values.len(), slots)?;
        objects.extend(made.into_iter().map(|m| Manifest { value: m.value, at: m.at }));
        slots += values.len();
    }
    if objects.len() > MAX_OBJECTS || !objects.iter().all(|object| has_fixed_type(&object.value)) {
        return None;
    }
    set_waves(&mut objects, wave);
    let before: Vec<Vec<Place>> = objects.iter().map(|object| places(&object.value)).collect();
    let mut texts = BTreeSet::new();
    let mut named = Vec::with_capacity(objects.len());
    for (object, places) in objects.iter().zip(&before) {
        texts.extend(must_be_texts(unit, &object.value, places)?);
        named.push((text_of(&object.value, "name")?, text_of(&object.value, "namespace")?));
    }
    let overlaid = overlay(Rendered { objects }, unit).ok()?;
    if overlaid.objects.len() != before.len() {
        return None;
    }
    let mut form =
        Form { objects: Vec::new(), texts: texts.into_iter().collect(), matched: overlaid.matched };
    for ((object, before), names) in overlaid.objects.into_iter().zip(&before).zip(named) {
        let made = form_object(object, component)?;
        let kept = places(&made.1).iter().all(|place| before.contains(place));
        if !kept || (&made.0.name, &made.0.namespace) != (&names.0, &names.1) {
            return None;
        }
        form.objects.push(made.0);
    }
    Some(form)
}

/// Checks and prints an object with marks; returns it beside its form.
fn form_object(object: Manifest, component: &Component) -> Option<(FormObject, Value)> {
    let Manifest { value: marked, at } = object;
    // Any text does: what depends on it is asked of each value.
    let plain = put(&marked, &|_| json!("x"));
    let mut wrong = Vec::new();
    check_object(&plain, &at, &mut wrong);
    wrong.extend(firewall::check(&plain, &at, &component.file.public_secret_keys));
    if !wrong.is_empty() {
        return None;
    }
    let ObjectRef { group, kind, .. } = ObjectRef::of(&marked);
    let slots = places(&marked).into_iter().map(|(path, slot)| {
        let may_be_encoded = path.iter().any(|key| firewall::may_be_encoded(key));
        (slot, may_be_encoded)
    });
    let made = FormObject {
        slots: slots.collect(),
        name: text_of(&marked, "name")?,
        namespace: text_of(&marked, "namespace")?,
        judged: lint::judges(&group, &kind).then(|| marked.clone()),
        printed: Gapped::print(&marked, &slot_of),
        at,
        group,
        kind,
    };
    Some((made, marked))
}

/// Returns true for an object whose type, and whether it has annotations, is not a value's.
fn has_fixed_type(object: &Value) -> bool {
    let fixed = |key: &str| object.get(key).and_then(Value::as_str).is_some_and(|text| !holds_mark(text));
    let metadata = object.get("metadata").and_then(Value::as_object);
    fixed("apiVersion")
        && fixed("kind")
        && metadata.is_some_and(|m| m.get("annotations").is_none_or(Value::is_object))
        // A part with a type of its own may be a Secret.
        && places(object)
            .iter()
            .all(|(path, _)| path.last().is_some_and(|key| key != "apiVersion" && key != "kind"))
}

/// The keys that lead to a slot (lists are not named), and the slot.
type Place = (Vec<String>, usize);

fn places(object: &Value) -> Vec<Place> {
    fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<Place>) {
        match value {
            Value::String(text) => found.extend(slot_of(text).map(|slot| (path.clone(), slot))),
            Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
            Value::Object(map) => {
                for (key, item) in map {
                    path.push(key.clone());
                    walk(item, path, found);
                    path.pop();
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(object, &mut Vec::new(), &mut found);
    found
}

/// Returns the slots of an object whose values must be texts: its names, its annotations, and what
/// stands on a field that an overlay walks through. `None` if an overlay may look at anything.
fn must_be_texts(unit: &RenderUnit<'_>, object: &Value, places: &[Place]) -> Option<Vec<usize>> {
    let mut fields: Vec<Vec<&str>> =
        vec![vec!["metadata", "name"], vec!["metadata", "namespace"], vec!["metadata", "annotations"]];
    for step in &unit.overlays {
        for field in step.overlay.walks(object, &holds_mark)? {
            if field.contains('\\') {
                return None;
            }
            let parts = field.strip_prefix('/').unwrap_or(field).split('/');
            fields.push(parts.map(|part| part.strip_suffix("[]").unwrap_or(part)).collect());
        }
    }
    let on_the_way =
        |path: &[String]| fields.iter().any(|field| field.iter().zip(path).all(|(there, key)| there == key));
    Some(places.iter().filter(|(path, _)| on_the_way(path)).map(|(_, slot)| *slot).collect())
}

/// Returns a text of an object's metadata, empty if it has none; `None` for what is no text.
fn text_of(object: &Value, key: &str) -> Option<Text> {
    match object.get("metadata").and_then(|metadata| metadata.get(key)) {
        None => Some(Text::Fixed(String::new())),
        Some(Value::String(text)) => {
            Some(slot_of(text).map_or_else(|| Text::Fixed(text.clone()), Text::Slot))
        }
        Some(_) => None,
    }
}

/// Returns an object with a value for each mark.
fn put(marked: &Value, value: &dyn Fn(usize) -> Value) -> Value {
    match marked {
        Value::String(text) => slot_of(text).map_or_else(|| marked.clone(), value),
        Value::Array(items) => Value::Array(items.iter().map(|item| put(item, value)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), put(item, value))).collect())
        }
        other => other.clone(),
    }
}

/// Checks the values of a unit, and prints them into its form.
fn fill(
    form: &Form,
    unit: &RenderUnit<'_>,
    own_namespace: Option<&str>,
    values: &[&Value],
) -> Option<Hydrated> {
    if !form.texts.iter().all(|slot| values[*slot].is_string()) {
        return None;
    }
    let references: Vec<ObjectRef> =
        form.objects.iter().map(|o| reference(o, values)).collect::<Option<_>>()?;
    if stands_twice(&references) || !are_clean(form, values) {
        return None;
    }
    let texts: Vec<String> = form.objects.iter().map(|object| object.printed.fill(values)).collect();
    if texts.iter().any(|text| holds_skip_line(text)) {
        return None;
    }
    let paths = names::file_names(&references.iter().collect::<Vec<_>>(), own_namespace);
    let files = folder(&unit.id.place(), &paths, texts);
    if files.windows(2).any(|pair| pair[0].path == pair[1].path) {
        return None;
    }
    let objects = references.into_iter().zip(&form.objects).map(|(r, object)| (r, object.at.clone()));
    Some(Hydrated {
        key: unit.key,
        files,
        objects: objects.collect(),
        matched: form.matched.clone(),
        warnings: Vec::new(),
    })
}

/// Returns the identity of an object; `None` where it has a name that it cannot have.
fn reference(object: &FormObject, values: &[&Value]) -> Option<ObjectRef> {
    let text = |text: &Text, may_be: fn(&str) -> bool| match text {
        Text::Fixed(text) => Some(text.clone()),
        Text::Slot(slot) => values[*slot].as_str().filter(|text| may_be(text)).map(str::to_owned),
    };
    Some(ObjectRef {
        group: object.group.clone(),
        kind: object.kind.clone(),
        namespace: text(&object.namespace, names::is_label)?,
        name: text(&object.name, names::is_object_name)?,
    })
}

/// Returns true if two objects have the same type and name, be it in two namespaces.
fn stands_twice(references: &[ObjectRef]) -> bool {
    let mut all: Vec<_> = references.iter().map(|r| (&r.name, &r.kind, &r.group)).collect();
    all.sort_unstable();
    all.windows(2).any(|pair| pair[0] == pair[1])
}

/// Returns true if neither the firewall nor a lint has anything to say.
fn are_clean(form: &Form, values: &[&Value]) -> bool {
    let shows_none =
        |(slot, may_be_encoded): &(usize, bool)| firewall::is_clean(values[*slot], *may_be_encoded);
    if !form.objects.iter().flat_map(|object| &object.slots).all(shows_none) {
        return false;
    }
    let judged: Vec<_> = form
        .objects
        .iter()
        .filter_map(|object| Some((put(object.judged.as_ref()?, &|slot| values[slot].clone()), &object.at)))
        .collect();
    judged.iter().all(|(object, at)| lint::lint(object, at).is_empty())
        && lint::lint_writers(judged.iter().map(|(object, at)| (object, *at))).is_empty()
}
