//! Asking for a sync so that it happens once: a lost answer is resolved by the run's mark
//! on the operation, never by blind repetition.

use super::application::Application;
use super::client::Windows;
use super::fault::{Class, Fault, FaultKind};
use super::session::Refused;
use super::task::{Step, Task};
use super::verdict::{COMMIT_NOTE, Mark, RUN_NOTE, TRY_NOTE, Verdict};
use crate::model::sync::{Strategy, SyncResult};
use serde_json::{Value, json};
use std::time::Duration;

/// What came of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// The operation is ours.
    Accepted(Mark),
    /// Somebody else's operation runs.
    Busy,
    /// Auto-sync wants no revision from us.
    Refresh,
}

/// Which revision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// Our commit.
    Ours,
    /// None: what the Application tracks. For automated Applications, charts, and servers
    /// that want the right `override` for a revision.
    Tracked,
}

impl Task {
    /// Asks for a sync until the answer is known.
    pub(super) async fn ask(&mut self, app: &Application, mut pin: Pin) -> Step<Asked> {
        self.attempt += 1;
        let mark = Mark { run: self.shared.run_id.clone(), attempt: self.attempt };
        let mut body = self.body(app, &mark, pin);
        let (mut failures, mut project_retried) = (0, false);
        loop {
            self.say("asking for a sync");
            let fault = match self.post(&body).await? {
                Ok(()) => return Ok(Asked::Accepted(mark)),
                Err(fault) => fault,
            };
            if fault.lost || fault.class == Class::Busy {
                // It may have been accepted, now or in an earlier try.
                let now = self.look(false).await?;
                if carries(&now, &mark) {
                    return Ok(Asked::Accepted(mark));
                }
                if fault.class == Class::Busy {
                    return Ok(Asked::Busy);
                }
            }
            match fault.kind {
                FaultKind::AutoSyncOn => return Ok(Asked::Refresh),
                FaultKind::WindowClosed => {
                    self.park(&fault.text).await?;
                    continue;
                }
                // The server allows what is tracked, and nothing else, without `override`.
                FaultKind::MissingRight if fault.text.contains(", override,") && pin == Pin::Ours => {
                    pin = Pin::Tracked;
                    body = self.body(app, &mark, pin);
                    continue;
                }
                // The server's view of the projects may not be warm yet.
                FaultKind::WrongProject if !project_retried => {
                    project_retried = true;
                    self.pause(self.session.backoff.first).await?;
                    continue;
                }
                _ => {}
            }
            let session = self.session.clone();
            match session.weigh(fault, &self.app).await {
                Refused::Final(result, _) => return Err(result),
                Refused::Absent(_) => {
                    // `look` confirms it, and finds the near misses.
                    self.look(false).await?;
                    failures += 1;
                    self.wait_after(&vanished(), failures).await?;
                }
                Refused::Again(fault) => {
                    failures += 1;
                    self.wait_after(&fault, failures).await?;
                    if fault.lost && carries(&self.look(false).await?, &mark) {
                        return Ok(Asked::Accepted(mark));
                    }
                }
            }
        }
    }

    async fn post(&mut self, body: &Value) -> Step<Result<(), Fault>> {
        let begun = self.session.clock.now();
        let session = self.session.clone();
        // Not stopped in between: a request on the wire is followed to its answer.
        let answer = session.client.sync(&self.app, body).await;
        self.audit_call("sync", begun, answer.as_ref().err());
        Ok(answer.map(|_| ()))
    }

    /// Waits until the window opens; a window that stays closed is no failure.
    pub(super) async fn park(&mut self, why: &str) -> Step<()> {
        let mut reason = why.to_owned();
        loop {
            match self.session.client.windows(&self.app).await {
                Ok(windows) if windows.can_sync => return Ok(()),
                Ok(windows) => reason = windows.explain(),
                Err(fault) => {
                    tracing::debug!(app = %self.app.name, %fault, "the sync windows cannot be read")
                }
            }
            self.park_once(&reason).await?;
        }
    }

    /// Waits for one look at a closed window.
    pub(super) async fn park_once(&mut self, reason: &str) -> Step<()> {
        self.say(format!("parked: {reason}"));
        self.pause(self.session.timing.window_poll).await.map_err(|result| match result {
            SyncResult::TimedOut { .. } => SyncResult::Parked { reason: reason.to_owned() },
            other => other,
        })
    }

    /// Looks at the windows before asking, so that a closed one costs no refused request.
    pub(super) async fn wait_for_window(&mut self) -> Step<()> {
        match self.session.client.windows(&self.app).await {
            Ok(windows) if !windows.can_sync => {
                let reason = windows.explain();
                self.park_once(&reason).await?;
                self.park(&reason).await
            }
            // Without an answer the request itself will tell.
            _ => Ok(()),
        }
    }

