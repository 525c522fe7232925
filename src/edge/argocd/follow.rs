//! Following one Application until something is known for sure.
//!
//! A stream wakes us early, a plain GET decides: the last word before success is always a
//! GET, because the stream is fed from a cache.

use super::application::Application;
use super::ask::REOPEN;
use super::stream::{Event, Watch};
use super::task::{Step, Task, stopped};
use super::verdict::{Mark, Verdict};
use crate::model::sync::{FailingResource, Failure, SyncResult, WaitFor};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Why following ended.
#[derive(Debug)]
pub(super) enum End {
    /// The one success.
    Live,
    /// Ours was applied and is healthy; Argo CD compares with a newer commit that differs.
    Newer(String),
    /// The operation is over and well (only asked when health is not waited for).
    OperationOver,
    /// Our operation, or the automated one of this commit, ended badly.
    Failed { phase: String, message: String },
    /// Somebody else's operation took the place of ours.
    Replaced,
    /// Automated, OutOfSync at our commit after a refresh we asked for, and nothing happens.
    Idle(Box<Application>),
}

/// Since when something has been the case.
#[derive(Default)]
struct Since {
    pending: Option<Duration>,
    running: Option<Duration>,
    terminated: bool,
    settling: Option<Duration>,
    degraded: Option<Duration>,
    refreshes: u32,
    pending_refreshed: bool,
}

impl Task {
    /// Follows from an object on. `slot` is given back when the operation is over.
    pub(super) async fn follow(
        &mut self,
        mut app: Application,
        mark: Option<&Mark>,
        slot: &mut Option<OwnedSemaphorePermit>,
    ) -> Step<End> {
        let mut since = Since::default();
        let mut wakeups = Wakeups::default();
        loop {
            let verdict = self.judge(&app, mark);
            self.describe(&verdict);
            if !matches!(verdict, Verdict::Pending { .. } | Verdict::Running { .. }) {
                slot.take();
            }
            if let Some(end) = self.decide(&verdict, &app, mark, &mut since).await? {
                return Ok(end);
            }
            app = match self.refresh_if_due(&verdict, &mut since).await? {
                Some(fresh) => fresh,
                None => self.next_look(&mut wakeups, &app).await?,
            };
        }
    }

    async fn decide(
        &mut self,
        verdict: &Verdict,
        app: &Application,
        mark: Option<&Mark>,
        since: &mut Since,
    ) -> Step<Option<End>> {
        let now = self.session.clock.now();
        let timing = self.session.timing.clone();
        let over = !matches!(
            verdict,
            Verdict::Pending { .. }
                | Verdict::Running { .. }
                | Verdict::Failed { .. }
                | Verdict::Replaced
                | Verdict::Deleting
        );
        let health_only = mark.is_none() && matches!(verdict, Verdict::Live | Verdict::NotHealthy(_));
        if (over && mark.is_some() || health_only)
            && (self.shared.wait == WaitFor::Operation || self.shared.dry_run)
        {
            return Ok(Some(End::OperationOver));
        }
        match verdict {
            Verdict::Live => return self.confirm(mark).await,
            Verdict::Failed { phase, message } => {
                self.failing = app.failing();
                return Ok(Some(End::Failed { phase: phase.clone(), message: message.clone() }));
            }
            Verdict::Replaced => return Ok(Some(End::Replaced)),
            Verdict::Deleting => return Err(deleting()),
            Verdict::Pending { .. } => {
                let waited = now.saturating_sub(*since.pending.get_or_insert(now));
                if waited > timing.pending * 2 && since.pending_refreshed {
                    return Err(never_began(waited));
                }
            }
            Verdict::Running { message, ours, .. } => {
                since.pending = None;
                let ran = now.saturating_sub(*since.running.get_or_insert(now));
                if !ours && ran >= timing.give_way && !since.terminated && self.gives_way(app) {
                    since.terminated = true;
                    self.terminate().await;
                }
                if let Some(child) = self.failed_child(message) {
                    return Err(held_by(&child));
                }
            }
            Verdict::NotHealthy(health) if health == "Degraded" => {
                let degraded = now.saturating_sub(*since.degraded.get_or_insert(now));
                if degraded >= timing.degraded_grace {
                    self.failing = app.failing();
                    return Err(degraded_for(degraded, app));
                }
            }
            Verdict::OutOfSync { revision, newer } if since.refreshes > 0 => {
                return self.stays_out_of_sync(app, mark, revision, *newer, since).await;
            }
            _ => {}
        }
        if !matches!(verdict, Verdict::NotHealthy(h) if h == "Degraded") {
            since.degraded = None;
        }
        Ok(None)
    }

    /// The predicate held once: it has to hold on a plain GET, and still after a moment.
    async fn confirm(&mut self, mark: Option<&Mark>) -> Step<Option<End>> {
        let settle = self.session.timing.settle;
        if !settle.is_zero() {
            self.pause(settle).await?;
        }
        let again = self.look(false).await?;
        Ok((self.judge(&again, mark) == Verdict::Live).then_some(End::Live))
    }

