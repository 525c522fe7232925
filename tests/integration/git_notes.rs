//! Notes on our commits and the reference that names the last one: along with the push,
//! after it, or not at all.

use crate::support::git::{fsck, git, git_command, id, person_commits, put, who};
use crate::support::server::{Fault, GitServer};
use hydrant::edge::git::{
    Along, GitSettings, Landed, Made, NOTES, Note, Noted, Ownership, Proposal, Publication, Remote,
    Repository, Revision, publish_along, reference_of, settle_branch,
};
use hydrant::error::Result;
use hydrant::model::tree::{BaseTree, ObjectId};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const OURS: &str = "refs/hydrant/default/main";

fn open(url: &str, cache: &Path) -> Repository {
    let settings = GitSettings { cache: Some(cache.into()), ..GitSettings::default() };
    Repository::open(&Remote::parse(url).unwrap(), &settings).unwrap()
}

fn note(made: &Made) -> Option<Vec<u8>> {
    Some(format!("{{\"tries\": {}}}\n", made.tries).into_bytes())
}

fn none_outlived(_: &[Note]) -> Vec<ObjectId> {
    Vec::new()
}

fn deliver(repo: &mut Repository, path: &str, text: &str) -> (Revision, Noted) {
    deliver_to(repo, path, text).unwrap()
}

fn deliver_to(repo: &mut Repository, path: &str, text: &str) -> Result<(Revision, Noted)> {
    let along = Along { fleet: "default", note: &note, outlived: &none_outlived };
    let to = Publication { deadline: Duration::from_secs(600), ..Publication::new("main", who()) };
    publish_along(repo, &to, Some(&along), |repo, head| {
        let there = repo.tree(head.map(|c| c.id))?.entry(path)?;
        if there.is_some_and(|e| e.id == ObjectId::of_blob(text.as_bytes())) {
            return Ok(None);
        }
        let message = format!("put {path}\n\nHydrant-Fleet: default\n");
        Ok(Some(Proposal { edits: vec![put(path, text)], message }))
    })
}

fn notes_of(repo: &Path) -> BTreeMap<String, String> {
    let list = git(repo, &["notes", "--ref=hydrant", "list"]);
    let pairs = list.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(blob, commit)| (commit.to_owned(), git(repo, &["cat-file", "blob", blob]))).collect()
}

fn pushes(server: &GitServer) -> usize {
    server.seen().iter().filter(|s| s.line.starts_with("POST") && s.line.contains("git-receive-pack")).count()
}

#[test]
fn the_note_and_the_reference_go_along_with_the_branch_in_one_push() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    let (first, noted) = deliver(&mut repo, "a", "1");
    assert_eq!((first.landed, noted), (Landed::Pushed, Noted::Written));
    assert_eq!(pushes(&server), 1);
    let first = first.commit.unwrap().to_string();
    assert_eq!(git(&server.repo, &["notes", "--ref=hydrant", "show", &first]), "{\"tries\": 1}");
    assert_eq!(git(&server.repo, &["rev-parse", OURS]), first);
    // The next run, with the cache or without: a second note beside the first.
    for (n, folder) in [cache.path(), tempfile::tempdir().unwrap().path()].into_iter().enumerate() {
        let (again, noted) = deliver(&mut open(&server.url(), folder), "a", &format!("again {n}"));
        assert_eq!((again.landed, noted), (Landed::Pushed, Noted::Written));
        assert_eq!(git(&server.repo, &["rev-parse", OURS]), again.commit.unwrap().to_string());
    }
    assert_eq!((notes_of(&server.repo).len(), pushes(&server)), (3, 3));
    // Nothing to change: nothing to note.
    let (unchanged, noted) = deliver(&mut repo, "a", "again 1");
    assert_eq!((unchanged.landed, noted), (Landed::Unchanged, Noted::Nothing));
    assert_eq!((notes_of(&server.repo).len(), pushes(&server)), (3, 3));
    assert_eq!(git(&server.repo, &["rev-list", "--count", NOTES]), "3");
    fsck(&server.repo);
}

#[test]
fn a_repository_on_this_machine_gets_the_same_without_a_server() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("gitops.git");
    let settings = GitSettings { create: true, ..GitSettings::default() };
    let mut repo = Repository::open(&Remote::Local(path.clone()), &settings).unwrap();
    for n in 0..3 {
        let (revision, noted) = deliver(&mut repo, "a", &n.to_string());
        assert_eq!(noted, Noted::Written);
        assert_eq!(git(&path, &["rev-parse", OURS]), revision.commit.unwrap().to_string());
    }
    assert_eq!(notes_of(&path).len(), 3);
    fsck(&path);
}

