//! Delivery into a repository on this machine, written in place.
//!
//! No server takes part, so no hook of the repository runs.

use super::clock::Clock;
use super::loose::cannot_write;
use super::reference::{Moved, move_branch};
use super::repository::{Pushed, Tip};
use super::store::{Store, from_oid};
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use git2::{ErrorCode, ReferenceType, RepositoryInitOptions, RepositoryOpenFlags};
use std::path::Path;

/// Opens the repository at a path; the second value tells that it had to be created.
pub(super) fn open_or_create(path: &Path, create: bool) -> Result<(git2::Repository, bool)> {
    let blank = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
        Err(e) => return Err(Error::external(format!("cannot read {}", path.display())).because(e)),
    };
    if !blank {
        return open(path).map(|repo| (repo, false));
    }
    if !create {
        return Err(Error::external(format!("there is no Git repository at {}", path.display()))
            .hint(format!("create it: git init --bare {}", path.display())));
    }
    let created = create_at(path)?;
    open(path).map(|repo| (repo, created))
}

fn open(path: &Path) -> Result<git2::Repository> {
    let none: [&Path; 0] = [];
    git2::Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, none).map_err(|e| {
        let error = Error::external(format!("cannot open the Git repository at {}", path.display()));
        let error = match e.code() {
            ErrorCode::NotFound => error.hint("the folder is not empty and is no Git repository"),
            ErrorCode::Owner => error.hint(format!(
                "it belongs to another user; allow it: git config --global --add safe.directory {}",
                path.display()
            )),
            _ => error,
        };
        error.because(e)
    })
}

/// Makes a bare repository beside its place and moves it there, so that a crash leaves no half.
///
/// Returns false if another process was faster.
fn create_at(path: &Path) -> Result<bool> {
    let failed = |e: std::io::Error| Error::external(cannot_write(path)).because(e);
    let full = std::path::absolute(path).map_err(failed)?;
    let parent = full.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(failed)?;
    let aside = tempfile::Builder::new().prefix(".hydrant-new-").tempdir_in(parent).map_err(failed)?;
    let inner = aside.path().join("repository.git");
    let mut options = RepositoryInitOptions::new();
    options.bare(true).no_reinit(true).external_template(false).initial_head("main");
    // `core.fsyncObjectFiles` is left alone: what Hydrant writes is synced anyway, and each
    // call of a newer Git would warn about it.
    git2::Repository::init_opts(&inner, &options)
        .map_err(|e| Error::external(cannot_write(path)).because(e))?;
    match std::fs::rename(&inner, &full) {
        Ok(()) => Ok(true),
        // Not empty any more: somebody else created it in the meantime.
        Err(_) if full.join("HEAD").is_file() => Ok(false),
        Err(e) => Err(failed(e)),
    }
}

/// Reads where a branch (`refs/heads/…`) is.
pub(super) fn tip(store: &Store, name: &str) -> Result<Tip> {
    if let Some(id) = branch_id(store, name)? {
        return store.commit(&id).map(Tip::Head);
    }
    let mut branches = Vec::new();
    let references =
        store.repo.references_glob("refs/heads/*").map_err(|e| store.unreadable("its branches", e))?;
    for reference in references {
        let reference = reference.map_err(|e| store.unreadable("its branches", e))?;
        branches.push(String::from_utf8_lossy(reference.shorthand_bytes()).into_owned());
    }
    branches.sort();
    Ok(if branches.is_empty() { Tip::Empty } else { Tip::Missing { branches } })
}

pub(super) fn branch_id(store: &Store, name: &str) -> Result<Option<ObjectId>> {
    match store.repo.find_reference(name) {
        Ok(reference) if reference.kind() == Some(ReferenceType::Direct) => {
            Ok(reference.target().map(from_oid))
        }
        Ok(_) => Err(Error::guard(format!(
            "{name} in {} points to another branch; deliver to that one",
            store.shown().display()
        ))),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
        Err(e) => Err(store.unreadable(name, e)),
    }
}

/// Moves a branch, if it still is where it was.
pub(super) fn push(
    store: &Store,
    name: &str,
    commit: &ObjectId,
    expected: Option<ObjectId>,
    clock: &dyn Clock,
) -> Result<Pushed> {
    let head = store.repo.find_reference("HEAD").ok();
    let checked_out = head.as_ref().and_then(|h| h.symbolic_target_bytes()) == Some(name.as_bytes());
    if checked_out && !store.repo.is_bare() {
        return Ok(Pushed::Refused(format!(
            "{name} is checked out in {}; moving it would leave the files there behind. Deliver to a bare repository or another branch",
            store.shown().display()
        )));
    }
    if expected.is_none()
        && let Some(other) = in_the_way(store, name)?
    {
        return Ok(Pushed::Refused(format!("{name} cannot be created while {other} exists")));
    }
    let moved =
        move_branch(store.git_dir(), name, commit, clock, || Ok(branch_id(store, name)? == expected))?;
    if moved == Moved::Raced {
        return Ok(Pushed::Raced);
    }
    if expected.is_none() && store.repo.is_bare() && store.repo.head().is_err() {
        // A first branch: let HEAD name it, so that `git log` and `git clone` show something.
        // It is a convenience; a failure takes nothing from the delivery.
        let _ = store.repo.set_head(name);
    }
    Ok(Pushed::Landed)
}

/// Returns a branch that takes the folder or the file that this one needs.
fn in_the_way(store: &Store, name: &str) -> Result<Option<String>> {
    let mut prefix = name;
    while let Some((before, _)) = prefix.rsplit_once('/') {
        prefix = before;
        if prefix == "refs/heads" {
            break;
        }
        if branch_id(store, prefix)?.is_some() {
            return Ok(Some(prefix.to_owned()));
        }
    }
    let below = store
        .repo
        .references_glob(&format!("{name}/*"))
        .map_err(|e| store.unreadable("its branches", e))?
        .names()
        .next()
        .and_then(|found| found.ok().map(str::to_owned));
    Ok(below)
}

/// Returns how many packs a repository has; none if they cannot be counted.
pub(super) fn packs(git_dir: &Path) -> usize {
    let files = std::fs::read_dir(git_dir.join("objects/pack")).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|e| e == "pack")).count()
}

/// Returns the commit that a branch, a tag or an id names.
pub(super) fn revision(store: &Store, revision: &str) -> Result<Option<ObjectId>> {
    let head = (revision == "HEAD").then(|| revision.to_owned());
    for name in [format!("refs/heads/{revision}"), format!("refs/tags/{revision}")].into_iter().chain(head) {
        if !git2::Reference::is_valid_name(&name) {
            continue;
        }
        match store.repo.find_reference(&name).and_then(|reference| reference.peel_to_commit()) {
            Ok(commit) => return Ok(Some(from_oid(commit.id()))),
            Err(e) if e.code() == ErrorCode::NotFound => {}
            Err(e) => return Err(store.unreadable(&name, e)),
        }
    }
    let id: Option<ObjectId> = revision.parse().ok();
    Ok(id.filter(|id| store.has(id)))
}
