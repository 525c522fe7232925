//! Plays a scenario and compares what came of it with what it says.

use super::clock::TestClock;
use super::fake;
use super::scenario::{App, Expect, Scenario, load, sha};
use super::world::{ArgoCd, Branch, repo_of, spec_of};
use hydrant::audit::Audit;
use hydrant::edge::argocd::clock::Clock as _;
use hydrant::edge::argocd::run::{RunResult, Tools, run};
use hydrant::edge::argocd::settings::{ArgoSettings, RawArgoSettings};
use hydrant::edge::argocd::task::{Progress, ProgressLine, Silent};
use hydrant::model::sync::{
    AppRef, AppSource, Failure, ResourceFilter, ServerId, SyncOutcome, SyncRequest, SyncResult, WaitFor,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Says everything: `TRACE=1`.
struct Told;

impl Progress for Told {
    fn update(&self, line: &ProgressLine<'_>) {
        eprintln!("{:8.2} {} {} {}", line.took.as_secs_f64(), line.key.name, line.health, line.phase);
    }
}

/// What a play left behind.
pub struct Played {
    pub result: RunResult,
    pub argocd: ArgoCd,
    pub audit: Vec<hydrant::audit::AuditRecord>,
}

/// Returns a token of the right shape; nobody verifies its signature.
pub fn token(id: &str, days: Option<i64>) -> String {
    use base64::Engine as _;
    let part = |v: serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(v.to_string());
    let mut claims = json!({"iss": "argocd", "sub": "hydrant:apiKey", "jti": id});
    if let Some(days) = days {
        let start: jiff::Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
        claims["exp"] = json!(start.as_second() + days * 86_400 + 3600);
    }
    format!("{}.{}.c2lnbmF0dXJl", part(json!({"alg": "HS256"})), part(claims))
}

/// Plays one scenario and returns everything that is not as it says.
pub fn check(name: &str) -> Vec<String> {
    let scenario = load(name);
    let played = play(&scenario);
    let mut faults = Vec::new();
    for (app, expect) in &scenario.expect {
        match played.result.outcomes.iter().find(|o| o.app == *app) {
            Some(outcome) => compare(app, expect, outcome, &played, &mut faults),
            None => faults.push(format!("{app} has no outcome")),
        }
    }
    let text = serde_json::to_string(&played.audit).unwrap();
    if text.contains("eyJ") {
        faults.push("the audit trail holds a token".into());
    }
    faults
}

pub fn play(scenario: &Scenario) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = TestClock::default();
        let argocd = ArgoCd::new(scenario, clock.clone());
        let good = token("good", scenario.server.token_days);
        let url = fake::start(argocd.clone(), scenario, &good).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let first = if scenario.server.token_refused.is_empty() {
            good.clone()
        } else {
            token("bad", scenario.server.token_days)
        };
        std::fs::write(&file, first).unwrap();
        let mut raw = RawArgoSettings::default();
        raw.default.url = Some(url.clone());
        raw.default.token_file = Some(file.clone());
        raw.default.webhook = scenario.server.webhook;
        let secret = match scenario.server.our_webhook_secret.as_str() {
            "" => scenario.server.webhook_secret.clone(),
            ours => ours.to_owned(),
        };
        if !secret.is_empty() {
            raw.default.webhook_secret_file = Some(folder.path().join("webhook-secret"));
            std::fs::write(folder.path().join("webhook-secret"), format!("{secret}\n")).unwrap();
        }
        raw.default.webhook_form =
            serde_json::from_value(json!(Some(&scenario.server.webhook_form).filter(|f| !f.is_empty())))
                .unwrap();
        raw.default.concurrency = scenario.server.concurrency;
        raw.accept_suspended = scenario.request.accept_suspended;
        let settings = ArgoSettings::resolve(&raw, &Default::default(), &|_| None).unwrap();
        let audit = Arc::new(Audit::default());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let tools = Tools {
            clock: Arc::new(clock.clone()),
            audit: audit.clone(),
            progress: if std::env::var_os("TRACE").is_some() { Arc::new(Told) } else { Arc::new(Silent) },
            ancestry: Arc::new(Branch(scenario.commits.clone())),
            stop: stopped,
        };
        if scenario.server.rotated {
            // The client read the old token at its start; the file is replaced behind it.
            let file = file.clone();
            // Runs when the client first waits for an answer.
            tokio::spawn(async move { std::fs::write(file, good).unwrap() });
        }
        if let Some(at) = scenario.request.stop_after {
            let clock = clock.clone();
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs_f64(at)).await;
                stop.send_replace(true);
                clock.sleep(Duration::from_secs(100_000)).await;
                drop(stop);
            });
        } else {
            std::mem::forget(stop);
        }
        let request = request(scenario, &settings.default.as_ref().unwrap().id);
        let result = clock.run(run(&request, &settings, &tools)).await;
        Played { result, argocd, audit: audit.take() }
    })
}

