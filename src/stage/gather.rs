//! Units → [`TargetState`]: puts the final bytes of all units together, and holds what clashes.

use super::claims::repeated;
use super::{applications, units::Selection};
use crate::error::{Origin, Result, Violation, Violations};
use crate::model::fleet::{Cluster, Fleet};
use crate::model::id::{ClusterId, Domain, Layer, SubjectId, UnitId};
use crate::model::lot::{Lot, Units};
use crate::model::overlay::Matches;
use crate::model::target::{ClusterTarget, TargetState};
use crate::model::unit::ObjectRef;
use crate::yaml::write;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of one lot: the units that could be made, and which domains the others hold.
pub struct Outcome {
    /// The units.
    pub lot: Lot,
    /// What failed.
    pub failed: Vec<(Domain, Violations)>,
}

/// Gathers the lots of a run.
///
/// # Errors
/// A memo that is damaged.
pub fn gather(fleet: &Fleet<'_>, pick: &Selection, parts: Vec<Outcome>) -> Result<TargetState> {
    // What is broken outside of the selection is not this run's business.
    let selected = |d: &&Domain| {
        pick.takes_cluster(&d.cluster) && (d.subject == SubjectId::Cluster || pick.takes_subject(&d.subject))
    };
    let held = fleet.held.iter().filter(|(domain, _)| selected(domain));
    let held = held.map(|(domain, why)| (domain.clone(), why.clone())).collect();
    let mut target = TargetState { held, ..TargetState::default() };
    for cluster in fleet.clusters.iter().filter(|c| pick.takes_cluster(&c.id)) {
        target.homes.insert(cluster.id.clone(), cluster.destination.clone());
        target.clusters.insert(cluster.id.clone(), index_files(fleet, cluster));
    }
    for Outcome { lot, failed } in parts {
        target.notices.extend(lot.summary.warnings.iter().cloned());
        for (domain, why) in failed {
            target.held.entry(domain).or_default().extend(why);
        }
        if let Some(cluster) = target.clusters.get_mut(&lot.cluster) {
            cluster.lots.insert(lot.subject.clone(), lot);
        }
    }
    hold_duplicates(&mut target)?;
    for why in target.held.values_mut() {
        why.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.cmp(b)));
        why.dedup();
    }
    target.notices.sort();
    target.notices.dedup();
    Ok(target)
}

fn index_files(fleet: &Fleet<'_>, cluster: &Cluster<'_>) -> ClusterTarget {
    let layers = Layer::ALL
        .into_iter()
        .map(|layer| {
            let app = applications::of_layer(cluster, layer, &fleet.path);
            (format!("{layer}-apps.yaml"), write(&app).into_bytes())
        })
        .collect();
    let root = write(&applications::of_root(cluster, &fleet.path)).into_bytes();
    ClusterTarget { lots: BTreeMap::new(), root, layers }
}

/// Holds every domain that has an object of the same identity as another unit's on its cluster.
///
/// Between equals neither is first. But a team's binding must not stop what others depend on: a
/// tenant that takes a name of the platform (or of an organization) is held alone.
fn hold_duplicates(target: &mut TargetState) -> Result<()> {
    let mut clashes: Vec<(Domain, Violation)> = Vec::new();
    let suspected: Vec<_> =
        target.clusters.par_iter().map(|(id, state)| (id, state, suspects(state))).collect();
    for (cluster, state, suspects) in suspected {
        if suspects.is_empty() {
            continue;
        }
        // Only these have to be read: two objects with different hashes are different.
        let involved = state.lots.values().filter(|l| l.summary.objects.iter().any(|o| suspects.contains(o)));
        let involved: Vec<Arc<Units>> = involved.map(Lot::units).collect::<Result<_>>()?;
        let mut holders: BTreeMap<&ObjectRef, Vec<(&UnitId, &Origin)>> = BTreeMap::new();
        for (id, hydrated) in involved.iter().flat_map(|units| units.iter()) {
            for (object, at) in &hydrated.objects {
                holders.entry(object).or_default().push((id, at));
            }
        }
        for (object, units) in holders.into_iter().filter(|(_, units)| units.len() > 1) {
            let lowest = units.iter().map(|(unit, _)| rank(&unit.subject)).max();
            for (i, (unit, at)) in units.iter().enumerate() {
                if Some(rank(&unit.subject)) != lowest {
                    continue;
                }
                let others: Vec<String> = units
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != i)
                    .map(|(_, (other, at))| format!("{} ({at})", other.place()))
                    .collect();
                let message =
                    format!("{object} stands in {} and in {} on {cluster}", unit.place(), others.join(", "));
                let v = Violation::error(message)
                    .at((*at).clone())
                    .hint("let one unit make it; none of them is delivered until then");
                clashes.push((Domain { cluster: cluster.clone(), subject: unit.subject.clone() }, v));
            }
        }
    }
    for (domain, v) in clashes {
        target.held.entry(domain).or_default().push(v);
    }
    Ok(())
}

/// Returns the hashes of identities that stand more than once on a cluster.
fn suspects(state: &ClusterTarget) -> BTreeSet<u64> {
    let mut all: Vec<u64> = Vec::with_capacity(state.lots.values().map(|l| l.summary.objects.len()).sum());
    all.extend(state.lots.values().flat_map(|l| &l.summary.objects));
    repeated(all)
}

/// Returns how many others a subject may stop: the cluster first, a tenant last.
pub(crate) fn rank(subject: &SubjectId) -> u8 {
    match subject {
        SubjectId::Cluster => 0,
        SubjectId::Organization(_) => 1,
        SubjectId::Tenant { .. } | SubjectId::KnowledgeBase(_) => 2,
    }
}

/// Returns the overlay entries of the fleet that found nothing in any unit of an environment.
pub fn unmatched(fleet: &Fleet<'_>, target: &TargetState, complete: &dyn Fn(&str) -> bool) -> Violations {
    let mut found = Violations::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for cluster in &fleet.clusters {
        if !seen.insert(cluster.id.env.clone()) {
            continue;
        }
        let mut matched = Matches::default();
        let of_env = |id: &ClusterId| id.env == cluster.id.env;
        for (_, state) in target.clusters.iter().filter(|(id, _)| of_env(id)) {
            // Most lots of a scope match the same, and share it.
            let mut last: Option<&Arc<Matches>> = None;
            for found in state.lots.values().map(|lot| &lot.summary.matched) {
                if !last.is_some_and(|last| Arc::ptr_eq(last, found)) {
                    matched.join(found);
                    last = Some(found);
                }
            }
        }
        let held = target.held.keys().any(|d| of_env(&d.cluster));
        // A unit that failed in a file tells nothing of what that file's entries would find.
        let broken: BTreeSet<&str> = target
            .held
            .iter()
            .filter(|(d, _)| of_env(&d.cluster))
            .flat_map(|(_, why)| why.iter().filter_map(|v| v.at.as_ref().map(|at| &*at.file)))
            .collect();
        for step in cluster.overlays.all().filter(|s| !s.builtin) {
            let unmatched = step.unmatched(&matched).into_iter().filter(|u| !broken.contains(&*u.at.file));
            found.extend(unmatched.map(|u| {
                let message =
                    format!("{} found nothing in any unit of the environment `{}`", u.what, cluster.id.env);
                let v = if complete(&cluster.id.env) && !held {
                    Violation::error(message)
                } else {
                    Violation::warning(message)
                };
                v.at(u.at).hint("check its target, or remove it")
            }));
        }
    }
    found
}
