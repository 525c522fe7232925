//! `hydrant run`: the whole line, once or again and again.

use super::{delivery, show, write_report};
use crate::agent;
use crate::cli::RunArgs;
use crate::edge::git::{Clock as _, SystemClock};
use crate::error::Result;
use crate::reconcile::{self, Tools};
use crate::report::{DestinationReport, Report, RequestReport, RequestState, Status};
use crate::stop::Stop;
use crate::telemetry::Shown;

/// Runs the line.
///
/// # Errors
/// What stops a run as a whole.
pub fn run(args: &RunArgs, quiet: bool) -> Result<u8> {
    let stop = Stop::on_signals();
    match args.interval {
        None => once(args, quiet, &stop),
        Some(interval) => Ok(agent::repeat(interval, &stop, SystemClock::new().jitter(), || {
            once(args, quiet, &stop).unwrap_or_else(|error| {
                show::error(&error);
                error.kind.exit_code()
            })
        })),
    }
}

fn once(args: &RunArgs, quiet: bool, stop: &Stop) -> Result<u8> {
    let request = delivery(&args.fleet, &args.destination, Some(&args.commit))?;
    let memo = super::memo(&request);
    let wish = super::wish(&args.wait);
    let sync = Some(&wish).filter(|_| !args.no_sync);
    let tools = Tools { memo: &memo, progress: &Shown::new(quiet), stop, sync, types: None, quiet };
    let report = reconcile::run(&request, &tools)?;
    memo.save();
    show::report(&report, quiet);
    super::print(&text(&report))?;
    write_report(args.report.as_deref(), &report)?;
    Ok(report.exit)
}

/// Returns what a run did, for people.
fn text(report: &Report) -> String {
    let mut out = String::new();
    let names: Vec<String> = report.clusters.iter().map(|c| format!("{}/{}", c.env, c.cluster)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (cluster, name) in report.clusters.iter().zip(&names) {
        let what = match cluster.status {
            Status::Delivered | Status::Differs => {
                format!("{} added, {} changed, {} removed", cluster.added, cluster.changed, cluster.removed)
            }
            Status::Proposed => {
                format!(
                    "{} to add, {} to change, {} to remove",
                    cluster.added, cluster.changed, cluster.removed
                )
            }
            Status::Unchanged => "no change".into(),
            Status::Newer => "left alone: the branch has what a newer commit of the fleet gave".into(),
            Status::Held => "held".into(),
            Status::Refused => "refused".into(),
        };
        out.push_str(&format!("{name:width$}  {what}\n"));
    }
    for to in &report.destinations {
        let commit = to.commit.as_deref().map_or("nothing", |c| &c[..c.len().min(10)]);
        if to.created {
            out.push_str(&format!("created the bare repository {}\n", to.repo));
        }
        if let Some(request) = &to.request {
            out.push_str(&proposed(to, request, commit));
        } else if to.pushed {
            out.push_str(&format!("committed {commit} to {} of {}\n", to.branch, to.repo));
        } else {
            out.push_str(&format!("nothing to commit: {} of {} stands at {commit}\n", to.branch, to.repo));
        }
    }
    if let Some(to) = report.destinations.iter().find(|to| to.pushed && is_local(&to.repo)) {
        out.push_str(&format!("next: git -C {} show --stat {}\n", to.repo, to.branch));
    }
    for sync in &report.syncs {
        out.push_str(&sync.text());
    }
    out
}

/// Returns what became of a merge request, for people.
fn proposed(to: &DestinationReport, request: &RequestReport, commit: &str) -> String {
    let url = request.url.as_deref().unwrap_or("none");
    let what = match request.state {
        RequestState::None => {
            return format!("nothing to propose: {} of {} stands at {commit}\n", to.branch, to.repo);
        }
        RequestState::Opened => "opened",
        RequestState::Updated => "updated",
        RequestState::Open => "waits",
        RequestState::Closed => "closed by a person",
        RequestState::Withdrawn => "closed: nothing is left to change",
        RequestState::Foreign => "left alone",
        RequestState::Unknown => "not settled",
    };
    format!("merge request {what}: {url} ({} into {} of {})\n", request.branch, to.branch, to.repo)
}

fn is_local(repo: &str) -> bool {
    !repo.contains("://") && !repo.contains('@')
}