    /// The request. Every key that is left out means Argo CD's or the Application's default.
    fn body(&self, app: &Application, mark: &Mark, pin: Pin) -> Value {
        let options = &self.shared.options;
        let mut body = json!({
            "project": self.app.project,
            "appNamespace": self.app.namespace,
            "infos": [
                {"name": RUN_NOTE, "value": mark.run},
                {"name": TRY_NOTE, "value": mark.attempt.to_string()},
                {"name": COMMIT_NOTE, "value": self.commit.clone().unwrap_or_else(|| self.shared.revision.clone())},
            ],
            "prune": options.prune.unwrap_or_else(|| !app.is_automated() || app.automated("prune")),
        });
        let Some(map) = body.as_object_mut() else { return body };
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        if let (Some(commit), Pin::Ours) = (&self.commit, pin) {
            match self.source {
                // Pairwise, counted from 1; `revision` would be ignored without a word.
                Some(place) => {
                    put("sourcePositions", json!([place + 1]));
                    put("revisions", json!([commit]));
                }
                None => {
                    put("revision", json!(commit));
                }
            }
        }
        if self.shared.dry_run {
            put("dryRun", json!(true));
        }
        match (options.strategy, options.force) {
            (Strategy::Hook, false) => {}
            (Strategy::Hook, true) => {
                // `force` is inlined under `hook` on the wire.
                put("strategy", json!({"hook": {"force": true}}));
            }
            (Strategy::Apply, force) => {
                put("strategy", json!({"apply": {"force": force}}));
            }
        }
        if !options.sync_options.is_empty() {
            put("syncOptions", json!({"items": options.sync_options}));
        }
        if !options.resources.is_empty() {
            put("resources", json!(options.resources));
        }
        if let Some(retry) = &options.retry {
            let backoff = json!({"duration": retry.duration, "factor": retry.factor, "maxDuration": retry.max_duration});
            put("retryStrategy", json!({"limit": retry.limit, "backoff": backoff}));
        }
        body
    }

    /// Waits for the end of an operation that is not ours. One of an older commit that does
    /// not end (a wave that never gets healthy) gives way: the newest commit wins.
    pub(super) async fn wait_for_other(&mut self) -> Step<Application> {
        let since = self.session.clock.now();
        let mut terminated = false;
        loop {
            let app = self.look(false).await?;
            let waits = match self.judge(&app, None) {
                Verdict::Pending { .. } => "an operation waits for the controller".to_owned(),
                Verdict::Running { terminating: true, window: true, .. } => {
                    "a terminated operation is held by a closed sync window".into()
                }
                Verdict::Running { message, .. } => format!("another operation runs: {message}"),
                _ => return Ok(app),
            };
            self.say(waits);
            let waited = self.session.clock.now().saturating_sub(since);
            if !terminated && waited >= self.session.timing.give_way && self.gives_way(&app) {
                terminated = true;
                self.terminate().await;
            }
            self.pause(self.session.timing.poll.0.max(waited / 8).min(self.session.timing.poll.1)).await?;
        }
    }

    /// Returns true for an operation of ours or of auto-sync at a commit older than ours.
    /// A person's operation is never stopped.
    pub(super) fn gives_way(&self, app: &Application) -> bool {
        let Some(operation) = &app.operation else { return false };
        let ours = operation.note(RUN_NOTE).is_some() || operation.initiated_by.automated;
        let (theirs, Some(commit)) = (operation.revision(self.source), &self.commit) else { return false };
        ours && theirs != commit && self.shared.ancestry.is_ancestor(theirs, commit) == Some(true)
    }

    pub(super) async fn terminate(&mut self) {
        let begun = self.session.clock.now();
        let answer = self.session.client.terminate(&self.app).await;
        self.audit_call("terminate", begun, answer.as_ref().err());
        if let Err(fault) = answer {
            tracing::warn!(app = %self.app.name, %fault, "the older operation could not be stopped");
        }
    }
}

/// Returns true if an Application's running or last operation carries a mark.
pub(super) fn carries(app: &Application, mark: &Mark) -> bool {
    app.operation.as_ref().is_some_and(|o| mark.is_on(o))
        || app.status.operation_state.as_ref().is_some_and(|s| mark.is_on(&s.operation))
}

fn vanished() -> Fault {
    Fault::local(FaultKind::NotFound, "the Application is there for a read and not for a sync")
}

/// Returns true if the windows keep auto-sync from acting now, whatever they allow a person.
pub(super) fn keeps_auto_sync_back(windows: &Windows) -> bool {
    let active = || windows.active_windows.iter().flatten();
    let assigned = || windows.assigned_windows.iter().flatten();
    active().any(|w| w.kind == "deny")
        || assigned().any(|w| w.kind == "allow") && !active().any(|w| w.kind == "allow")
}

/// How long to wait before an event stream is opened again.
pub(super) const REOPEN: Duration = Duration::from_secs(1);
