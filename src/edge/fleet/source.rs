//! Tells which commit a fleet's folder stands at, for the trailers of our commits.

use crate::definition::Source;
use std::path::Path;

/// Returns where a fleet's folder came from: its remote and commit if it lies in Git and has
/// no changes of its own, else its name alone.
pub fn of_folder(folder: &Path) -> Source {
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // Only a repository that holds this folder in its history counts; a folder that merely
    // lies inside some checkout, untracked, has no source commit.
    let Ok(repository) = git2::Repository::discover(folder) else { return Source { name, commit: None } };
    let Some(root) = repository.workdir().and_then(|w| std::fs::canonicalize(w).ok()) else {
        return Source { name, commit: None };
    };
    let Ok(inside) = folder.strip_prefix(&root) else { return Source { name, commit: None } };
    let head = repository.head().and_then(|h| h.peel_to_commit());
    let Ok(head) = head else { return Source { name, commit: None } };
    let tracked =
        inside.as_os_str().is_empty() || head.tree().and_then(|t| t.get_path(inside).map(|_| ())).is_ok();
    let name = remote_name(&repository).unwrap_or(name);
    let clean = tracked && is_clean(&repository, inside);
    Source { name, commit: clean.then(|| head.id().to_string()) }
}

fn is_clean(repository: &git2::Repository, inside: &Path) -> bool {
    let mut options = git2::StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true);
    if !inside.as_os_str().is_empty() {
        options.pathspec(inside);
    }
    repository.statuses(Some(&mut options)).is_ok_and(|s| s.is_empty())
}

/// Returns the URL of `origin` without user and password.
fn remote_name(repository: &git2::Repository) -> Option<String> {
    let remote = repository.find_remote("origin").ok()?;
    let url = remote.url().ok()?.to_owned();
    match url::Url::parse(&url) {
        Ok(mut parsed) if parsed.host_str().is_some() => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            Some(parsed.to_string())
        }
        _ if url.starts_with(['/', '.']) => None,
        _ => Some(url.rsplit_once('@').map_or(url.clone(), |(_, rest)| rest.to_owned())),
    }
}
