//! Lays the values of a cluster over each other, and checks that each is read by something.

use crate::definition::catalog::Catalog;
use crate::definition::clusters::ClusterDefinition;
use crate::definition::overlays::Environment;
use crate::error::{Origin, Violation, Violations};
use crate::model::cluster::ClusterFile;
use crate::model::platform::{Argocd, ArgocdValues, Vault, VaultValues};
use crate::model::values::ValueTree;
use crate::suggest::did_you_mean;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// Merges component defaults ← the environment's files ← the cluster's own values.
pub fn merge(
    definition: &ClusterDefinition,
    environment: &Environment,
    catalog: &Catalog,
    found: &mut Violations,
) -> ValueTree {
    let base = defaults(catalog);
    let known = types(&base, &definition.file);
    let mut tree = base;
    let sources = environment.values.iter().map(|v| (&v.tree, v.builtin));
    for (source, builtin) in sources.chain(definition.values.iter().map(|v| (v, false))) {
        check_keys(source, &known, catalog, builtin, found);
        tree.merge(source.clone());
    }
    for (id, component) in &catalog.components {
        let (Some(schema), Some(values)) = (&component.schema, tree.get(id)) else { continue };
        let value = values.to_value();
        for v in schema.plain_violations(&value) {
            let pointer = v.key.clone().unwrap_or_default();
            found.push(v.at(place_of(values, &pointer)).key(format!("{id}.{pointer}")));
        }
    }
    tree
}

/// Returns every default, by component id, and `global`.
fn defaults(catalog: &Catalog) -> ValueTree {
    let origin = Origin::file("templates");
    let mut map = BTreeMap::new();
    for (id, component) in &catalog.components {
        map.insert(id.clone(), component.defaults.clone());
    }
    let globals = catalog.globals.clone().unwrap_or_else(|| ValueTree::empty(origin.clone()));
    map.insert("global".to_owned(), globals);
    ValueTree::Map(map, origin)
}

/// Returns the defaults with examples of the typed platform settings beside them.
fn types(base: &ValueTree, file: &ClusterFile) -> ValueTree {
    let mut known = base.clone();
    if let ValueTree::Map(map, _) = &mut known {
        let mut vault = example(&VaultValues::default().resolve(file), "vault");
        if let ValueTree::Map(keys, _) = &mut vault {
            keys.remove("inCluster");
        }
        map.insert("vault".into(), vault);
        map.insert("argocd".into(), example(&ArgocdValues::default().resolve(file), "argocd"));
    }
    known
}

fn example<T: Serialize>(resolved: &T, name: &str) -> ValueTree {
    tree_of(
        &serde_json::to_value(resolved).unwrap_or_default(),
        &Origin::file(format!("the settings of `{name}`")),
    )
}

fn tree_of(value: &Value, origin: &Origin) -> ValueTree {
    match value {
        Value::Object(map) => {
            ValueTree::Map(map.iter().map(|(k, v)| (k.clone(), tree_of(v, origin))).collect(), origin.clone())
        }
        other => ValueTree::Leaf(other.clone(), origin.clone()),
    }
}

fn check_keys(
    source: &ValueTree,
    known: &ValueTree,
    catalog: &Catalog,
    builtin: bool,
    found: &mut Violations,
) {
    let (ValueTree::Map(keys, _), ValueTree::Map(all, _)) = (source, known) else { return };
    for (key, value) in keys {
        let Some(default) = all.get(key) else {
            // A fleet may replace a built-in component; our own overlays still speak of ours.
            if !builtin {
                let mut v = Violation::error("nothing reads this value: there is no such component")
                    .at(value.origin().clone())
                    .key(key.clone());
                v.hint = did_you_mean(key, all.keys().map(String::as_str));
                found.push(v);
            }
            continue;
        };
        let replaced = builtin && catalog.components.get(key).is_some_and(|c| !c.builtin);
        let has_schema = catalog.components.get(key).is_some_and(|c| c.schema.is_some());
        if !replaced && !has_schema {
            value.check_fits(default, key, found);
        }
    }
}

/// Returns the typed platform settings of a cluster.
pub fn platform(tree: &ValueTree, file: &ClusterFile, found: &mut Violations) -> (Vault, Argocd) {
    let vault: VaultValues = typed(tree, "vault", found);
    let argocd: ArgocdValues = typed(tree, "argocd", found);
    (vault.resolve(file), argocd.resolve(file))
}

fn typed<T: DeserializeOwned + Default>(tree: &ValueTree, key: &str, found: &mut Violations) -> T {
    let Some(values) = tree.get(key) else { return T::default() };
    serde_json::from_value(values.to_value()).unwrap_or_else(|e| {
        // Unknown keys and wrong types were said before, with their own places.
        if found.is_empty() {
            found.push(Violation::error(e.to_string()).at(values.origin().clone()).key(key));
        }
        T::default()
    })
}

/// Returns the place of the value at a dotted path, or of the nearest that exists.
fn place_of(tree: &ValueTree, dotted: &str) -> Origin {
    let mut here = tree;
    for part in dotted.split('.') {
        match here.get(part) {
            Some(next) => here = next,
            None => break,
        }
    }
    here.origin().clone()
}
