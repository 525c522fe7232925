//! All Applications of a run, along the edges of its plan: each starts when what it needs
//! is healthy, and a failure stops its dependents only.

use super::client::Client;
use super::clock::Clock;
use super::fault::Fault;
use super::preflight;
use super::remembered::Remembered;
use super::session::Session;
use super::settings::{ArgoSettings, ServerSettings};
use super::task::{Others, Progress, ProgressLine, Shared, Task, millis_since, stopped};
use super::verdict::{Ancestry, is_steady};
use super::webhook::Push;
use crate::audit::{Audit, AuditRecord};
use crate::model::sync::{
    AppKey, AppRef, AppSource, Failure, ServerId, SyncOutcome, SyncRequest, SyncResult, WaitFor,
};
use crate::stage::sync_plan::{self, Planned, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// From how many automated Applications of one branch on the webhook is worth its post.
const ENOUGH_FOR_WEBHOOK: usize = 3;

/// What a run takes from outside.
#[derive(Clone)]
pub struct Tools {
    /// Gives the time.
    pub clock: Arc<dyn Clock>,
    /// Takes the audit lines.
    pub audit: Arc<Audit>,
    /// Is told what happens.
    pub progress: Arc<dyn Progress>,
    /// Knows which commit came after which.
    pub ancestry: Arc<dyn Ancestry>,
    /// Becomes true when the run has to stop.
    pub stop: watch::Receiver<bool>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct RunResult {
    /// One for each Application that was to be synced, by cluster and name.
    pub outcomes: Vec<SyncOutcome>,
    /// What somebody should know.
    pub notices: Vec<String>,
    /// True when a notice is worth an alert.
    pub urgent: bool,
}

/// What each Application of the run came to.
struct Board {
    results: BTreeMap<AppKey, watch::Sender<Option<bool>>>,
    parents: BTreeSet<AppKey>,
}

impl Others for Board {
    fn came_to(&self, app: &AppKey) -> Option<bool> {
        self.results.get(app).and_then(|r| *r.borrow())
    }

    fn has(&self, app: &AppKey) -> bool {
        self.results.contains_key(app)
    }

    fn has_children(&self, app: &AppKey) -> bool {
        self.parents.contains(app)
    }
}

struct Run {
    shared: Arc<Shared>,
    sessions: BTreeMap<ServerId, Result<Arc<Session>, SyncResult>>,
    board: Arc<Board>,
    announced: BTreeSet<AppKey>,
    clock: Arc<dyn Clock>,
}

/// Syncs what a request names and follows it to its end. Never fails as a whole: every
/// Application has its own outcome.
pub async fn run(request: &SyncRequest, settings: &ArgoSettings, tools: &Tools) -> RunResult {
    let plan = sync_plan::plan(&request.apps, &request.known);
    let refused: BTreeSet<AppKey> = plan.refused.iter().map(|r| r.app.key()).collect();
    let nodes: Vec<Planned> = plan.nodes;
    let mut found = RunResult::default();
    let mut run = begin(request, settings, tools, &nodes);
    run.preflight(&mut found, request).await;
    run.announce(&nodes).await;
    let run = Arc::new(run);
    let mut tasks = JoinSet::new();
    for node in nodes.iter().filter(|n| !refused.contains(&n.app.key())) {
        let needs = node.waits_for.iter().filter_map(|n| nodes.get(*n)).map(|n| n.app.key()).collect();
        tasks.spawn(one(run.clone(), node.clone(), needs));
    }
    for refusal in plan.refused {
        run.settle(&refusal.app, false);
        found.outcomes.push(run.ended_early(
            &refusal.app,
            SyncResult::NotStarted { because: refusal.because },
            0,
        ));
    }
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(Some(outcome)) => found.outcomes.push(outcome),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a sync task ended without an outcome"),
        }
    }
    found.outcomes.sort_by(|a, b| (&a.cluster, a.wave, &a.app).cmp(&(&b.cluster, b.wave, &b.app)));
    found
}

fn begin(request: &SyncRequest, settings: &ArgoSettings, tools: &Tools, nodes: &[Planned]) -> Run {
    let shared = Arc::new(Shared {
        revision: request.revision.clone(),
        source_commit: request.source_commit.clone(),
        run_id: request.run_id.clone(),
        wait: request.wait,
        timeout: request.timeout,
        dry_run: request.dry_run,
        explicit: request.explicit,
        options: request.options.clone(),
        accept_suspended: settings.accept_suspended,
        ancestry: Arc::new(Remembered::new(tools.ancestry.clone(), tools.clock.clone())),
        audit: tools.audit.clone(),
        progress: tools.progress.clone(),
        stop: tools.stop.clone(),
    });
    let mut sessions = BTreeMap::new();
    for node in nodes {
        sessions
            .entry(node.app.server.clone())
            .or_insert_with(|| session(settings, &node.app.server, tools, &request.run_id));
    }
    let results = nodes.iter().map(|n| (n.app.key(), watch::Sender::new(None))).collect();
    let parents = nodes.iter().filter_map(|n| n.app.parent.as_ref().map(|p| n.app.sibling(p))).collect();
    Run {
        shared,
        sessions,
        board: Arc::new(Board { results, parents }),
        announced: BTreeSet::new(),
        clock: tools.clock.clone(),
    }
}

