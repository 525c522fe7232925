//! A tenant that changes its organization: it keeps its name, its namespace and its Application,
//! so what stands under the old organization and what will stand under the new must never be
//! there together. Two Applications of one name would take turns.

use super::Files;
use super::base::BaseCluster;
use crate::error::Violation;
use crate::model::id::{ClusterId, Domain, SubjectId};
use crate::model::target::{ClusterTarget, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// Returns those of the subjects that are gone which are tenants that another organization asks
/// for by name, and that organization.
pub fn moving<'s>(gone: &'s BTreeSet<SubjectId>, cluster: &ClusterTarget) -> BTreeMap<&'s SubjectId, String> {
    if gone.is_empty() {
        return BTreeMap::new();
    }
    let mut homes: BTreeMap<&str, &str> = BTreeMap::new();
    for subject in wanted(cluster) {
        if let SubjectId::Tenant { organization, tenant } = subject {
            homes.insert(tenant, organization);
        }
    }
    let goes_to = |subject: &SubjectId| match subject {
        SubjectId::Tenant { organization, tenant } => {
            homes.get(tenant.as_str()).filter(|to| **to != organization).map(|to| (*to).to_owned())
        }
        _ => None,
    };
    gone.iter().filter_map(|subject| Some((subject, goes_to(subject)?))).collect()
}

/// Returns the tenants that are new under their organization while the files of the same tenant
/// under another stay: refused by the budget, held, or outside the selection. What is `closed`
/// stands there as it should, before and after.
pub fn check(
    id: &ClusterId,
    cluster: &ClusterTarget,
    closed: &BTreeSet<&SubjectId>,
    before: &BaseCluster,
    after: &Files,
) -> Vec<Refusal> {
    let there: BTreeSet<&SubjectId> = before.subjects().chain(closed.iter().copied()).collect();
    let mut fresh =
        wanted(cluster).filter(|s| matches!(s, SubjectId::Tenant { .. }) && !there.contains(s)).peekable();
    if fresh.peek().is_none() {
        return Vec::new();
    }
    let mut staying: BTreeSet<SubjectId> = after.keys().filter_map(|p| SubjectId::of_path(p)).collect();
    staying.extend(closed.iter().copied().cloned());
    let mut homes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for subject in staying.iter().filter(|s| there.contains(s)) {
        if let SubjectId::Tenant { organization, tenant } = subject {
            homes.entry(tenant).or_default().push(organization);
        }
    }
    let mut refused = Vec::new();
    for subject in fresh {
        let SubjectId::Tenant { organization: to, tenant } = subject else { continue };
        let from = homes.get(tenant.as_str()).into_iter().flatten().find(|from| *from != to);
        let Some(from) = from else { continue };
        let why = Violation::error(format!(
            "the tenant `{tenant}` moves from the organization `{from}` to `{to}` on {id}, and its files under `{from}` stay"
        ))
        .hint(format!(
            "if the move is meant, run once with --allow-delete tenant/{tenant}, for both organizations;\nthe namespace and its objects stay, and `{to}` gets a hold of them: its listener, its secrets, its label"
        ))
        .guard();
        let domain = Domain { cluster: id.clone(), subject: subject.clone() };
        refused.push(Refusal { domain, why: vec![why] });
    }
    refused
}

/// Returns the subjects that are to stand on a cluster, in their order.
fn wanted(cluster: &ClusterTarget) -> impl Iterator<Item = &SubjectId> {
    cluster.lots.iter().filter(|(_, lot)| !lot.is_empty()).map(|(subject, _)| subject)
}
