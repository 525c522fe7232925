//! Delivery against Git's own commands: `cargo bench --bench delivery -- 1000 5000` (numbers of
//! tenants on three clusters).
//!
//! 1. cold: the write and commit of all files, in this process, against `git add -A && git commit`
//!    of the same files in a work tree; and the whole run, rendering included;
//! 2. one changed tenant, the whole `hydrant run`, against `git add -A && git commit && git push` of
//!    as many changed files in a work tree of the same size; into a folder, and over HTTP;
//! 3. nothing changed: `hydrant run` against `git status`; and with an input that changed and gives
//!    the same bytes, so that no shortcut helps;
//! 4. an empty cache, over HTTP: `hydrant run` against `git clone --bare --depth 1`.
//!
//! Times are wall clock, in seconds, medians of runs that take turns. Peak memory comes from one more
//! run under /usr/bin/time, where it is there. The work tree is a clone of what Hydrant delivered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/scene.rs"]
mod scene;
#[allow(dead_code, clippy::print_stderr)]
mod support {
    #[path = "../../tests/integration/support/git.rs"]
    pub mod git;
    #[path = "../../tests/integration/support/server.rs"]
    pub mod server;
}

use hydrant::config::{DeliveryRequest, RenderRequest};
use hydrant::delivery;
use hydrant::edge::git::{GitSettings, Remote, Repository, Signature};
use hydrant::edge::memo::DiskMemo;
use hydrant::model::tree::{Edit, NoTree};
use hydrant::reconcile::{self, Progress, Tools};
use hydrant::stop::Stop;
use measure::{machine, median, memory, row, run, timed};
use scene::Place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::server::GitServer;

