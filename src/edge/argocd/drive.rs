//! What one Application needs: nothing, a sync, or a refresh; and what is done when Argo CD
//! will never do anything by itself.

use super::application::Application;
use super::ask::{Asked, Pin, keeps_auto_sync_back};
use super::fault::{Fault, FaultKind};
use super::follow::{End, kept, only_pruning_left, out_of_sync};
use super::task::{Step, Task};
use super::verdict::{Verdict, spec_holds};
use crate::model::sync::{
    AppSource, FailingResource, Failure, SyncOptions, SyncResult, WaitFor, same_repository,
};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

/// How often a request of ours may lose its place to somebody else's.
const MOST_REQUESTS: u32 = 6;

/// What came of a task.
#[derive(Debug)]
pub struct Done {
    /// The result.
    pub result: SyncResult,
    /// The revision Argo CD last compared with.
    pub revision: Option<String>,
    /// The commit it had to reach.
    pub wanted: String,
    /// The objects at fault.
    pub failing: Vec<FailingResource>,
    /// How long it took.
    pub took: std::time::Duration,
}

impl Task {
    /// Brings the Application to its commit.
    pub async fn run(mut self) -> Done {
        let result = match self.drive().await {
            Ok(result) | Err(result) => result,
        };
        if result.lets_dependents_start() {
            // What an earlier try of this run left is over.
            self.failing.clear();
        }
        if self.failing.is_empty()
            && matches!(result, SyncResult::Failed(_) | SyncResult::TimedOut { .. })
            && let Some(app) = &self.last
        {
            self.failing = app.failing();
        }
        self.state = result.word().into();
        self.show(true);
        self.audit_outcome(&result);
        let revision = self.last.as_ref().map(|a| a.status.sync.revision_of(self.source).to_owned());
        Done {
            result,
            revision: revision.filter(|r| !r.is_empty()),
            wanted: self.commit.clone().unwrap_or_default(),
            failing: self.failing,
            took: self.session.clock.now().saturating_sub(self.started),
        }
    }

    async fn drive(&mut self) -> Step<SyncResult> {
        let app = self.appear().await?;
        self.source = self.our_source(&app);
        if self.shared.dry_run {
            self.mode = "dry-run";
            self.audit_what_is_lost(&app);
            return self.sync(app, Pin::Ours).await;
        }
        if app.is_hydrated() {
            self.mode = "hydrator";
            self.hydrated().await?;
            return self.refreshed().await;
        }
        if app.is_automated() && self.shared.explicit && self.shared.options != SyncOptions::default() {
            // A refresh has no options: what a person asks for is an operation of its own.
            return self.sync(app, Pin::Tracked).await;
        }
        if app.is_automated() {
            self.mode = "auto";
            return self.refreshed().await;
        }
        // A chart is synced to what its spec names.
        let pin = if self.commit.is_some() { Pin::Ours } else { Pin::Tracked };
        self.sync(app, pin).await
    }

    /// Waits until the Application exists with our spec, as long as its parent may bring it.
    async fn appear(&mut self) -> Step<Application> {
        let mut late = 0;
        loop {
            let found = self.look_for(false).await?;
            let parent = self.app.parent.as_ref().map(|p| self.app.sibling(p)).filter(|p| self.others.has(p));
            let parent_came_to = parent.as_ref().map(|p| self.others.came_to(p));
            match &found {
                Some(app) if app.metadata.deletion_timestamp.is_some() && parent.is_none() => {
                    return Err(SyncResult::from(
                        Failure::permanent("the Application is being deleted")
                            .maybe_mend(Fault::local(FaultKind::Deleting, "").mend()),
                    ));
                }
                Some(app)
                    if app.metadata.deletion_timestamp.is_none()
                        && self.is_as_delivered(app, parent.is_some()) =>
                {
                    return Ok(app.clone());
                }
                _ => {}
            }
            match parent_came_to {
                None if found.is_some() => return Err(self.not_as_delivered()),
                None => return Err(self.gone().await),
                Some(Some(false)) => return Err(self.parent_failed(found.is_some())),
                // The parent is through: give its objects a moment, then it is final.
                Some(Some(true)) if late >= 3 => {
                    return match found {
                        Some(app) if self.commit.is_some() => Ok(app),
                        Some(_) => Err(self.not_as_delivered()),
                        None => Err(self.gone().await),
                    };
                }
                Some(Some(true)) => late += 1,
                Some(None) => {}
            }
            self.say(if found.is_some() {
                "waiting for its parent to apply our spec"
            } else {
                "waiting for its parent to create it"
            });
            self.pause(self.session.timing.poll.0).await?;
        }
    }

