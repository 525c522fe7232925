//! The order of types that kustomize calls legacy: what others need comes first.

use super::gvk::{Gvk, Identified as _, split_api_version};
use super::resource::Resource;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Kinds that come first, in this order.
pub const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that come last, in this order.
pub const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// How a build sorts what it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// As read.
    Fifo,
    /// By kind: some first, some last.
    Legacy {
        /// Kinds that come first.
        first: Vec<String>,
        /// Kinds that come last.
        last: Vec<String>,
    },
}

impl Order {
    /// Returns what `kubectl kustomize` does when nothing is said.
    pub fn legacy() -> Self {
        let texts = |kinds: &[&str]| kinds.iter().map(|k| (*k).to_owned()).collect();
        Order::Legacy { first: texts(&FIRST), last: texts(&LAST) }
    }

    /// Sorts objects.
    pub fn sort(&self, list: &mut Vec<Resource>) {
        let Order::Legacy { first, last } = self else { return };
        let rank = |kind: &str| -> i64 {
            // The last mention counts, and `last` over `first`, as in a map filled in turn.
            if let Some(i) = last.iter().rposition(|k| k == kind) {
                return 1 + i as i64;
            }
            first.iter().rposition(|k| k == kind).map_or(0, |i| i as i64 - first.len() as i64)
        };
        let keys: Vec<Key<'_>> = list.iter().map(|r| Key::of(r, rank(&r.value.kind()))).collect();
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by(|a, b| keys[*a].compare(&keys[*b]));
        let mut unsorted: Vec<Option<Resource>> = std::mem::take(list).into_iter().map(Some).collect();
        list.extend(order.into_iter().filter_map(|i| unsorted[i].take()));
    }
}

/// What objects are sorted by. The texts that are compared are put together while they
/// are, from these parts.
struct Key<'r> {
    rank: i64,
    api_version: Cow<'r, str>,
    kind: Cow<'r, str>,
    namespace: Cow<'r, str>,
    name: Cow<'r, str>,
}

impl<'r> Key<'r> {
    fn of(resource: &'r Resource, rank: i64) -> Self {
        let value = &resource.value;
        Self {
            rank,
            api_version: value.api_version(),
            kind: value.kind(),
            namespace: value.namespace(),
            name: value.name(),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let (group, version) = split_api_version(&self.api_version);
        let (other_group, other_version) = split_api_version(&other.api_version);
        let kinds = (or(&self.kind, "~K"), or(&other.kind, "~K"));
        if (group, version, kinds.0) == (other_group, other_version, kinds.1) {
            // The type comes first in both ids, and is the same.
            return compare_joined(
                &[or(&self.namespace, "~X"), "|", or(&self.name, "~N")],
                &[or(&other.namespace, "~X"), "|", or(&other.name, "~N")],
            );
        }
        let both_namespaces = kinds.0 == "Namespace" && kinds.1 == "Namespace";
        let core = group.is_empty() || other_group.is_empty();
        self.rank.cmp(&other.rank).then_with(|| {
            let by_type = compare_joined(
                &[or(group, "~G"), "_", or(version, "~V"), "_", kinds.0],
                &[or(other_group, "~G"), "_", or(other_version, "~V"), "_", kinds.1],
            );
            if both_namespaces && core { by_type.reverse() } else { by_type }
        })
    }
}

fn or<'t>(text: &'t str, none: &'t str) -> &'t str {
    if text.is_empty() { none } else { text }
}

/// Compares two texts that are given in pieces.
fn compare_joined(a: &[&str], b: &[&str]) -> Ordering {
    a.iter().flat_map(|t| t.bytes()).cmp(b.iter().flat_map(|t| t.bytes()))
}

/// Compares types: by the rank of their kind, then by their text, in which `~` puts what is
/// empty behind.
pub fn compare_types(a: &Gvk, b: &Gvk) -> Ordering {
    fn text(gvk: &Gvk) -> [&str; 5] {
        [or(&gvk.group, "~G"), "_", or(&gvk.version, "~V"), "_", or(&gvk.kind, "~K")]
    }
    rank(&a.kind).cmp(&rank(&b.kind)).then_with(|| compare_joined(&text(a), &text(b)))
}

/// Returns the rank of a kind in the built-in order.
fn rank(kind: &str) -> i64 {
    if let Some(i) = LAST.iter().position(|k| *k == kind) {
        return 1 + i as i64;
    }
    FIRST.iter().position(|k| *k == kind).map_or(0, |i| i as i64 - FIRST.len() as i64)
}
