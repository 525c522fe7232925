//! Every rendered object against the real types: the CRDs of its operator, and Kubernetes' own
//! definitions, both refusing fields that they do not know.

use crate::common::shared;
use crate::support::crds::Crds;
use crate::tenants_fleet::Fleet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Kubernetes' own kinds, from its OpenAPI document.
struct Builtin {
    document: Value,
    names: BTreeMap<(String, String, String), String>,
}

impl Builtin {
    fn read(bytes: &[u8]) -> Self {
        let mut document: Value = serde_json::from_slice(bytes).expect("JSON");
        let mut names = BTreeMap::new();
        let mut definitions = document["definitions"].take();
        for (name, definition) in definitions.as_object_mut().expect("definitions") {
            let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
            for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                names.insert((text(kind, "group"), text(kind, "version"), text(kind, "kind")), name.clone());
            }
            if definition.get("properties").is_some() {
                definition["additionalProperties"] = json!(false);
            }
            if definition["format"] == "int-or-string" {
                definition["type"] = json!(["integer", "string"]);
            }
        }
        Self { document: json!({"definitions": definitions}), names }
    }

    fn problems(&self, object: &Value) -> Option<Vec<String>> {
        let api = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = api.rsplit_once('/').unwrap_or(("", api));
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = self.names.get(&(group.to_owned(), version.to_owned(), kind.to_owned()))?;
        let mut schema = self.document.clone();
        schema["$ref"] = json!(format!("#/definitions/{name}"));
        let validator = jsonschema::draft4::new(&schema).expect("a schema");
        Some(validator.iter_errors(object).map(|e| format!("{}: {e}", e.instance_path())).collect())
    }
}

#[test]
fn every_rendered_object_fits_its_real_type() {
    let folders = ["argocd", "eso", "tekton", "vco", "vso"].map(|f| shared(&format!("crds/{f}")));
    let (Some(openapi), true) =
        (shared("crds/kubernetes/openapi-1.21.2.json"), folders.iter().all(Option::is_some))
    else {
        return;
    };
    let crds = Crds::read(&folders.into_iter().flatten().collect::<Vec<_>>());
    let builtin = Builtin::read(&std::fs::read(openapi).expect("the document"));
    let fleet = Fleet::of_fixtures();
    let output = fleet.render();
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    for cluster in ["local/quay/", "prodtest/harbour/"] {
        for folder in ["organizations/", "tenants/", "knowledgebases/", "apps/tenants"] {
            for object in output.objects(&format!("{cluster}{folder}")) {
                let problems = crds.problems(&object).or_else(|| builtin.problems(&object));
                let problems = problems.unwrap_or_else(|| panic!("no type for {object}"));
                assert!(problems.is_empty(), "{problems:?} in {object:#}");
                *checked.entry(object["kind"].as_str().expect("kind").to_owned()).or_default() += 1;
            }
        }
    }
    for kind in ["Pipeline", "AppProject", "Application", "ClusterSecretStore", "ExternalSecret", "Ingress"] {
        assert!(checked.contains_key(kind), "{kind} was not rendered: {checked:?}");
    }
    assert!(checked.values().sum::<usize>() > 150, "{checked:?}");
}

#[test]
fn kubernetes_own_types_refuse_an_unknown_field() {
    let Some(openapi) = shared("crds/kubernetes/openapi-1.21.2.json") else { return };
    let builtin = Builtin::read(&std::fs::read(openapi).expect("the document"));
    let quota = |spec: Value| json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "a"}, "spec": spec});
    let count = |spec: Value| builtin.problems(&quota(spec)).expect("a kind").len();
    assert_eq!(count(json!({"hard": {"pods": "1"}})), 0);
    assert_eq!(count(json!({"hrad": {"pods": "1"}})), 1);
}

/// What runs inside a TriggerTemplate is free-form for its CRD; the run itself is not.
#[test]
fn the_runs_that_dispatchers_make_fit_the_type_of_a_pipeline_run() {
    let Some(folder) = shared("crds/tekton") else { return };
    let crds = Crds::read(&[folder]);
    let output = Fleet::of_fixtures().render();
    let templates: Vec<Value> =
        output.objects("").into_iter().filter(|o| o["kind"] == "TriggerTemplate").collect();
    assert!(templates.len() >= 3, "{}", templates.len());
    for template in templates {
        for run in template["spec"]["resourcetemplates"].as_array().expect("runs") {
            assert_eq!(crds.problems(run).expect("a PipelineRun"), Vec::<String>::new(), "{run:#}");
        }
    }
}
