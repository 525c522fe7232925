//! Delivery to a real `sshd`, with wrong keys, wrong hosts and broken connections.

use crate::common::{hydrant, project};
use crate::support::fleet::Fleet;
use crate::support::git::{fsck, git, many_commits, person_commits, put, who};
use crate::support::proxy::{Break, Proxy};
use crate::support::server::black_hole;
use crate::support::sshd::{SshAgent, Sshd, commits, fingerprint, keygen, script_file};
use hydrant::edge::git::{
    Ancestry, GitSettings, KeySource, Landed, Ownership, Proposal, Publication, Remote, Repository, Revision,
    SshSettings, Tip, publish, settle_branch,
};
use hydrant::error::{Error, ErrorKind, Result};
use hydrant::model::tree::{BaseTree, ObjectId};
use hydrant::stage::settle::Held;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn open(url: &str, settings: &GitSettings) -> Result<Repository> {
    Repository::open(&Remote::parse(url).unwrap(), settings)
}

fn to_main() -> Publication {
    Publication { deadline: Duration::from_secs(60), ..Publication::new("main", who()) }
}

fn deliver(repo: &mut Repository, path: &str, text: &str) -> Result<Revision> {
    publish(repo, &to_main(), |_, _| {
        let message = format!("put {path}\n\nHydrant-Fleet: default\n");
        Ok(Some(Proposal { edits: vec![put(path, text)], message }))
    })
}

fn said(error: &Error) -> String {
    format!("{error} {:?} {:?}", error.hints, error.source)
}

/// Returns the error of reading a branch.
#[track_caller]
fn refusal(url: &str, settings: &GitSettings) -> Error {
    match open(url, settings).and_then(|mut repo| repo.fetch("main")) {
        Ok(tip) => panic!("it was read: {tip:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_change_lands_over_ssh_and_the_mirror_serves_the_next_run() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    let mut repo = open(&server.url(), &settings).unwrap();
    assert_eq!(repo.fetch("main").unwrap(), Tip::Empty);
    let first = deliver(&mut repo, "a/b.yaml", "1\n").unwrap();
    assert_eq!((first.landed, first.base, first.tries), (Landed::Pushed, None, 1));
    for n in 0..3 {
        person_commits(&server.repo, "main", &[(&format!("theirs-{n}"), Some("x"))], "by hand");
    }
    // A fresh process with the same cache, and one with an empty cache.
    let empty = tempfile::tempdir().unwrap();
    for folder in [cache.path(), empty.path()] {
        let mut repo = open(&server.url(), &server.settings(folder)).unwrap();
        let head = repo.fetch("main").unwrap().head().unwrap().clone();
        assert_eq!(head.subject(), "by hand");
        assert_eq!(repo.tree(Some(head.id)).unwrap().entries("").unwrap().unwrap().len(), 4);
        assert_eq!(repo.descends(&head.id, &first.commit.unwrap()).unwrap(), folder == cache.path());
        while repo.deepen(head.id).unwrap() {}
        assert!(repo.descends(&head.id, &first.commit.unwrap()).unwrap());
        assert_eq!(repo.fetch_revision("main").unwrap().id, head.id);
    }
    let second = deliver(&mut open(&server.url(), &settings).unwrap(), "a/b.yaml", "2\n").unwrap();
    assert_eq!(git(&server.repo, &["rev-parse", "main"]), second.commit.unwrap().to_string());
    assert_eq!(git(&server.repo, &["show", "main:a/b.yaml"]), "2");
    fsck(&server.repo);
    let mirror = std::fs::read_dir(empty.path().join("git")).unwrap().next().unwrap().unwrap().path();
    fsck(&mirror);
}

#[test]
fn a_big_delivery_over_ssh_passes_the_window_of_the_channel() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    // Bytes that do not compress, more than the two MiB that fit into the window.
    let mut state = 1u64;
    let text: String = (0..1_500_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32(33 + u32::try_from(state >> 58).unwrap()).unwrap()
        })
        .collect();
    let edits: Vec<_> = (0..6).map(|n| put(&format!("f{n}"), &format!("{n}{text}"))).collect();
    let mut repo = open(&server.url(), &server.settings(cache.path())).unwrap();
    let revision = publish(&mut repo, &to_main(), |_, _| {
        Ok(Some(Proposal { edits: edits.clone(), message: "all".into() }))
    })
    .unwrap_or_else(|e| panic!("{}", said(&e)));
    let fresh = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), &server.settings(fresh.path())).unwrap();
    assert_eq!(repo.fetch("main").unwrap().head().map(|c| c.id), revision.commit);
    fsck(&server.repo);
}

