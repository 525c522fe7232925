//! Where a binding goes: the clusters that it names, or everywhere.

use super::fields::Placed;
use super::{ClusterView, Clusters};
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
    clusters: Clusters<'_>,
    found: &mut Violations,
) -> Vec<ClusterId> {
    let environments = annotations.get("environments");
    let names = annotations.get("clusters");
    if environments.is_none() && names.is_none() {
        return sorted(clusters.known.iter().filter(|c| !c.placement_explicit));
    }
    let mut chosen: BTreeSet<ClusterId> = BTreeSet::new();
    if let Some(list) = environments {
        let known: BTreeSet<&str> = clusters.known.iter().map(|c| c.id.env.as_str()).collect();
        for name in words(list, found) {
            if !known.contains(name) {
                let v = unknown(list, "environment", name, known.iter().copied());
                found.push(doubtful(v, clusters, |_| true));
            }
            chosen.extend(clusters.known.iter().filter(|c| c.id.env == name).map(|c| c.id.clone()));
        }
    }
    if let Some(list) = names {
        for name in words(list, found) {
            let matches = |c: &&ClusterView| c.id.name == name || c.id.to_string() == name;
            if !clusters.known.iter().any(|c| matches(&c)) {
                found.push(unknown_cluster(list, name, clusters));
            }
            chosen.extend(clusters.known.iter().filter(matches).map(|c| c.id.clone()));
        }
    }
    chosen.into_iter().collect()
}

/// A cluster whose file is broken is no fault of the binding that names it: it goes on elsewhere,
/// and there nothing is touched.
fn unknown_cluster(list: &Placed, name: &str, clusters: Clusters<'_>) -> Violation {
    let bare = name.rsplit('/').next().unwrap_or(name);
    match clusters.unread.iter().find(|c| c.name.as_deref() == Some(bare)) {
        Some(broken) => list
            .warning(format!(
                "the file of the cluster `{}` cannot be read: nothing changes there",
                crate::redact::redact(name)
            ))
            .hint(format!("mend {}", broken.file)),
        None => {
            let known = clusters.known.iter().map(|c| c.id.name.as_str());
            let v = unknown(list, "cluster", name, known);
            doubtful(v, clusters, |c| c.name.is_none())
        }
    }
}

/// Says that what is not known may stand in a file that cannot be read.
fn doubtful(
    mut v: Violation,
    clusters: Clusters<'_>,
    may_be: impl Fn(&super::UnreadCluster) -> bool,
) -> Violation {
    let files: Vec<&str> = clusters.unread.iter().filter(|c| may_be(c)).map(|c| &*c.file).take(3).collect();
    if !files.is_empty() {
        v.message.push_str(&format!(", as far as its files can be read: {} cannot", files.join(" and ")));
        v.hint = Some(format!(
            "mend {} first; until then the binding is held and keeps its files",
            files.join(" and ")
        ));
    }
    v
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
