//! The line, once, top to bottom.
//!
//! ```text
//! load → resolve → ( render → overlay → validate ) per unit → gather → diff → commit → report
//! ```

use crate::config::{DeliveryRequest, RenderRequest};
use crate::definition::tree::Tree;
use crate::definition::{Definitions, Source, Strictness, define};
use crate::delivery;
use crate::edge::embedded::{builtin, renderer};
use crate::error::{Error, Result, Violation, Violations};
use crate::follow::{self, Follower, Wish};
use crate::message;
use crate::model::fleet::Fleet;
use crate::model::id::{Domain, SubjectId, UnitId};
use crate::model::target::{ClusterTarget, TargetState};
use crate::model::unit::{Hydrated, Memo, NoMemo, RenderUnit};
use crate::report::{Report, Said, Status};
use crate::shortcut;
use crate::stage::bindings::{Checked, Subjects};
use crate::stage::types::Types;
use crate::stage::units::{PlannedLot, Prepared, Selection, lots};
use crate::stage::{form, gather, lot, overlay, render, resolve, validate};
use crate::stop::Stop;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Told about progress; the line itself prints nothing.
pub trait Progress: Sync {
    /// A stage begins, with the number of steps if it is known.
    fn stage(&self, name: &str, steps: Option<u64>);
    /// One step is done.
    fn step(&self);
    /// The stage is over.
    fn done(&self);
}

/// What a run works with besides its inputs.
pub struct Tools<'a> {
    /// Remembers units by their key.
    pub memo: &'a dyn Memo,
    /// Told about progress.
    pub progress: &'a dyn Progress,
    /// Set when the run is to end.
    pub stop: &'a Stop,
    /// How far Argo CD is followed after a delivery; not at all without.
    pub sync: Option<&'a Wish>,
    /// The types that every object is checked against, if some were given.
    pub types: Option<&'a Types>,
    /// Say less.
    pub quiet: bool,
}

/// Reads what a fleet's files say.
///
/// # Errors
/// A fleet of which nothing can be said.
pub fn definitions(request: &RenderRequest) -> Result<Definitions> {
    let (tree, source) = request.fleet.load()?;
    defined(tree, source, request)
}

fn defined(tree: Tree, source: Source, request: &RenderRequest) -> Result<Definitions> {
    let strictness = Strictness { compat: request.strict_compat };
    let mut definitions = define(tree, builtin(), source, strictness)
        .map_err(|why| Error::input("nothing was rendered: the fleet cannot be read").with(why))?;
    if let Some(path) = &request.path {
        definitions.settings.path = Some(path.clone());
    }
    Ok(definitions)
}

/// Resolves a fleet, and checks that the selection names what there is.
///
/// # Errors
/// A selection of something that is not there.
pub fn fleet<'d>(definitions: &'d Definitions, pick: &Selection) -> Result<Fleet<'d>> {
    checked(resolve::resolve(definitions, builtin()), pick)
}

/// Resolves the bindings of a fleet, and lets their documents go: nobody asks these thousands again.
/// What is known to be `checked` is not read again.
pub fn subjects(definitions: &mut Definitions, checked: Arc<Checked>) -> Subjects {
    let subjects = resolve::resolve_subjects(definitions, checked);
    definitions.bindings.documents = Vec::new();
    subjects
}

/// Resolves a fleet whose bindings are resolved, and checks that the selection names what there is.
///
/// # Errors
/// A selection of something that is not there.
pub fn fleet_with<'d>(
    definitions: &'d Definitions,
    subjects: Subjects,
    pick: &Selection,
) -> Result<Fleet<'d>> {
    checked(resolve::resolve_with(definitions, builtin(), subjects), pick)
}

fn checked<'d>(fleet: Fleet<'d>, pick: &Selection) -> Result<Fleet<'d>> {
    let found = unknown_selection(&fleet, pick);
    if found.is_empty() { Ok(fleet) } else { Err(Error::input("nothing was rendered").with(found)) }
}

