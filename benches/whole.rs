//! Whole processes: `cargo bench --bench whole -- 20 100` (numbers of tenants on three clusters).
//!
//! 1. `hydrant render --out` against `kubectl kustomize` on the folders it wrote. Both give the
//!    same objects, which is checked first. kubectl reads manifests that are rendered already and
//!    prints them again; it has no templates to run and writes no files. It runs once for each
//!    folder, as Argo CD would run it, and, to leave its start-up out, once for each cluster over
//!    a kustomization that lists the folders.
//! 2. `hydrant run` into a local repository: cold, with nothing changed, with one tenant changed,
//!    and `git add -A && git commit` of the same files in a work tree.
//!
//! Times are wall clock, in seconds, medians of runs that take turns (A B A B), because the speed
//! of a machine drifts. Peak memory comes from one more run under /usr/bin/time, where it is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/scene.rs"]
mod scene;

use measure::{is_manifest, machine, median, memory, row, run, timed, walk};
use scene::Place;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pairs of runs for the fast commands; slow peers get fewer, see [`pairs`].
const PAIRS: usize = 5;
/// kubectl is left out above this many tenants: its single runs would take many minutes.
const KUBECTL_TENANTS: usize = 100;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![20, 100] } else { sizes };
    println!("{}", machine());
    for tenants in sizes {
        let scene = Scene::new(tenants);
        println!("\nfleet-{tenants}: {} objects in {} files", scene.objects, scene.files);
        scene.against_kubectl();
        scene.runs();
    }
}

struct Scene {
    place: Place,
    tenants: usize,
    folders: Vec<PathBuf>,
    objects: usize,
    files: usize,
}

