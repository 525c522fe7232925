//! Finds the files that a kustomization names, and keeps it to its own folder.

use super::files::{Files, is_below, join};
use super::kustomization::{FILE_NAMES, Kustomization, Placed, read};
use crate::error::{Origin, Violation, Violations};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bases and components one build may enter, each as often as it is named. Bases that
/// name one another twice double at each level; 100,000 manifests need a tenth of this.
pub const MOST_FOLDERS: usize = 250_000;

/// What a whole build has read so far.
#[derive(Debug)]
pub struct ReadFiles {
    /// Every file that was read, by path: what a digest is made of.
    noted: Option<Mutex<BTreeMap<String, blake3::Hash>>>,
    /// How many folders may be entered, and how many still may.
    most: usize,
    left: AtomicUsize,
}

impl ReadFiles {
    /// Returns one that notes every file.
    pub fn noted() -> Self {
        Self { noted: Some(Mutex::default()), ..Self::unnoted(MOST_FOLDERS) }
    }

    /// Returns one that notes nothing: a build needs no digest. At most so many folders are
    /// entered.
    pub fn unnoted(most: usize) -> Self {
        Self { noted: None, most, left: AtomicUsize::new(most) }
    }

    /// Counts a folder that is entered; false if it is one too many.
    fn count(&self) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn note(&self, path: &str, bytes: &[u8]) {
        if let Some(read) = &self.noted {
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            read.insert(path.to_owned(), blake3::hash(bytes));
        }
    }

    /// Returns the digest of all files that were noted, with their paths.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let read = self.noted.as_ref().map(|read| read.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, content) in read.iter().flat_map(|read| read.iter()) {
            hasher.update(&(path.len() as u64).to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(content.as_bytes());
        }
        hasher.finalize()
    }
}

/// How many bases may lead to one another; more are nobody's work, and each takes a part of the
/// stack.
const DEEPEST: usize = 100;

/// A folder with a kustomization, and the folders that led to it.
#[derive(Clone)]
pub struct Folder<'f> {
    files: &'f dyn Files,
    read: &'f ReadFiles,
    /// The folder, relative to the root of the files.
    pub path: String,
    /// The folders that led here, outermost first.
    chain: Vec<String>,
}

/// What a path in `resources` is.
pub enum Found {
    /// A file: its bytes and its name as shown.
    File(Vec<u8>, Arc<str>),
    /// A folder: its path from the root.
    Folder(String),
}

impl<'f> Folder<'f> {
    /// Returns the folder a build begins in.
    pub fn new(files: &'f dyn Files, read: &'f ReadFiles, path: &str) -> Self {
        Self { files, read, path: path.to_owned(), chain: Vec::new() }
    }

    /// Returns the folder as shown.
    pub fn shown(&self) -> Arc<str> {
        self.files.shown(&self.path).into()
    }

