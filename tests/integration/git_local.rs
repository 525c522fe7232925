//! Delivery into a repository on this machine, judged by the real `git`.

use crate::support::git::{bare, delete, fsck, git, git_command, id, person_commits, put, who};
use hydrant::edge::git::{
    GitSettings, Landed, Proposal, Publication, Pushed, Remote, Repository, Tip, publish,
};
use hydrant::error::ErrorKind;
use hydrant::model::tree::{BaseTree, Edit, EntryKind, ObjectId, files_below};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Scene {
    temp: TempDir,
    path: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("gitops.git");
        bare(&path);
        Self { temp, path }
    }

    fn open(&self) -> Repository {
        open(&self.path)
    }

    fn head(&self, branch: &str) -> ObjectId {
        id(&git(&self.path, &["rev-parse", branch]))
    }
}

fn open(path: &Path) -> Repository {
    Repository::open(&Remote::Local(path.into()), &GitSettings::default()).unwrap()
}

/// Commits on the branch and pushes; panics unless it lands.
fn deliver(repo: &mut Repository, branch: &str, edits: &[Edit]) -> ObjectId {
    let on = repo.fetch(branch).unwrap().head().map(|c| c.id);
    let commit = repo.commit(on, edits, "hydrant: test\n\nHydrant-Fleet: default\n", &who()).unwrap();
    assert_eq!(repo.push(commit, branch, on).unwrap(), Pushed::Landed);
    commit
}

fn add_once(
    path: &str,
) -> impl FnMut(&Repository, Option<&hydrant::edge::git::Commit>) -> hydrant::error::Result<Option<Proposal>>
{
    let path = path.to_owned();
    move |repo, head| {
        let tree = repo.tree(head.map(|c| c.id))?;
        if tree.entry(&path)?.is_some() {
            return Ok(None);
        }
        Ok(Some(Proposal { edits: vec![put(&path, "x\n")], message: format!("add {path}") }))
    }
}

#[test]
fn a_missing_or_empty_folder_becomes_a_bare_repository_only_when_asked() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["missing/deep.git", "empty.git"] {
        let path = temp.path().join(name);
        if name == "empty.git" {
            std::fs::create_dir(&path).unwrap();
        }
        let remote = Remote::Local(path.clone());
        let error = Repository::open(&remote, &GitSettings::default()).err().unwrap();
        assert!(error.hints.iter().any(|h| h.contains("git init --bare")), "{error:?}");
        let settings = GitSettings { create: true, ..GitSettings::default() };
        let mut repo = Repository::open(&remote, &settings).unwrap();
        assert!(repo.created());
        assert_eq!(repo.fetch("main").unwrap(), Tip::Empty);
        deliver(&mut repo, "release", &[put("a/b.yaml", "x: 1\n")]);
        // HEAD names the first branch, so that a person sees something.
        assert_eq!(git(&path, &["log", "--format=%s"]), "hydrant: test");
        assert!(!Repository::open(&remote, &settings).unwrap().created());
        fsck(&path);
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 2, "nothing is left beside them");
}

#[test]
fn a_folder_that_holds_something_else_is_not_made_a_repository() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("notes.txt"), "mine").unwrap();
    let settings = GitSettings { create: true, ..GitSettings::default() };
    let error = Repository::open(&Remote::Local(temp.path().into()), &settings).err().unwrap();
    assert!(error.hints.iter().any(|h| h.contains("not empty")), "{error:?}");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn a_commit_holds_exactly_what_git_makes_of_the_same_files() {
    let scene = Scene::new();
    // Names that sort differently with and without the `/` that Git adds to folders.
    let files = ["a.yaml", "a/x.yaml", "a-b/x.yaml", "a0/y.yaml", "é/ü.yaml", "deep/er/and/deeper/z.yaml"];
    let edits: Vec<Edit> = files.iter().map(|f| put(f, &format!("name: {f}\n"))).collect();
    let mut repo = scene.open();
    let ours = deliver(&mut repo, "main", &edits);
    let contents: Vec<String> = files.iter().map(|f| format!("name: {f}\n")).collect();
    let same: Vec<(&str, Option<&str>)> =
        files.iter().zip(&contents).map(|(f, c)| (*f, Some(c.as_str()))).collect();
    person_commits(&scene.path, "theirs", &same, "by hand");
    let tree_of = |rev: &str| git(&scene.path, &["rev-parse", &format!("{rev}^{{tree}}")]);
    assert_eq!(tree_of("main"), tree_of("theirs"));
    let shown = git(
        &scene.path,
        &["log", "-1", "--format=%an <%ae> %ct %s|%(trailers:key=Hydrant-Fleet,valueonly)", "main"],
    );
    assert_eq!(shown.trim(), "Hydrant <hydrant@example.com> 1763700000 hydrant: test|default");
    assert_eq!(repo.read_commit(&ours).unwrap().trailer("hydrant-fleet"), Some("default"));
    fsck(&scene.path);
}

