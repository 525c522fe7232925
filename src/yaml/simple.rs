//! A quick reader for the plain YAML that nearly all manifests are.
//!
//! It takes block maps and lists, scalars of one line, literal blocks and flow collections
//! of one line, and gives up on everything else: anchors, tags, merge keys, folded or
//! continued scalars, explicit keys, carriage returns, and whatever is wrong. Then the full
//! parser reads the text from its beginning, so that every doubt and every message is its
//! own. What both can read they read alike, with the same places: `tests/integration/yaml_simple.rs`
//! holds this reader to the full one over all fixtures and over random texts.

use super::node::{Data, Entry, Mark, Node, Scalar};
use super::parse::Limits;
use std::collections::HashSet;

mod scalars;

/// Maps of more entries look for keys that stand twice in a set, not one by one.
const FEW: usize = 12;
/// Longer keys are left to the full parser, which has a limit of its own.
const LONGEST_KEY: usize = 1000;

/// Reads the documents of a text, or gives up.
pub(super) fn read(text: &str, limits: &Limits) -> Option<Vec<Node>> {
    if text.len() > limits.scalar_bytes || !has_only_plain_characters(text) {
        return None;
    }
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at: 0,
        line: 1,
        line_start: 0,
        ascii: text.is_ascii(),
        column: (0, 0),
        nodes: 0,
        most_nodes: limits.nodes,
        // Half of what is allowed: how levels are counted near the limit is the full
        // parser's business.
        deepest: limits.depth / 2,
    };
    reader.documents(limits.documents)
}

