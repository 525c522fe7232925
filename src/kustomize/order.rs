//! The order of types that kustomize calls legacy: what others need comes first.

use super::gvk::{Gvk, Identified as _, split_api_version};
use super::resource::Resource;
use foldhash::fast::RandomState;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

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
        let mut types = Types::default();
        let keys: Vec<Key> = list.iter().map(|r| types.key(&r.value, rank)).collect();
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by(|a, b| types.compare(&keys[*a], &keys[*b]));
        let mut unsorted: Vec<Option<Resource>> = std::mem::take(list).into_iter().map(Some).collect();
        list.extend(order.into_iter().filter_map(|i| unsorted[i].take()));
    }
}

/// The types of the objects that are sorted: few, each with what its objects are sorted by.
#[derive(Default)]
struct Types<'r> {
    all: Vec<Type>,
    by_name: HashMap<(Cow<'r, str>, Cow<'r, str>), usize, RandomState>,
}

struct Type {
    rank: i64,
    /// The type as the text that is compared.
    text: String,
    core: bool,
    namespace: bool,
}

/// What one object is sorted by.
struct Key {
    /// The place of its type in [`Types`].
    of: usize,
    /// Namespace and name as the text that is compared.
    text: String,
}

impl<'r> Types<'r> {
    fn key(&mut self, value: &'r Value, rank: impl Fn(&str) -> i64) -> Key {
        let name = (without_empty_group(value.api_version()), value.kind());
        let next = self.all.len();
        let of = *self.by_name.entry(name).or_insert_with_key(|(api_version, kind)| {
            let (group, version) = split_api_version(api_version);
            let kind_shown = or(kind, "~K");
            self.all.push(Type {
                rank: rank(kind),
                text: format!("{}_{}_{kind_shown}", or(group, "~G"), or(version, "~V")),
                core: group.is_empty(),
                namespace: kind_shown == "Namespace",
            });
            next
        });
        let (namespace, name) = (value.namespace(), value.name());
        Key { of, text: [or(&namespace, "~X"), "|", or(&name, "~N")].concat() }
    }

    fn compare(&self, a: &Key, b: &Key) -> Ordering {
        if a.of == b.of {
            // The type comes first in both ids, and is the same.
            return a.text.cmp(&b.text);
        }
        let (a, b) = (&self.all[a.of], &self.all[b.of]);
        a.rank.cmp(&b.rank).then_with(|| {
            let by_type = a.text.cmp(&b.text);
            let reverse = a.namespace && b.namespace && (a.core || b.core);
            if reverse { by_type.reverse() } else { by_type }
        })
    }
}

/// Returns `v1` for `/v1`, which names the same type.
fn without_empty_group(api_version: Cow<'_, str>) -> Cow<'_, str> {
    let version = |text: &str| text.strip_prefix('/').is_some_and(|version| !version.contains('/'));
    match api_version {
        Cow::Borrowed(text) if version(text) => Cow::Borrowed(&text[1..]),
        other => other,
    }
}

fn or<'t>(text: &'t str, none: &'t str) -> &'t str {
    if text.is_empty() { none } else { text }
}

/// Returns what types are sorted by: the rank of their kind, then their text, in which `~` puts
/// what is empty behind.
pub fn type_key(gvk: &Gvk) -> (i64, String) {
    let text = [or(&gvk.group, "~G"), "_", or(&gvk.version, "~V"), "_", or(&gvk.kind, "~K")].concat();
    (rank(&gvk.kind), text)
}

/// Returns the rank of a kind in the built-in order.
fn rank(kind: &str) -> i64 {
    if let Some(i) = LAST.iter().position(|k| *k == kind) {
        return 1 + i as i64;
    }
    FIRST.iter().position(|k| *k == kind).map_or(0, |i| i as i64 - FIRST.len() as i64)
}
