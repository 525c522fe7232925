//! Labels and annotations that kustomize sets in several places of an object as one node.
//!
//! Where one entry of `labels` adds a key to the metadata, the selector and the template,
//! kustomize puts the same node into all three; whatever changes one of them later
//! changes all. It is visible: an overlay that sets the label in the metadata alone
//! changes the selector that a base made. So it is followed here.

use super::resource::{Resource, Step};
use serde_json::Value;

/// Places of one object that hold one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// The places.
    pub places: Vec<Vec<Step>>,
    /// What they hold.
    pub value: Value,
}

impl Resource {
    /// Brings a change of one of several shared places to the others.
    pub fn sync_shared(&mut self) {
        if self.shared.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.shared);
        for shared in &mut all {
            shared.places.retain(|place| at(&mut self.value, place).is_some());
            let mut changed = None;
            for place in &shared.places {
                changed =
                    at(&mut self.value, place).filter(|v| **v != shared.value).map(|v| v.clone()).or(changed);
            }
            let Some(value) = changed else { continue };
            for place in &shared.places {
                if let Some(there) = at(&mut self.value, place) {
                    there.clone_from(&value);
                }
            }
            shared.value = value;
        }
        all.retain(|shared| shared.places.len() > 1);
        self.shared = all;
    }
}

/// Returns what stands at a place.
pub fn at<'v>(value: &'v mut Value, place: &[Step]) -> Option<&'v mut Value> {
    place.iter().try_fold(value, |value, step| match (step, value) {
        (Step::Key(key), Value::Object(map)) => map.get_mut(key),
        (Step::Index(i), Value::Array(items)) => items.get_mut(*i),
        _ => None,
    })
}