fn session(
    settings: &ArgoSettings,
    id: &ServerId,
    tools: &Tools,
    run_id: &str,
) -> Result<Arc<Session>, SyncResult> {
    let Some(server) = settings.servers.get(id) else {
        return Err(SyncResult::from(
            Failure::permanent(format!("no settings for the Argo CD server {id}"))
                .mend("set ARGOCD_API_URL, or the value `argocd.api` of the cluster")
                .outside(),
        ));
    };
    let refused = |fault: Fault, server: &ServerSettings| {
        SyncResult::from(fault.failure(true, format!("no connection to Argo CD at {}: {fault}", server.id)))
    };
    let client =
        Client::new(server, &settings.timing, tools.clock.clone(), run_id).map_err(|f| refused(f, server))?;
    Ok(Arc::new(Session::new(client, tools.clock.clone(), settings.backoff.clone(), settings.timing.clone())))
}

impl Run {
    /// Checks every server's token, all at once.
    async fn preflight(&mut self, found: &mut RunResult, request: &SyncRequest) {
        let mut checks = JoinSet::new();
        for (id, session) in &self.sessions {
            if let Ok(session) = session {
                let (id, session, run_id) = (id.clone(), session.clone(), request.run_id.clone());
                checks.spawn(async move { (id, preflight::server(&session, &run_id).await) });
            }
        }
        let mut stop = self.shared.stop.clone();
        loop {
            let next = tokio::select! {
                biased;
                () = stopped(&mut stop) => None,
                next = checks.join_next() => next,
            };
            let Some(Ok((id, preflight))) = next else { break };
            found.notices.extend(preflight.notices);
            found.urgent |= preflight.urgent;
            if let Some(refused) = preflight.refused {
                self.sessions.insert(id, Err(refused));
            }
        }
        found.notices.sort();
    }

    /// Tells Argo CD's webhook about the push, where that is configured and worth it.
    async fn announce(&mut self, nodes: &[Planned]) {
        if self.shared.dry_run {
            return;
        }
        let mut groups: BTreeMap<(ServerId, &str, &str), Vec<AppKey>> = BTreeMap::new();
        for node in nodes.iter().filter(|n| n.role == Role::Sync && !n.app.manual) {
            if let AppSource::OurPath { repo_url, target_revision, .. } = &node.app.source {
                groups
                    .entry((node.app.server.clone(), repo_url, target_revision))
                    .or_default()
                    .push(node.app.key());
            }
        }
        for ((server, repo_url, branch), apps) in groups {
            let Some(Ok(session)) = self.sessions.get(&server) else { continue };
            if session.client.settings().webhook.is_none() || apps.len() < ENOUGH_FOR_WEBHOOK {
                continue;
            }
            let push = Push { repo_url, branch, after: &self.shared.revision };
            let begun = session.clock.now();
            let answer = session.client.webhook(&push).await;
            let line = self.shared.server_line("request", &*session.clock, &server);
            let line = AuditRecord { millis: millis_since(&*session.clock, begun), ..line };
            self.shared.audit.record(line.asked("webhook", answer.as_ref().err()));
            match answer {
                Ok(()) => self.announced.extend(apps),
                Err(fault) => {
                    tracing::warn!(%server, %fault, "the webhook did not take the push; refreshing one by one")
                }
            }
        }
    }

    /// Returns the outcome of an Application that was never asked for, and writes it down.
    fn ended_early(&self, app: &AppRef, result: SyncResult, wave: usize) -> SyncOutcome {
        self.show(app, wave, result.word(), true);
        let line = self.shared.line("outcome", &*self.clock, app);
        let wanted = line.revision.clone();
        self.shared.audit.record(AuditRecord {
            result: result.word().into(),
            message: result.reason().unwrap_or_default().into(),
            ..line
        });
        SyncOutcome { wanted, ..outcome(app, result, wave) }
    }

    /// Tells those who wait.
    fn settle(&self, app: &AppRef, good: bool) {
        if let Some(result) = self.board.results.get(&app.key()) {
            result.send_replace(Some(good));
        }
    }

