//! Cuts a template into literal text, expressions and tags, and refuses what we do not take.

use crate::error::{Origin, Violation, Violations};
use crate::suggest::did_you_mean;
use std::sync::Arc;

/// The longest expression, in bytes.
pub const MAX_EXPRESSION: usize = 2_000;
/// How many texts or lists one expression may join (`~`, `+`).
pub const MAX_JOINS: usize = 16;
/// How many names one expression may use.
pub const MAX_NAMES: usize = 32;
/// How many expressions and tags one template may hold.
pub const MAX_PARTS: usize = 5_000;

/// Stands in the text where an expression stood. Private-use characters: no input may hold them.
pub const MARK_OPEN: char = '\u{f8f0}';
/// Ends a mark.
pub const MARK_CLOSE: char = '\u{f8f1}';

/// One piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text that is printed as it is.
    Literal(String),
    /// `{{ expression }}`.
    Slot {
        /// The expression.
        text: String,
        /// Its line, from 1.
        line: u32,
    },
    /// `{% tag %}`.
    Tag {
        /// What stands between the signs.
        text: String,
        /// Its line, from 1.
        line: u32,
    },
}

/// A template in pieces.
#[derive(Debug)]
pub struct Scanned {
    /// The pieces in order.
    pub pieces: Vec<Piece>,
}

const TAGS: [&str; 7] = ["for", "endfor", "if", "elif", "else", "endif", "set"];

/// Cuts a template into pieces.
///
/// # Errors
/// Every tag that is not taken, every expression that could grow without bound.
pub fn scan(file: &Arc<str>, text: &str) -> Result<Scanned, Violations> {
    let mut scanner = Scanner { file, rest: text, line: 1, pieces: Vec::new(), found: Vec::new() };
    if let Some(at) = text.find([MARK_OPEN, MARK_CLOSE]) {
        let line = line_of(text, at);
        return Err(vec![
            Violation::error(
                "the template holds a character of the private use area that Hydrant uses itself",
            )
            .at(Origin::at(file.clone(), line, 0)),
        ]);
    }
    scanner.run();
    if scanner.pieces.len() > MAX_PARTS {
        scanner.found.push(
            Violation::error(format!("the template has more than {MAX_PARTS} parts"))
                .at(Origin::file(file.clone()))
                .hint("split it into several files"),
        );
    }
    if scanner.found.is_empty() { Ok(Scanned { pieces: scanner.pieces }) } else { Err(scanner.found) }
}

fn line_of(text: &str, at: usize) -> u32 {
    text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() as u32 + 1
}

struct Scanner<'a> {
    file: &'a Arc<str>,
    rest: &'a str,
    line: u32,
    pieces: Vec<Piece>,
    found: Violations,
}

