//! Delivery to a real Git server over HTTP, with the faults of real networks.

use crate::common::program;
use crate::support::git::{fsck, git, id, person_commits, put, who};
use crate::support::proxy::{Break, Proxy};
use crate::support::server::{Fault, GitServer, Recorder, black_hole};
use hydrant::edge::git::{
    Commit, Credentials, GitSettings, Landed, Proposal, Publication, Pushed, Remote, Repository, Revision,
    Tip, publish,
};
use hydrant::error::{Error, ErrorKind, Result};
use hydrant::model::tree::{BaseTree, Edit};
use hydrant::redact::Secret;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn settings(cache: &Path) -> GitSettings {
    GitSettings {
        cache: Some(cache.into()),
        silence: Duration::from_millis(700),
        call_deadline: Duration::from_secs(3),
        ..GitSettings::default()
    }
}

fn open(url: &str, cache: &Path) -> Repository {
    Repository::open(&Remote::parse(url).unwrap(), &settings(cache)).unwrap()
}

fn to_main() -> Publication {
    Publication { deadline: Duration::from_secs(20), ..Publication::new("main", who()) }
}

/// Publishes one file; nothing if it is there with this content.
fn publish_file(repo: &mut Repository, path: &str, text: &str) -> Result<Revision> {
    publish(repo, &to_main(), file(path, text))
}

fn file(path: &str, text: &str) -> impl FnMut(&Repository, Option<&Commit>) -> Result<Option<Proposal>> {
    let edit = put(path, text);
    move |repo, head| {
        let Edit::Put { path, bytes } = &edit else { return Ok(None) };
        let there = repo.tree(head.map(|c| c.id))?.entry(path)?;
        if there.is_some_and(|e| e.id == hydrant::model::tree::ObjectId::of_blob(bytes)) {
            return Ok(None);
        }
        Ok(Some(Proposal {
            edits: vec![edit.clone()],
            message: format!("put {path}\n\nHydrant-Fleet: default\n"),
        }))
    }
}

fn said(error: &Error) -> String {
    format!("{error} {:?} {:?}", error.hints, error.source)
}

#[test]
fn a_change_lands_on_a_server_and_the_mirror_serves_the_next_run() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    assert_eq!(repo.fetch("main").unwrap(), Tip::Empty);
    let first = publish_file(&mut repo, "a/b.yaml", "1\n").unwrap();
    assert_eq!((first.landed, first.base), (Landed::Pushed, None));
    for n in 0..30 {
        person_commits(&server.repo, "main", &[(&format!("theirs-{n}"), Some("x"))], "by hand");
    }
    // A fresh process with the same cache, and one with an empty cache.
    for folder in [cache.path(), tempfile::tempdir().unwrap().path()] {
        let mut repo = open(&server.url(), folder);
        let before = server.seen().len();
        let tip = repo.fetch("main").unwrap();
        let head = tip.head().unwrap().clone();
        assert_eq!(head.subject(), "by hand");
        assert_eq!(repo.tree(Some(head.id)).unwrap().entries("").unwrap().unwrap().len(), 31);
        assert_eq!(server.seen().len() - before, 2, "one request for the branches, one for the pack");
        // With an empty cache only the newest commit is fetched.
        let known = repo.descends(&head.id, &first.commit.unwrap()).unwrap();
        assert_eq!(known, folder == cache.path());
        while repo.deepen(head.id).unwrap() {}
        assert!(repo.descends(&head.id, &first.commit.unwrap()).unwrap());
        repo.fetch("main").unwrap();
        assert_eq!(publish_file(&mut repo, "a/b.yaml", "1\n").unwrap().landed, Landed::Unchanged);
    }
    let second = publish_file(&mut open(&server.url(), cache.path()), "a/b.yaml", "2\n").unwrap();
    assert_eq!(git(&server.repo, &["rev-parse", "main"]), second.commit.unwrap().to_string());
    assert_eq!(git(&server.repo, &["show", "main:a/b.yaml"]), "2");
    fsck(&server.repo);
    // The mirror is a repository that plain Git finds whole.
    let mirror = std::fs::read_dir(cache.path().join("git")).unwrap().next().unwrap().unwrap().path();
    fsck(&mirror);
}

