//! Forms: what many units of a component have in common, rendered, overlaid, checked and printed once.
//!
//! Templates have [forms of their own](crate::template::Form): objects with slots for values. A unit's
//! form is what becomes of those of all its templates under one overlay chain. It is made by
//! [`crate::stage::form`], which also says when a unit may take it.

use super::overlay::Matches;
use crate::error::Origin;
use crate::yaml::Gapped;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How many forms of one component are kept. Templates with lists make as many as there are lengths.
const MAX_KEPT: usize = 256;

/// The objects of many units, with slots. Slots are counted through all templates of the unit.
#[derive(Debug)]
pub struct Form {
    /// Its objects, in the order of the templates.
    pub objects: Vec<FormObject>,
    /// The slots whose values must be texts.
    pub texts: Vec<usize>,
    /// Which overlay entries found something.
    pub matched: Matches,
}

/// One object of a form.
#[derive(Debug)]
pub struct FormObject {
    /// The template line that makes it.
    pub at: Origin,
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: Text,
    /// The name.
    pub name: Text,
    /// The slots in it, and whether base64 may stand there by the field's meaning.
    pub slots: Vec<(usize, bool)>,
    /// The object with marks, where what it means has to be judged as a whole.
    pub judged: Option<Value>,
    /// The object as it is printed.
    pub printed: Gapped,
}

/// A text that is the same for all units, or the value of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The same for all.
    Fixed(String),
    /// In this slot.
    Slot(usize),
}

/// What a form follows from, within one component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FormKey {
    /// The numbers of the templates' forms.
    pub templates: Vec<u64>,
    /// The names and digests of the overlays, in order.
    pub steps: Vec<(u64, blake3::Hash)>,
}

/// The forms of one component that were seen so far.
#[derive(Debug, Default)]
pub struct Forms(RwLock<HashMap<FormKey, Known>>);

/// What is known of a key.
#[derive(Clone, Debug)]
enum Known {
    /// It was seen once. A form costs as much as a unit, so only a second unit makes it.
    Seen,
    /// There is none.
    None,
    /// This one.
    Form(Arc<Form>),
}

impl Forms {
    /// Returns the form of a key, made when a second unit asks.
    pub fn get(&self, key: FormKey, make: impl FnOnce() -> Option<Form>) -> Option<Arc<Form>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let next = match known {
            Some(Known::Form(form)) => return Some(form),
            Some(Known::None) => return None,
            Some(Known::Seen) => make().map_or(Known::None, |form| Known::Form(Arc::new(form))),
            None => Known::Seen,
        };
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT || kept.contains_key(&key) {
            kept.insert(key, next.clone());
        }
        match next {
            Known::Form(form) => Some(form),
            Known::Seen | Known::None => None,
        }
    }
}
