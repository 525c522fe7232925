//! A scenario: what Argo CD is like, what goes wrong, what must come of it. Data, one a folder.

use super::super::common::project;
use hydrant::yaml::{Limits, Schema, read_one};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `fixtures/argocd/<name>/scenario.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What happens, in a sentence.
    pub about: String,
    /// The row of the facts it stands for.
    pub row: String,
    /// The branch, oldest first.
    #[serde(default = "two_commits")]
    pub commits: Vec<String>,
    /// What the run delivers; the branch's head at the start.
    #[serde(default = "new_commit")]
    pub push: String,
    /// Commits that reach the branch later: virtual seconds → commit.
    #[serde(default)]
    pub later: BTreeMap<String, String>,
    /// The Applications.
    pub apps: Vec<App>,
    /// Answers that are not the usual ones.
    #[serde(default)]
    pub answers: Vec<Odd>,
    /// The server.
    #[serde(default)]
    pub server: Server,
    /// The request.
    #[serde(default)]
    pub request: Request,
    /// What comes of it, by Application.
    pub expect: BTreeMap<String, Expect>,
}

fn two_commits() -> Vec<String> {
    vec!["old".into(), "new".into()]
}

fn new_commit() -> String {
    "new".into()
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    pub name: String,
    /// `manual`, `auto`, `auto-no-prune`, `auto-no-heal`, `auto-disabled`.
    pub policy: String,
    /// `default` if empty.
    pub project: String,
    /// The server's idea of its project, if another.
    pub real_project: String,
    pub cluster: String,
    pub needs: Vec<String>,
    pub parent: String,
    /// `path` (ours), `chart`, `foreign`, `multi` (a chart and ours), `multi-first` (ours and a
    /// chart), `hydrator`.
    pub source: String,
    /// The repository, if another than the fleet's usual one.
    pub repo: String,
    /// The commit it is at; `absent` for an Application that does not exist.
    pub live: String,
    /// Commits that change it; all if empty.
    pub touched: Vec<String>,
    /// Health at the start.
    pub health: String,
    /// What its operations do, in turn; the last one repeats.
    pub operations: Vec<Op>,
    /// Children that a sync of it creates or updates.
    pub applies: Vec<String>,
    /// Only looked up, not synced.
    pub known_only: bool,
    /// Delivered, and still with the old spec in Argo CD.
    pub stale_spec: bool,
    pub deleting: bool,
    /// The controller leaves it alone.
    pub skipped: bool,
    /// Objects changed by hand since.
    pub drift: bool,
    /// An object left Git and was not pruned.
    pub prune_left: bool,
    /// `fails`, `never`: what becomes of a hydration.
    pub hydration: String,
    /// Seconds until the controller looks again after an operation.
    pub compared_after: f64,
    /// How often selfHeal syncs a part of it after an operation.
    pub heals: u64,
    /// That object is marked `Prune=false`: no sync removes it, and selfHeal tries for ever.
    pub prune_forbidden: bool,
    /// Nothing is left in Git at the new commit.
    pub empty: bool,
    /// An operation that runs at the start.
    pub running: Option<Running>,
    /// The last operation's phase at the start (`Succeeded` if empty).
    pub last_phase: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Running {
    pub commit: String,
    /// `hydrant`, `auto` or a person.
    pub by: String,
    /// Seconds until it succeeds; 0 = never.
    pub ends: f64,
    pub message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Op {
    /// `Succeeded`, `Failed`, `Error`; empty = Succeeded.
    pub end: String,
    pub message: String,
    /// Seconds it takes after its start.
    pub takes: f64,
    /// It runs for ever.
    pub forever: bool,
    /// It waits for the health of the children it applies.
    pub waits_for_children: bool,
    /// It waits for a retry so many times.
    pub retries: u32,
    /// Health after it: seconds → health.
    pub health: BTreeMap<String, String>,
    /// Objects of the result: `name: status` (`SyncFailed`, `Failed` = hook, `PruneSkipped`).
    pub objects: BTreeMap<String, String>,
    /// Live content is the new one although it failed (a PostSync hook).
    pub applied: bool,
    /// Nothing is applied although it succeeds.
    pub nothing: bool,
}

/// An answer that is not the usual one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Odd {
    /// `sync`, `get`, `refresh`, `windows`, `can-i`, `userinfo`, `stream`, `terminate`, `list`, `webhook`.
    pub on: String,
    pub app: String,
    /// Let so many through first.
    pub skip: u32,
    /// How often; 1 if neither this nor `until` is set.
    pub times: u32,
    /// From and until, virtual seconds.
    pub from: f64,
    pub until: f64,
    pub status: u16,
    pub code: i64,
    pub text: String,
    /// A body that is not Argo CD's.
    pub raw: String,
    pub headers: BTreeMap<String, String>,
    /// The request is carried out all the same.
    pub accept: bool,
    /// Seconds until it is carried out, after the answer.
    pub accept_after: f64,
    /// The connection is closed without an answer.
    pub drop: bool,
    /// No answer, ever.
    pub hang: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Kubernetes is unreachable: from, until (virtual seconds).
    pub kubernetes_down: Option<(f64, f64)>,
    /// Git is unreachable for Argo CD.
    pub git_down: Option<(f64, f64)>,
    /// The controller is stopped.
    pub controller_down: Option<(f64, f64)>,
    /// Deny windows.
    pub windows: Vec<(f64, f64)>,
    /// The windows let a person sync.
    pub windows_allow_manual: bool,
    pub require_override: bool,
    pub replace_refused: bool,
    /// Actions the token has no right to.
    pub denied: Vec<String>,
    /// The token is refused with this text; a rotated file helps if `rotated` is set.
    pub token_refused: String,
    pub rotated: bool,
    /// Days until the token expires.
    pub token_days: Option<i64>,
    /// Argo CD's webhook works.
    pub webhook: bool,
    /// Argo CD's webhook secret for `webhook_form`, which it demands.
    pub webhook_secret: String,
    /// The secret we have, if another.
    pub our_webhook_secret: String,
    /// The form that is set: `github`, `gitlab`, `gogs`, `bitbucket`, `bitbucketServer`.
    pub webhook_form: String,
    pub concurrency: Option<usize>,
    /// Project does not exist on the server.
    pub unknown_project: bool,
    /// The server keeps the stream's events back.
    pub mute_streams: bool,
    /// Streams repeat, drop and reorder their events, decided by this number.
    pub stream_mischief: u64,
    /// How long every answer takes.
    pub answer_millis: u64,
    /// Argo CD reads an older head of the branch until this second (a mirror).
    pub stale_git_until: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// `health`, `operation`, `none`.
    pub wait: String,
    /// Seconds.
    pub timeout: Option<u64>,
    pub dry_run: bool,
    pub explicit: bool,
    pub accept_suspended: bool,
    pub prune: Option<bool>,
    pub sync_options: Vec<String>,
    /// Kinds of a partial sync.
    pub resources: Vec<String>,
    /// Stop the run after so many virtual seconds.
    pub stop_after: Option<f64>,
}

/// What must come of an Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// The word of the result.
    pub result: String,
    /// What its reason says.
    pub says: Vec<String>,
    /// What its mend says.
    pub mend: String,
    /// POSTs to sync it, answered or not.
    pub posts: Option<usize>,
    /// Operations Argo CD began for it.
    pub operations: Option<usize>,
    /// Virtual seconds from and until which it must be through.
    pub after: Option<f64>,
    pub within: Option<f64>,
    /// `kubectl` names of failing objects.
    pub failing: Vec<String>,
    pub permanent: Option<bool>,
    /// JSON of the last POST holds these (key: value as JSON).
    pub body: BTreeMap<String, serde_json::Value>,
    /// Keys the last POST must not have.
    pub body_lacks: Vec<String>,
    /// An alert is due.
    pub terminated: Option<bool>,
}

/// Reads one scenario.
pub fn load(name: &str) -> Scenario {
    let path = project("fixtures/argocd").join(name).join("scenario.yaml");
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let node = read_one(&bytes, &Limits::inputs()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let value = node.to_value(Schema::Kustomize).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    serde_json::from_value(value).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Returns the names of all scenarios.
pub fn all() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(project("fixtures/argocd"))
        .unwrap()
        .filter_map(|e| e.ok().filter(|e| e.path().is_dir()).map(|e| e.file_name().into_string().unwrap()))
        .collect();
    names.sort();
    names
}

/// Returns the SHA of a commit's name; a SHA stays.
pub fn sha(name: &str) -> String {
    if name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return name.to_owned();
    }
    blake3::hash(name.as_bytes()).to_hex().as_str()[..40].to_owned()
}
