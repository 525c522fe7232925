//! `hydrant validate`: the line up to gather, without Git and without network.

use super::{show, types, write_report};
use crate::cli::ValidateArgs;
use crate::error::{Result, Severity, Violation};
use crate::model::unit::NoFiles;
use crate::reconcile::{self, Tools};
use crate::report::Status;
use crate::stage::resolve::not_a_branch;
use crate::stop::Stop;
use crate::telemetry::Shown;
use std::sync::Arc;

/// Checks a fleet.
///
/// # Errors
/// A fleet of which nothing can be said.
pub fn run(args: &ValidateArgs, quiet: bool) -> Result<u8> {
    let request = super::rendering(&args.fleet)?;
    let types = types(args.crds.as_deref())?;
    let mut definitions = reconcile::definitions(&request)?;
    let subjects = reconcile::subjects(&mut definitions, Arc::default());
    let mut fleet = reconcile::fleet_with(&definitions, subjects, &request.pick)?;
    for cluster in &fleet.clusters {
        if let Some(message) = not_a_branch(&cluster.destination.branch) {
            let v = Violation::warning(format!("a run will hold this cluster: {message}"));
            fleet.notices.push(v.at(cluster.at.clone()).key("gitops.repo_ref"));
        }
        let forge = cluster.destination.proposes.as_ref().map(|env| {
            let repo = &cluster.destination.repo;
            crate::delivery::forge_of(&definitions.settings, env, repo)
        });
        if let Some(Err(mut v)) = forge {
            v.severity = Severity::Warning;
            v.message = format!("a run will hold this cluster: {}", v.message);
            fleet.notices.push(v.at(cluster.at.clone()));
        }
    }
    let target = reconcile::hydrate(
        &fleet,
        &request.pick,
        &Tools {
            memo: &NoFiles,
            progress: &Shown::new(quiet),
            stop: &Stop::never(),
            sync: None,
            types: types.as_ref(),
            quiet,
        },
    )?;
    let mut report = reconcile::start_report(&fleet, &target);
    for id in target.clusters.keys().filter(|id| !target.holds(id, &crate::model::id::SubjectId::Cluster)) {
        report.cluster(id, Status::Unchanged, &Default::default());
    }
    reconcile::add_held_clusters(&mut report, &target);
    report.exit = report.inspection_code(false);
    show::report(&report, quiet);
    write_report(args.report.as_deref(), &report)?;
    let errors = report.counts().get("error").copied().unwrap_or(0);
    if errors == 0 {
        super::print(&format!("{} cluster(s), {} unit(s): valid\n", target.clusters.len(), report.units))?;
    } else {
        super::print(&format!("{errors} error(s)\n"))?;
    }
    // The process ends here, and what it holds need not be taken apart piece by piece before.
    std::mem::forget((target, fleet));
    std::mem::forget(definitions);
    Ok(report.exit)
}
