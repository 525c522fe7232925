//! `hydrant sync` and `hydrant audit`: the last stage of the line, alone.

use super::sync::{SyncSelection, audit_table, pick};
use super::{delivery, print, wish};
use crate::audit::AuditFilter;
use crate::cli::{AuditArgs, OperationArgs, StrategyArg, SyncArgs, SyncFormat};
use crate::edge::git::{Remote, Repository, Tip};
use crate::error::{Error, ErrorKind, Result, Violations};
use crate::follow::{self, Follower, Wish};
use crate::model::fleet::Destination;
use crate::model::sync::{AppRef, Strategy, SyncOptions};
use crate::model::tree::ObjectId;
use crate::reconcile::{self, Tools};
use crate::report::worst;
use crate::stage::apps::Applied;
use crate::stop::Stop;
use crate::telemetry::Shown;

/// Syncs what the last delivery changed, or what is named.
///
/// # Errors
/// No server, names that nothing has, or a branch that cannot be read.
pub fn run(args: &SyncArgs, quiet: bool) -> Result<u8> {
    let request = delivery(&args.fleet, &args.destination, None)?;
    let definitions = reconcile::definitions(&request.render)?;
    let fleet = reconcile::fleet(&definitions, &request.render.pick)?;
    let settings = follow::settings(&definitions.settings.argocd, &fleet, &|name| std::env::var(name).ok())?;
    if !follow::is_configured(&settings) {
        return Err(Error::input("nothing was synced: no Argo CD server is configured")
            .hint("set ARGOCD_API_URL and ARGOCD_API_TOKEN, or argocd.api in a cluster's values"));
    }
    let memo = super::memo(&request);
    let stop = Stop::on_signals();
    let tools =
        Tools { memo: &memo, progress: &Shown::new(quiet), stop: &stop, sync: None, types: None, quiet };
    let mut target = reconcile::hydrate(&fleet, &request.render.pick, &tools)?;
    let all = reconcile::destinations(&fleet, &mut target, &request);
    let follower = Follower {
        fleet: &fleet,
        target: &target,
        settings: &settings,
        request: &request,
        source: definitions.source.commit.clone(),
        quiet,
        stop: &stop,
    };
    let mut found = Violations::new();
    let listed: Vec<(Destination, Vec<Applied>)> = all
        .into_iter()
        .map(|to| {
            let apps = follower.applications(&to, &mut found)?;
            Ok((to, apps))
        })
        .collect::<Result<_>>()?;
    if !found.is_empty() {
        return Err(Error::input("nothing was synced").with(found));
    }
    let chosen = named(&listed, args)?;
    let how = Wish {
        dry_run: args.dry_run,
        explicit: !args.app.is_empty(),
        options: options(&args.operation),
        ..wish(&args.wait)
    };
    let mut code = 0;
    for (to, apps) in &listed {
        if stop.is_set() {
            tracing::warn!("stopped: the Applications of {to} were not asked for");
            code = worst([code, ErrorKind::Partial.exit_code()]);
            continue;
        }
        let report = one(&follower, to, apps, chosen.as_deref(), args, &how)?;
        let Some(report) = report else { continue };
        match args.format {
            SyncFormat::Text => print(&report.text())?,
            SyncFormat::Json => print(&report.json())?,
        }
        code = worst([code, report.exit]);
    }
    Ok(code)
}

/// Returns the optional parts of the request.
fn options(args: &OperationArgs) -> SyncOptions {
    SyncOptions {
        prune: args.prune,
        strategy: match args.strategy {
            StrategyArg::Hook => Strategy::Hook,
            StrategyArg::Apply => Strategy::Apply,
        },
        force: args.force,
        sync_options: args.sync_option.clone(),
        resources: args.resource.clone(),
        retry: None,
    }
}

/// Returns the Applications that were named; none if all that changed are meant.
fn named(listed: &[(Destination, Vec<Applied>)], args: &SyncArgs) -> Result<Option<Vec<AppRef>>> {
    if args.app.is_empty() {
        return Ok(None);
    }
    let all: Vec<AppRef> = listed.iter().flat_map(|(_, apps)| apps.iter().map(|a| a.app.clone())).collect();
    let selection = SyncSelection { apps: args.app.clone(), ..SyncSelection::default() };
    pick(&all, &selection).map(Some)
}

fn one(
    follower: &Follower<'_>,
    to: &Destination,
    apps: &[Applied],
    chosen: Option<&[AppRef]>,
    args: &SyncArgs,
    how: &Wish,
) -> Result<Option<super::sync::SyncReport>> {
    let mut repository = Repository::open(&Remote::parse(&to.repo)?, &follower.request.git)?;
    let Tip::Head(head) = repository.fetch(&to.branch)? else {
        return Err(Error::input(format!("nothing was synced: {to} has no commit"))
            .hint("deliver first: hydrant run --once"));
    };
    let commit: ObjectId = match &args.revision {
        Some(text) => text
            .parse()
            .map_err(|_| Error::input(format!("`{text}` is no commit: 40 hex digits are needed")))?,
        None => head.id,
    };
    let wanted: Vec<AppRef> = match chosen {
        Some(chosen) => {
            let here = |app: &&AppRef| apps.iter().any(|a| a.app.key() == app.key());
            chosen.iter().filter(here).cloned().collect()
        }
        None => {
            let since = head.parents.first().copied().filter(|c| repository.read_commit(c).is_ok());
            follower.owed(apps, &repository.tree(since)?, &repository.tree(Some(head.id))?)?
        }
    };
    if wanted.is_empty() {
        return Ok(None);
    }
    follower.sync(wanted, apps, commit, repository, &to.branch, how).map(Some)
}

/// Prints the audit trail.
///
/// # Errors
/// A file that cannot be read.
pub fn audit(args: &AuditArgs) -> Result<u8> {
    let filter = AuditFilter {
        application: args.app.clone(),
        commit: args.commit.clone(),
        run: args.run.clone(),
        last: args.last,
    };
    print(&audit_table(&args.audit, &filter)?)?;
    Ok(0)
}
