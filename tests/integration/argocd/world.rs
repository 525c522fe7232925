//! What a running Argo CD knows and does, as it was observed: operations, comparisons,
//! refreshes, windows, auto-sync. The times are those of a tiny Application.

use super::clock::TestClock;
use super::scenario::{App as Given, Op, Scenario, Server, sha};
use hydrant::edge::argocd::clock::Clock as _;
use hydrant::edge::argocd::verdict::Ancestry;
use hydrant::yaml::{Limits, Schema, read_one};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::broadcast;

pub const REPO: &str = "https://git.example/fleet.git";
const START: &str = "2026-11-21T06:00:00Z";

/// One Application in Argo CD.
pub struct AppState {
    pub given: Given,
    pub exists: bool,
    pub spec: Value,
    pub ours: Value,
    version: u64,
    operation: Option<Value>,
    state: Option<Value>,
    /// The commit whose content is live.
    live: String,
    sync: (String, String),
    health: String,
    pub reconciled: u64,
    conditions: Vec<(String, String)>,
    history: Vec<Value>,
    drift: bool,
    prune_left: bool,
    /// Commits that were tried, with the phase.
    tried: BTreeMap<String, String>,
    pub operations: usize,
    pub posts: Vec<Value>,
    /// When it was asked for, in milliseconds of the clock.
    pub asked_at: Vec<u64>,
    /// Every state it was ever in, for streams that lag.
    pub past: Vec<Value>,
    pub terminated: bool,
    terminate: bool,
}

pub struct World {
    pub apps: BTreeMap<String, AppState>,
    pub server: Server,
    commits: Vec<String>,
    head: String,
    start_head: String,
    version: u64,
    pub seen: BTreeMap<usize, u32>,
    pub webhooks: usize,
    /// How often each kind of call was made.
    pub calls: BTreeMap<&'static str, usize>,
    /// A real repository and branch, in place of the list of commits.
    git: Option<Repo>,
    events: broadcast::Sender<String>,
}

/// A bare repository that Argo CD reads.
#[derive(Clone)]
struct Repo {
    dir: PathBuf,
    branch: String,
}

impl Repo {
    fn git(&self, args: &[&str]) -> Option<String> {
        let out = Command::new("git").arg("-C").arg(&self.dir).args(args).output().unwrap();
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
    }

    /// Returns the Applications of a commit: every file below `apps/` and the root's.
    fn applications(&self, commit: &str) -> Vec<Value> {
        let files = self.git(&["ls-tree", "-r", "--name-only", commit]).unwrap_or_default();
        let is_app =
            |f: &&str| f.ends_with(".yaml") && (f.contains("/apps/") || f.ends_with("/root-app.yaml"));
        let read = |f: &str| {
            let text = self.git(&["show", &format!("{commit}:{f}")]).unwrap();
            read_one(text.as_bytes(), &Limits::manifests()).unwrap().to_value(Schema::Kubectl).unwrap()
        };
        files.lines().filter(is_app).map(read).filter(|m| m["kind"] == "Application").collect()
    }
}

/// A world and its time.
#[derive(Clone)]
pub struct ArgoCd {
    pub world: Arc<Mutex<World>>,
    pub clock: TestClock,
}

/// The branch as a list: what stands later is newer.
pub struct Branch(pub Vec<String>);

impl Ancestry for Branch {
    fn is_ancestor(&self, older: &str, newer: &str) -> Option<bool> {
        let place = |c: &str| self.0.iter().position(|x| sha(x) == c);
        Some(place(older)? < place(newer)?)
    }
}

