//! Commits signed with an SSH key, verified by Git.

use crate::common::{hydrant, program, project};
use crate::support::fleet::Fleet;
use crate::support::git::{fsck, git, git_command, put, who};
use crate::support::server::GitServer;
use crate::support::sshd::{SshAgent, keygen};
use hydrant::config::{CommitTime, commit_time};
use hydrant::edge::git::{GitSettings, Remote, Repository, Signer};
use hydrant::error::ErrorKind;
use hydrant::redact::Secret;
use std::path::Path;
use std::sync::Arc;

/// Runs `git verify-commit` with one allowed signer; returns what it said if it was content.
fn verified(repo: &Path, commit: &str, public: &Path) -> Option<String> {
    let key = std::fs::read_to_string(public).unwrap();
    let allowed = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(allowed.path(), format!("hydrant@example.com namespaces=\"git\" {key}")).unwrap();
    let out = git_command(repo)
        .args(["-c", "gpg.format=ssh", "-c"])
        .arg(format!("gpg.ssh.allowedSignersFile={}", allowed.path().display()))
        .args(["verify-commit", commit])
        .output()
        .unwrap();
    out.status.success().then(|| String::from_utf8_lossy(&out.stderr).into_owned())
}

fn signing(signer: Signer) -> GitSettings {
    GitSettings { create: true, signer: Some(Arc::new(signer)), ..GitSettings::default() }
}

#[test]
fn a_commit_signed_with_a_key_file_or_by_the_agent_is_verified_by_git() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name);
    let (key, public) = (file("key"), file("key.pub"));
    keygen(&key, "");
    keygen(&file("other"), "");
    let Some(agent) = SshAgent::with(&[&file("other"), &key]) else { return };
    let path = key.display().to_string();
    let literal = format!("key::{}", std::fs::read_to_string(&public).unwrap());
    let named = public.display().to_string();
    let signers = [
        Signer::new(&path, None, None).unwrap(),
        Signer::new(&named, None, Some(&agent.socket)).unwrap(),
        Signer::new(&literal, None, Some(&agent.socket)).unwrap(),
    ];
    let mut ids = Vec::new();
    for (n, signer) in signers.into_iter().enumerate() {
        let path = file(&format!("{n}.git"));
        let mut repo = Repository::open(&Remote::Local(path.clone()), &signing(signer)).unwrap();
        let message = "one\n\nA body.\n\nHydrant-Fleet: default\n";
        let first = repo.commit(None, &[put("a", "1")], message, &who()).unwrap();
        repo.push(first, "main", None).unwrap();
        let said = verified(&path, "main", &public).expect("a good signature");
        assert!(said.contains("Good \"git\" signature for hydrant@example.com"), "{said}");
        assert!(verified(&path, "main", &file("other.pub")).is_none());
        assert_eq!(git(&path, &["log", "-1", "--format=%B", "main"]), message.trim_end());
        fsck(&path);
        ids.push(first);
    }
    // Ed25519 signatures are deterministic, so the same inputs give the same commit, however
    // they are signed.
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let plain = Repository::open(
        &Remote::Local(file("plain.git")),
        &GitSettings { create: true, ..GitSettings::default() },
    )
    .unwrap();
    let message = "one\n\nA body.\n\nHydrant-Fleet: default\n";
    assert_ne!(plain.commit(None, &[put("a", "1")], message, &who()).unwrap(), ids[0]);
}

#[test]
fn a_signature_that_cannot_be_made_fails_before_anything_is_written() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name);
    keygen(&file("key"), "");
    keygen(&file("locked"), "open sesame");
    let public = file("key.pub").display().to_string();
    let socket = {
        let Some(agent) = SshAgent::with(&[]) else { return };
        // An agent without the key.
        let signer = Signer::new(&public, None, Some(&agent.socket)).unwrap();
        let repo = Repository::open(&Remote::Local(file("a.git")), &signing(signer)).unwrap();
        let error = repo.commit(None, &[put("a", "1")], "m", &who()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Input);
        assert!(error.message.contains("the commit cannot be signed with ssh-ed25519 SHA256:"), "{error}");
        agent.socket.clone()
    };
    // And one that is gone.
    let signer = Signer::new(&public, None, Some(&socket)).unwrap();
    let repo = Repository::open(&Remote::Local(file("a.git")), &signing(signer)).unwrap();
    let error = repo.commit(None, &[put("a", "1")], "m", &who()).unwrap_err();
    assert!(error.message.contains("does not answer"), "{error}");
    let objects = git(&file("a.git"), &["count-objects"]);
    assert!(objects.starts_with("0 objects"), "{objects}");

    let locked = file("locked").display().to_string();
    let passphrase = Secret::new("open sesame");
    assert!(Signer::new(&locked, Some(&passphrase), None).is_ok());
    let without = Signer::new(&locked, None, None).unwrap_err();
    assert!(without.hints.iter().any(|h| h.contains("HYDRANT_SIGNING_PASSPHRASE")), "{:?}", without.hints);
    let no_agent = Signer::new(&public, None, None).unwrap_err();
    assert!(no_agent.message.contains("no SSH agent"), "{no_agent}");
    assert_eq!(Signer::new("/nonexistent/key", None, None).unwrap_err().kind, ErrorKind::Input);
    assert!(Signer::new("key::nonsense", None, Some(&socket)).is_err());
}