#[test]
fn a_race_lost_over_ssh_is_made_anew_on_the_new_head() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    // Somebody else moves the branch while the server has our push in hands.
    server.hook(
        "pre-receive",
        "#!/bin/sh\n[ -n \"$SSH_CONNECTION\" ] || exit 0\nread old new ref\n[ -f once ] && exit 0\ntouch once\n\
         unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n\
         export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x\n\
         next=$(git commit-tree $(git rev-parse $old^{tree}) -p $old -m 'in the hook' </dev/null)\n\
         git update-ref refs/heads/main $next $old\nexit 0\n",
    );
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), &server.settings(cache.path())).unwrap();
    let revision = deliver(&mut repo, "ours", "1").unwrap_or_else(|e| panic!("{}", said(&e)));
    assert_eq!(revision.tries, 2);
    assert_eq!(git(&server.repo, &["log", "--format=%s", "main"]), "put ours\nin the hook\nstart");
    fsck(&server.repo);
}

#[test]
fn a_hook_and_a_protected_branch_refuse_over_ssh_with_their_words_and_without_retry() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let cache = tempfile::tempdir().unwrap();
    let tries = server.file("tries");
    server.hook(
        "pre-receive",
        &format!(
            "#!/bin/sh\necho x >> '{}'\nprintf '\\033[31mtickets only\\033[0m on this branch\\n' >&2\nexit 1\n",
            tries.display()
        ),
    );
    let mut repo = open(&server.url(), &server.settings(cache.path())).unwrap();
    let error = deliver(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard, "{}", said(&error));
    assert!(error.message.contains("pre-receive hook declined\ntickets only on this branch"), "{error}");
    assert_eq!(std::fs::read_to_string(&tries).unwrap().lines().count(), 1);
    // As a server with protected branches says it.
    server.hook("pre-receive", "#!/bin/sh\nexit 0\n");
    server.hook("update", "#!/bin/sh\necho 'GH006: Protected branch update failed' >&2\nexit 1\n");
    let error = deliver(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Guard);
    assert!(error.message.contains("Protected branch update failed"), "{error}");
    assert_eq!(commits(&server.repo), 1);
}

#[test]
fn a_change_whose_answer_is_lost_on_ssh_lands_once() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    // The branch has moved; before we are told, the server's session dies.
    server.hook(
        "reference-transaction",
        "#!/bin/sh\n[ \"$1\" = committed ] && [ -n \"$SSH_CONNECTION\" ] && [ ! -f once ] || exit 0\ntouch once\n\
         p=$PPID\nwhile :; do\n  case $(cat /proc/$p/comm) in sshd*) break ;; esac\n\
           p=$(sed 's/.*) . //' /proc/$p/stat | cut -d' ' -f1)\ndone\nkill -9 $p\n",
    );
    let cache = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), &server.settings(cache.path())).unwrap();
    let revision = deliver(&mut repo, "ours", "1").unwrap_or_else(|e| panic!("{}", said(&e)));
    assert_eq!((revision.landed, revision.tries), (Landed::Pushed, 2), "{}", server.log());
    assert_eq!(git(&server.repo, &["rev-parse", "main"]), revision.commit.unwrap().to_string());
    assert_eq!(commits(&server.repo), 2);
    fsck(&server.repo);
}

