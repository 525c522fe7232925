//! From a fleet to a commit and back: what is written, what is kept, what is refused.

use crate::common::write_files;
use crate::support::fleet::{Fleet, cluster_yaml};
use crate::support::git::person_commits;
use serde_json::Value;

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: b\n")
}

/// A delivered fleet of two clusters with one component of many objects.
fn delivered() -> Fleet {
    let fleet = Fleet::of(&["a", "b"]);
    let all: Vec<String> = (0..30).map(|i| map(&format!("m{i}"))).collect();
    fleet.component("notes", &all.join("---\n"));
    fleet.run(&[]).exits(0);
    fleet
}

#[test]
fn a_second_run_makes_no_commit() {
    let fleet = delivered();
    let head = fleet.git(&["rev-parse", "main"]);
    fleet.run(&[]).exits(0).shows("lab/a  no change").shows("nothing to commit");
    assert_eq!(fleet.git(&["rev-parse", "main"]), head);
    fleet.render(&["--exit-code"]).exits(0);
}

#[test]
fn only_what_changed_is_touched_and_the_trailers_say_where_it_came_from() {
    let fleet = delivered();
    let before = fleet.git(&["rev-parse", "main:lab/b", "main:lab/a/bootstrap"]);
    fleet.write("clusters/a/values.yaml", "global:\n  platforms: linux/arm64\n");
    fleet.component("only-a", &map("x"));
    fleet.write(
        "templates/platform/only-a/component.yaml",
        "namespace: lab\nenabled: cluster.name == \"a\"\n",
    );
    fleet.run(&[]).exits(0).shows("lab/a  3 added, 1 changed");
    assert_eq!(fleet.git(&["rev-parse", "main:lab/b", "main:lab/a/bootstrap"]), before);
    let message = fleet.git(&["log", "-1", "--format=%B"]);
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[0].split(": ").take(2).collect::<Vec<_>>(), ["hydrant", "lab/a"]);
    for trailer in ["Hydrant-Fleet: default", "Hydrant-Inputs: ", "Hydrant-Version: "] {
        assert!(lines.iter().any(|l| l.starts_with(trailer)), "no {trailer} in\n{message}");
    }
    let parsed = fleet.git(&["log", "-1", "--format=%(trailers:key=Hydrant-Fleet,valueonly)"]);
    assert_eq!(parsed.trim(), "default");
}

#[test]
fn a_held_cluster_keeps_its_files_and_the_other_is_delivered() {
    let fleet = delivered();
    let before = fleet.git(&["rev-parse", "main:lab/a"]);
    fleet.write("clusters/a/values.yaml", "globl: {}\n");
    fleet.component("more", &map("more"));
    fleet.run(&[]).exits(5).says("held: cluster lab/a keeps what the branch has");
    assert_eq!(fleet.git(&["rev-parse", "main:lab/a"]), before);
    assert_eq!(fleet.files("lab/b/platform/more").len(), 2);
}

#[test]
fn a_cluster_file_that_cannot_be_read_never_deletes_its_cluster() {
    let broken = [
        "clusters/b/cluster.yaml: name: [",
        "clusters/b/cluster.yaml: ",
        "clusters/b/cluster.yaml: name: b\nname: b\n",
        "clusters/b/cluster.yaml: {name: 5}",
    ];
    for text in broken {
        let fleet = delivered();
        let tree = fleet.tree();
        let (path, content) = text.split_once(": ").expect("a path");
        fleet.write(path, content);
        // Even a person's word for it does not count while nobody knows who the file is about.
        let ran = fleet.run(&["--allow-delete", "cluster/lab/b"]);
        assert_eq!(ran.code, 5, "{content:?}: {}", ran.stderr);
        assert_eq!(fleet.tree(), tree, "{content:?}");
    }
    let fleet = delivered();
    let tree = fleet.tree();
    fleet.remove("clusters/b");
    std::os::unix::fs::symlink("/nonexistent", fleet.path().join("clusters/b.b")).expect("link");
    fleet.run(&["--allow-delete", "cluster/lab/b"]).exits(5);
    assert_eq!(fleet.tree(), tree, "a folder that cannot be read");
}