/// Serves an empty repository's branches, twice on one connection, and returns how many
/// connections that took.
fn connections_of_two_looks() -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/gitops.git", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut stream = BufReader::new(stream.unwrap());
            std::thread::spawn(move || while answers_with_no_branches(&mut stream) {});
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&url, cache.path());
    for _ in 0..2 {
        assert_eq!(repo.fetch("main").unwrap(), Tip::Empty);
    }
    accepted.load(Ordering::SeqCst)
}

/// Answers one request; false once the other side is gone.
fn answers_with_no_branches(stream: &mut BufReader<TcpStream>) -> bool {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
    }
    let nothing = format!("{} capabilities^{{}}\0shallow\n", "0".repeat(40));
    let body = format!("001e# service=git-upload-pack\n0000{:04x}{nothing}0000", nothing.len() + 4);
    let kind = "application/x-git-upload-pack-advertisement";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all(format!("{head}{body}").as_bytes()).is_ok()
}

#[test]
fn the_requests_of_a_run_share_a_connection_where_the_server_keeps_it() {
    assert_eq!(connections_of_two_looks(), 1);
}

#[test]
fn a_big_first_delivery_goes_as_one_pack() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    let edits: Vec<Edit> = (0..4000)
        .map(|n| put(&format!("prod/c/t{}/f{n}.yaml", n % 80), &format!("n: {n}\n").repeat(30)))
        .collect();
    let revision = publish(&mut repo, &to_main(), |_, _| {
        Ok(Some(Proposal { edits: edits.clone(), message: "all".into() }))
    })
    .unwrap();
    assert_eq!(git(&server.repo, &["ls-tree", "-r", "--name-only", "main"]).lines().count(), 4000);
    fsck(&server.repo);
    // The mirror holds it already: the next look costs one request.
    let before = server.seen().len();
    assert_eq!(repo.fetch("main").unwrap().head().map(|c| c.id), revision.commit);
    assert_eq!(server.seen().len() - before, 1);
}

#[test]
fn a_lost_race_is_made_anew_on_the_new_head() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let cache = tempfile::tempdir().unwrap();
    // Once before the push is sent, and once while the server has it in hands.
    let bare = server.repo.clone();
    server.fail(
        "service=git-receive-pack",
        Fault::First(Arc::new(move || {
            person_commits(&bare, "main", &[("early", Some("1"))], "by hand");
        })),
    );
    server.hook(
        "pre-receive",
        // Not for pushes over a path, which are the person's.
        "#!/bin/sh\n[ -n \"$REMOTE_ADDR\" ] || exit 0\nread old new ref\n[ -f once ] && exit 0\ntouch once\n\
         unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         export GIT_AUTHOR_DATE='1763700000 +0000' GIT_COMMITTER_DATE='1763700000 +0000'\n\
         next=$(git commit-tree $(git rev-parse $old^{tree}) -p $old -m 'in the hook' </dev/null)\n\
         git update-ref refs/heads/main $next $old\nexit 0\n",
    );
    let mut repo = open(&server.url(), cache.path());
    let revision = publish_file(&mut repo, "ours", "1").unwrap();
    assert_eq!(revision.tries, 3);
    let log = git(&server.repo, &["log", "--format=%s", "main"]);
    assert_eq!(log, "put ours\nin the hook\nby hand\nstart");
    fsck(&server.repo);
}