#[test]
fn every_ssh_call_ends_in_time_wherever_the_connection_breaks() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("start", Some(&"line\n".repeat(3000)))], "start");
    // One delivery makes two connections: one to fetch, one to push.
    let landed: usize = std::thread::scope(|scope| {
        let server = &server;
        let all: Vec<_> = (0..2).map(|nth| scope.spawn(move || break_connection(server, nth))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    let log = git(&server.repo, &["log", "--format=%s", "main"]);
    assert_eq!(log.lines().count(), landed + 1, "{log}");
    assert_eq!(landed, 22);
    fsck(&server.repo);
}

/// Delivers through a connection that breaks in each way; returns how many changes landed.
fn break_connection(server: &Sshd, nth: usize) -> usize {
    let mut landed = 0;
    // The greeting, the key exchange, the login, the list of branches, the answer.
    let places: [(Break, &[usize]); 4] = [
        (Break::Cut, &[0, 700, 1700, 2400, 2900]),
        (Break::Reset, &[1200, 2700]),
        (Break::Stall, &[0, 2600]),
        (Break::Drip, &[30, 2500]),
    ];
    for (how, at) in places.iter().flat_map(|(how, at)| at.iter().map(move |at| (*how, *at))) {
        let proxy = Proxy::start(server.address, nth, at, how);
        let cache = tempfile::tempdir().unwrap();
        let settings = GitSettings {
            silence: Duration::from_secs(6),
            call_deadline: Duration::from_secs(15),
            ssh: SshSettings {
                known_hosts: vec![server.known_hosts(proxy.address)],
                ..server.settings(cache.path()).ssh
            },
            ..server.settings(cache.path())
        };
        let mut repo = open(&server.url_at(proxy.address), &settings).unwrap();
        let started = Instant::now();
        let revision = deliver(&mut repo, &format!("{nth}/{how:?}/{at}"), "1")
            .unwrap_or_else(|e| panic!("{nth} {how:?} {at}: {}", said(&e)));
        assert_eq!(revision.landed, Landed::Pushed, "{nth} {how:?} {at}");
        assert!(started.elapsed() < Duration::from_secs(90), "{nth} {how:?} {at}: {:?}", started.elapsed());
        // Before the login is over nothing was asked yet, so the break must have cost a connection.
        let connections = proxy.connections.load(std::sync::atomic::Ordering::SeqCst);
        assert!(connections > 2 || at > 1700 || how == Break::Drip, "{nth} {how:?} {at}: {connections}");
        landed += 1;
    }
    landed
}

/// Over SSH a server gives only what a reference is at, so the history below the first edge has
/// to be asked for from the branch.
#[test]
fn a_commit_of_ours_far_down_is_found_over_ssh_too() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let first = deliver(&mut open(&server.url(), &server.settings(cache.path())).unwrap(), "ours", "1");
    let ours = first.unwrap().commit.unwrap();
    many_commits(&server.repo, "main", 150);
    let empty = tempfile::tempdir().unwrap();
    let mut repo = open(&server.url(), &server.settings(empty.path())).unwrap();
    let head = repo.fetch("main").unwrap().head().unwrap().clone();
    let us = Ownership {
        fleet: "default",
        roots: &["ours".to_owned()],
        unit_of: &|path| Some(path.to_owned()),
        held: &|_| Ok(Held::default()),
        env: None,
        proposals: &[],
    };
    let settled = settle_branch(&repo, &head, &us).unwrap_or_else(|e| panic!("{}", said(&e)));
    assert_eq!(settled.expect("a commit of ours").last.id, ours);
}

/// What keeps an older fleet from undoing a newer delivery, where each run has an empty cache.
#[test]
fn the_older_of_two_commits_is_told_over_ssh_with_an_empty_cache() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("fleet", Some("1"))], "an edit");
    many_commits(&server.repo, "main", 70);
    let [old, new] = ["main~68", "main"].map(|name| git(&server.repo, &["rev-parse", name]));
    for (first, second, stand) in [(&old, &new, Ancestry::Older), (&new, &old, Ancestry::Newer)] {
        let cache = tempfile::tempdir().unwrap();
        let mut repo = open(&server.url(), &server.settings(cache.path())).unwrap();
        repo.fetch_revision("main").unwrap();
        assert_eq!(repo.compare(first, second).unwrap_or_else(|e| panic!("{}", said(&e))), stand);
        // One that no branch has is not looked for without end.
        let nobody = "1".repeat(40);
        assert_eq!(repo.compare(&nobody, second).unwrap(), Ancestry::Unknown);
    }
}

