//! The forms that a template with tags takes.
//!
//! What its `{% if %}` and `{% for %}` leave is the same for most units: a few forms, in which only
//! the values differ. So the template is run with a mark for each value, as a skeleton has them;
//! each form is parsed once, and its slots are filled per unit.
//!
//! This is a short cut to what printing the values and parsing the text would give. Where the two
//! could differ (a value that is a part of a text, an unusual character or number, a key that is
//! no text, a very large result) it gives up, and the text is printed and parsed.

use super::meter;
use super::scan::{MARK_CLOSE, MARK_OPEN};
use super::skeleton::Documents;
use crate::yaml::Limits;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

/// How many forms of one template are kept. A list of any length makes as many as it has lengths.
const MAX_KEPT: usize = 128;
/// The largest form and the largest values that take this way, in bytes. Printed as JSON a byte
/// may become six, and what is printed here stays below the bounds of a text that is parsed.
const MAX_BYTES: usize = 512 << 10;
/// How deep a value may nest, and how deep a form: together less than what a text may.
const MAX_DEPTH: usize = 20;

/// The bounds on a form.
const LIMITS: Limits = Limits { depth: 40, nodes: 150_000, ..Limits::inputs() };

/// The values that a template printed, while it runs with marks.
#[derive(Default)]
struct Taken {
    values: Vec<Value>,
    bytes: usize,
    unusual: bool,
}

thread_local! {
    static TAKEN: RefCell<Option<Taken>> = const { RefCell::new(None) };
}

/// Prints a value: a mark while a template runs with marks, otherwise what `print` gives.
pub fn print(
    out: &mut dyn Write,
    value: Value,
    print: impl FnOnce(&Value) -> String,
) -> Result<(), fmt::Error> {
    let kept = TAKEN.with_borrow_mut(|taken| {
        let Some(taken) = taken else { return Err(value) };
        taken.unusual |= !is_usual(&value, 0, &mut taken.bytes);
        // Nothing is kept that will not be used.
        taken.values.push(if taken.unusual { Value::Null } else { value });
        Ok(taken.values.len() - 1)
    });
    match kept {
        Ok(number) => write!(out, "{MARK_OPEN}{number}{MARK_CLOSE}"),
        Err(value) => out.write_str(&print(&value)),
    }
}

/// Returns true for a value that comes back the same when it is printed as JSON and read as YAML.
fn is_usual(value: &Value, depth: usize, bytes: &mut usize) -> bool {
    *bytes += meter::ITEM;
    if depth > MAX_DEPTH || *bytes > MAX_BYTES {
        return false;
    }
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => number.is_i64(),
        Value::String(text) => is_usual_text(text, bytes),
        Value::Array(items) => items.iter().all(|item| is_usual(item, depth + 1, bytes)),
        Value::Object(map) => map
            .iter()
            .all(|(key, item)| key != "<<" && is_usual_text(key, bytes) && is_usual(item, depth + 1, bytes)),
    }
}

fn is_usual_text(text: &str, bytes: &mut usize) -> bool {
    *bytes += text.len();
    let plain = |b: u8| (b' '..0x7f).contains(&b) || b == b'\n' || b == b'\t';
    text.bytes().all(plain) || text.chars().all(|c| c.is_alphanumeric() || c.is_ascii() && plain(c as u8))
}

/// The forms of one template that were seen so far. `None` is a form that has to be printed.
#[derive(Debug, Default)]
pub struct Shapes(RwLock<HashMap<Box<str>, Option<Arc<Documents>>>>);

/// The form of one unit, and the values of its slots.
pub type Filling = (Arc<Documents>, Vec<Value>);

impl Shapes {
    /// Finds the form of one unit, and the values of its slots. `run` runs the template; it is told
    /// nothing of the marks. Returns `None` where the text has to be printed and parsed.
    ///
    /// # Errors
    /// What `run` gives.
    pub fn evaluate<E>(
        &self,
        file: &Arc<str>,
        run: impl FnOnce() -> Result<String, E>,
    ) -> Result<Option<Filling>, E> {
        TAKEN.set(Some(Taken::default()));
        let marked = run();
        let taken = TAKEN.take().unwrap_or_default();
        let marked = marked?;
        if taken.unusual || marked.len() > MAX_BYTES {
            return Ok(None);
        }
        Ok(self.documents(file, &marked).map(|documents| (documents, taken.values)))
    }