#[test]
fn a_refusal_by_policy_is_shown_clean_and_not_tried_again() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let token = format!("ghp_{}", "A1b2".repeat(9));
    server.hook(
        "pre-receive",
        &format!("#!/bin/sh\nprintf '\\033[31mmain is protected\\033[0m, {token}\\n' >&2\nexit 1\n"),
    );
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    let error = publish_file(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    assert!(error.message.contains("main is protected"), "{error}");
    assert!(error.message.contains("pre-receive hook declined"), "{error}");
    assert!(!error.message.contains('\u{1b}') && !error.message.contains(&token), "{error}");
    let pushes =
        server.seen().iter().filter(|s| s.line.starts_with("POST /gitops.git/git-receive-pack")).count();
    assert_eq!(pushes, 1);
    assert_eq!(git(&server.repo, &["log", "--format=%s", "main"]), "start");
    // The same for a rule of the server itself, and for a request that is too large.
    std::fs::remove_file(server.repo.join("hooks/pre-receive")).unwrap();
    git(&server.repo, &["config", "receive.maxInputSize", "10"]);
    let error = publish_file(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard, "{error}");
    git(&server.repo, &["config", "--unset", "receive.maxInputSize"]);
    server.fail("POST /gitops.git/git-receive-pack", Fault::Status(413, "pack too large", vec![]));
    let error = publish_file(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard, "{error}");
    assert!(error.message.contains("pack too large"), "{error}");
}

#[test]
fn a_change_whose_answer_is_lost_lands_once() {
    for with_length in [true, false] {
        for fault in
            [Fault::Cut { after: 0, with_length }, Fault::Cut { after: 20, with_length }, Fault::DoneBut(502)]
        {
            let server = GitServer::start();
            person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
            let cache = tempfile::tempdir().unwrap();
            let mut repo = open(&server.url(), cache.path());
            server.fail("POST /gitops.git/git-receive-pack", fault);
            // Somebody else comes after our change, before we look.
            let bare = server.repo.clone();
            server.fail("service=git-receive-pack", Fault::First(Arc::new(|| {})));
            server.fail("service=git-upload-pack", Fault::First(Arc::new(|| {})));
            server.fail(
                "service=git-upload-pack",
                Fault::First(Arc::new(move || {
                    person_commits(&bare, "main", &[("later", Some("1"))], "by hand");
                })),
            );
            let revision = publish_file(&mut repo, "ours", "1").unwrap();
            assert_eq!((revision.landed, revision.tries), (Landed::Pushed, 2));
            assert_eq!(git(&server.repo, &["log", "--format=%s", "main"]), "by hand\nput ours\nstart");
            assert_eq!(git(&server.repo, &["rev-parse", "main~1"]), revision.commit.unwrap().to_string());
        }
    }
}

#[test]
fn a_push_that_never_arrived_is_sent_again() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    server.fail("POST /gitops.git/git-receive-pack", Fault::Status(503, "busy", vec![]));
    let revision = publish_file(&mut repo, "ours", "1").unwrap();
    assert_eq!((revision.landed, revision.tries), (Landed::Pushed, 2));
    assert_eq!(git(&server.repo, &["rev-list", "--count", "main"]), "1");
}

#[test]
fn a_server_that_is_unwell_is_asked_again_and_one_that_refuses_is_not() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    server.fail("info/refs", Fault::Status(429, "slow down", vec!["Retry-After: 1".into()]));
    server.fail("info/refs", Fault::Status(502, "", vec![]));
    let started = Instant::now();
    assert!(repo.fetch("main").unwrap().head().is_some());
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After is kept");
    // A moment is one by the server's own clock, which need not agree with ours.
    let moment = ["Date: Mon, 02 Mar 2026 09:00:00 GMT", "Retry-After: Mon, 02 Mar 2026 09:00:02 GMT"];
    server.fail("info/refs", Fault::Status(503, "busy", moment.map(str::to_owned).to_vec()));
    let started = Instant::now();
    assert!(repo.fetch("main").unwrap().head().is_some());
    assert!(started.elapsed() >= Duration::from_secs(2), "a Retry-After with a date is kept");
    for (code, words) in [(401, "credentials"), (403, "forbidden"), (404, "no such repository")] {
        let before = server.seen().len();
        server.fail("info/refs", Fault::Status(code, "", vec![]));
        let error = repo.fetch("main").unwrap_err();
        assert_eq!(error.kind, ErrorKind::External);
        assert!(error.message.contains(words) && !error.hints.is_empty(), "{error:?}");
        assert_eq!(server.seen().len() - before, 1);
    }
    server.fail("info/refs", Fault::Body("text/html", b"<html>Sign in</html>".to_vec()));
    let error = repo.fetch("main").unwrap_err();
    assert!(error.message.contains("text/html"), "{error}");
}

