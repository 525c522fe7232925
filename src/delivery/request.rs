//! What a merge request says: its title and its description, made of a change as it will land.
//!
//! Names come from what teams wrote. They stand in code spans, on lines that begin otherwise,
//! with the signs broken that forges act on: a name cannot run a slash command, mention
//! people, close an issue, link or draw anything.

use crate::edge::forge::Draft;
use crate::error::Result;
use crate::model::id::SubjectId;
use crate::model::tree::{BaseTree, Edit, EntryKind};
use crate::redact::redact;
use std::collections::{BTreeMap, BTreeSet};

/// The longest title, in characters: GitLab and Gitea take 255, GitHub one more.
const LONGEST_TITLE: usize = 250;
/// How many deleted files are listed.
const DELETIONS: usize = 200;
/// How many lines each other list has.
const LINES: usize = 200;
/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 200;

/// What the marker says of a request that Hydrant closed itself: it refused nothing.
pub(super) const WITHDRAWN: &str = "withdrawn";

/// A change, as a description tells it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The branch that it is to be merged into.
    pub(super) target: String,
    /// The environment.
    pub(super) env: String,
    /// The files that go.
    pub(super) deleted: Vec<String>,
    /// By cluster: files added, changed, removed.
    pub(super) clusters: BTreeMap<String, [usize; 3]>,
    /// Organizations, tenants and knowledge bases with a change, each with its cluster.
    pub(super) subjects: BTreeSet<String>,
    /// What is held, with the reason.
    pub(super) held: Vec<(String, String)>,
    /// Where the fleet came from.
    pub(super) source: String,
    /// The fleet's commit.
    pub(super) source_commit: Option<String>,
    /// The run.
    pub(super) run: String,
    /// The digest of the edits.
    pub(super) digest: String,
}

impl Told {
    /// Counts edits against the tree that they change. `path` is the folder of all output.
    pub(super) fn count(&mut self, edits: &[Edit], path: &str, base: &dyn BaseTree) -> Result<()> {
        for edit in edits {
            let inside = edit.path().strip_prefix(path).unwrap_or(edit.path()).trim_start_matches('/');
            let mut parts = inside.splitn(3, '/');
            let (env, cluster) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let cluster = format!("{env}/{cluster}");
            let before = base.entry(edit.path())?.filter(|e| e.kind != EntryKind::Tree);
            let counts = self.clusters.entry(cluster.clone()).or_default();
            let [added, changed, removed] = counts;
            match (edit, before) {
                (Edit::Put { .. }, None) => *added += 1,
                (Edit::Put { .. }, Some(_)) => *changed += 1,
                (Edit::Delete { .. }, Some(_)) => {
                    *removed += 1;
                    self.deleted.push(edit.path().to_owned());
                }
                (Edit::Delete { .. }, None) => {}
                // A proposal is made file by file and has none; one would count as one.
                (Edit::Graft { .. }, _) => *added += 1,
            }
            let subject = parts.next().and_then(SubjectId::of_path).filter(|s| *s != SubjectId::Cluster);
            self.subjects.extend(subject.map(|s| format!("{s} on {cluster}")));
        }
        Ok(())
    }

    /// Writes the request.
    pub(super) fn draft(&self, longest: usize) -> Draft {
        Draft { title: self.title(), body: self.body(longest) }
    }

    fn title(&self) -> String {
        let total = self.clusters.values().fold([0, 0, 0], |[a, c, r], [x, y, z]| [a + x, c + y, r + z]);
        let what = match self.clusters.len() {
            1 => self.clusters.keys().next().cloned().unwrap_or_default(),
            n => format!("{}: {n} clusters", self.env),
        };
        let title = format!("hydrant: {}: {}", broken(&what), counts(&total));
        title.chars().take(LONGEST_TITLE).collect()
    }

    fn body(&self, longest: usize) -> String {
        let marker = format!("\n{}\n", marker(&self.digest));
        let mut foot = String::from("\n---\n");
        if let Some(commit) = &self.source_commit {
            foot.push_str(&format!("Source commit {}", code(commit)));
            if !self.source.is_empty() {
                foot.push_str(&format!(" of {}", code(&self.source)));
            }
            foot.push_str(". ");
        }
        foot.push_str(&format!("Run {}, Hydrant {}.\n", code(&self.run), code(env!("CARGO_PKG_VERSION"))));
        foot.push_str(
            "Hydrant keeps this request up to date while it is open. Commits of others on its branch \
             stop that. Closed without a merge, it is not opened again until the change is another.\n",
        );
        let cut = "\nThis description was cut at the longest that the server takes; the files of the request have it all.\n";
        let room = longest.saturating_sub(marker.len() + foot.len() + cut.len());
        let mut body = format!(
            "Rendered by Hydrant for the environment {}, to be merged into {}.\n",
            code(&self.env),
            code(&self.target)
        );
        let mut whole = true;
        for line in self.lines() {
            // A heading without a line below it helps nobody, but a line cut in two may be markup.
            if body.len() + line.len() + 1 > room {
                whole = false;
                break;
            }
            body.push_str(&line);
            body.push('\n');
        }
        if !whole {
            body.push_str(cut);
        }
        body + &foot + &marker
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let deleted = self.deleted.iter().map(|path| code(path));
        let clusters = self.clusters.iter().map(|(id, n)| format!("{}: {}", code(id), counts(n)));
        let subjects = self.subjects.iter().map(|subject| code(subject));
        let held = self.held.iter().map(|(who, why)| format!("{}: {}", code(who), code(why)));
        let about = "\nHeld: these keep what the target has, and are not part of this request";
        section("\nFiles deleted", DELETIONS, deleted.collect())
            .chain(section("\nClusters", LINES, clusters.collect()))
            .chain(section("\nOrganizations, tenants and knowledge bases", LINES, subjects.collect()))
            .chain(section(about, LINES, held.collect()))
    }
}

