//! Strategic merge: a patch laid over an object.
//!
//! Follows kustomize's merge, not the API server's: the whole object is walked, lists that
//! merge get the patch's new items in front, and items are matched by the text of their
//! keys. Where kustomize does something odd (an item marked `$patch: replace` keeps the
//! object's item; a list with equal keys keeps the last) this does the same, because the
//! result must be the same. The cases are in `fixtures/overlays`.

use super::schema::{Field, Table, TypeRef};
use super::text::{is_null_or_empty, is_scalar, scalar_text, type_name};
use serde_json::{Map, Value};

mod list;

/// What a patch cannot be merged with: the field and why.
#[derive(Debug)]
pub struct Conflict {
    /// The path of the field, from the outside in.
    pub path: Vec<String>,
    /// Why.
    pub message: String,
}

impl Conflict {
    fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    fn below(mut self, step: &str) -> Self {
        self.path.insert(0, step.to_owned());
        self
    }
}

/// What came of one place.
#[derive(Debug)]
enum Merged {
    /// The object's node, changed in place.
    Kept(Value),
    /// The patch's node took its place.
    Taken(Value),
    /// Nothing is left.
    Gone,
}

impl Merged {
    fn value(self) -> Option<Value> {
        match self {
            Merged::Kept(v) | Merged::Taken(v) => Some(v),
            Merged::Gone => None,
        }
    }
}

/// What a `$patch` key asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Lays patches over objects by the rules of one table.
#[derive(Clone, Copy)]
pub struct Merger<'t> {
    table: &'t Table,
}

const DIRECTIVE: &str = "$patch";

impl<'t> Merger<'t> {
    /// Returns a merger for a table of types.
    pub fn new(table: &'t Table) -> Self {
        Self { table }
    }

    /// Lays a patch over an object; none when the patch deletes it.
    ///
    /// # Errors
    /// The patch has another type than the object at some field, or an unknown directive.
    pub fn merge(&self, object: Value, patch: &Value) -> Result<Option<Value>, Conflict> {
        if patch.is_object() && directive_of_map(patch)? == Directive::Replace {
            // At the top kustomize merges the patch into itself and drops the result.
            return Ok(Some(object));
        }
        let of = self.type_of(&object).or_else(|| self.type_of(patch));
        Ok(self.node(Some(object), Some(patch), of)?.value())
    }

