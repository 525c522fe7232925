//! The rules by which a target is compared with what a branch or a folder has.

use crate::config::DeliveryRequest;
use crate::definition::Definitions;
use crate::error::Result;
use crate::model::fleet::{Destination, Fleet, Scope};
use crate::model::id::ClusterId;
use crate::model::target::{ChangeSet, TargetState};
use crate::model::tree::BaseTree;
use crate::stage::diff::{AllowDelete, Rules, diff};
use crate::stage::units::Selection;

/// Returns the identities of all cluster files that could be read.
pub fn known_ids(definitions: &Definitions) -> Vec<ClusterId> {
    definitions.clusters.iter().map(|c| c.file.id()).collect()
}

/// Returns the rules of a diff.
pub fn rules<'a>(
    fleet: &'a Fleet<'_>,
    pick: &'a Selection,
    scope: Scope<'a>,
    allow_delete: &'a AllowDelete,
    known_ids: &'a [ClusterId],
    request: &'a DeliveryRequest,
) -> Rules<'a> {
    Rules {
        fleet: &fleet.name,
        path: &fleet.path,
        pick,
        scope,
        may_delete: fleet.may_delete,
        known_clusters: &fleet.known_clusters,
        known_ids,
        allow_delete,
        adopt: &request.adopt,
        release: &request.release,
        settlement: None,
        grafts: false,
    }
}

/// Compares a target with any tree: what `render` does. A folder is about all environments, a
/// branch about those that are delivered to it in the destination's way.
///
/// # Errors
/// A tree that cannot be read.
pub fn compare(
    definitions: &Definitions,
    fleet: &Fleet<'_>,
    target: &TargetState,
    to: &Destination,
    base: &dyn BaseTree,
    request: &DeliveryRequest,
) -> Result<ChangeSet> {
    let allow = request.allowed(&definitions.settings.allow_delete);
    let known_ids = known_ids(definitions);
    let scope = if to.branch.is_empty() { Scope::default() } else { fleet.scope(to) };
    diff(target, to, base, &rules(fleet, &request.render.pick, scope, &allow, &known_ids, request))
}
