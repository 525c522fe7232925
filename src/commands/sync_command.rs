//! `hydrant sync` and `hydrant audit`: the last stage of the line, alone.

use super::sync::{SyncSelection, audit_table, pick};
use super::{delivery, print, wish};
use crate::audit::{self, AuditFilter};
use crate::cli::{AuditArgs, OperationArgs, StrategyArg, SyncArgs, SyncFormat};
use crate::config::DeliveryRequest;
use crate::delivery::{self, blank, signature};
use crate::edge::git::{Commit, NOTES, Note, Remote, Repository, Signature, Tip};
use crate::error::{Error, ErrorKind, Result, Violations};
use crate::follow::{self, Follower, PushedBranch, Wish};
use crate::model::fleet::Destination;
use crate::model::sync::{AppRef, Strategy, SyncOptions, WaitFor};
use crate::model::tree::ObjectId;
use crate::owed::{self, Branch, Outcome, Reach};
use crate::reconcile::{self, Tools};
use crate::record::{self, Followed, outlived};
use crate::report::{Said, worst};
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
    let request = DeliveryRequest { git: request.git_with(&definitions.settings.git), ..request };
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
    let all = delivery::destinations(&fleet, &mut target, &request);
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
        let who = signature(&definitions, &request)?;
        let report = one(&follower, to, apps, chosen.as_deref(), args, &how, &who)?;
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
    who: &Signature,
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
    let fleet = &follower.fleet.name;
    let mut notices = Violations::new();
    let known = owed::known(&repository, &head, fleet, to, &mut notices);
    let wanted: Vec<AppRef> = match chosen {
        Some(chosen) => {
            let here = |app: &&AppRef| apps.iter().any(|a| a.app.key() == app.key());
            chosen.iter().filter(here).cloned().collect()
        }
        None => changed_or_owed(follower, &repository, &head, apps, &known)?,
    };
    if wanted.is_empty() {
        return Ok(None);
    }
    let branch = PushedBranch::new(repository, &to.branch);
    let report = follower.sync(wanted, apps, commit, &branch, how)?;
    if let (WaitFor::Health, false, true, Some(last)) = (how.wait, how.dry_run, commit == head.id, known.last)
    {
        let reach = Reach::over(apps, |_| false, false);
        let before = known.followed.as_ref();
        let outcome =
            Outcome { line: &owed::line_of(to), commit, reach: &reach, before, report: Some(&report) };
        let blank = blank(fleet, to, &last, follower.request.seconds);
        let gone = |notes: &[Note]| outlived(notes, fleet, &to.branch);
        let noted = branch.with(|repository| outcome.write(repository, last, who, &blank, &gone));
        owed::tell(&noted, &mut notices);
    }
    super::show::messages(&notices.iter().map(Said::from).collect::<Vec<_>>());
    Ok(Some(report))
}

/// Returns what the last commit changed, and what is owed from before.
fn changed_or_owed(
    follower: &Follower<'_>,
    repository: &Repository,
    head: &Commit,
    apps: &[Applied],
    known: &owed::Known,
) -> Result<Vec<AppRef>> {
    let Some(parent) = head.parents.first() else {
        return Ok(apps.iter().map(|applied| applied.app.clone()).collect());
    };
    let branch = Branch { repository, head: head.id, path: &follower.fleet.path, all: apps };
    let mut wanted = branch.owed(Some(&Followed::to(parent)), follower.settings)?;
    for app in branch.owed(known.followed.as_ref(), follower.settings)? {
        if !wanted.iter().any(|other| other.key() == app.key()) {
            wanted.push(app);
        }
    }
    Ok(wanted)
}

/// Prints the audit trail, of a file or of a repository's notes.
///
/// # Errors
/// A file or repository that cannot be read.
pub fn audit(args: &AuditArgs) -> Result<u8> {
    let filter = AuditFilter {
        application: args.app.clone(),
        commit: args.commit.clone(),
        run: args.run.clone(),
        last: args.last,
    };
    let text = match (&args.repo, &args.audit) {
        (Some(repo), _) => noted(repo, args, &filter)?,
        (None, Some(file)) => audit_table(file, &filter)?,
        (None, None) => {
            return Err(Error::input("no audit trail is named").hint("--audit FILE or --repo REPO"));
        }
    };
    print(&text)?;
    Ok(0)
}

/// Returns the table of what the notes of a repository tell.
fn noted(repo: &str, args: &AuditArgs, filter: &AuditFilter) -> Result<String> {
    let settings = super::git_settings(&args.git)?;
    let repository = Repository::open(&Remote::parse(repo)?, &settings)?;
    repository.look_beside()?;
    let notes = repository.notes()?;
    if notes.is_empty() {
        tracing::warn!("{repo} has no notes of Hydrant ({NOTES})");
    }
    let trail = record::trail(&notes, filter);
    let mut text = audit::table(&trail.records);
    if trail.unreadable > 0 {
        text.push_str(&format!("{} notes are no records and were left out\n", trail.unreadable));
    }
    Ok(text)
}
