//! Files in memory: what was read from a fleet, or what is embedded.

use crate::error::Violation;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Files by their path from the root, `/` between parts.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// What stands before a path in messages: `builtin:` or nothing.
    pub shown_before: String,
    /// The files that could be read.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// The paths that could not be read, each with its reason.
    pub unreadable: BTreeMap<String, Violation>,
    /// Those of them that are no plain files: whatever stands below them is unknown.
    pub closed: BTreeSet<String>,
}

impl Tree {
    /// Returns how a path is named in messages.
    pub fn shown(&self, path: &str) -> Arc<str> {
        format!("{}{path}", self.shown_before).into()
    }

    /// Returns a file's bytes.
    pub fn get(&self, path: &str) -> Option<&Arc<[u8]>> {
        self.files.get(path)
    }

    /// Returns the files below a folder (given without the closing `/`), in path order.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Arc<[u8]>)> + use<'a> {
        let prefix = format!("{folder}/");
        self.files
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, bytes)| (path.as_str(), bytes))
    }

    /// Returns true if any file lies below a folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// Returns what could not be read below a folder, the folder itself included.
    pub fn unreadable_below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a Violation)> {
        self.unreadable
            .iter()
            .filter(move |(path, _)| {
                path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .map(|(path, v)| (path.as_str(), v))
    }

    /// Returns the names of the folders directly below a folder.
    pub fn folders_in(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .below(folder)
            .filter_map(|(path, _)| path[folder.len() + 1..].split_once('/').map(|(name, _)| name.to_owned()))
            .collect();
        names.dedup();
        names
    }
}
