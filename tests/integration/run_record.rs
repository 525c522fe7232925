//! The record of a run in the note of its commit, and what is owed to Argo CD from it, through
//! the built binary, a Git server over HTTP and the fake Argo CD.

use crate::argocd::background::Background;
use crate::common::{Hydrant, Ran};
use crate::support::fleet::Fleet;
use crate::support::git::{fsck, git, git_command};
use crate::support::server::{GitServer, black_hole};
use hydrant::edge::git::NOTES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: NAME\n  namespace: lab\ndata:\n  \
                        text: {{ values.text }}\n";

/// A fleet of one cluster with the components `a` and `b`, delivered to a server, and an Argo
/// CD that reads it.
struct Scene {
    fleet: Fleet,
    server: GitServer,
    argocd: Background,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::of(&["east"]);
        for id in ["a", "b"] {
            fleet.component(id, &TEMPLATE.replace("NAME", id));
            fleet.write(&format!("templates/platform/{id}/values.yaml"), "text: one\n");
        }
        let server = GitServer::start();
        let argocd = Background::beside(&server.repo, "main");
        Self { fleet, server, argocd }
    }

    /// Changes what a component gives.
    fn change(&self, id: &str, text: &str) {
        self.fleet.write(&format!("templates/platform/{id}/values.yaml"), &format!("text: {text}\n"));
    }

    fn call(&self, cache: &Path, more: &[&str]) -> Hydrant {
        let (url, cache) = (self.server.url(), cache.display().to_string());
        let mut args = vec!["--once", "--repo", &url, "--cache", &cache];
        if !more.contains(&"--timeout") {
            args.extend(["--timeout", "20s"]);
        }
        args.extend(more);
        self.fleet.call(&["run"], &args)
    }

    /// Delivers and follows, with an empty cache.
    fn run(&self, more: &[&str]) -> Ran {
        let empty = tempfile::tempdir().unwrap();
        self.with_argocd(self.call(empty.path(), more)).run()
    }

    /// Delivers and dies before Argo CD is asked; what it left behind is the same.
    fn push_only(&self) -> Ran {
        let empty = tempfile::tempdir().unwrap();
        self.call(empty.path(), &["--no-sync"]).run().exits(0)
    }

    fn with_argocd(&self, call: Hydrant) -> Hydrant {
        call.env("ARGOCD_API_URL", &self.argocd.url).env("ARGOCD_API_TOKEN_FILE", &self.argocd.token_file)
    }

    /// Follows with an empty cache and returns which Applications were synced.
    fn synced(&self, more: &[&str]) -> BTreeSet<String> {
        let report = self.fleet.beside("report.json");
        let _ = std::fs::remove_file(&report);
        let mut args = vec!["--report", report.to_str().unwrap()];
        args.extend(more);
        self.run(&args).exits(0);
        let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        let outcomes =
            report["syncs"].as_array().unwrap().iter().flat_map(|s| s["outcomes"].as_array().unwrap());
        outcomes.map(|o| o["app"].as_str().unwrap().to_owned()).collect()
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.server.repo, args)
    }

    fn head(&self) -> String {
        self.git(&["rev-parse", "main"])
    }

    fn notes(&self) -> usize {
        let listed =
            git_command(&self.server.repo).args(["notes", "--ref=hydrant", "list"]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().lines().count()
    }

    /// Returns the record of a commit as plain Git reads it.
    fn record(&self, commit: &str) -> Value {
        serde_json::from_str(&self.git(&["notes", "--ref=hydrant", "show", commit])).unwrap()
    }

    /// Refuses every push to a reference that is no branch.
    fn refuse_notes(&self) {
        self.server.hook(
            "update",
            "#!/bin/sh\ncase $1 in refs/heads/*) exit 0;; esac\necho branches only >&2\nexit 1\n",
        );
    }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_run_that_changes_something_leaves_its_record_and_one_that_does_not_leaves_none() {
    let scene = Scene::new();
    scene.push_only();
    let first = scene.head();
    scene.change("a", "two");
    scene.push_only();
    let second = scene.head();
    scene.push_only().shows("nothing to commit");
    assert_eq!((scene.head(), scene.notes()), (second.clone(), 2));
    let (old, new) = (scene.record(&first), scene.record(&second));
    assert_eq!(old["schema"], 1);
    assert_eq!((&new["fleet"], &new["version"]), (&"default".into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!(new["time"], "2023-11-14T22:13:20Z");
    assert_eq!(new["destination"]["branch"], "main");
    assert_eq!((&new["destination"]["base"], &new["destination"]["tries"]), (&Value::from(first), &1.into()));
    assert_eq!(new["destination"]["repo"], scene.server.url());
    assert_eq!(new["clusters"]["lab/east"]["changed"], 1);
    assert_eq!(new["clusters"]["lab/east"]["listed"], serde_json::json!(["platform/a"]));
    assert!(old["clusters"]["lab/east"]["added"].as_u64().unwrap() > 5);
    assert_eq!(old["templates"], new["templates"]);
    assert_ne!(old["inputs"], new["inputs"]);
    let trailer = scene.git(&["show", "-s", "--format=%(trailers:key=Hydrant-Inputs,valueonly)", &second]);
    assert_eq!(new["inputs"], trailer.trim());
    // Keys are sorted, and the last line is closed.
    let text = scene.git(&["notes", "--ref=hydrant", "show", &second]);
    let keys: Vec<&str> = text.lines().filter(|l| l.starts_with("  \"")).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    fsck(&scene.server.repo);
}

#[test]
fn an_agent_with_an_empty_cache_syncs_exactly_what_another_left_owed() {
    let scene = Scene::new();
    let all = scene.synced(&[]);
    assert!(all.contains("a-lab") && all.contains("b-lab") && all.contains("root-lab"), "{all:?}");
    let followed = &scene.record(&scene.head())["followed"]["main"];
    assert_eq!(*followed, serde_json::json!({"since": scene.head()}));
    // All is followed: a run without changes asks for nothing, and writes nothing.
    let tip = scene.git(&["rev-parse", NOTES]);
    assert_eq!(scene.synced(&[]), names(&[]));
    assert_eq!(scene.git(&["rev-parse", NOTES]), tip);
    // Two agents die between the push and the sync.
    scene.change("a", "two");
    scene.push_only();
    scene.change("b", "two");
    scene.push_only();
    assert_eq!(scene.synced(&[]), names(&["a-lab", "b-lab"]));
    assert_eq!(scene.synced(&[]), names(&[]));
    // A change that was taken back before anybody followed it may be live: it is owed too.
    scene.change("a", "three");
    scene.push_only();
    scene.change("a", "two");
    scene.push_only();
    assert_eq!(scene.synced(&[]), names(&["a-lab"]));
    // A change and what is owed from before go together.
    scene.change("a", "four");
    scene.push_only();
    scene.change("b", "four");
    assert_eq!(scene.synced(&[]), names(&["a-lab", "b-lab"]));
    assert_eq!(scene.synced(&[]), names(&[]));
}

#[test]
fn what_a_killed_agent_pushed_is_synced_by_the_next_with_an_empty_cache() {
    let scene = Scene::new();
    scene.run(&[]).exits(0);
    let before = scene.head();
    scene.change("b", "two");
    // An Argo CD that accepts and says nothing: the agent has pushed and waits when it is killed.
    let (nobody, empty) = (black_hole(), tempfile::tempdir().unwrap());
    let call = scene.call(empty.path(), &[]).env("ARGOCD_API_URL", format!("http://{nobody}"));
    let mut child = call.env("ARGOCD_API_TOKEN_FILE", &scene.argocd.token_file).start();
    let begun = std::time::Instant::now();
    while scene.head() == before {
        assert!(begun.elapsed().as_secs() < 120, "it never pushed");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = &scene.record(&scene.head())["followed"]["main"];
    assert_eq!(*left, serde_json::json!({"since": before}), "the note came with the push");
    assert_eq!(scene.synced(&[]), names(&["b-lab"]));
    assert_eq!(scene.synced(&[]), names(&[]));
}

#[test]
fn the_record_joins_source_commit_delivery_sync_and_health_and_keeps_no_token() {
    let scene = Scene::new();
    let password = "canary-Pa55word-7d1f";
    scene.server.demand("robot", password);
    let with_login = |call: Hydrant| {
        scene.with_argocd(call).env("HYDRANT_GIT_USERNAME", "robot").env("HYDRANT_GIT_PASSWORD", password)
    };
    // The fleet lies in Git, so that it has a commit.
    let path = scene.fleet.path();
    git(&path, &["init", "-q", "-b", "main"]);
    git(&path, &["add", "-A"]);
    git(&path, &["commit", "-q", "-m", "fleet"]);
    let source = git(&path, &["rev-parse", "HEAD"]);
    let empty = tempfile::tempdir().unwrap();
    with_login(scene.call(empty.path(), &[])).run().exits(0);
    let (head, record) = (scene.head(), scene.record(&scene.head()));
    assert_eq!(record["source"]["commit"], source.as_str());
    let trail = record["trail"].as_array().unwrap();
    let a = trail.iter().find(|l| l["event"] == "outcome" && l["application"] == "a-lab").unwrap();
    for (key, value) in [
        ("sourceCommit", source.as_str()),
        ("revision", &head),
        ("syncedRevision", &head),
        ("phase", "Succeeded"),
        ("sync", "Synced"),
        ("health", "Healthy"),
        ("result", "live"),
        ("run", record["run"].as_str().unwrap()),
    ] {
        assert_eq!(a[key], value, "{key}");
    }
    // The same trail is read from the notes of the repository, by anybody who may read it.
    let audit = |more: &[&str]| {
        let cache = empty.path().display().to_string();
        let mut args = vec!["audit", "--repo"];
        let url = scene.server.url();
        args.extend([url.as_str(), "--cache", &cache]);
        args.extend(more);
        let call = crate::common::hydrant(&args);
        call.env("HYDRANT_GIT_USERNAME", "robot").env("HYDRANT_GIT_PASSWORD", password).run().exits(0).stdout
    };
    let table = audit(&[]);
    assert!(table.contains("delivered") && table.contains("Succeeded/Synced  Healthy"), "{table}");
    assert!(audit(&["--app", "a-lab"]).lines().skip(1).all(|l| l.contains("a-lab")));
    assert!(audit(&["--app", "a-lab"]).lines().count() > 1);
    assert!(audit(&["--commit", &head[..12]]).contains("b-lab"));
    assert_eq!(audit(&["--commit", "1234567"]).lines().count(), 1);
    assert_eq!(audit(&["--last", "2"]).lines().count(), 3);
    // Not a byte of a secret, in whatever form, in anything that notes ever held.
    let token = std::fs::read_to_string(&scene.argocd.token_file).unwrap();
    let objects = scene.git(&["rev-list", "--objects", NOTES]);
    for line in objects.lines() {
        let id = line.split(' ').next().unwrap();
        let kind = scene.git(&["cat-file", "-t", id]);
        let text = scene.git(&["cat-file", if kind == "tree" { "-p" } else { &kind }, id]);
        assert!(!text.contains(password) && !text.contains("canary"), "{text}");
        assert!(token.trim().split('.').all(|part| part.len() < 12 || !text.contains(part)), "{text}");
        assert!(!text.contains("cm9ib3Q6"), "robot: in base64: {text}");
    }
    assert!(!table.contains(password));
}

#[test]
fn where_notes_are_refused_argo_cd_itself_is_asked_what_is_owed() {
    let scene = Scene::new();
    scene.refuse_notes();
    let first = scene.run(&[]).exits(0);
    assert!(
        first.stderr.contains("the run's record was not written to refs/notes/hydrant")
            && first.stderr.contains("branches only"),
        "{}",
        first.stderr
    );
    assert_eq!(scene.git(&["for-each-ref", "refs/notes", "refs/hydrant"]), "");
    assert_eq!(scene.synced(&[]), names(&[]), "Argo CD says that all is live");
    scene.change("a", "two");
    scene.push_only();
    assert_eq!(scene.synced(&[]), names(&["a-lab"]));
    assert_eq!(scene.synced(&[]), names(&[]));
    // With its cache an agent needs neither.
    let cache = tempfile::tempdir().unwrap();
    scene.with_argocd(scene.call(cache.path(), &[])).run().exits(0);
    let away = scene.call(cache.path(), &[]).env("ARGOCD_API_URL", "http://127.0.0.1:9");
    away.env("ARGOCD_API_TOKEN_FILE", &scene.argocd.token_file).run().exits(0).shows("nothing to commit");
}

#[test]
fn what_failed_stays_owed_until_somebody_gets_it_there_and_is_noted_once() {
    let scene = Scene::new();
    scene.run(&[]).exits(0);
    let settled = scene.head();
    scene.change("a", "two");
    let away = |scene: &Scene| {
        let empty = tempfile::tempdir().unwrap();
        let call = scene.call(empty.path(), &["--timeout", "2s"]).env("ARGOCD_API_URL", "http://127.0.0.1:9");
        call.env("ARGOCD_API_TOKEN_FILE", &scene.argocd.token_file).run().exits(3)
    };
    away(&scene).shows("committed");
    let followed = &scene.record(&scene.head())["followed"]["main"];
    let owed = &followed["clusters"]["lab/east"];
    assert_eq!(owed["applications"].as_object().unwrap().len(), 1, "{followed}");
    assert!(
        owed["applications"].as_object().unwrap().iter().all(|(k, v)| k.ends_with("/a-lab") && v.is_null())
    );
    assert_eq!(owed["since"], scene.head());
    // The same failure again says nothing new.
    let tip = scene.git(&["rev-parse", NOTES]);
    away(&scene).shows("nothing to commit");
    assert_eq!(scene.git(&["rev-parse", NOTES]), tip);
    assert_ne!(scene.head(), settled);
    assert_eq!(scene.synced(&[]), names(&["a-lab"]));
    assert_eq!(scene.record(&scene.head())["followed"]["main"], serde_json::json!({"since": scene.head()}));
    assert_eq!(scene.synced(&[]), names(&[]));
}

#[test]
fn what_a_forge_merged_is_found_and_synced() {
    let scene = Scene::new();
    scene.run(&[]).exits(0);
    for way in ["merge", "squash"] {
        // Our change waits on a branch of its own until somebody merges it.
        scene.git(&["update-ref", "refs/heads/proposal", "main"]);
        scene.change("a", way);
        let empty = tempfile::tempdir().unwrap();
        scene.call(empty.path(), &["--no-sync", "--branch", "proposal"]).run().exits(0).shows("committed");
        let temp = tempfile::tempdir().unwrap();
        git(temp.path(), &["clone", "-q", &scene.server.repo.display().to_string(), "w"]);
        let work = temp.path().join("w");
        match way {
            "merge" => {
                git(&work, &["merge", "-q", "--no-ff", "-m", "Merge request 1", "origin/proposal"]);
            }
            _ => {
                git(&work, &["merge", "-q", "--squash", "origin/proposal"]);
                git(&work, &["commit", "-q", "-m", "Merge request 2"]);
            }
        }
        git(&work, &["push", "-q", "origin", "HEAD:main"]);
        let head = scene.head();
        assert_eq!(scene.synced(&[]), names(&["a-lab"]), "{way}");
        assert_eq!(scene.synced(&[]), names(&[]), "{way}");
        if way == "merge" {
            assert_eq!(scene.head(), head, "nothing was left to commit");
        }
    }
}

#[test]
fn a_note_that_is_no_record_is_ignored_with_a_warning_and_written_over() {
    let scene = Scene::new();
    scene.run(&[]).exits(0);
    let head = scene.head();
    let folder = tempfile::tempdir().unwrap();
    let deep = "[".repeat(200_000);
    let typed = "{\"schema\": 1, \"fleet\": {}, \"trail\": 7}";
    let long = format!("{{\"schema\": 1, \"fleet\": \"default\", \"run\": \"{}\"}}", "x".repeat(2 << 20));
    for (what, text) in
        [("words", "looked at \u{1b}[31mthis"), ("deep", &deep), ("typed", typed), ("long", &long)]
    {
        let file = folder.path().join(what);
        std::fs::write(&file, text).unwrap();
        scene.git(&["notes", "--ref=hydrant", "add", "-f", "-F", file.to_str().unwrap(), &head]);
        let ran = scene.run(&[]).exits(0);
        assert!(!ran.stderr.contains('\u{1b}'));
        if what != "long" {
            assert!(
                ran.stderr.contains("the record of the last run cannot be read"),
                "{what}: {}",
                ran.stderr
            );
        }
        let followed = &scene.record(&head)["followed"]["main"];
        assert_eq!(*followed, serde_json::json!({"since": head}), "{what}: asked of Argo CD, and noted anew");
    }
    // A newer Hydrant's record is not ours to write over.
    let newer = folder.path().join("newer");
    std::fs::write(&newer, "{\"schema\": 2, \"fleet\": \"default\"}\n").unwrap();
    scene.git(&["notes", "--ref=hydrant", "add", "-f", "-F", newer.to_str().unwrap(), &head]);
    let ran = scene.run(&[]).exits(0);
    assert!(ran.stderr.contains("written by a newer Hydrant"), "{}", ran.stderr);
    assert_eq!(scene.record(&head)["schema"], 2);
    let table =
        crate::common::hydrant(&["audit", "--repo", scene.server.repo.to_str().unwrap()]).run().exits(0);
    assert!(table.stdout.contains("1 notes are no records and were left out"), "{}", table.stdout);
}

#[test]
fn a_run_of_a_part_says_nothing_of_the_rest() {
    let scene = Scene::new();
    scene.fleet.write("overlays/yard/values.yaml", "{}\n");
    scene.fleet.write("clusters/west/cluster.yaml", &crate::support::fleet::cluster_yaml("west", "yard"));
    scene.run(&[]).exits(0);
    scene.change("a", "two");
    scene.push_only();
    assert_eq!(scene.synced(&["--cluster", "east"]), names(&["a-lab"]));
    assert_eq!(scene.synced(&["--cluster", "east"]), names(&[]));
    assert_eq!(scene.synced(&[]), names(&["a-yard"]));
    assert_eq!(scene.synced(&[]), names(&[]));
    assert_eq!(scene.record(&scene.head())["followed"]["main"], serde_json::json!({"since": scene.head()}));
}

#[test]
fn hydrant_sync_follows_what_is_owed_and_says_so_in_the_record() {
    let scene = Scene::new();
    scene.run(&[]).exits(0);
    scene.change("a", "two");
    scene.push_only();
    scene.change("b", "two");
    scene.push_only();
    let empty = tempfile::tempdir().unwrap();
    let (url, cache) = (scene.server.url(), empty.path().display().to_string());
    let call = scene.fleet.call(&["sync"], &["--repo", &url, "--cache", &cache, "--timeout", "20s"]);
    let ran = scene.with_argocd(call).run().exits(0);
    assert!(ran.stdout.contains("a-lab") && ran.stdout.contains("b-lab"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("root-lab"), "{}", ran.stdout);
    assert_eq!(scene.synced(&[]), names(&[]));
}