    fn documents(&self, file: &Arc<str>, marked: &str) -> Option<Arc<Documents>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(marked).cloned();
        if let Some(known) = known {
            return known;
        }
        let parsed = Documents::parse(file, marked, &LIMITS).ok();
        // An alias repeats a value, and the bounds on repetition count the printed one.
        let mut parsed = parsed.filter(Documents::uses_each_once);
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            return parsed.map(Arc::new);
        }
        parsed.iter_mut().for_each(Documents::keep);
        // Another thread may have been first; then its number is the one.
        kept.entry(marked.into()).or_insert_with(|| parsed.map(Arc::new)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Context, Part, Template};
    use serde_json::{Value, json};

    /// Renders a template the short way and the long way, and compares.
    #[track_caller]
    fn same(text: &str, values: Value) -> bool {
        let template = Template::compile("t.yaml".into(), text).unwrap();
        let context = Context::new([("values", Part::new(values))].into(), Default::default());
        let long = template.render_printed(&context);
        let short = template.render_filled(&context);
        let whole = template.render(&context);
        assert_eq!(whole, long, "{text}");
        match short {
            Some(short) => {
                assert_eq!(short, long, "{text}");
                true
            }
            None => false,
        }
    }

    const TEXT: &str = "{% for key, value in values.map | dictsort %}
a:
  {{ key }}: {{ value }}
  list: [x, {{ value }}, {y: {{ value }}}]
---
{% endfor %}
{% if values.more %}
more: {{ values.more }}
{% endif %}
";

    #[test]
    fn a_filled_form_is_what_the_printed_text_gives() {
        for value in [
            json!("plain"),
            json!("with \"quotes\" and \\ and: # {{ }}\nand\ttabs"),
            json!("größer als 東京"),
            json!(""),
            json!("null"),
            json!("1.0"),
            json!(0),
            json!(-7),
            json!(i64::MAX),
            json!(null),
            json!(true),
            json!([1, [2, {"a": []}], {}]),
            json!({"on": "off", "x": {"y": [null]}}),
        ] {
            assert!(same(TEXT, json!({"map": {"one": value, "two": value}, "more": 1})), "{value}");
            assert!(same(TEXT, json!({"map": {}, "more": value})), "{value}");
        }
    }

    #[test]
    fn what_is_unusual_is_printed() {
        for value in [
            json!(1.0),
            json!(1e300),
            json!(u64::MAX),
            json!("bell \u{7}"),
            json!("\u{feff}"),
            json!("next line \u{85}"),
            json!("\u{1f600}"),
            json!({"<<": {"a": 1}}),
            json!("x".repeat(600 << 10)),
        ] {
            assert!(
                !same(TEXT, json!({"map": {"one": value}, "more": false})),
                "{}",
                value.to_string().len()
            );
        }
    }

    #[test]
    fn what_reads_differently_as_text_is_printed() {
        // A key that is no text, a key that stands twice, a value that is repeated.
        assert!(!same("{% if true %}\n{{ values.key }}: 1\n{% endif %}\n", json!({"key": true})));
        assert!(!same("{% if true %}\n{{ values.key }}: 1\na: 2\n{% endif %}\n", json!({"key": "a"})));
        assert!(!same("{% if true %}\na: &x {{ values.key }}\nb: *x\n{% endif %}\n", json!({"key": "a"})));
    }

    #[test]
    fn more_forms_than_are_kept_are_all_right() {
        for length in 0..super::MAX_KEPT + 5 {
            let list: Vec<usize> = (0..length).collect();
            let text = "a:\n{% for x in values.list %}\n- {{ x }}\n{% endfor %}\n- end\n";
            assert!(same(text, json!({"list": list})));
        }
    }
}