impl ArgoCd {
    pub fn new(scenario: &Scenario, clock: TestClock) -> Self {
        let apps =
            scenario.apps.iter().map(|given| (given.name.clone(), AppState::new(given, scenario))).collect();
        let head = sha(&scenario.push);
        let world = World {
            apps,
            server: scenario.server.clone(),
            commits: scenario.commits.iter().map(|c| sha(c)).collect(),
            start_head: sha(&scenario.commits[0]),
            head,
            version: 1000,
            seen: BTreeMap::new(),
            webhooks: 0,
            calls: BTreeMap::new(),
            git: None,
            events: broadcast::channel(1024).0,
        };
        let argocd = Self { world: Arc::new(Mutex::new(world)), clock };
        for (at, commit) in scenario.later.clone() {
            let (this, at) = (argocd.clone(), at.parse::<f64>().unwrap());
            tokio::spawn(async move {
                this.clock.sleep(Duration::from_secs_f64(at)).await;
                this.lock().head = sha(&commit);
            });
        }
        for given in &scenario.apps {
            if let Some(running) = &given.running {
                argocd.already_running(&given.name, running);
            }
        }
        argocd
    }

    /// Reads a real repository from now on: its Applications are those that exist.
    pub fn read_from(&self, dir: &Path, branch: &str) {
        self.lock().git = Some(Repo { dir: dir.to_owned(), branch: branch.to_owned() });
        self.look_at_git();
    }