#[test]
fn credentials_reach_the_repositorys_host_and_no_other() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let canary = "canary-4f1e0b7c";
    server.demand("robot", canary);
    let cache = tempfile::tempdir().unwrap();
    let with = |host: Option<&str>| GitSettings {
        credentials: Some(Credentials {
            username: "robot".into(),
            password: Secret::new(canary),
            host: host.map(str::to_owned),
        }),
        ..settings(cache.path())
    };
    let remote = Remote::parse(&server.url()).unwrap();
    let mut repo = Repository::open(&remote, &with(None)).unwrap();
    assert!(repo.fetch("main").unwrap().head().is_some());
    // Bound to another host, they stay here.
    let error = Repository::open(&remote, &with(Some("git.example"))).unwrap().fetch("main").unwrap_err();
    assert!(error.message.contains("401"), "{error}");

    let recorder = Recorder::start();
    let elsewhere =
        format!("Location: http://{}/gitops.git/info/refs?service=git-upload-pack", recorder.address);
    for code in [301, 302, 307, 308] {
        server.fail("info/refs", Fault::Status(code, "", vec![elsewhere.clone()]));
        let error = repo.fetch("main").unwrap_err();
        assert!(error.message.contains("redirects"), "{error}");
        assert!(!said(&error).contains(canary));
    }
    let with_user =
        format!("Location: http://a:b@{}/gitops.git/info/refs?service=git-upload-pack", server.address);
    server.fail("info/refs", Fault::Status(302, "", vec![with_user]));
    assert!(repo.fetch("main").is_err());
    server.fail("POST /gitops.git/git-receive-pack", Fault::Status(307, "", vec![elsewhere]));
    let error = publish_file(&mut repo, "ours", "1").unwrap_err();
    assert!(error.message.contains("redirects"), "{error}");
    assert_eq!(recorder.got(), "", "nothing may arrive at another host");
    // Inside the server it is followed: a repository that was renamed.
    let here = "Location: /gitops.git/info/refs?service=git-upload-pack".to_owned();
    server.fail("/old.git/info/refs", Fault::Status(301, "", vec![here]));
    let old = Remote::parse(&format!("http://{}/old.git", server.address)).unwrap();
    let mut moved = Repository::open(&old, &with(None)).unwrap();
    assert!(moved.fetch("main").unwrap().head().is_some());
    // Nothing secret is kept in the cache.
    let kept = std::process::Command::new("grep").args(["-r", canary]).arg(cache.path()).output().unwrap();
    assert!(kept.stdout.is_empty());
}

#[test]
fn credentials_do_not_travel_over_plain_http() {
    let cache = tempfile::tempdir().unwrap();
    let remote = Remote::parse("http://git.example/x.git").unwrap();
    let credentials = Credentials { username: "u".into(), password: Secret::new("p"), host: None };
    let settings = GitSettings { credentials: Some(credentials), ..settings(cache.path()) };
    let error = Repository::open(&remote, &settings).err().unwrap();
    assert!(error.message.contains("plain HTTP"), "{error}");
    assert!(Repository::open(&remote, &GitSettings { plain_http_credentials: true, ..settings }).is_ok());
}