/// Returns true if no character is a line break or a blank to some readers only, or not
/// allowed at all.
fn has_only_plain_characters(text: &str) -> bool {
    let control = |b: u8| b < b' ' && b != b'\n' && b != b'\t' || b == 0x7f;
    // All bytes are looked at, so that many are looked at in one step.
    if text.bytes().fold(false, |found, b| found | control(b)) {
        return false;
    }
    text.is_ascii()
        || !text.chars().any(|c| {
            matches!(c, '\u{80}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        })
}

struct Reader<'t> {
    bytes: &'t [u8],
    text: &'t str,
    /// Where the reader stands.
    at: usize,
    line: u32,
    line_start: usize,
    ascii: bool,
    /// For other texts: the last column that was counted, as (byte, characters before it).
    column: (usize, u32),
    nodes: usize,
    most_nodes: usize,
    deepest: usize,
}

/// What stands where a value can begin.
enum Start {
    /// Nothing more on this line.
    Nothing,
    /// A value or a key.
    Something,
}

impl<'t> Reader<'t> {
    fn documents(&mut self, most: usize) -> Option<Vec<Node>> {
        let mut documents = Vec::new();
        loop {
            let indent = self.next_line()?;
            if self.at == self.bytes.len() {
                return Some(documents);
            }
            if indent == 0 && self.at_separator() {
                self.at += 3;
                if let Start::Something = self.rest_of_line()? {
                    return None;
                }
                continue;
            }
            documents.push(self.block(indent, 0)?);
            if documents.len() > most {
                return None;
            }
            // What follows must be the end or a separator.
            self.next_line()?;
            let ended = self.at == self.bytes.len() || self.at == self.line_start && self.at_separator();
            if !ended {
                return None;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn after(&self, n: usize) -> Option<u8> {
        self.bytes.get(self.at + n).copied()
    }

    /// Returns true if `---` stands here as a word.
    fn at_separator(&self) -> bool {
        self.bytes[self.at..].starts_with(b"---") && matches!(self.after(3), None | Some(b' ' | b'\n'))
    }

    fn mark(&mut self) -> Mark {
        let column = if self.ascii {
            (self.at - self.line_start) as u32
        } else {
            let (from, before) = if self.column.0 >= self.line_start && self.column.0 <= self.at {
                self.column
            } else {
                (self.line_start, 0)
            };
            let column = before + self.text.get(from..self.at).map_or(0, |t| t.chars().count()) as u32;
            self.column = (self.at, column);
            column
        };
        Mark { line: self.line, column: column + 1 }
    }

    fn count(&mut self) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= self.most_nodes).then_some(())
    }

    fn end_line(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }

    /// Goes to the end of a comment.
    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|b| b != b'\n') {
            self.at += 1;
        }
    }

    /// Goes to the next line that holds something, from where a line ends or begins;
    /// returns its indentation.
    fn next_line(&mut self) -> Option<usize> {
        loop {
            while self.peek() == Some(b' ') {
                self.at += 1;
            }
            match self.peek() {
                None => return Some(0),
                Some(b'\n') => self.end_line(),
                Some(b'#') => self.skip_comment(),
                Some(b'\t') => return None,
                Some(_) => return Some(self.at - self.line_start),
            }
        }
    }

    /// Passes over blanks and a comment; tells whether the line holds more.
    fn rest_of_line(&mut self) -> Option<Start> {
        let from = self.at;
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        match self.peek() {
            None | Some(b'\n') => Some(Start::Nothing),
            Some(b'#') if self.at > from => {
                self.skip_comment();
                Some(Start::Nothing)
            }
            Some(b'\t' | b'#') => None,
            Some(_) => Some(Start::Something),
        }
    }

    /// Passes over the end of a line that must hold nothing more.
    fn nothing_more(&mut self) -> Option<()> {
        matches!(self.rest_of_line()?, Start::Nothing).then_some(())
    }

    /// Returns true if a list item begins here.
    fn at_item(&self) -> bool {
        self.peek() == Some(b'-') && matches!(self.after(1), None | Some(b' ' | b'\n'))
    }

    /// Reads the map or the list that begins here, at this column.
    fn block(&mut self, indent: usize, depth: usize) -> Option<Node> {
        if depth > self.deepest {
            return None;
        }
        if self.at_item() { self.list(indent, depth, false) } else { self.map(indent, depth) }
    }

    /// Reads a list; `beside` says that it stands in the column of the key above it.
    fn list(&mut self, indent: usize, depth: usize, beside: bool) -> Option<Node> {
        self.count()?;
        let mut at = self.mark();
        let mut items = Vec::new();
        loop {
            self.at += 1;
            let item = match self.rest_of_line()? {
                Start::Nothing => self.below(indent + 1, depth, false)?,
                Start::Something => {
                    let column = self.at - self.line_start;
                    if self.at_item() || self.at_key() {
                        self.block(column, depth + 1)?
                    } else {
                        self.value(indent, depth + 1)?
                    }
                }
            };
            if beside && items.is_empty() {
                // The full parser lets such a list begin at its first item.
                if item.at.line != at.line {
                    return None;
                }
                at = item.at;
            }
            items.push(item);
            if self.next_line()? != indent || self.at_end() || !self.at_item() {
                return self.closed(indent).then_some(Node { at, data: Data::Seq(items) });
            }
        }
    }

    fn map(&mut self, indent: usize, depth: usize) -> Option<Node> {
        self.count()?;
        let at = self.mark();
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        loop {
            self.count()?;
            let key_at = self.mark();
            let (key, key_plain) = self.key()?;
            let value = match self.rest_of_line()? {
                Start::Nothing => self.below(indent + 1, depth, true)?,
                Start::Something => self.value(indent, depth + 1)?,
            };
            push(&mut entries, &mut seen, Entry { key, key_at, key_plain, value })?;
            if self.next_line()? != indent || self.at_end() {
                return self.closed(indent).then_some(Node { at, data: Data::Map(entries) });
            }
        }
    }

    /// Returns true at the end of a document.
    fn at_end(&self) -> bool {
        self.at == self.bytes.len() || self.at == self.line_start && self.at_separator()
    }

    /// Returns true if what begins here may follow a collection of this column. A list may
    /// stand in the column of the key above it.
    fn closed(&self, indent: usize) -> bool {
        self.at_end() || self.at - self.line_start <= indent
    }

    /// Reads what stands below a key or a dash with nothing after it.
    fn below(&mut self, least: usize, depth: usize, key: bool) -> Option<Node> {
        let indent = self.next_line()?;
        if self.at_end() {
            return None;
        }
        if indent >= least {
            return if self.at_item() || self.at_key() { self.block(indent, depth + 1) } else { None };
        }
        if key && indent + 1 == least && self.at_item() && depth < self.deepest {
            return self.list(indent, depth + 1, true);
        }
        // A value that is not there: where it stands is the full parser's to say.
        None
    }

    /// Reads a value that begins on this line, up to the line's end; `indent` is that of
    /// the collection around it.
    fn value(&mut self, indent: usize, depth: usize) -> Option<Node> {
        if depth > self.deepest {
            return None;
        }
        match self.peek()? {
            b'|' => self.literal(indent),
            b'{' | b'[' => {
                let node = self.flow(depth)?;
                self.nothing_more()?;
                Some(node)
            }
            b'"' | b'\'' => {
                let node = self.quoted()?;
                self.nothing_more()?;
                Some(node)
            }
            _ => {
                let at = self.mark();
                let text = self.plain_text()?;
                self.scalar(at, text, true)
            }
        }
    }

    fn scalar(&mut self, at: Mark, text: String, plain: bool) -> Option<Node> {
        self.count()?;
        Some(Node { at, data: Data::Scalar(Scalar { text, plain, tag: None }) })
    }

    fn quoted(&mut self) -> Option<Node> {
        let at = self.mark();
        let text = self.quoted_text()?;
        self.scalar(at, text, false)
    }

    /// Reads a map or list in braces or brackets that ends on this line.
    fn flow(&mut self, depth: usize) -> Option<Node> {
        if depth > self.deepest {
            return None;
        }
        self.count()?;
        let at = self.mark();
        let map = self.peek() == Some(b'{');
        let close = if map { b'}' } else { b']' };
        self.at += 1;
        let (mut entries, mut items, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        self.blanks();
        if self.peek() == Some(close) {
            self.at += 1;
        } else {
            loop {
                if map {
                    let entry = self.flow_entry(depth)?;
                    push(&mut entries, &mut seen, entry)?;
                } else {
                    items.push(self.flow_value(depth)?);
                }
                self.blanks();
                let sign = self.peek()?;
                self.at += 1;
                if sign == close {
                    break;
                }
                if sign != b',' {
                    return None;
                }
                self.blanks();
            }
        }
        Some(Node { at, data: if map { Data::Map(entries) } else { Data::Seq(items) } })
    }

    fn blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    fn flow_entry(&mut self, depth: usize) -> Option<Entry> {
        self.count()?;
        let key_at = self.mark();
        let from = self.at;
        let key_plain = !matches!(self.peek()?, b'"' | b'\'');
        let key = if key_plain { self.flow_plain_text()? } else { self.quoted_text()? };
        if self.peek() != Some(b':') || self.at - from > LONGEST_KEY {
            return None;
        }
        self.at += 1;
        // After a key in quotes the value may follow at once, as in JSON.
        if key_plain && self.peek() != Some(b' ') {
            return None;
        }
        self.blanks();
        let value = self.flow_value(depth)?;
        Some(Entry { key, key_at, key_plain, value })
    }

    fn flow_value(&mut self, depth: usize) -> Option<Node> {
        match self.peek()? {
            b'{' | b'[' => self.flow(depth + 1),
            b'"' | b'\'' => self.quoted(),
            _ => {
                let at = self.mark();
                let text = self.flow_plain_text()?;
                if self.peek() == Some(b':') {
                    return None;
                }
                self.scalar(at, text, true)
            }
        }
    }
}

/// Adds an entry; gives up on a key that stands twice and on a merge key.
fn push(entries: &mut Vec<Entry>, seen: &mut HashSet<String>, entry: Entry) -> Option<()> {
    if entry.key_plain && entry.key == "<<" {
        return None;
    }
    if entries.len() < FEW {
        if entries.iter().any(|e| e.key == entry.key) {
            return None;
        }
    } else {
        if seen.is_empty() {
            seen.extend(entries.iter().map(|e| e.key.clone()));
        }
        if !seen.insert(entry.key.clone()) {
            return None;
        }
    }
    entries.push(entry);
    Some(())
}
