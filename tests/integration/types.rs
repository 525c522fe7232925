//! `--crds`: objects against the types of a cluster, through the library and the built binary.

use crate::common::project;
use crate::support::crds::Crds;
use crate::support::fleet::Fleet;
use serde_json::{Value, json};
use std::path::Path;

fn crds() -> Crds {
    Crds::read(&[project("fixtures/types")])
}

fn boat(spec: Value) -> Value {
    json!({"apiVersion": "harbour.example/v1", "kind": "Boat", "metadata": {"name": "gull"}, "spec": spec})
}

#[track_caller]
fn problems(object: &Value) -> Vec<String> {
    crds().problems(object).expect("a kind that is known")
}

#[track_caller]
fn one_problem(object: &Value, says: &str) {
    let found = problems(object);
    assert!(found.len() == 1 && found[0].contains(says), "{says:?} in {found:#?}");
}

#[test]
fn an_object_that_fits_has_no_problem_and_gets_its_defaults() {
    let good = boat(json!({
        "length": 7, "sail": null, "port": "bow", "tags": ["a", "b"], "flags": {"any": "text"}, "bare": {},
        "free": {"anything": {"goes": 1}, "known": {"a": "x"}}, "crew": [{"name": "Ada"}],
        "cargo": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}},
    }));
    assert_eq!(problems(&good), Vec::<String>::new());
    assert_eq!(problems(&boat(json!({"length": 1, "port": 8080}))), Vec::<String>::new());
    let stored = crds().with_defaults(&boat(json!({"length": 1, "crew": [{"name": "Ada"}]}))).expect("known");
    assert_eq!(
        stored["spec"],
        json!({"length": 1, "mode": "moored", "crew": [{"name": "Ada", "rank": "sailor"}]})
    );
}

#[test]
fn an_unknown_field_is_a_problem_with_its_path_and_the_near_miss() {
    one_problem(&boat(json!({"lenght": 1, "length": 1})), "spec.lenght: the type has no such field");
    one_problem(&boat(json!({"lenght": 1, "length": 1})), "did you mean `length`?");
    let crew = boat(json!({"length": 1, "crew": [{"name": "Ada"}, {"name": "Eve", "rnk": "mate"}]}));
    one_problem(&crew, "spec.crew[1].rnk: the type has no such field");
    one_problem(&crew, "did you mean `rank`?");
    one_problem(&boat(json!({"length": 1, "bare": {"x": 1}})), "spec.bare.x");
    one_problem(&boat(json!({"length": 1, "free": {"known": {"b": 1}}})), "spec.free.known.b");
}

#[test]
fn types_words_bounds_and_missing_fields_are_problems() {
    one_problem(&boat(json!({"length": "7"})), "spec.length: expected an integer, found a string");
    one_problem(&boat(json!({"length": null})), "spec.length: expected an integer, found null");
    one_problem(&boat(json!({})), "spec.length: this field is required and missing");
    one_problem(&boat(json!({"length": 0})), "spec.length: ");
    one_problem(&boat(json!({"length": 1, "sail": "lateenn"})), "expected one of square, lateen, none");
    one_problem(&boat(json!({"length": 1, "sail": "lateenn"})), "did you mean `lateen`?");
    one_problem(&boat(json!({"length": 1, "port": true})), "spec.port: expected");
    one_problem(&boat(json!({"length": 1, "tags": ["a", "a"]})), "spec.tags: ");
    one_problem(&boat(json!({"length": 1, "flags": {"a": 1}})), "spec.flags.a: expected a string");
    one_problem(
        &boat(json!({"length": 1, "cargo": {"kind": "ConfigMap"}})),
        "spec.cargo.apiVersion: this field is required",
    );
}

#[test]
fn metadata_is_checked_although_crds_leave_it_open() {
    let mut object = boat(json!({"length": 1}));
    object["metadata"]["labels"] = json!({"size": 7});
    one_problem(&object, "metadata.labels.size: expected a string");
    object["metadata"] = json!({"name": "gull", "anotations": {}});
    one_problem(&object, "did you mean `annotations`?");
    object["metadata"] = json!({"name": "a-name-that-is-far-too-long"});
    one_problem(&object, "metadata.name: ");
}

#[test]
fn a_value_never_stands_in_a_problem() {
    let secret = "hunter2-hunter2-hunter2";
    for spec in [
        json!({"length": secret}),
        json!({"length": 1, "sail": secret}),
        json!({"length": 1, "flags": secret}),
    ] {
        let found = problems(&boat(spec));
        assert!(!found.is_empty() && found.iter().all(|p| !p.contains(secret)), "{found:?}");
    }
}