    /// Returns true if Argo CD's object is the one we delivered, as far as it matters: the
    /// whole spec where our commit is in the spec or the parent is bringing it now, else
    /// only that it still takes its manifests from our path.
    fn is_as_delivered(&self, app: &Application, parent_runs: bool) -> bool {
        let Some(ours) = self.app.manifest.get("spec") else { return true };
        match self.app.source {
            AppSource::Chart | AppSource::Foreign => spec_holds(ours, &app.spec),
            AppSource::OurPath { .. } if parent_runs => spec_holds(ours, &app.spec),
            AppSource::OurPath { .. } => self.place_of_our_source(app).is_some() || app.is_hydrated(),
        }
    }

    fn place_of_our_source(&self, app: &Application) -> Option<usize> {
        let AppSource::OurPath { repo_url, path, .. } = &self.app.source else { return None };
        let is_ours = |source: &Value| {
            let text = |key: &str| source.get(key).and_then(Value::as_str).unwrap_or_default();
            same_repository(text("repoURL"), repo_url)
                && text("path").trim_matches('/') == path.trim_matches('/')
        };
        match app.sources() {
            // `source` is ignored by Argo CD when there are `sources`.
            Some(sources) => sources.iter().position(is_ours),
            None => app.spec.get("source").is_some_and(is_ours).then_some(0),
        }
    }

    fn our_source(&self, app: &Application) -> Option<usize> {
        app.sources()?;
        self.place_of_our_source(app)
    }

    fn not_as_delivered(&self) -> SyncResult {
        let parent = self.app.parent.as_deref().unwrap_or("whoever applies it");
        SyncResult::from(
            Failure::passing(format!(
                "Argo CD has another spec for it than the repository: `{parent}` has not applied ours"
            ))
            .mend(format!("sync `{parent}` first")),
        )
    }

    fn parent_failed(&self, exists: bool) -> SyncResult {
        let parent = self.app.parent.as_deref().unwrap_or_default();
        let what = if exists { "has not applied its spec" } else { "has not created it" };
        SyncResult::NotStarted { because: format!("its parent `{parent}` failed and {what}") }
    }

    /// Manual mode: asks for our commit and follows the request.
    async fn sync(&mut self, mut app: Application, pin: Pin) -> Step<SyncResult> {
        let mut errors = 0;
        for _ in 0..MOST_REQUESTS {
            if !self.shared.dry_run && self.judge(&app, None) == Verdict::Live && !self.repeats() {
                return self.already_live().await;
            }
            self.wait_for_window().await?;
            let mut slot = self.slot().await?;
            let mark = match self.ask(&app, pin).await? {
                Asked::Accepted(mark) => mark,
                Asked::Busy => {
                    slot.take();
                    app = self.wait_for_other().await?;
                    continue;
                }
                Asked::Refresh => {
                    slot.take();
                    self.mode = "auto";
                    return Box::pin(self.refreshed()).await;
                }
            };
            if self.shared.wait == WaitFor::None {
                return Ok(SyncResult::Asked);
            }
            let begun = self.look(false).await?;
            match self.follow(begun, Some(&mark), &mut slot).await? {
                End::Live => return Ok(SyncResult::Live),
                End::Newer(by) => return Ok(SyncResult::Superseded { by }),
                End::OperationOver => return Ok(SyncResult::Asked),
                End::Failed { phase, message } => {
                    if !self.is_worth_another_try(&phase, &message) {
                        return Err(failed(&phase, message));
                    }
                    errors += 1;
                    let fault = Fault {
                        class: super::fault::Class::Transient,
                        ..Fault::local(FaultKind::RevisionUnresolved, message)
                    };
                    self.wait_after(&fault, errors).await?;
                    app = self.look(false).await?;
                }
                End::Replaced | End::Idle(_) => {
                    slot.take();
                    app = self.wait_for_other().await?;
                    self.unless_kept(&app)?;
                }
            }
        }
        Err(SyncResult::from(
            Failure::passing(format!("other operations took its place {MOST_REQUESTS} times"))
                .mend("find out who else syncs it; Argo CD runs one operation at a time"),
        ))
    }

