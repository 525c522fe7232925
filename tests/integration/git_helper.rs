//! Git's credential helpers, and what the environment must not do unasked.

use crate::common::{hydrant, project};
use crate::support::fleet::Fleet;
use crate::support::git::{person_commits, put, who};
use crate::support::server::{GitServer, Recorder};
use crate::support::sshd::script_file;
use crate::tenants_fleet;
use hydrant::edge::git::{GitSettings, Proposal, Publication, Remote, Repository, publish};
use hydrant::error::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Writes a Git configuration whose helper notes how it is called and gives this password.
fn helper(dir: &Path, password: &str) -> PathBuf {
    let script = format!(
        "#!/bin/sh\n(echo \"$1\"; cat) >> '{0}/calls'\n\
         [ \"$1\" = get ] && printf 'username=robot\\npassword={password}\\n'\nexit 0\n",
        dir.display()
    );
    script_file(&dir.join("helper"), &script);
    let config = dir.join("gitconfig");
    let text = format!(
        "[credential]\n\thelper = \"!'{0}/helper'\"\n\tuseHttpPath = true\n[core]\n\taskPass = {0}/ask\n",
        dir.display()
    );
    std::fs::write(&config, text).unwrap();
    // What would open a window.
    script_file(&dir.join("ask"), &format!("#!/bin/sh\ntouch '{}/asked'\n", dir.display()));
    config
}

fn calls(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("calls")).unwrap_or_default()
}

#[test]
fn a_credential_helper_is_asked_only_when_told_and_hears_what_became_of_it() {
    let server = GitServer::start();
    let canary = "canary-9b1c77e0";
    server.demand("robot", canary);
    let temp = tempfile::tempdir().unwrap();
    let config = helper(temp.path(), canary);
    let fleet = Fleet::copy_of(&project("fixtures/fleets/quickstart"));
    let (files, url) = (fleet.path().display().to_string(), server.url());
    let base = ["run", "--once", "--fleet", &files, "--repo", &url, "--branch", "main"];
    let run = |more: &[&str], config: &Path| {
        hydrant(&[&base[..], more].concat())
            .env("GIT_CONFIG_GLOBAL", config)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .run()
    };
    run(&[], &config).exits(3).says("401").says("--credential-helper");
    assert_eq!(calls(temp.path()), "", "nobody asked for it");
    let done = run(&["--credential-helper"], &config).exits(0);
    assert!(!format!("{}{}", done.stdout, done.stderr).contains(canary));
    let (asked, told) = (calls(temp.path()), format!("password={canary}"));
    assert_eq!(asked.matches("get\n").count(), asked.matches("store\n").count(), "{asked}");
    assert!(asked.contains("store\n") && asked.contains(&told) && !asked.contains("erase"), "{asked}");
    let place = format!("protocol=http\nhost={}\npath=gitops.git\n", server.address);
    assert!(asked.contains(&place), "{asked}");

    // By hydrant.yaml, with a password that is wrong by now.
    let late = tempfile::tempdir().unwrap();
    let stale = helper(late.path(), "canary-stale");
    fleet.write("hydrant.yaml", "git:\n  credentialHelper: true\n");
    let refused =
        run(&["--branch", "other"].map(|a| if a == "--branch" { "--create-branch" } else { "-v" }), &stale);
    let refused = refused.exits(3).says("the credentials are missing or refused");
    assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    assert!(calls(late.path()).contains("erase\n"), "{}", calls(late.path()));

    // A helper that has nothing: the server's answer is what counts, and nobody is asked to type.
    let none = tempfile::tempdir().unwrap();
    let config = helper(none.path(), "");
    script_file(&none.path().join("helper"), "#!/bin/sh\nexit 0\n");
    run(&[], &config).exits(3).says("401");
    assert!(!none.path().join("asked").exists(), "no window may open");
}