#[test]
fn the_history_of_a_head_that_moved_on_is_read_over_a_new_connection() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let start: ObjectId = git(&server.repo, &["rev-parse", "main"]).parse().unwrap();
    for n in 0..3 {
        person_commits(&server.repo, "main", &[("theirs", Some(&n.to_string()))], "by hand");
    }
    // The second connection, which asks for more history, is broken in the middle, or not at all.
    for at in [2500, usize::MAX] {
        let proxy = Proxy::start(server.address, 1, at, Break::Cut);
        let cache = tempfile::tempdir().unwrap();
        let ssh = SshSettings {
            known_hosts: vec![server.known_hosts(proxy.address)],
            ..server.settings(cache.path()).ssh
        };
        let settings = GitSettings { ssh, ..server.settings(cache.path()) };
        let mut repo = open(&server.url_at(proxy.address), &settings).unwrap();
        let head = repo.fetch("main").unwrap().head().unwrap().clone();
        assert!(!repo.descends(&head.id, &start).unwrap(), "only the head is here");
        person_commits(&server.repo, "main", &[("later", Some(&at.to_string()))], "meanwhile");
        assert!(repo.deepen(head.id).unwrap_or_else(|e| panic!("{at}: {}", said(&e))), "{at}");
        assert!(repo.descends(&head.id, &start).unwrap(), "{at}");
        while repo.deepen(head.id).unwrap() {}
    }
}

