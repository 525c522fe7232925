//! The form that Git gives a notes tree: the note of a commit stands at the commit's id,
//! whole, or split into folders of two digits each (`ab/cdef…`, `ab/cd/ef…`).
//!
//! Any mixture is read; what is written keeps to the form that is there. Names that are no
//! note are left alone.

use super::super::store::{Store, TreeRow};
use crate::error::Result;
use crate::model::tree::{Edit, EntryKind, ObjectId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most notes that are listed, and the most folders that are looked into for them.
const MOST: usize = 20_000;

/// The tree of a notes reference; without root there are no notes.
pub(super) struct NoteTree<'s> {
    pub(super) store: &'s Store,
    pub(super) root: Option<ObjectId>,
}

type Rows = BTreeMap<Vec<u8>, TreeRow>;

impl NoteTree<'_> {
    /// Returns the notes of a commit by their paths: one, or several if writers mixed forms.
    pub(super) fn of(&self, commit: &ObjectId) -> Result<Vec<(String, ObjectId)>> {
        let digits = commit.to_string();
        let (mut found, mut folder, mut above, mut rest) =
            (Vec::new(), self.root, String::new(), digits.as_str());
        while let Some(tree) = folder {
            let rows = self.store.tree_rows(&tree)?;
            if let Some(row) = rows.get(rest.as_bytes()).filter(|row| row.kind().is_file()) {
                found.push((format!("{above}{rest}"), row.id));
            }
            (folder, above, rest) = match below(&rows, rest) {
                Some((id, name, rest)) => (Some(id), format!("{above}{name}/"), rest),
                None => (None, above, rest),
            };
        }
        Ok(found)
    }

    /// Returns the path at which a new note of a commit belongs.
    fn place(&self, commit: &ObjectId) -> Result<String> {
        let digits = commit.to_string();
        let (mut folder, mut above, mut rest) = (self.root, String::new(), digits.as_str());
        while let Some(tree) = folder {
            let rows = self.store.tree_rows(&tree)?;
            if let Some((id, name, after)) = below(&rows, rest) {
                (folder, above, rest) = (Some(id), format!("{above}{name}/"), after);
                continue;
            }
            let split = rows.iter().any(|(name, row)| is_hex(name, 2) && row.kind() == EntryKind::Tree);
            let whole = rows.iter().any(|(name, row)| is_hex(name, rest.len()) && row.kind().is_file());
            if let (true, false, Some((name, after))) = (split, whole, rest.split_at_checked(2)) {
                (above, rest) = (format!("{above}{name}/"), after);
            }
            break;
        }
        Ok(format!("{above}{rest}"))
    }

    /// Returns the edits that give a commit one note, and take the notes of others away.
    pub(super) fn edits(&self, commit: &ObjectId, text: &[u8], gone: &[ObjectId]) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        let mut there = self.of(commit)?.into_iter().map(|(path, _)| path);
        let path = match there.next() {
            Some(path) => path,
            None => self.place(commit)?,
        };
        edits.push(Edit::Put { path, bytes: Arc::from(text) });
        edits.extend(there.map(|path| Edit::Delete { path }));
        for other in gone.iter().filter(|other| *other != commit) {
            edits.extend(self.of(other)?.into_iter().map(|(path, _)| Edit::Delete { path }));
        }
        Ok(edits)
    }

    /// Lists all notes: the commit, and the note's content.
    pub(super) fn all(&self) -> Result<Vec<(ObjectId, ObjectId)>> {
        let mut found = BTreeMap::new();
        let mut folders: Vec<(ObjectId, String)> =
            self.root.map(|root| (root, String::new())).into_iter().collect();
        let mut looked = 0;
        while let Some((tree, above)) = folders.pop() {
            looked += 1;
            if looked > MOST {
                break;
            }
            for (name, row) in self.store.tree_rows(&tree)? {
                let Ok(name) = String::from_utf8(name) else { continue };
                let digits = format!("{above}{name}");
                match row.kind() {
                    EntryKind::Tree if is_hex(name.as_bytes(), 2) && digits.len() < 40 => {
                        folders.push((row.id, digits));
                    }
                    kind if kind.is_file() && found.len() < MOST => {
                        if let Ok(commit) = digits.parse::<ObjectId>() {
                            found.insert(commit, row.id);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Returns the folder for the next two digits, with those digits and the rest.
fn below<'d>(rows: &Rows, rest: &'d str) -> Option<(ObjectId, &'d str, &'d str)> {
    let (name, after) = rest.split_at_checked(2).filter(|(_, after)| !after.is_empty())?;
    let row = rows.get(name.as_bytes()).filter(|row| row.kind() == EntryKind::Tree)?;
    Some((row.id, name, after))
}

fn is_hex(name: &[u8], length: usize) -> bool {
    name.len() == length && name.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
