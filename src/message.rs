//! The commit message: what changed, and the trailers that say where it came from.

use crate::definition::Definitions;
use crate::definition::tree::Tree;
use crate::model::fleet::Fleet;
use crate::model::target::ChangeSet;

/// How many clusters a message lists.
const LISTED: usize = 200;

/// The trailers of our commits.
#[derive(Clone, Debug)]
pub struct Trailers {
    fleet: String,
    source: String,
    source_commit: Option<String>,
    inputs: String,
    /// Further lines, as `(key, value)`.
    more: Vec<(&'static str, String)>,
}

impl Trailers {
    /// Returns the trailers of a run.
    pub fn of(definitions: &Definitions, fleet: &Fleet<'_>, builtin: &Tree) -> Self {
        Self {
            fleet: fleet.name.clone(),
            source: one_line(&definitions.source.name),
            source_commit: definitions.source.commit.clone(),
            inputs: definitions.inputs.get_or_init(|| inputs(&definitions.fleet, builtin)).clone(),
            more: Vec::new(),
        }
    }

    /// Returns where the fleet came from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the digest of every input byte.
    pub fn inputs(&self) -> &str {
        &self.inputs
    }

    /// Adds a line.
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        self.more.push((key, one_line(value)));
        self
    }
}

/// Returns the digest of every input byte.
pub fn inputs(fleet: &Tree, builtin: &Tree) -> String {
    let mut hasher = blake3::Hasher::new();
    for tree in [fleet, builtin] {
        for (path, bytes) in &tree.files {
            hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Returns the message of a change.
pub fn of(changes: &ChangeSet, trailers: &Trailers) -> String {
    let changed: Vec<_> = changes.clusters.iter().filter(|(_, c)| !c.is_empty()).collect();
    let mut text = match changed.as_slice() {
        [(id, change)] => format!("hydrant: {id}: {}\n", change.summary()),
        several => {
            let files: usize = several.iter().map(|(_, c)| c.added + c.changed + c.removed).sum();
            format!("hydrant: {} clusters: {files} file(s)\n", several.len())
        }
    };
    if changed.len() > 1 {
        text.push('\n');
        for (id, change) in changed.iter().take(LISTED) {
            text.push_str(&format!("{id}: {}\n", change.summary()));
        }
        if changed.len() > LISTED {
            text.push_str(&format!("and {} more\n", changed.len() - LISTED));
        }
    }
    text.push_str(&format!("\nHydrant-Fleet: {}\n", trailers.fleet));
    if !trailers.source.is_empty() {
        text.push_str(&format!("Hydrant-Source: {}\n", trailers.source));
    }
    if let Some(commit) = &trailers.source_commit {
        text.push_str(&format!("Hydrant-Source-Commit: {commit}\n"));
    }
    text.push_str(&format!("Hydrant-Inputs: {}\n", trailers.inputs));
    text.push_str(&format!("Hydrant-Version: {}\n", env!("CARGO_PKG_VERSION")));
    for (key, value) in &trailers.more {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
