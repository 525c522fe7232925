//! What others commit under our marks, through the built binary: rollbacks are honoured,
//! drift is put back, reported or refused, and older inputs never win.

use crate::common::{Ran, hydrant, project, write_files};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A fleet of our own, its GitOps repository, and a clone that a person works in.
struct Scene {
    dir: TempDir,
}

impl Scene {
    fn delivered() -> Self {
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        copy(&project("fixtures/fleets/quickstart"), &scene.path("fleet"));
        scene.run(&[]).exits(0);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, more: &[&str]) -> Ran {
        let (fleet, repo, cache) = (self.path("fleet"), self.path("gitops.git"), self.path("cache"));
        let mut args =
            vec!["run", "--once", "--fleet", fleet.to_str().unwrap(), "--repo", repo.to_str().unwrap()];
        args.extend(["--cache", cache.to_str().unwrap()]);
        args.extend(more);
        hydrant(&args).run()
    }

    /// Changes what every unit of prod looks like.
    fn label(&self, team: &str) {
        let text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\ncommonAnnotations:\n  team: {team}\n"
        );
        write_files(&self.path("fleet"), &[("overlays/prod/kustomization.yaml", &text)]);
    }

    fn clone_anew(&self) -> PathBuf {
        let clone = self.path("clone");
        let _ = std::fs::remove_dir_all(&clone);
        git(self.dir.path(), &["clone", "-q", "gitops.git", "clone"]);
        git(&clone, &["config", "user.name", "Ann"]);
        git(&clone, &["config", "user.email", "ann@example.org"]);
        clone
    }

    fn show(&self, path: &str) -> String {
        git(&self.path("gitops.git"), &["show", &format!("main:{path}")])
    }

    fn head(&self) -> String {
        git(&self.path("gitops.git"), &["rev-parse", "main"])
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let out = Command::new("git").current_dir(dir).args(args).output().expect("git starts");
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

const POLICY: &str = "prod/harbor/platform/vault-config/policy-gitops-prod.yaml";

#[test]
fn a_git_revert_is_honoured_until_the_fleet_gives_something_else() {
    let scene = Scene::delivered();
    scene.label("one");
    scene.run(&[]).exits(0);
    let clone = scene.clone_anew();
    git(&clone, &["revert", "--no-edit", "HEAD"]);
    git(&clone, &["push", "-q"]);
    scene
        .run(&[])
        .exits(5)
        .says("a rollback is honoured by Ann <ann@example.org>")
        .says("--release prod/harbor");
    assert!(!scene.show(POLICY).contains("team"));
    assert!(scene.show("prod/harbor/.hydrant").contains("\"held\""));
    // Again and again, also by an agent that knows nothing of the past, it stays.
    let head = scene.head();
    std::fs::remove_dir_all(scene.path("cache")).unwrap();
    scene.run(&[]).exits(5).says("a rollback is honoured");
    assert_eq!(scene.head(), head);
    // Another result ends it.
    scene.label("two");
    scene.run(&[]).exits(0);
    assert!(scene.show(POLICY).contains("team: two"));
    assert!(!scene.show("prod/harbor/.hydrant").contains("held"));
}

#[test]
fn a_person_ends_a_rollback_with_release() {
    let scene = Scene::delivered();
    scene.label("one");
    scene.run(&[]).exits(0);
    let clone = scene.clone_anew();
    git(&clone, &["revert", "--no-edit", "HEAD"]);
    git(&clone, &["push", "-q"]);
    scene.run(&[]).exits(5);
    scene.run(&["--release", "prod/harbor/platform/vault-config"]).exits(5);
    assert!(scene.show(POLICY).contains("team: one"));
    scene.run(&["--release", "prod/harbor"]).exits(0);
    assert!(!scene.show("prod/harbor/.hydrant").contains("held"));
    scene.run(&[]).exits(0).shows("nothing to commit");
}

#[test]
fn a_hand_edit_is_put_back_and_said_with_commit_author_and_file() {
    let scene = Scene::delivered();
    let before = scene.show(POLICY);
    let clone = scene.clone_anew();
    write_files(&clone, &[(POLICY, &format!("{before}# by hand\n"))]);
    git(&clone, &["commit", "-qam", "a quick fix"]);
    git(&clone, &["push", "-q"]);
    scene
        .run(&[])
        .exits(0)
        .says(POLICY)
        .says("by Ann <ann@example.org>")
        .says("a quick fix")
        .says("it is put back");
    assert_eq!(scene.show(POLICY), before);
}

#[test]
fn drift_is_only_reported_or_refused_where_that_is_asked() {
    let scene = Scene::delivered();
    let before = scene.show(POLICY);
    let clone = scene.clone_anew();
    write_files(&clone, &[(POLICY, &format!("{before}# by hand\n"))]);
    git(&clone, &["commit", "-qam", "a quick fix"]);
    git(&clone, &["push", "-q"]);
    let head = scene.head();
    scene.run(&["--drift", "fail"]).exits(4).says("edits that are not ours").says(POLICY);
    assert_eq!(scene.head(), head);
    scene.run(&["--drift", "report"]).exits(0).says("it stays as it is");
    assert!(scene.show(POLICY).ends_with("# by hand\n"));
    scene.run(&["--drift", "report"]).exits(0).says("stay");
    assert!(scene.show(POLICY).ends_with("# by hand\n"));
}

#[test]
fn a_slow_job_with_an_older_fleet_never_undoes_a_newer_delivery() {
    let scene = Scene::delivered();
    let fleet = scene.path("fleet");
    for args in [
        &["init", "-q", "-b", "main"] as &[&str],
        &["config", "user.name", "Ann"],
        &["config", "user.email", "a@b"],
    ] {
        git(&fleet, args);
    }
    let commit = |message: &str| {
        git(&fleet, &["add", "."]);
        git(&fleet, &["commit", "-qm", message]);
    };
    scene.label("old");
    commit("old");
    scene.label("new");
    commit("new");
    scene.run(&[]).exits(0);
    git(&fleet, &["checkout", "-q", "HEAD~1"]);
    scene.run(&[]).exits(0).says("left alone").says("--allow-older");
    assert!(scene.show(POLICY).contains("team: new"));
    scene.run(&["--allow-older"]).exits(0);
    assert!(scene.show(POLICY).contains("team: old"));
}

#[test]
fn a_run_of_unchanged_inputs_on_an_unchanged_branch_ends_without_rendering() {
    let scene = Scene::delivered();
    let report = scene.path("report.json");
    let head = scene.head();
    scene.run(&["-v", "--report", report.to_str().unwrap()]).exits(0).shows("nothing to commit");
    assert_eq!(scene.head(), head);
    let clean = std::fs::read_dir(scene.path("cache/clean")).unwrap().count();
    assert!(clean >= 1, "a clean run is remembered");
    // What somebody else does elsewhere in the repository does not matter; below our mark it does.
    let clone = scene.clone_anew();
    write_files(&clone, &[("README.md", "theirs\n")]);
    git(&clone, &["add", "."]);
    git(&clone, &["commit", "-qm", "a note"]);
    git(&clone, &["push", "-q"]);
    scene.run(&[]).exits(0).shows("nothing to commit");
    git(&clone, &["rm", "-q", POLICY]);
    git(&clone, &["commit", "-qm", "gone"]);
    git(&clone, &["push", "-q"]);
    scene.run(&[]).exits(0).says("it is put back");
    assert!(scene.show(POLICY).contains("kind: Policy"));
    assert_eq!(scene.show("README.md"), "theirs\n");
}
