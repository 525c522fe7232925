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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::write;
    use serde_json::json;

    /// Fills every place of a document with a value, and compares with printing it whole.
    #[track_caller]
    fn same(values: &[Value]) {
        let form = |x: &[Value]| {
            json!({
                "a": x[0], "a-long-key-with-some-words-in-it-so-that-lines-may-fold-in-what-follows-it": x[1],
                "b": {"c": [x[2], {"d": x[3], "e": [[x[4]], "fixed"]}, {"f": {"g": x[5]}}]},
                "z": "a fixed text of the form, with a colon: and more",
                "größer als": [x[6]],
            })
        };
        let marks: Vec<Value> = (0..7).map(|i| json!(format!("<{i}>"))).collect();
        let slot = |text: &str| text.strip_prefix('<')?.strip_suffix('>')?.parse().ok();
        let gapped = Gapped::print(&form(&marks), &slot);
        let given: Vec<&Value> = values.iter().collect();
        assert_eq!(gapped.fill(&given), write(&form(values)));
    }

    fn odd() -> Vec<Value> {
        let texts = [
            "",
            "plain",
            "two words",
            "it's",
            "\"quoted\"",
            "a: b",
            "a #b",
            "- a",
            "null",
            "~",
            "true",
            "yes",
            "0o17",
            "1.0",
            "1e3",
            "2026-11-21",
            "<<",
            "=",
            "a\nb",
            "a\nb\n",
            "a\n\n",
            "\n",
            " lead",
            "trail ",
            "tab\t",
            "größer 東京",
            "\u{85}",
            "\u{2028}x",
            "\u{feff}x",
            "\u{7}",
            "{}",
            "[a]",
            "&a",
            "*a",
            "!a",
            "|",
            "%",
            "@",
            "`",
        ];
        let mut all: Vec<Value> = texts.iter().map(|t| json!(t)).collect();
        for width in [70, 78, 79, 80, 81, 82, 100, 300] {
            all.push(json!("x".repeat(width)));
            all.push(json!("word and ".repeat(width / 9 + 1)));
            all.push(json!("it's: ".repeat(width / 6 + 1)));
            all.push(json!("ä ".repeat(width / 2)));
            all.push(json!(format!("{} \u{7} {}", "x y ".repeat(width / 4), "z ".repeat(width))));
        }
        all.extend([json!(null), json!(true), json!(-7), json!(1.5), json!(1e300), json!(u64::MAX)]);
        all.extend([
            json!([]),
            json!({}),
            json!(["a", ["b", []], {"c": {}}]),
            json!({"a": {"b": ["c", {"d": 1}]}}),
        ]);
        all.push(
            json!({"a long key? ".repeat(20): "x", "a\nb": ["y"], "on": "off", "b": "word ".repeat(40)}),
        );
        all
    }

    #[test]
    fn a_filled_document_is_the_document_printed_whole() {
        let odd = odd();
        for start in 0..odd.len() {
            let values: Vec<Value> = (0..7).map(|i| odd[(start + i * 5) % odd.len()].clone()).collect();
            same(&values);
            same(&vec![odd[start].clone(); 7]);
        }
    }

    #[test]
    fn a_slot_without_a_value_is_null() {
        let gapped = Gapped::print(&json!({"a": "?"}), &|text| (text == "?").then_some(0));
        assert_eq!(gapped.fill(&[]), "a: null\n");
    }
}
