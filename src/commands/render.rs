//! `hydrant render`: the line up to diff; shows what would change, or writes it into a folder.

use super::{delivery, show, types, write_report};
use crate::cli::{DiffFormat, RenderArgs};
use crate::edge::folder::Folder;
use crate::edge::git::{GitSettings, Remote, Repository, Tip};
use crate::error::{Result, Violation};
use crate::model::fleet::Destination;
use crate::model::id::SubjectId;
use crate::model::target::ChangeSet;
use crate::model::tree::{BaseTree, NoTree, ObjectId};
use crate::patch;
use crate::reconcile::{self, Tools};
use crate::report::{Report, Said, Status};
use crate::stop::Stop;
use crate::telemetry::{Shown, colours_on_stdout};
use std::sync::Arc;

/// Renders and shows or writes.
///
/// # Errors
/// A fleet of which nothing can be said, or a folder that is not ours to write.
pub fn run(args: &RenderArgs, quiet: bool) -> Result<u8> {
    let request = delivery(&args.fleet, &args.destination, None)?;
    let types = types(args.crds.as_deref())?;
    let mut definitions = reconcile::definitions(&request.render)?;
    let subjects = reconcile::subjects(&mut definitions, Arc::default());
    let fleet = reconcile::fleet_with(&definitions, subjects, &request.render.pick)?;
    let memo = super::memo(&request);
    let mut target = reconcile::hydrate(
        &fleet,
        &request.render.pick,
        &Tools {
            memo: &memo,
            progress: &Shown::new(quiet),
            stop: &Stop::never(),
            sync: None,
            types: types.as_ref(),
            quiet,
        },
    )?;
    memo.save();
    let mut report = reconcile::start_report(&fleet, &target);
    let mut differs = false;
    if let Some(dir) = &args.out {
        let mut folder = Folder::open(dir)?;
        let to = Destination { repo: dir.display().to_string(), branch: String::new(), proposes: None };
        target.homes.values_mut().for_each(|home| *home = to.clone());
        let changes = reconcile::compare(&definitions, &fleet, &target, &to, &folder, &request)?;
        folder.apply(&changes.edits)?;
        record(&mut report, &changes, &mut differs, Status::Delivered);
        let edits = changes.edits.len();
        super::print(&format!("{} file(s) written or removed in {}\n", edits, dir.display()))?;
    } else {
        for to in reconcile::destinations(&fleet, &mut target, &request) {
            let repository = open(&to, &request.git_with(&definitions.settings.git), &mut report);
            let tree = repository.as_ref().map(|(r, head)| r.tree(*head)).transpose()?;
            let nothing = NoTree;
            let base: &dyn BaseTree = tree.as_ref().map_or(&nothing, |t| t);
            let changes = reconcile::compare(&definitions, &fleet, &target, &to, base, &request)?;
            record(&mut report, &changes, &mut differs, Status::Differs);
            print_changes(args.format, &changes, base)?;
        }
    }
    reconcile::add_held_clusters(&mut report, &target);
    report.exit = report.inspection_code(differs && args.exit_code);
    if args.format == DiffFormat::Json && args.out.is_none() {
        super::print(&report.json())?;
    }
    show::report(&report, quiet);
    write_report(args.report.as_deref(), &report)?;
    Ok(report.exit)
}

/// Opens what to compare with; a branch that cannot be read is a notice, and all is new.
fn open(
    to: &Destination,
    settings: &GitSettings,
    report: &mut Report,
) -> Option<(Repository, Option<ObjectId>)> {
    let opened = Remote::parse(&to.repo).and_then(|remote| {
        let mut repository = Repository::open(&remote, settings)?;
        let tip = repository.fetch(&to.branch)?;
        Ok((repository, tip))
    });
    match opened {
        Ok((repository, Tip::Head(commit))) => Some((repository, Some(commit.id))),
        Ok((repository, _)) => {
            let v = Violation::notice(format!(
                "the branch `{}` of {} has no commit: all is new",
                to.branch, to.repo
            ));
            report.notices.push(Said::from(&v));
            Some((repository, None))
        }
        Err(error) => {
            let v = Violation::notice(format!(
                "{} ({}) could not be read, so all is shown as new: {error}",
                to.repo, to.branch
            ));
            report.notices.push(Said::from(&v));
            None
        }
    }
}

fn record(report: &mut Report, changes: &ChangeSet, differs: &mut bool, status: Status) {
    for refusal in &changes.refused {
        report.hold(Some(&refusal.domain), &refusal.why);
        if refusal.domain.subject == SubjectId::Cluster {
            report.cluster(&refusal.domain.cluster, Status::Refused, &Default::default());
        }
    }
    for (id, change) in &changes.clusters {
        *differs |= !change.is_empty();
        let status = if change.is_empty() { Status::Unchanged } else { status };
        report.cluster(id, status, change);
    }
}

fn print_changes(format: DiffFormat, changes: &ChangeSet, base: &dyn BaseTree) -> Result<()> {
    match format {
        DiffFormat::Json => Ok(()),
        DiffFormat::Names => {
            let names: String = changes.edits.iter().map(|e| format!("{}\n", e.path())).collect();
            super::print(&names)
        }
        DiffFormat::Text => {
            for edit in &changes.edits {
                super::print(&patch::unified(edit, base, colours_on_stdout())?)?;
            }
            let summary: String =
                changes.clusters.iter().map(|(id, c)| format!("# {id}: {}\n", c.summary())).collect();
            super::print(&summary)
        }
    }
}
