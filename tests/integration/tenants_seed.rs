//! The YAML examples of the API document, one fixture each (`fixtures/bindings/objects`): every
//! field of an example stands in what is rendered, but those that the fixture says differ.

use crate::common::{project, shared};
use crate::support::crds::Crds;
use crate::tenants_fleet::{Fleet, Output};
use hydrant::yaml::{Limits, Schema, read};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

static OUTPUT: LazyLock<Output> = LazyLock::new(|| Fleet::of_fixtures().render());

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project(&format!("fixtures/bindings/{folder}"))).expect("fixtures");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("entry").path()).collect();
    paths.sort();
    paths
}

fn value(text: &str) -> Value {
    let nodes = read(text.as_bytes(), &Limits::inputs()).expect("YAML");
    nodes[0].to_value(Schema::Kubectl).expect("values")
}

/// Adds the paths of an example that have no equal in an object. An item of a list counts as
/// there if some item of the object's list has all of it.
fn missing(example: &Value, object: Option<&Value>, path: &str, out: &mut Vec<String>) {
    match (example, object) {
        (Value::Object(map), Some(Value::Object(there))) => {
            for (key, inner) in map {
                let plain = !key.contains(['.', '/']);
                let path = if plain { format!("{path}.{key}") } else { format!("{path}[{key}]") };
                missing(inner, there.get(key), path.trim_start_matches('.'), out);
            }
        }
        (Value::Array(items), Some(Value::Array(there))) => {
            for (i, item) in items.iter().enumerate() {
                let covered = there.iter().any(|candidate| {
                    let mut wrong = Vec::new();
                    missing(item, Some(candidate), "", &mut wrong);
                    wrong.is_empty()
                });
                if !covered {
                    out.push(format!("{path}[{i}]"));
                }
            }
        }
        (example, object) if Some(example) == object => {}
        _ => out.push(path.to_owned()),
    }
}

/// Returns the object of an example: by kind, namespace and name on one cluster.
fn rendered(example: &Value) -> Value {
    let is_root = example["metadata"]["name"] == "platform-root";
    let name = if is_root { "root-prodtest" } else { example["metadata"]["name"].as_str().expect("a name") };
    let namespace = &example["metadata"]["namespace"];
    let mut found: Vec<Value> = OUTPUT
        .objects("prodtest/harbour/")
        .into_iter()
        .filter(|o| o["kind"] == example["kind"] && o["metadata"]["name"] == name)
        .filter(|o| namespace == "argocd" || o["metadata"]["namespace"] == *namespace)
        .collect();
    assert_eq!(found.len(), 1, "{} {name}", example["kind"]);
    found.remove(0)
}

#[test]
fn every_object_of_the_api_document_is_rendered_but_for_what_its_fixture_says() {
    let mut count = 0;
    for path in fixtures("objects") {
        let text = std::fs::read_to_string(&path).expect("text");
        let differs: BTreeSet<String> = text
            .lines()
            .filter_map(|l| l.strip_prefix("# differs: "))
            .map(|l| l.split_once(": ").expect("a path and its reason").0.to_owned())
            .collect();
        let example = value(&text);
        let object = rendered(&example);
        let mut found = Vec::new();
        missing(&example, Some(&object), "", &mut found);
        let found: BTreeSet<String> = found.into_iter().collect();
        assert_eq!(found, differs, "{}: {object:#}", path.display());
        count += 1;
    }
    assert_eq!(count, 15);
}

/// The comparison is seen failing.
#[test]
fn a_field_that_is_not_rendered_is_found() {
    let example = value("a: {b: 1, c: [{d: x}, {d: y}], e/f: z}\n");
    let mut found = Vec::new();
    missing(&example, Some(&value("a: {b: 2, c: [{d: y, more: 1}]}\n")), "", &mut found);
    assert_eq!(found, ["a.b", "a.c[0]", "a[e/f]"]);
}

/// What teams write themselves is not rendered; it must fit the store and the type.
#[test]
fn the_external_secret_of_a_team_fits_its_type_and_names_the_store_of_its_organization() {
    let Some(folder) = shared("crds/eso") else { return };
    let crds = Crds::read(&[folder]);
    for path in fixtures("made-by-teams") {
        let object = value(&std::fs::read_to_string(&path).expect("text"));
        assert_eq!(crds.problems(&object), Some(vec![]), "{}", path.display());
        let store = object["spec"]["secretStoreRef"]["name"].as_str().expect("a name");
        let store = OUTPUT.object("prodtest/harbour/organizations", "ClusterSecretStore", store);
        let label = store["spec"]["conditions"][0]["namespaceSelector"]["matchLabels"].clone();
        let namespace = object["metadata"]["namespace"].as_str().expect("a namespace");
        let namespace = OUTPUT.object("prodtest/harbour/tenants", "Namespace", namespace);
        let labels = namespace["metadata"]["labels"].as_object().expect("labels");
        assert!(label.as_object().expect("labels").iter().all(|(k, v)| labels.get(k) == Some(v)));
    }
}
