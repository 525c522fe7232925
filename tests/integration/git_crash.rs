//! Processes that are killed at any system call, and many that write at once.
//!
//! The long runs, whose figures stand in `docs/delivery.md`:
//! `HYDRANT_CRASH_STRIDE=1 cargo test killed_at` (over 500 kills) and `HYDRANT_WRITERS=50x10 cargo test processes`.

use crate::common::program;
use crate::support::fleet::cluster_yaml;
use crate::support::git::{bare, fsck, git, person_commits, put, who};
use crate::support::server::GitServer;
use hydrant::edge::git::{GitSettings, Proposal, Publication, Remote, Repository, publish};
use hydrant::model::tree::BaseTree;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// One process of the tests below: makes changes, each of which appends a line to a file
/// that all share and writes one of its own, unless the line is there already.
#[test]
#[ignore = "a process that other tests start"]
fn worker() {
    let Ok(remote) = std::env::var("HYDRANT_TEST_REMOTE") else { return };
    let name = std::env::var("HYDRANT_TEST_NAME").unwrap();
    let count: usize = std::env::var("HYDRANT_TEST_COUNT").unwrap().parse().unwrap();
    let cache = std::env::var_os("HYDRANT_TEST_CACHE").unwrap().into();
    let settings = GitSettings { cache: Some(cache), ..GitSettings::default() };
    let mut tries = Vec::new();
    for n in 0..count {
        let mut repo = Repository::open(&Remote::parse(&remote).unwrap(), &settings).unwrap_or_else(give_up);
        let to = Publication { deadline: Duration::from_secs(600), ..Publication::new("main", who()) };
        let line = format!("{name} {n}");
        let started = Instant::now();
        let revision = publish(&mut repo, &to, |repo, head| {
            let tree = repo.tree(head.map(|c| c.id))?;
            let mut shared = match tree.entry("shared/lines")? {
                Some(entry) => String::from_utf8(tree.blob(&entry.id)?.to_vec()).unwrap(),
                None => String::new(),
            };
            if shared.lines().any(|l| l == line) {
                return Ok(None);
            }
            shared.push_str(&format!("{line}\n"));
            let edits = vec![put("shared/lines", &shared), put(&format!("own/{name}/{n}/file.yaml"), &line)];
            Ok(Some(Proposal { edits, message: format!("{line}\n\nHydrant-Fleet: default\n") }))
        })
        .unwrap_or_else(give_up);
        tries.push((revision.tries, started.elapsed()));
    }
    for (tries, time) in tries {
        println!("landed {tries} {}", time.as_millis());
    }
}

/// Ends the worker so that an error is told from a panic by its exit code.
#[allow(clippy::exit)]
fn give_up<T>(error: hydrant::error::Error) -> T {
    eprintln!("failed: {error} {:?}", error.source);
    std::process::exit(3)
}

fn worker_command(remote: &str, cache: &Path, name: &str, count: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "git_crash::worker", "--ignored", "--nocapture", "--test-threads=1"])
        .env("HYDRANT_TEST_REMOTE", remote)
        .env("HYDRANT_TEST_CACHE", cache)
        .env("HYDRANT_TEST_NAME", name)
        .env("HYDRANT_TEST_COUNT", count.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the worker under strace, with this done to the `nth` call of a kind.
fn disturbed(strace: &Path, remote: &str, cache: &Path, call: &str, what: &str, nth: usize) -> ExitStatus {
    under_strace(strace, &worker_command(remote, cache, "ours", 1), call, what, nth)
}

fn under_strace(strace: &Path, inner: &Command, call: &str, what: &str, nth: usize) -> ExitStatus {
    let mut command = Command::new(strace);
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{what}:when={nth}")])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(inner.get_envs().filter_map(|(key, value)| value.map(|value| (key, value))))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap()
}

fn stride() -> usize {
    std::env::var("HYDRANT_CRASH_STRIDE").ok().and_then(|n| n.parse().ok()).unwrap_or(17)
}

/// Asserts that a run after the disturbed one finishes the work, once, and that nothing is
/// in the way of plain Git.
fn finishes(url: &str, bare: &Path, cache: &Path, at: &str) {
    let again = worker_command(url, cache, "ours", 1).output().unwrap();
    assert!(again.status.success(), "{at}: {}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(git(bare, &["log", "--format=%s", "main"]), "ours 0\nstart", "{at}");
    assert_eq!(git(bare, &["show", "main:shared/lines"]), "ours 0", "{at}");
    person_commits(bare, "main", &[("later", Some("1"))], "later");
    fsck(bare);
}

/// Kills at every `stride`th call of each kind, runs again and looks; returns how many kills.
fn kill_everywhere(calls: &[&str], remote: &dyn Fn() -> (String, PathBuf)) -> usize {
    let Some(strace) = program("strace") else { return 0 };
    let mut kills = 0;
    for (number, call) in calls.iter().enumerate() {
        let mut nth = 1 + number % stride();
        loop {
            let (url, bare) = remote();
            let cache = tempfile::tempdir().unwrap();
            let status = disturbed(&strace, &url, cache.path(), call, "signal=SIGKILL", nth);
            if !was_killed(status) {
                break;
            }
            kills += 1;
            finishes(&url, &bare, cache.path(), &format!("killed at {call} {nth}"));
            nth += stride();
        }
    }
    kills
}

/// strace ends as its child did.
fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9) || status.code() == Some(137)
}

