//! Names that follow renamed objects: a Deployment's reference to a ConfigMap whose name
//! got a prefix or a hash.

use super::Failure;
use crate::kustomize::build::AT_ONCE;
use crate::kustomize::config::{Config, NameReference};
use crate::kustomize::fieldspec::{FieldSpec, Make};
use crate::kustomize::gvk::{
    Gvk, Identified as _, NO_NAMESPACE, ObjectId, effective_namespace, split_api_version,
};
use crate::kustomize::resource::{Previous, Resource};
use crate::kustomize::resources::Resources;
use crate::kustomize::text::scalar_text;
use crate::kustomize::threads::Threads;
use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, IntoParallelRefMutIterator as _,
    ParallelIterator as _,
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// What the search needs of an object, apart from its content.
struct Known {
    name: String,
    namespace: String,
    effective_namespace: String,
    kind: String,
    group: String,
    version: String,
    previous: Vec<Previous>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Known {
    fn of(resource: &Resource) -> Self {
        let api_version = resource.value.api_version();
        let (group, version) = split_api_version(&api_version);
        Self {
            name: resource.value.name().into_owned(),
            namespace: resource.value.namespace().into_owned(),
            effective_namespace: resource.effective_namespace().into_owned(),
            kind: resource.value.kind().into_owned(),
            group: group.to_owned(),
            version: version.to_owned(),
            previous: resource.previous.clone(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    fn id(&self) -> ObjectId {
        let (group, version, kind) = (self.group.clone(), self.version.clone(), self.kind.clone());
        ObjectId {
            gvk: Gvk { group, version, kind },
            namespace: self.effective_namespace.clone(),
            name: self.name.clone(),
        }
    }

    fn is_cluster_scoped(&self) -> bool {
        self.effective_namespace == NO_NAMESPACE
    }

    fn original_namespace(&self) -> &str {
        self.previous.first().map_or(&self.effective_namespace, |p| effective_namespace(&p.namespace, false))
    }

    /// Returns true if one of its earlier ids is of a type.
    fn was_a(&self, gvk: &Gvk) -> bool {
        let fits = |wanted: &str, there: &str| wanted.is_empty() || wanted == there;
        fits(&gvk.group, &self.group)
            && fits(&gvk.version, &self.version)
            && self.previous.iter().any(|p| fits(&gvk.kind, &p.kind))
    }

    /// Returns true if both were renamed by the same prefixes and suffixes.
    fn renamed_like(&self, other: &Known, empty_fits: bool) -> bool {
        let alike = |a: &[String], b: &[String]| {
            let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
            if empty_fits && short.is_empty() {
                return true;
            }
            if short.is_empty() { long.is_empty() } else { long.ends_with(short) }
        };
        alike(&self.prefixes, &other.prefixes) && alike(&self.suffixes, &other.suffixes)
    }
}

/// All objects, found by the names they had.
///
/// Empty where none was renamed: then no reference changes, and the walk only finds those
/// without a name.
#[derive(Default)]
struct Directory {
    all: Vec<Known>,
    by_previous_name: HashMap<String, Vec<usize>>,
    by_original_namespace: HashMap<String, Vec<usize>>,
}

impl Directory {
    fn of(list: &[Resource], threads: Threads) -> Self {
        let mut directory = Self::default();
        if list.iter().all(|r| r.previous.is_empty()) {
            return directory;
        }
        directory.all = if threads.share(list.len(), AT_ONCE + 1) {
            list.par_iter().with_min_len(AT_ONCE).map(Known::of).collect()
        } else {
            list.iter().map(Known::of).collect()
        };
        for (i, known) in directory.all.iter().enumerate() {
            for previous in &known.previous {
                let places = directory.by_previous_name.entry(previous.name.clone()).or_default();
                if places.last() != Some(&i) {
                    places.push(i);
                }
            }
            let namespace = known.original_namespace().to_owned();
            directory.by_original_namespace.entry(namespace).or_default().push(i);
        }
        directory
    }
}

/// Rewrites the names in all objects. With `lenient`, objects of which none was renamed are
/// not looked at; a build looks, because kustomize refuses references without a name.
pub fn follow(
    resources: &mut Resources,
    config: &Config,
    lenient: bool,
    threads: Threads,
) -> Result<(), Failure> {
    if lenient && resources.list().iter().all(|r| r.previous.is_empty()) {
        return Ok(());
    }
    let directory = Directory::of(resources.list(), threads);
    let by_kind = specs_by_kind(config);
    let follow = |(i, resource): (usize, &mut Resource)| {
        let original = resource.original_gvk();
        let own = by_kind.own.get(original.kind.as_str()).unwrap_or(&by_kind.any);
        let bound = OnceNamespaces::default();
        own.iter().filter(|(_, _, spec)| original.is_selected_by(&spec.gvk)).try_for_each(
            |(_, reference, spec)| {
                Search { directory: &directory, referrer: i, reference, spec, bound: &bound }.run(resource)
            },
        )
    };
    let list = resources.keep_ids_mut();
    if !threads.share(list.len(), AT_ONCE + 1) {
        return list.iter_mut().enumerate().try_for_each(follow);
    }
    // Each object changes by itself; the first failure in their order is the one to report.
    let failures = list.par_iter_mut().with_min_len(AT_ONCE).enumerate().map(|at| follow(at).err());
    failures.collect::<Vec<_>>().into_iter().flatten().next().map_or(Ok(()), Err)
}

/// A field that may name an object, and its number in the order of all.
type Numbered<'c> = (usize, &'c NameReference, &'c FieldSpec);

/// The fields that may name objects, by the kind they are in.
struct SpecsByKind<'c> {
    /// Those for a kind, and those for any, in their order.
    own: HashMap<&'c str, Vec<Numbered<'c>>>,
    /// Those for any kind.
    any: Vec<Numbered<'c>>,
}

fn specs_by_kind(config: &Config) -> SpecsByKind<'_> {
    let mut by_kind = SpecsByKind { own: HashMap::new(), any: Vec::new() };
    let all = config.name_reference.iter().flat_map(|r| r.referrers.iter().map(move |s| (r, s)));
    for (order, (reference, spec)) in all.enumerate() {
        match spec.gvk.kind.as_str() {
            "" => by_kind.any.push((order, reference, spec)),
            kind => by_kind.own.entry(kind).or_default().push((order, reference, spec)),
        }
    }
    for own in by_kind.own.values_mut() {
        own.extend_from_slice(&by_kind.any);
        own.sort_by_key(|(order, _, _)| *order);
    }
    by_kind
}

/// The namespaces of the service accounts that a role binding names, worked out once.
#[derive(Default)]
struct OnceNamespaces(std::cell::OnceCell<HashSet<String>>);

struct Search<'d> {
    directory: &'d Directory,
    referrer: usize,
    reference: &'d NameReference,
    spec: &'d FieldSpec,
    bound: &'d OnceNamespaces,
}

impl Search<'_> {
    fn run(&self, resource: &mut Resource) -> Result<(), Failure> {
        if resource.value.kind() == "RoleBinding" {
            self.bound.0.get_or_init(|| account_namespaces(&resource.value));
        }
        let role = self.role_wanted(&resource.value);
        let mut set = |field: &mut Value| self.field(field, role.as_ref());
        // The type was matched already, by the id the object had first.
        let changed = self.spec.change_any(&mut resource.value, Make::Nothing, &mut set);
        changed.map_err(|why| Failure::at(resource, why))
    }

