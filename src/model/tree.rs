//! A Git tree as the rest of the program sees it: ids, entries, a tree to compare with and
//! the edits that change it. Nothing in here does I/O.

use crate::error::Result;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The id of a Git object: the SHA-1 of its kind, length and content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 20]);

impl ObjectId {
    /// Returns the id that 20 raw bytes spell.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the raw bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Returns the id that Git gives to a file of this content.
    pub fn of_blob(content: &[u8]) -> Self {
        Self::of("blob", content)
    }

    /// Returns the id of an object of a kind (`blob`, `tree`, `commit`).
    pub fn of(kind: &str, content: &[u8]) -> Self {
        let mut hash = Sha1::new();
        hash.update(format!("{kind} {}\0", content.len()));
        hash.update(content);
        Self(hash.finalize().into())
    }

    /// Returns the first ten hex digits, enough to show to people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 40 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Git object id is 40 hex digits")]
pub struct NotAnObjectId;

impl FromStr for ObjectId {
    type Err = NotAnObjectId;

    fn from_str(text: &str) -> Result<Self, NotAnObjectId> {
        let digits = text.as_bytes();
        if digits.len() != 40 {
            return Err(NotAnObjectId);
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let mut value = 0;
            for digit in pair {
                let digit = char::from(*digit).to_digit(16).ok_or(NotAnObjectId)?;
                value = value * 16 + digit;
            }
            *byte = u8::try_from(value).map_err(|_| NotAnObjectId)?;
        }
        Ok(Self(bytes))
    }
}

/// What stands behind a name in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A folder.
    Tree,
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// Returns the words that messages use.
    pub fn words(self) -> &'static str {
        match self {
            EntryKind::Tree => "a folder",
            EntryKind::File => "a file",
            EntryKind::Executable => "an executable file",
            EntryKind::Symlink => "a symbolic link",
            EntryKind::Submodule => "a submodule",
        }
    }

    /// Returns true for the two kinds of file.
    pub fn is_file(self) -> bool {
        matches!(self, EntryKind::File | EntryKind::Executable)
    }
}

/// One name in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without the folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// The id of its content.
    pub id: ObjectId,
}

/// A tree to compare with: that of a commit, an empty one, or that of a folder.
///
/// Paths are separated by `/`, without one at the start or end; `""` is the root.
pub trait BaseTree {
    /// Returns what stands at a path, or `None` where nothing does. The root of a tree
    /// that holds nothing is absent.
    fn entry(&self, path: &str) -> Result<Option<Entry>>;

    /// Returns the entries of a folder, sorted by name (bytes), or `None` where no folder
    /// stands at the path.
    fn entries(&self, dir: &str) -> Result<Option<Vec<Entry>>>;

    /// Returns the content of a file. It is an error if it is larger than the tree allows.
    fn blob(&self, id: &ObjectId) -> Result<Arc<[u8]>>;

    /// Returns true if the ids of folders are those of Git: equal ids, equal folders.
    fn has_folder_ids(&self) -> bool {
        true
    }
}

/// A tree that holds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTree;

impl BaseTree for NoTree {
    fn entry(&self, _: &str) -> Result<Option<Entry>> {
        Ok(None)
    }

    fn entries(&self, _: &str) -> Result<Option<Vec<Entry>>> {
        Ok(None)
    }

    fn blob(&self, id: &ObjectId) -> Result<Arc<[u8]>> {
        Err(crate::error::Error::internal(format!("an empty tree was asked for {id}")))
    }
}

/// A folder or a file that is put as a whole, where nothing stands before. What it holds is read
/// when it is written, so that a large change is never in memory at once.
#[derive(Clone)]
pub struct Graft {
    /// The Git id of the folder or file.
    pub id: ObjectId,
    /// A folder, or a file.
    pub kind: EntryKind,
    source: Arc<dyn GraftSource>,
}