#[test]
fn a_user_signs_deliveries_and_chooses_author_committer_and_time() {
    if program("ssh-keygen").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let file = |name: &str| temp.path().join(name);
    keygen(&file("key"), "open sesame");
    std::fs::write(file("passphrase"), "open sesame\n").unwrap();
    let fleet = Fleet::copy_of(&project("fixtures/fleets/quickstart"));
    let settings = format!(
        "commit:\n  name: Robot\n  email: robot@example.com\n  committer:\n    name: Pipe\n    \
         email: pipe@example.com\n  signingKey: {}\n",
        file("key").display()
    );
    let had = std::fs::read_to_string(fleet.path().join("hydrant.yaml")).unwrap_or_default();
    fleet.write("hydrant.yaml", &format!("{had}{settings}"));
    let server = GitServer::start();
    let (files, url) = (fleet.path().display().to_string(), server.url());

    let base = ["run", "--once", "--fleet", &files, "--repo", &url, "--branch", "main"];
    // The key of hydrant.yaml is locked: nothing is delivered, and the exit code is the caller's.
    hydrant(&base).run().exits(2).says("is encrypted, and no passphrase is given");
    hydrant(&base)
        .env("HYDRANT_SIGNING_PASSPHRASE_FILE", file("passphrase"))
        .env("HYDRANT_COMMIT_TIME", "2025-11-21T05:40:00+01:00")
        .run()
        .exits(0);
    let said = verified(&server.repo, "main", &file("key.pub")).expect("a good signature");
    assert!(said.contains("Good \"git\" signature"), "{said}");
    assert_eq!(
        git(
            &server.repo,
            &["log", "-1", "--date=iso-strict", "--format=%an <%ae> %ad %cn <%ce> %cd", "main"]
        ),
        "Robot <robot@example.com> 2025-11-21T05:40:00+01:00 Pipe <pipe@example.com> 2025-11-21T05:40:00+01:00"
    );
    // Flags stand above the file, for the first delivery of another branch.
    keygen(&file("flag"), "");
    let flag = file("flag").display().to_string();
    let more = [
        "--signing-key",
        &flag,
        "--author",
        "Ann <ann@example.com>",
        "--committer",
        "Bob <bob@example.com>",
        "--commit-time",
        "1763700000",
        "--create-branch",
    ];
    let args: Vec<&str> =
        base.iter().copied().map(|a| if a == "main" { "other" } else { a }).chain(more).collect();
    hydrant(&args).run().exits(0);
    assert!(verified(&server.repo, "other", &file("flag.pub")).is_some());
    assert_eq!(
        git(&server.repo, &["log", "-1", "--format=%an %at %cn %ct", "other"]),
        "Ann 1763700000 Bob 1763700000"
    );
    hydrant(&base).env("HYDRANT_COMMIT_TIME", "yesterday").run().exits(2).says("is no time");
}

#[test]
fn a_commit_time_is_read_as_seconds_or_with_an_offset() {
    assert_eq!(commit_time("@1763700000").unwrap(), CommitTime { seconds: 1_763_700_000, offset: 0 });
    assert_eq!(
        commit_time("2025-11-21T05:40:00+01:00").unwrap(),
        CommitTime { seconds: 1_763_700_000, offset: 60 }
    );
    assert_eq!(
        commit_time("2025-11-21T04:40:00Z").unwrap(),
        CommitTime { seconds: 1_763_700_000, offset: 0 }
    );
    for wrong in ["", "2025-11-21", "2025-11-21T05:40:00", "soon", "99999999999999999999"] {
        assert!(commit_time(wrong).is_err(), "{wrong}");
    }
}