#[test]
fn an_ssh_server_that_is_not_there_or_says_nothing_is_given_up_in_time() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let hasty = GitSettings {
        silence: Duration::from_millis(500),
        connect_deadline: Duration::from_secs(2),
        ..server.settings(cache.path())
    };
    let started = Instant::now();
    let silent = refusal(&server.url_at(black_hole()), &hasty);
    assert_eq!(silent.kind, ErrorKind::External);
    assert!(silent.message.contains("the SSH handshake was not done within 0.5 s"), "{silent}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = refusal(&server.url_at(nobody), &hasty);
    assert!(gone.message.contains("refused") && gone.kind == ErrorKind::External, "{gone}");
    let nameless = refusal("ssh://git@no-such-host.invalid/x.git", &hasty);
    assert!(nameless.message.contains("no connection to no-such-host.invalid port 22"), "{nameless}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn an_unknown_a_changed_and_a_revoked_host_key_are_refused_with_the_fingerprint() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let right = server.settings(cache.path());
    let print = fingerprint(&server.file("host.pub"));
    let host = format!("[{}]:{}", server.address.ip(), server.address.port());
    let key = std::fs::read_to_string(server.file("host.pub")).unwrap();
    let other = std::fs::read_to_string(server.file("client.pub")).unwrap();
    let with = |text: &str| {
        let file = server.file("trusted");
        std::fs::write(&file, text).unwrap();
        let ssh = SshSettings { known_hosts: vec![file], ..right.ssh.clone() };
        GitSettings { ssh, ..right.clone() }
    };
    let unknown = refusal(&server.url(), &with(""));
    assert_eq!(unknown.kind, ErrorKind::Guard);
    assert!(
        unknown.message.contains(&format!("the host key ssh-ed25519 {print} of {host} is not known")),
        "{unknown}"
    );
    // The mend: exactly the line that makes it known.
    let line = unknown.hints.iter().find_map(|hint| hint.split_once("FILE): ")).unwrap().1.to_owned();
    assert!(open(&server.url(), &with(&line)).unwrap().fetch("main").is_ok(), "{line}");

    let changed = refusal(&server.url(), &with(&format!("{host} {other}")));
    assert_eq!(changed.kind, ErrorKind::Guard);
    assert!(changed.message.contains("is another one") && changed.message.contains("trusted:1"), "{changed}");
    assert!(changed.message.contains(&print), "{changed}");

    let revoked = refusal(&server.url(), &with(&format!("{host} {key}@revoked * {key}")));
    assert!(revoked.message.contains("trusted:2 lists as revoked"), "{revoked}");

    let authority = refusal(&server.url(), &with(&format!("@cert-authority {host} {key}")));
    assert!(authority.message.contains("host certificates are not understood"), "{authority}");

    let rsa = refusal(&server.url(), &with(&format!("{host} ssh-rsa AAAA")));
    assert!(rsa.message.contains("keys of type ssh-rsa only") && rsa.kind == ErrorKind::Guard, "{rsa}");
    assert!(rsa.message.contains(&print), "{rsa}");
    let address = server.address;
    let scan = format!("`ssh-keyscan -p {} -t ed25519,ecdsa {}`", address.port(), address.ip());
    assert!(rsa.hints.iter().any(|hint| hint.contains(&scan)), "{rsa:?}");
    // The mend is one line more, and the old one may stay.
    let line = rsa.hints.iter().find_map(|hint| hint.split_once("old one: ")).unwrap().1;
    let both = with(&format!("{host} ssh-rsa AAAA\n{line}\n"));
    assert!(open(&server.url(), &both).unwrap().fetch("main").is_ok(), "{line}");

    let missing = SshSettings { known_hosts: vec!["/nonexistent/known".into()], ..right.ssh.clone() };
    let missing = refusal(&server.url(), &GitSettings { ssh: missing, ..right.clone() });
    assert_eq!(missing.kind, ErrorKind::Input);

    // A hashed entry, and one given as text.
    std::fs::write(server.file("hashed"), format!("{host} {key}")).unwrap();
    let done = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(server.file("hashed"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(done.unwrap().success());
    let hashed = std::fs::read_to_string(server.file("hashed")).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    assert!(open(&server.url(), &with(&hashed)).unwrap().fetch("main").is_ok());
    let text = SshSettings { known_hosts: vec![], known_hosts_text: Some(hashed), ..right.ssh.clone() };
    assert!(open(&server.url(), &GitSettings { ssh: text, ..right.clone() }).unwrap().fetch("main").is_ok());
    // Nobody logged in where the host was not trusted.
    let log = server.log();
    assert_eq!(log.matches("Accepted publickey").count(), 4, "{log}");
}

#[test]
fn a_wrong_key_is_refused_with_the_keys_that_were_tried() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let right = server.settings(cache.path());
    keygen(&server.file("stranger"), "");
    let with = |ssh: SshSettings| GitSettings {
        ssh: SshSettings { known_hosts: right.ssh.known_hosts.clone(), ..ssh },
        ..right.clone()
    };
    let key = |file: PathBuf| SshSettings { key: Some(KeySource::File(file)), ..SshSettings::default() };
    let wrong = refusal(&server.url(), &with(key(server.file("stranger"))));
    assert_eq!(wrong.kind, ErrorKind::External);
    let print = fingerprint(&server.file("stranger.pub"));
    assert!(wrong.message.contains("refuses every key") && wrong.message.contains(&print), "{wrong}");
    assert!(wrong.message.contains("stranger"), "{wrong}");

    let none = refusal(&server.url(), &with(SshSettings::default()));
    assert!(none.kind == ErrorKind::Input && none.message.contains("no SSH key to log in with"), "{none}");

    // The agent's second key is the right one; with the stranger's alone it is refused.
    let Some(agent) = SshAgent::with(&[&server.file("stranger"), &server.file("client")]) else { return };
    let by_agent = |socket: &Path| SshSettings { agent: Some(socket.into()), ..SshSettings::default() };
    assert!(open(&server.url(), &with(by_agent(&agent.socket))).unwrap().fetch("main").is_ok());
    let poor = SshAgent::with(&[&server.file("stranger")]).unwrap();
    let refused = refusal(&server.url(), &with(by_agent(&poor.socket)));
    assert!(refused.message.contains(&format!("{print} from the agent")), "{refused}");
    let empty = SshAgent::with(&[]).unwrap();
    let refused = refusal(&server.url(), &with(by_agent(&empty.socket)));
    assert!(refused.kind == ErrorKind::Input && refused.message.contains("holds no key"), "{refused}");
    let gone = refusal(&server.url(), &with(by_agent(Path::new("/nonexistent/agent"))));
    assert!(gone.kind == ErrorKind::Input && gone.message.contains("/nonexistent/agent"), "{gone}");
}

#[test]
fn a_key_with_a_passphrase_one_from_the_environment_and_one_that_others_may_read() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let right = server.settings(cache.path());
    let with = |ssh: SshSettings| GitSettings {
        ssh: SshSettings { known_hosts: right.ssh.known_hosts.clone(), ..ssh },
        ..right.clone()
    };
    let environment = |pairs: &[(&str, String)]| {
        SshSettings::from_environment(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()))
    };
    let read = |pairs: &[(&str, String)]| {
        environment(pairs).and_then(|ssh| open(&server.url(), &with(ssh))?.fetch("main").map(drop))
    };
    let client = server.file("client");
    let file = |name: &str| server.file(name).display().to_string();
    let text = std::fs::read_to_string(&client).unwrap();
    // As text, also without its last line end or with those of another system.
    for text in [text.clone(), text.trim_end().to_owned(), text.replace('\n', "\r\n")] {
        read(&[("HYDRANT_GIT_SSH_KEY", text)]).unwrap_or_else(|e| panic!("{}", said(&e)));
    }
    let both = [("HYDRANT_GIT_SSH_KEY", text), ("HYDRANT_GIT_SSH_KEY_FILE", file("client"))];
    assert!(environment(&both).unwrap_err().message.contains("both HYDRANT_GIT_SSH_KEY and"));

    std::fs::copy(&client, server.file("locked")).unwrap();
    let locked = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"])
        .arg(server.file("locked"))
        .stdout(std::process::Stdio::null())
        .status();
    assert!(locked.unwrap().success());
    let locked = ("HYDRANT_GIT_SSH_KEY_FILE", file("locked"));
    std::fs::write(server.file("passphrase"), "open sesame\n").unwrap();
    read(&[locked.clone(), ("HYDRANT_GIT_SSH_PASSPHRASE_FILE", file("passphrase"))]).unwrap();
    let without = read(std::slice::from_ref(&locked)).unwrap_err();
    assert!(without.kind == ErrorKind::Input && without.message.contains("is encrypted"), "{without}");
    let wrong = read(&[locked.clone(), ("HYDRANT_GIT_SSH_PASSPHRASE", "hunter2".into())]).unwrap_err();
    assert!(wrong.message.contains("cannot be decrypted") && !said(&wrong).contains("hunter2"), "{wrong}");

    use std::os::unix::fs::PermissionsExt;
    std::fs::copy(&client, server.file("open")).unwrap();
    std::fs::set_permissions(server.file("open"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let open_key = read(&[("HYDRANT_GIT_SSH_KEY_FILE", file("open"))]).unwrap_err();
    assert!(open_key.kind == ErrorKind::Input && open_key.message.contains("(mode 640)"), "{open_key}");
    let no_key = read(&[("HYDRANT_GIT_SSH_KEY_FILE", file("client.pub"))]);
    assert!(no_key.is_err());
    let shown = format!("{:?}", environment(&[("HYDRANT_GIT_SSH_KEY", "canary-key".into())]).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn what_a_forge_says_instead_of_serving_is_shown_clean_with_a_hint() {
    let Some(server) = Sshd::start() else { return };
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let cache = tempfile::tempdir().unwrap();
    let settings = server.settings(cache.path());
    let missing = refusal(&format!("ssh://{}@{}/no/such.git", server.user, server.address), &settings);
    assert_eq!(missing.kind, ErrorKind::External);
    assert!(missing.message.contains("does not appear to be a git repository"), "{missing}");
    assert!(missing.hints.iter().any(|h| h.contains("path")), "{:?}", missing.hints);
    // A deploy key that may only read, as GitHub says it.
    let forge = server.file("forge");
    script_file(
        &forge,
        "#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in git-receive-pack*)\n\
         printf 'ERROR: The key you are authenticating with has been marked as \\033[1mread only\\033[0m.\\n' >&2\n\
         exit 1 ;; esac\neval \"$SSH_ORIGINAL_COMMAND\"\n",
    );
    server.allow(&format!("command=\"{}\"", forge.display()));
    let mut repo = open(&server.url(), &settings).unwrap();
    let error = deliver(&mut repo, "ours", "1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::External);
    assert!(
        error.message.starts_with("cannot push to") && error.message.contains("marked as read only."),
        "{error}"
    );
    assert!(error.hints.iter().any(|h| h.contains("right to write")), "{:?}", error.hints);
    // An account with a login message instead of Git.
    script_file(&forge, "#!/bin/sh\necho 'This account is not available'\nexit 1\n");
    let error = refusal(&server.url(), &settings);
    assert!(error.message.contains("no Git protocol"), "{error}");
    // One that never ends its answer is read no longer than it may.
    script_file(&forge, "#!/bin/sh\nwhile echo 000eversion 1x; do :; done\n");
    let started = Instant::now();
    assert!(refusal(&server.url(), &settings).message.contains("no Git protocol"));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_user_delivers_over_ssh_with_flags_or_the_environment() {
    let Some(server) = Sshd::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let fleet = project("fixtures/fleets/quickstart").display().to_string();
    let (url, cache) = (server.url(), cache.path().display().to_string());
    let known = server.known_hosts(server.address);
    let base = ["run", "--once", "--fleet", &fleet, "--repo", &url, "--branch", "main", "--cache", &cache];
    // Without a host key to trust nothing is delivered, and the exit code asks for a person.
    let refused = hydrant(&base).env("HYDRANT_GIT_SSH_KEY_FILE", server.file("client")).run().exits(4);
    refused.says("is not known").says(&fingerprint(&server.file("host.pub")));
    let key = server.file("client").display().to_string();
    let known_hosts = known.display().to_string();
    let flags: Vec<&str> =
        base.iter().copied().chain(["--ssh-key", &key, "--known-hosts", &known_hosts]).collect();
    hydrant(&flags).run().exits(0).shows("committed ");
    let again = hydrant(&base)
        .env("HYDRANT_GIT_SSH_KEY", std::fs::read_to_string(&key).unwrap())
        .env("HYDRANT_GIT_KNOWN_HOSTS", std::fs::read_to_string(&known).unwrap())
        .run();
    again.exits(0).shows("nothing to commit");
    let Some(agent) = SshAgent::with(&[&server.file("client")]) else { return };
    let again =
        hydrant(&base).env("SSH_AUTH_SOCK", &agent.socket).env("HYDRANT_GIT_KNOWN_HOSTS_FILE", &known).run();
    again.exits(0).shows("nothing to commit");
    assert_eq!(commits(&server.repo), 1);
    fsck(&server.repo);
}

#[test]
fn a_fleet_is_read_over_ssh_with_a_key_of_its_own() {
    let Some(server) = Sshd::start() else { return };
    let fleet = Fleet::copy_of(&project("fixtures/fleets/quickstart"));
    git(&fleet.path(), &["init", "-q", "-b", "main"]);
    git(&fleet.path(), &["add", "-A"]);
    git(&fleet.path(), &["commit", "-q", "-m", "fleet"]);
    git(&fleet.path(), &["push", "-q", &server.repo.display().to_string(), "main"]);
    keygen(&server.file("stranger"), "");
    let url = server.url();
    let validate = || {
        hydrant(&["validate", "--fleet", &url])
            .env("HYDRANT_GIT_KNOWN_HOSTS_FILE", server.known_hosts(server.address))
            .env("HYDRANT_GIT_SSH_KEY_FILE", server.file("stranger"))
    };
    validate().run().exits(3).says("refuses every key");
    validate().env("HYDRANT_FLEET_SSH_KEY_FILE", server.file("client")).run().exits(0);
}
