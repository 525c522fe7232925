//! Sets the number of replicas.

use super::Failure;
use crate::kustomize::fieldspec::{FieldSpec, Make};
use crate::kustomize::resources::Resources;
use crate::suggest::did_you_mean;
use serde_json::Value;

/// One entry of `replicas`.
#[derive(Clone, Debug)]
pub struct ReplicaChange {
    /// The name of the objects, as it is or was.
    pub name: String,
    /// How many.
    pub count: i64,
    /// The fields that hold the number.
    pub specs: Vec<FieldSpec>,
}

impl ReplicaChange {
    /// Changes the objects of that name.
    pub fn apply(&self, resources: &mut Resources) -> Result<(), Failure> {
        let mut found = false;
        for spec in &self.specs {
            for place in resources.named(&self.name).to_vec() {
                let Some(resource) = resources.get_mut(place) else { continue };
                let selected = resource
                    .previous_ids()
                    .chain([resource.id()])
                    .any(|id| id.name == self.name && id.gvk.is_selected_by(&spec.gvk));
                if !selected {
                    continue;
                }
                found = true;
                let mut set = |field: &mut Value| {
                    if matches!(field, Value::Array(_) | Value::Object(_)) {
                        return Err("the number of replicas is a single value".to_owned());
                    }
                    *field = Value::Number(self.count.into());
                    Ok(())
                };
                spec.change(&mut resource.value, Make::Text, &mut set)
                    .map_err(|why| Failure::at(resource, why))?;
            }
        }
        if found { Ok(()) } else { Err(self.not_found(resources)) }
    }

    fn not_found(&self, resources: &Resources) -> Failure {
        let kinds: Vec<&str> = self.specs.iter().map(|s| s.gvk.kind.as_str()).collect();
        let names: Vec<String> = resources
            .list()
            .iter()
            .filter(|r| self.specs.iter().any(|s| r.gvk().is_selected_by(&s.gvk)))
            .map(|r| r.original_name().into_owned())
            .collect();
        let failure = Failure::nothing(format!(
            "no object named `{}` has replicas to set (looked at: {})",
            self.name,
            kinds.join(", ")
        ));
        match did_you_mean(&self.name, names.iter().map(String::as_str)) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
