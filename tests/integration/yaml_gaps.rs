//! Documents that are printed once, with gaps that are filled later.

use crate::support::odd::ODD_TEXTS;
use hydrant::yaml::{Gapped, write};
use serde_json::{Value, json};

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
    let own = ["yes", "a\n\n", "|"];
    let mut all: Vec<Value> = ODD_TEXTS.iter().chain(&own).map(|t| json!(t)).collect();
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
    all.push(json!({"a long key? ".repeat(20): "x", "a\nb": ["y"], "on": "off", "b": "word ".repeat(40)}));
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
