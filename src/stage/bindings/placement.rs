//! Where a binding goes: the clusters that it names, or everywhere.

use super::ClusterView;
use super::fields::Placed;
use crate::error::{Violation, Violations};
use crate::model::id::ClusterId;
use crate::suggest::did_you_mean;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the clusters that a binding's annotations name, in order; all that do not ask to be
/// named when it has none.
///
/// `environments` and `clusters` add up: a binding with both goes to every cluster of the
/// named environments and to each named cluster.
pub fn clusters_of(
    annotations: &BTreeMap<String, Placed>,
    clusters: &[ClusterView],
    found: &mut Violations,
) -> Vec<ClusterId> {
    let environments = annotations.get("environments");
    let names = annotations.get("clusters");
    if environments.is_none() && names.is_none() {
        return sorted(clusters.iter().filter(|c| !c.placement_explicit));
    }
    let mut chosen: BTreeSet<ClusterId> = BTreeSet::new();
    if let Some(list) = environments {
        let known: BTreeSet<&str> = clusters.iter().map(|c| c.id.env.as_str()).collect();
        for name in words(list, found) {
            if !known.contains(name) {
                found.push(unknown(list, "environment", name, known.iter().copied()));
            }
            chosen.extend(clusters.iter().filter(|c| c.id.env == name).map(|c| c.id.clone()));
        }
    }
    if let Some(list) = names {
        for name in words(list, found) {
            let matches = |c: &&ClusterView| c.id.name == name || c.id.to_string() == name;
            if !clusters.iter().any(|c| matches(&c)) {
                found.push(unknown(list, "cluster", name, clusters.iter().map(|c| c.id.name.as_str())));
            }
            chosen.extend(clusters.iter().filter(matches).map(|c| c.id.clone()));
        }
    }
    chosen.into_iter().collect()
}

/// Keeps a tenant within its organization's clusters. Naming one outside is an error; going
/// everywhere means everywhere the organization is.
pub fn within(
    own: Vec<ClusterId>,
    organization: &[ClusterId],
    annotations: &BTreeMap<String, Placed>,
    organization_name: &str,
    found: &mut Violations,
) -> Vec<ClusterId> {
    let (inside, outside): (Vec<_>, Vec<_>) = own.into_iter().partition(|c| organization.contains(c));
    let named = annotations.get("clusters").or_else(|| annotations.get("environments"));
    if let (Some(named), false) = (named, outside.is_empty()) {
        let list: Vec<String> = outside.iter().map(ToString::to_string).collect();
        found.push(
            named
                .error(format!("organization `{organization_name}` is not placed on {}", list.join(", ")))
                .hint("place the Organization there too, or name fewer clusters"),
        );
    }
    inside
}

fn sorted<'c>(clusters: impl Iterator<Item = &'c ClusterView>) -> Vec<ClusterId> {
    clusters.map(|c| c.id.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn words<'p>(list: &'p Placed, found: &mut Violations) -> Vec<&'p str> {
    let words: Vec<&str> = list.text.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    if words.is_empty() {
        found.push(
            list.error("the list is empty")
                .hint("name what is meant, separated by commas, or remove the annotation"),
        );
    }
    words
}

fn unknown<'c>(
    list: &Placed,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'c str> + Clone,
) -> Violation {
    let shown = crate::redact::redact(name).into_owned();
    let mut v = list.error(format!("the fleet has no {what} `{shown}`"));
    v.hint = did_you_mean(name, known);
    v
}