    /// Takes over what a push has brought, if a real repository is read.
    pub fn look_at_git(&self) {
        let Some(repo) = self.lock().git.clone() else { return };
        let Some(head) = repo.git(&["rev-parse", &format!("refs/heads/{}", repo.branch)]) else { return };
        if self.lock().head == head {
            return;
        }
        let manifests = repo.applications(&head);
        let mut world = self.lock();
        world.commits.push(head.clone());
        world.head = head;
        for manifest in manifests {
            let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
            let spec = manifest["spec"].clone();
            let app = world.apps.entry(name.clone()).or_insert_with(|| AppState::fresh(&name, &spec));
            app.spec = spec;
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn now(&self) -> f64 {
        self.clock.now().as_secs_f64()
    }

    fn within(&self, span: Option<(f64, f64)>) -> bool {
        span.is_some_and(|(from, to)| self.now() >= from && self.now() < to)
    }

    pub fn kubernetes_down(&self) -> bool {
        let span = self.lock().server.kubernetes_down;
        self.within(span)
    }

    fn controller_down(&self) -> bool {
        let span = self.lock().server.controller_down;
        self.within(span)
    }

    fn git_down(&self) -> bool {
        let span = self.lock().server.git_down;
        self.within(span)
    }

    pub fn window_closed(&self) -> bool {
        let windows = self.lock().server.windows.clone();
        windows.into_iter().any(|w| self.within(Some(w)))
    }

    pub fn subscribe(&self) -> broadcast::Receiver<String> {
        self.lock().events.subscribe()
    }

    async fn sleep(&self, millis: u64) {
        self.clock.sleep(Duration::from_millis(millis)).await;
    }

    /// Changes an Application, gives it a new version and tells the streams.
    fn change(&self, name: &str, change: impl FnOnce(&mut AppState)) {
        let mut world = self.lock();
        world.version += 1;
        let version = world.version;
        let mischief = world.server.stream_mischief > 0;
        if let Some(app) = world.apps.get_mut(name) {
            change(app);
            app.version = version;
            if mischief {
                let now = app.object();
                app.past.push(now);
            }
        }
        let _ = world.events.send(name.to_owned());
    }

    fn stamp(&self) -> String {
        let time =
            START.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_secs(self.now() as i64);
        time.to_string()
    }

    /// Sets an operation and lets the controller work on it.
    pub fn begin(&self, name: &str, operation: Value) {
        self.change(name, |app| {
            app.operation = Some(operation);
            app.state = None;
            app.terminate = false;
        });
        let (this, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move { this.operate(&name).await });
    }

    fn already_running(&self, name: &str, running: &super::scenario::Running) {
        let by = match running.by.as_str() {
            "auto" => json!({"automated": true}),
            "hydrant" => json!({"username": "hydrant"}),
            other => json!({"username": other}),
        };
        let mut operation = json!({"sync": {"revision": sha(&running.commit)}, "initiatedBy": by});
        if running.by == "hydrant" {
            operation["info"] =
                json!([{"name": "hydrant-run", "value": "older"}, {"name": "hydrant-try", "value": "1"}]);
        }
        let state = json!({"phase": "Running", "operation": operation, "startedAt": START, "message": running.message});
        self.change(name, |app| {
            app.operation = Some(operation.clone());
            app.state = Some(state);
        });
        let (this, name, ends, commit) = (self.clone(), name.to_owned(), running.ends, sha(&running.commit));
        tokio::spawn(async move {
            let mut waited = 0.0;
            while (ends == 0.0 || waited < ends) && !this.lock().apps[&name].terminate {
                this.sleep(100).await;
                waited += 0.1;
            }
            if this.lock().apps[&name].terminate {
                this.finish(&name, "Failed", "Operation terminated", &[], &commit);
            } else {
                this.applied(&name, &commit);
                this.finish(&name, "Succeeded", "successfully synced (all tasks run)", &[], &commit);
            }
            this.sleep(26).await;
            this.compare(&name);
        });
    }

    async fn operate(&self, name: &str) {
        self.sleep(10).await;
        while self.controller_down() || self.lock().apps[name].given.skipped {
            self.sleep(200).await;
        }
        let (operation, op) = {
            let mut world = self.lock();
            let app = world.apps.get_mut(name).unwrap();
            let Some(operation) = app.operation.clone() else { return };
            let number = app.operations;
            app.operations += 1;
            let op =
                app.given.operations.get(number).or(app.given.operations.last()).cloned().unwrap_or_default();
            (operation, op)
        };
        let started = self.stamp();
        let running = |message: &str| json!({"phase": "Running", "message": message, "startedAt": started, "operation": operation});
        self.change(name, |app| app.state = Some(running("")));
        let asked =
            operation.pointer("/sync/revision").and_then(Value::as_str).unwrap_or_default().to_owned();
        let hydrated = self.lock().apps[name].given.source == "hydrator";
        let commit = if hydrated { sha("hydrated") } else { self.resolve(&operation) };
        if self.git_down()
            || !self.lock().commits.contains(&commit) && commit.len() == 40 && self.is_ours(name)
        {
            self.sleep(150).await;
            let why = if self.git_down() {
                "rpc error: code = Unavailable desc = connection error"
            } else {
                "fatal: remote error: upload-pack: not our ref"
            };
            let message = format!(
                "ComparisonError: Failed to load target state: failed to generate manifest for source 1 of 1: {why}"
            );
            self.finish(name, "Error", &message, &[], &asked);
            self.sleep(20).await;
            self.compare(name);
            return;
        }
        let mut message = op.message.clone();
        for n in 1..=op.retries {
            self.sleep(140).await;
            let mut waiting = running(&format!("one or more tasks failed. Retrying attempt #{n} at 6:52AM."));
            waiting["finishedAt"] = json!(self.stamp());
            waiting["retryCount"] = json!(n);
            self.change(name, |app| app.state = Some(waiting));
            self.sleep(5_000 * (1 << n)).await;
            self.change(name, |app| app.state = Some(running("Retrying operation.")));
            if op.end == "Failed" {
                message = format!("{} (retried {n} times).", op.message);
            }
        }
        for child in self.lock().apps[name].given.applies.clone() {
            let this = self.clone();
            tokio::spawn(async move {
                this.sleep(120).await;
                this.change(&child, |app| {
                    app.exists = true;
                    app.given.stale_spec = false;
                    app.spec = app.ours.clone();
                });
                this.sleep(50).await;
                this.compare(&child);
            });
        }
        self.sleep(250 + (op.takes * 1000.0) as u64).await;
        let mut waited_for = op.message.clone();
        loop {
            let terminated = self.lock().apps[name].terminate;
            let waiting = op.forever || op.waits_for_children && self.unhealthy_child(name, &mut waited_for);
            let window = self.window_closed()
                && self.lock().apps[name].given.operations.iter().any(|o| o.message == "window");
            if terminated && !window {
                self.finish(name, "Failed", "Operation terminated", &[], &commit);
                self.sleep(26).await;
                self.compare(name);
                return;
            }
            if !waiting && !window {
                break;
            }
            let mut state =
                running(if window { "Sync operation blocked by sync window" } else { &waited_for });
            if terminated {
                state["phase"] = json!("Terminating");
            }
            if self.lock().apps[name].state.as_ref() != Some(&state) {
                self.change(name, |app| app.state = Some(state));
            }
            self.sleep(500).await;
        }
        let end = if op.end.is_empty() { "Succeeded" } else { &op.end };
        if (end == "Succeeded" || op.applied)
            && !op.nothing
            && operation.pointer("/sync/dryRun") != Some(&json!(true))
        {
            self.applied(name, &commit);
            self.health_follows(name, &op);
        }
        if end == "Succeeded" && message.is_empty() {
            message = "successfully synced (all tasks run)".into();
        }
        let objects: Vec<(String, String)> = op.objects.clone().into_iter().collect();
        self.finish(name, end, &message, &objects, &commit);
        if operation.pointer("/sync/dryRun") == Some(&json!(true)) {
            return;
        }
        // OutOfSync for a moment, as on the wire, then the comparison with the branch.
        let late = self.lock().apps[name].given.compared_after;
        self.sleep(26 + (late * 1000.0) as u64).await;
        let head = self.git_head();
        self.change(name, |app| app.sync = ("OutOfSync".into(), head));
        self.sleep(31).await;
        self.compare(name);
        self.heal(name, &operation);
    }

    /// selfHeal's own partial operation, seen on a running server: at once after the first
    /// one, then twice as late each time.
    fn heal(&self, name: &str, after: &Value) {
        let tries = after.pointer("/sync/autoHealAttemptsCount").and_then(Value::as_u64).unwrap_or(0);
        let (heals, kind) = {
            let world = self.lock();
            let given = &world.apps[name].given;
            let forbidden = given.prune_forbidden && given.policy == "auto";
            (forbidden || tries < given.heals, if forbidden { "Namespace" } else { "ConfigMap" })
        };
        if !heals {
            return;
        }
        let (this, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            this.sleep(if tries == 0 { 20 } else { 1_000 << tries.min(8) }).await;
            if this.lock().apps[&name].operation.is_none() {
                let sync = json!({"revision": this.git_head(), "prune": true, "resources": [{"kind": kind, "name": "gone"}], "autoHealAttemptsCount": tries + 1});
                this.begin(
                    &name,
                    json!({"sync": sync, "initiatedBy": {"automated": true}, "retry": {"limit": 5}}),
                );
            }
        });
    }

    fn is_ours(&self, name: &str) -> bool {
        !matches!(self.lock().apps[name].given.source.as_str(), "chart" | "foreign" | "hydrator")
    }

    fn unhealthy_child(&self, name: &str, message: &mut String) -> bool {
        let world = self.lock();
        let sick = world.apps[name].given.applies.iter().find(|c| {
            let child = &world.apps[*c];
            child.health != "Healthy" || !child.exists
        });
        if let Some(child) = sick {
            *message = format!("waiting for healthy state of argoproj.io/Application/{child}");
        }
        sick.is_some()
    }

    fn resolve(&self, operation: &Value) -> String {
        let asked = operation.pointer("/sync/revisions/0").or(operation.pointer("/sync/revision"));
        let asked = asked.and_then(Value::as_str).unwrap_or_default();
        if asked.len() == 40 { asked.to_owned() } else { self.git_head() }
    }

    fn applied(&self, name: &str, commit: &str) {
        self.change(name, |app| {
            app.live = commit.to_owned();
            app.drift = false;
        });
    }

    fn health_follows(&self, name: &str, op: &Op) {
        let mut plan: Vec<(f64, String)> =
            op.health.iter().map(|(at, h)| (at.parse().unwrap(), h.clone())).collect();
        if plan.is_empty() {
            plan.push((0.06, "Healthy".into()));
        }
        plan.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (this, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            let begun = this.now();
            for (at, health) in plan {
                this.sleep(((begun + at - this.now()).max(0.0) * 1000.0) as u64).await;
                this.change(&name, |app| app.health = health);
            }
        });
    }