    fn me(&self) -> &Known {
        &self.directory.all[self.referrer]
    }

    fn field(&self, field: &mut Value, role: Option<&Gvk>) -> Result<(), String> {
        match field {
            Value::Null => Ok(()),
            Value::Array(items) => items.iter_mut().try_for_each(|item| match item {
                Value::Array(_) => Err("expected a text or a map in a list of references".to_owned()),
                item => self.field(item, role),
            }),
            Value::Object(_) => self.map(field, role),
            scalar => self.scalar(scalar, role),
        }
    }

    fn scalar(&self, field: &mut Value, role: Option<&Gvk>) -> Result<(), String> {
        let old = scalar_text(field).into_owned();
        let same = |a: &Known, b: &Known| a.name == b.name;
        let candidates = self.candidates(&old);
        if let Some(found) = self.choose(candidates, role, &same)?
            && found.name != old
        {
            *field = Value::String(found.name.clone());
        }
        Ok(())
    }

    fn map(&self, field: &mut Value, role: Option<&Gvk>) -> Result<(), String> {
        let Some(name) = field.get("name") else {
            return Err("a reference has no field `name`".to_owned());
        };
        let old = scalar_text(name).into_owned();
        let mut candidates = self.candidates(&old);
        if candidates.is_empty() {
            return Ok(());
        }
        if let Some(namespace) = field.get("namespace") {
            let namespace = scalar_text(namespace);
            let all = &self.directory.all;
            let was_there =
                |k: &Known| !is_none(k.original_namespace()) && k.original_namespace() == namespace;
            // Somebody was in that namespace first: then that is the namespace meant.
            let first = self.directory.by_original_namespace.get(namespace.as_ref());
            let mut first = first.into_iter().flatten().map(|i| &all[*i]);
            let by_first = first.any(|k| was_there(k) && self.may_refer_to(k));
            candidates.retain(|i| {
                let k = &all[*i];
                if by_first {
                    was_there(k)
                } else {
                    k.effective_namespace == namespace && !k.is_cluster_scoped()
                }
            });
        }
        let same = |a: &Known, b: &Known| a.name == b.name && a.namespace == b.namespace;
        let Some(found) = self.choose(candidates, role, &same)? else { return Ok(()) };
        if let Value::Object(map) = field {
            if found.name == old && found.namespace.is_empty() {
                return Ok(());
            }
            map.insert("name".into(), Value::String(found.name.clone()));
            if !found.namespace.is_empty() {
                map.insert("namespace".into(), Value::String(found.namespace.clone()));
            }
        }
        Ok(())
    }