/// Returns the lines of a list with its heading; nothing for an empty one.
fn section(heading: &str, most: usize, rows: Vec<String>) -> impl Iterator<Item = String> {
    let more = rows.len().saturating_sub(most);
    let head = (!rows.is_empty()).then(|| format!("{heading} ({}):\n", rows.len()));
    let rest = (more > 0).then(|| format!("- and {more} more"));
    head.into_iter().chain(rows.into_iter().take(most).map(|row| format!("- {row}"))).chain(rest)
}

fn counts([added, changed, removed]: &[usize; 3]) -> String {
    // What goes is said first.
    let parts = [(removed, "deleted"), (added, "added"), (changed, "changed")];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| **n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if said.is_empty() { "no change".into() } else { format!("{} file(s)", said.join(", ")) }
}

/// Returns the line by which a request's content is known again. It holds no name of anybody.
pub(super) fn marker(digest: &str) -> String {
    format!("<!-- hydrant-proposal: {digest} -->")
}

/// Returns what the marker of a description says.
pub(super) fn marked(body: &str) -> Option<&str> {
    let (_, rest) = body.rsplit_once("<!-- hydrant-proposal: ")?;
    rest.split_once(" -->").map(|(digest, _)| digest)
}

/// Returns a text as a code span that no forge takes for anything else.
fn code(text: &str) -> String {
    format!("`{}`", broken(text))
}

/// Breaks what forges act on, in code or out of it, with a space of no width: GitLab looks for
/// "Closes #1" in the raw text, backticks or not.
fn broken(text: &str) -> String {
    const GAP: char = '\u{200b}';
    let text = redact(text);
    let mut out = String::new();
    let mut before = ' ';
    let mut all = text.chars().filter(|c| !is_invisible(*c)).peekable();
    for _ in 0..LONGEST_NAME {
        let Some(c) = all.next() else { return out };
        match c {
            c if c.is_control() => out.push(' '),
            '`' => out.push('\''),
            '<' => out.push('‹'),
            '>' => out.push('›'),
            // Mentions and references of all three, and the slash of a command or an address.
            '@' | '#' | '!' | '~' | '%' | '$' | '&' | '^' | '[' | ']' | '|' | '\\' => {
                out.push(c);
                out.push(GAP);
            }
            '/' if before == '/' || before == ':' || before == ' ' => {
                out.push(GAP);
                out.push('/');
                out.push(GAP);
            }
            // GH-1, JIRA-1
            '-' if before.is_ascii_uppercase() && all.peek().is_some_and(char::is_ascii_digit) => {
                out.push('-');
                out.push(GAP);
            }
            c => out.push(c),
        }
        before = c;
    }
    if all.peek().is_some() {
        out.push('…');
    }
    out
}

/// Returns true for characters that hide or turn around what stands beside them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{00ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_team_wrote_is_acted_on_by_a_forge() {
        for text in [
            "/merge",
            "\n/close",
            "@team",
            "Fixes #1",
            "Closes group/project!7",
            "Closes GH-12",
            "~\"bug\"",
            "%\"v1\"",
            "a`b",
            "<img src=x>",
            "[x](http://evil.example)",
            "http://evil.example/",
            "![i](j)",
            "-->",
            "\u{202e}gnp",
            "closes JIRA-1",
            "$1 &2",
            "x\r\n/approve",
        ] {
            let said = format!("- {}", code(text));
            assert!(said.starts_with("- `") && said.ends_with('`') && said.lines().count() == 1, "{said}");
            let inner = &said[3..said.len() - 1];
            assert!(!inner.contains(['`', '<', '>', '\n', '\r', '\u{202e}']), "{inner}");
            for sign in ['@', '#', '!', '~', '%', '$', '&', '['] {
                for (at, _) in inner.match_indices(sign) {
                    assert_eq!(inner[at + 1..].chars().next(), Some('\u{200b}'), "{inner}");
                }
            }
            assert!(!inner.contains("://") && !inner.starts_with('/'), "{inner}");
            assert!(!inner.contains("GH-1") && !inner.contains("JIRA-1"), "{inner}");
        }
        assert_eq!(code("prod/harbor: tenants/acme/shop-2"), "`prod/harbor: tenants/acme/shop-2`");
    }

    #[test]
    fn a_long_description_is_cut_between_lines_and_says_so() {
        let mut told = Told { env: "prod".into(), digest: "d".repeat(32), ..Told::default() };
        told.clusters.insert("prod/a".into(), [1, 0, 300]);
        told.deleted = (0..300).map(|n| format!("prod/a/platform/x/{n}-{}", "é".repeat(100))).collect();
        for longest in [2_000, 65_536] {
            let body = told.body(longest);
            assert!(
                body.len() <= longest && marked(&body) == Some("d".repeat(32).as_str()),
                "{}",
                body.len()
            );
            let is_whole = body.contains("`prod/a`: 300 deleted, 1 added");
            assert_ne!(body.contains("was cut"), is_whole, "{body}");
            assert_eq!(is_whole, longest > 60_000);
        }
        assert!(told.body(65_536).contains("and 100 more"));
        assert!(told.title().starts_with("hydrant: prod/a: 300 deleted"));
    }
}