pub fn request(scenario: &Scenario, server: &ServerId) -> SyncRequest {
    let app = |given: &App| app_ref(given, server);
    let given = &scenario.request;
    let mut request = SyncRequest {
        apps: scenario.apps.iter().filter(|a| !a.known_only).map(app).collect(),
        known: scenario.apps.iter().map(app).collect(),
        revision: sha(&scenario.push),
        source_commit: Some(sha("source")),
        run_id: "r-1".into(),
        wait: match given.wait.as_str() {
            "operation" => WaitFor::Operation,
            "none" => WaitFor::None,
            _ => WaitFor::Health,
        },
        timeout: Duration::from_secs(given.timeout.unwrap_or(900)),
        dry_run: given.dry_run,
        explicit: given.explicit,
        options: Default::default(),
    };
    request.options.prune = given.prune;
    request.options.sync_options.clone_from(&given.sync_options);
    request.options.resources = given
        .resources
        .iter()
        .map(|k| ResourceFilter { kind: k.clone(), name: "one".into(), ..Default::default() })
        .collect();
    request
}

pub fn app_ref(given: &App, server: &ServerId) -> AppRef {
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    AppRef {
        name: given.name.clone(),
        namespace: "argocd".into(),
        project: or(&given.project, "default"),
        server: server.clone(),
        cluster: or(&given.cluster, "east"),
        env: "prod".into(),
        manual: !given.policy.starts_with("auto"),
        source: match given.source.as_str() {
            "chart" => AppSource::Chart,
            "foreign" => AppSource::Foreign,
            _ => AppSource::OurPath {
                repo_url: repo_of(given).into(),
                path: format!("prod/east/{}", given.name),
                target_revision: "main".into(),
            },
        },
        manifest: json!({"kind": "Application", "spec": spec_of(given)}),
        parent: (!given.parent.is_empty()).then(|| given.parent.clone()),
        needs: given.needs.clone(),
        revision: None,
    }
}

/// Replaces `sha:<name>` by the SHA, also in a list.
fn named(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => {
            text.strip_prefix("sha:").map_or(value.clone(), |name| json!(sha(name)))
        }
        serde_json::Value::Array(items) => items.iter().map(named).collect(),
        other => other.clone(),
    }
}

fn compare(app: &str, expect: &Expect, outcome: &SyncOutcome, played: &Played, faults: &mut Vec<String>) {
    let mut wrong = |text: String| faults.push(format!("{app}: {text}"));
    let reason = outcome.result.reason().unwrap_or_default();
    if outcome.result.word() != expect.result {
        wrong(format!("expected `{}`, got {:?}", expect.result, outcome.result));
    }
    for text in expect.says.iter().filter(|t| !reason.contains(t.as_str())) {
        wrong(format!("the reason does not say {text:?}: {reason}"));
    }
    if let SyncResult::Failed(Failure { permanent, mend, .. }) = &outcome.result {
        let mend = mend.as_deref().unwrap_or_default();
        if !mend.contains(&expect.mend) {
            wrong(format!("the mend does not say {:?}: {mend}", expect.mend));
        }
        if expect.permanent.is_some_and(|p| p != *permanent) {
            wrong(format!("permanent is {permanent}: {reason}"));
        }
    }
    let took = outcome.took.as_secs_f64();
    if expect.within.is_some_and(|most| took > most) || expect.after.is_some_and(|least| took < least) {
        wrong(format!("took {took} s, expected {:?} to {:?}", expect.after, expect.within));
    }
    let failing: Vec<String> = outcome.failing.iter().map(|f| f.kubectl_name()).collect();
    for name in expect.failing.iter().filter(|n| !failing.contains(n)) {
        wrong(format!("{name} is not among the failing: {failing:?}"));
    }
    let world = played.argocd.lock();
    let Some(state) = world.apps.get(app) else { return };
    if expect.posts.is_some_and(|n| n != state.posts.len()) {
        wrong(format!("{} POSTs, expected {:?}", state.posts.len(), expect.posts));
    }
    if expect.operations.is_some_and(|n| n != state.operations) {
        wrong(format!("{} operations, expected {:?}", state.operations, expect.operations));
    }
    if expect.terminated.is_some_and(|t| t != state.terminated) {
        wrong(format!("terminated is {}", state.terminated));
    }
    let body = state.posts.last().cloned().unwrap_or_default();
    for (key, value) in &expect.body {
        let expected = named(value);
        if body.get(key) != Some(&expected) {
            wrong(format!("the request's {key} is {:?}, expected {expected}", body.get(key)));
        }
    }
    for key in expect.body_lacks.iter().filter(|k| body.get(k.as_str()).is_some()) {
        wrong(format!("the request has {key}"));
    }
}