    /// Says what an Application that has not begun waits for, or what it came to.
    fn show(&self, app: &AppRef, wave: usize, phase: &str, done: bool) {
        let (key, took) = (app.key(), Duration::ZERO);
        self.shared.progress.update(&ProgressLine { key: &key, wave, phase, health: "", took, done });
    }

    /// Waits for what an Application needs; says which one did not get there.
    async fn needs(&self, node: &Planned, needs: &[AppKey]) -> Result<(), SyncResult> {
        let mut stop = self.shared.stop.clone();
        for need in needs {
            let Some(result) = self.board.results.get(need) else { continue };
            let mut result = result.subscribe();
            if result.borrow().is_none() {
                self.show(&node.app, node.wave, &format!("waiting for `{}`", need.name), false);
            }
            let good = tokio::select! {
                biased;
                () = stopped(&mut stop) => {
                    return Err(SyncResult::NotStarted { because: "the run was stopped".into() });
                }
                good = result.wait_for(Option::is_some) => good.is_ok_and(|g| *g == Some(true)),
            };
            if !good && *stop.borrow() {
                return Err(SyncResult::NotStarted { because: "the run was stopped".into() });
            }
            if !good {
                return Err(SyncResult::NotStarted {
                    because: format!("it needs `{}`, which is not healthy at this commit", need.name),
                });
            }
        }
        Ok(())
    }
}

/// Tells those who wait, whatever ends a task; a bad end unless a good one was said.
struct Settles<'r> {
    run: &'r Run,
    app: &'r AppRef,
    good: bool,
}

impl Drop for Settles<'_> {
    fn drop(&mut self) {
        self.run.settle(self.app, self.good);
    }
}

/// One Application from its needs to its outcome; none for those only watched.
async fn one(run: Arc<Run>, node: Planned, needs: Vec<AppKey>) -> Option<SyncOutcome> {
    let app = node.app.clone();
    let mut settles = Settles { run: &run, app: &app, good: false };
    let session = match run.sessions.get(&app.server) {
        Some(Ok(session)) => Ok(session.clone()),
        Some(Err(refused)) => Err(refused.clone()),
        None => return None,
    };
    let ready = match run.needs(&node, &needs).await {
        Ok(()) => session,
        Err(not_started) => Err(not_started),
    };
    if node.role == Role::Watch {
        settles.good = match ready {
            Ok(session) => watched(&run, &session, &app).await,
            Err(_) => false,
        };
        return None;
    }
    let outcome = match ready {
        Err(result) => run.ended_early(&app, result, node.wave),
        Ok(session) => {
            let refused = preflight::rights(&session, &app).await;
            match refused {
                Some(result) => run.ended_early(&app, result, node.wave),
                None => asked(&run, session, &node).await,
            }
        }
    };
    settles.good = outcome.result.lets_dependents_start();
    Some(outcome)
}

async fn asked(run: &Run, session: Arc<Session>, node: &Planned) -> SyncOutcome {
    let mut task = Task::new(run.shared.clone(), session, node.app.clone(), run.board.clone(), node.wave);
    task.announced = run.announced.contains(&node.app.key());
    let done = task.run().await;
    SyncOutcome {
        wanted: done.wanted,
        revision: done.revision,
        failing: done.failing,
        took: done.took,
        ..outcome(&node.app, done.result, node.wave)
    }
}

/// Waits until an Application that is only needed is healthy.
async fn watched(run: &Run, session: &Arc<Session>, app: &AppRef) -> bool {
    if run.shared.wait != WaitFor::Health {
        return true;
    }
    let mut task = Task::new(run.shared.clone(), session.clone(), app.clone(), run.board.clone(), 0);
    let steady = loop {
        match task.look(false).await {
            Ok(now) if is_steady(&now, run.shared.accept_suspended) => break true,
            Ok(now)
                if now.status.health.status == "Degraded"
                    && task.has_waited(session.timing.degraded_grace) =>
            {
                break false;
            }
            Ok(_) => task.say("not synced in this run, and others need it healthy"),
            Err(_) => break false,
        }
        if task.pause(session.timing.poll.1).await.is_err() {
            break false;
        }
    };
    task.show(true);
    steady
}

fn outcome(app: &AppRef, result: SyncResult, wave: usize) -> SyncOutcome {
    SyncOutcome {
        app: app.name.clone(),
        namespace: app.namespace.clone(),
        server: app.server.clone(),
        cluster: app.cluster.clone(),
        env: app.env.clone(),
        wanted: String::new(),
        revision: None,
        result,
        failing: Vec::new(),
        took: Duration::ZERO,
        wave,
    }
}