    /// OutOfSync although the operation is over and Argo CD has looked again.
    async fn stays_out_of_sync(
        &mut self,
        app: &Application,
        mark: Option<&Mark>,
        revision: &str,
        newer: bool,
        since: &mut Since,
    ) -> Step<Option<End>> {
        let now = self.session.clock.now();
        let waited = now.saturating_sub(*since.settling.get_or_insert(now));
        if waited < self.session.timing.idle {
            return Ok(None);
        }
        if let Some(failure) = kept(app) {
            self.failing = out_of_sync(app);
            return Err(failure);
        }
        if mark.is_none() {
            return Ok(Some(End::Idle(Box::new(app.clone()))));
        }
        if newer {
            let healthy = app.status.health.status == "Healthy";
            return Ok(healthy.then(|| End::Newer(revision.to_owned())));
        }
        if since.refreshes < 3 {
            return Ok(None);
        }
        self.failing = out_of_sync(app);
        Err(stays(app, &self.failing))
    }

    /// Asks for a comparison when one is overdue. Without a controller that call never
    /// answers; it has its own deadline, and its failure is not the Application's.
    async fn refresh_if_due(&mut self, verdict: &Verdict, since: &mut Since) -> Step<Option<Application>> {
        let now = self.session.clock.now();
        let timing = &self.session.timing;
        match verdict {
            Verdict::Pending { .. } => {
                let waited = now.saturating_sub(*since.pending.get_or_insert(now));
                if since.pending_refreshed || waited <= timing.pending {
                    return Ok(None);
                }
                since.pending_refreshed = true;
            }
            Verdict::NotCompared(_)
            | Verdict::Behind(_)
            | Verdict::OutOfSync { .. }
            | Verdict::SpecDiffers => {
                let waited = now.saturating_sub(*since.settling.get_or_insert(now));
                // 10 s, then twice as long each time: a refresh costs Argo CD a comparison.
                let due =
                    timing.barrier.saturating_mul(1u32.checked_shl(since.refreshes.min(5)).unwrap_or(32));
                if waited < due {
                    return Ok(None);
                }
                since.refreshes += 1;
                since.settling = None;
            }
            _ => {
                since.settling = None;
                return Ok(None);
            }
        }
        self.try_refresh().await
    }

    /// One refresh; a fault of it is only logged.
    pub(super) async fn try_refresh(&mut self) -> Step<Option<Application>> {
        match self.read(true).await? {
            Ok(app) => {
                self.last = Some(app.clone());
                Ok(Some(app))
            }
            Err(refused) => {
                tracing::debug!(app = %self.app.name, ?refused, "the refresh brought nothing");
                Ok(None)
            }
        }
    }

    /// Waits for an event or the next poll, whichever is first.
    async fn next_look(&mut self, wakeups: &mut Wakeups, before: &Application) -> Step<Application> {
        let (first, longest) = self.session.timing.poll;
        let wait = if wakeups.watch.is_some() { longest } else { wakeups.poll.max(first) };
        wakeups.poll = (wait + wait / 2).min(longest);
        self.open_stream(wakeups).await;
        let mut stop = self.shared.stop.clone();
        let left = self.left();
        let event = tokio::select! {
            biased;
            () = stopped(&mut stop) => return Err(SyncResult::Interrupted { last: self.state.clone() }),
            event = wakeups.next() => Some(event),
            () = self.session.clock.sleep(wait.min(left)) => None,
        };
        if self.left().is_zero() {
            return Err(self.timed_out());
        }
        match event {
            // What is older than what we saw is dropped: the stream may lag behind a GET.
            Some(Ok(Event::Seen(app))) if app.version() > before.version() => {
                self.last = Some((*app).clone());
                return Ok(*app);
            }
            Some(Ok(_)) => return Ok(before.clone()),
            Some(Err(fault)) => {
                tracing::debug!(app = %self.app.name, %fault, "the event stream is over");
                wakeups.close(self.session.clock.now());
            }
            None => {}
        }
        self.look(false).await
    }

    async fn open_stream(&self, wakeups: &mut Wakeups) {
        let now = self.session.clock.now();
        if wakeups.watch.is_some() || wakeups.not_before.is_some_and(|at| now < at) {
            return;
        }
        let Ok(permit) = self.session.streams.clone().try_acquire_owned() else { return };
        match self.session.client.watch(&self.app).await {
            Ok(watch) => wakeups.watch = Some((watch, permit)),
            Err(fault) => {
                tracing::debug!(app = %self.app.name, %fault, "no event stream; polling");
                wakeups.close(now);
            }
        }
    }