    fn type_of(&self, value: &Value) -> Option<TypeRef> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        self.table.type_of(text("apiVersion")?, text("kind")?)
    }

    fn node(
        &self,
        object: Option<Value>,
        patch: Option<&Value>,
        of: Option<TypeRef>,
    ) -> Result<Merged, Conflict> {
        let leading = object.as_ref().filter(|v| !v.is_null()).or(patch.filter(|v| !v.is_null()));
        match leading {
            None | Some(Value::Object(_)) => self.map(object, patch, of),
            Some(Value::Array(_)) => self.plain_list(object, patch),
            Some(_) => scalar(object, patch),
        }
    }

    fn map(
        &self,
        object: Option<Value>,
        patch: Option<&Value>,
        of: Option<TypeRef>,
    ) -> Result<Merged, Conflict> {
        same_type(object.as_ref(), patch, Value::is_object, "a map")?;
        let Some(object) = object.filter(|v| !v.is_null()) else {
            return match patch {
                // A written null that the patch does not touch stays.
                None => Ok(Merged::Kept(Value::Null)),
                Some(patch) => Ok(match directive_of_map(patch)? {
                    Directive::Delete => Merged::Gone,
                    _ => self.own(patch, of)?,
                }),
            };
        };
        let Some(patch) = patch else {
            let mut object = object;
            self.untouched(&mut object, of);
            return Ok(Merged::Kept(object));
        };
        if patch.is_null() {
            return Ok(Merged::Gone);
        }
        match directive_of_map(patch)? {
            Directive::Delete => Ok(Merged::Gone),
            Directive::Replace => self.own(patch, of),
            Directive::Merge => {
                let of = of.or_else(|| self.type_of(&object)).or_else(|| self.type_of(patch));
                let (Value::Object(mut fields), Value::Object(changes)) = (object, patch) else {
                    return Ok(Merged::Gone);
                };
                self.fields(&mut fields, changes, of)?;
                Ok(Merged::Kept(Value::Object(fields)))
            }
        }
    }

    /// Lays the fields of a patch over those of an object.
    fn fields(
        &self,
        fields: &mut Map<String, Value>,
        changes: &Map<String, Value>,
        of: Option<TypeRef>,
    ) -> Result<(), Conflict> {
        for (key, value) in fields.iter_mut().filter(|(k, _)| !changes.contains_key(*k)) {
            self.untouched_field(value, of, key);
        }
        for (key, change) in changes.iter().filter(|(k, _)| *k != DIRECTIVE) {
            let object = fields.remove(key);
            let merged = self.field(object, change, of, key).map_err(|c| c.below(key))?;
            match merged.value() {
                None | Some(Value::Null) => {}
                Some(value) => {
                    fields.insert(key.clone(), value);
                }
            }
        }
        Ok(())
    }

    fn field(
        &self,
        object: Option<Value>,
        patch: &Value,
        of: Option<TypeRef>,
        key: &str,
    ) -> Result<Merged, Conflict> {
        match of.and_then(|t| self.table.field(t, key)) {
            Some(Field::Object(t)) => self.node(object, Some(patch), Some(*t)),
            Some(Field::MapOf(t)) => self.map_of(object, Some(patch), *t),
            Some(Field::List { keys, items })
                if object.as_ref().filter(|v| !v.is_null()).unwrap_or(patch).is_array() =>
            {
                self.keyed_list(object, Some(patch), keys, *items)
            }
            _ => self.node(object, Some(patch), None),
        }
    }

    /// A map whose values all have one type: no type of the table has just that shape, so
    /// its fields are merged one by one.
    fn map_of(&self, object: Option<Value>, patch: Option<&Value>, of: TypeRef) -> Result<Merged, Conflict> {
        let (Some(Value::Object(mut fields)), Some(Value::Object(changes))) = (object.clone(), patch) else {
            return self.node(object, patch, None);
        };
        if directive_of_map(&Value::Object(changes.clone()))? != Directive::Merge {
            return self.node(object, patch, None);
        }
        for (key, change) in changes.iter().filter(|(k, _)| *k != DIRECTIVE) {
            let merged = self.node(fields.remove(key), Some(change), Some(of)).map_err(|c| c.below(key))?;
            if let Some(value) = merged.value().filter(|v| !v.is_null()) {
                fields.insert(key.clone(), value);
            }
        }
        Ok(Merged::Kept(Value::Object(fields)))
    }

    /// Takes a part of the patch as it is: directives and nulls inside it are carried out.
    fn own(&self, patch: &Value, of: Option<TypeRef>) -> Result<Merged, Conflict> {
        let Value::Object(changes) = patch else { return Ok(Merged::Taken(patch.clone())) };
        let of = of.or_else(|| self.type_of(patch));
        let mut fields = Map::new();
        for (key, change) in changes.iter().filter(|(k, _)| *k != DIRECTIVE) {
            let merged = self.own_field(change, of, key).map_err(|c| c.below(key))?;
            if let Some(value) = merged.value().filter(|v| !v.is_null()) {
                fields.insert(key.clone(), value);
            }
        }
        Ok(Merged::Taken(Value::Object(fields)))
    }

    fn own_field(&self, change: &Value, of: Option<TypeRef>, key: &str) -> Result<Merged, Conflict> {
        match (change, of.and_then(|t| self.table.field(t, key))) {
            (Value::Object(_), field) => {
                if directive_of_map(change)? == Directive::Delete {
                    return Ok(Merged::Gone);
                }
                let of = match field {
                    Some(Field::Object(t)) => Some(*t),
                    _ => None,
                };
                self.own(change, of)
            }
            (Value::Array(_), Some(Field::List { keys, items })) => {
                // The list is merged with itself, as kustomize does.
                let (directive, elided) = list::directive(change)?;
                if directive == Directive::Delete {
                    return Ok(Merged::Gone);
                }
                self.merge_items(elided.clone(), Some(&elided), keys, *items).map(|v| match v {
                    Some(items) => Merged::Taken(Value::Array(items)),
                    None => Merged::Gone,
                })
            }
            _ => Ok(Merged::Taken(change.clone())),
        }
    }

    /// Walks a part of the object that the patch does not name.
    fn untouched(&self, object: &mut Value, of: Option<TypeRef>) {
        let of = of.or_else(|| self.type_of(object));
        if let Value::Object(fields) = object {
            fields.iter_mut().for_each(|(key, value)| self.untouched_field(value, of, key));
        }
    }

    fn untouched_field(&self, value: &mut Value, of: Option<TypeRef>, key: &str) {
        match (value, of.and_then(|t| self.table.field(t, key))) {
            (value @ Value::Object(_), Some(Field::Object(t))) => self.untouched(value, Some(*t)),
            (Value::Object(fields), Some(Field::MapOf(t))) => {
                fields.values_mut().for_each(|v| self.untouched(v, Some(*t)));
            }
            (value @ Value::Object(_), None) => self.untouched(value, None),
            (Value::Array(list), Some(Field::List { keys, items })) => {
                if list::is_settled(list, keys) {
                    list.iter_mut().for_each(|item| self.untouched(item, *items));
                } else if let Ok(Some(merged)) = self.merge_items(list.clone(), None, keys, *items) {
                    // No patch, no conflict.
                    *list = merged;
                }
            }
            _ => {}
        }
    }

    /// A list without merge keys: the patch's takes its place.
    fn plain_list(&self, object: Option<Value>, patch: Option<&Value>) -> Result<Merged, Conflict> {
        same_type(object.as_ref(), patch, Value::is_array, "a list")?;
        Ok(match (patch, object) {
            (Some(patch), _) => Merged::Taken(patch.clone()),
            (None, Some(object)) => Merged::Kept(object),
            (None, None) => Merged::Gone,
        })
    }

    fn keyed_list(
        &self,
        object: Option<Value>,
        patch: Option<&Value>,
        keys: &[String],
        items: Option<TypeRef>,
    ) -> Result<Merged, Conflict> {
        same_type(object.as_ref(), patch, Value::is_array, "a list")?;
        let Some(Value::Array(list)) = object.filter(|v| !v.is_null()) else {
            return match patch {
                None => Ok(Merged::Gone),
                Some(patch) => {
                    let Value::Array(own) = patch else { return Ok(Merged::Taken(patch.clone())) };
                    let merged = self.merge_items(own.clone(), Some(own), keys, items)?;
                    Ok(merged.map_or(Merged::Gone, |l| Merged::Taken(Value::Array(l))))
                }
            };
        };
        let Some(patch) = patch else {
            let merged = self.merge_items(list, None, keys, items)?;
            return Ok(merged.map_or(Merged::Gone, |l| Merged::Kept(Value::Array(l))));
        };
        if patch.is_null() {
            return Ok(Merged::Gone);
        }
        let (directive, changes) = list::directive(patch)?;
        let merged = match directive {
            Directive::Delete => return Ok(Merged::Gone),
            Directive::Replace => self.merge_items(changes.clone(), Some(&changes), keys, items)?,
            Directive::Merge => self.merge_items(list, Some(&changes), keys, items)?,
        };
        Ok(merged.map_or(Merged::Gone, |l| Merged::Kept(Value::Array(l))))
    }
}

