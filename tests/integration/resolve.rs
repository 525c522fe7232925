//! What refers to what: names, claims, values, waves, and whom a failure holds.

use crate::support::fleet::{Fleet, cluster_yaml};
use std::time::{Duration, Instant};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\ndata:\n  a: b\n";

#[test]
fn two_holders_of_a_mount_are_both_named_and_the_mend_mends_it() {
    let fleet = Fleet::of(&["a", "b", "c"]);
    for name in ["a", "b"] {
        fleet
            .write(&format!("clusters/{name}/values.yaml"), "vault:\n  address: https://vault.example.com\n");
    }
    let ran = fleet.run(&[]).exits(5).shows("lab/c");
    let ran = ran.says("clusters/a/cluster.yaml:1:1: the Vault auth mount `kubernetes-lab` at https://vault.example.com:443 is claimed by lab/a and by lab/b (clusters/b/cluster.yaml:1:1)");
    let ran = ran.says("clusters/b/cluster.yaml:1:1: the Vault auth mount `kubernetes-lab` at https://vault.example.com:443 is claimed by lab/b and by lab/a (clusters/a/cluster.yaml:1:1)");
    ran.says("held: cluster lab/a").says("held: cluster lab/b");
    assert!(fleet.files("lab/a").is_empty() && fleet.files("lab/b").is_empty());
    // Exactly what the hint says, on one of the two.
    fleet.write(
        "clusters/a/values.yaml",
        "vault:\n  address: https://vault.example.com\n  kubernetesMount: kubernetes-a\n",
    );
    fleet.run(&[]).exits(0);
}

#[test]
fn a_vault_of_the_clusters_own_is_nobody_elses() {
    let fleet = Fleet::of(&["a", "b"]);
    for name in ["a", "b"] {
        fleet.write(
            &format!("clusters/{name}/values.yaml"),
            "vault:\n  address: http://vault.vault.svc:8200\n",
        );
    }
    fleet.validate(&[]).exits(0);
}

#[test]
fn one_address_in_two_spellings_is_one_vault() {
    let fleet = Fleet::of(&["a", "b"]);
    fleet.write("clusters/a/values.yaml", "vault:\n  address: https://Vault.example.com:443/\n");
    fleet.write("clusters/b/values.yaml", "vault:\n  address: https://vault.example.com\n");
    fleet.validate(&[]).exits(2).says("is claimed by lab/a and by lab/b");
}

#[test]
fn a_claim_of_very_many_names_a_few_and_ends_soon() {
    let fleet = Fleet::of(&[]);
    for i in 0..1_500 {
        fleet.write(&format!("clusters/c{i}/cluster.yaml"), &cluster_yaml(&format!("c{i}"), "lab"));
    }
    fleet.write("overlays/lab/values.yaml", "vault:\n  address: https://vault.example.com\n");
    let began = Instant::now();
    let ran = fleet.validate(&[]).exits(2);
    assert!(
        ran.stderr.lines().all(|l| l.len() < 2_000),
        "a line of {:?} characters",
        ran.stderr.lines().map(str::len).max()
    );
    assert!(ran.stderr.contains("and by 1496 more"), "{}", &ran.stderr[..2_000]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn every_value_is_explained_with_the_line_that_set_it() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", MAP);
    fleet.write("templates/platform/notes/values.yaml", "size: 1\ncolour: red\nlist: [1]\n");
    fleet.write("overlays/lab/values.yaml", "notes:\n  colour: blue\n  size: 2\n");
    fleet.write("overlays/lab/values/10-more.yaml", "notes:\n  size: 3\n");
    fleet.write("clusters/a/values.yaml", "\nnotes:\n  list: [2, 3]\n");
    let ran = fleet.call(&["explain", "values"], &["notes"]).run().exits(0);
    let rows: Vec<Vec<&str>> = ran.stdout.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [
            vec!["notes.colour", "\"blue\"", "overlays/lab/values.yaml:2:3"],
            vec!["notes.list", "[2,3]", "clusters/a/values.yaml:3:3"],
            vec!["notes.size", "3", "overlays/lab/values/10-more.yaml:2:3"],
        ]
    );
    let ran = fleet.call(&["explain", "values"], &["vault.kubernetesMount"]).run().exits(0);
    ran.shows("vault.kubernetesMount").shows("\"kubernetes-lab\"").shows("derived");
    let ran = fleet.call(&["explain", "values"], &["global.appNamespace"]).run().exits(0);
    ran.shows("builtin:templates/values.yaml:4:3");
}