    fn describe(&mut self, verdict: &Verdict) {
        let text = match verdict {
            Verdict::Live => "Synced, Healthy".into(),
            Verdict::Pending { .. } => "accepted, waiting for the controller".into(),
            Verdict::Running { window: true, .. } => "held by a sync window that closed midway".into(),
            Verdict::Running { terminating: true, .. } => "being terminated".into(),
            Verdict::Running { message, .. } if message.is_empty() => "running".into(),
            Verdict::Running { message, .. } => format!("running: {message}"),
            Verdict::Failed { phase, message } => format!("{phase}: {message}"),
            Verdict::Replaced => "another operation took its place".into(),
            Verdict::NotCompared(why) => format!("not compared: {why}"),
            Verdict::Behind(revision) => {
                format!("compared with `{revision}`, which is not known to hold our commit")
            }
            Verdict::OutOfSync { .. } => "OutOfSync".into(),
            Verdict::SpecDiffers => "its spec is not ours yet".into(),
            Verdict::NotHealthy(health) => format!("Synced, {health}"),
            Verdict::Deleting => "being deleted".into(),
        };
        if text != self.state {
            self.say(text);
        }
    }

    /// Finds the child that holds its parent for ever: one of this run that failed.
    fn failed_child(&self, message: &str) -> Option<String> {
        let (_, rest) = message.split_once("argoproj.io/Application/")?;
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
        (self.others.came_to(&self.app.sibling(&name)) == Some(false)).then_some(name)
    }
}

/// The event stream, if one is open, and when to look without it.
#[derive(Default)]
struct Wakeups {
    watch: Option<(Watch, OwnedSemaphorePermit)>,
    not_before: Option<Duration>,
    poll: Duration,
    closed: u32,
}

impl Wakeups {
    async fn next(&mut self) -> Result<Event, super::fault::Fault> {
        match &mut self.watch {
            Some((watch, _)) => watch.next().await,
            None => std::future::pending().await,
        }
    }

    fn close(&mut self, now: Duration) {
        self.watch = None;
        self.closed += 1;
        self.not_before =
            Some(now + REOPEN.saturating_mul(1u32.checked_shl(self.closed.min(6)).unwrap_or(64)));
    }
}

fn deleting() -> SyncResult {
    SyncResult::from(
        Failure::permanent("the Application is being deleted")
            .mend("wait for it, or remove its finalizer if it hangs"),
    )
}

fn never_began(waited: Duration) -> SyncResult {
    SyncResult::from(
        Failure::passing(format!(
            "Argo CD accepted the operation and has not begun it for {} s",
            waited.as_secs()
        ))
        .mend("look at the application controller, and for the annotation argocd.argoproj.io/skip-reconcile"),
    )
}

fn held_by(child: &str) -> SyncResult {
    SyncResult::from(Failure::passing(format!(
        "it waits for its child `{child}`, which did not get healthy in this run"
    )))
}

fn degraded_for(time: Duration, app: &Application) -> SyncResult {
    let why = &app.status.health.message;
    let why = if why.is_empty() { String::new() } else { format!(": {}", super::fault::short(why)) };
    SyncResult::from(Failure::passing(format!("Synced, and Degraded for {} s{why}", time.as_secs())))
}

/// Lists what is OutOfSync, for the report.
pub(super) fn out_of_sync(app: &Application) -> Vec<FailingResource> {
    let listed = app.status.resources.iter().filter(|r| r.status == "OutOfSync").take(50);
    listed
        .map(|r| FailingResource {
            group: r.group.clone(),
            kind: r.kind.clone(),
            namespace: r.namespace.clone(),
            name: r.name.clone(),
            status: if r.requires_pruning { "requires pruning".into() } else { r.status.clone() },
            message: String::new(),
        })
        .collect()
}

/// Returns true if pruning is all that is left to do.
pub(super) fn only_pruning_left(app: &Application) -> bool {
    let mut left = app.status.resources.iter().filter(|r| r.status == "OutOfSync").peekable();
    left.peek().is_some() && left.all(|r| r.requires_pruning)
}

/// The failure of an Application whose only difference are objects that nobody may prune.
/// Seen on a running server: with selfHeal it tries again and again, and takes the place of
/// every request of ours.
pub(super) fn kept(app: &Application) -> Option<SyncResult> {
    let failing = out_of_sync(app);
    let first = failing.first().filter(|_| only_pruning_left(app) && app.kept_from_pruning())?;
    Some(SyncResult::from(
        Failure::permanent("it is applied, and objects that left Git stay: they are marked `Prune=false`")
            .mend(format!(
                "look at them, then delete them yourself: `kubectl delete {}`",
                first.kubectl_name()
            )),
    ))
}

fn stays(app: &Application, failing: &[FailingResource]) -> SyncResult {
    let (reason, mend) = if only_pruning_left(app) {
        (
            "the sync went well, and objects that left Git remain: it ran without prune",
            "sync it with `--prune`, or delete them",
        )
    } else if failing.is_empty() {
        ("the sync went well, and Argo CD still says OutOfSync", "look at its diff: `argocd app diff`")
    } else {
        (
            "the sync went well, and something changes these objects back",
            "find who does (an operator, a webhook), or add `ignoreDifferences` for those fields",
        )
    };
    SyncResult::from(Failure::permanent(reason).mend(mend))
}