    fn finish(&self, name: &str, phase: &str, message: &str, objects: &[(String, String)], commit: &str) {
        let finished = self.stamp();
        self.change(name, |app| {
            let Some(operation) = app.operation.take() else { return };
            let filter = operation.pointer("/sync/resources").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut resources: Vec<Value> = objects.iter().map(|(n, s)| result_object(n, s)).collect();
            let kept = filter.is_empty() || filter.iter().any(|f| f["kind"] == "ConfigMap");
            if kept && phase == "Succeeded" {
                resources.push(json!({"group": "", "kind": "ConfigMap", "namespace": "demo", "name": "one", "status": "Synced", "hookPhase": "Running", "message": "configmap/one configured"}));
            }
            if app.given.prune_forbidden {
                app.prune_left = true;
                resources.push(json!({"version": "v1", "kind": "Namespace", "name": "gone", "status": "PruneSkipped", "message": "ignored (no prune)", "hookPhase": "Succeeded", "syncPhase": "Sync"}));
            }
            let multi = app.spec.get("sources").is_some();
            let mut result = json!({"resources": resources});
            if multi {
                result["revisions"] = app.revisions(commit);
                result["revision"] = json!("");
            } else if app.given.source == "chart" {
                result["revision"] = json!("1.0.0");
            } else {
                result["revision"] = json!(commit);
            }
            if resources_empty(&result) {
                result.as_object_mut().unwrap().remove("resources");
            }
            app.tried.insert(commit.to_owned(), phase.to_owned());
            app.state = Some(json!({"phase": phase, "message": message, "operation": operation, "startedAt": finished, "finishedAt": finished, "syncResult": result}));
            if phase == "Succeeded" && operation.pointer("/sync/dryRun") != Some(&json!(true)) {
                app.history.push(json!({"revision": commit}));
            }
        });
    }

