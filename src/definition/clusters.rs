//! Reads `clusters/**/cluster.yaml` and the `values.yaml` beside each.

use super::checked::Checker;
use super::tree::Tree;
use super::{Failed, Strictness};
use crate::error::{Origin, Violation, Violations};
use crate::model::cluster::{ClusterFile, compat_schema, schema_of};
use crate::model::values::ValueTree;
use crate::yaml::{Data, Limits, Node, Schema, read};
use serde_json::Value;
use std::sync::Arc;

/// One cluster as its files say it.
#[derive(Clone, Debug)]
pub struct ClusterDefinition {
    /// Its cluster.yaml.
    pub file: ClusterFile,
    /// Where the document begins.
    pub at: Origin,
    /// Where its `gitops.env` stands.
    pub env_at: Origin,
    /// The `values.yaml` beside it, if there is one.
    pub values: Option<ValueTree>,
    /// What is wrong with that file; the cluster is held then.
    pub values_failed: Violations,
}

/// The cluster files of a fleet.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that could be read.
    pub read: Vec<ClusterDefinition>,
    /// Those that could not.
    pub failed: Vec<Failed>,
}

const ROOT: &str = "clusters";

/// Reads all clusters of a fleet.
///
/// # Errors
/// A fleet without `clusters/`.
pub fn read_clusters(
    fleet: &Tree,
    strictness: Strictness,
    notices: &mut Violations,
) -> Result<Found, Violations> {
    let schema = if strictness.compat { compat_schema() } else { schema_of::<ClusterFile>() };
    let checker = Checker::new(schema).map_err(|v| vec![v])?;
    let mut found = Found::default();
    for (path, why) in fleet.unreadable_below(ROOT) {
        if path == ROOT {
            return Err(vec![why.clone()]);
        }
        if is_cluster_file(path) || fleet.closed.contains(path) {
            found.failed.push(Failed { who: None, why: vec![why.clone()] });
        }
    }
    let mut any = !found.failed.is_empty();
    for (path, bytes) in fleet.below(ROOT).filter(|(path, _)| is_cluster_file(path)) {
        any = true;
        one_file(fleet, path, bytes, &checker, &mut found, notices);
    }
    for (path, _) in fleet.below(ROOT).filter(|(path, _)| is_misnamed(path)) {
        any = true;
        let v = Violation::error("this file is not read: a cluster stands in a cluster.yaml")
            .at(Origin::file(fleet.shown(path)))
            .hint("rename it to cluster.yaml");
        found.failed.push(Failed { who: None, why: vec![v] });
    }
    if !any {
        return Err(vec![
            Violation::error("the fleet has no clusters/<name>/cluster.yaml")
                .at(Origin::file(fleet.shown(ROOT)))
                .hint(
                    "run `hydrant init` for a first one, or point --fleet at the folder that holds clusters/",
                ),
        ]);
    }
    Ok(found)
}

fn is_cluster_file(path: &str) -> bool {
    path.rsplit('/').next() == Some("cluster.yaml")
}

/// Returns true for a name that was meant to be cluster.yaml: were it passed over, the cluster
/// would count as one that left the fleet.
fn is_misnamed(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("cluster.yml" | "clusters.yaml" | "Cluster.yaml"))
}

fn one_file(
    fleet: &Tree,
    path: &str,
    bytes: &[u8],
    checker: &Checker,
    found: &mut Found,
    notices: &mut Violations,
) {
    let file = fleet.shown(path);
    let documents = match read(bytes, &Limits::inputs()) {
        Ok(documents) => documents,
        Err(e) => {
            found.failed.push(Failed { who: None, why: vec![e.in_file(&file)] });
            return;
        }
    };
    if documents.is_empty() {
        let why = Violation::error("the file is empty").at(Origin::file(file.clone()));
        found.failed.push(Failed { who: None, why: vec![why] });
    }
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    let (values, values_failed) = values_beside(fleet, path);
    for node in &documents {
        let at = Origin::at(file.clone(), node.at.line, node.at.column);
        match checker.read::<ClusterFile>(node, &file) {
            Ok(cluster) => {
                if cluster.name != folder {
                    notices.push(
                        Violation::warning(format!(
                            "the folder is called `{folder}`, the cluster `{}`; the name is its identity",
                            cluster.name
                        ))
                        .at(place_at(node, "/name", &file))
                        .key("name"),
                    );
                }
                found.read.push(ClusterDefinition {
                    file: cluster,
                    at,
                    env_at: place_at(node, "/gitops/env", &file),
                    values: values.clone(),
                    values_failed: values_failed.clone(),
                });
            }
            Err(mut why) => {
                hint_at_values(&mut why);
                found.failed.push(Failed { who: identity(node), why });
            }
        }
    }
}

/// Tells people who set Vault or Argo CD settings in cluster.yaml where they belong.
fn hint_at_values(why: &mut Violations) {
    for v in why {
        if matches!(v.key.as_deref(), Some("vault" | "argocd" | "values" | "global")) {
            v.hint = Some("this belongs into the values.yaml beside cluster.yaml".into());
        }
    }
}

fn place_at(node: &Node, pointer: &str, file: &Arc<str>) -> Origin {
    let at = node.nearest(pointer).at;
    Origin::at(file.clone(), at.line, at.column)
}

/// Returns the name that a broken document has, if it can be trusted: the cluster is then
/// held, and no other is affected.
fn identity(node: &Node) -> Option<String> {
    let node = node.get("name")?;
    // `name: 5` is no name, and may stand where any other stood.
    let name = node.to_value(Schema::Kubectl).ok().filter(Value::is_string).and(node.text())?;
    let well_formed =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    well_formed.then(|| name.to_owned())
}

fn values_beside(fleet: &Tree, cluster_path: &str) -> (Option<ValueTree>, Violations) {
    let folder = cluster_path.strip_suffix("/cluster.yaml").unwrap_or_default();
    let path = format!("{folder}/values.yaml");
    for wrong in ["values.yml", "value.yaml", "Values.yaml"] {
        if fleet.get(&format!("{folder}/{wrong}")).is_some() && fleet.get(&path).is_none() {
            let v = Violation::error("this file is not read: the cluster's values stand in values.yaml");
            let at = Origin::file(fleet.shown(&format!("{folder}/{wrong}")));
            return (None, vec![v.at(at).hint("rename it to values.yaml")]);
        }
    }
    if let Some(why) = fleet.unreadable.get(&path) {
        return (None, vec![why.clone()]);
    }
    match fleet.get(&path).map(|bytes| values_file(fleet, &path, bytes)) {
        None => (None, Violations::new()),
        Some(Ok(tree)) => (Some(tree), Violations::new()),
        Some(Err(v)) => (None, vec![v]),
    }
}

/// Reads one values file: a mapping, or nothing.
///
/// # Errors
/// What is no YAML, or no mapping.
pub fn values_file(tree: &Tree, path: &str, bytes: &[u8]) -> Result<ValueTree, Violation> {
    let file = tree.shown(path);
    let documents = read(bytes, &Limits::inputs()).map_err(|e| e.in_file(&file))?;
    match documents.as_slice() {
        [] => Ok(ValueTree::empty(Origin::file(file))),
        [node] if matches!(node.data, Data::Map(_)) => ValueTree::from_node(node, &file),
        [node] => {
            Err(Violation::error("values are a mapping").at(Origin::at(file, node.at.line, node.at.column)))
        }
        [_, second, ..] => Err(Violation::error("a second document; a values file takes one")
            .at(Origin::at(file, second.at.line, 0))),
    }
}