/// Pairs of runs.
const PAIRS: usize = 5;
/// Cold runs above this many tenants are measured once: they take minutes.
const MANY_TENANTS: usize = 1000;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![100] } else { sizes };
    println!("{}", machine());
    for tenants in sizes {
        let scene = Scene::new(tenants);
        println!("\nfleet-{tenants}: {} files on the branch", scene.files);
        scene.cold();
        scene.nothing_changed();
        scene.one_tenant();
        scene.over_http();
        println!("  load {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    }
}

struct Scene {
    place: Place,
    tenants: usize,
    files: usize,
}

impl Scene {
    /// Writes a fleet, delivers it once, and clones the result into a work tree.
    fn new(tenants: usize) -> Self {
        let place = Place::with_tenants(tenants);
        let mut scene = Self { place, tenants, files: 0 };
        run(&mut scene.deliver("repo", "cache"));
        scene.git(".", &["clone", "-q", "--bare", "repo", "theirs"]);
        scene.git(".", &["clone", "-q", "theirs", "work"]);
        let listed = Command::new("git").arg("-C").arg(scene.path("work")).arg("ls-files").output().unwrap();
        scene.files = listed.stdout.iter().filter(|b| **b == b'\n').count();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    fn deliver(&self, repo: &str, cache: &str) -> Command {
        let repo = if repo.contains("://") { repo.to_owned() } else { self.path(repo).display().to_string() };
        let mut command = self.place.hydrant(&["run", "--once", "--repo", &repo]);
        command.arg("--cache").arg(self.path(cache));
        command
    }

    fn git(&self, dir: &str, args: &[&str]) {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.path(dir)).args(["-c", "gc.auto=0", "-c", "user.name=Bench"]);
        run(command.args(["-c", "user.email=bench@example.org"]).args(args));
    }

    fn change(&self, word: &str) {
        fleet::change_one_tenant(&self.path("fleet"), 0, word).unwrap();
    }

    fn cold(&self) {
        let (mut ours, mut theirs, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        let pairs = if self.tenants > MANY_TENANTS { 1 } else { 3 };
        for n in 0..pairs {
            let (repo, cache) = (format!("cold-{n}"), format!("cold-cache-{n}"));
            whole.push(timed(|| run(&mut self.deliver(&repo, &cache))));
            ours.push(self.write_and_commit(&format!("written-{n}")));
            let work = format!("cold-work-{n}");
            self.git(".", &["clone", "-q", "theirs", &work]);
            fs::remove_dir_all(self.path(&work).join(".git")).unwrap();
            self.git(&work, &["init", "-q"]);
            theirs.push(timed(|| {
                self.git(&work, &["add", "-A"]);
                self.git(&work, &["commit", "-q", "-m", "bench"]);
            }));
        }
        let theirs = median(theirs);
        row("cold: git add -A && git commit", theirs, None);
        row("cold: our write and commit of the same files", median(ours), Some(theirs));
        row("cold: hydrant run, rendering and all", median(whole), Some(theirs));
        memory("hydrant run, cold", &self.deliver("cold-memory", "cold-memory-cache"));
    }

    /// Times diff and commit on an empty repository, with the units from a warm memo.
    fn write_and_commit(&self, repo: &str) -> f64 {
        let render = RenderRequest { fleet: self.path("fleet").into(), ..RenderRequest::default() };
        let definitions = reconcile::definitions(&render).unwrap();
        let fleet = reconcile::fleet(&definitions, &render.pick).unwrap();
        let memo = DiskMemo::open(&self.path("cache"), false);
        let tools = Tools {
            memo: &memo,
            progress: &Silent,
            stop: &Stop::never(),
            sync: None,
            types: None,
            quiet: true,
        };
        let target = reconcile::hydrate(&fleet, &render.pick, &tools).unwrap();
        let to = target.homes.values().next().unwrap().clone();
        let request = DeliveryRequest { render, ..DeliveryRequest::default() };
        let remote = Remote::parse(&self.path(repo).display().to_string()).unwrap();
        let settings = GitSettings { create: true, ..GitSettings::default() };
        let mut repository = Repository::open(&remote, &settings).unwrap();
        let who = Signature { name: "Bench".into(), email: "b@example.org".into(), seconds: 0, offset: 0 };
        timed(|| {
            let edits: Vec<Edit> =
                delivery::compare(&definitions, &fleet, &target, &to, &NoTree, &request).unwrap().edits;
            let commit = repository.commit(None, &edits, "bench", &who).unwrap();
            repository.push(commit, "main", None).unwrap();
        })
    }

    fn nothing_changed(&self) {
        let (mut ours, mut resolved, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        self.git("work", &["status", "--porcelain"]);
        for n in 0..PAIRS {
            ours.push(timed(|| run(&mut self.deliver("repo", "cache"))));
            theirs.push(timed(|| self.git("work", &["status", "--porcelain"])));
            let path = self.path("fleet").join("bindings/note.yaml");
            fs::write(&path, format!("# {n}\n")).unwrap();
            resolved.push(timed(|| run(&mut self.deliver("repo", "cache"))));
            fs::remove_file(path).unwrap();
        }
        let theirs = median(theirs);
        row("nothing changed: git status", theirs, None);
        row("nothing changed: hydrant run", median(ours), Some(theirs));
        row("nothing changed but a comment: hydrant run", median(resolved), Some(theirs));
    }

    fn one_tenant(&self) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for n in 0..PAIRS {
            self.change(&format!("local-{n}"));
            ours.push(timed(|| run(&mut self.deliver("repo", "cache"))));
            self.edit_one_tenant("work", n);
            theirs.push(timed(|| self.add_commit_push("work")));
        }
        let theirs = median(theirs);
        row("one tenant: git add -A && git commit && git push", theirs, None);
        row("one tenant: hydrant run", median(ours), Some(theirs));
        self.change("memory");
        memory("hydrant run, one tenant", &self.deliver("repo", "cache"));
    }

    /// Changes one file on each cluster, as a change of the pipeline does.
    fn edit_one_tenant(&self, work: &str, n: usize) {
        for cluster in glob(&self.path(work), 2) {
            let tenant = cluster.join("tenants/team-000/app-00000");
            let Some(file) =
                glob(&tenant, 4).into_iter().find(|f| f.to_string_lossy().contains("/pipeline-"))
            else {
                continue;
            };
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, format!("{text}# {n}\n")).unwrap();
        }
    }

    fn add_commit_push(&self, work: &str) {
        self.git(work, &["add", "-A"]);
        self.git(work, &["commit", "-q", "-m", "bench"]);
        self.git(work, &["push", "-q", "origin", "HEAD"]);
    }

    fn over_http(&self) {
        let (server, their_server) = (GitServer::start(), GitServer::start());
        for repo in [&server.repo, &their_server.repo] {
            self.git("repo", &["push", "-q", &repo.display().to_string(), "main"]);
        }
        let (url, their_url) = (server.url(), their_server.url());
        self.git(".", &["clone", "-q", &their_url, "http-work"]);
        run(&mut self.deliver(&url, "cache"));
        let (mut ours, mut theirs, mut empty, mut clone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for n in 0..3 {
            self.change(&format!("http-{n}"));
            ours.push(timed(|| run(&mut self.deliver(&url, "cache"))));
            self.edit_one_tenant("http-work", n);
            theirs.push(timed(|| self.add_commit_push("http-work")));
            empty.push(timed(|| run(&mut self.deliver(&url, &format!("empty-{n}")))));
            let into = format!("shallow-{n}");
            clone.push(timed(|| self.git(".", &["clone", "-q", "--bare", "--depth", "1", &url, &into])));
        }
        let (theirs, clone) = (median(theirs), median(clone));
        row("one tenant, HTTP: git add -A && git commit && git push", theirs, None);
        row("one tenant, HTTP: hydrant run", median(ours), Some(theirs));
        row("empty cache, HTTP: git clone --bare --depth 1", clone, None);
        row("empty cache, HTTP: hydrant run, nothing changed", median(empty), Some(clone));
        memory("hydrant run, empty cache, HTTP", &self.deliver(&url, "empty-memory"));
        self.change("http-empty");
        let one = timed(|| run(&mut self.deliver(&url, "empty-one")));
        row("empty cache, HTTP: hydrant run, one tenant", one, Some(clone));
    }
}

/// Returns everything that lies so many levels below a folder.
fn glob(dir: &Path, levels: usize) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut all = Vec::new();
    for _ in 0..levels {
        let below = |dir: &PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
        found = found.iter().filter(|p| !p.ends_with(".git")).flat_map(below).collect();
        all.extend(found.iter().cloned());
    }
    if levels == 2 { found } else { all }
}

struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: Option<u64>) {}
    fn step(&self) {}
    fn done(&self) {}
}