impl Scanner<'_> {
    fn run(&mut self) {
        while let Some(at) = next_open(self.rest) {
            self.literal(at);
            let kind = self.rest.as_bytes()[1];
            let line = self.line;
            let body = &self.rest[2..];
            let close = match kind {
                b'{' => end_of(body, "}}"),
                b'%' => end_of(body, "%}"),
                _ => body.find("#}"),
            };
            let Some(end) = close else {
                self.problem(line, "this `{{`, `{%` or `{#` is never closed", "close it on the same line");
                return;
            };
            let inner = body[..end].trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
            if kind != b'#' && body[..end].contains('\n') {
                self.problem(
                    line,
                    "an expression or tag must stand on one line",
                    "shorten it, or use `{% set %}` on the line before",
                );
            }
            match kind {
                b'{' => self.slot(inner, line),
                b'%' => self.tag(inner, line),
                _ => self.comment(&body[..end]),
            }
            self.advance(end + 4);
        }
        self.literal(self.rest.len());
    }

    fn advance(&mut self, bytes: usize) {
        self.line += self.rest.as_bytes()[..bytes].iter().filter(|b| **b == b'\n').count() as u32;
        self.rest = &self.rest[bytes..];
    }

    fn literal(&mut self, bytes: usize) {
        if bytes > 0 {
            self.pieces.push(Piece::Literal(self.rest[..bytes].to_owned()));
            self.advance(bytes);
        }
    }

    /// Keeps the line breaks of a comment, so that lines stay what they are.
    fn comment(&mut self, body: &str) {
        let breaks = body.bytes().filter(|b| *b == b'\n').count();
        if breaks > 0 {
            self.pieces.push(Piece::Literal("\n".repeat(breaks)));
        }
    }

    fn slot(&mut self, text: &str, line: u32) {
        let at = Origin::at(self.file.clone(), line, 0);
        match check_expression(text, &at) {
            Ok(()) => self.pieces.push(Piece::Slot { text: text.to_owned(), line }),
            Err(v) => self.found.push(v),
        }
    }

    fn tag(&mut self, text: &str, line: u32) {
        let word = text.split_whitespace().next().unwrap_or("");
        let at = Origin::at(self.file.clone(), line, 0);
        if !TAGS.contains(&word) {
            let mut v = Violation::error(format!("the tag `{word}` is not taken here")).at(at);
            v.hint = Some(match word {
                "autoescape" => "every value is printed as JSON; that cannot be turned off".into(),
                "raw" => {
                    "put the text into a file of its own and take it in with `{{ text(\"name\") }}`".into()
                }
                _ => did_you_mean(word, TAGS).unwrap_or_default(),
            });
            self.found.push(v);
            return;
        }
        if word == "set" && !text.contains('=') {
            self.found.push(
                Violation::error("a `{% set %}` block is not taken here")
                    .at(at)
                    .hint("write `{% set name = value %}`"),
            );
            return;
        }
        let rest = &text[word.len()..];
        if !rest.trim().is_empty() {
            // `for x in y` and `name = value` hold names besides the expression; the bounds are
            // wide enough to count them in.
            let assignment = word == "set";
            if let Err(v) = check_tag(rest, assignment, &at) {
                self.found.push(v);
                return;
            }
        }
        self.pieces.push(Piece::Tag { text: text.to_owned(), line });
    }

    fn problem(&mut self, line: u32, message: &str, hint: &str) {
        self.found.push(Violation::error(message).at(Origin::at(self.file.clone(), line, 0)).hint(hint));
    }
}

fn next_open(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(1))
        .find(|&i| bytes[i] == b'{' && matches!(bytes[i + 1], b'{' | b'%' | b'#'))
        .filter(|&i| text.is_char_boundary(i))
}

