//! One Application during one run: its time, its looks at the server, its audit lines.
//! What to ask for is decided in `drive`, how to ask in `ask`, how to wait in `follow`.

use super::application::Application;
use super::clock::Clock;
use super::fault::Fault;
use super::session::{Refused, Session};
use super::verdict::{Ancestry, Mark, Verdict, Wanted};
use crate::audit::{Audit, AuditRecord};
use crate::model::sync::{
    AppKey, AppRef, AppSource, FailingResource, ServerId, SyncOptions, SyncResult, WaitFor,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What all Applications of a run share.
pub struct Shared {
    /// The pushed commit.
    pub revision: String,
    /// The fleet's commit.
    pub source_commit: Option<String>,
    /// Names the run.
    pub run_id: String,
    /// How far to follow.
    pub wait: WaitFor,
    /// Longest time for one Application.
    pub timeout: Duration,
    /// Try only.
    pub dry_run: bool,
    /// A person named the Applications.
    pub explicit: bool,
    /// The optional parts of the request.
    pub options: SyncOptions,
    /// Suspended counts as healthy.
    pub accept_suspended: bool,
    /// Which commit came after which.
    pub ancestry: Arc<dyn Ancestry>,
    /// Where every request is written down.
    pub audit: Arc<Audit>,
    /// Who is told what happens now.
    pub progress: Arc<dyn Progress>,
    /// True once the run has to stop.
    pub stop: watch::Receiver<bool>,
}

/// Is told what happens, for the live lines of a terminal.
pub trait Progress: Send + Sync {
    /// Something is known about an Application.
    fn update(&self, line: &ProgressLine<'_>);
}

/// What is known about one Application now.
#[derive(Debug)]
pub struct ProgressLine<'p> {
    /// Which.
    pub key: &'p AppKey,
    /// Its depth in the graph.
    pub wave: usize,
    /// What it does or waits for.
    pub phase: &'p str,
    /// Its health as Argo CD says.
    pub health: &'p str,
    /// Since its start.
    pub took: Duration,
    /// True when it has come to its result.
    pub done: bool,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn update(&self, _: &ProgressLine<'_>) {}
}

/// What other Applications of the run came to: `None` while they are under way.
pub trait Others: Send + Sync {
    /// Returns whether an Application of this run reached its commit.
    fn came_to(&self, app: &AppKey) -> Option<bool>;
    /// Returns true if it is part of this run.
    fn has(&self, app: &AppKey) -> bool;
    /// Returns true if it applies other Applications of this run.
    fn has_children(&self, app: &AppKey) -> bool;
}

/// A step: it goes on, or the Application has come to its result.
pub type Step<T> = Result<T, SyncResult>;

/// One Application under way.
pub struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<Session>,
    pub(super) app: AppRef,
    pub(super) others: Arc<dyn Others>,
    pub(super) wave: usize,
    pub(super) started: Duration,
    /// The commit it has to reach; the hydrator may replace it.
    pub(super) commit: Option<String>,
    /// The place of our source among several.
    pub(super) source: Option<usize>,
    pub(super) attempt: u32,
    pub(super) mode: &'static str,
    pub(super) last: Option<Application>,
    pub(super) state: String,
    pub(super) failing: Vec<FailingResource>,
    /// True once Argo CD's webhook was told about the push.
    pub(super) announced: bool,
    /// True once an automated Application was synced by request.
    pub(super) explicit_used: bool,
    /// True once a closed window kept auto-sync back.
    pub(super) parked: bool,
}

impl Task {
    /// Returns a task that has not begun.
    pub fn new(
        shared: Arc<Shared>,
        session: Arc<Session>,
        app: AppRef,
        others: Arc<dyn Others>,
        wave: usize,
    ) -> Self {
        let started = session.clock.now();
        let commit = match app.source {
            AppSource::OurPath { .. } => {
                Some(app.revision.clone().unwrap_or_else(|| shared.revision.clone()))
            }
            AppSource::Chart | AppSource::Foreign => None,
        };
        Self {
            shared,
            session,
            app,
            others,
            wave,
            started,
            commit,
            source: None,
            attempt: 0,
            mode: "manual",
            last: None,
            state: "not asked yet".into(),
            failing: Vec::new(),
            announced: false,
            explicit_used: false,
            parked: false,
        }
    }

    /// Returns the time that is left.
    pub(super) fn left(&self) -> Duration {
        (self.started + self.shared.timeout).saturating_sub(self.session.clock.now())
    }

    /// Waits, but no longer than the Application's time and not past a stop.
    pub(super) async fn pause(&self, time: Duration) -> Step<()> {
        self.unless_over(self.session.clock.sleep(time)).await
    }

    /// Returns true if it has been under way for some time.
    pub(super) fn has_waited(&self, time: Duration) -> bool {
        self.session.clock.now().saturating_sub(self.started) >= time
    }

    /// Returns the result of an Application whose time is up.
    pub(super) fn timed_out(&self) -> SyncResult {
        SyncResult::TimedOut { last: format!("{} after {} s", self.state, self.shared.timeout.as_secs()) }
    }

    /// Says what it does now, for the terminal and for a time-out.
    pub(super) fn say(&mut self, state: impl Into<String>) {
        self.state = state.into();
        self.show(false);
    }

    /// Shows its state.
    pub(super) fn show(&self, done: bool) {
        let key = self.app.key();
        let health = self.last.as_ref().map_or("", |a| a.status.health.status.as_str());
        let took = self.session.clock.now().saturating_sub(self.started);
        self.shared.progress.update(&ProgressLine {
            key: &key,
            wave: self.wave,
            phase: &self.state,
            health,
            took,
            done,
        });
    }

    /// Reads the Application once. A refresh is written down; a plain look is not, or a run
    /// would fill the trail with them.
    pub(super) async fn read(&self, refresh: bool) -> Step<Result<Application, Refused>> {
        let begun = self.session.clock.now();
        let answer = self.unless_over(self.session.read(&self.app, refresh)).await?;
        if refresh {
            let fault = answer.as_ref().err().map(Refused::fault);
            self.audit_call("refresh", begun, fault);
        }
        Ok(answer)
    }

    /// Waits for something, but no longer than the Application's time and not past a stop.
    pub(super) async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Step<T> {
        let mut stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            () = stopped(&mut stop) => Err(SyncResult::Interrupted { last: self.state.clone() }),
            done = work => Ok(done),
            () = self.session.clock.sleep(self.left()) => Err(self.timed_out()),
        }
    }

    /// Reads the Application; repeats what is transient, `None` if it is not there.
    pub(super) async fn look_for(&mut self, refresh: bool) -> Step<Option<Application>> {
        let (mut failures, mut absent) = (0, 0);
        loop {
            match self.read(refresh).await? {
                Ok(app) => {
                    self.last = Some(app.clone());
                    return Ok(Some(app));
                }
                // Seen for a moment while Kubernetes starts: a 404 is confirmed once.
                Err(Refused::Absent(_)) if absent == 0 => {
                    absent += 1;
                    self.pause(Duration::from_secs(1)).await?;
                }
                Err(Refused::Absent(_)) => return Ok(None),
                Err(Refused::Final(result, _)) => return Err(result),
                Err(Refused::Again(fault)) => {
                    failures += 1;
                    self.wait_after(&fault, failures).await?;
                }
            }
        }
    }

    /// Reads an Application that has to be there.
    pub(super) async fn look(&mut self, refresh: bool) -> Step<Application> {
        match self.look_for(refresh).await? {
            Some(app) => Ok(app),
            None => Err(self.gone().await),
        }
    }

    /// Returns the failure of an Application that is not there.
    pub(super) async fn gone(&self) -> SyncResult {
        let name = &self.app.name;
        let fault =
            Fault::local(super::fault::FaultKind::NotFound, format!("Argo CD has no Application `{name}`"));
        self.session.absent(&fault, &self.app).await
    }

    /// Waits after a transient fault, or gives up after the last try.
    pub(super) async fn wait_after(&mut self, fault: &Fault, failures: u32) -> Step<()> {
        let seed = format!("{}/{}", self.shared.run_id, self.app.name);
        match self.session.backoff.wait(failures, &seed, fault.retry_after) {
            Some(wait) => {
                tracing::debug!(app = %self.app.name, %fault, ?wait, "waiting before the next try");
                self.say(format!("try {failures} failed: {fault}"));
                self.pause(wait).await
            }
            None => Err(fault.failure(false, format!("{fault}, {failures} times")).into()),
        }
    }

    /// Judges an object, with or without a request of ours.
    pub(super) fn judge(&self, app: &Application, mark: Option<&Mark>) -> Verdict {
        let spec = match self.app.source {
            AppSource::OurPath { .. } => None,
            AppSource::Chart | AppSource::Foreign => self.app.manifest.get("spec"),
        };
        Wanted {
            commit: self.commit.as_deref(),
            source: self.source,
            spec,
            mark,
            ancestry: &*self.shared.ancestry,
            accept_suspended: self.shared.accept_suspended,
        }
        .judge(app)
    }

    /// Writes a call down, with the fault it met.
    pub(super) fn audit_call(&self, action: &str, begun: Duration, fault: Option<&Fault>) {
        let record = self.audit_record("request", begun);
        self.shared.audit.record(record.asked(action, fault));
    }

    /// Writes the outcome down.
    pub(super) fn audit_outcome(&self, result: &SyncResult) {
        let mut record = self.audit_record("outcome", self.started);
        record.result = result.word().into();
        record.message = result.reason().unwrap_or_default().into();
        record.failing = self.failing.iter().map(FailingResource::kubectl_name).collect();
        if let Some(app) = &self.last {
            record.phase = app.status.operation_state.as_ref().map(|s| s.phase.clone()).unwrap_or_default();
            record.sync.clone_from(&app.status.sync.status);
            record.synced_revision = app.status.sync.revision_of(self.source).into();
            record.health.clone_from(&app.status.health.status);
        }
        self.shared.audit.record(record);
    }

    /// Writes the last real operation down: a dry run takes its place in Argo CD.
    pub(super) fn audit_what_is_lost(&self, app: &Application) {
        let Some(state) = &app.status.operation_state else { return };
        let mut record = self.audit_record("before", self.session.clock.now());
        record.phase.clone_from(&state.phase);
        record.synced_revision = state.sync_result.as_ref().map_or("", |r| r.revision_of(self.source)).into();
        record.message = super::fault::short(&state.message);
        self.shared.audit.record(record);
    }

    fn audit_record(&self, event: &str, since: Duration) -> AuditRecord {
        let clock = &*self.session.clock;
        AuditRecord {
            revision: self.commit.clone().unwrap_or_else(|| self.shared.revision.clone()),
            mode: self.mode.into(),
            millis: millis_since(clock, since),
            ..self.shared.line(event, clock, &self.app)
        }
    }
}