#[test]
fn maps_merge_and_lists_replace() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", &MAP.replace("data:\n  a: b", "data: {{ values }}"));
    fleet.write("templates/platform/notes/values.yaml", "map: {a: 1, b: 2}\nlist: [1, 2, 3]\n");
    fleet.write("clusters/a/values.yaml", "notes:\n  map: {b: 3}\n  list: [9]\n");
    let out = fleet.beside("out");
    fleet.call(&["render"], &["--out", &out.display().to_string()]).run().exits(0);
    let text =
        std::fs::read_to_string(out.join("lab/a/platform/notes/configmap-notes.yaml")).expect("object");
    assert_eq!(
        crate::catalog::documents(&text)[0]["data"],
        serde_json::json!({"map": {"a": 1, "b": 3}, "list": [9]})
    );
}

#[test]
fn a_whole_number_fits_where_a_number_is_wanted_and_not_the_other_way() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", MAP);
    fleet.write("templates/platform/notes/values.yaml", "ratio: 0.5\nsize: 1\n");
    fleet.write("clusters/a/values.yaml", "notes:\n  ratio: 2\n");
    fleet.validate(&[]).exits(0);
    fleet.write("clusters/a/values.yaml", "notes:\n  size: 1.5\n");
    fleet
        .validate(&[])
        .exits(2)
        .says("clusters/a/values.yaml:2:3: notes.size: expected an integer, found a number")
        .says("hint: the default that gives the type stands at templates/platform/notes/values.yaml:2:1");
}

#[test]
fn a_wave_follows_from_the_needs_of_the_same_layer() {
    let fleet = Fleet::of(&["a"]);
    for (id, file) in [
        ("first", "namespace: lab\n"),
        ("second", "namespace: lab\nneeds: [first, namespaces]\n"),
        ("third", "namespace: lab\nneeds: [second, first]\nwave: 1\n"),
        ("late", "namespace: lab\nneeds: [first]\nwave: 40\n"),
    ] {
        fleet.component(id, &MAP.replace("notes", id));
        fleet.write(&format!("templates/platform/{id}/component.yaml"), file);
    }
    fleet.run(&[]).exits(0);
    for (id, wave) in [("first", 0), ("second", 1), ("third", 2), ("late", 40)] {
        let app = fleet.git(&["show", &format!("main:lab/a/apps/platform/{id}.yaml")]);
        assert!(app.contains(&format!("argocd.argoproj.io/sync-wave: \"{wave}\"")), "{id}:\n{app}");
    }
}

#[test]
fn every_member_of_a_circle_fails_whichever_of_them_a_cluster_has() {
    for only in ["one", "two", "three"] {
        let fleet = Fleet::of(&["a"]);
        for (id, need) in [("one", "two"), ("two", "three"), ("three", "one")] {
            fleet.component(id, &MAP.replace("notes", id));
            let file = format!("namespace: lab\nenabled: \"{}\"\nneeds: [{need}]\n", id == only);
            fleet.write(&format!("templates/platform/{id}/component.yaml"), &file);
        }
        let ran = fleet.validate(&[]).exits(2).says("components need each other in a circle: ");
        assert!(
            ran.stderr.contains(&format!("templates/platform/{only}/component.yaml:3:1: needs:")),
            "{only}:\n{}",
            ran.stderr
        );
        assert_eq!(ran.stderr.matches(" → ").count(), 3, "{}", ran.stderr);
    }
}

#[test]
fn a_chain_of_thousands_of_needs_is_resolved() {
    let fleet = Fleet::of(&["a"]);
    for i in 0..2_000 {
        let needs = if i == 0 { String::new() } else { format!("needs: [c{}]\n", i - 1) };
        // Named so that the last of the chain is looked at first.
        fleet.write(
            &format!("templates/platform/c{i}/component.yaml"),
            &format!("enabled: \"false\"\n{needs}"),
        );
    }
    let ran = fleet.call(&["explain", "components"], &[]).run().exits(0);
    ran.shows("c1999                         wave 1999");
}

