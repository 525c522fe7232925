//! A folder on disk that nothing leads out of.

use super::{Files, MAX_FILE};
use crate::error::{Error, Origin, Violation};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

/// A folder on disk. Symbolic links are followed as long as they stay inside; pipes,
/// sockets and devices are refused; a file is read up to [`MAX_FILE`] bytes.
///
/// Where a path leads is asked once: a tree of files is taken as it stood at first sight.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    /// What a shown path begins with.
    prefix: String,
    /// The folder of the process, as a path in here, if paths are shown from there.
    here: Option<String>,
    /// Where paths lead; resolving links anew for each file costs more than reading it.
    known: Arc<RwLock<Known>>,
}

/// What was asked before: where each path leads, or that it does not exist.
type Known = HashMap<String, Option<Arc<There>>, RandomState>;

/// Where a path leads.
#[derive(Debug)]
struct There {
    real: PathBuf,
    /// The same from the root; none if it is not UTF-8.
    inside: Option<String>,
    what: What,
    /// What the folder lists, as far as anybody asked.
    listed: OnceLock<HashMap<OsString, What, RandomState>>,
}

/// What stands at a path. Links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    File,
    Folder,
    /// A pipe, a socket or a device.
    Other,
}

impl What {
    fn of(kind: fs::FileType) -> Self {
        match kind {
            kind if kind.is_file() => What::File,
            kind if kind.is_dir() => What::Folder,
            _ => What::Other,
        }
    }
}

/// More entries of a folder are not listed: whoever wants one file of it should not wait for
/// all of them.
const LISTED: usize = 1000;

/// What a file is expected to need, in bytes.
const USUAL: usize = 4096;

impl There {
    fn new(real: PathBuf, inside: Option<String>, what: What) -> Self {
        Self { real, inside, what, listed: OnceLock::new() }
    }

    /// Returns what the folder lists under a name, if it is no link. To list a folder costs
    /// less than to ask for each of its files. What is not listed may exist all the same: in
    /// other letters, or mounted when somebody asks.
    fn lists(&self, name: &str) -> Option<What> {
        let listed = self.listed.get_or_init(|| {
            let entries = fs::read_dir(&self.real).into_iter().flatten().flatten().take(LISTED);
            let kind = |entry: fs::DirEntry| Some((entry.file_name(), entry.file_type().ok()?));
            let no_link = entries.filter_map(kind).filter(|(_, kind)| !kind.is_symlink());
            no_link.map(|(name, kind)| (name, What::of(kind))).collect()
        });
        listed.get(std::ffi::OsStr::new(name)).copied()
    }
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
        Ok(Self { root: opened, prefix, here: None, known: Arc::default() })
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
        let here = std::env::current_dir().ok();
        let here = here.and_then(|h| Some(h.to_str()?.trim_start_matches('/').to_owned()));
        Ok((Self { root: PathBuf::from("/"), prefix: String::new(), here, known: Arc::default() }, inside))
    }

    fn full(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn refuse(&self, path: &str, why: impl Into<String>) -> Violation {
        Violation::error(why).at(Origin::file(self.shown(path)))
    }

    /// Returns where a path leads, or none if it does not exist.
    fn inside(&self, path: &str) -> Result<Option<Arc<There>>, Violation> {
        if let Some(found) = self.known(path) {
            return Ok(found);
        }
        let found = match self.follow(path) {
            Ok(Some(found)) => Some(Arc::new(found)),
            Ok(None) => {
                return Err(self
                    .refuse(path, "the file is not read: a symbolic link leads out of the folder")
                    .hint("copy the file into the folder"));
            }
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                None
            }
            Err(e) => return Err(self.refuse(path, format!("the file cannot be read: {e}"))),
        };
        self.remember(path, found.clone());
        Ok(found)
    }

    fn known(&self, path: &str) -> Option<Option<Arc<There>>> {
        self.known.read().ok()?.get(path).cloned()
    }

    fn remember(&self, path: &str, found: Option<Arc<There>>) {
        if let Ok(mut known) = self.known.write() {
            known.insert(path.to_owned(), found);
        }
    }

    /// Resolves the links of a path; none if they lead out of the root. Those of its folder
    /// are resolved once for all its files.
    fn follow(&self, path: &str) -> std::io::Result<Option<There>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !matches!(name, "" | "." | "..")
            && let Some(folder) = self.folder(folder)
        {
            let real = folder.real.join(name);
            let what = match folder.lists(name) {
                Some(what) => Some(what),
                None => {
                    let kind = fs::symlink_metadata(&real)?.file_type();
                    (!kind.is_symlink()).then(|| What::of(kind))
                }
            };
            if let Some(what) = what {
                let inside = match folder.inside.as_deref() {
                    Some("") => Some(name.to_owned()),
                    folder => folder.map(|folder| format!("{folder}/{name}")),
                };
                return Ok(Some(There::new(real, inside, what)));
            }
        }
        self.resolve(path)
    }

    fn resolve(&self, path: &str) -> std::io::Result<Option<There>> {
        let real = self.full(path).canonicalize()?;
        let Ok(inside) = real.strip_prefix(&self.root) else { return Ok(None) };
        let inside = inside.to_str().map(str::to_owned);
        let what = What::of(fs::metadata(&real)?.file_type());
        Ok(Some(There::new(real, inside, what)))
    }

    /// Returns a folder below the root.
    fn folder(&self, path: &str) -> Option<Arc<There>> {
        if let Some(found) = self.known(path) {
            return found;
        }
        let found = Arc::new(self.resolve(path).ok().flatten()?);
        self.remember(path, Some(found.clone()));
        Some(found)
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
        match found.what {
            What::File => {}
            What::Folder => return Ok(None),
            What::Other => {
                return Err(self.refuse(path, "this is a pipe, a socket or a device, not a file"));
            }
        }
        // Nobody asks for the size before: to read to the end costs less.
        let mut bytes = Vec::with_capacity(USUAL);
        let file = fs::File::open(&found.real).map_err(cannot)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(self.refuse(path, format!("the file has more than {MAX_FILE} bytes")));
        }
        Ok(Some(Cow::Owned(bytes)))
    }

    fn is_dir(&self, path: &str) -> bool {
        self.inside(path).ok().flatten().is_some_and(|found| found.what == What::Folder)
    }

    fn shown(&self, path: &str) -> String {
        if self.root != Path::new("/") {
            return format!("{}{path}", self.prefix);
        }
        let below = |here: &String| match here.as_str() {
            "" => Some(path),
            here => match path.strip_prefix(here)? {
                "" => Some(""),
                rest => rest.strip_prefix('/'),
            },
        };
        self.here.as_ref().and_then(below).map_or_else(|| format!("/{path}"), str::to_owned)
    }

    fn real(&self, path: &str) -> Option<String> {
        self.inside(path).ok().flatten()?.inside.clone()
    }
}
