//! The real `git`, with no configuration of the machine, and small makers of edits.

use hydrant::edge::git::Signature;
use hydrant::model::tree::{Edit, ObjectId};
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns a `git` call that reads no configuration but the repository's.
pub fn git_command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Ann")
        .env("GIT_AUTHOR_EMAIL", "ann@example.com")
        .env("GIT_COMMITTER_NAME", "Ann")
        .env("GIT_COMMITTER_EMAIL", "ann@example.com")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null());
    command
}

/// Runs `git` and returns what it printed, without the last line end.
#[track_caller]
pub fn git(dir: &Path, args: &[&str]) -> String {
    let out = git_command(dir).args(args).output().expect("git starts");
    assert!(
        out.status.success(),
        "git {args:?} failed:\n{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

/// Asserts that a repository is whole.
#[track_caller]
pub fn fsck(dir: &Path) {
    let out = git_command(dir).args(["fsck", "--full", "--strict"]).output().expect("git starts");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}");
    // Dangling objects are attempts that lost a race; anything else is damage.
    let bad: Vec<&str> = said
        .lines()
        .filter(|l| !l.starts_with("dangling") && !l.starts_with("notice:") && !l.starts_with("Checking"))
        .collect();
    assert!(bad.is_empty(), "{said}");
}

/// Creates a bare repository.
pub fn bare(dir: &Path) {
    let parent = dir.parent().expect("a parent");
    git(parent, &["init", "-q", "--bare", "-b", "main", &dir.display().to_string()]);
}

/// Commits files to a branch of a bare repository as a person would, through a clone.
/// `None` deletes. Returns the commit.
pub fn person_commits(bare: &Path, branch: &str, files: &[(&str, Option<&str>)], message: &str) -> String {
    let temp = tempfile::tempdir().expect("a folder");
    let work = temp.path().join("work");
    git(temp.path(), &["clone", "-q", &bare.display().to_string(), "work"]);
    let exists = git_command(&work)
        .args(["rev-parse", "-q", "--verify", &format!("origin/{branch}")])
        .output()
        .expect("git starts")
        .status
        .success();
    if exists {
        git(&work, &["checkout", "-q", "-B", branch, &format!("origin/{branch}")]);
    } else {
        git(&work, &["checkout", "-q", "--orphan", branch]);
    }
    for (path, content) in files {
        let full = work.join(path);
        match content {
            Some(content) => {
                std::fs::create_dir_all(full.parent().expect("a folder")).expect("folder");
                std::fs::write(&full, content).expect("file");
            }
            None => std::fs::remove_file(&full).expect("it was there"),
        }
    }
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", message]);
    git(&work, &["push", "-q", "origin", &format!("HEAD:{branch}")]);
    git(&work, &["rev-parse", "HEAD"])
}

/// Adds commits that change nothing to a branch of a bare repository, for a long history.
pub fn many_commits(bare: &Path, branch: &str, count: usize) {
    let tree = git(bare, &["rev-parse", &format!("{branch}^{{tree}}")]);
    let mut at = git(bare, &["rev-parse", branch]);
    for _ in 0..count {
        at = git(bare, &["commit-tree", &tree, "-p", &at, "-m", "one of many"]);
    }
    git(bare, &["update-ref", &format!("refs/heads/{branch}"), &at]);
}

/// Returns the signature that tests commit with.
pub fn who() -> Signature {
    Signature {
        name: "Hydrant".into(),
        email: "hydrant@example.com".into(),
        seconds: 1_763_700_000,
        offset: 0,
    }
}

pub fn put(path: &str, text: &str) -> Edit {
    Edit::Put { path: path.into(), bytes: text.as_bytes().into() }
}

pub fn delete(path: &str) -> Edit {
    Edit::Delete { path: path.into() }
}

pub fn id(text: &str) -> ObjectId {
    text.parse().expect("an id")
}
