//! Shows an edit as a unified diff. What it shows passes the redactor first.

use crate::error::Result;
use crate::model::tree::{BaseTree, Edit};
use crate::redact::redact;
use similar::TextDiff;

/// Stands where a Secret's value stood: YAML takes it for a text.
const HIDDEN: &str = "(hidden)";

/// Files larger than this are named, not shown, in bytes.
const MOST_SHOWN: usize = 1 << 20;

/// Returns one edit as a unified diff against the base.
///
/// # Errors
/// A base that cannot be read.
pub fn unified(edit: &Edit, base: &dyn BaseTree, colour: bool) -> Result<String> {
    let path = edit.path();
    let before = match base.entry(path)? {
        Some(entry) if entry.kind.is_file() => Some(base.blob(&entry.id)?),
        _ => None,
    };
    let after = match edit {
        Edit::Put { bytes, .. } => Some(bytes.clone()),
        Edit::Delete { .. } => None,
        Edit::Graft { .. } => {
            return edit.by_file()?.iter().map(|file| unified(file, base, colour)).collect();
        }
    };
    let old_name = before.as_ref().map_or("/dev/null".to_owned(), |_| format!("a/{path}"));
    let new_name = after.as_ref().map_or("/dev/null".to_owned(), |_| format!("b/{path}"));
    let (Some(old), Some(new)) = (text(before.as_deref()), text(after.as_deref())) else {
        return Ok(format!("--- {old_name}\n+++ {new_name}\n(not shown: large, no text, or secret data)\n"));
    };
    let diff = TextDiff::from_lines(old.as_str(), new.as_str());
    let plain = diff.unified_diff().context_radius(3).header(&old_name, &new_name).to_string();
    let plain = if plain.is_empty() { format!("--- {old_name}\n+++ {new_name}\n") } else { plain };
    Ok(if colour { coloured(&plain) } else { plain })
}

/// Returns what may be shown of a file; a secret that a person put there is not.
fn text(bytes: Option<&[u8]>) -> Option<String> {
    let bytes = bytes.unwrap_or_default();
    if bytes.len() > MOST_SHOWN {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let hidden = hide_secret_data(text);
    // Lines are what a Secret of ours has; a person may have written it in any form of YAML.
    if text.contains("Secret") && holds_secret_data(&hidden) {
        return None;
    }
    let shown: String = redact(&hidden)
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect();
    Some(shown)
}

/// Hides the data of a plain Secret that stands in the base.
fn hide_secret_data(text: &str) -> String {
    if !text.lines().any(|l| l.trim_end() == "kind: Secret") {
        return text.to_owned();
    }
    let mut inside = false;
    let mut out = String::new();
    for line in text.lines() {
        let top = !line.starts_with([' ', '-']) && !line.is_empty();
        if top {
            inside = line.starts_with("data:") || line.starts_with("stringData:");
        }
        match line.split_once(':') {
            Some((key, value)) if inside && !top && !value.trim().is_empty() => {
                out.push_str(&format!("{key}: {HIDDEN}\n"));
            }
            // The rest of a text of several lines.
            _ if inside && !top => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Returns true if the firewall finds secret data that is not hidden; text that is no YAML is
/// taken to hold some.
fn holds_secret_data(text: &str) -> bool {
    let Ok(documents) = crate::yaml::read(text.as_bytes(), &crate::yaml::Limits::manifests()) else {
        return true;
    };
    documents.iter().any(|node| {
        node.to_value(crate::yaml::Schema::Kubectl)
            .map_or(true, |value| crate::stage::firewall::shows_secret_data(&value, HIDDEN))
    })
}

fn coloured(diff: &str) -> String {
    diff.lines()
        .map(|line| {
            let colour = match line.as_bytes().first() {
                Some(b'+') if line.starts_with("+++") => "1",
                Some(b'-') if line.starts_with("---") => "1",
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                _ => return format!("{line}\n"),
            };
            format!("\u{1b}[{colour}m{line}\u{1b}[0m\n")
        })
        .collect()
}