    fn git_head(&self) -> String {
        self.look_at_git();
        let now = self.now();
        let world = self.lock();
        if now < world.server.stale_git_until { world.start_head.clone() } else { world.head.clone() }
    }

    /// The last commit up to `commit` that changed an Application.
    fn content(&self, name: &str, commit: &str) -> String {
        let world = self.lock();
        let app = &world.apps[name];
        if let Some(repo) = &world.git {
            let path = app.spec.pointer("/source/path").and_then(Value::as_str).unwrap_or_default();
            return match commit {
                "" => "nothing was ever applied".into(),
                _ => repo.git(&["rev-parse", &format!("{commit}:{path}")]).unwrap_or_default(),
            };
        }
        let end = world.commits.iter().position(|c| c == commit).map_or(0, |p| p + 1);
        let touched =
            |c: &&String| app.given.touched.is_empty() || app.given.touched.iter().any(|t| sha(t) == **c);
        world.commits[..end].iter().rev().find(touched).cloned().unwrap_or_default()
    }

    /// Compares with the branch, as after a requested refresh.
    pub fn compare(&self, name: &str) {
        let (head, at) = (self.git_head(), self.clock.millis());
        if self.git_down() {
            return self.change(name, |app| {
                app.sync = ("Unknown".into(), "main".into());
                app.conditions = vec![(
                    "ComparisonError".into(),
                    "rpc error: code = Unavailable desc = connection error".into(),
                )];
                app.reconciled = at;
            });
        }
        if self.lock().apps[name].given.source == "hydrator" {
            // What is synced is the hydrator's branch, not the one we push to.
            return self.change(name, |app| {
                let synced = app.given.policy.starts_with("auto") || app.operations > 0;
                let written = app.spec.pointer("/hydrated/hydratedSHA").and_then(Value::as_str);
                let revision = written.map_or_else(|| sha("hydrated before"), str::to_owned);
                app.sync = (if synced { "Synced" } else { "OutOfSync" }.into(), revision);
                app.reconciled = at;
            });
        }
        let live = self.lock().apps[name].live.clone();
        let same = live != "absent" && self.content(name, &head) == self.content(name, &live);
        let pruned = self.lock().apps[name]
            .given
            .operations
            .first()
            .is_none_or(|o| !o.objects.values().any(|s| s == "PruneSkipped"));
        self.change(name, |app| {
            let same =
                if app.given.source == "chart" { live != sha("old") || app.operations > 0 } else { same };
            let synced = same && !app.drift && !app.prune_left && pruned;
            app.conditions.retain(|(kind, _)| kind == "SyncError");
            app.sync = (if synced { "Synced" } else { "OutOfSync" }.into(), head);
            app.reconciled = at;
        });
    }

