//! Where a kustomization's files come from.
//!
//! Paths are relative to the root of the source, `/`-separated and normalised, so that
//! nothing outside it can be named. [`Disk`] is a folder, [`Memory`] holds what is embedded
//! or was read before.

mod disk;

pub use disk::Disk;

use crate::error::Violation;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// A tree of files to build from.
pub trait Files: Send + Sync {
    /// Returns the bytes of a file, or none if there is no such file.
    ///
    /// # Errors
    /// The file exists but must not or cannot be read.
    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, Violation>;

    /// Returns true if a folder of this path exists. The root is the empty path.
    fn is_dir(&self, path: &str) -> bool;

    /// Returns the path as the user would name it.
    fn shown(&self, path: &str) -> String;

    /// Returns the path with symbolic links resolved; none if it does not exist or leads
    /// out of the root.
    fn real(&self, path: &str) -> Option<String> {
        Some(path.to_owned())
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The bytes by path.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// What stands before a path when it is shown, as `built-in:`.
    pub prefix: String,
}

impl Memory {
    /// Returns a tree of files, shown with a prefix before each path.
    pub fn new(files: BTreeMap<String, Arc<[u8]>>, prefix: impl Into<String>) -> Self {
        Self { files, prefix: prefix.into() }
    }

    /// Adds a file.
    pub fn with(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), bytes.as_ref().into());
        self
    }
}

impl Files for Memory {
    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, Violation> {
        Ok(self.files.get(path).map(|bytes| Cow::Borrowed(&**bytes)))
    }

    fn is_dir(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let below = format!("{path}/");
        self.files.range(below.clone()..).next().is_some_and(|(p, _)| p.starts_with(&below))
    }

    fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// Returns `base/path` with `.` and `..` resolved; none if it would leave the root.
pub fn join(base: &str, path: &str) -> Option<String> {
    let mut joined = String::with_capacity(base.len() + path.len() + 1);
    let add = |joined: &mut String, part: &str| {
        if !joined.is_empty() {
            joined.push('/');
        }
        joined.push_str(part);
    };
    base.split('/').filter(|part| !part.is_empty()).for_each(|part| add(&mut joined, part));
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if joined.is_empty() => return None,
            ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
            part => add(&mut joined, part),
        }
    }
    Some(joined)
}

/// Returns true if `path` is `folder` or lies below it.
pub fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