#[test]
fn a_server_without_atomic_pushes_gets_both_after_the_branch() {
    let server = GitServer::start();
    git(&server.repo, &["config", "receive.advertiseAtomic", "false"]);
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    for n in 0..2 {
        let (revision, noted) = deliver(&mut repo, "a", &n.to_string());
        assert_eq!(noted, Noted::Written);
        assert_eq!(git(&server.repo, &["rev-parse", OURS]), revision.commit.unwrap().to_string());
    }
    assert_eq!(notes_of(&server.repo).len(), 2);
    fsck(&server.repo);
}

#[test]
fn a_server_that_refuses_notes_or_the_reference_takes_the_branch_alone() {
    // The one hook names the reference, the other refuses the push as a whole.
    let update = "#!/bin/sh\ncase $1 in refs/heads/*) exit 0;; esac\necho no $1 >&2\nexit 1\n";
    let whole = "#!/bin/sh\nwhile read old new name; do\ncase $name in refs/heads/*) ;; *) echo no $name >&2; exit 1;; esac\ndone\n";
    for (hook, script) in [("update", update), ("pre-receive", whole)] {
        let server = GitServer::start();
        server.hook(hook, script);
        let cache = tempfile::tempdir().unwrap();
        let mut repo = open(&server.url(), cache.path());
        let (first, noted) = deliver(&mut repo, "a", "1");
        assert_eq!(first.landed, Landed::Pushed);
        let Noted::Failed(why) = noted else { panic!("{hook}: {noted:?}") };
        assert!(why.contains("hook declined") && why.contains("no refs/notes/hydrant"), "{hook}: {why}");
        // In the same run the server is not asked again.
        let before = pushes(&server);
        let (second, noted) = deliver(&mut repo, "a", "2");
        assert_eq!((second.landed, pushes(&server) - before), (Landed::Pushed, 1), "{hook}");
        assert!(matches!(noted, Noted::Failed(_)));
        assert_eq!(git(&server.repo, &["rev-list", "--count", "main"]), "2");
        assert!(git(&server.repo, &["for-each-ref", "refs/notes", "refs/hydrant"]).is_empty(), "{hook}");
    }
    // Only the reference is refused: silently without, and the note stands.
    let server = GitServer::start();
    server.hook("update", "#!/bin/sh\ncase $1 in refs/hydrant/*) exit 1;; esac\n");
    let cache = tempfile::tempdir().unwrap();
    let (_, noted) = deliver(&mut open(&server.url(), cache.path()), "a", "1");
    assert_eq!((noted, notes_of(&server.repo).len()), (Noted::Written, 1));
    // And a refusal of the branch itself is still a refusal.
    server.hook("update", "#!/bin/sh\necho the branch is closed >&2\nexit 1\n");
    let error = deliver_to(&mut open(&server.url(), cache.path()), "a", "2").unwrap_err();
    assert!(error.to_string().contains("the branch is closed"), "{error}");
}

#[test]
fn a_note_whose_push_gets_no_answer_stands_once() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    server.fail("POST /gitops.git/git-receive-pack", Fault::Cut { after: 0, with_length: true });
    let (revision, noted) = deliver(&mut open(&server.url(), cache.path()), "a", "1");
    assert_eq!((revision.landed, noted), (Landed::Pushed, Noted::Nothing), "it came with the push");
    assert_eq!(notes_of(&server.repo).len(), 1);
    assert_eq!(git(&server.repo, &["rev-list", "--count", "main"]), "1");
}