    /// A person who names an Application wants a sync even if nothing differs; but once is enough.
    fn repeats(&self) -> bool {
        self.shared.explicit && self.attempt == 0 && !self.explicit_used
    }

    async fn already_live(&mut self) -> Step<SyncResult> {
        let app = self.look(false).await?;
        let mut none = None;
        match self.follow(app, None, &mut none).await? {
            End::Live => Ok(SyncResult::Live),
            End::OperationOver => Ok(SyncResult::Asked),
            // It moved on while we looked; what follows is for the next run to see.
            End::Newer(by) => Ok(SyncResult::Superseded { by }),
            End::Failed { phase, message } => Err(failed(&phase, message)),
            End::Replaced | End::Idle(_) => {
                Err(SyncResult::from(Failure::passing("it was live and is not any more")))
            }
        }
    }

    /// Auto mode: a refresh makes Argo CD look at Git, then it acts by itself or never.
    async fn refreshed(&mut self) -> Step<SyncResult> {
        let mut app = if self.announced { self.look(false).await? } else { self.look(true).await? };
        let mut none: Option<OwnedSemaphorePermit> = None;
        loop {
            if self.shared.wait == WaitFor::None {
                return Ok(SyncResult::Asked);
            }
            match self.follow(app, None, &mut none).await? {
                End::Live => return Ok(SyncResult::Live),
                End::Newer(by) => return Ok(SyncResult::Superseded { by }),
                End::OperationOver => return Ok(SyncResult::Asked),
                End::Failed { .. } | End::Replaced => return self.explicitly().await,
                End::Idle(idle) => match self.why_idle(&idle).await? {
                    Idle::Sync => return self.explicitly().await,
                    Idle::Windows(reason) => {
                        self.parked = true;
                        self.park_once(&reason).await?;
                        app = self.look(true).await?;
                    }
                    Idle::Again => app = self.look(true).await?,
                },
            }
        }
    }

    /// Syncs an automated Application by request, to what it tracks: a SHA would be refused.
    async fn explicitly(&mut self) -> Step<SyncResult> {
        if self.explicit_used {
            return Err(SyncResult::from(Failure::passing(
                "neither auto-sync nor an explicit sync brought it to our commit",
            )));
        }
        self.failing.clear();
        self.explicit_used = true;
        let app = self.look(false).await?;
        Box::pin(self.sync(app, Pin::Tracked)).await
    }