fn scalar(object: Option<Value>, patch: Option<&Value>) -> Result<Merged, Conflict> {
    same_type(object.as_ref(), patch, is_scalar, "a single value")?;
    Ok(match (patch, object) {
        // The quotes of the object's text stay, so that a number of the patch becomes a text.
        // Those that were not needed are not known any more.
        (Some(patch @ (Value::Number(_) | Value::Bool(_))), Some(Value::String(text)))
            if !crate::yaml::is_plain(&text) =>
        {
            Merged::Taken(Value::String(scalar_text(patch).into_owned()))
        }
        (Some(patch), _) => Merged::Taken(patch.clone()),
        (None, Some(object)) => Merged::Kept(object),
        (None, None) => Merged::Gone,
    })
}

/// Fails if the object's or the patch's node is not null and not of the wanted type.
fn same_type(
    object: Option<&Value>,
    patch: Option<&Value>,
    fits: fn(&Value) -> bool,
    wanted: &str,
) -> Result<(), Conflict> {
    for (value, whose) in [(object, "the object"), (patch, "the patch")] {
        if let Some(value) = value.filter(|v| !v.is_null() && !fits(v)) {
            let other = if whose == "the patch" { "the object" } else { "the patch" };
            return Err(Conflict::new(format!(
                "{whose} has {} here, {other} has {wanted}",
                type_name(value)
            )));
        }
    }
    Ok(())
}

fn directive_of_map(patch: &Value) -> Result<Directive, Conflict> {
    match patch.get(DIRECTIVE) {
        None => Ok(Directive::Merge),
        Some(word) => directive_word(word),
    }
}

fn directive_word(word: &Value) -> Result<Directive, Conflict> {
    match scalar_text(word).as_ref() {
        "merge" => Ok(Directive::Merge),
        "replace" => Ok(Directive::Replace),
        "delete" => Ok(Directive::Delete),
        other => Err(Conflict::new(format!(
            "`{DIRECTIVE}: {other}` is unknown; there are merge, replace and delete"
        ))),
    }
}

/// Returns true if there is no item, or nothing in it.
fn is_missing(value: Option<&Value>) -> bool {
    value.is_none_or(|v| v.is_null() || v.as_object().is_some_and(Map::is_empty))
}

/// Returns the text of a key of an item; nothing where it has none.
fn key_text(item: &Value, key: &str) -> String {
    item.get(key).filter(|v| !is_null_or_empty(v)).map_or_else(String::new, |v| scalar_text(v).into_owned())
}
