//! What the many servers mean by their refusals, and how their words are shown.

use crate::redact::{redact, skip_escape};

/// The longest text of a server that is shown, in characters.
const MAX_SHOWN: usize = 2000;

/// Texts that say "somebody else moved the branch", in lower case.
///
/// From Git itself, GitHub (`cannot lock ref`), GitLab (`incorrect old value provided`),
/// Gitea (`fetch first`), Bitbucket (`is at … but expected …`).
const RACES: [&str; 12] = [
    "non-fast-forward",
    "non-fast forward",
    "not a fast-forward",
    "fetch first",
    "stale info",
    "cannot lock ref",
    "failed to lock",
    "failed to update ref",
    "incorrect old value provided",
    "reference already exists",
    "but expected",
    "unable to resolve reference",
];

/// Texts that say "the rules forbid it", whatever else stands beside them.
const POLICIES: [&str; 14] = [
    "hook declined",
    "protected branch",
    "gh001",
    "gh006",
    "gh007",
    "gh009",
    "gh013",
    "repository rule violations",
    "not allowed to push",
    "not allowed to force push",
    "denied",
    "prohibited",
    "exceeds",
    "read-only",
];

/// What a reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Meaning {
    Race,
    Policy,
    /// Neither is known: where the branch is now decides.
    Unclear,
}

/// Reads the reason that a server gives for not updating a reference.
pub(in super::super) fn meaning(reason: &str) -> Meaning {
    let reason = reason.to_lowercase();
    if POLICIES.iter().any(|text| reason.contains(text)) {
        Meaning::Policy
    } else if RACES.iter().any(|text| reason.contains(text)) {
        Meaning::Race
    } else {
        Meaning::Unclear
    }
}

/// Returns a server's text fit for a terminal and a log: no control sequences, no secrets,
/// no empty lines, not endless.
pub(in crate::edge) fn clean(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => skip_escape(&mut characters),
            '\n' | '\r' => plain.push('\n'),
            '\t' => plain.push(' '),
            // Control characters, and those that turn the direction of writing around.
            c if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {}
            c => plain.push(c),
        }
    }
    let lines: Vec<&str> = plain.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let joined = lines.join("\n");
    let mut shown: String = redact(&joined).chars().take(MAX_SHOWN).collect();
    if joined.chars().count() > MAX_SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_known_servers_are_understood() {
        for race in [
            "non-fast-forward",
            "fetch first",
            "failed to update ref",
            "cannot lock ref 'refs/heads/main': is at 1111 but expected 2222",
            "incorrect old value provided",
            "reference already exists",
            "stale info",
        ] {
            assert_eq!(meaning(race), Meaning::Race, "{race}");
        }
        for policy in [
            "pre-receive hook declined",
            "protected branch hook declined",
            "push declined due to repository rule violations",
            "GH006: Protected branch update failed for refs/heads/main.",
            "deny updating a hidden ref (denied)",
        ] {
            assert_eq!(meaning(policy), Meaning::Policy, "{policy}");
        }
        assert_eq!(meaning("something new"), Meaning::Unclear);
    }

    #[test]
    fn a_servers_text_cannot_steer_the_terminal_or_show_a_token() {
        let token = format!("ghp_{}", "A1b2".repeat(9));
        let text = format!(
            "\u{1b}[31mremote:\u{1b}[0m no\r\n\n\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ \u{202e}{token}\u{0}\u{8}"
        );
        let shown = clean(&text);
        assert_eq!(shown, "remote: no\nlink [REDACTED GitHub token]");
        assert!(clean(&"x".repeat(100_000)).chars().count() <= MAX_SHOWN + 1);
        // Sequences that never end take nothing but the rest.
        assert_eq!(clean("a\u{1b}[9999"), "a");
        assert_eq!(clean("a\u{1b}]9999"), "a");
        assert_eq!(clean("a\u{1b}"), "a");
    }
}