impl Scene {
    fn new(tenants: usize) -> Self {
        let place = Place::with_tenants(tenants);
        let mut scene = Self { place, tenants, folders: Vec::new(), objects: 0, files: 0 };
        run(&mut scene.render("out", "cache-0"));
        let out = scene.path("out");
        let files = walk(&out);
        scene.files = files.len();
        scene.objects = files.iter().filter(|f| is_manifest(f)).count();
        scene.folders = outermost_kustomizations(&out);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    fn hydrant(&self, args: &[&str], cache: &str) -> Command {
        let mut command = self.place.hydrant(args);
        command.arg("--cache").arg(self.path(cache));
        command
    }

    fn render(&self, out: &str, cache: &str) -> Command {
        let mut command = self.hydrant(&["render"], cache);
        command.arg("--out").arg(self.path(out));
        command
    }

    fn deliver(&self, repo: &str, cache: &str) -> Command {
        let mut command = self.hydrant(&["run", "--once"], cache);
        command.arg("--repo").arg(self.path(repo));
        command
    }

    fn against_kubectl(&self) {
        let kubectl = Command::new("kubectl").arg("version").arg("--client").output();
        let Ok(version) = kubectl else {
            println!("  kubectl: not installed, not compared");
            return;
        };
        let version = String::from_utf8_lossy(&version.stdout);
        let kustomize = version.lines().find(|l| l.contains("Kustomize")).unwrap_or_default().to_owned();
        if self.tenants > KUBECTL_TENANTS {
            println!("  kubectl: left out above {KUBECTL_TENANTS} tenants");
            return;
        }
        let compared = self.same_objects();
        let clusters = self.one_kustomization_a_cluster();
        let (mut ours, mut each, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..pairs(self.tenants) {
            ours.push(timed(|| run(&mut self.render(&format!("r{n}"), &format!("cache-r{n}")))));
            each.push(timed(|| self.folders.iter().for_each(|f| drop(kustomize_build(f)))));
            whole.push(timed(|| clusters.iter().for_each(|f| drop(kustomize_build(f)))));
        }
        println!("  same {compared} objects from both ({} of kubectl)", kustomize.trim());
        let ours = median(ours);
        row("hydrant render --out, empty cache", ours, None);
        let (each, whole) = (median(each), median(whole));
        row(&format!("kubectl kustomize, {} folders, a process each", self.folders.len()), each, Some(ours));
        row(&format!("kubectl kustomize, {} clusters, a process each", clusters.len()), whole, Some(ours));
        memory("hydrant render --out", &self.render("r-memory", "cache-r-memory"));
        let mut command = Command::new("kubectl");
        memory("kubectl kustomize of one cluster", command.arg("kustomize").arg(&clusters[0]));
    }

    /// Asserts that kubectl gives the documents that the files hold; returns their number.
    fn same_objects(&self) -> usize {
        let mut theirs = BTreeSet::new();
        let mut ours = BTreeSet::new();
        for folder in &self.folders {
            theirs.extend(kustomize_build(folder).split("\n---\n").map(|d| d.trim_end().to_owned()));
            let files = reached(folder);
            ours.extend(files.iter().map(|f| fs::read_to_string(f).unwrap().trim_end().to_owned()));
        }
        assert!(!ours.is_empty());
        let only_ours: Vec<&String> = ours.difference(&theirs).take(1).collect();
        let only_theirs: Vec<&String> = theirs.difference(&ours).take(1).collect();
        assert!(ours == theirs, "not the same:\nours {only_ours:#?}\nkubectl {only_theirs:#?}");
        ours.len()
    }

    fn one_kustomization_a_cluster(&self) -> Vec<PathBuf> {
        let out = self.path("out");
        let roots: BTreeSet<PathBuf> = self
            .folders
            .iter()
            .map(|f| f.strip_prefix(&out).unwrap().components().take(2).collect())
            .collect();
        let mut made = Vec::new();
        for root in roots {
            let cluster = out.join(&root);
            let dir = self.path("clusters").join(&root);
            fs::create_dir_all(&dir).unwrap();
            let up = "../".repeat(dir.strip_prefix(self.place.root()).unwrap().components().count());
            let lines: String = self
                .folders
                .iter()
                .filter(|f| f.starts_with(&cluster))
                .map(|f| format!("- {up}{}\n", f.strip_prefix(self.place.root()).unwrap().display()))
                .collect();
            fs::write(dir.join("kustomization.yaml"), format!("resources:\n{lines}")).unwrap();
            made.push(dir);
        }
        made
    }

    fn runs(&self) {
        let (mut cold, mut no_op, mut one, mut git) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for n in 0..PAIRS {
            let (repo, cache) = (format!("repo-{n}"), format!("cache-repo-{n}"));
            cold.push(timed(|| run(&mut self.deliver(&repo, &cache))));
            git.push(self.git_add_and_commit(n));
            no_op.push(timed(|| run(&mut self.deliver(&repo, &cache))));
            fleet::change_one_tenant(&self.path("fleet"), 0, &format!("v{n}-changed")).unwrap();
            one.push(timed(|| run(&mut self.deliver(&repo, &cache))));
            fleet::change_one_tenant(&self.path("fleet"), 0, "v1").unwrap();
        }
        let cold = median(cold);
        row("hydrant run, empty repository and cache", cold, None);
        row("git add -A && git commit of the files, rendering not counted", median(git), Some(cold));
        row("hydrant run, nothing changed", median(no_op), Some(cold));
        row("hydrant run, one tenant changed", median(one), Some(cold));
        memory("hydrant run, cold", &self.deliver("repo-memory", "cache-memory"));
        memory("hydrant run, nothing changed", &self.deliver("repo-memory", "cache-memory"));
    }

    /// Renders into a fresh work tree, and times what git needs to commit it.
    fn git_add_and_commit(&self, n: usize) -> f64 {
        let name = format!("git-{n}");
        run(&mut self.render(&name, "cache-0"));
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(self.path(&name)).args(["-c", "gc.auto=0", "-c", "user.name=Bench"]);
            command.args(["-c", "user.email=bench@example.org"]).args(args);
            run(&mut command);
        };
        git(&["init", "-q"]);
        timed(|| {
            git(&["add", "-A"]);
            git(&["commit", "-q", "-m", "bench"]);
        })
    }
}

fn pairs(tenants: usize) -> usize {
    if tenants > 50 { 3 } else { PAIRS }
}

fn kustomize_build(folder: &Path) -> String {
    let out = Command::new("kubectl").arg("kustomize").arg(folder).output().expect("kubectl starts");
    assert!(out.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Returns what a kustomization.yaml lists.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
    text.lines().filter_map(|l| l.trim().strip_prefix("- ")).map(|name| folder.join(name)).collect()
}

/// Returns the manifests that a kustomization.yaml leads to. What stands in apps/ and bootstrap/
/// is Argo CD's own, and reached by none.
fn reached(folder: &Path) -> Vec<PathBuf> {
    let down = |path: PathBuf| if path.is_dir() { reached(&path) } else { vec![path] };
    listed(folder).into_iter().flat_map(down).collect()
}

/// Returns the folders that have a kustomization.yaml and that no other one lists.
fn outermost_kustomizations(out: &Path) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = walk(out)
        .into_iter()
        .filter(|f| f.file_name().unwrap() == "kustomization.yaml")
        .map(|f| f.parent().unwrap().to_owned())
        .collect();
    let below: BTreeSet<PathBuf> = all.iter().flat_map(|folder| listed(folder)).collect();
    all.into_iter().filter(|folder| !below.contains(folder)).collect()
}