fn unknown_selection(fleet: &Fleet<'_>, pick: &Selection) -> Violations {
    let mut found = Violations::new();
    let names: BTreeSet<&str> = fleet.known_clusters.iter().map(String::as_str).collect();
    let envs: BTreeSet<&str> = fleet
        .clusters
        .iter()
        .map(|c| c.id.env.as_str())
        .chain(fleet.held.keys().map(|d| d.cluster.env.as_str()))
        .collect();
    let organizations: BTreeSet<&str> = fleet
        .clusters
        .iter()
        .flat_map(|c| c.subjects.keys())
        .filter_map(|s| match s {
            SubjectId::Organization(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for (flag, wanted, known) in [
        ("--cluster", &pick.clusters, &names),
        ("--env", &pick.envs, &envs),
        ("--organization", &pick.organizations, &organizations),
    ] {
        for name in wanted.iter().filter(|w| !known.contains(w.as_str())) {
            let mut v = Violation::error(format!("{flag} {name}: the fleet has no such one"));
            v.hint = crate::suggest::did_you_mean(name, known.iter().copied());
            found.push(v);
        }
    }
    found
}

/// Renders, overlays and validates every selected unit, and gathers the results.
///
/// # Errors
/// A run that is told to stop: half a result must not be compared with anything.
pub fn hydrate(fleet: &Fleet<'_>, pick: &Selection, tools: &Tools<'_>) -> Result<TargetState> {
    let renderer = renderer();
    let progress = tools.progress;
    tools.memo.begin(&fleet.name);
    progress.stage("rendering", None);
    let parts = lots(fleet, pick, &renderer)
        .par_iter()
        .map(|planned| {
            let part = one_lot(planned, tools);
            progress.step();
            part
        })
        .collect();
    progress.done();
    if tools.stop.is_set() {
        return Err(Error::external("nothing was delivered: the run was told to stop"));
    }
    let mut target = gather::gather(fleet, pick, parts)?;
    let complete = |env: &str| {
        pick.clusters.is_empty()
            && pick.organizations.is_empty()
            && (pick.envs.is_empty() || pick.envs.iter().any(|e| e == env))
    };
    for v in gather::unmatched(fleet, &target, &complete) {
        match v.is_error() {
            true => hold_env(fleet, &mut target, v),
            false => target.notices.push(v),
        }
    }
    if let Some(types) = tools.types {
        types.check_target(&mut target)?;
    }
    Ok(target)
}

/// An overlay entry that found nothing holds the clusters of its environment.
fn hold_env(fleet: &Fleet<'_>, target: &mut TargetState, v: Violation) {
    let env = v.at.as_ref().and_then(|at| at.file.split('/').nth(1).map(str::to_owned));
    for cluster in fleet.clusters.iter().filter(|c| Some(&c.id.env) == env.as_ref()) {
        target.held.entry(Domain::cluster(cluster.id.clone())).or_default().push(v.clone());
    }
}

/// Takes a lot from the memo, or renders what the memo does not have of it.
fn one_lot(planned: &PlannedLot<'_>, tools: &Tools<'_>) -> gather::Outcome {
    let key = planned.key();
    // The key does not cover the types, so what is remembered was not checked against them.
    let memo: &dyn Memo = if tools.types.is_some() { &NoMemo } else { tools.memo };
    if let Some(lot) = memo.lot(&key, planned.cluster(), &planned.subject) {
        return gather::Outcome { lot, failed: Vec::new() };
    }
    let made: Vec<_> = planned.units().into_par_iter().map(|unit| one_unit(unit, tools, memo)).collect();
    let mut units = Vec::with_capacity(made.len());
    let mut failed = Vec::new();
    for part in made {
        match part {
            Ok(unit) => units.push(unit),
            Err(why) => failed.push(why),
        }
    }
    let lot = lot::lot(planned.cluster().clone(), planned.subject.clone(), units);
    let lot = if tools.stop.is_set() { lot } else { memo.keep(failed.is_empty().then_some(&key), lot) };
    gather::Outcome { lot, failed }
}

/// A unit that was made, or the domain that it holds and why.
type Made = Result<(UnitId, Arc<Hydrated>), (Domain, Violations)>;

fn one_unit(prepared: Prepared<'_>, tools: &Tools<'_>, memo: &dyn Memo) -> Made {
    let unit = prepared?;
    let domain = || Domain { cluster: unit.id.cluster.clone(), subject: unit.id.subject.clone() };
    if tools.stop.is_set() {
        return Err((domain(), Violations::new()));
    }
    let known = memo.unit(&unit.key);
    let made = known.map_or_else(|| hydrate_unit(&unit, tools.types).map(Arc::new), Ok);
    made.map(|hydrated| (unit.id.clone(), hydrated)).map_err(|why| (domain(), why))
}

/// The middle of the line, for one unit.
///
/// # Errors
/// Whatever is wrong with it.
pub fn hydrate_unit(unit: &RenderUnit<'_>, types: Option<&Types>) -> Result<Hydrated, Violations> {
    let answers = render::evaluate(unit);
    // The types judge whole objects.
    if types.is_none()
        && let Some(hydrated) = form::hydrate(unit, &answers)
    {
        return Ok(hydrated);
    }
    let rendered = render::finish(unit, answers)?;
    let overlaid = overlay::overlay(rendered, unit)?;
    validate::validate(overlaid, unit, types)
}

/// Runs the whole line once.
///
/// # Errors
/// What stops the run as a whole; everything smaller is in the report.
pub fn run(request: &DeliveryRequest, tools: &Tools<'_>) -> Result<Report> {
    let done = line(request, tools);
    if tools.memo.is_damaged() {
        // What was delivered is not delivered twice: the second time finds it there.
        return line(request, &Tools { memo: &NoMemo, ..*tools });
    }
    done
}

fn line(request: &DeliveryRequest, tools: &Tools<'_>) -> Result<Report> {
    let (tree, source) = request.render.fleet.load()?;
    let inputs = message::inputs(&tree, builtin());
    let key = shortcut::key(&tree, &inputs, request, tools.sync);
    if let Some(report) = key.as_deref().and_then(|key| shortcut::unchanged(key, request, tools.stop)) {
        return Ok(report);
    }
    let mut definitions = defined(tree, source, &request.render)?;
    definitions.inputs = inputs.into();
    tools.memo.begin(definitions.settings.fleet_name());
    let subjects = subjects(&mut definitions, tools.memo.checked());
    tools.memo.keep_checked(subjects.checked());
    let mut fleet = fleet_with(&definitions, subjects, &request.render.pick)?;
    let argocd = match tools.sync {
        Some(_) => {
            Some(follow::settings(&definitions.settings.argocd, &fleet, &|name| std::env::var(name).ok())?)
        }
        None => None,
    };
    let mut target = std::thread::scope(|scope| {
        scope.spawn(|| delivery::fetch_ahead(&fleet, &definitions.settings.git, request, tools.stop));
        hydrate(&fleet, &request.render.pick, tools)
    })?;
    free_later(fleet.take_seen());
    delivery::hold_undeliverable(&definitions, &fleet, &mut target, request);
    let mut report = start_report(&fleet, &target);
    tools.progress.stage("delivering", None);
    for to in delivery::destinations(&fleet, &mut target, request) {
        let follower =
            argocd.as_ref().filter(|settings| follow::is_configured(settings)).map(|settings| Follower {
                fleet: &fleet,
                target: &target,
                settings,
                request,
                source: definitions.source.commit.clone(),
                quiet: tools.quiet,
                stop: tools.stop,
            });
        let follower = follower.as_ref().zip(tools.sync);
        let run =
            delivery::Run { definitions: &definitions, fleet: &fleet, target: &target, request, follower };
        run.deliver(&to, tools.stop, &mut report);
    }
    tools.progress.done();
    add_held_clusters(&mut report, &target);
    report.exit = report.delivery_code();
    if let Some(key) = key {
        let trees = std::mem::take(&mut report.trees);
        shortcut::keep(&key, &report, trees, request, &definitions.settings.git);
    }
    free_later((target, std::mem::take(&mut fleet.subjects)));
    Ok(report)
}

/// Frees what is large on a thread of its own: nobody waits for it.
fn free_later(what: impl Send + 'static) {
    // Without a thread it is freed here.
    let _ = std::thread::Builder::new().spawn(move || drop(what));
}

/// Starts a report with what is held and noticed.
pub fn start_report(fleet: &Fleet<'_>, target: &TargetState) -> Report {
    let mut report = Report::new(&fleet.name);
    report.units = target.clusters.values().map(ClusterTarget::units).sum();
    if !fleet.failed.is_empty() {
        report.hold(None, &fleet.failed);
    }
    for (domain, why) in target.held.iter().filter(|(_, why)| !why.is_empty()) {
        report.hold(Some(domain), why);
    }
    let notices = fleet.notices.iter().chain(&target.notices);
    report.lasting = crate::report::ordered(notices.cloned().collect()).iter().map(Said::from).collect();
    report.notices.clone_from(&report.lasting);
    report
}

/// Adds the clusters that were held before any destination was looked at.
pub fn add_held_clusters(report: &mut Report, target: &TargetState) {
    let said: BTreeSet<(String, String)> =
        report.clusters.iter().map(|c| (c.env.clone(), c.cluster.clone())).collect();
    for domain in target.held.keys().filter(|d| d.subject == SubjectId::Cluster) {
        if !said.contains(&(domain.cluster.env.clone(), domain.cluster.name.clone())) {
            report.cluster(&domain.cluster, Status::Held, &Default::default());
        }
    }
    report.clusters.sort_by(|a, b| (&a.env, &a.cluster).cmp(&(&b.env, &b.cluster)));
}