#[test]
fn many_files_are_written_as_one_pack_that_git_accepts() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let edits: Vec<Edit> = (0..3000)
        .map(|n| {
            put(
                &format!("prod/c{}/app-{}/deployment-{n}.yaml", n % 7, n % 90),
                &format!("n: {n}\n").repeat(n % 40 + 1),
            )
        })
        // An empty file, a large one, and content that two files share.
        .chain([
            put("empty", ""),
            put("large", &"0123456789abcdef\n".repeat(200_000)),
            put("twin/a", "t"),
            put("twin/b", "t"),
        ])
        .collect();
    deliver(&mut repo, "main", &edits);
    fsck(&scene.path);
    assert_eq!(git(&scene.path, &["ls-tree", "-r", "--name-only", "main"]).lines().count(), 3004);
    assert!(git(&scene.path, &["count-objects", "-v"]).contains("packs: 1"));
    git(&scene.path, &["gc", "-q"]);
    fsck(&scene.path);
    // And the next, small change after Git has repacked everything.
    deliver(&mut repo, "main", &[put("twin/a", "changed"), delete("large")]);
    assert_eq!(git(&scene.path, &["show", "main:twin/a"]), "changed");
    assert_eq!(git(&scene.path, &["ls-tree", "-r", "--name-only", "main"]).lines().count(), 3003);
    fsck(&scene.path);
}

#[test]
fn many_deliveries_do_not_pile_up_packs_without_end() {
    let scene = Scene::new();
    let mut repo = scene.open();
    for n in 0..60 {
        let edits: Vec<Edit> =
            (0..6).map(|f| put(&format!("prod/c{n}/f{f}.yaml"), &format!("{n}"))).collect();
        deliver(&mut repo, "main", &edits);
    }
    let count = git(&scene.path, &["count-objects", "-v"]);
    assert!(count.contains("packs: 51") && !count.contains("count: 0\n"), "{count}");
    assert_eq!(git(&scene.path, &["ls-tree", "-r", "--name-only", "main"]).lines().count(), 360);
    fsck(&scene.path);
}

#[test]
fn empty_folders_vanish_and_what_nobody_edits_stays_as_it_is() {
    let scene = Scene::new();
    person_commits(
        &scene.path,
        "main",
        &[("README.md", Some("hello")), ("bin/run", Some("#!/bin/sh\n"))],
        "start",
    );
    let work = scene.temp.path().join("w");
    git(scene.temp.path(), &["clone", "-q", &scene.path.display().to_string(), "w"]);
    std::os::unix::fs::symlink("README.md", work.join("link")).unwrap();
    git(&work, &["update-index", "--chmod=+x", "bin/run"]);
    git(&work, &["add", "link"]);
    git(&work, &["commit", "-qm", "modes"]);
    git(&work, &["push", "-q"]);
    let mut repo = scene.open();
    deliver(&mut repo, "main", &[put("prod/a/b/c.yaml", "1"), put("prod/d.yaml", "2")]);
    deliver(&mut repo, "main", &[delete("prod/a/b/c.yaml"), delete("prod/was/never/there.yaml")]);
    assert_eq!(
        git(&scene.path, &["ls-tree", "-r", "--format=%(objectmode) %(path)", "main"]),
        "100644 README.md\n100755 bin/run\n120000 link\n100644 prod/d.yaml"
    );
    deliver(&mut repo, "main", &[delete("prod/d.yaml")]);
    assert!(!git(&scene.path, &["ls-tree", "main"]).contains("prod"));
    fsck(&scene.path);
}