const FILE_CALLS: [&str; 16] = [
    "openat",
    "write",
    "close",
    "rename,renameat,renameat2",
    "link,linkat",
    "unlink,unlinkat",
    "mkdir,mkdirat",
    "rmdir",
    "fsync,fdatasync",
    "flock",
    "ftruncate",
    "lseek",
    "mmap",
    "read,pread64",
    "fstat,newfstatat,statx",
    "getdents64",
];

const NETWORK_CALLS: [&str; 5] =
    ["connect", "sendto,sendmsg,writev", "recvfrom,recvmsg,readv", "epoll_wait", "socket"];

/// A fresh bare repository each time.
fn fresh_repository(temp: &Path) -> impl Fn() -> (String, PathBuf) {
    let number = std::cell::Cell::new(0);
    let temp = temp.to_owned();
    move || {
        number.set(number.get() + 1);
        let path = temp.join(format!("{}.git", number.get()));
        bare(&path);
        person_commits(&path, "main", &[("start", Some("1"))], "start");
        (path.display().to_string(), path)
    }
}

#[test]
fn a_disk_that_is_full_broken_or_read_only_is_an_error_and_leaves_nothing_in_the_way() {
    let Some(strace) = program("strace") else { return };
    let temp = tempfile::tempdir().unwrap();
    let remote = fresh_repository(temp.path());
    let cases = [
        ("write", "ENOSPC"),
        ("fsync,fdatasync", "EIO"),
        ("link,linkat", "EROFS"),
        ("rename,renameat,renameat2", "ENOSPC"),
        ("mkdir,mkdirat", "EROFS"),
        ("openat", "EMFILE"),
        ("ftruncate", "EIO"),
    ];
    let mut failed = 0;
    for (call, error) in cases {
        for nth in (1..200).step_by(if call == "openat" { 11 } else { 3 }) {
            let (url, bare) = remote();
            let cache = tempfile::tempdir().unwrap();
            let status = disturbed(&strace, &url, cache.path(), call, &format!("error={error}"), nth);
            if status.success()
                && git(&bare, &["log", "--format=%s", "main"]).starts_with("ours 0")
                && nth > 1
            {
                // Either it did without that call, or there were not so many: the next kind.
                finishes(&url, &bare, cache.path(), &format!("{error} at {call} {nth}"));
                break;
            }
            failed += usize::from(status.code() == Some(3));
            finishes(&url, &bare, cache.path(), &format!("{error} at {call} {nth}"));
        }
    }
    assert!(failed >= 5, "only {failed} calls failed as they should");
}

#[test]
fn a_local_delivery_killed_at_any_file_call_is_finished_by_the_next_run() {
    let temp = tempfile::tempdir().unwrap();
    let kills = kill_everywhere(&FILE_CALLS, &fresh_repository(temp.path()));
    println!("{kills} kills");
    assert!(program("strace").is_none() || kills >= 10, "{kills}");
}

#[test]
fn a_delivery_to_a_server_killed_at_any_network_or_file_call_is_finished_by_the_next_run() {
    let calls = [&FILE_CALLS[..], &NETWORK_CALLS[..]].concat();
    // The last one lives as long as it is spoken to.
    let servers = std::cell::RefCell::new(Vec::new());
    let kills = kill_everywhere(&calls, &|| {
        let server = GitServer::start();
        person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
        let answer = (server.url(), server.repo.clone());
        *servers.borrow_mut() = vec![server];
        answer
    });
    println!("{kills} kills");
    assert!(program("strace").is_none() || kills >= 10, "{kills}");
}