#[test]
fn a_departed_cluster_goes_only_by_a_persons_word() {
    let fleet = delivered();
    fleet.remove("clusters/b");
    let tree = fleet.tree();
    fleet.run(&[]).exits(4).says("the cluster lab/b left the fleet").says("--allow-delete cluster/lab/b");
    assert_eq!(fleet.tree(), tree);
    fleet.run(&["--cluster", "a"]).exits(0);
    fleet.write("hydrant.yaml", "allowDelete: [cluster/lab/b]\n");
    fleet.run(&[]).exits(0);
    assert!(fleet.files("lab/b").is_empty());
    assert!(!fleet.files("lab/a").is_empty());
    let moved = delivered();
    moved.write("clusters/b/cluster.yaml", &cluster_yaml("b", "local"));
    moved.run(&[]).exits(4).says("--allow-delete cluster/lab/b");
}

#[test]
fn every_form_of_the_deletion_budget_holds_until_it_is_named() {
    // Many objects at once.
    let fleet = delivered();
    fleet.component("notes", &map("m0"));
    let tree = fleet.tree();
    fleet.run(&["--cluster", "a"]).exits(4).says("29 of the ").says("--allow-delete objects/lab/a");
    assert_eq!(fleet.tree(), tree);
    fleet.run(&["--cluster", "a", "--allow-delete", "objects/lab/a"]).exits(0);
    assert_eq!(fleet.files("lab/a/platform/notes").len(), 2);
    assert_eq!(fleet.files("lab/b/platform/notes").len(), 31);
    // The same word in the settings.
    fleet.write("hydrant.yaml", "allowDelete: [objects/lab/b]\n");
    fleet.run(&[]).exits(0);
    // An Application that would take with it what it applied.
    fleet.remove("templates/platform/notes");
    fleet.run(&["--cluster", "a"]).exits(4).says("--allow-delete application/lab/a/notes-lab");
    fleet.run(&["--cluster", "a", "--allow-delete", "application/lab/a/notes-lab"]).exits(0);
    assert!(fleet.files("lab/a/apps/platform/notes.yaml").is_empty());
    // One that is renamed is one that goes.
    fleet.write("clusters/a/values.yaml", "argocd:\n  applicationName:\n    component: \"{component}-x\"\n");
    fleet.run(&["--cluster", "a"]).exits(4).says("--allow-delete application/lab/a/argocd-project-lab");
    // A namespace.
    fleet.write("clusters/a/values.yaml", "global:\n  appNamespace: other\n");
    fleet.run(&["--cluster", "a"]).exits(4).says("--allow-delete namespace/applications");
    fleet.run(&["--cluster", "a", "--allow-delete", "namespace/applications"]).exits(0);
}

#[test]
fn an_orphaned_application_may_go_and_a_file_may_move() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", &map("m"));
    fleet.write("templates/platform/notes/component.yaml", "namespace: lab\nonRemove: orphan\n");
    fleet.run(&[]).exits(0);
    fleet.remove("templates/platform/notes");
    fleet.run(&[]).exits(0);
    assert!(fleet.files("lab/a/platform").is_empty());
}

