//! Decides which components a cluster has, and with which values.

use crate::definition::catalog::{Catalog, Component};
use crate::error::{Violation, Violations};
use crate::model::fleet::{Cluster, Placed};
use crate::model::id::{Domain, Scope};
use crate::model::values::type_name;
use crate::template::Context;
use serde_json::{Value, json};
use std::sync::Arc;

/// Fills in the components of a cluster; returns the domains that a broken one holds.
pub fn place<'d>(cluster: &mut Cluster<'d>, catalog: &'d Catalog) -> Vec<(Domain, Violations)> {
    let mut held = Violations::new();
    for (id, component) in &catalog.components {
        let values = Arc::new(cluster.values.get(id).map_or_else(|| json!({}), |v| v.to_value()));
        match is_enabled(component, cluster, &values) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(v) => {
                held.push(v);
                continue;
            }
        }
        let placed = Placed { component, values };
        if component.scope() == Scope::Cluster {
            // A broken component holds whom it serves; those of subjects are judged with them.
            held.extend(component.failed.iter().cloned());
            cluster.components.push(placed);
        } else {
            cluster.subject_components.push(placed);
        }
    }
    if held.is_empty() { Vec::new() } else { vec![(Domain::cluster(cluster.id.clone()), held)] }
}

fn is_enabled(component: &Component, cluster: &Cluster<'_>, values: &Arc<Value>) -> Result<bool, Violation> {
    let Some(expression) = &component.enabled else { return Ok(true) };
    let data = base_context(cluster, values, component.wave);
    match expression.eval(&Context::new(data, component.texts.clone()))? {
        Value::Bool(enabled) => Ok(enabled),
        other => {
            Err(Violation::error(format!("`enabled` gives {} where a boolean is needed", type_name(&other)))
                .at(component.place("enabled"))
                .key("enabled"))
        }
    }
}

/// Returns what every unit of a component sees, whatever its subject.
pub fn base_context(cluster: &Cluster<'_>, values: &Arc<Value>, wave: i64) -> Value {
    json!({
        "cluster": *cluster.view,
        "env": cluster.id.env,
        "global": *cluster.global,
        "values": **values,
        "wave": wave,
    })
}
