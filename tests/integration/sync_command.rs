//! `hydrant sync` through the built binary: signals, live lines, flags.

use crate::argocd::background::Background;
use crate::common::{Hydrant, hydrant, program, project};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const APP: &str = "argocd-project-prod";

fn call(verb: &str, dir: &Path, server: &Background, more: &[&str]) -> Hydrant {
    let (fleet, repo, cache) =
        (project("fixtures/fleets/quickstart"), dir.join("gitops.git"), dir.join("cache"));
    let mut args = vec![verb, "--fleet", fleet.to_str().unwrap(), "--repo", repo.to_str().unwrap()];
    args.extend(["--cache", cache.to_str().unwrap(), "--cluster", "harbor"]);
    args.extend(more);
    hydrant(&args).env("ARGOCD_API_URL", &server.url).env("ARGOCD_API_TOKEN_FILE", &server.token_file)
}

/// A delivered repository, and an Argo CD in which operations never end.
fn delivered(dir: &Path, forever: bool) -> Background {
    let server = Background::beside(&dir.join("gitops.git"), "main");
    call("run", dir, &server, &["--once", "--no-sync"]).run().exits(0);
    server.argocd.look_at_git();
    for app in server.argocd.lock().apps.values_mut() {
        app.given.operations = vec![crate::argocd::Op { forever, ..Default::default() }];
    }
    server
}

/// Waits until an operation runs.
fn under_way(server: &Background) {
    let begun = Instant::now();
    while server.argocd.lock().apps[APP].operations == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no operation was begun");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn ctrl_c_ends_the_following_and_leaves_argo_cd_running() {
    for name in ["INT", "TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let server = delivered(dir.path(), true);
        let child = call("sync", dir.path(), &server, &["--app", APP]).start();
        under_way(&server);
        let begun = Instant::now();
        signal(&child, name);
        let out = child.wait_with_output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(5), "{name}: {stdout}{stderr}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}: it took {:?}", begun.elapsed());
        assert!(stdout.contains("interrupted") && stdout.contains("Argo CD goes on"), "{name}: {stdout}");
        let world = server.argocd.lock();
        let app = &world.apps[APP];
        assert!(app.is_under_way() && !app.terminated, "{name}: the operation was stopped");
    }
}

#[test]
fn a_stopped_run_tells_the_same_and_has_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let server = delivered(dir.path(), true);
    // Nothing was followed yet, so all is owed.
    let child = call("run", dir.path(), &server, &["--once"]).start();
    under_way(&server);
    signal(&child, "TERM");
    let out = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(5), "{stdout}");
    assert!(stdout.contains("Argo CD goes on"), "{stdout}");
}

#[test]
fn a_terminal_shows_a_line_for_each_application_with_wave_health_and_time() {
    let Some(script) = program("script") else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = delivered(dir.path(), true);
    let inner = call("sync", dir.path(), &server, &["--app", APP, "--timeout", "4s"]);
    let mut terminal = inner.within(|command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let quoted: Vec<String> = words.map(|w| format!("'{}'", w.to_str().unwrap())).collect();
        let mut outer = Command::new(script);
        outer.args(["-q", "-e", "-c"]).arg(format!("stty cols 140 rows 40; {}", quoted.join(" ")));
        outer.arg(dir.path().join("typescript"));
        outer
    });
    let out = terminal.env("TERM", "xterm-256color").stdin(Stdio::null()).output().unwrap();
    assert_eq!(out.status.code(), Some(5), "{}", String::from_utf8_lossy(&out.stderr));
    let seen = String::from_utf8_lossy(&std::fs::read(dir.path().join("typescript")).unwrap()).into_owned();
    let line = regex::Regex::new(&format!(r"{APP}  wave 0  \w+  running[^\r\n\x1b]* 3s")).unwrap();
    assert!(line.is_match(&seen), "{seen:?}");
    // The lines are gone at the end; the result stays.
    let end = &seen[seen.rfind('\u{1b}').unwrap()..];
    assert!(end.contains("timed out"), "{end:?}");
}

