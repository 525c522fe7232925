//! Decides which components a cluster has, and with which values.

use crate::definition::catalog::Catalog;
use crate::error::{Violation, Violations};
use crate::model::fleet::{Cluster, Placed};
use crate::model::id::{Domain, Scope};
use crate::model::values::type_name;
use crate::template::{Context, Part};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Fills in the components of a cluster; returns the domains that a broken one holds.
pub fn place<'d>(cluster: &mut Cluster<'d>, catalog: &'d Catalog) -> Vec<(Domain, Violations)> {
    let mut held = Violations::new();
    for (id, component) in &catalog.components {
        let values = cluster.values.get(id).map_or_else(|| json!({}), |v| v.to_value());
        let placed = Placed {
            component,
            values: Part::new(values),
            wave: Part::new(json!(component.wave)),
            common: OnceLock::new(),
        };
        match is_enabled(cluster, &placed) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(v) => {
                held.push(v);
                continue;
            }
        }
        if component.scope() == Scope::Cluster {
            // A broken component holds whom it serves; those of subjects are judged with them.
            held.extend(component.failed.iter().cloned());
            cluster.components.push(placed);
        } else {
            cluster.subject_components.push(placed);
        }
    }
    let ids: Value = cluster.components.iter().map(|p| json!(p.component.key.id)).collect();
    cluster.enabled = Part::new(ids);
    cluster.access = Part::new(crate::stage::applications::access(cluster));
    if held.is_empty() { Vec::new() } else { vec![(Domain::cluster(cluster.id.clone()), held)] }
}

fn is_enabled(cluster: &Cluster<'_>, placed: &Placed<'_>) -> Result<bool, Violation> {
    let component = placed.component;
    let Some(expression) = &component.enabled else { return Ok(true) };
    let parts = base_context(cluster, placed);
    match expression.eval(&Context::new(parts, component.texts.clone()))? {
        Value::Bool(enabled) => Ok(enabled),
        other => {
            Err(Violation::error(format!("`enabled` gives {} where a boolean is needed", type_name(&other)))
                .at(component.place("enabled"))
                .key("enabled"))
        }
    }
}

/// Returns what every unit of a component sees, whatever its subject.
pub fn base_context(cluster: &Cluster<'_>, placed: &Placed<'_>) -> BTreeMap<&'static str, Part> {
    let mut parts = cluster.view.clone();
    parts.insert("values", placed.values.clone());
    parts.insert("wave", placed.wave.clone());
    parts
}
