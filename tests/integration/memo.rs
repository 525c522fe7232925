//! What a cache folder remembers of the bindings: it saves work and decides nothing.

use crate::common::{Ran, project};
use crate::support::fleet::Fleet;
use crate::support::git::person_commits;
use crate::support::server::GitServer;
use std::path::PathBuf;

const BARGE: &str = "bindings/river-works/barge.yaml";

/// The fleet with tenants, delivered once with a cache of its own.
struct Scene {
    fleet: Fleet,
}

impl Scene {
    fn delivered() -> Self {
        let scene = Self { fleet: Fleet::copy_of(&project("fixtures/fleets/tenants")) };
        scene.run(&[]).exits(0);
        assert!(scene.checked().is_file(), "what was checked is remembered");
        scene
    }

    fn cache(&self) -> PathBuf {
        self.fleet.beside("cache")
    }

    fn run(&self, more: &[&str]) -> Ran {
        let cache = self.cache().display().to_string();
        self.fleet.run(&[&["--cache", &cache], more].concat())
    }

    /// The file with the texts that were checked.
    fn checked(&self) -> PathBuf {
        let fleets = std::fs::read_dir(self.cache().join("units")).expect("a memo");
        fleets.last().expect("a fleet").expect("a folder").path().join("checked")
    }

    fn barge(&self) -> String {
        std::fs::read_to_string(self.fleet.path().join(BARGE)).expect("the binding")
    }

    /// Asserts that a run without any cache would change nothing.
    #[track_caller]
    fn stands_as_made_anew(&self) {
        let empty = tempfile::tempdir().expect("folder");
        let ran = self.fleet.run(&["--cache", &empty.path().display().to_string()]);
        ran.exits(0).shows("nothing to commit");
    }
}

#[test]
fn a_changed_pipeline_among_known_ones_is_read_checked_and_delivered() {
    let scene = Scene::delivered();
    let known = std::fs::read(scene.checked()).expect("the file");
    scene.fleet.write(BARGE, &scene.barge().replace("tasks:", "description: new words\n      tasks:"));
    scene.run(&[]).exits(0).shows("committed");
    assert!(scene.fleet.git(&["grep", "-h", "new words", "main"]).contains("description: new words"));
    assert_ne!(std::fs::read(scene.checked()).expect("the file"), known);
    scene.stands_as_made_anew();
}

#[test]
fn a_pipeline_that_is_wrong_is_said_and_held_in_every_run() {
    let scene = Scene::delivered();
    let tree = scene.fleet.tree();
    scene.fleet.write(BARGE, &scene.barge().replace("kind: Pipeline", "kind: Task"));
    for _ in 0..2 {
        scene.run(&[]).exits(5).says("expected Pipeline, got Task");
        // Something else changes, so that no shortcut ends the run.
        scene.fleet.write("bindings/note.yaml", "# a remark\n");
    }
    assert_eq!(scene.fleet.tree(), tree);
}

#[test]
fn a_pipeline_with_a_warning_is_warned_of_in_every_run() {
    let scene = Scene::delivered();
    let odd = "spec:\n      params:\n        - name: repo-full-name\n          type: array\n";
    let text = scene.barge();
    assert!(text.contains("    spec:\n"), "{text}");
    scene.fleet.write(BARGE, &text.replacen("    spec:\n", &format!("    {odd}"), 1));
    for n in 0..3 {
        scene.run(&[]).exits(0).says("is declared as an array");
        scene.fleet.write("bindings/note.yaml", &format!("# remark {n}\n"));
    }
}

#[test]
fn a_tenant_that_takes_anothers_pipeline_text_is_checked_under_its_own_name() {
    let scene = Scene::delivered();
    let text = scene.barge();
    assert!(text.contains("pipelineName: barge"), "{text}");
    // The same text is right for one name and wrong for another.
    let named = text.replacen("    metadata:\n", "    metadata:\n      namespace: barge\n", 1);
    scene.fleet.write(BARGE, &named);
    scene.run(&[]).exits(0);
    scene.fleet.write(BARGE, &named.replace("pipelineName: barge", "pipelineName: lighter"));
    scene.run(&[]).exits(4).says("and the tenant is `lighter`");
}

#[test]
fn a_new_template_renders_pipelines_that_were_not_read_in_that_run() {
    let scene = Scene::delivered();
    scene.fleet.write("overlays/local/kustomization.yaml", "commonAnnotations:\n  example.com/seen: again\n");
    scene.run(&[]).exits(0).shows("committed");
    scene.stands_as_made_anew();
}

#[test]
fn a_stranger_among_tenants_that_stand_as_they_should_is_seen() {
    let scene = Scene::delivered();
    let tree = scene.fleet.tree();
    let root = "prodtest/harbour";
    for stray in ["tenants/river-works/stray/x.yaml", "apps/tenants/river-works/stray.yaml"] {
        let path = format!("{root}/{stray}");
        person_commits(&scene.fleet.repo(), "main", &[(&path, Some("a: b\n"))], "a stray");
        scene.run(&[]).exits(4).says("a stray").says("tenant/stray would be deleted");
        scene.run(&["--allow-delete", "tenant/stray"]).exits(0);
        assert_eq!(scene.fleet.tree(), tree, "{stray}");
    }
}

#[test]
fn an_empty_cache_is_filled_once_while_the_units_are_rendered() {
    let server = GitServer::start();
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n");
    let run = |cache: &str| {
        let cache = fleet.beside(cache).display().to_string();
        fleet.call(&["run"], &["--once", "--repo", &server.url(), "--cache", &cache]).run()
    };
    person_commits(&server.repo, "main", &[("README.md", Some("theirs\n"))], "start");
    run("cache").exits(0).shows("committed");
    let packs =
        || server.seen().iter().filter(|s| s.line.starts_with("POST /gitops.git/git-upload-pack")).count();
    let lists = || server.seen().iter().filter(|s| s.line.contains("service=git-upload-pack")).count();
    let (before, listed) = (packs(), lists());
    run("another").exits(0).shows("nothing to commit");
    // One look ahead, and one once there is something to compare.
    assert_eq!((packs() - before, lists() - listed), (1, 2));
    // A cache that is there needs no look ahead.
    fleet.component("more", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n");
    let listed = lists();
    run("another").exits(0).shows("committed");
    assert_eq!(lists() - listed, 1);
}

#[test]
fn a_server_that_is_away_while_the_units_are_rendered_is_said_once() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let cache = fleet.beside("cache").display().to_string();
    let url = format!("http://127.0.0.1:{port}/gitops.git");
    let ran = fleet.call(&["run"], &["--once", "--repo", &url, "--cache", &cache]).run().exits(3);
    assert_eq!(ran.stderr.matches("cannot read the branches of").count(), 1, "{}", ran.stderr);
}

#[test]
fn what_is_damaged_or_lies_in_the_cache_changes_no_byte() {
    let scene = Scene::delivered();
    let good = std::fs::read(scene.checked()).expect("the file");
    let mut flipped = good.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    for (n, bytes) in [&good[..10], b"", &flipped, &[0; 500]].into_iter().enumerate() {
        std::fs::write(scene.checked(), bytes).expect("written");
        scene.fleet.write("bindings/note.yaml", &format!("# remark {n}\n"));
        scene.run(&[]).exits(0).shows("nothing to commit");
        assert_eq!(std::fs::read(scene.checked()).expect("the file"), good, "mended");
    }
    scene.stands_as_made_anew();
}
