//! Where a run delivers: repositories and branches, after the flags that change them.

use super::forge_of;
use crate::config::DeliveryRequest;
use crate::definition::Definitions;
use crate::error::{Violation, Violations};
use crate::model::fleet::{Destination, Fleet};
use crate::model::id::Domain;
use crate::model::target::TargetState;
use crate::stage::resolve;
use std::collections::BTreeSet;

/// Holds clusters that cannot be delivered to: their reference is no branch, or no forge takes
/// their merge requests.
pub fn hold_undeliverable(
    definitions: &Definitions,
    fleet: &Fleet<'_>,
    target: &mut TargetState,
    request: &DeliveryRequest,
) {
    for cluster in &fleet.clusters {
        let mut why = Violations::new();
        if let Some(message) = resolve::not_a_branch(&cluster.destination.branch) {
            let v = Violation::error(format!("nothing can be delivered there: {message}"));
            why.push(v.at(cluster.at.clone()).key("gitops.repo_ref").hint("name a branch"));
        }
        if let Some(env) = &cluster.destination.proposes {
            let repo = request.repo.as_ref().unwrap_or(&cluster.destination.repo);
            why.extend(forge_of(&definitions.settings, env, repo).err());
        }
        if !why.is_empty() && target.homes.contains_key(&cluster.id) {
            target.held.entry(Domain::cluster(cluster.id.clone())).or_default().extend(why);
        }
    }
}

/// Returns where the run delivers, after `--repo` and `--branch`; the rendered bytes do not follow
/// them. Besides the clusters' own, what `destinations:` lists, and for an environment with merge
/// requests that has no cluster left every branch: its last cluster may have left there.
pub fn destinations(
    fleet: &Fleet<'_>,
    target: &mut TargetState,
    request: &DeliveryRequest,
) -> Vec<Destination> {
    let mut all = BTreeSet::new();
    let effective = |to: &Destination| Destination {
        repo: request.repo.clone().unwrap_or_else(|| to.repo.clone()),
        branch: request.branch.clone().unwrap_or_else(|| to.branch.clone()),
        proposes: to.proposes.clone(),
    };
    for cluster in &fleet.clusters {
        // Destinations of held clusters are looked at too: other clusters may have left there.
        let to = effective(&cluster.destination);
        if let Some(home) = target.homes.get_mut(&cluster.id) {
            *home = to.clone();
            all.insert(to);
        }
    }
    if request.render.pick.judges_departures() {
        all.extend(fleet.listed.iter().map(effective));
        let abandoned =
            fleet.proposing.iter().filter(|env| !fleet.clusters.iter().any(|c| c.id.env == **env));
        let branches: Vec<Destination> = all.iter().cloned().collect();
        for env in abandoned {
            all.extend(branches.iter().map(|to| Destination { proposes: Some(env.clone()), ..to.clone() }));
        }
    }
    // What is proposed for an environment is only touched by runs about it.
    let pick = &request.render.pick.envs;
    all.retain(|to| to.proposes.as_ref().is_none_or(|env| pick.is_empty() || pick.contains(env)));
    all.into_iter().collect()
}