#[test]
fn a_version_that_is_not_served_is_a_problem_and_an_unknown_kind_is_none() {
    let mut object = boat(json!({"length": 1}));
    object["apiVersion"] = json!("harbour.example/v1alpha1");
    one_problem(&object, "Boat has no version `v1alpha1`");
    one_problem(&object, "the types that were given have v1");
    object["kind"] = json!("Raft");
    assert_eq!(crds().problems(&object), None);
    let pier = |spec: Value| json!({"apiVersion": "harbour.example/v1", "kind": "Pier", "metadata": {"name": "a"}, "spec": spec});
    assert_eq!(
        problems(&pier(json!({"berths": 2}))),
        Vec::<String>::new(),
        "from a List, without apiVersion in its schema"
    );
    one_problem(&pier(json!({"berth": 2})), "did you mean `berths`?");
}

#[test]
fn kubernetes_own_types_refuse_unknown_fields_and_take_nulls_and_numbers() {
    let quota = |spec: Value| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "a", "creationTimestamp": null}, "spec": spec})
    };
    assert_eq!(problems(&quota(json!({"hard": {"pods": "1", "cpu": 2}}))), Vec::<String>::new());
    one_problem(&quota(json!({"hrad": {"pods": "1"}})), "did you mean `hard`?");
    one_problem(&quota(json!({"hard": {"pods": true}})), "spec.hard.pods: expected");
}

#[test]
fn an_object_must_fit_every_file_that_gives_its_type() {
    let folder = tempfile::tempdir().expect("folder");
    let one = std::fs::read_to_string(project("fixtures/types/good/crds.yaml")).expect("fixture");
    std::fs::write(folder.path().join("a.yaml"), &one).expect("file");
    std::fs::write(folder.path().join("b.yml"), one.replace("minimum: 1}", "minimum: 5}")).expect("file");
    let found = Crds::read(&[folder.path()]).problems(&boat(json!({"length": 3}))).expect("known");
    assert!(found.len() == 1 && found[0].contains("b.yml"), "{found:?}");
}

const BOAT: &str =
    "apiVersion: harbour.example/v1\nkind: Boat\nmetadata:\n  name: gull\nspec:\n  length: 7\n";

fn fleet_with(template: &str) -> Fleet {
    let fleet = Fleet::of(&["harbour"]);
    fleet.component("boats", template);
    fleet
}

fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn validate_and_render_say_the_unit_the_object_the_field_and_the_template_line() {
    let types = shown(&project("fixtures/types"));
    let fleet = fleet_with(&BOAT.replace("length", "lenght"));
    for ran in [fleet.validate(&["--crds", &types]), fleet.render(&["--crds", &types])] {
        ran.exits(2)
            .says("templates/platform/boats/objects.yaml:1")
            .says("spec.lenght: the type has no such field (Boat.harbour.example/gull")
            .says("unit platform/boats")
            .says("did you mean `length`?")
            .says("spec.length: this field is required and missing");
    }
    fleet.validate(&[]).exits(0);
    fleet_with(BOAT)
        .validate(&["--crds", &types])
        .exits(0)
        .says("nothing is known of the type of Namespace (2), AppProject.argoproj.io (1)");
}

#[test]
fn what_was_rendered_before_without_types_is_checked_all_the_same() {
    let fleet = fleet_with(&BOAT.replace("length", "lenght"));
    let cache = shown(&fleet.beside("cache"));
    fleet.render(&["--cache", &cache]).exits(0);
    let types = shown(&project("fixtures/types"));
    fleet.render(&["--cache", &cache, "--crds", &types]).exits(2).says("did you mean `length`?");
    fleet.render(&["--cache", &cache]).exits(0);
}

#[test]
fn types_that_cannot_be_read_stop_the_check_instead_of_passing_it() {
    let fleet = fleet_with(BOAT);
    let folder = tempfile::tempdir().expect("folder");
    let types = shown(folder.path());
    fleet.validate(&["--crds", &types]).exits(2).says("no CustomResourceDefinition");
    fleet.validate(&["--crds", &format!("{types}/none")]).exits(2).says("cannot be read");
    std::fs::write(folder.path().join("broken.yaml"), "kind: [").expect("file");
    std::fs::write(folder.path().join("broken.json"), "{\n\"a\": }").expect("file");
    std::fs::write(
        folder.path().join("old.yaml"),
        "apiVersion: apiextensions.k8s.io/v1beta1\nkind: CustomResourceDefinition\nmetadata: {name: olds.example.com}\n",
    )
    .expect("file");
    fleet
        .validate(&["--crds", &types])
        .exits(2)
        .says("broken.yaml:1")
        .says("broken.json:2: this is no JSON")
        .says("`olds.example.com` is not of apiextensions.k8s.io/v1");
}
