//! Prints errors and violations to stderr: the only place that does.

use crate::error::Error;
use crate::report::{HeldReport, Report, Said};
use crate::telemetry::colours;
use std::collections::BTreeSet;
use std::io::Write as _;

/// How many messages are printed before the rest is counted.
const MOST: usize = 200;

/// Prints why a command could not do its work.
pub fn error(error: &Error) {
    let mut out = String::new();
    for v in error.violations.iter().take(MOST) {
        message(&mut out, &Said::from(v));
    }
    line(&mut out, "error", &error.message);
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        out.push_str(&format!("  because: {}\n", clean(&crate::redact::redact(&source.to_string()))));
        cause = source.source();
    }
    for hint in &error.hints {
        out.push_str(&format!("  hint: {hint}\n"));
    }
    put(&out);
}

/// Prints what a report holds besides its results.
pub fn report(report: &Report, quiet: bool) {
    let mut out = String::new();
    let mut said = 0;
    // One broken file may hold many clusters; it is said once.
    let mut before: BTreeSet<&Said> = BTreeSet::new();
    if !quiet {
        for notice in &report.notices {
            message(&mut out, notice);
            said += 1;
        }
    }
    for held in &report.held {
        for why in held.why.iter().filter(|why| before.insert(why)) {
            said += 1;
            if said <= MOST {
                message(&mut out, why);
            }
        }
        if said <= MOST {
            consequence(&mut out, held);
        }
    }
    if said > MOST {
        out.push_str(&format!("… and {} more; --report FILE has them all\n", said - MOST));
    }
    put(&out);
}

/// Prints messages that stop nothing.
pub fn messages(said: &[Said]) {
    let mut out = String::new();
    said.iter().for_each(|one| message(&mut out, one));
    put(&out);
}

fn consequence(out: &mut String, held: &HeldReport) {
    match (&held.domain, held.guard) {
        (Some(domain), true) => line(out, "refused", &format!("{domain} keeps what the branch has")),
        (Some(domain), false) => line(out, "held", &format!("{domain} keeps what the branch has")),
        (None, _) => {}
    }
}

fn message(out: &mut String, said: &Said) {
    let mut text = String::new();
    if let Some(at) = &said.at {
        text.push_str(&format!("{at}: "));
    }
    if let Some(key) = &said.key {
        text.push_str(&format!("{key}: "));
    }
    text.push_str(&said.message);
    line(out, &said.severity, &text);
    let lines = said.hint.iter().flat_map(|h| h.lines()).enumerate();
    for (i, hint) in lines {
        out.push_str(if i == 0 { "  hint: " } else { "        " });
        out.push_str(&clean(hint));
        out.push('\n');
    }
}

fn line(out: &mut String, word: &str, text: &str) {
    let colour = match word {
        "error" | "refused" => "31",
        "warning" | "held" => "33",
        _ => "36",
    };
    let text = clean(text);
    if colours() {
        out.push_str(&format!("\u{1b}[1;{colour}m{word}\u{1b}[0m: {text}\n"));
    } else {
        out.push_str(&format!("{word}: {text}\n"));
    }
}

/// Keeps control characters of inputs and servers off the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn put(text: &str) {
    // A closed stderr is nobody's problem.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