#[test]
fn elsewhere_there_are_plain_lines_and_only_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = delivered(dir.path(), false);
    let ran = call("sync", dir.path(), &server, &["--app", APP, "-v"]).run().exits(0);
    assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'), "{}", ran.stderr);
    let line = ran.stderr.lines().find(|l| l.contains("running")).unwrap_or_default();
    assert!(line.contains(APP) && line.contains("wave=0") && line.contains("seconds="), "{}", ran.stderr);
    let silent = call("sync", dir.path(), &server, &["--app", APP]).run().exits(0);
    assert_eq!(silent.stderr, "");
}

#[test]
fn the_optional_parts_of_a_sync_reach_argo_cd_as_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let server = delivered(dir.path(), false);
    let more = ["--app", APP, "--prune=false", "--strategy", "apply", "--force", "--wait", "none"];
    call("sync", dir.path(), &server, &more).run().exits(0);
    let options =
        ["--sync-option", "Validate=false", "--resource", ":ConfigMap:vault/web,apps:Deployment:web"];
    call("sync", dir.path(), &server, &[&["--app", APP, "--wait", "none"], options.as_slice()].concat())
        .run()
        .exits(0);
    let posts = server.argocd.lock().apps[APP].posts.clone();
    assert_eq!(posts[0]["prune"], false);
    assert_eq!(posts[0]["strategy"], serde_json::json!({"apply": {"force": true}}));
    assert!(posts[0].get("syncOptions").is_none() && posts[0].get("resources").is_none());
    assert_eq!(posts[1]["syncOptions"]["items"], serde_json::json!(["Validate=false"]));
    let web = |group: &str, kind: &str, namespace: &str| serde_json::json!({"group": group, "kind": kind, "name": "web", "namespace": namespace});
    let wanted = serde_json::json!([web("", "ConfigMap", "vault"), web("apps", "Deployment", "")]);
    assert_eq!(posts[1]["resources"], wanted);
    assert!(posts[1].get("strategy").is_none());
    for (wrong, why) in [
        (vec!["--resource", ":ConfigMap:web"], "--app"),
        (vec!["--app", APP, "--resource", "ConfigMap/web"], "GROUP:KIND:[NAMESPACE/]NAME"),
        (vec!["--app", "argocd-projct-prod"], "did you mean `argocd-project-prod`"),
    ] {
        call("sync", dir.path(), &server, &wrong).run().exits(2).says(why);
    }
}

#[test]
fn the_audit_table_is_filtered_by_application_commit_run_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let server = delivered(dir.path(), false);
    let file = dir.path().join("audit.jsonl");
    let file = file.to_str().unwrap();
    for app in [APP, "root-prod"] {
        call("sync", dir.path(), &server, &["--app", app, "--audit", file]).run().exits(0);
    }
    let table = |more: &[&str]| hydrant(&[&["audit", "--audit", file], more].concat()).run().exits(0).stdout;
    let all = table(&[]);
    assert!(all.starts_with("TIME") && all.contains(APP) && all.contains("root-prod"), "{all}");
    let one = table(&["--app", APP]);
    assert!(one.lines().skip(1).all(|l| l.contains(APP)) && one.lines().count() > 2, "{one}");
    assert_eq!(table(&["--last", "1"]).lines().count(), 2);
    assert_eq!(table(&["--commit", "0000000"]).lines().count(), 1);
    let first = std::fs::read_to_string(file).unwrap();
    let first: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let run = table(&["--run", first["run"].as_str().unwrap()]);
    assert!(one.lines().skip(1).all(|l| run.contains(l.split("  ").next().unwrap())), "{run}");
    assert!(run.contains("preflight") && !run.contains("root-prod"), "{run}");
    assert_eq!(table(&["--commit", &first["revision"].as_str().unwrap()[..8]]), all);
}
