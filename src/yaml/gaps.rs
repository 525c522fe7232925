//! Documents that were printed once, with gaps where values stand that differ from one to the next.
//!
//! How a value is printed follows from the value, its indent and how far into its line it stands; how
//! the rest is printed does not follow from it. So the rest is kept as text, and each value is
//! printed into its gap by the same [`Emitter`] that prints whole documents.

use super::emit::{Emitter, Spot};
use serde_json::Value;

/// A printed document with gaps.
#[derive(Clone, Debug)]
pub struct Gapped {
    text: Box<str>,
    gaps: Vec<(usize, Spot)>,
}

impl Gapped {
    /// Prints a document, and leaves a gap for each text value that `slot` has a number for. Keys are
    /// printed as they are.
    pub fn print(document: &Value, slot: &dyn Fn(&str) -> Option<usize>) -> Self {
        let mut gaps = Vec::new();
        let mut note = |text: &str, spot: Spot| {
            let slot = slot(text);
            gaps.extend(slot.map(|slot| (slot, spot)));
            slot.is_some()
        };
        let mut out = Emitter { leave_out: Some(&mut note), ..Emitter::new(512) };
        out.document(document);
        let text = out.out.into();
        Self { text, gaps }
    }

    /// Returns the document with values in its gaps, by the numbers of their slots; a slot without a
    /// value prints null.
    pub fn fill(&self, values: &[&Value]) -> String {
        let mut out = Emitter::new(self.text.len() + 32 * self.gaps.len());
        let mut done = 0;
        for (slot, spot) in &self.gaps {
            out.out.push_str(&self.text[done..spot.at]);
            done = spot.at;
            out.line_start = out.out.len() - spot.into_line;
            let value = values.get(*slot).copied().unwrap_or(&Value::Null);
            match spot.item {
                true => out.item(value, spot.indent),
                false => out.value_after_key(value, spot.indent),
            }
        }
        out.out.push_str(&self.text[done..]);
        out.out
    }
}