    /// A requested refresh: compares, and lets auto-sync act.
    pub async fn refresh(&self, name: &str) {
        loop {
            let blocked =
                self.controller_down() || self.lock().apps.get(name).is_some_and(|a| a.given.skipped);
            if !blocked {
                break;
            }
            self.sleep(500).await;
        }
        self.sleep(200).await;
        if self.lock().apps[name].operation.is_some() {
            return;
        }
        self.compare(name);
        self.hydrate(name);
        self.auto_sync(name);
        self.sleep(60).await;
    }

    fn hydrate(&self, name: &str) {
        let (this, name) = (self.clone(), name.to_owned());
        if self.lock().apps[&name].given.source != "hydrator" {
            return;
        }
        let hydration = self.lock().apps[&name].given.hydration.clone();
        if hydration == "never" {
            return;
        }
        tokio::spawn(async move {
            this.sleep(3_000).await;
            let head = this.git_head();
            let done = match hydration.as_str() {
                "fails" => {
                    json!({"phase": "Failed", "drySHA": head, "message": "failed to commit: push rejected"})
                }
                _ => json!({"phase": "Hydrated", "drySHA": head, "hydratedSHA": sha("hydrated")}),
            };
            this.change(&name, |app| app.spec["hydrated"] = done);
            if hydration == "fails" {
                return;
            }
            this.sleep(500).await;
            // The hydrated branch has its own commits; the fake names them after the dry ones.
            this.compare(&name);
            this.change(&name, |app| app.health = "Healthy".into());
        });
    }

    fn auto_sync(&self, name: &str) {
        let closed = self.window_closed();
        let head = self.git_head();
        let begin = {
            let mut world = self.lock();
            let app = world.apps.get_mut(name).unwrap();
            let policy = app.given.policy.clone();
            if !policy.starts_with("auto")
                || policy == "auto-disabled"
                || app.sync.0 != "OutOfSync"
                || app.given.source == "hydrator"
            {
                return;
            }
            let tried = app.tried.get(&head).cloned();
            let error = match tried.as_deref() {
                Some("Failed" | "Error") => {
                    Some(format!("Failed last sync attempt to [{head}]: one or more tasks failed"))
                }
                _ if app.given.empty => {
                    Some(format!("Skipping sync attempt to [{head}]: auto-sync will wipe out all resources"))
                }
                _ => None,
            };
            app.conditions.retain(|(kind, _)| kind != "SyncError");
            if let Some(error) = error {
                app.conditions.push(("SyncError".into(), error));
                false
            } else {
                let healed = tried.is_some() && policy == "auto-no-heal";
                let only_prune = app.prune_left && policy == "auto-no-prune";
                !(closed || healed || only_prune)
            }
        };
        if begin {
            self.begin(name, json!({"sync": {"revision": head}, "initiatedBy": {"automated": true}, "retry": {"limit": 5}}));
        }
    }

    /// The whole object as the API returns it.
    pub fn object(&self, name: &str) -> Option<Value> {
        let world = self.lock();
        let app = world.apps.get(name).filter(|a| a.exists)?;
        Some(app.object())
    }

    /// Whether an Application truly is where a run says: the commit or a later one, healthy,
    /// Synced, nothing under way, the last operation not failed.
    pub fn is_truly_live(&self, name: &str, push: &str) -> bool {
        let live = self.lock().apps[name].live.clone();
        let content = self.content(name, &live);
        let wanted: Vec<String> = {
            let world = self.lock();
            let from = world.commits.iter().position(|c| c == push).unwrap();
            world.commits[from..].to_vec()
        };
        let reached = wanted.iter().any(|c| self.content(name, c) == content);
        let world = self.lock();
        let app = &world.apps[name];
        let ended_well = app.state.as_ref().is_none_or(|s| s["phase"] == "Succeeded");
        reached
            && app.health == "Healthy"
            && app.operation.is_none()
            && ended_well
            && !app.drift
            && app.sync.0 == "Synced"
    }