impl Shared {
    /// Returns an audit line about an Application of this run.
    pub(super) fn line(&self, event: &str, clock: &dyn Clock, app: &AppRef) -> AuditRecord {
        AuditRecord {
            application: app.name.clone(),
            namespace: app.namespace.clone(),
            project: app.project.clone(),
            cluster: app.cluster.clone(),
            env: app.env.clone(),
            revision: app.revision.clone().unwrap_or_else(|| self.revision.clone()),
            ..self.server_line(event, clock, &app.server)
        }
    }

    /// Returns an audit line about a server.
    pub(super) fn server_line(&self, event: &str, clock: &dyn Clock, server: &ServerId) -> AuditRecord {
        AuditRecord {
            time: clock.wall().to_string(),
            event: event.into(),
            run: self.run_id.clone(),
            server: server.0.clone(),
            source_commit: self.source_commit.clone(),
            revision: self.revision.clone(),
            ..AuditRecord::default()
        }
    }
}

impl AuditRecord {
    /// Returns the line of a call: what was asked, and what came back.
    pub(super) fn asked(self, action: &str, fault: Option<&Fault>) -> Self {
        Self {
            action: action.into(),
            http: fault.map_or(Some(200), |f| f.http),
            code: fault.and_then(|f| f.code),
            message: fault.map(|f| f.text.clone()).unwrap_or_default(),
            ..self
        }
    }
}

/// Returns how long ago a moment was, in milliseconds.
pub(super) fn millis_since(clock: &dyn Clock, since: Duration) -> u64 {
    u64::try_from(clock.now().saturating_sub(since).as_millis()).unwrap_or(u64::MAX)
}

/// Returns when the run has to stop; never, if nobody can stop it any more.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|s| *s).await.is_err() {
        std::future::pending::<()>().await;
    }
}
