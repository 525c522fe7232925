//! Reads `overlays/<env>/`: which environments there are, and their values.

use super::clusters::values_file;
use super::tree::Tree;
use crate::error::{Origin, Violation, Violations};
use crate::model::values::ValueTree;
use std::collections::BTreeMap;

/// The environments by name.
#[derive(Clone, Debug, Default)]
pub struct Environments {
    /// Each environment that has an overlay.
    pub by_name: BTreeMap<String, Environment>,
    /// Why the folder of all overlays could not be read; every cluster is held then.
    pub failed: Violations,
}

/// One environment's overlay.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Its values, from the built-in files to the fleet's own, in the order they apply.
    pub values: Vec<EnvironmentValues>,
    /// What is wrong with its files; its clusters are held then.
    pub failed: Violations,
}

/// One values file of an environment.
#[derive(Clone, Debug)]
pub struct EnvironmentValues {
    /// What it sets.
    pub tree: ValueTree,
    /// Whether it is one of ours.
    pub builtin: bool,
}

const ROOT: &str = "overlays";

/// Reads the environments of the built-in set and of the fleet.
pub fn read_environments(builtin: &Tree, fleet: &Tree) -> Environments {
    let mut environments = Environments::default();
    for (tree, is_builtin) in [(builtin, true), (fleet, false)] {
        for name in tree.folders_in(ROOT) {
            let environment = environments.by_name.entry(name.clone()).or_default();
            read_one(tree, is_builtin, &name, environment);
        }
        for (path, why) in tree.unreadable_below(ROOT) {
            match path.split('/').nth(1) {
                Some(name) => {
                    environments.by_name.entry(name.to_owned()).or_default().failed.push(why.clone());
                }
                // Nobody knows which environments it would change.
                None => environments.failed.push(why.clone()),
            }
        }
    }
    environments
}

fn read_one(tree: &Tree, builtin: bool, name: &str, into: &mut Environment) {
    let folder = format!("{ROOT}/{name}");
    let first = format!("{folder}/values.yaml");
    let more = format!("{folder}/values");
    let misnamed = tree.get(&format!("{folder}/values.yml")).map(|_| format!("{folder}/values.yml"));
    let misnamed = misnamed
        .into_iter()
        .chain(tree.below(&more).map(|(path, _)| path.to_owned()).filter(|path| path.ends_with(".yml")));
    for path in misnamed {
        into.failed.push(
            Violation::error("this file is not read: values stand in *.yaml")
                .at(Origin::file(tree.shown(&path)))
                .hint(format!("rename it to {}yaml", path.trim_end_matches("yml"))),
        );
    }
    let files = tree
        .get(&first)
        .map(|bytes| (first.as_str(), bytes))
        .into_iter()
        .chain(tree.below(&more).filter(|(path, _)| path.ends_with(".yaml")));
    for (path, bytes) in files {
        match values_file(tree, path, bytes) {
            Ok(values) => into.values.push(EnvironmentValues { tree: values, builtin }),
            Err(v) => into.failed.push(v),
        }
    }
}