#[test]
fn notes_in_folders_as_git_splits_them_are_read_and_kept_so() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let (first, _) = deliver(&mut open(&server.url(), cache.path()), "a", "1");
    let (second, _) = deliver(&mut open(&server.url(), cache.path()), "a", "2");
    let (first, second) = (first.commit.unwrap(), second.commit.unwrap());
    for levels in [1, 2] {
        // As Git's own fan-out writes it, by hand.
        let blobs: Vec<(String, String)> = notes_of(&server.repo).into_iter().collect();
        git(&server.repo, &["update-ref", "-d", NOTES]);
        let index = server.temp.path().join(format!("index-{levels}"));
        for (commit, _) in &blobs {
            let blob = git(&server.repo, &["hash-object", "-w", "--stdin"]);
            let path = match levels {
                1 => format!("{}/{}", &commit[..2], &commit[2..]),
                _ => format!("{}/{}/{}", &commit[..2], &commit[2..4], &commit[4..]),
            };
            let out = git_command(&server.repo)
                .env("GIT_INDEX_FILE", &index)
                .args(["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")])
                .output()
                .unwrap();
            assert!(out.status.success());
        }
        let tree =
            git_command(&server.repo).env("GIT_INDEX_FILE", &index).arg("write-tree").output().unwrap();
        let tree = String::from_utf8(tree.stdout).unwrap();
        let commit = git(&server.repo, &["commit-tree", tree.trim(), "-m", "notes in folders"]);
        git(&server.repo, &["update-ref", NOTES, &commit]);
        let empty = tempfile::tempdir().unwrap();
        let mut repo = open(&server.url(), empty.path());
        repo.fetch("main").unwrap();
        assert_eq!(repo.note(&first).unwrap().as_deref(), Some(&b""[..]), "{levels}");
        assert_eq!(repo.notes().unwrap().len(), blobs.len());
        // Written over in its place, and a new one beside it.
        let noted = repo.note_later(second, &who(), &none_outlived, &|there| {
            assert_eq!(there, Some(&b""[..]));
            Some(b"second\n".to_vec())
        });
        assert_eq!(noted, Noted::Written);
        let (third, noted) = deliver(&mut repo, "a", &format!("3 {levels}"));
        assert_eq!(noted, Noted::Written);
        let third = third.commit.unwrap().to_string();
        assert_eq!(git(&server.repo, &["notes", "--ref=hydrant", "show", &third]), "{\"tries\": 1}");
        assert_eq!(git(&server.repo, &["notes", "--ref=hydrant", "show", &second.to_string()]), "second");
        let paths = git(&server.repo, &["ls-tree", "-r", "--name-only", NOTES]);
        assert!(paths.lines().all(|p| p.matches('/').count() >= 1), "{paths}");
        assert_eq!(paths.lines().count(), blobs.len() + 1);
        fsck(&server.repo);
    }
}

#[test]
fn an_empty_cache_gets_the_newest_notes_alone_and_a_later_run_what_came_since() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    for n in 0..30 {
        deliver(&mut open(&server.url(), cache.path()), "a", &n.to_string());
    }
    let head = id(&git(&server.repo, &["rev-parse", "main"]));
    let empty = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), empty.path());
    repo.fetch("main").unwrap();
    let before = server.seen().len();
    assert!(repo.note(&head).unwrap().is_some());
    assert_eq!(server.seen().len() - before, 1, "one pack");
    let mirror = std::fs::read_dir(empty.path().join("git")).unwrap().next().unwrap().unwrap().path();
    let tip = git(&server.repo, &["rev-parse", NOTES]);
    assert_eq!(git(&mirror, &["rev-list", "--count", &tip]), "1", "not the history of the notes");
    // Nothing new: no request at all.
    let before = server.seen().len();
    assert_eq!(repo.notes().unwrap().len(), 30);
    assert_eq!(server.seen().len(), before);
    fsck(&mirror);
}

#[test]
fn notes_that_have_served_their_time_go_with_the_next_one() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("gitops.git");
    let settings = GitSettings { create: true, ..GitSettings::default() };
    let mut repo = Repository::open(&Remote::Local(path.clone()), &settings).unwrap();
    let (first, _) = deliver(&mut repo, "a", "0");
    // Two hundred and fifty more, as foreign hands might write them.
    let tip = git(&path, &["rev-parse", NOTES]);
    let blob = git(&path, &["rev-parse", &format!("{NOTES}:{}", first.commit.unwrap())]);
    let index = temp.path().join("index");
    let mut lines = format!("100644 {blob}\t{}\n", first.commit.unwrap());
    for n in 0..260 {
        lines.push_str(&format!("100644 {blob}\t{n:040x}\n"));
    }
    let mut child = git_command(&path)
        .env("GIT_INDEX_FILE", &index)
        .args(["update-index", "--add", "--index-info"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), lines.as_bytes()).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let tree = git_command(&path).env("GIT_INDEX_FILE", &index).arg("write-tree").output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let commit = git(&path, &["commit-tree", tree.trim(), "-p", &tip, "-m", "many"]);
    git(&path, &["update-ref", NOTES, &commit]);
    let first = first.commit.unwrap();
    let old = |notes: &[Note]| -> Vec<ObjectId> {
        notes.iter().map(|(commit, _)| *commit).filter(|commit| *commit != first).collect()
    };
    let noted = repo.note_later(first, &who(), &old, &|_| Some(b"kept\n".to_vec()));
    assert_eq!(noted, Noted::Written);
    assert_eq!(notes_of(&path), BTreeMap::from([(first.to_string(), "kept".to_owned())]));
    fsck(&path);
}