    /// Reads the kustomization of this folder.
    ///
    /// # Errors
    /// There is none or more than one, or it is wrong.
    pub fn kustomization(&self, named: Option<&Origin>) -> Result<Kustomization, Violations> {
        let mut found = Vec::new();
        for name in FILE_NAMES {
            let path = join(&self.path, name).unwrap_or_default();
            if let Some(bytes) = self.bytes(&path).map_err(|v| vec![v])? {
                found.push((name, path, bytes));
            }
        }
        let here = || named.cloned().unwrap_or_else(|| Origin::file(self.shown()));
        match &found[..] {
            [(name, path, bytes)] => read(bytes, &self.files.shown(path).into(), name),
            [] => {
                let message = format!("the folder `{}` has no kustomization", self.shown());
                let names = FILE_NAMES.join(", ");
                Err(vec![Violation::error(message).at(here()).hint(format!("it needs one of {names}"))])
            }
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _, _)| *name).collect();
                let message =
                    format!("the folder `{}` has several kustomizations: {}", self.shown(), names.join(", "));
                Err(vec![Violation::error(message).at(here()).hint("keep one of them")])
            }
        }
    }

    fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, Violation> {
        let Some(bytes) = self.files.read(path)? else { return Ok(None) };
        self.read.note(path, &bytes);
        Ok(Some(bytes.into_owned()))
    }

    /// Reads a file in or below this folder; returns its bytes and its name as shown.
    ///
    /// # Errors
    /// It is missing, lies outside or is remote.
    pub fn read_file(&self, placed: &Placed) -> Result<(Vec<u8>, Arc<str>), Box<Violation>> {
        let (path, at) = placed;
        if let Some(refusal) = refuse_remote(placed) {
            return Err(Box::new(refusal));
        }
        let missing = || Violation::error(format!("there is no file `{path}`")).at(at.clone());
        let inside = self.inside(placed)?;
        match self.bytes(&inside) {
            Ok(Some(bytes)) => Ok((bytes, self.files.shown(&inside).into())),
            Ok(None) if self.files.is_dir(&inside) => {
                Err(Box::new(Violation::error(format!("`{path}` is a folder, not a file")).at(at.clone())))
            }
            Ok(None) => Err(Box::new(missing())),
            Err(violation) => Err(Box::new(violation)),
        }
    }

    /// Returns the path of a file from the root, kept to this folder.
    fn inside(&self, (path, at): &Placed) -> Result<String, Box<Violation>> {
        let outside = || {
            Box::new(
                Violation::error(format!("the file `{path}` lies outside the folder `{}`", self.shown()))
                    .at(at.clone())
                    .hint("move it in, or make its folder a base with a kustomization.yaml of its own"),
            )
        };
        let joined = if path.starts_with('/') {
            let folder = format!("/{}", self.path);
            let inside = is_below(path, &folder).then(|| join("", path)).flatten();
            inside.ok_or_else(outside)?
        } else {
            join(&self.path, path).ok_or_else(outside)?
        };
        if !is_below(&joined, &self.path) {
            return Err(outside());
        }
        match (self.files.real(&joined), self.files.real(&self.path)) {
            (Some(real), Some(folder)) if !is_below(&real, &folder) => Err(outside()),
            _ => Ok(joined),
        }
    }

    /// Finds what an entry of `resources` names.
    ///
    /// # Errors
    /// It is missing, lies outside or is remote.
    pub fn find(&self, placed: &Placed) -> Result<Found, Box<Violation>> {
        let (path, at) = placed;
        if path.is_empty() {
            return Err(Box::new(Violation::error("the path is empty").at(at.clone())));
        }
        if let Some(refusal) = refuse_remote(placed) {
            return Err(Box::new(refusal));
        }
        let folder = if path.starts_with('/') { None } else { join(&self.path, path) };
        if let Some(folder) = folder.filter(|f| self.files.is_dir(f)) {
            return Ok(Found::Folder(folder));
        }
        self.read_file(placed).map(|(bytes, file)| Found::File(bytes, file)).map_err(|mut v| {
            if v.message.starts_with("there is no file") {
                v.message = format!("there is no file or folder `{path}`");
                v.hint = self.near(path);
            }
            v
        })
    }

    /// Returns a hint for a name that is nearly right.
    fn near(&self, path: &str) -> Option<String> {
        let (stem, other) = match path.strip_suffix(".yaml") {
            Some(stem) => (stem, ".yml"),
            None => (path.strip_suffix(".yml").unwrap_or(path), ".yaml"),
        };
        let there = format!("{stem}{other}");
        let exists = join(&self.path, &there).is_some_and(|p| matches!(self.files.read(&p), Ok(Some(_))));
        exists.then(|| format!("did you mean `{there}`?"))
    }

    /// Enters a folder.
    ///
    /// # Errors
    /// It is one of those that led here, or above one: the cycle. Or too many led here, or were
    /// entered in all.
    pub fn enter(&self, path: String, at: &Origin) -> Result<Folder<'f>, Box<Violation>> {
        let real = self.files.real(&path).unwrap_or(path);
        let mut chain = self.chain.clone();
        chain.push(self.path.clone());
        if let Some(from) = chain.iter().position(|visited| is_below(visited, &real)) {
            let mut names: Vec<String> = chain[from..].iter().map(|p| self.files.shown(p)).collect();
            names.push(self.files.shown(&real));
            let message = format!("the bases go round in a circle: {}", names.join(" → "));
            return Err(Box::new(
                Violation::error(message).at(at.clone()).hint("a base must not lie above what uses it"),
            ));
        }
        if chain.len() > DEEPEST {
            let message = format!("more than {DEEPEST} bases lead to one another");
            return Err(Box::new(
                Violation::error(message)
                    .at(at.clone())
                    .hint("name the last of them in `resources` directly"),
            ));
        }
        if !self.read.count() {
            let message = format!("the build enters more than {} bases and components", self.read.most);
            let hint =
                "a base that is named twice at each level is built twice as often at each: name it once";
            return Err(Box::new(Violation::error(message).at(at.clone()).hint(hint)));
        }
        Ok(Folder { files: self.files, read: self.read, path: real, chain })
    }
}

/// Returns why a path that would open a socket is refused.
fn refuse_remote((path, at): &Placed) -> Option<Violation> {
    let begins = |with: &&str| path.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    let at_a_ref = || path.contains('?') && path.to_ascii_lowercase().contains("?ref=");
    let schemes = ["http://", "https://", "ssh://", "git://", "git+", "git::", "file://", "oci://", "s3://"];
    let hosts = ["github.com/", "gitlab.com/", "bitbucket.org/", "git@"];
    let remote = schemes.iter().chain(&hosts).any(begins) || at_a_ref();
    remote.then(|| {
        let shown = crate::redact::redact(path).into_owned();
        Violation::error(format!("`{shown}` is remote, and a build opens no connection"))
            .at(at.clone())
            .hint("commit a copy and name its folder, or let Argo CD render that source itself")
    })
}