#[test]
fn credentials_come_from_the_environment_or_from_files() {
    let temp = tempfile::tempdir().unwrap();
    let token = temp.path().join("token");
    std::fs::write(&token, "from-file\n").unwrap();
    let token = token.display().to_string();
    let read = |pairs: &[(&str, &str)]| {
        Credentials::from_environment(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let shown = |pairs: &[(&str, &str)]| {
        read(pairs).unwrap().map(|c| (c.username.clone(), c.password.expose().to_owned()))
    };
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(shown(&[]), None);
    assert_eq!(shown(&[("HYDRANT_GIT_USERNAME", "u"), ("HYDRANT_GIT_PASSWORD", "p")]), pair("u", "p"));
    assert_eq!(shown(&[("HYDRANT_GIT_PASSWORD_FILE", &token)]), pair("git", "from-file"));
    // Every name, alone and as a file.
    for user in ["HYDRANT_GIT_USERNAME", "GITOPS_REPO_USERNAME"] {
        let (password, others): (&str, &[&str]) = match user {
            "HYDRANT_GIT_USERNAME" => ("HYDRANT_GIT_PASSWORD", &[]),
            _ => ("GITOPS_REPO_PASSWORD", &["GITOPS_REPO_PAT"]),
        };
        for password in [&[password][..], others].concat() {
            let (user_file, password_file) = (format!("{user}_FILE"), format!("{password}_FILE"));
            assert_eq!(shown(&[(user, "u"), (password, "p")]), pair("u", "p"), "{user} {password}");
            assert_eq!(
                shown(&[(&user_file, &token), (&password_file, &token)]),
                pair("from-file", "from-file"),
                "{user_file} {password_file}"
            );
            assert_eq!(shown(&[(password, "p")]), pair("git", "p"), "{password}");
            assert!(read(&[(password, "p"), (&password_file, &token)]).is_err(), "{password}");
            assert_eq!(shown(&[(password, ""), (&password_file, "")]), None, "empty is unset: {password}");
        }
    }
    let bound = read(&[("HYDRANT_GIT_PASSWORD", "p"), ("HYDRANT_GIT_HOST", "git.example")]);
    assert_eq!(bound.unwrap().unwrap().host.as_deref(), Some("git.example"));
    assert_eq!(
        shown(&[("GITOPS_REPO_USERNAME", "u"), ("GITOPS_REPO_PASSWORD", "p"), ("GITOPS_REPO_PAT", "t")]),
        pair("u", "t")
    );
    assert_eq!(
        shown(&[("HYDRANT_GIT_PASSWORD", "mine"), ("GITOPS_REPO_PAT", "t")]),
        pair("git", "mine"),
        "our own names come first"
    );
    assert!(read(&[("HYDRANT_GIT_PASSWORD", "p"), ("HYDRANT_GIT_PASSWORD_FILE", &token)]).is_err());
    assert!(read(&[("HYDRANT_GIT_USERNAME", "u")]).is_err());
    assert!(read(&[("HYDRANT_GIT_PASSWORD_FILE", "/nonexistent/token")]).is_err());
    assert!(!format!("{:?}", read(&[("HYDRANT_GIT_PASSWORD", "hunter22")])).contains("hunter22"));
}

#[test]
fn a_rewritten_or_deleted_branch_stops_the_next_run_with_both_ids() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("a", Some("1"))], "start");
    let old = person_commits(&server.repo, "main", &[("b", Some("1"))], "more");
    let cache = tempfile::tempdir().unwrap();
    open(&server.url(), cache.path()).fetch("main").unwrap();
    git(&server.repo, &["update-ref", "refs/heads/main", "main~1"]);
    let new = person_commits(&server.repo, "main", &[("c", Some("1"))], "another history");
    let mut repo = open(&server.url(), cache.path());
    let error = publish_file(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    assert!(error.message.contains(&old) && error.message.contains(&new), "{error}");
    git(&server.repo, &["branch", "-m", "main", "other"]);
    let error = publish_file(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    assert!(error.message.contains(&old), "{error}");
    git(&server.repo, &["branch", "-m", "other", "main"]);
    let accepting = GitSettings { accept_rewritten: true, ..settings(cache.path()) };
    let mut repo = Repository::open(&Remote::parse(&server.url()).unwrap(), &accepting).unwrap();
    assert_eq!(publish_file(&mut repo, "ours", "1").unwrap().landed, Landed::Pushed);
}

#[test]
fn a_damaged_mirror_is_set_aside_and_cloned_again() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("a/b", Some("1")), ("c/d", Some("2"))], "start");
    for how in ["truncate the pack", "flip the pack", "remove the pack", "break HEAD", "break config"] {
        let cache = tempfile::tempdir().unwrap();
        open(&server.url(), cache.path()).fetch("main").unwrap();
        let mirror = std::fs::read_dir(cache.path().join("git")).unwrap().next().unwrap().unwrap().path();
        let pack = std::fs::read_dir(mirror.join("objects/pack"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|p| p.extension().is_some_and(|e| e == "pack"))
            .unwrap();
        let bytes = std::fs::read(&pack).unwrap();
        std::fs::remove_file(&pack).unwrap();
        match how {
            "truncate the pack" => std::fs::write(&pack, &bytes[..bytes.len() / 2]).unwrap(),
            "flip the pack" => {
                std::fs::write(
                    &pack,
                    bytes
                        .iter()
                        .enumerate()
                        .map(|(n, b)| if n > 20 { b ^ 0x55 } else { *b })
                        .collect::<Vec<_>>(),
                )
                .unwrap();
            }
            "break HEAD" => {
                std::fs::write(&pack, &bytes).unwrap();
                std::fs::write(mirror.join("HEAD"), "\0\0").unwrap();
            }
            "break config" => {
                std::fs::write(&pack, &bytes).unwrap();
                std::fs::write(mirror.join("config"), "[[[").unwrap();
            }
            _ => {}
        }
        let mut repo = open(&server.url(), cache.path());
        let revision = publish_file(&mut repo, "ours", how).unwrap_or_else(|e| panic!("{how}: {}", said(&e)));
        assert_eq!(revision.landed, Landed::Pushed, "{how}");
        fsck(&mirror);
    }
    fsck(&server.repo);
}