#[test]
fn notes_that_cannot_be_read_are_left_alone_and_cost_no_delivery() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let (first, _) = deliver(&mut open(&server.url(), cache.path()), "a", "1");
    let first = first.commit.unwrap();
    // A note of two megabytes is none, and is written over.
    let big = server.temp.path().join("big");
    std::fs::write(&big, "x".repeat(2 << 20)).unwrap();
    let big = big.display().to_string();
    git(&server.repo, &["notes", "--ref=hydrant", "add", "-f", "-F", &big, &first.to_string()]);
    let mut repo = open(&server.url(), cache.path());
    repo.fetch("main").unwrap();
    assert_eq!(repo.note(&first).unwrap(), None);
    // Somebody else's reference under our name: a blob, not a commit.
    let blob = git(&server.repo, &["rev-parse", "main:a"]);
    git(&server.repo, &["update-ref", "-d", NOTES]);
    std::fs::create_dir_all(server.repo.join("refs/notes")).unwrap();
    std::fs::write(server.repo.join(NOTES), format!("{blob}\n")).unwrap();
    for folder in [cache.path(), tempfile::tempdir().unwrap().path()] {
        let mut repo = open(&server.url(), folder);
        let (revision, noted) = deliver(&mut repo, "a", &format!("{}", folder.display()));
        assert_eq!(revision.landed, Landed::Pushed);
        assert!(matches!(noted, Noted::Failed(_)), "{noted:?}");
    }
    // The server cannot give its notes at all.
    let server = GitServer::start();
    deliver(&mut open(&server.url(), cache.path()), "a", "1");
    let empty = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), empty.path());
    repo.fetch("main").unwrap();
    server.fail("POST /gitops.git/git-upload-pack", Fault::Status(403, "no", vec![]));
    let (revision, noted) = deliver(&mut repo, "a", "2");
    assert_eq!(revision.landed, Landed::Pushed);
    assert!(matches!(&noted, Noted::Failed(why) if why.contains("forbidden")), "{noted:?}");
}

fn last_of_ours(repo: &Repository, head: &hydrant::edge::git::Commit) -> Option<ObjectId> {
    let roots = ["a".to_owned()];
    let us = Ownership {
        fleet: "default",
        roots: &roots,
        unit_of: &|path| Some(path.to_owned()),
        held: &|_| Ok(BTreeMap::new()),
        env: None,
        proposals: &[],
    };
    settle_branch(repo, head, &us).unwrap().map(|settlements| settlements.last.id)
}

#[test]
fn a_foreign_head_asks_the_reference_first_and_believes_only_what_it_sees() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    for n in 0..100 {
        deliver(&mut open(&server.url(), cache.path()), "a/x", &n.to_string());
    }
    let ours = id(&git(&server.repo, &["rev-parse", "main"]));
    for n in 0..5 {
        person_commits(&server.repo, "main", &[(&format!("theirs-{n}"), Some("x"))], "by hand");
    }
    let look = || {
        let empty = tempfile::tempdir().unwrap();
        let mut repo = open(&server.url(), empty.path());
        let head = repo.fetch("main").unwrap().head().unwrap().clone();
        let before = server.seen().len();
        let last = last_of_ours(&repo, &head);
        let mirror = std::fs::read_dir(empty.path().join("git")).unwrap().next().unwrap().unwrap().path();
        let known = git(&mirror, &["rev-list", "--count", &head.id.to_string()]);
        fsck(&mirror);
        (last, server.seen().len() - before, known.parse::<usize>().unwrap())
    };
    // Our commit, and the five after it.
    assert_eq!(look(), (Some(ours), 2, 6));
    // Without the reference: step by step, 64 commits at first.
    git(&server.repo, &["update-ref", "-d", OURS]);
    assert_eq!(look(), (Some(ours), 1, 64));
    // A reference that lies: to an older commit of ours, to a stranger's, to nothing of the branch.
    let older = git(&server.repo, &["rev-parse", "main~20"]);
    let stranger = person_commits(&server.repo, "apart", &[("other", Some("y"))], "apart");
    for lie in [older, git(&server.repo, &["rev-parse", "main~2"]), stranger] {
        git(&server.repo, &["update-ref", OURS, &lie]);
        assert_eq!(look().0, Some(ours), "{lie}");
    }
    // One step away, one request.
    git(&server.repo, &["update-ref", "refs/heads/main", &ours.to_string()]);
    git(&server.repo, &["update-ref", OURS, &ours.to_string()]);
    person_commits(&server.repo, "main", &[("theirs", Some("x"))], "by hand");
    assert_eq!(look(), (Some(ours), 1, 2));
}