    /// OutOfSync at our commit, twice refreshed, no operation. Argo CD shows a condition in
    /// two cases only; the others are found here.
    async fn why_idle(&mut self, app: &Application) -> Step<Idle> {
        let condition = |text: &str| {
            app.status.conditions.iter().find(|c| c.kind == "SyncError" && c.message.contains(text))
        };
        if let Some(found) = condition("auto-sync will wipe out all resources") {
            return Err(stuck(
                &found.message,
                "set `allowEmpty: true` on its automated policy if nothing is what is meant",
            ));
        }
        if condition("Failed last sync attempt").is_some() {
            return Ok(Idle::Sync);
        }
        if let Ok(windows) = self.session.client.windows(&self.app).await
            && keeps_auto_sync_back(&windows)
        {
            if self.shared.explicit && windows.can_sync {
                return Ok(Idle::Sync);
            }
            return Ok(Idle::Windows(windows.explain()));
        }
        // The window has opened since the last refresh: now auto-sync may act.
        if std::mem::take(&mut self.parked) {
            return Ok(Idle::Again);
        }
        if only_pruning_left(app) && !app.automated("prune") {
            if self.shared.explicit && self.shared.options.prune == Some(true) {
                return Ok(Idle::Sync);
            }
            self.failing = out_of_sync(app);
            return Err(stuck(
                "only objects that left Git remain, and its automated policy does not prune",
                "set `prune: true` on its automated policy, or `hydrant sync --app <name> --prune`",
            ));
        }
        let state = app.status.operation_state.as_ref();
        let was_synced = state.is_some_and(|s| {
            s.phase == "Succeeded"
                && s.sync_result
                    .as_ref()
                    .is_some_and(|r| app.status.sync.revision_of(self.source) == r.revision_of(self.source))
        });
        if was_synced && !app.automated("selfHeal") && !self.shared.explicit {
            self.failing = out_of_sync(app);
            return Err(stuck(
                "this commit was synced, the live objects have drifted since, and `selfHeal` is off",
                "name it: `hydrant sync --app <name>`, or set `selfHeal: true`",
            ));
        }
        Ok(Idle::Sync)
    }

    /// Ends it when all that is left at our commit are objects that nobody may prune.
    fn unless_kept(&mut self, app: &Application) -> Step<()> {
        let at_ours = matches!(self.judge(app, None), Verdict::OutOfSync { .. });
        match kept(app).filter(|_| at_ours) {
            Some(failure) => {
                self.failing = out_of_sync(app);
                Err(failure)
            }
            None => Ok(()),
        }
    }

    /// Waits until the hydrator has rendered our dry commit, and goes on with what it made.
    async fn hydrated(&mut self) -> Step<()> {
        let mut app = self.look(true).await?;
        loop {
            if let Some(done) = &app.status.source_hydrator.current_operation {
                let ours = self.commit.as_deref().is_some_and(|c| {
                    c == done.dry_sha || self.shared.ancestry.is_ancestor(c, &done.dry_sha) == Some(true)
                });
                if ours && done.phase == "Hydrated" && !done.hydrated_sha.is_empty() {
                    self.commit = Some(done.hydrated_sha.clone());
                    return Ok(());
                }
                if ours && done.phase == "Failed" {
                    return Err(failed("hydration", super::fault::short(&done.message)));
                }
            }
            self.say("waiting for the source hydrator");
            self.pause(self.session.timing.poll.1).await?;
            app = self.look(false).await?;
        }
    }

    /// Takes one of the server's places for operations. Applications that apply others take
    /// none: they wait for their children, which need one each.
    async fn slot(&mut self) -> Step<Option<OwnedSemaphorePermit>> {
        if self.others.has_children(&self.app.key()) {
            return Ok(None);
        }
        let operations = self.session.operations.clone();
        if let Ok(permit) = operations.clone().try_acquire_owned() {
            return Ok(Some(permit));
        }
        self.say("waiting for its turn");
        Ok(self.unless_over(operations.acquire_owned()).await?.ok())
    }

    /// `Error` means that Argo CD could not even try; with Git or the repo-server down the
    /// same request may go well a little later. `Failed` was tried, with its own retries.
    fn is_worth_another_try(&self, phase: &str, message: &str) -> bool {
        let passing = [
            "code = Unavailable",
            "code = DeadlineExceeded",
            "connection refused",
            "i/o timeout",
            "Client.Timeout",
            "not our ref",
            "connection error",
            "context deadline exceeded",
        ];
        phase == "Error" && passing.iter().any(|p| message.contains(p))
    }
}

enum Idle {
    /// An explicit sync may help.
    Sync,
    /// A window keeps auto-sync back.
    Windows(String),
    /// A window did, and does not any more.
    Again,
}

fn failed(phase: &str, message: String) -> SyncResult {
    SyncResult::from(Failure {
        permanent: phase != "Error",
        ..Failure::passing(format!("{phase}: {message}"))
    })
}

fn stuck(reason: &str, mend: &str) -> SyncResult {
    SyncResult::from(Failure::permanent(super::fault::short(reason)).mend(mend))
}
