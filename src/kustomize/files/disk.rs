//! A folder on disk that nothing leads out of.

use super::{Files, MAX_FILE};
use crate::error::{Error, Origin, Violation};
use std::borrow::Cow;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A folder on disk. Symbolic links are followed as long as they stay inside; pipes,
/// sockets and devices are refused; a file is read up to [`MAX_FILE`] bytes.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    /// What a shown path begins with.
    prefix: String,
}

impl Disk {
    /// Opens a folder.
    ///
    /// # Errors
    /// It does not exist, or is no folder.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let opened = resolve(root)?;
        let shown = root.display().to_string();
        let prefix = match shown.as_str() {
            "" | "." => String::new(),
            _ if shown.ends_with('/') => shown,
            _ => format!("{shown}/"),
        };
        Ok(Self { root: opened, prefix })
    }

    /// Opens the whole file system for a folder in it, and returns that folder's path in it.
    ///
    /// This is what `kubectl kustomize DIR` does: bases may lie anywhere, while the files
    /// of each kustomization must lie in or below its own folder.
    ///
    /// # Errors
    /// The folder does not exist, or its path is not UTF-8.
    pub fn around(folder: &Path) -> Result<(Self, String), Error> {
        let opened = resolve(folder)?;
        let path = opened.to_str().ok_or_else(|| {
            Error::input(format!("cannot build `{}`: its path is not UTF-8", folder.display()))
        })?;
        let inside = path.trim_start_matches('/').to_owned();
        Ok((Self { root: PathBuf::from("/"), prefix: String::new() }, inside))
    }

    fn full(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn refuse(&self, path: &str, why: impl Into<String>) -> Violation {
        Violation::error(why).at(Origin::file(self.shown(path)))
    }

    /// Returns the file a path leads to, or none if there is none.
    fn inside(&self, path: &str) -> Result<Option<PathBuf>, Violation> {
        match self.full(path).canonicalize() {
            Ok(found) if found.starts_with(&self.root) => Ok(Some(found)),
            Ok(_) => Err(self
                .refuse(path, "the file is not read: a symbolic link leads out of the folder")
                .hint("copy the file into the folder")),
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(e) => Err(self.refuse(path, format!("the file cannot be read: {e}"))),
        }
    }
}

fn resolve(folder: &Path) -> Result<PathBuf, Error> {
    let cannot = || format!("cannot open the folder `{}`", folder.display());
    let opened = folder.canonicalize().map_err(|e| Error::input(cannot()).because(e))?;
    if opened.is_dir() {
        return Ok(opened);
    }
    Err(Error::input(format!("{}: it is a file", cannot())).hint("name the folder that holds it"))
}

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, Violation> {
        let Some(found) = self.inside(path)? else { return Ok(None) };
        let cannot = |e: std::io::Error| self.refuse(path, format!("the file cannot be read: {e}"));
        let about = fs::metadata(&found).map_err(cannot)?;
        if about.is_dir() {
            return Ok(None);
        }
        if !about.is_file() {
            return Err(self.refuse(path, "this is a pipe, a socket or a device, not a file"));
        }
        let mut bytes = Vec::with_capacity(about.len().min(MAX_FILE) as usize);
        let file = fs::File::open(&found).map_err(cannot)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(self.refuse(path, format!("the file has more than {MAX_FILE} bytes")));
        }
        Ok(Some(Cow::Owned(bytes)))
    }

    fn is_dir(&self, path: &str) -> bool {
        self.inside(path).ok().flatten().is_some_and(|found| found.is_dir())
    }

    fn shown(&self, path: &str) -> String {
        if self.root != Path::new("/") {
            return format!("{}{path}", self.prefix);
        }
        let full = self.full(path);
        let here = std::env::current_dir().ok();
        let relative = here.as_deref().and_then(|here| full.strip_prefix(here).ok());
        relative.unwrap_or(&full).display().to_string()
    }

    fn real(&self, path: &str) -> Option<String> {
        let found = self.inside(path).ok().flatten()?;
        found.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }
}
