//! Keeps secrets out of everything that is shown: one type that never prints itself, and
//! one filter that knows the shapes of tokens.
//!
//! The filter is the last line, not the first: no message should hold a secret to begin
//! with. It also drives the secret firewall, which names the shape and never the text.

use regex::Regex;
use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

/// A text that must never be shown: no `Display`, and a `Debug` that says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Best effort without unsafe code: overwrite what the allocator would hand on.
        let length = self.0.len();
        self.0.clear();
        self.0.extend(std::iter::repeat_n('\0', length));
    }
}

/// A kind of secret that can be told by its looks.
struct Shape {
    name: &'static str,
    pattern: Regex,
}

/// Shapes as their issuers document them; lengths are lower bounds.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shapes: [(&str, &str); 10] = [
        (
            "PEM private key",
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\z)",
        ),
        ("Vault token", r"\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{24,}"),
        ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})"),
        ("GitLab token", r"\bgl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[A-Za-z0-9_=-]{20,}"),
        ("AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("AWS secret key", r#"(?i)aws_?secret_?(?:access_?)?key["']?\s*[:=]\s*["']?[A-Za-z0-9/+=]{40}"#),
        ("JWT", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("password in a URL", r"\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@"),
        ("age secret key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    ];
    shapes
        .into_iter()
        .filter_map(|(name, pattern)| Regex::new(pattern).ok().map(|pattern| Shape { name, pattern }))
        .collect()
});

/// All shapes at once: most texts that reach it hold none, and are read once instead of ten times.
static ANY_SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let all: Vec<String> = SHAPES.iter().map(|s| format!("(?:{})", s.pattern.as_str())).collect();
    Regex::new(&all.join("|")).ok()
});

/// What a text may hold, by its bytes.
mod signs {
    pub const BLANK: u8 = 1;
    pub const COLON: u8 = 2;
    pub const AT: u8 = 4;
    pub const EQUALS: u8 = 8;
    pub const JOINS: u8 = 16;
    pub const CAPITAL_K: u8 = 32;
    pub const CAPITAL_A: u8 = 64;
    pub const W: u8 = 128;

    /// The sign that each byte is.
    pub static OF: [u8; 256] = {
        let mut of = [0; 256];
        of[b' ' as usize] = BLANK;
        of[b':' as usize] = COLON;
        of[b'@' as usize] = AT;
        of[b'=' as usize] = EQUALS;
        of[b'.' as usize] = JOINS;
        of[b'_' as usize] = JOINS;
        of[b'-' as usize] = JOINS;
        of[b'K' as usize] = CAPITAL_K;
        of[b'A' as usize] = CAPITAL_A;
        of[b'w' as usize] = W;
        of[b'W' as usize] = W;
        of
    };
}

/// The shortest token that is told by a prefix (Slack's), in bytes.
const SHORTEST: usize = 15;

/// Cheap tests that must hold before any shape can match; most texts fail them all.
fn may_match(text: &str) -> bool {
    // `a://:b@`
    if text.len() < 7 {
        return false;
    }
    use signs::{AT, BLANK, CAPITAL_A, CAPITAL_K, COLON, EQUALS, JOINS, W};
    // One pass tells which of the marks below are worth looking for.
    let seen = text.bytes().fold(0, |seen, byte| seen | signs::OF[usize::from(byte)]);
    let all = |wanted: u8| seen & wanted == wanted;
    let has =
        |word: &str| text.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    all(BLANK | CAPITAL_K) && text.contains("PRIVATE KEY")
        || all(COLON | AT) && text.contains("://")
        || text.len() >= SHORTEST
            && (all(JOINS) && may_join(text)
                || all(CAPITAL_A) && (text.contains("AKIA") || text.contains("ASIA"))
                || all(W) && seen & (COLON | EQUALS) != 0 && has("secret"))
}

/// Returns true if a `.`, `_` or `-` stands where a token has one.
fn may_join(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(i, byte)| {
        let before = &bytes[..i];
        match byte {
            // `hvs.…`, `s.…`, and the header of a JWT.
            b'.' => matches!(before.last(), Some(b's' | b'b' | b'r')) || text.contains("eyJ"),
            // `ghp_…`, `github_pat_…`.
            b'_' => before.ends_with(b"github") || matches!(before, [.., b'g', b'h', _]),
            // `glpat-…`, `xoxb-…`, `AGE-…`.
            b'-' => {
                matches!(before, [.., b'x', b'o', b'x', _])
                    || matches!(before.last(), Some(b't' | b's')) && text.contains("gl")
                    || before.ends_with(b"AGE")
            }
            _ => false,
        }
    })
}

