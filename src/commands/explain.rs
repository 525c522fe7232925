//! `hydrant explain`: where things come from.

use super::print;
use crate::cli::{ExplainComponents, ExplainValues};
use crate::error::{Error, Result};
use crate::model::fleet::Cluster;
use crate::reconcile;
use crate::redact::redact;
use serde_json::Value;

/// Shows each value of the selected clusters with the file and line that set it.
///
/// # Errors
/// A fleet that cannot be read, or a key that nothing has.
pub fn values(args: &ExplainValues) -> Result<u8> {
    let request = super::rendering(&args.fleet)?;
    let definitions = reconcile::definitions(&request)?;
    let fleet = reconcile::fleet(&definitions, &request.pick)?;
    let mut out = String::new();
    let mut shown = 0;
    for cluster in fleet.clusters.iter().filter(|c| request.pick.takes_cluster(&c.id)) {
        shown += 1;
        out.push_str(&format!("# {}\n", cluster.id));
        of_cluster(cluster, args.key.as_deref(), &mut out);
    }
    let why: Vec<_> = fleet.held.values().flat_map(|why| why.iter().cloned()).collect();
    if shown == 0 {
        return Err(Error::input("no cluster could be explained").with(why));
    }
    print(&out)?;
    Ok(0)
}

fn of_cluster(cluster: &Cluster<'_>, key: Option<&str>, out: &mut String) {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    cluster.values.leaves("", &mut |path, value, origin| {
        if within(path, key) {
            rows.push((path.to_owned(), shown(value), origin.to_string()));
        }
    });
    // What is not set derives from the cluster.
    for (name, resolved) in
        [("vault", serde_json::to_value(&cluster.vault)), ("argocd", serde_json::to_value(&cluster.argocd))]
    {
        derived(name, &resolved.unwrap_or_default(), &mut |path, value| {
            if within(&path, key) && !rows.iter().any(|(p, _, _)| *p == path) {
                rows.push((path, shown(value), "derived".into()));
            }
        });
    }
    rows.sort();
    let width = |n: fn(&(String, String, String)) -> usize| rows.iter().map(n).max().unwrap_or(0).min(48);
    let (w0, w1) = (width(|r| r.0.chars().count()), width(|r| r.1.chars().count()));
    for (path, value, origin) in &rows {
        out.push_str(&format!("{path:w0$}  {value:w1$}  {origin}\n"));
    }
}

fn within(path: &str, key: Option<&str>) -> bool {
    key.is_none_or(|key| path == key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn derived(path: &str, value: &Value, visit: &mut dyn FnMut(String, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                derived(&format!("{path}.{key}"), child, visit);
            }
        }
        leaf => visit(path.to_owned(), leaf),
    }
}

fn shown(value: &Value) -> String {
    redact(&value.to_string()).into_owned()
}

/// Lists the components, and on which of the selected clusters each is enabled.
///
/// # Errors
/// A fleet that cannot be read.
pub fn components(args: &ExplainComponents) -> Result<u8> {
    let request = super::rendering(&args.fleet)?;
    let definitions = reconcile::definitions(&request)?;
    let fleet = reconcile::fleet(&definitions, &request.pick)?;
    let mut out = String::new();
    for (id, component) in &definitions.catalog.components {
        let on: Vec<String> = fleet
            .clusters
            .iter()
            .filter(|c| request.pick.takes_cluster(&c.id))
            .filter(|c| c.components.iter().chain(&c.subject_components).any(|p| p.component.key.id == *id))
            .map(|c| c.id.to_string())
            .collect();
        let on = if on.is_empty() { "-".to_owned() } else { on.join(", ") };
        let from = if component.builtin { "built-in" } else { "fleet" };
        out.push_str(&format!(
            "{:14}  {id:28}  wave {:3}  {from:8}  {on}\n",
            component.key.layer.name(),
            component.wave
        ));
    }
    print(&out)?;
    Ok(0)
}