#[test]
fn edits_that_change_nothing_make_no_commit() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let first = deliver(&mut repo, "main", &[put("a/b.yaml", "1")]);
    for edits in [vec![], vec![put("a/b.yaml", "1")], vec![delete("a/c.yaml"), delete("a/b.yaml/x")]] {
        assert_eq!(repo.commit(Some(first), &edits, "again", &who()).unwrap(), first);
    }
}

#[test]
fn a_link_a_submodule_or_a_file_in_our_place_is_refused_by_its_path() {
    let scene = Scene::new();
    person_commits(
        &scene.path,
        "main",
        &[("prod/a", Some("a file")), ("prod/d/x", Some("a folder"))],
        "start",
    );
    let work = scene.temp.path().join("w");
    git(scene.temp.path(), &["clone", "-q", &scene.path.display().to_string(), "w"]);
    std::os::unix::fs::symlink("/etc", work.join("prod/b")).unwrap();
    git(&work, &["add", "-A"]);
    let commit = git(&work, &["rev-parse", "HEAD"]);
    git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},prod/c")]);
    git(&work, &["commit", "-qm", "odd things"]);
    git(&work, &["push", "-q"]);
    let mut repo = scene.open();
    let on = repo.fetch("main").unwrap().head().map(|c| c.id);
    let edits =
        [put("prod/a/x.yaml", "1"), put("prod/b/x.yaml", "1"), put("prod/c", "1"), put("prod/d", "1")];
    let error = repo.commit(on, &edits, "no", &who()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    let said: Vec<String> = error.violations.iter().map(ToString::to_string).collect();
    for (line, what) in said.iter().zip([
        "`prod/a` is a file",
        "`prod/b` is a symbolic link",
        "`prod/c` is a submodule",
        "`prod/d` is a folder",
    ]) {
        assert!(line.contains(what), "{line} does not say {what}");
    }
    assert_eq!(said.len(), 4);
    // Told to delete what is in the way, it may.
    let edits = [
        delete("prod/a"),
        put("prod/a/x.yaml", "1"),
        delete("prod/b"),
        delete("prod/d/x"),
        put("prod/d", "1"),
    ];
    deliver(&mut repo, "main", &edits);
    let names = git(&scene.path, &["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(names, "prod/a/x.yaml\nprod/c\nprod/d");
}

#[test]
fn paths_that_leave_the_tree_or_enter_git_are_refused() {
    let scene = Scene::new();
    let repo = scene.open();
    for path in [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/./b",
        ".git/config",
        "a/.GIT/x",
        "a\nb",
        "a\\b",
        &"x/".repeat(100),
    ] {
        assert!(repo.commit(None, &[put(path, "1")], "no", &who()).is_err(), "{path:?}");
    }
    for branch in ["", "a..b", "-x", "a b", "x.lock", "/x", "a~1"] {
        assert!(scene.open().fetch(branch).is_err(), "{branch:?}");
    }
}

#[test]
fn a_tree_tells_entries_by_name_and_what_differs_from_another() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let first =
        deliver(&mut repo, "main", &[put("a/b.yaml", "1"), put("a.yaml", "2"), put("c/d/e.yaml", "3")]);
    let second = deliver(&mut repo, "main", &[put("c/d/f.yaml", "4")]);
    let (before, after) = (repo.tree(Some(first)).unwrap(), repo.tree(Some(second)).unwrap());
    let names: Vec<String> = after.entries("").unwrap().unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["a", "a.yaml", "c"]);
    assert_eq!(after.entry("c/d/f.yaml").unwrap().unwrap().id, ObjectId::of_blob(b"4"));
    assert_eq!(after.entry("c/d").unwrap().unwrap().kind, EntryKind::Tree);
    assert_eq!(after.entry("a.yaml/x").unwrap(), None);
    assert_eq!(after.entries("a.yaml").unwrap(), None);
    assert_eq!(after.blob(&ObjectId::of_blob(b"3")).unwrap().as_ref(), b"3");
    let changed = files_below(&after, "", Some(&before)).unwrap();
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["a.yaml", "c/d/e.yaml", "c/d/f.yaml"]);
    let empty = repo.tree(None).unwrap();
    assert_eq!(empty.entry("").unwrap(), None);
    assert_eq!(empty.entries("").unwrap(), None);
}