#[test]
fn a_commit_that_a_server_gives_only_from_its_branch_is_asked_for_from_there() {
    let server = GitServer::start();
    for n in 0..3 {
        person_commits(&server.repo, "main", &[("file", Some(&n.to_string()))], "an edit");
    }
    let refusals: [&dyn Fn(&str) -> String; 2] =
        [&|id| format!("ERR upload-pack: not our ref {id}"), &|id| format!("ERR want {id} not valid\n")];
    for refusal in refusals {
        let cache = tempfile::tempdir().unwrap();
        let mut repo = open(&server.url(), cache.path());
        let head = repo.fetch("main").unwrap().head().unwrap().id;
        let text = refusal(&head.to_string());
        let packet = format!("{:04x}{text}", text.len() + 4).into_bytes();
        let kind = "application/x-git-upload-pack-result";
        server.fail("POST /gitops.git/git-upload-pack", Fault::Body(kind, packet));
        assert!(repo.deepen(head).unwrap(), "{text}");
        assert_eq!(repo.read_commit(&head).unwrap().parents.len(), 1);
        while repo.deepen(head).unwrap() {}
    }
    // A refusal for another reason is one.
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    let head = repo.fetch("main").unwrap().head().unwrap().id;
    let packet = b"0016ERR access denied\n".to_vec();
    let kind = "application/x-git-upload-pack-result";
    server.fail("POST /gitops.git/git-upload-pack", Fault::Body(kind, packet));
    let error = repo.deepen(head).unwrap_err();
    assert!(error.message.contains("access denied"), "{error}");
}

