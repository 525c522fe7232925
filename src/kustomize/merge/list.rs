//! Lists that merge by keys, step by step as kustomize goes through them.

use super::{Conflict, DIRECTIVE, Directive, Merged, Merger, directive_word, is_missing, key_text};
use crate::kustomize::schema::TypeRef;
use crate::kustomize::text::scalar_text;
use serde_json::Value;
use std::collections::HashSet;

/// Returns what an item `- $patch: …` asks of the whole list, and the list without it.
pub(super) fn directive(patch: &Value) -> Result<(Directive, Vec<Value>), Conflict> {
    let Value::Array(items) = patch else { return Ok((Directive::Merge, Vec::new())) };
    let marked = items.iter().find(|i| i.get(DIRECTIVE).is_some());
    // More than one key: the directive is that item's own.
    let Some(item) = marked.filter(|i| i.as_object().is_some_and(|m| m.len() == 1)) else {
        return Ok((Directive::Merge, items.clone()));
    };
    let word = item.get(DIRECTIVE).unwrap_or(&Value::Null);
    let directive = directive_word(word)?;
    let text = scalar_text(word).into_owned();
    let left = items.iter().filter(|i| key_text(i, DIRECTIVE) != text || !i.is_object()).cloned().collect();
    Ok((directive, left))
}

impl Merger<'_> {
    /// Merges the items of a patch into those of an object; none when nothing is left.
    pub(super) fn merge_items(
        &self,
        mut list: Vec<Value>,
        patch: Option<&Vec<Value>>,
        keys: &[String],
        of: Option<TypeRef>,
    ) -> Result<Option<Vec<Value>>, Conflict> {
        if keys.is_empty() {
            return Ok(Some(merge_texts(list, patch)));
        }
        if patch.is_none() && is_settled(&list, keys) {
            list.iter_mut().for_each(|item| self.untouched(item, of));
            return Ok(Some(list));
        }
        let mut wanted = Vec::new();
        let mut seen = HashSet::new();
        for item in patch.into_iter().flatten().chain(&list) {
            let values: Vec<String> = keys.iter().map(|k| key_text(item, k)).collect();
            if seen.insert(values.clone()) {
                wanted.push(values);
            }
        }
        if keys.len() > 1 {
            fill_in(&mut wanted);
        }
        let mut added: Vec<Value> = Vec::new();
        let mut valid_keys: Vec<&str> = Vec::new();
        for values in &wanted {
            let (names, texts) = valid(&wanted, values, keys);
            valid_keys.clone_from(&names);
            let merged = self.item(&mut list, patch, &names, &texts, of)?;
            if is_missing(merged.as_ref()) {
                set_item(&mut list, None, &names, &texts);
                continue;
            }
            if let Some(item) = merged {
                set_item(&mut added, Some(item), &names, &texts);
            }
        }
        if wanted.is_empty() {
            return Ok(Some(list));
        }
        append_all(&mut added, &list, &valid_keys);
        Ok(Some(added))
    }

    /// Merges one item, in place where the object's own item is kept.
    fn item(
        &self,
        list: &mut [Value],
        patch: Option<&Vec<Value>>,
        names: &[&str],
        texts: &[String],
        of: Option<TypeRef>,
    ) -> Result<Option<Value>, Conflict> {
        let (find_names, find_texts) = present(names, texts);
        let place = list.iter().position(|i| matches_all(i, &find_names, &find_texts));
        let change = patch.and_then(|p| p.iter().find(|i| matches_all(i, &find_names, &find_texts)));
        if place.is_none() && change.is_none() {
            return Ok(None);
        }
        let own = place.map(|p| list[p].clone());
        let step = format!("[{}]", texts.join(","));
        let merged = self.node(own, change, of).map_err(|c| c.below(&step))?;
        let kept = matches!(merged, Merged::Kept(_));
        let mut item = merged.value();
        if let Some(Value::Object(fields)) = &mut item
            && !fields.is_empty()
        {
            for (name, text) in names.iter().zip(texts) {
                if !fields.contains_key(*name) && !text.is_empty() {
                    fields.insert((*name).to_owned(), Value::String(text.clone()));
                }
            }
        }
        if let (true, Some(place), Some(item)) = (kept, place, &item) {
            list[place] = item.clone();
        }
        Ok(item)
    }
}

/// A set of texts: the patch's in front, then what else the object has.
fn merge_texts(list: Vec<Value>, patch: Option<&Vec<Value>>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let all = patch.into_iter().flatten().cloned().chain(list);
    all.filter(|item| seen.insert(scalar_text(item).into_owned())).collect()
}