#[test]
fn a_folder_without_our_mark_is_refused_until_it_is_given() {
    let fleet = Fleet::of(&["a", "b"]);
    fleet.component("notes", &map("m"));
    fleet.write("clusters/b/cluster.yaml", &cluster_yaml("b", "lab"));
    crate::support::git::bare(&fleet.repo());
    person_commits(
        &fleet.repo(),
        "main",
        &[("lab/a/theirs.yaml", Some("a: b\n")), ("README.md", Some("hi\n"))],
        "first",
    );
    fleet
        .run(&[])
        .exits(4)
        .says("the folder `lab/a` exists and bears no mark of Hydrant")
        .says("--adopt lab/a")
        .shows("lab/b");
    assert_eq!(fleet.files("lab/a"), ["lab/a/theirs.yaml"]);
    let ran = fleet.run(&["--adopt", "lab/a"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(fleet.files("lab/a").contains(&"lab/a/.hydrant".to_owned()));
    assert_eq!(fleet.git(&["show", "main:README.md"]), "hi");
}

#[test]
fn a_mark_of_a_later_form_is_left_as_it_is_and_not_given_by_adopt() {
    let fleet = delivered();
    let mark = fleet
        .git(&["show", "main:lab/a/.hydrant"])
        .replace("\"schema\": 1", "\"schema\": 2,\n  \"sealed\": true");
    person_commits(&fleet.repo(), "main", &[("lab/a/.hydrant", Some(&mark))], "a later Hydrant");
    fleet.component("notes", &map("other"));
    for adopt in [&[][..], &["--adopt", "lab/a"]] {
        fleet
            .run(adopt)
            .exits(4)
            .says("the mark of the folder `lab/a` has form 2, and this Hydrant")
            .says("use at least that version here too");
    }
    assert_eq!(fleet.git(&["show", "main:lab/a/.hydrant"]), mark.trim_end());
}

#[test]
fn two_fleets_share_a_repository_and_leave_each_other_alone() {
    let fleet = Fleet::of(&["a"]);
    fleet.write("hydrant.yaml", "fleet: north\n");
    fleet.run(&[]).exits(0);
    let other = Fleet::of(&["c"]);
    other.write("hydrant.yaml", "fleet: south\n");
    let repo = fleet.repo().display().to_string();
    other.call(&["run"], &["--once", "--repo", &repo]).run().exits(0);
    assert!(!fleet.files("lab/a").is_empty() && !fleet.files("lab/c").is_empty());
    fleet.run(&[]).exits(0).shows("nothing to commit");
    // One folder for both is refused.
    other.write("clusters/a/cluster.yaml", &cluster_yaml("a", "lab"));
    let ran = other.call(&["run"], &["--once", "--repo", &repo]).run().exits(4);
    ran.says("the folder `lab/a` bears the mark of the fleet `north` for lab/a");
}

#[test]
fn a_selection_leaves_the_rest_alone() {
    let fleet = delivered();
    fleet.write("clusters/c/cluster.yaml", &cluster_yaml("c", "sno"));
    fleet.component("more", &map("more"));
    let b = fleet.git(&["rev-parse", "main:lab/b"]);
    fleet.run(&["--cluster", "a"]).exits(0);
    assert_eq!(fleet.git(&["rev-parse", "main:lab/b"]), b);
    assert!(fleet.files("sno").is_empty());
    fleet.run(&["--env", "sno"]).exits(0);
    assert_eq!(fleet.git(&["rev-parse", "main:lab/b"]), b);
    assert!(!fleet.files("sno/c").is_empty());
    // What is broken outside of the selection is nobody's business in this run.
    fleet.write("clusters/b/values.yaml", "globl: {}\n");
    fleet.write("clusters/a/values.yaml", "global:\n  appNamespace: applications\n");
    fleet.run(&["--cluster", "a"]).exits(0);
}

#[test]
fn out_takes_an_empty_folder_or_our_own_and_nothing_else() {
    let fleet = delivered();
    let out = fleet.beside("out");
    let path = out.display().to_string();
    std::fs::create_dir(&out).expect("folder");
    std::fs::write(out.join("mine.txt"), "mine").expect("file");
    let write = || fleet.call(&["render"], &["--out", &path]).run();
    write().exits(4).says("is neither empty nor bears marks of Hydrant");
    std::fs::remove_file(out.join("mine.txt")).expect("removed");
    write().exits(0);
    let bytes = std::fs::read(out.join("lab/a/platform/notes/configmap-m3.yaml")).expect("file");
    assert_eq!(
        String::from_utf8(bytes).expect("text").trim_end(),
        fleet.git(&["show", "main:lab/a/platform/notes/configmap-m3.yaml"])
    );
    write().exits(0).shows("0 file(s) written or removed");
}

/// A folder that counts as ours is a folder that files are deleted from.
#[test]
fn out_takes_no_folder_whose_mark_is_none_of_a_clusters_own() {
    let fleet = delivered();
    let mark = fleet.git(&["show", "main:lab/a/.hydrant"]);
    for (n, (place, text)) in [
        (".hydrant", mark.as_str()),
        ("a/.hydrant", &mark),
        ("sno/a/.hydrant", &mark),
        ("lab/other/.hydrant", &mark),
        ("lab/a/.hydrant", ""),
        ("lab/a/.hydrant", "{}"),
        ("lab/a/.hydrant", "mine"),
        (".git/lab/a/.hydrant", &mark),
    ]
    .into_iter()
    .enumerate()
    {
        let out = fleet.beside(&format!("out{n}"));
        write_files(&out, &[(place, text), ("mine.txt", "mine")]);
        let path = out.display().to_string();
        let ran = fleet.call(&["render"], &["--out", &path]).run();
        ran.exits(4).says("is neither empty nor bears marks of Hydrant");
        assert_eq!(std::fs::read_to_string(out.join("mine.txt")).expect("still there"), "mine");
    }
    let out = fleet.beside("out-with-a-link");
    write_files(&out, &[("mine.txt", "mine"), ("lab/a/mine.txt", "mine"), ("kept/mark", &mark)]);
    std::os::unix::fs::symlink(out.join("kept/mark"), out.join("lab/a/.hydrant")).expect("link");
    fleet.call(&["render"], &["--out", &out.display().to_string()]).run().exits(4);
    let ours = fleet.beside("ours");
    write_files(&ours, &[("deep/path/lab/a/.hydrant", &mark)]);
    fleet.call(&["render"], &["--out", &ours.display().to_string(), "--path", "deep/path"]).run().exits(0);
}

#[test]
fn a_dry_run_shows_the_difference_in_three_forms_and_writes_nothing() {
    let fleet = delivered();
    let all: Vec<String> = (0..29).map(|i| map(&format!("m{i}"))).collect();
    fleet.component("notes", &all.join("---\n").replacen("a: b", "a: c", 1));
    let head = fleet.git(&["rev-parse", "main"]);
    let ran = fleet.render(&["--dry-run", "--cluster", "a"]).exits(0);
    for line in
        ["--- a/lab/a/platform/notes/configmap-m0.yaml", "-  a: b", "+  a: c", "+++ /dev/null", "# lab/a: "]
    {
        assert!(ran.stdout.contains(line), "no {line:?} in\n{}", ran.stdout);
    }
    let ran = fleet.render(&["--format", "names", "--cluster", "a"]).exits(0);
    let names: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        names,
        [
            "lab/a/platform/notes/configmap-m0.yaml",
            "lab/a/platform/notes/configmap-m29.yaml",
            "lab/a/platform/notes/kustomization.yaml"
        ]
    );
    let ran = fleet.render(&["--format", "json", "--exit-code"]).exits(1);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(report["exit"], 1);
    assert_eq!(report["clusters"][0]["status"], "differs");
    assert_eq!(fleet.git(&["rev-parse", "main"]), head);
}

#[test]
fn the_worst_thing_that_happened_gives_the_exit_code_and_the_report_has_it_all() {
    let fleet = delivered();
    let report = fleet.beside("report.json");
    let path = report.display().to_string();
    let read =
        || -> Value { serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON") };
    fleet.run(&["--report", &path]).exits(0);
    assert_eq!(
        (&read()["exit"], &read()["clusters"][1]["status"]),
        (&Value::from(0), &Value::from("unchanged"))
    );
    // One held: 5; for a command that only looks: 2.
    fleet.write("clusters/a/values.yaml", "globl: {}\n");
    fleet.run(&["--report", &path]).exits(5);
    let held = &read()["held"][0];
    assert_eq!(held["domain"], "cluster lab/a");
    assert_eq!(held["why"][0]["at"], "clusters/a/values.yaml:1:1");
    assert_eq!(held["why"][0]["hint"], "did you mean `global`?");
    fleet.render(&["--exit-code"]).exits(2);
    // All held: 2.
    fleet.write("clusters/b/values.yaml", "globl: {}\n");
    fleet.run(&["--report", &path]).exits(2);
    // A guard beats what is held.
    fleet.write("clusters/b/values.yaml", "{}\n");
    fleet.write("clusters/c/cluster.yaml", &cluster_yaml("c", "lab"));
    fleet.component("secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n");
    fleet.write(
        "templates/platform/secret/component.yaml",
        "namespace: lab\nenabled: cluster.name == \"c\"\n",
    );
    fleet.run(&["--report", &path]).exits(4).shows("lab/b");
    assert_eq!(read()["exit"], 4);
}

#[test]
fn an_output_folder_of_its_own_is_kept_to() {
    let fleet = Fleet::of(&["a"]);
    fleet.write("hydrant.yaml", "path: out/here\n");
    fleet.run(&[]).exits(0);
    assert!(fleet.files("").iter().all(|f| f.starts_with("out/here/lab/a/")));
    let app = fleet.git(&["show", "main:out/here/lab/a/bootstrap/root-app.yaml"]);
    assert!(app.contains("path: out/here/lab/a/apps\n"), "{app}");
    for wrong in ["../up", "/abs", "a//b", "."] {
        let ran = fleet.run(&["--path", wrong]);
        assert_eq!(ran.code, 2, "--path {wrong}: {}{}", ran.stdout, ran.stderr);
    }
}