#[test]
fn a_mirror_with_a_cut_off_history_is_deepened_by_a_later_run() {
    let server = GitServer::start();
    let first = person_commits(&server.repo, "main", &[("n", Some("0"))], "0");
    let tree = git(&server.repo, &["rev-parse", "main^{tree}"]);
    let mut tip = first.clone();
    for n in 1..100 {
        tip = git(&server.repo, &["commit-tree", &tree, "-p", &tip, "-m", &n.to_string()]);
    }
    git(&server.repo, &["update-ref", "refs/heads/main", &tip]);
    let first = id(&first);
    let cache = tempfile::tempdir().unwrap();
    let head = open(&server.url(), cache.path()).fetch("main").unwrap().head().unwrap().clone();
    // Opened anew, when the edge of the history stands in a file of Git's.
    let repo = open(&server.url(), cache.path());
    assert_eq!(repo.read_commit(&head.id).unwrap().parents, head.parents);
    assert!(repo.deepen(head.id).unwrap());
    let mut repo = open(&server.url(), cache.path());
    repo.fetch("main").unwrap();
    while !repo.descends(&head.id, &first).unwrap() {
        assert!(repo.deepen(head.id).unwrap(), "there is more");
    }
}

#[test]
fn names_that_git_does_not_take_have_no_reference() {
    assert_eq!(reference_of("default", "main").as_deref(), Some(OURS));
    assert_eq!(reference_of("default", "release/1").as_deref(), Some("refs/hydrant/default/release/1"));
    for (fleet, branch) in [("a..b", "main"), ("a", ""), ("a b", "main"), ("a", "x.lock")] {
        assert_eq!(reference_of(fleet, branch), None, "{fleet} {branch}");
    }
}

/// One process of the test below: delivers several changes and says what became of each note.
#[test]
#[ignore = "a process that other tests start"]
fn worker() {
    let Ok(remote) = std::env::var("HYDRANT_TEST_REMOTE") else { return };
    let name = std::env::var("HYDRANT_TEST_NAME").unwrap();
    let cache = std::env::var_os("HYDRANT_TEST_CACHE").unwrap();
    for n in 0..4 {
        let mut repo = open(&remote, Path::new(&cache));
        let (revision, noted) = deliver(&mut repo, &format!("own/{name}/{n}"), &name);
        println!("\ndelivered {} {noted:?}", revision.commit.unwrap());
    }
}

#[test]
fn ten_processes_that_deliver_at_once_leave_a_note_on_each_of_their_commits() {
    for atomic in [true, false] {
        let server = GitServer::start();
        git(&server.repo, &["config", "receive.advertiseAtomic", &atomic.to_string()]);
        let folder = tempfile::tempdir().unwrap();
        let workers: Vec<_> = (0..10)
            .map(|n| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "git_notes::worker", "--ignored", "--nocapture", "--test-threads=1"])
                    .env("HYDRANT_TEST_REMOTE", server.url())
                    .env("HYDRANT_TEST_NAME", format!("w{n}"))
                    // Half of them share a cache.
                    .env("HYDRANT_TEST_CACHE", folder.path().join((n / 2 * (n % 2)).to_string()))
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let mut told = BTreeMap::new();
        for worker in workers {
            let out = worker.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
            for line in text.lines().filter_map(|l| l.strip_prefix("delivered ")) {
                let (commit, noted) = line.split_once(' ').unwrap();
                told.insert(commit.to_owned(), noted.to_owned());
            }
        }
        let notes = notes_of(&server.repo);
        let commits = git(&server.repo, &["rev-list", "main"]);
        assert_eq!(commits.lines().count(), 40);
        let without: Vec<(&String, &String)> =
            told.iter().filter(|(commit, _)| !notes.contains_key(*commit)).collect();
        assert_eq!(told.len(), 40);
        assert!(without.iter().all(|(_, noted)| noted.starts_with("Failed")), "lost unsaid: {without:?}");
        assert!(commits.lines().all(|c| notes.contains_key(c) || told[c].starts_with("Failed")));
        eprintln!("atomic {atomic}: {} of 40 commits have their note", notes.len());
        assert!(notes.keys().all(|commit| told.contains_key(commit)), "a note of no commit of ours");
        assert!(notes.len() >= 36, "{without:?}");
        let last = git(&server.repo, &["rev-parse", OURS]);
        assert!(commits.lines().any(|c| c == last));
        fsck(&server.repo);
    }
}