/// Gives the files of a graft by their path inside it; of a file, the file itself by `""`.
pub trait GraftSource: Send + Sync {
    /// Reads them.
    ///
    /// # Errors
    /// A place that is damaged.
    fn files(&self) -> Result<Vec<(String, Arc<[u8]>)>>;
}

impl Graft {
    /// Returns a graft of this id, whose files a source gives.
    pub fn new(id: ObjectId, kind: EntryKind, source: Arc<dyn GraftSource>) -> Self {
        Self { id, kind, source }
    }

    /// Reads its files.
    ///
    /// # Errors
    /// A place that is damaged.
    pub fn files(&self) -> Result<Vec<(String, Arc<[u8]>)>> {
        self.source.files()
    }
}

impl PartialEq for Graft {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.kind) == (other.id, other.kind)
    }
}

impl Eq for Graft {}

impl fmt::Debug for Graft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.words(), self.id)
    }
}

/// One change to a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A file with this content stands at the path afterwards, without executable bit.
    Put {
        /// The file's path.
        path: String,
        /// Its content.
        bytes: Arc<[u8]>,
    },
    /// No file stands at the path afterwards; folders that become empty vanish.
    Delete {
        /// The file's path.
        path: String,
    },
    /// Something that is new as a whole.
    Graft {
        /// Its path.
        path: String,
        /// What stands there afterwards.
        graft: Graft,
    },
}

impl Edit {
    /// Returns the path that changes.
    pub fn path(&self) -> &str {
        match self {
            Edit::Put { path, .. } | Edit::Delete { path } | Edit::Graft { path, .. } => path,
        }
    }

    /// Returns the same change file by file.
    ///
    /// # Errors
    /// A graft that cannot be read.
    pub fn by_file(&self) -> Result<Vec<Edit>> {
        let Edit::Graft { path, graft } = self else { return Ok(vec![self.clone()]) };
        let put = |(inside, bytes): (String, Arc<[u8]>)| {
            let path = if inside.is_empty() { path.clone() } else { join(path, &inside) };
            Edit::Put { path, bytes }
        };
        Ok(graft.files()?.into_iter().map(put).collect())
    }
}

/// Returns all files below a folder (links and submodules too) by their full path.
///
/// Only folders that differ from `known` are entered: a folder with the same id as there is
/// left out with all it holds. Give `None` to get everything.
pub fn files_below(
    tree: &dyn BaseTree,
    dir: &str,
    known: Option<&dyn BaseTree>,
) -> Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in tree.entries(&folder)?.unwrap_or_default() {
            let path = join(&folder, &entry.name);
            if entry.kind != EntryKind::Tree {
                found.insert(path, entry);
                continue;
            }
            let same = match known {
                Some(known) => known.entry(&path)?.is_some_and(|k| k.id == entry.id),
                None => false,
            };
            if !same {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

/// Returns the id that Git gives to a folder of plain files, by their paths inside it; `None`
/// for no files at all.
pub fn folder_id<'p>(files: impl IntoIterator<Item = (&'p str, ObjectId)>) -> Option<ObjectId> {
    folder_trees(files, &mut |_, _| {})
}

/// Returns the same, and gives each tree object, the innermost first, with its id to `each`.
pub fn folder_trees<'p>(
    files: impl IntoIterator<Item = (&'p str, ObjectId)>,
    each: &mut dyn FnMut(ObjectId, &[u8]),
) -> Option<ObjectId> {
    // In this order the files of a folder stand together, and entries stand as Git sorts them: a
    // folder as if its name ended in `/`.
    let mut files: Vec<(&str, ObjectId)> = files.into_iter().collect();
    files.sort_by(|a, b| a.0.cmp(b.0));
    tree_of(&files, 0, each)
}

