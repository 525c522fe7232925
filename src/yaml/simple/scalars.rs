//! The scalars and keys of one line, and literal blocks.

use super::{LONGEST_KEY, Reader};
use crate::yaml::node::Node;

/// Returns true for what cannot begin a plain scalar, or does so only before some
/// characters.
fn begins_something_else(first: u8) -> bool {
    matches!(
        first,
        b'?' | b':'
            | b','
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'#'
            | b'&'
            | b'*'
            | b'!'
            | b'|'
            | b'>'
            | b'\''
            | b'"'
            | b'%'
            | b'@'
            | b'`'
    )
}

impl Reader<'_> {
    /// Returns true if a key stands here, with its colon on this line.
    pub(super) fn at_key(&mut self) -> bool {
        let from = self.at;
        let is_key = match self.peek() {
            Some(b'"' | b'\'') => self.quoted_text().is_some() && self.peek() == Some(b':'),
            Some(b'{' | b'[' | b'|') => false,
            _ => self.key_end().is_some(),
        };
        self.at = from;
        is_key
    }

    /// Returns where a plain key ends, at its colon.
    fn key_end(&self) -> Option<usize> {
        let first = self.peek()?;
        if begins_something_else(first) || first == b'-' && matches!(self.after(1), None | Some(b' ' | b'\n'))
        {
            return None;
        }
        let mut before = first;
        for (i, b) in self.bytes[self.at..].iter().copied().enumerate() {
            match b {
                b'\n' | b'\t' => return None,
                b'#' if before == b' ' => return None,
                b':' if matches!(self.after(i + 1), None | Some(b' ' | b'\n')) => return Some(self.at + i),
                _ => before = b,
            }
        }
        None
    }

    /// Reads a key of a block map and its colon; true if it stood without quotes.
    pub(super) fn key(&mut self) -> Option<(String, bool)> {
        let from = self.at;
        let plain = !matches!(self.peek()?, b'"' | b'\'');
        let key = if plain {
            let end = self.key_end()?;
            self.at = end;
            let text = self.text.get(from..end)?;
            // Signs that mean something at the start of a line are left alone.
            if text.ends_with(' ') || text.starts_with('-') || text.starts_with("...") {
                return None;
            }
            text.to_owned()
        } else {
            self.quoted_text()?
        };
        let colon = self.peek() == Some(b':') && matches!(self.after(1), None | Some(b' ' | b'\n'));
        if !colon || self.at - from > LONGEST_KEY {
            return None;
        }
        self.at += 1;
        Some((key, plain))
    }

    /// Reads a plain scalar up to the end of the line or a comment. Whether the next line
    /// continues it shows in that line's indentation.
    pub(super) fn plain_text(&mut self) -> Option<String> {
        let from = self.at;
        let first = self.peek()?;
        if begins_something_else(first)
            || first == b'-' && matches!(self.after(1), None | Some(b' ' | b'\n' | b'-'))
        {
            return None;
        }
        let mut end = from;
        let mut before = first;
        while let Some(b) = self.peek() {
            match b {
                b'\n' => break,
                b'\t' => return None,
                b':' if matches!(self.after(1), None | Some(b' ' | b'\n')) => return None,
                b'#' if before == b' ' => {
                    self.skip_comment();
                    break;
                }
                _ => {}
            }
            self.at += 1;
            if b != b' ' {
                end = self.at;
            }
            before = b;
        }
        self.text.get(from..end).map(str::to_owned)
    }

    /// Reads a plain scalar inside braces or brackets.
    pub(super) fn flow_plain_text(&mut self) -> Option<String> {
        let from = self.at;
        let first = self.peek()?;
        let next = self.after(1);
        if begins_something_else(first)
            || first == b'-'
                && matches!(next, None | Some(b' ' | b'\n' | b'-' | b',' | b'[' | b']' | b'{' | b'}'))
        {
            return None;
        }
        let mut end = from;
        while let Some(b) = self.peek() {
            match b {
                b',' | b']' | b'}' => break,
                b'\n' | b'\t' | b'[' | b'{' | b'#' => return None,
                b':' if matches!(
                    self.after(1),
                    None | Some(b' ' | b'\n' | b',' | b'[' | b']' | b'{' | b'}')
                ) =>
                {
                    // A blank before the colon is left to the full parser.
                    if end != self.at {
                        return None;
                    }
                    break;
                }
                _ => {}
            }
            self.at += 1;
            if b != b' ' {
                end = self.at;
            }
        }
        self.text.get(from..end).map(str::to_owned)
    }

    /// Reads a scalar in quotes that ends on this line.
    pub(super) fn quoted_text(&mut self) -> Option<String> {
        let double = self.peek()? == b'"';
        self.at += 1;
        let mut text = String::new();
        let mut from = self.at;
        loop {
            match self.peek()? {
                b'\n' | b'\t' => return None,
                b'"' if double => {
                    text.push_str(self.text.get(from..self.at)?);
                    self.at += 1;
                    return Some(text);
                }
                b'\\' if double => {
                    text.push_str(self.text.get(from..self.at)?);
                    text.push(match self.after(1)? {
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        _ => return None,
                    });
                    self.at += 2;
                    from = self.at;
                }
                b'\'' if !double => {
                    text.push_str(self.text.get(from..self.at)?);
                    self.at += 1;
                    if self.peek() != Some(b'\'') {
                        return Some(text);
                    }
                    from = self.at;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Reads a literal block below a collection of this indentation.
    pub(super) fn literal(&mut self, outer: usize) -> Option<Node> {
        self.at += 1;
        let chomp = match self.peek()? {
            sign @ (b'-' | b'+') => {
                self.at += 1;
                sign
            }
            _ => b' ',
        };
        if self.peek() != Some(b'\n') {
            return None;
        }
        let (mut text, mut breaks, mut indent) = (String::new(), 0, None);
        // The full parser lets a block begin where its text does.
        let mut place = None;
        loop {
            self.end_line();
            let line = self.line_length()?;
            let spaces = self.bytes[self.at..self.at + line].iter().take_while(|b| **b == b' ').count();
            if spaces == line {
                // Blanks alone may be content or not.
                if line > 0 {
                    return None;
                }
                if self.at == self.bytes.len() {
                    break;
                }
                breaks += 1;
                continue;
            }
            let indent = *indent.get_or_insert(spaces);
            if spaces < indent || indent <= outer {
                // A line in between, or a tab, is the full parser's to judge.
                if spaces > outer || self.bytes[self.at + spaces] == b'\t' {
                    return None;
                }
                break;
            }
            if place.is_none() {
                self.at += indent;
                place = Some(self.mark());
                self.at -= indent;
            }
            for _ in 0..breaks {
                text.push('\n');
            }
            text.push_str(self.text.get(self.at + indent..self.at + line)?);
            breaks = 1;
            self.at += line;
        }
        let at = place?;
        match chomp {
            b'-' => {}
            b'+' => (0..breaks).for_each(|_| text.push('\n')),
            _ => text.push('\n'),
        }
        self.scalar(at, text, false)
    }

    /// Returns the length of the line that begins here; none if the end of the text cuts
    /// it off.
    fn line_length(&self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|b| *b == b'\n') {
            Some(length) => Some(length),
            None if rest.is_empty() => Some(0),
            None => None,
        }
    }
}
