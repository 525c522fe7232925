//! Prints values as kustomize prints them.
//!
//! kustomize's last step is go-yaml 2 with keys in natural order; the choice of quotes,
//! block scalars and line folds below follows that emitter, so that output can be
//! compared byte by byte. It differs in one class on purpose: text that a YAML 1.1
//! reader would not give back (`=`, `<<`, line separators other than `\n`) is quoted.
//! Checked against `kubectl kustomize` in `tests/integration/yaml.rs`.

use super::order::{in_natural_order, natural};
use super::scalar::whole;
use super::style::{Style, is_separator, printable, style};
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::fmt::Write as _;

const WIDTH: usize = 80;
/// Longer keys, or keys of several lines, take the explicit form `? key`.
const SIMPLE_KEY: usize = 128;

/// Prints one document, ending in a newline.
pub fn write(value: &Value) -> String {
    let mut out = Emitter::new(512);
    out.document(value);
    out.out
}

/// Documents that one thread prints at a time where there are many.
const AT_ONCE: usize = 128;

/// Prints several documents separated by `---`.
pub fn write_documents<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let values: Vec<&Value> = values.into_iter().collect();
    if values.len() <= AT_ONCE {
        return write_some(&values);
    }
    let parts: Vec<String> = values.par_chunks(AT_ONCE).map(write_some).collect();
    parts.join("---\n")
}

fn write_some(values: &[&Value]) -> String {
    let mut out = Emitter::new(512 * values.len());
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.out.push_str("---\n");
            out.line_start = out.out.len();
        }
        out.document(value);
    }
    out.out
}

/// Prints a value on one line, as JSON that YAML readers take too: characters that YAML
/// does not print, or takes for line breaks, are escaped.
pub fn write_json_string(value: &Value) -> String {
    let json = value.to_string();
    if json.chars().all(|c| printable(c) && !is_separator(c)) {
        return json;
    }
    let mut out = Emitter::new(json.len() + 16);
    for c in json.chars() {
        if printable(c) && !is_separator(c) { out.out.push(c) } else { out.escape(c) }
    }
    out.out
}

/// Prints; the parts that [`super::gaps`] prints by themselves are open to it.
pub(super) struct Emitter<'g> {
    pub(super) out: String,
    pub(super) line_start: usize,
    /// Asked about each text that is no key: true leaves it out, and notes where it would stand.
    pub(super) leave_out: Option<LeaveOut<'g>>,
}

/// Tells of a text, and of where it would stand, whether it is left out.
pub(super) type LeaveOut<'g> = &'g mut dyn FnMut(&str, Spot) -> bool;

/// Where something stands in a text that is being printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// The byte before which it stands.
    pub at: usize,
    /// How many bytes of its line stand before it.
    pub into_line: usize,
    /// The indent of what it stands in.
    pub indent: usize,
    /// True for an item of a list, false for what stands after a key.
    pub item: bool,
}