/// The whole program: a fleet on a server, a repository on another, both mirrors, the memo and
/// the record of clean runs in one cache; the killed run adds a cluster to what was delivered.
#[test]
fn a_whole_run_killed_at_any_network_or_file_call_is_finished_by_the_next_run() {
    let Some(strace) = program("strace") else { return };
    let dry = GitServer::start();
    let add = |name: &str| {
        let file = format!("clusters/{name}/cluster.yaml");
        let files = [("overlays/lab/values.yaml", Some("{}\n")), (&file, Some(&cluster_yaml(name, "lab")))];
        person_commits(&dry.repo, "main", &files, name)
    };
    let (one, two) = (add("a"), add("b"));
    let run = |wet: &str, cache: &Path, revision: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hydrant"));
        command.args(["run", "--once", "--repo", wet, "--fleet", &format!("{}?ref={revision}", dry.url())]);
        command.env("SOURCE_DATE_EPOCH", "1700000000").env("HYDRANT_CACHE", cache);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let copy = |from: &Path, to: &Path| {
        assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    // The state before: one delivery, and the cache that it left.
    let (before, after) = (tempfile::tempdir().unwrap(), GitServer::start());
    let cache = before.path().join("cache");
    assert!(run(&after.url(), &cache, &one).status().unwrap().success());
    copy(&after.repo, &before.path().join("wet.git"));
    assert!(run(&after.url(), &cache, &two).status().unwrap().success());
    let wanted = git(&after.repo, &["rev-parse", "main^{tree}"]);

    let (mut kills, mut landed) = (0, 0);
    for (number, call) in FILE_CALLS.iter().chain(&NETWORK_CALLS).enumerate() {
        let mut nth = 1 + number % (3 * stride());
        loop {
            let (wet, temp) = (GitServer::start(), tempfile::tempdir().unwrap());
            std::fs::remove_dir_all(&wet.repo).unwrap();
            copy(&before.path().join("wet.git"), &wet.repo);
            let cache = temp.path().join("cache");
            assert!(run(&wet.url(), &cache, &one).status().unwrap().success());
            if !was_killed(under_strace(&strace, &run(&wet.url(), &cache, &two), call, "signal=SIGKILL", nth))
            {
                break;
            }
            kills += 1;
            landed += usize::from(git(&wet.repo, &["rev-list", "--count", "main"]) == "2");
            let again = run(&wet.url(), &cache, &two).output().unwrap();
            let said = String::from_utf8_lossy(&again.stderr).into_owned();
            assert!(again.status.success(), "killed at {call} {nth}: {said}");
            assert_eq!(git(&wet.repo, &["rev-parse", "main^{tree}"]), wanted, "killed at {call} {nth}");
            assert_eq!(git(&wet.repo, &["rev-list", "--count", "main"]), "2", "killed at {call} {nth}");
            fsck(&wet.repo);
            // More calls than in the others, and each costs three runs.
            nth += 3 * stride();
        }
    }
    println!("{kills} kills, {landed} of them after the push");
    assert!(kills >= 10, "{kills}");
}

#[test]
fn many_processes_on_one_branch_all_land_each_once() {
    let size = std::env::var("HYDRANT_WRITERS").unwrap_or_else(|_| "8x3".into());
    let (writers, each) = size.split_once('x').unwrap();
    let (writers, each): (usize, usize) = (writers.parse().unwrap(), each.parse().unwrap());
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let caches = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let running: Vec<Child> = (0..writers)
        .map(|n| {
            // Every other process has a cache of its own.
            let cache = caches.path().join(if n % 2 == 0 { "shared".into() } else { n.to_string() });
            worker_command(&server.url(), &cache, &format!("w{n}"), each).spawn().unwrap()
        })
        .collect();
    let mut landed: Vec<(usize, usize)> = Vec::new();
    for child in running {
        let out = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        for line in text.lines().filter_map(|l| l.split_once("landed ").map(|(_, rest)| rest)) {
            let (tries, time) = line.split_once(' ').unwrap();
            landed.push((tries.parse().unwrap(), time.parse().unwrap()));
        }
    }
    let total = writers * each;
    assert_eq!(landed.len(), total);
    let lines = git(&server.repo, &["show", "main:shared/lines"]);
    let unique: std::collections::BTreeSet<&str> = lines.lines().collect();
    assert_eq!((lines.lines().count(), unique.len()), (total, total), "no line is lost or doubled");
    assert_eq!(git(&server.repo, &["ls-tree", "-r", "--name-only", "main", "own/"]).lines().count(), total);
    assert_eq!(git(&server.repo, &["rev-list", "--count", "main"]), (total + 1).to_string());
    fsck(&server.repo);
    let mut times: Vec<usize> = landed.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    println!(
        "{size}: {:.1} s; tries a change: mean {:.1}, worst {}; ms to land: median {}, worst {}",
        started.elapsed().as_secs_f32(),
        landed.iter().map(|(tries, _)| *tries).sum::<usize>() as f32 / total as f32,
        landed.iter().map(|(tries, _)| *tries).max().unwrap(),
        times[times.len() / 2],
        times[times.len() - 1]
    );
}