/// Returns where a closing sign stands, outside of quotes and of the mappings of an expression.
fn end_of(body: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    let mut mappings = 0usize;
    for (i, c) in body.char_indices() {
        match quote {
            Some(q) => {
                if escaped {
                    escaped = false;
                } else if c == '\\' {
                    escaped = true;
                } else if c == q {
                    quote = None;
                }
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '{' => mappings += 1,
            None if c == '}' && mappings > 0 => mappings -= 1,
            None if body[i..].starts_with(close) => return Some(i),
            None => {}
        }
    }
    None
}

/// Checks that an expression stays within its bounds.
///
/// # Errors
/// Operators that multiply, too many joins or names, or a text too long.
pub fn check_expression(text: &str, at: &Origin) -> Result<(), Violation> {
    check_tag(text, true, at)
}

fn check_tag(text: &str, _whole: bool, at: &Origin) -> Result<(), Violation> {
    let refuse = |message: String, hint: &str| Err(Violation::error(message).at(at.clone()).hint(hint));
    if text.trim().is_empty() {
        return refuse("the expression is empty".into(), "write a name, as in `{{ cluster.name }}`");
    }
    if text.len() > MAX_EXPRESSION {
        return refuse(
            format!("the expression is longer than {MAX_EXPRESSION} bytes"),
            "split it with `{% set %}`",
        );
    }
    let counts = count_tokens(text);
    if counts.multiplies {
        return refuse(
            "`*` is not taken in templates: it can repeat a text without bound".into(),
            "multiply numbers with the filter `times`, as in `{{ n | times(2) }}`",
        );
    }
    if counts.joins > MAX_JOINS {
        return refuse(
            format!("the expression joins more than {MAX_JOINS} parts"),
            "split it with `{% set %}`",
        );
    }
    if counts.names > MAX_NAMES {
        return refuse(
            format!("the expression uses more than {MAX_NAMES} names"),
            "split it with `{% set %}`",
        );
    }
    if counts.unbalanced {
        return refuse("the expression closes a bracket that it did not open".into(), "count the brackets");
    }
    if counts.safe {
        return refuse("turning escaping off is not taken here".into(), "remove the filter `safe`");
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    joins: usize,
    names: usize,
    multiplies: bool,
    safe: bool,
    /// `x) ~ (x` would leave the brackets that we put around a `{% set %}` value.
    unbalanced: bool,
}

fn count_tokens(text: &str) -> Counts {
    let mut counts = Counts::default();
    let mut open = 0usize;
    let mut chars = text.char_indices().peekable();
    let mut after_bar = false;
    while let Some((start, c)) = chars.next() {
        match c {
            '"' | '\'' => {
                let mut escaped = false;
                for (_, s) in chars.by_ref() {
                    if escaped {
                        escaped = false;
                    } else if s == '\\' {
                        escaped = true;
                    } else if s == c {
                        break;
                    }
                }
            }
            '~' | '+' => counts.joins += 1,
            '(' => open += 1,
            ')' if open == 0 => counts.unbalanced = true,
            ')' => open -= 1,
            '*' => counts.multiplies = true,
            c if c.is_alphabetic() || c == '_' => {
                counts.names += 1;
                let mut end = start + c.len_utf8();
                while let Some((i, n)) =
                    chars.peek().copied().filter(|(_, n)| n.is_alphanumeric() || *n == '_')
                {
                    end = i + n.len_utf8();
                    chars.next();
                }
                counts.safe |= after_bar && matches!(&text[start..end], "safe" | "escape" | "e");
            }
            _ => {}
        }
        if !c.is_whitespace() {
            after_bar = c == '|';
        }
    }
    counts
}

impl Scanned {
    /// Returns true if the template has block tags.
    pub fn has_tags(&self) -> bool {
        self.pieces.iter().any(|p| matches!(p, Piece::Tag { .. }))
    }

    /// Returns the text with a mark for each expression.
    pub fn marked(&self) -> String {
        let mut out = String::new();
        let mut slot = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Slot { .. } => {
                    out.push_str(&super::mark(slot));
                    slot += 1;
                }
                Piece::Tag { .. } => out.push_str("{%%}"),
            }
        }
        out
    }

    /// Returns the expressions with their lines.
    pub fn slots(&self) -> impl Iterator<Item = (&str, u32)> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Slot { text, line } => Some((text.as_str(), *line)),
            _ => None,
        })
    }

    /// Checks that no expression stands between quotes: what is printed brings its own.
    ///
    /// # Errors
    /// All lines that break the rule.
    pub fn check_quotes(&self, file: &Arc<str>) -> Result<(), Violations> {
        let quoted = |window: &[Piece]| match window {
            [Piece::Literal(before), Piece::Slot { line, .. }, Piece::Literal(after)]
                if before.ends_with(['"', '\'']) && after.starts_with(['"', '\'']) =>
            {
                Some(not_whole(Origin::at(file.clone(), *line, 0)))
            }
            _ => None,
        };
        let found: Violations = self.pieces.windows(3).filter_map(quoted).collect();
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// Checks a template with tags line by line: a tag stands alone, and an expression is a
    /// whole value or key on its line, outside of block scalars.
    ///
    /// # Errors
    /// All lines that break the rule.
    pub fn check_lines(&self, file: &Arc<str>) -> Result<(), Violations> {
        let mut found = Vec::new();
        let marked = self.marked();
        let mut block_scalar: Option<usize> = None;
        let mut before: Option<&str> = None;
        for (i, line) in marked.lines().enumerate() {
            let at = Origin::at(file.clone(), i as u32 + 1, 0);
            let trimmed = line.trim();
            let indent = line.len() - line.trim_start().len();
            if trimmed.contains("{%%}") && trimmed != "{%%}" {
                found.push(
                    Violation::error("a tag must stand on a line of its own")
                        .at(at.clone())
                        .hint("put the `{% %}` on its own line"),
                );
                continue;
            }
            if trimmed == "{%%}" || trimmed.is_empty() {
                continue;
            }
            if block_scalar.is_some_and(|outer| indent > outer) {
                if trimmed.contains(MARK_OPEN) {
                    found.push(not_whole(at));
                }
                continue;
            }
            block_scalar = opens_block_scalar(trimmed).then_some(indent);
            let continues = before.is_some_and(|before| continues_text(before, line));
            if trimmed.contains(MARK_OPEN) && (continues || !line_is_whole(trimmed)) {
                found.push(not_whole(at));
            }
            match trimmed {
                "---" | "..." => before = None,
                comment if comment.starts_with('#') => {}
                _ => before = Some(line),
            }
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

/// Returns the violation of the rule "one expression, one value".
pub fn not_whole(at: Origin) -> Violation {
    Violation::error("an expression must be a whole YAML value or key, not a part of a text")
        .at(at)
        .hint("join inside the braces, as in `{{ \"org-\" ~ organization.name }}`, without quotes around them;\nlonger text goes into a file of its own: `{{ text(\"name\") }}`")
}

/// Returns true if a line could carry on a text that began before it: YAML joins such lines into
/// one text, and an expression would be a part of it. Errs on the side of true.
fn continues_text(before: &str, line: &str) -> bool {
    let content = before.split(" #").next().unwrap_or(before).trim_end();
    let last = content.split_whitespace().next_back().unwrap_or_default();
    let takes_a_value =
        content.ends_with([':', ',', '[', '{']) || matches!(last, "-" | "?") || last.starts_with(['&', '!']);
    if takes_a_value {
        return false;
    }
    let (_, has_dash, bare_before) = shape(before);
    let before_column = column_of_content(before);
    let (indent, dash, bare) = shape(line);
    bare && !dash || dash && bare_before && !has_dash || indent > before_column
}

/// Returns the indent of a line, whether a list item opens on it, and whether it is a text alone.
fn shape(line: &str) -> (usize, bool, bool) {
    let content = line.trim_start();
    let inner = content.trim_start_matches("- ").trim_start();
    let keyed = inner.contains(": ") || inner.trim_end().ends_with(':') || inner.starts_with(['{', '[']);
    (line.len() - content.len(), content.starts_with("- "), !keyed)
}

/// Returns where the text of a line begins, after the signs of list items.
fn column_of_content(line: &str) -> usize {
    let mut rest = line.trim_start();
    while let Some(inner) = rest.strip_prefix("- ") {
        rest = inner.trim_start();
    }
    line.len() - rest.len()
}

fn opens_block_scalar(line: &str) -> bool {
    let content = line.split(" #").next().unwrap_or(line).trim_end();
    let Some(last) = content.split_whitespace().next_back() else { return false };
    let header = last.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    matches!(header, "|" | ">")
        && (content.len() == last.len() || content.contains(": ") || content.starts_with("- "))
}

/// Returns true if every mark of a line is a whole scalar once the line is read alone.
fn line_is_whole(line: &str) -> bool {
    let mut rest = line;
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start();
    }
    let Ok(documents) = crate::yaml::read(rest.as_bytes(), &crate::yaml::Limits::inputs()) else {
        return false;
    };
    documents.iter().all(super::skeleton::marks_are_whole)
}