impl Emitter<'_> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity), line_start: 0, leave_out: None }
    }

    pub(super) fn document(&mut self, value: &Value) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, 0, true),
            Value::Array(items) if !items.is_empty() => self.sequence(items, 0, true),
            other => {
                self.leaf(other, 2);
                self.newline();
            }
        }
    }

    fn newline(&mut self) {
        self.out.push('\n');
        self.line_start = self.out.len();
    }

    fn indent(&mut self, n: usize) {
        const BLANKS: &str = "                                                                ";
        match BLANKS.get(..n) {
            Some(blanks) => self.out.push_str(blanks),
            None => self.out.extend(std::iter::repeat_n(' ', n)),
        }
    }

    fn column(&self) -> usize {
        // The emitter we follow counts characters.
        self.out[self.line_start..].chars().count()
    }

    /// Prints a block mapping; `here` says that the cursor already stands where the first key goes.
    fn mapping(&mut self, map: &Map<String, Value>, indent: usize, mut here: bool) {
        let sorted = map.keys().is_sorted_by(|a, b| natural(a, b) != Ordering::Greater);
        if sorted {
            map.iter().for_each(|entry| self.entry(entry, indent, std::mem::take(&mut here)));
        } else {
            let all = in_natural_order(map).into_iter();
            all.for_each(|entry| self.entry(entry, indent, std::mem::take(&mut here)));
        }
    }

    fn entry(&mut self, (key, value): (&String, &Value), indent: usize, here: bool) {
        if !here {
            self.indent(indent);
        }
        if key.len() > SIMPLE_KEY || key.contains('\n') {
            self.out.push_str("? ");
            self.text(key, indent + 2, false);
            self.newline();
            self.indent(indent);
        } else {
            self.text(key, indent + 2, true);
        }
        self.out.push(':');
        self.value_after_key(value, indent);
    }

    /// Returns true if a value is left out here.
    fn is_left_out(&mut self, value: &Value, indent: usize, item: bool) -> bool {
        let (Some(leave_out), Value::String(text)) = (&mut self.leave_out, value) else { return false };
        let at = self.out.len();
        leave_out(text, Spot { at, into_line: at - self.line_start, indent, item })
    }

    /// Prints what stands after a key and its colon, to the end of the line.
    pub(super) fn value_after_key(&mut self, value: &Value, indent: usize) {
        if self.is_left_out(value, indent, false) {
            self.line_start = self.out.len();
            return;
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.newline();
                self.mapping(map, indent + 2, false);
            }
            Value::Array(items) if !items.is_empty() => {
                self.newline();
                self.sequence(items, indent, false);
            }
            leaf => {
                self.out.push(' ');
                self.leaf(leaf, indent + 2);
                self.newline();
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, mut here: bool) {
        for item in items {
            if !here {
                self.indent(indent);
            }
            here = false;
            self.out.push_str("- ");
            self.item(item, indent);
        }
    }

    /// Prints what stands after the dash of an item, to the end of the line.
    pub(super) fn item(&mut self, item: &Value, indent: usize) {
        if self.is_left_out(item, indent, true) {
            self.line_start = self.out.len();
            return;
        }
        match item {
            Value::Object(map) if !map.is_empty() => self.mapping(map, indent + 2, true),
            Value::Array(inner) if !inner.is_empty() => self.sequence(inner, indent + 2, true),
            leaf => {
                self.leaf(leaf, indent + 2);
                self.newline();
            }
        }
    }

    fn leaf(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => self.number(n),
            Value::String(s) => self.text(s, indent, false),
            Value::Array(_) => self.out.push_str("[]"),
            Value::Object(_) => self.out.push_str("{}"),
        }
    }

    fn number(&mut self, n: &Number) {
        match n.as_f64() {
            Some(f) if n.is_f64() => match whole(f) {
                Some(whole) => self.out.push_str(&whole.to_string()),
                None => self.out.push_str(&go_float(f)),
            },
            _ => {
                let _ = write!(self.out, "{n}");
            }
        }
    }

    fn text(&mut self, text: &str, indent: usize, key: bool) {
        match style(text, key) {
            Style::Plain => self.plain(text, indent, key),
            Style::Single => self.single(text, indent, key),
            Style::Double => self.double(text, indent, key),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn fold(&mut self, indent: usize) {
        self.newline();
        self.indent(indent);
    }

    fn plain(&mut self, text: &str, indent: usize, key: bool) {
        // A character has one byte or more.
        let bytes = self.out.len() - self.line_start + text.len();
        if key || bytes <= WIDTH || self.column() + text.len() <= WIDTH {
            self.out.push_str(text);
            return;
        }
        let mut spaces = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                if !spaces && self.column() > WIDTH && chars.peek() != Some(&' ') {
                    self.fold(indent);
                } else {
                    self.out.push(c);
                }
                spaces = true;
            } else {
                self.out.push(c);
                spaces = false;
            }
        }
    }

    fn single(&mut self, text: &str, indent: usize, key: bool) {
        self.out.push('\'');
        let mut spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            if c == ' ' {
                let inside = i > 0 && i + 1 < text.len();
                let next_is_space = chars.peek().is_some_and(|(_, n)| *n == ' ');
                if !key && !spaces && inside && !next_is_space && self.column() > WIDTH {
                    self.fold(indent);
                } else {
                    self.out.push(c);
                }
                spaces = true;
                continue;
            }
            if c == '\'' {
                self.out.push('\'');
            }
            self.out.push(c);
            spaces = false;
        }
        self.out.push('\'');
    }

    fn double(&mut self, text: &str, indent: usize, key: bool) {
        self.out.push('"');
        // The emitter we follow looks for the mark at the start whatever the position, and
        // then escapes every character.
        let escape_all = text.starts_with('\u{feff}');
        let mut spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            if escape_all
                || !printable(c)
                || matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' | '"' | '\\')
            {
                self.escape(c);
                spaces = false;
            } else if c == ' ' {
                if !key && !spaces && i > 0 && i + 1 < text.len() && self.column() > WIDTH {
                    self.fold(indent);
                    if chars.peek().is_some_and(|(_, n)| *n == ' ') {
                        self.out.push('\\');
                    }
                } else {
                    self.out.push(c);
                }
                spaces = true;
            } else {
                self.out.push(c);
                spaces = false;
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{a0}' => "\\_",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            _ => "",
        };
        if !short.is_empty() {
            self.out.push_str(short);
            return;
        }
        let code = c as u32;
        let _ = match code {
            0..=0xff => write!(self.out, "\\x{code:02X}"),
            0x100..=0xffff => write!(self.out, "\\u{code:04X}"),
            _ => write!(self.out, "\\U{code:08X}"),
        };
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        if !text.ends_with('\n') {
            self.out.push('-');
        } else if text.len() == 1 || text.ends_with("\n\n") {
            self.out.push('+');
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.newline();
            if !line.is_empty() {
                self.indent(indent);
                self.out.push_str(line);
            }
        }
    }
}

/// Prints a float as Go's `strconv.FormatFloat(f, 'g', -1, 64)`.
fn go_float(f: f64) -> String {
    let scientific = format!("{f:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    } else {
        format!("{f}")
    }
}
