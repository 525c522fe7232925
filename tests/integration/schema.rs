//! The schemas that `hydrant schema` prints are those in `docs/schema/`, and the one of a cluster
//! judges as the original does.

use crate::common::{hydrant, project, shared};
use serde_json::{Value, json};

#[test]
fn the_printed_schemas_are_those_in_the_documentation() {
    for name in ["cluster", "binding", "config", "component", "values"] {
        let printed = hydrant(&["schema", name]).run().exits(0).stdout;
        let file = project("docs/schema").join(format!("{name}.json"));
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(printed, written, "run: hydrant schema {name} > docs/schema/{name}.json");
        let schema: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#", "{name}");
        jsonschema::draft7::new(&schema).expect("a schema that compiles");
    }
}

fn sound() -> Value {
    json!({
        "name": "harbor", "env": "prod",
        "platform": {"type": "aws", "account_id": "111122223333", "region": "eu-central-1", "zones": ["eu-central-1a"]},
        "dns": {"base_domain": "ocp.example.com", "hosted_zone_id": "Z0123456789ABC"},
        "openshift": {"version": "4.20", "max_minor": "4.20", "control_plane_replicas": 3, "compute_replicas": 0,
            "instance_type_control_plane": "m6i.xlarge", "instance_type_compute": "m6i.2xlarge", "compute_market": "spot"},
        "credentials": {"aws_profile": "harbor", "cco_mode": "mint"},
        "gitops": {"repo_url": "https://git.example.com/a.git", "repo_ref": "main", "env": "prod"},
    })
}

/// Every path to a leaf or mapping of a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Value::Object(map) = value {
        for (key, inner) in map {
            let path = format!("{at}/{key}");
            found.push(path.clone());
            pointers(inner, &path, found);
        }
    }
}

/// The sound cluster, and it with each key removed, made unknown, or given each odd value.
fn corpus() -> Vec<Value> {
    let sound = sound();
    let mut paths = Vec::new();
    pointers(&sound, "", &mut paths);
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(4.2),
        json!(3.0),
        json!(""),
        json!(" "),
        json!("a"),
        json!("A"),
        json!("-"),
        json!("a b"),
        json!("4.20"),
        json!("4.20.1"),
        json!("4"),
        json!("v4.20"),
        json!("111122223333"),
        json!("11112222333"),
        json!("spot"),
        json!("on-demand"),
        json!("mint"),
        json!("manual-sts"),
        json!("manual"),
        json!("aws"),
        json!("crc"),
        json!("local"),
        json!("sno"),
        json!("prodtest"),
        json!("https://git.example.com/x"),
        json!("git@git.example.com:x/y.git"),
        json!("x.y"),
        json!("ssh://git@git.example.com/x"),
        json!("Z1"),
        json!("z1"),
        json!([]),
        json!(["a"]),
        json!(["A"]),
        json!([""]),
        json!([1]),
        json!(["a", "a"]),
        json!({}),
        json!({"a": 1}),
        json!("main\n"),
        json!("é"),
    ];
    let mut corpus = vec![sound.clone(), json!({}), json!([]), json!("x")];
    for path in &paths {
        let (parent, key) = path.rsplit_once('/').expect("a path");
        for value in &odd {
            let mut changed = sound.clone();
            *changed.pointer_mut(path).expect("a value") = value.clone();
            corpus.push(changed);
        }
        let mut without = sound.clone();
        let map = without.pointer_mut(parent).expect("a parent").as_object_mut().expect("a mapping");
        let taken = map.remove(key).expect("a key");
        corpus.push(without.clone());
        without.pointer_mut(parent).expect("a parent")[format!("{key}_")] = taken;
        corpus.push(without);
    }
    corpus
}

#[test]
fn strict_compat_judges_every_document_as_the_original_schema_does() {
    let Some(path) = shared("inputs/clusters/cluster.schema.json") else { return };
    let original: Value = serde_json::from_slice(&std::fs::read(path).expect("file")).expect("JSON");
    let judge = |schema: &Value| {
        jsonschema::draft7::options()
            .should_validate_formats(true)
            .build(schema)
            .expect("a schema that compiles")
    };
    let (theirs, ours) = (judge(&original), judge(&hydrant::model::cluster::compat_schema()));
    let corpus = corpus();
    let verdicts: Vec<bool> = corpus.iter().map(|d| theirs.is_valid(d)).collect();
    assert!(verdicts.iter().filter(|v| **v).count() > 20 && verdicts.iter().filter(|v| !**v).count() > 500);
    let differ: Vec<String> = corpus
        .iter()
        .zip(&verdicts)
        .filter(|(document, verdict)| ours.is_valid(document) != **verdict)
        .map(|(document, verdict)| format!("the original says {verdict} to {document}"))
        .collect();
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), corpus.len(), differ.join("\n"));
}

#[test]
fn what_the_schema_takes_the_program_reads() {
    let ours = jsonschema::draft7::new(&hydrant::model::cluster::schema_of::<
        hydrant::model::cluster::ClusterFile,
    >())
    .expect("a schema");
    for document in corpus() {
        if ours.is_valid(&document) {
            // Through YAML, where 3.0 is the whole number that it is in Go.
            let typed = crate::catalog::documents(&document.to_string()).remove(0);
            let read: Result<hydrant::model::cluster::ClusterFile, _> = serde_json::from_value(typed);
            assert!(read.is_ok(), "{document}: {:?}", read.err());
        }
    }
}
