//! `hydrant sync`, and the last stage of `run`: asks Argo CD for what was delivered and
//! follows it. A library function; the command line and the run fill in the request.

mod live;
mod report;

pub use live::LiveLines;
pub use report::SyncReport;

use crate::audit::{self, Audit, AuditFilter, Rotation};
use crate::edge::argocd::alert::{self, Alert};
use crate::edge::argocd::clock::{Clock, SystemClock};
use crate::edge::argocd::run::{Tools, run};
use crate::edge::argocd::settings::ArgoSettings;
use crate::edge::argocd::verdict::{Ancestry, is_commit};
use crate::error::{Error, Result, Violation};
use crate::model::sync::{AppRef, SyncRequest};
use crate::stop::Stop;
use crate::suggest::did_you_mean;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a sync needs besides its request.
pub struct SyncContext {
    /// Servers, waits, alerts.
    pub settings: ArgoSettings,
    /// Which commit came after which: the clone that was pushed from.
    pub ancestry: Arc<dyn Ancestry>,
    /// The audit file, if there is one.
    pub audit: Option<(PathBuf, Rotation)>,
    /// Show no live lines.
    pub quiet: bool,
    /// Ends the following; Argo CD goes on alone.
    pub stop: Stop,
}

/// Syncs and follows, until all is known or a signal says stop; then Argo CD goes on alone.
///
/// # Errors
/// A request that names no commit, an audit file that cannot be opened, or no runtime.
/// Failures of Applications are in the report.
pub fn sync(request: &SyncRequest, context: &SyncContext) -> Result<SyncReport> {
    check(request)?;
    let audit = match &context.audit {
        Some((path, rotation)) => Audit::open(path, rotation.clone())
            .map_err(|e| Error::external("nothing was synced: the audit file cannot be opened").because(e))?,
        None => Audit::default(),
    };
    // A thread of its own: the agent's loop is inside a runtime, which takes no second one.
    std::thread::scope(|scope| scope.spawn(|| follow(request, context, audit)).join())
        .unwrap_or_else(|_| Err(Error::internal("the sync stopped in the middle")))
}

fn follow(request: &SyncRequest, context: &SyncContext, audit: Audit) -> Result<SyncReport> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::external("nothing was synced: no runtime").because(e))?;
    let live = Arc::new(LiveLines::new(context.quiet));
    let report = runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(pass_on(context.stop.clone(), stop));
        let tools = Tools {
            clock: Arc::new(SystemClock::default()),
            audit: Arc::new(audit),
            progress: live.clone(),
            ancestry: context.ancestry.clone(),
            stop: stopped,
        };
        sync_with(request, &context.settings, &tools).await
    });
    live.clear();
    // A call that hangs in the resolver must not hold the process.
    runtime.shutdown_background();
    Ok(report)
}

/// Syncs with given tools: the part without signals and terminal.
pub async fn sync_with(request: &SyncRequest, settings: &ArgoSettings, tools: &Tools) -> SyncReport {
    let result = run(request, settings, tools).await;
    let urgent: &[String] = if result.urgent { &result.notices } else { &[] };
    let about = Alert {
        run: &request.run_id,
        revision: &request.revision,
        outcomes: &result.outcomes,
        notices: urgent,
    };
    let clock: &dyn Clock = &*tools.clock;
    alert::send(&settings.alerts, &about, clock).await;
    SyncReport::new(request, result, tools.audit.take())
}

/// Passes the run's stop on to the Applications under way.
async fn pass_on(stop: Stop, applications: watch::Sender<bool>) {
    while !stop.is_set() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    applications.send_replace(true);
}

fn check(request: &SyncRequest) -> Result<()> {
    let mut found = Vec::new();
    // Argo CD takes a short or unknown SHA without a word and fails later.
    let commits = request.apps.iter().filter_map(|a| a.revision.as_ref()).chain([&request.revision]);
    for commit in commits.filter(|c| !is_commit(c)).collect::<BTreeSet<_>>() {
        found.push(Violation::error(format!("`{commit}` is no commit: 40 lower-case hex digits are needed")));
    }
    if request.run_id.is_empty() || request.run_id.len() > 200 {
        found.push(Violation::error("the run id must have 1 to 200 characters"));
    }
    if found.is_empty() { Ok(()) } else { Err(Error::input("nothing was synced").with(found)) }
}

/// Which Applications a person names.
#[derive(Clone, Debug, Default)]
pub struct SyncSelection {
    /// `--app`.
    pub apps: Vec<String>,
    /// `--env`.
    pub envs: Vec<String>,
    /// `--cluster`.
    pub clusters: Vec<String>,
}

/// Picks what is named; an empty list names all.
///
/// # Errors
/// Names that nothing is called, with their near misses.
pub fn pick(all: &[AppRef], selection: &SyncSelection) -> Result<Vec<AppRef>> {
    let mut found = Vec::new();
    unknown("--app", &selection.apps, all.iter().map(|a| a.name.as_str()).collect(), &mut found);
    unknown("--env", &selection.envs, all.iter().map(|a| a.env.as_str()).collect(), &mut found);
    unknown("--cluster", &selection.clusters, all.iter().map(|a| a.cluster.as_str()).collect(), &mut found);
    if !found.is_empty() {
        return Err(Error::input("nothing was synced").with(found));
    }
    let named = |list: &[String], name: &String| list.is_empty() || list.contains(name);
    let taken = |app: &&AppRef| {
        named(&selection.apps, &app.name)
            && named(&selection.envs, &app.env)
            && named(&selection.clusters, &app.cluster)
    };
    let picked: Vec<AppRef> = all.iter().filter(taken).cloned().collect();
    if picked.is_empty() && !all.is_empty() {
        return Err(Error::input(
            "nothing was synced: no Application has that name, environment and cluster at once",
        ));
    }
    Ok(picked)
}

fn unknown(flag: &str, wanted: &[String], known: BTreeSet<&str>, found: &mut Vec<Violation>) {
    for name in wanted.iter().filter(|w| !known.contains(w.as_str())) {
        let mut violation = Violation::error(format!("{flag} {name}: there is no such one"));
        violation.hint = did_you_mean(name, known.iter().copied());
        found.push(violation);
    }
}

/// `hydrant audit`: returns the trail as a table.
///
/// # Errors
/// An audit file that cannot be read.
pub fn audit_table(path: &Path, filter: &AuditFilter) -> Result<String> {
    let trail = audit::read(path, filter)
        .map_err(|e| Error::external("the audit trail cannot be read").because(e))?;
    let mut text = audit::table(&trail.records);
    if trail.unreadable > 0 {
        text.push_str(&format!("{} lines are no audit lines and were left out\n", trail.unreadable));
    }
    Ok(text)
}