#[test]
fn a_branch_that_moved_meanwhile_is_a_lost_race_and_stays_untouched() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let first = deliver(&mut repo, "main", &[put("a.yaml", "1")]);
    let late = repo.commit(Some(first), &[put("b.yaml", "1")], "late", &who()).unwrap();
    let theirs = person_commits(&scene.path, "main", &[("c.yaml", Some("1"))], "by hand");
    assert_eq!(repo.push(late, "main", Some(first)).unwrap(), Pushed::Raced);
    let early = repo.commit(None, &[put("b.yaml", "1")], "a first one", &who()).unwrap();
    assert_eq!(repo.push(early, "main", None).unwrap(), Pushed::Raced);
    assert_eq!(scene.head("main").to_string(), theirs);
    assert!(!scene.path.join("refs/heads/main.lock").exists());
}

#[test]
fn publishing_makes_the_change_anew_on_each_new_head() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let to = Publication::new("main", who());
    let mut calls = 0;
    let revision = publish(&mut repo, &to, |repo, head| {
        calls += 1;
        if calls < 3 {
            person_commits(&scene.path, "main", &[(&format!("theirs-{calls}"), Some("x"))], "by hand");
        }
        let seen = repo.tree(head.map(|c| c.id))?.entries("")?.unwrap_or_default().len();
        Ok(Some(Proposal { edits: vec![put("ours", &seen.to_string())], message: "ours".into() }))
    })
    .unwrap();
    assert_eq!((revision.landed, revision.tries), (Landed::Pushed, 3));
    assert_eq!(git(&scene.path, &["show", "main:ours"]), "2");
    assert_eq!(git(&scene.path, &["log", "--format=%s", "main"]), "ours\nby hand\nby hand");
    let again = publish(&mut repo, &to, add_once("ours")).unwrap();
    assert_eq!((again.landed, again.commit), (Landed::Unchanged, revision.commit));
}

#[test]
fn a_missing_branch_is_created_only_when_asked_and_a_near_name_is_offered() {
    let scene = Scene::new();
    person_commits(&scene.path, "main", &[("a", Some("1"))], "start");
    let mut repo = scene.open();
    let mut to = Publication::new("mian", who());
    let error = publish(&mut repo, &to, add_once("x")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    assert!(error.hints.iter().any(|h| h.contains("`main`")), "{error:?}");
    to.create_branch = true;
    let revision = publish(&mut repo, &to, add_once("x")).unwrap();
    assert_eq!(revision.base, None);
    assert_eq!(scene.head("mian"), revision.commit.unwrap());
    assert_eq!(git(&scene.path, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    // A branch below another cannot exist in Git's files.
    to.branch = "main/x".into();
    let error = publish(&mut repo, &to, add_once("y")).unwrap_err();
    assert!(error.message.contains("refs/heads/main exists"), "{error}");
}

#[test]
fn a_branch_rewritten_or_deleted_meanwhile_stops_the_delivery_with_both_ids() {
    for deleted in [false, true] {
        let scene = Scene::new();
        person_commits(&scene.path, "main", &[("a", Some("1"))], "start");
        let old = person_commits(&scene.path, "main", &[("b", Some("1"))], "more");
        let mut repo = scene.open();
        let mut to = Publication::new("main", who());
        to.create_branch = true;
        let error = publish(&mut repo, &to, |_, _| {
            if deleted {
                git(&scene.path, &["update-ref", "-d", "refs/heads/main"]);
            } else {
                git(&scene.path, &["update-ref", "refs/heads/main", "main~1"]);
            }
            Ok(Some(Proposal { edits: vec![put("x", "1")], message: "x".into() }))
        })
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Guard, "{error}");
        assert!(error.message.contains(&old), "{error}");
    }
}

#[test]
fn a_lock_left_by_a_killed_hydrant_blocks_nobody() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let first = deliver(&mut repo, "main", &[put("a", "1")]);
    // What a kill between locking and moving leaves (src/edge/git/reference.rs).
    std::fs::write(scene.path.join("hydrant-turn"), "refs/heads/main").unwrap();
    std::fs::write(scene.path.join("hydrant-next"), format!("{first}\n")).unwrap();
    std::fs::hard_link(scene.path.join("hydrant-next"), scene.path.join("refs/heads/main.lock")).unwrap();
    // Also for a delivery to another branch, after which plain Git may write again.
    let mut other = scene.open();
    let commit = other.commit(Some(first), &[put("b", "1")], "b", &who()).unwrap();
    assert_eq!(other.push(commit, "other", None).unwrap(), Pushed::Landed);
    person_commits(&scene.path, "main", &[("c", Some("1"))], "by hand");
    // And what one between moving and cleaning leaves: the next content is the branch itself.
    std::fs::hard_link(scene.path.join("refs/heads/main"), scene.path.join("hydrant-next")).unwrap();
    let before = scene.head("main");
    let late = repo.commit(Some(first), &[put("d", "1")], "d", &who()).unwrap();
    assert_eq!(repo.push(late, "main", Some(first)).unwrap(), Pushed::Raced);
    assert_eq!(scene.head("main"), before);
    assert!(!scene.path.join("hydrant-next").exists());
    fsck(&scene.path);
}

#[test]
fn a_lock_of_plain_git_is_waited_for_and_never_removed() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let first = deliver(&mut repo, "main", &[put("a", "1")]);
    let lock = scene.path.join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    let free = lock.clone();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let held = free.exists();
        std::fs::remove_file(free).unwrap();
        held
    });
    let commit = repo.commit(Some(first), &[put("b", "1")], "b", &who()).unwrap();
    assert_eq!(repo.push(commit, "main", Some(first)).unwrap(), Pushed::Landed);
    assert!(holder.join().unwrap(), "the lock was removed while it was held");
}