#[test]
fn what_the_dead_left_in_the_cache_is_swept_and_it_does_not_grow_without_bound() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("a", Some("1"))], "start");
    let cache = tempfile::tempdir().unwrap();
    open(&server.url(), cache.path()).fetch("main").unwrap();
    let mirror = std::fs::read_dir(cache.path().join("git")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(mirror.join("objects/pack/pack_git2_0815"), "half").unwrap();
    std::fs::write(mirror.join("objects/pack/tmp_pack_x"), "half").unwrap();
    std::fs::create_dir(mirror.join("hydrant-out-x")).unwrap();
    std::fs::write(mirror.join("hydrant-out-x/tmp_pack_x"), "half").unwrap();
    // While another process uses the mirror, fresh files stay: they may be its own.
    let other = open(&server.url(), cache.path());
    assert!(!mirror.join("objects/pack/pack_git2_0815").exists());
    std::fs::write(mirror.join("objects/pack/tmp_pack_y"), "at work").unwrap();
    drop(open(&server.url(), cache.path()));
    assert!(mirror.join("objects/pack/tmp_pack_y").exists());
    let small = GitSettings { max_mirror: 1, ..settings(cache.path()) };
    let remote = Remote::parse(&server.url()).unwrap();
    drop(Repository::open(&remote, &small).unwrap());
    assert!(mirror.join("objects/pack/tmp_pack_y").exists(), "in use: it is not thrown away");
    drop(other);
    let mut repo = Repository::open(&remote, &small).unwrap();
    let packs = || std::fs::read_dir(mirror.join("objects/pack")).unwrap().count();
    // A process that another test starts has our locks, too, from its fork to its exec.
    for _ in 0..100 {
        if packs() == 0 {
            break;
        }
        drop(repo);
        std::thread::sleep(Duration::from_millis(20));
        repo = Repository::open(&remote, &small).unwrap();
    }
    assert_eq!(packs(), 0, "too large and unused: made anew");
    assert!(repo.fetch("main").unwrap().head().is_some());
    assert_eq!(std::fs::read_dir(cache.path().join("git")).unwrap().count(), 1);
}

#[test]
fn every_call_ends_in_time_wherever_the_connection_breaks() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some(&"line\n".repeat(3000)))], "start");
    let address = server.address;
    // One delivery makes four connections: branches, pack, branches, push.
    let landed: usize = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|nth| scope.spawn(move || break_connection(address, nth))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // All that was reported landed, each once.
    let log = git(&server.repo, &["log", "--format=%s", "main"]);
    assert_eq!(log.lines().count(), landed + 1, "{log}");
    assert!(landed >= 48, "{landed}");
    fsck(&server.repo);
}

/// Delivers through a connection that breaks in each way; returns how many changes landed.
fn break_connection(address: std::net::SocketAddr, nth: usize) -> usize {
    let mut landed = 0;
    for how in [Break::Cut, Break::Reset, Break::Stall, Break::Drip] {
        for at in [0, 1, 60, 130, 200] {
            // These two cost their deadline each; a sample of them is enough here.
            if matches!(how, Break::Stall | Break::Drip) && at != 0 && at != 130 {
                continue;
            }
            let proxy = Proxy::start(address, nth, at, how);
            let cache = tempfile::tempdir().unwrap();
            let remote = Remote::parse(&format!("http://{}/gitops.git", proxy.address)).unwrap();
            let hasty = GitSettings {
                silence: Duration::from_secs(1),
                call_deadline: Duration::from_secs(4),
                ..settings(cache.path())
            };
            let mut repo = Repository::open(&remote, &hasty).unwrap();
            let started = Instant::now();
            let to = Publication { deadline: Duration::from_secs(60), ..to_main() };
            let revision = publish(&mut repo, &to, file(&format!("{nth}/{how:?}/{at}"), "1"))
                .unwrap_or_else(|e| panic!("{nth} {how:?} {at}: {}", said(&e)));
            assert_eq!(revision.landed, Landed::Pushed, "{nth} {how:?} {at}");
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{nth} {how:?} {at}: {:?}",
                started.elapsed()
            );
            landed += 1;
        }
    }
    landed
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&format!("http://{}/x.git", black_hole()), cache.path());
    let started = Instant::now();
    let error = repo.fetch("main").unwrap_err();
    assert_eq!(error.kind, ErrorKind::External);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(error.message.contains("silent"), "{error}");
}

