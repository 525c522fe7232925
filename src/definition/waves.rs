//! Orders components inside their layer: a wave is the declared one, or one more than the
//! highest wave of what is needed there.

use super::catalog::Component;
use crate::error::Violation;
use crate::model::id::Scope;
use crate::suggest::did_you_mean;
use std::collections::BTreeMap;

/// Sets the wave of every component; needs that cannot be met fail the component.
pub fn resolve(components: &mut BTreeMap<String, Component>) {
    let mut waves: BTreeMap<String, i64> = BTreeMap::new();
    let ids: Vec<String> = components.keys().cloned().collect();
    for id in &ids {
        check_needs(id, components);
    }
    for id in &ids {
        let mut path = Vec::new();
        if let Err(cycle) = wave_of(id, components, &mut waves, &mut path) {
            // Every member of the circle fails, and what leads into it: a cluster may have any of them.
            for member in path.iter().chain(&cycle) {
                if waves.insert(member.clone(), 0).is_some() {
                    continue;
                }
                if let Some(component) = components.get_mut(member) {
                    component.failed.push(
                        Violation::error(format!(
                            "components need each other in a circle: {}",
                            cycle.join(" → ")
                        ))
                        .at(component.place("needs"))
                        .key("needs")
                        .hint("remove one of these needs"),
                    );
                }
            }
        }
    }
    for (id, wave) in waves {
        if let Some(component) = components.get_mut(&id) {
            component.wave = wave;
        }
    }
}

fn check_needs(id: &str, components: &mut BTreeMap<String, Component>) {
    let Some(component) = components.get(id) else { return };
    let mut found = Vec::new();
    for need in &component.file.needs {
        let at = component.place("needs");
        let Some(needed) = components.get(need) else {
            let mut v = Violation::error(format!("there is no component `{need}`")).at(at).key("needs");
            v.hint = did_you_mean(need, components.keys().map(String::as_str));
            found.push(v);
            continue;
        };
        if needed.key.layer > component.key.layer {
            found.push(
                Violation::error(format!(
                    "`{id}` (layer {}) needs `{need}` (layer {}), which is delivered later",
                    component.key.layer, needed.key.layer
                ))
                .at(at)
                .key("needs")
                .hint(format!(
                    "move `{id}` to {0} or `{need}` to {1}",
                    needed.key.layer, component.key.layer
                )),
            );
        } else if needed.scope() != Scope::Cluster && component.scope() == Scope::Cluster {
            found.push(
                Violation::error(format!(
                    "`{id}` serves the cluster and cannot need `{need}`, which serves single subjects"
                ))
                .at(at)
                .key("needs"),
            );
        }
    }
    if let Some(component) = components.get_mut(id) {
        component.failed.extend(found);
    }
}

/// Returns the wave of a component, or the circle that it stands in.
fn wave_of(
    id: &str,
    components: &BTreeMap<String, Component>,
    waves: &mut BTreeMap<String, i64>,
    path: &mut Vec<String>,
) -> Result<i64, Vec<String>> {
    if let Some(wave) = waves.get(id) {
        return Ok(*wave);
    }
    if let Some(start) = path.iter().position(|p| p == id) {
        let mut cycle = path[start..].to_vec();
        cycle.push(id.to_owned());
        return Err(cycle);
    }
    let Some(component) = components.get(id) else { return Ok(0) };
    path.push(id.to_owned());
    let mut wave = component.file.wave.unwrap_or(0);
    for need in &component.file.needs {
        let Some(needed) = components.get(need) else { continue };
        // Only one layer and one scope share waves: other layers are ordered by their parent
        // Applications, and a subject's Application waits for the cluster's components.
        if needed.key.layer == component.key.layer && needed.scope() == component.scope() {
            wave = wave.max(wave_of(need, components, waves, path)? + 1);
        }
    }
    path.pop();
    waves.insert(id.to_owned(), wave);
    Ok(wave)
}