#[test]
fn writers_that_race_on_one_branch_all_land_once() {
    let scene = Scene::new();
    let (writers, each) = (4, 6);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let path = scene.path.clone();
            scope.spawn(move || {
                let mut repo = open(&path);
                for n in 0..each {
                    let revision = publish(
                        &mut repo,
                        &Publication::new("main", who()),
                        add_once(&format!("w{writer}/f{n}")),
                    )
                    .unwrap();
                    assert_eq!(revision.landed, Landed::Pushed);
                }
            });
        }
        // Plain Git pushes between them.
        scope.spawn(|| {
            let work = scene.temp.path().join("person");
            git(
                scene.temp.path(),
                &["clone", "-q", "--no-local", &scene.path.display().to_string(), "person"],
            );
            for n in 0..3 {
                for _ in 0..50 {
                    let _ = git_command(&work).args(["fetch", "-q"]).status();
                    let _ = git_command(&work).args(["checkout", "-q", "-B", "main", "origin/main"]).output();
                    std::fs::write(work.join(format!("person-{n}")), "x").unwrap();
                    git(&work, &["add", "-A"]);
                    git(&work, &["commit", "-qm", "person"]);
                    if git_command(&work)
                        .args(["push", "-q", "origin", "main"])
                        .output()
                        .unwrap()
                        .status
                        .success()
                    {
                        break;
                    }
                }
            }
        });
    });
    fsck(&scene.path);
    let total = writers * each + 3;
    let names = git(&scene.path, &["ls-tree", "-r", "--name-only", "main"]);
    assert_eq!(names.lines().count(), total, "{names}");
    assert_eq!(git(&scene.path, &["rev-list", "--count", "main"]), total.to_string());
    assert_eq!(git(&scene.path, &["rev-list", "--merges", "--count", "main"]), "0");
}

#[test]
fn a_checked_out_branch_is_not_moved_below_its_files() {
    let temp = tempfile::tempdir().unwrap();
    git(temp.path(), &["init", "-q", "-b", "main", "work"]);
    let work = temp.path().join("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "start"]);
    let mut repo = open(&work);
    let error = publish(&mut repo, &Publication::new("main", who()), add_once("x")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    assert!(error.message.contains("checked out"), "{error}");
}

#[test]
fn a_commit_is_never_older_than_its_parent() {
    let scene = Scene::new();
    let mut repo = scene.open();
    let first = deliver(&mut repo, "main", &[put("a", "1")]);
    let mut back = who();
    back.seconds = 0;
    let second = repo.commit(Some(first), &[put("a", "2")], "clock set back", &back).unwrap();
    assert_eq!(repo.read_commit(&second).unwrap().seconds, who().seconds);
}