    /// Returns the objects that had a name and that this one may refer to.
    fn candidates(&self, name: &str) -> Vec<usize> {
        let named = self.directory.by_previous_name.get(name).map_or(&[][..], Vec::as_slice);
        named.iter().copied().filter(|i| self.may_refer_to(&self.directory.all[*i])).collect()
    }

    fn may_refer_to(&self, other: &Known) -> bool {
        let me = self.me();
        me.is_cluster_scoped()
            || other.is_cluster_scoped()
            || other.effective_namespace == me.effective_namespace
            || self.bound.0.get().is_some_and(|namespaces| namespaces.contains(&other.namespace))
    }

    fn choose(
        &self,
        candidates: Vec<usize>,
        role: Option<&Gvk>,
        same: &dyn Fn(&Known, &Known) -> bool,
    ) -> Result<Option<&Known>, String> {
        if candidates.is_empty() {
            return Ok(None);
        }
        let me = self.me();
        let mut left: Vec<&Known> = candidates.into_iter().map(|i| &self.directory.all[i]).collect();
        left.retain(|k| {
            k.was_a(&self.reference.target)
                && role.is_none_or(|role| k.was_a(role))
                && (me.is_cluster_scoped()
                    || k.is_cluster_scoped()
                    || k.kind == "ServiceAccount"
                    || k.effective_namespace == me.effective_namespace)
        });
        if left.len() == 1 {
            return Ok(left.pop());
        }
        left.retain(|k| k.renamed_like(me, true));
        if left.len() > 1 {
            left.retain(|k| k.renamed_like(me, false));
        }
        let Some(first) = left.first().copied() else { return Ok(None) };
        if left.iter().all(|k| same(first, k)) {
            return Ok(Some(first));
        }
        let ids: Vec<String> = left.iter().map(|k| k.id().to_string()).collect();
        Err(format!("the reference may mean any of {}", ids.join(", ")))
    }

    /// Returns the type that a role binding's `roleRef` names.
    fn role_wanted(&self, object: &Value) -> Option<Gvk> {
        if !self.spec.path.ends_with("roleRef/name") {
            return None;
        }
        let role = object.get("roleRef")?;
        let text = |key: &str| role.get(key).map(|v| scalar_text(v).into_owned());
        Some(Gvk { group: text("apiGroup")?, version: String::new(), kind: text("kind")? })
    }
}

fn is_none(namespace: &str) -> bool {
    namespace == NO_NAMESPACE
}

fn account_namespaces(binding: &Value) -> HashSet<String> {
    let subjects = binding.get("subjects").and_then(Value::as_array);
    subjects
        .into_iter()
        .flatten()
        .filter(|s| s.get("kind").and_then(Value::as_str) == Some("ServiceAccount"))
        .filter_map(|s| s.get("namespace").and_then(Value::as_str).map(str::to_owned))
        .collect()
}