#[test]
fn every_command_reaches_the_repository_as_hydrant_yaml_says() {
    let server = GitServer::start();
    let canary = "canary-41c0de77";
    server.demand("robot", canary);
    let temp = tempfile::tempdir().unwrap();
    let config = helper(temp.path(), canary);
    let fleet = tenants_fleet::Fleet::of_one_cluster();
    fleet.write("bindings/org.yaml", &tenants_fleet::organization("river-works"));
    fleet.write("hydrant.yaml", "git:\n  credentialHelper: true\n");
    let (files, url) = (fleet.path("fleet").display().to_string(), server.url());
    let call = |verb: &[&str]| {
        let base = ["--fleet", files.as_str(), "--repo", &url, "--branch", "main"];
        hydrant(&[verb, &base[..]].concat())
            .env("GIT_CONFIG_GLOBAL", &config)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            // Nobody is there: what the branch says is read before it is asked.
            .env("ARGOCD_API_URL", "http://127.0.0.1:9")
            .env("ARGOCD_API_TOKEN", "t")
            .run()
    };
    call(&["run", "--once", "--no-sync"]).exits(0).shows("committed");
    // The second run renders nothing: it compares what stands on the branch, and has to get there.
    let before = server.seen().len();
    call(&["run", "--once", "--no-sync"]).exits(0).shows("nothing to commit");
    for request in &server.seen()[before..] {
        let login = request.headers.iter().any(|h| h.to_ascii_lowercase().starts_with("authorization:"));
        assert!(login, "nobody asked the helper for {}", request.line);
    }
    call(&["render"]).exits(0);
    let synced = call(&["sync", "--timeout", "2s"]).exits(3);
    assert!(!synced.stderr.contains("cannot read the branches"), "{}", synced.stderr);
    let all = call(&["status", "--format", "json"]).exits(0).stdout;
    assert!(all.contains("\"Provisioning\"") && !all.contains("\"Pending\""), "{all}");
}

#[test]
fn a_credential_helper_that_hangs_floods_or_is_missing_is_an_error_in_time() {
    let server = GitServer::start();
    let temp = tempfile::tempdir().unwrap();
    let remote = Remote::parse(&server.url()).unwrap();
    let with = |script: &str, patience: Duration| {
        let git = temp.path().join("git");
        script_file(&git, script);
        let settings =
            GitSettings { credential_helper: Some(git), silence: patience, ..GitSettings::default() };
        Repository::open(&remote, &settings).err()
    };
    let started = Instant::now();
    let enough = Duration::from_secs(30);
    let hangs = with("#!/bin/sh\nsleep 60 &\nwait\n", Duration::from_millis(700)).unwrap();
    assert_eq!(hangs.kind, ErrorKind::External);
    assert!(hangs.message.contains("did not answer within 0.7 s"), "{hangs}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let floods = with("#!/bin/sh\nexec yes canary\n", enough).unwrap();
    assert!(floods.message.contains("more than fits") && !floods.message.contains("canary"), "{floods}");
    // Lines it does not know are none of our business.
    assert!(
        with("#!/bin/sh\nprintf 'capability[]=x\\nusername=u\\npassword=p\\nquit=0\\n'\n", enough).is_none()
    );
    let settings =
        GitSettings { credential_helper: Some("/nonexistent/git".into()), ..GitSettings::default() };
    let missing = Repository::open(&remote, &settings).err().unwrap();
    assert_eq!(missing.kind, ErrorKind::Input);
}

#[test]
fn a_proxy_is_used_only_when_it_is_configured() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("start", Some("1"))], "start");
    let recorder = Recorder::start();
    let proxy = format!("http://{}", recorder.address);
    let fleet = project("fixtures/fleets/quickstart").display().to_string();
    let url = server.url();
    let args = ["run", "--once", "--fleet", &fleet, "--repo", &url, "--branch", "main"];
    let mut run = hydrant(&args);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        run = run.env(name, &proxy);
    }
    run.run().exits(0);
    assert_eq!(recorder.got(), "", "the proxy of the environment is none of ours");
    hydrant(&args).env("HYDRANT_PROXY", &proxy).run().exits(3);
    assert!(recorder.got().contains("GET http://"), "{}", recorder.got());
    // A canary that the settings print nowhere.
    let shown = format!(
        "{:?}",
        GitSettings { proxy: Some(hydrant::redact::Secret::new("canary")), ..GitSettings::default() }
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_helper_of_a_public_repository_does_no_harm() {
    let server = GitServer::start();
    let cache = tempfile::tempdir().unwrap();
    let git = cache.path().join("git-without-credentials");
    script_file(&git, "#!/bin/sh\nexit 128\n");
    let settings = GitSettings { credential_helper: Some(git), ..GitSettings::default() };
    let mut repo = Repository::open(&Remote::parse(&server.url()).unwrap(), &settings).unwrap();
    let edits = vec![put("a", "1")];
    publish(&mut repo, &Publication::new("main", who()), |_, _| {
        Ok(Some(Proposal { edits: edits.clone(), message: "one".into() }))
    })
    .unwrap();
    assert!(server.seen().iter().all(|seen| !seen.headers.iter().any(|h| h.starts_with("authorization"))));
}