#[test]
fn writers_with_one_cache_and_with_their_own_all_land_once() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let shared = tempfile::tempdir().unwrap();
    let (writers, each) = (6, 3);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (server, shared) = (&server, &shared);
            scope.spawn(move || {
                let own = tempfile::tempdir().unwrap();
                let cache = if writer % 2 == 0 { shared.path() } else { own.path() };
                for n in 0..each {
                    let mut repo = open(&server.url(), cache);
                    let to = Publication { deadline: Duration::from_secs(120), ..to_main() };
                    let revision = publish(&mut repo, &to, file(&format!("w{writer}/f{n}"), "1"))
                        .unwrap_or_else(|e| panic!("{}", said(&e)));
                    assert_eq!(revision.landed, Landed::Pushed);
                }
            });
        }
    });
    assert_eq!(git(&server.repo, &["rev-list", "--count", "main"]), (writers * each + 1).to_string());
    assert_eq!(
        git(&server.repo, &["ls-tree", "-r", "--name-only", "main"]).lines().count(),
        writers * each + 1
    );
    fsck(&server.repo);
}

#[test]
fn an_unknown_commit_is_no_damage() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("a", Some("1"))], "start");
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), cache.path());
    let head = repo.fetch("main").unwrap().head().unwrap().id;
    assert!(repo.read_commit(&id(&"1".repeat(40))).is_err());
    let ours = repo.commit(Some(head), &[put("x", "1")], "x", &who()).unwrap();
    assert_eq!(repo.push(ours, "main", Some(head)).unwrap(), Pushed::Landed);
    assert_eq!(repo.read_commit(&ours).unwrap().parents, [head]);
}

/// Makes a CA and a certificate for 127.0.0.1 signed by it; `None` without openssl.
fn certificates(dir: &Path) -> Option<()> {
    let openssl = program("openssl")?;
    let run = |args: &[&str]| {
        let out = std::process::Command::new(&openssl).current_dir(dir).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let ca = ["req", "-x509", "-subj", "/CN=test-ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    run(&[&ca[..], &key[..]].concat());
    let ask = ["req", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"];
    run(&[&ask[..], &key[..]].concat());
    std::fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    std::fs::write(dir.join("others"), "subjectAltName=DNS:git.example\n").unwrap();
    for (names, out) in [("names", "server.pem"), ("others", "wrong.pem")] {
        let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"];
        run(&[&sign[..], &["-CAcreateserial", "-extfile", names, "-out", out]].concat());
    }
    Some(())
}

#[test]
fn only_a_certificate_of_a_trusted_ca_for_this_host_is_spoken_to() {
    let keys = tempfile::tempdir().unwrap();
    if certificates(keys.path()).is_none() {
        return;
    }
    let server = GitServer::start();
    let canary = "canary-77aa01";
    server.demand("robot", canary);
    let cache = tempfile::tempdir().unwrap();
    let file = |name: &str| keys.path().join(name);
    let trusting = |ca: Option<&str>| GitSettings {
        ca_file: ca.map(file),
        credentials: Some(Credentials {
            username: "robot".into(),
            password: Secret::new(canary),
            host: None,
        }),
        ..settings(cache.path())
    };
    let right = Remote::parse(&server.serve_tls(&file("server.pem"), &file("server.key"))).unwrap();
    let wrong = Remote::parse(&server.serve_tls(&file("wrong.pem"), &file("server.key"))).unwrap();
    for (remote, ca, words) in
        [(&right, None, "UnknownIssuer"), (&wrong, Some("ca.pem"), "not valid for name")]
    {
        let error = Repository::open(remote, &trusting(ca)).unwrap().fetch("main").unwrap_err();
        assert!(error.message.contains("certificate") && error.message.contains(words), "{error}");
        assert!(error.hints.iter().any(|h| h.contains("ca_file")), "{error:?}");
    }
    assert!(server.seen().is_empty(), "no request was sent to a server that is not trusted");
    let mut repo = Repository::open(&right, &trusting(Some("ca.pem"))).unwrap();
    assert_eq!(publish_file(&mut repo, "a", "1").unwrap().landed, Landed::Pushed);
    std::fs::write(file("empty.pem"), "no PEM in here").unwrap();
    let error = Repository::open(&right, &trusting(Some("empty.pem"))).err().unwrap();
    assert!(error.message.contains("no PEM certificates"), "{error}");
}
