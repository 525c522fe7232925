//! Where a run delivers: one commit a destination, branches of an environment's own, and places
//! that the last cluster has left.

use crate::support::fleet::{Fleet, cluster_yaml};
use crate::support::git::{git, person_commits};

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: b\n")
}

/// Two clusters of two environments that deliver to branches of one repository on this machine.
fn two_branches() -> Fleet {
    let fleet = Fleet::of(&["a"]);
    fleet.write("overlays/edge/values.yaml", "{}\n");
    fleet.write("clusters/b/cluster.yaml", &cluster_yaml("b", "edge"));
    fleet.component("notes", &map("m"));
    fleet.write("hydrant.yaml", "environments:\n  edge: {branch: edge}\n");
    fleet
}

#[test]
fn an_environment_has_a_branch_of_its_own_and_each_destination_one_commit() {
    let fleet = two_branches();
    fleet.run(&["--create-branch"]).exits(0);
    assert_eq!(fleet.git(&["ls-tree", "--name-only", "main"]), "lab");
    assert_eq!(fleet.git(&["ls-tree", "--name-only", "edge"]), "edge");
    fleet.component("more", &map("x"));
    let before = [fleet.git(&["rev-list", "--count", "main"]), fleet.git(&["rev-list", "--count", "edge"])];
    fleet.run(&[]).exits(0);
    let after = [fleet.git(&["rev-list", "--count", "main"]), fleet.git(&["rev-list", "--count", "edge"])];
    let number = |text: &String| text.parse::<u32>().expect("a number");
    assert_eq!(before.each_ref().map(|n| number(n) + 1), after.each_ref().map(number));
    let app = fleet.git(&["show", "edge:edge/b/bootstrap/root-app.yaml"]);
    assert!(app.contains("targetRevision: edge"), "{app}");
}

#[test]
fn a_branch_that_the_last_cluster_left_is_judged_where_it_is_listed() {
    let fleet = two_branches();
    fleet.run(&["--create-branch"]).exits(0);
    fleet.remove("clusters/b");
    // Nobody delivers to `edge` any more, so nobody looks there.
    fleet.run(&[]).exits(0);
    let list = |more: &str| {
        fleet.write(
            "hydrant.yaml",
            &format!("environments:\n  edge: {{branch: edge}}\ndestinations:\n  - {{repo: {}, branch: edge}}\n{more}", fleet.repo().display()),
        );
    };
    list("");
    fleet
        .run(&[])
        .exits(4)
        .says("the cluster edge/b left the fleet, and its folder `edge/b` would be deleted");
    fleet.run(&["--cluster", "a"]).exits(0);
    list("allowDelete: [cluster/edge/b]\n");
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.git(&["ls-tree", "-r", "--name-only", "edge"]), "");
    let head = fleet.git(&["rev-parse", "edge"]);
    fleet.run(&[]).exits(0);
    assert_eq!(fleet.git(&["rev-parse", "edge"]), head);
    // What others have there stays theirs.
    person_commits(&fleet.repo(), "edge", &[("edge/c/x.yaml", Some("theirs\n"))], "theirs");
    fleet.run(&[]).exits(0);
    assert_eq!(git(&fleet.repo(), &["show", "edge:edge/c/x.yaml"]), "theirs");
}

#[test]
fn an_environment_with_merge_requests_and_no_cluster_needs_no_forge() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", &map("m"));
    fleet.write("hydrant.yaml", "environments:\n  prod: {deliver: merge-request}\n");
    // An empty repository first, then one with commits.
    fleet.run(&[]).exits(0);
    fleet.component("notes", &map("other"));
    fleet.run(&[]).exits(0).shows("committed");
}
