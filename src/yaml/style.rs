//! Chooses how a text is written: plain, in quotes, or as a block.

use super::scalar::reads_as_string;

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// Returns true for what some YAML readers take for a line break.
pub(super) fn is_separator(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns true for a text that stands without quotes and on one line where it is a value.
pub fn is_plain(text: &str) -> bool {
    style(text, false) == Style::Plain
}

/// Chooses how a string is written.
pub(super) fn style(text: &str, key: bool) -> Style {
    if is_simple_word(text) {
        return if reads_as_string(text) { Style::Plain } else { Style::Double };
    }
    let a = Analysis::of(text);
    if text.contains(is_separator) {
        return Style::Double;
    }
    let wanted = if text.contains('\n') {
        Style::Literal
    } else if reads_as_string(text) {
        Style::Plain
    } else {
        Style::Double
    };
    match wanted {
        Style::Literal if key || !a.block_allowed => Style::Double,
        Style::Plain if a.plain_allowed => Style::Plain,
        Style::Plain if a.single_allowed => Style::Single,
        Style::Plain => Style::Double,
        other => other,
    }
}

/// Most names and values: letters, digits and a few signs, nothing to analyse.
fn is_simple_word(text: &str) -> bool {
    !text.is_empty()
        && text.as_bytes()[0].is_ascii_alphabetic()
        && text.bytes().all(|b| IN_A_SIMPLE_WORD[usize::from(b)])
}

const IN_A_SIMPLE_WORD: [bool; 256] = {
    let mut all = [false; 256];
    let mut b = 0;
    while b < 256 {
        all[b] = (b as u8).is_ascii_alphanumeric() || matches!(b as u8, b'-' | b'_' | b'.' | b'/');
        b += 1;
    }
    all
};

struct Analysis {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { plain_allowed: true, single_allowed: true, block_allowed: false };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut line_breaks, mut special) = (false, false);
        let (mut leading, mut trailing, mut trailing_space) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut previous_space, mut previous_break) = (false, false);
        let mut preceded_by_blank = true;
        let mut chars = text.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            let next = chars.peek().map(|(_, n)| *n);
            let followed_by_blank = next.is_none_or(|n| matches!(n, ' ' | '\t' | '\n' | '\r'));
            indicators |= match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`'
                    if i == 0 =>
                {
                    true
                }
                '?' | '-' if i == 0 => followed_by_blank,
                ':' => followed_by_blank,
                '#' => preceded_by_blank,
                _ => false,
            };
            special |= !printable(c);
            let last = next.is_none();
            if c == ' ' {
                leading |= i == 0;
                trailing |= last;
                trailing_space |= last;
                break_space |= previous_break;
                (previous_space, previous_break) = (true, false);
            } else if c == '\n' {
                line_breaks = true;
                leading |= i == 0;
                trailing |= last;
                space_break |= previous_space;
                (previous_space, previous_break) = (false, true);
            } else {
                (previous_space, previous_break) = (false, false);
            }
            preceded_by_blank = matches!(c, ' ' | '\t' | '\n' | '\r');
        }
        let clean = !space_break && !special;
        Self {
            plain_allowed: clean && !leading && !trailing && !break_space && !line_breaks && !indicators,
            single_allowed: clean && !break_space,
            block_allowed: clean && !trailing_space,
        }
    }
}

pub(super) fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}