/// Returns true if a merge without a patch keeps all items: they have their keys, and no
/// two have the same.
pub(super) fn is_settled(list: &[Value], keys: &[String]) -> bool {
    if keys.is_empty() {
        return false;
    }
    let mut seen = HashSet::with_capacity(list.len());
    list.iter().all(|item| {
        let texts: Vec<String> = keys.iter().map(|k| key_text(item, k)).collect();
        texts.iter().all(|t| !t.is_empty()) && seen.insert(texts)
    })
}

/// Completes keys that some items leave out from items that agree in the others.
fn fill_in(wanted: &mut [Vec<String>]) {
    for i in 0..wanted.len() {
        for j in 0..wanted.len() {
            if let Some(both) = agree(&wanted[i], &wanted[j]) {
                wanted[i].clone_from(&both);
                wanted[j] = both;
            }
        }
    }
}

fn agree(a: &[String], b: &[String]) -> Option<Vec<String>> {
    let mut common = false;
    let mut both = Vec::with_capacity(a.len());
    for (x, y) in a.iter().zip(b) {
        if x == y {
            common = true;
        } else if !x.is_empty() && !y.is_empty() {
            return None;
        }
        both.push(if x.is_empty() { y.clone() } else { x.clone() });
    }
    common.then_some(both)
}

/// Returns the keys that any item has, with the texts of one item.
fn valid<'k>(wanted: &[Vec<String>], texts: &[String], keys: &'k [String]) -> (Vec<&'k str>, Vec<String>) {
    let used: Vec<bool> = (0..keys.len()).map(|i| wanted.iter().any(|w| !w[i].is_empty())).collect();
    if !used.contains(&true) {
        return (keys.iter().map(String::as_str).collect(), texts.to_vec());
    }
    let pick = |i: &usize| used[*i];
    let names = (0..keys.len()).filter(pick).map(|i| keys[i].as_str()).collect();
    (names, (0..keys.len()).filter(pick).map(|i| texts[i].clone()).collect())
}

/// Returns the keys that one item has; all of them if it has none.
fn present<'k>(names: &[&'k str], texts: &[String]) -> (Vec<&'k str>, Vec<String>) {
    if texts.iter().all(String::is_empty) {
        return (names.to_vec(), texts.to_vec());
    }
    names.iter().zip(texts).filter(|(_, t)| !t.is_empty()).map(|(n, t)| (*n, t.clone())).unzip()
}

fn matches_all(item: &Value, names: &[&str], texts: &[String]) -> bool {
    let Value::Object(fields) = item else { return false };
    names.iter().zip(texts).all(|(n, t)| fields.get(*n).is_some_and(|v| scalar_text(v) == *t))
}

/// Puts an item in the place of those that match, or at the end; without an item those
/// that match are dropped. An empty text matches any value of its key.
fn set_item(list: &mut Vec<Value>, item: Option<Value>, names: &[&str], texts: &[String]) {
    let by_text = texts.first().is_some_and(|t| !t.is_empty());
    let mut found = false;
    let mut kept = Vec::with_capacity(list.len() + 1);
    for old in std::mem::take(list) {
        if is_missing(Some(&old)) {
            continue;
        }
        if !old.is_object() && by_text {
            kept.push(old);
            continue;
        }
        let matching = !texts.is_empty()
            && names.iter().enumerate().all(|(i, name)| match texts.get(i) {
                None => true,
                Some(text) => old.get(*name).is_some_and(|v| text.is_empty() || scalar_text(v) == *text),
            });
        if !matching {
            if !texts.is_empty() {
                kept.push(old);
            }
            continue;
        }
        found = true;
        kept.extend(item.clone());
    }
    if !found {
        kept.extend(item.filter(|i| !i.is_null()));
    }
    *list = kept;
}

/// Adds the object's items to the patch's, each in the place of its like.
fn append_all(added: &mut Vec<Value>, list: &[Value], keys: &[&str]) {
    for item in list {
        let mut texts = Vec::with_capacity(keys.len());
        for key in keys {
            match item.get(*key) {
                Some(value) => texts.push(scalar_text(value).into_owned()),
                // An item without the key is added at once, and again below.
                None => added.push(item.clone()),
            }
        }
        if keys.len() > 1 {
            set_item(added, None, keys, &texts);
        }
        set_item(added, Some(item.clone()), keys, &texts);
    }
}