/// Returns the name of the secret's shape that a text holds, if it holds one.
pub fn secret_shape(text: &str) -> Option<&'static str> {
    if !may_match(text) {
        return None;
    }
    if ANY_SHAPE.as_ref().is_some_and(|any| !any.is_match(text)) {
        return None;
    }
    SHAPES.iter().find(|s| s.pattern.is_match(text)).map(|s| s.name)
}

/// Returns a text with everything that looks like a secret replaced by its kind.
pub fn redact(text: &str) -> Cow<'_, str> {
    if secret_shape(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut clean = text.to_owned();
    for shape in SHAPES.iter() {
        let with = format!("[REDACTED {}]", shape.name);
        clean = shape.pattern.replace_all(&clean, regex::NoExpand(&with)).into_owned();
    }
    Cow::Owned(clean)
}

/// Returns a text as one line without what steers a terminal, and without secrets: a
/// control sequence in front of a token would hide it from the filter.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            // A space, so that what stood apart does not become one word.
            '\u{1b}' => {
                skip_escape(&mut characters);
                plain.push(' ');
            }
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    redact(&plain).into_owned()
}

/// Skips a terminal's control sequence after its escape character.
pub fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        // CSI: up to a letter (or another final byte).
        Some('[') => {
            for c in characters.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    break;
                }
            }
        }
        // OSC, as used for links: up to a bell or the string terminator.
        Some(']') => {
            while let Some(c) = characters.next() {
                if c == '\u{7}' || c == '\u{1b}' && characters.next_if_eq(&'\\').is_some() {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_compiles() {
        assert_eq!(SHAPES.len(), 10);
        assert!(ANY_SHAPE.is_some());
    }

    #[test]
    fn tokens_are_told_by_their_looks_and_never_shown() {
        // Put together here so that no scanner takes this file for a leak.
        let samples = [
            ("Vault token", format!("hvs.{}", "A1b2".repeat(6))),
            ("GitHub token", format!("ghp_{}", "A1b2".repeat(9))),
            ("GitLab token", format!("glpat-{}", "A1b2".repeat(5))),
            ("AWS access key", format!("AKIA{}", "A1B2".repeat(4))),
            ("JWT", format!("eyJ{0}.eyJ{0}.{0}", "A1b2".repeat(3))),
            (
                "PEM private key",
                format!("-----BEGIN RSA {0}-----\nxyz\n-----END RSA {0}-----", "PRIVATE KEY"),
            ),
            ("password in a URL", format!("https://me:{}@host/x", "pw")),
        ];
        for (name, text) in samples {
            assert_eq!(secret_shape(&text), Some(name));
            let shown = redact(&format!("before {text} after")).into_owned();
            assert!(
                shown.starts_with("before ") && !shown.contains("A1b2") && !shown.contains("xyz"),
                "{shown}"
            );
        }
    }

    #[test]
    fn the_cheap_tests_rule_nothing_out_that_has_a_shape() {
        let parts = [
            "hvs.",
            "hvb.",
            "s.",
            "b.",
            "r.",
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "gloas-",
            "gldt-",
            "glrt-",
            "glcbt-",
            "glptt-",
            "glft-",
            "glimt-",
            "glagent-",
            "glsoat-",
            "glffct-",
            "AKIA",
            "ASIA",
            "aws_secret_access_key=",
            "AWSSecretKey: ",
            "awssecretaccess_key = '",
            "eyJ",
            ".eyJ",
            ".",
            "xoxa-",
            "xoxb-",
            "xoxs-",
            "https://",
            "ftp://me:",
            "pw@",
            "@",
            ":",
            "AGE-SECRET-KEY-1",
            "-----BEGIN ",
            "PRIVATE KEY-----",
            "PRIVATE KEY BLOCK-----",
            "a",
            "Z",
            "-",
            "_",
            " ",
            "\n",
            "\"",
            "=",
            "/",
        ];
        let fill = ["A1B2", "a1b2", "Ab-_", "wS/+"];
        // A fixed walk through many texts, the same on each run.
        let mut state = 7_usize;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut shaped = 0;
        for _ in 0..40_000 {
            let mut text = String::new();
            for _ in 0..=next(4) {
                text.push_str(parts[next(parts.len())]);
                text.push_str(&fill[next(fill.len())].repeat(next(16)));
            }
            let found = SHAPES.iter().find(|s| s.pattern.is_match(&text)).map(|s| s.name);
            assert_eq!(secret_shape(&text), found, "{text}");
            shaped += usize::from(found.is_some());
        }
        assert!(shaped > 1_000, "{shaped}");
    }

    #[test]
    fn ordinary_text_is_no_secret() {
        for text in [
            "registry.k8s.io/pause:3.9",
            "https://vault.example:8200",
            "a-very-long-name-of-a-thing.svc.cluster.local",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(secret_shape(text), None, "{text}");
        }
    }
}