/// Writes the tree of sorted files, whose paths begin with `above` bytes of their folder.
fn tree_of(
    files: &[(&str, ObjectId)],
    above: usize,
    each: &mut dyn FnMut(ObjectId, &[u8]),
) -> Option<ObjectId> {
    let mut content = Vec::with_capacity(64 * files.len());
    let mut rest = files;
    while let Some((path, id)) = rest.first() {
        let inside = &path[above..];
        let Some((folder, _)) = inside.split_once('/') else {
            // Of a path that stands twice the last counts.
            if rest.get(1).is_none_or(|next| next.0 != *path) {
                add_entry(&mut content, inside, false, id);
            }
            rest = &rest[1..];
            continue;
        };
        let below = above + folder.len() + 1;
        let end = rest.partition_point(|(other, _)| other.get(..below) == path.get(..below));
        if let Some(id) = tree_of(&rest[..end], below, each) {
            add_entry(&mut content, folder, true, &id);
        }
        rest = &rest[end..];
    }
    if content.is_empty() {
        return None;
    }
    let id = ObjectId::of("tree", &content);
    each(id, &content);
    Some(id)
}

/// Returns the id that Git gives to a folder of these entries: by name, with a closing `/` for
/// folders, whether it is one, and its id.
pub fn tree_id(entries: &BTreeMap<String, (bool, ObjectId)>) -> ObjectId {
    let mut content = Vec::with_capacity(64 * entries.len());
    for (name, (is_folder, id)) in entries {
        add_entry(&mut content, name.trim_end_matches('/'), *is_folder, id);
    }
    ObjectId::of("tree", &content)
}

fn add_entry(content: &mut Vec<u8>, name: &str, is_folder: bool, id: &ObjectId) {
    content.extend_from_slice(if is_folder { b"40000 " } else { b"100644 " });
    content.extend_from_slice(name.as_bytes());
    content.push(0);
    content.extend_from_slice(id.as_bytes());
}

/// Returns the path of a name in a folder; the root folder is `""`.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_the_id_that_git_gives_it() {
        // `printf 'hello\n' | git hash-object --stdin`
        assert_eq!(ObjectId::of_blob(b"hello\n").to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        // The empty tree's well-known id.
        assert_eq!(ObjectId::of("tree", b"").to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    #[test]
    fn a_folder_of_folders_has_the_id_of_the_same_files() {
        let file = |text: &[u8]| ObjectId::of_blob(text);
        let whole = folder_id([("a/x", file(b"1")), ("a-b/x", file(b"2")), ("a.yaml", file(b"3"))]);
        let inner = |text: &[u8]| folder_id([("x", file(text))]).unwrap();
        let entries = [
            ("a/".to_owned(), (true, inner(b"1"))),
            ("a-b/".to_owned(), (true, inner(b"2"))),
            ("a.yaml".to_owned(), (false, file(b"3"))),
        ];
        assert_eq!(Some(tree_id(&entries.into())), whole);
    }

    #[test]
    fn a_folder_has_the_id_that_git_gives_it() {
        // git init; printf a > b.yaml; mkdir b b-c; printf b > b/x; printf c > b-c/y; git add .; git write-tree
        let files = [("b.yaml", b"a"), ("b/x", b"b"), ("b-c/y", b"c")];
        let id = folder_id(files.iter().map(|(path, text)| (*path, ObjectId::of_blob(*text))));
        assert_eq!(id.map(|id| id.to_string()), Some("804e1af0fbc9a18999fea1a6f6b7208a8106e425".to_owned()));
        assert_eq!(folder_id([]), None);
    }

    #[test]
    fn only_forty_hex_digits_are_an_id() {
        let text = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(text.parse::<ObjectId>().map(|id| id.to_string()), Ok(text.to_owned()));
        for wrong in ["", "ce01", "ge013625030ba8dba906f756967f9e9ca394464a", "é".repeat(20).as_str()] {
            assert_eq!(wrong.parse::<ObjectId>(), Err(NotAnObjectId), "{wrong}");
        }
    }
}