#[test]
fn a_broken_component_holds_the_clusters_that_it_serves_and_no_others() {
    let fleet = Fleet::of(&["a", "b"]);
    fleet.component("notes", &MAP.replace("a: b", "a: {{ values.gone }}"));
    fleet
        .write("templates/platform/notes/component.yaml", "namespace: lab\nenabled: cluster.name == \"a\"\n");
    fleet.run(&[]).exits(5).says("held: cluster lab/a").shows("lab/b");
    assert!(fleet.files("lab/a").is_empty() && !fleet.files("lab/b").is_empty());
    // A file that does not even compile, too.
    fleet.write("templates/platform/notes/objects.yaml", "a: {{ env }}x\n");
    fleet.run(&[]).exits(5).says("held: cluster lab/a");
    fleet.write("templates/platform/notes/values.yaml", "a: [\n");
    fleet.run(&[]).exits(5).says("held: cluster lab/a");
    // Whom a broken component.yaml serves nobody can say.
    fleet.write("templates/platform/notes/component.yaml", "enabled: [\n");
    fleet.run(&[]).exits(2).says("templates/platform/notes/component.yaml:1:10: this is not YAML");
}

#[test]
fn a_fleet_replaces_and_extends() {
    let fleet = Fleet::of(&["a"]);
    fleet.write("templates/bootstrap/namespaces/component.yaml", "replaces: builtin\nnamespace: lab\n");
    fleet.write("templates/bootstrap/namespaces/one.yaml", MAP);
    fleet.run(&[]).exits(0);
    let files = fleet.files("lab/a/bootstrap/namespaces");
    assert_eq!(
        files,
        ["lab/a/bootstrap/namespaces/configmap-notes.yaml", "lab/a/bootstrap/namespaces/kustomization.yaml"]
    );

    let fleet = Fleet::copy_of(&crate::common::project("fixtures/fleets/valid/extended"));
    fleet.run(&[]).exits(0);
    let two = fleet.git(&["show", "main:lab/pier/applications/two/configmap-two.yaml"]);
    assert!(two.contains("replicas: \"3\"") && two.contains("ratio: \"2\""), "{two}");
    assert!(fleet.files("lab/pier/applications/service").is_empty(), "the extended one is off");
}

#[test]
fn a_replaced_component_that_a_built_in_overlay_sets_values_of_takes_none_of_them() {
    // overlays/prod speaks of vault-runtime; the fleet's own has other values.
    let fleet = Fleet::of(&[]);
    fleet.write("clusters/a/cluster.yaml", &cluster_yaml("a", "sno"));
    fleet.write("templates/platform/vault-runtime/component.yaml", "replaces: builtin\nnamespace: lab\n");
    fleet.write("templates/platform/vault-runtime/values.yaml", "mine: 1\n");
    fleet.write(
        "templates/platform/vault-runtime/one.yaml",
        &MAP.replace("a: b", "keys: {{ values | list | join(\",\") }}"),
    );
    let out = fleet.beside("out");
    fleet.call(&["render"], &["--out", &out.display().to_string()]).run().exits(0);
    let text = std::fs::read_to_string(out.join("sno/a/platform/vault-runtime/configmap-notes.yaml"))
        .expect("object");
    assert!(text.contains("keys: mine\n"), "{text}");
}

#[test]
fn what_was_selected_and_is_not_there_is_said() {
    let fleet = Fleet::of(&["harbor"]);
    fleet
        .validate(&["--cluster", "harbr"])
        .exits(2)
        .says("--cluster harbr: the fleet has no such one")
        .says("did you mean `harbor`?");
    fleet.validate(&["--env", "lba"]).exits(2).says("--env lba");
    fleet.validate(&["--organization", "nobody"]).exits(2).says("--organization nobody");
}

#[test]
fn a_branch_that_is_a_commit_or_a_tag_is_warned_of_and_held() {
    for reference in ["refs/tags/v1", "0123456789abcdef0123456789abcdef01234567"] {
        let fleet = Fleet::of(&["b"]);
        let file = cluster_yaml("a", "lab").replace("repo_ref: main", &format!("repo_ref: {reference:?}"));
        fleet.write("clusters/a/cluster.yaml", &file);
        fleet
            .validate(&[])
            .exits(0)
            .says("warning: clusters/a/cluster.yaml:1:1: gitops.repo_ref: a run will hold this cluster");
        fleet.run(&["--branch", "main"]).exits(5).says("nothing can be delivered there").shows("lab/b");
    }
}