    pub fn terminate(&self, name: &str) -> bool {
        let mut world = self.lock();
        let app = world.apps.get_mut(name).unwrap();
        let runs = app.operation.is_some() && app.state.as_ref().is_some_and(|s| s["phase"] == "Running");
        app.terminate |= runs;
        app.terminated |= runs;
        runs
    }
}

fn resources_empty(result: &Value) -> bool {
    result["resources"].as_array().is_some_and(Vec::is_empty)
}

fn result_object(name: &str, status: &str) -> Value {
    let mut object = json!({"group": "apps", "kind": "Deployment", "version": "v1", "namespace": "demo", "name": name, "message": format!("{name} is at fault"), "syncPhase": "Sync"});
    match status {
        "SyncFailed" => {
            object["status"] = json!("SyncFailed");
            object["hookPhase"] = json!("Failed");
        }
        "Failed" => {
            object["status"] = json!("Synced");
            object["hookPhase"] = json!("Failed");
        }
        other => object["status"] = json!(other),
    }
    object
}

impl AppState {
    /// An Application that was just created: never compared, nothing applied.
    fn fresh(name: &str, spec: &Value) -> Self {
        let given = Given {
            name: name.to_owned(),
            policy: if spec.pointer("/syncPolicy/automated").is_some() { "auto" } else { "" }.into(),
            project: spec["project"].as_str().unwrap_or("default").to_owned(),
            source: if spec.pointer("/source/chart").is_some() { "chart" } else { "" }.into(),
            health: "Missing".into(),
            live: "absent".into(),
            ..Given::default()
        };
        let mut app = Self::with(&given, "absent");
        app.exists = true;
        app.live = String::new();
        app
    }

    fn new(given: &Given, scenario: &Scenario) -> Self {
        let live = if given.live.is_empty() { &scenario.commits[0] } else { &given.live };
        let mut app = Self::with(given, live);
        if given.stale_spec {
            app.spec["source"]["targetRevision"] = json!("0.9.0");
            app.spec["source"]["path"] = json!("elsewhere");
        }
        app
    }

    fn with(given: &Given, live: &str) -> Self {
        let spec = spec_of(given);
        let exists = live != "absent";
        let live = if exists { sha(live) } else { live.to_owned() };
        let health =
            if given.health.is_empty() { if exists { "Healthy" } else { "Missing" } } else { &given.health };
        let phase = if given.last_phase.is_empty() { "Succeeded" } else { &given.last_phase };
        let state = exists.then(|| {
            json!({"phase": phase, "message": "an older sync", "operation": {"sync": {"revision": live}, "info": [{"name": "hydrant-run", "value": "r-0"}, {"name": "hydrant-try", "value": "1"}]}, "startedAt": START, "finishedAt": START, "syncResult": {"revision": live}})
        });
        let in_sync = if given.drift || given.prune_left { "OutOfSync" } else { "Synced" };
        let mut tried = BTreeMap::new();
        if exists {
            tried.insert(live.clone(), phase.to_owned());
        }
        Self {
            given: given.clone(),
            exists,
            ours: spec.clone(),
            spec,
            version: 1000,
            operation: None,
            state,
            sync: if exists { (in_sync.into(), live.clone()) } else { (String::new(), String::new()) },
            live,
            health: health.to_owned(),
            reconciled: 0,
            conditions: Vec::new(),
            history: Vec::new(),
            drift: given.drift,
            prune_left: given.prune_left,
            tried,
            operations: 0,
            posts: Vec::new(),
            asked_at: Vec::new(),
            past: Vec::new(),
            terminated: false,
            terminate: false,
        }
    }

    /// The revisions of a chart and of ours, in the order of the sources.
    fn revisions(&self, ours: &str) -> Value {
        if self.given.source == "multi-first" { json!([ours, "1.0.0"]) } else { json!(["1.0.0", ours]) }
    }

