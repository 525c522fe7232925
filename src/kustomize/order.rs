//! The order of types that kustomize calls legacy: what others need comes first.

use super::gvk::{Gvk, Identified as _};
use super::resource::Resource;
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
        let mut keyed: Vec<(Key, Resource)> =
            list.drain(..).map(|r| (Key::of(&r, rank(&r.value.kind())), r)).collect();
        keyed.sort_by(|a, b| a.0.compare(&b.0));
        list.extend(keyed.into_iter().map(|(_, r)| r));
    }
}

struct Key {
    rank: i64,
    gvk: Gvk,
    type_text: String,
    id_text: String,
}

impl Key {
    fn of(resource: &Resource, rank: i64) -> Self {
        let gvk = resource.gvk();
        let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        let namespace = resource.value.namespace();
        let id_text = format!(
            "{}.{}.{}|{}|{}",
            or(&gvk.kind, "[noKind]"),
            or(&gvk.version, "[noVer]"),
            or(&gvk.group, "[noGrp]"),
            or(&namespace, "~X"),
            or(&resource.value.name(), "~N"),
        );
        Self { rank, type_text: type_text(&gvk), id_text, gvk }
    }

    fn compare(&self, other: &Self) -> Ordering {
        if self.gvk == other.gvk {
            return self.id_text.cmp(&other.id_text);
        }
        let by_type = self.type_text.cmp(&other.type_text);
        let both_namespaces = self.gvk.kind == "Namespace" && other.gvk.kind == "Namespace";
        let core = self.gvk.group.is_empty() || other.gvk.group.is_empty();
        self.rank.cmp(&other.rank).then(if both_namespaces && core { by_type.reverse() } else { by_type })
    }
}

/// Returns the text that types are sorted by; `~` puts what is empty behind.
pub fn type_text(gvk: &Gvk) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"))
}

/// Returns the rank of a kind in the built-in order.
pub fn rank(kind: &str) -> i64 {
    if let Some(i) = LAST.iter().position(|k| *k == kind) {
        return 1 + i as i64;
    }
    FIRST.iter().position(|k| *k == kind).map_or(0, |i| i as i64 - FIRST.len() as i64)
}