    /// Whether an operation is asked for or runs.
    pub fn is_under_way(&self) -> bool {
        self.operation.is_some()
    }

    fn object(&self) -> Value {
        let mut status = Map::new();
        let multi = self.spec.get("sources").is_some();
        let mut sync = json!({"status": self.sync.0});
        if multi {
            sync["revisions"] = self.revisions(&self.sync.1);
        } else if self.given.source == "chart" {
            sync["revision"] = json!("1.0.0");
        } else {
            sync["revision"] = json!(self.sync.1);
        }
        status.insert("sync".into(), sync);
        status.insert("health".into(), json!({"status": self.health}));
        if !self.conditions.is_empty() {
            let list: Vec<Value> =
                self.conditions.iter().map(|(t, m)| json!({"type": t, "message": m})).collect();
            status.insert("conditions".into(), list.into());
        }
        if let Some(state) = &self.state {
            status.insert("operationState".into(), state.clone());
        }
        if !self.history.is_empty() {
            status.insert("history".into(), self.history.clone().into());
        }
        let mut resource = json!({"version": "v1", "kind": "ConfigMap", "namespace": "demo", "name": "one", "status": self.sync.0, "health": {"status": self.health}});
        if self.given.prune_forbidden {
            resource = json!({"version": "v1", "kind": "Namespace", "name": "gone", "status": self.sync.0});
        }
        if self.prune_left {
            resource["requiresPruning"] = json!(true);
        }
        status.insert("resources".into(), json!([resource]));
        if self.reconciled > 0 {
            status.insert("reconciledAt".into(), json!(START));
        }
        let mut spec = self.spec.clone();
        if let Some(done) = spec.as_object_mut().unwrap().remove("hydrated") {
            status.insert("sourceHydrator".into(), json!({"currentOperation": done}));
        }
        let mut metadata = json!({"name": self.given.name, "namespace": "argocd", "resourceVersion": self.version.to_string()});
        if self.given.deleting {
            metadata["deletionTimestamp"] = json!(START);
        }
        let mut object = json!({"metadata": metadata, "spec": spec, "status": status});
        if let Some(operation) = &self.operation {
            object["operation"] = operation.clone();
        }
        object
    }
}

/// Returns the repository of an Application.
pub fn repo_of(given: &Given) -> &str {
    if given.repo.is_empty() { REPO } else { &given.repo }
}

/// Returns the spec that we deliver for an Application.
pub fn spec_of(given: &Given) -> Value {
    let path = format!("prod/east/{}", given.name);
    let ours = json!({"repoURL": repo_of(given), "path": path, "targetRevision": "main", "directory": {"recurse": true}});
    let chart = json!({"repoURL": "https://charts.example", "chart": "web", "targetRevision": "1.0.0"});
    let foreign =
        json!({"repoURL": "https://git.example/other.git", "path": "deploy", "targetRevision": "1.0.0"});
    let project = if given.project.is_empty() { "default" } else { &given.project };
    let mut spec = json!({"project": project, "destination": {"server": "https://kubernetes.default.svc"}});
    match given.source.as_str() {
        "chart" => spec["source"] = chart,
        "foreign" => spec["source"] = foreign,
        "multi" => spec["sources"] = json!([chart, ours]),
        "multi-first" => spec["sources"] = json!([ours, chart]),
        "hydrator" => {
            spec["sourceHydrator"] =
                json!({"drySource": {"repoURL": REPO, "path": path, "targetRevision": "main"}})
        }
        _ => spec["source"] = ours,
    }
    match given.policy.as_str() {
        "auto" => spec["syncPolicy"] = json!({"automated": {"prune": true, "selfHeal": true}}),
        "auto-no-prune" => spec["syncPolicy"] = json!({"automated": {"selfHeal": true}}),
        "auto-no-heal" => spec["syncPolicy"] = json!({"automated": {"prune": true}}),
        "auto-disabled" => spec["syncPolicy"] = json!({"automated": {"enabled": false}}),
        _ => {}
    }
    spec
}
