//! Every trap of the input, with its own message, place and mend; and that the others go on.

use crate::common::{project, write_files};
use crate::support::fleet::{Fleet, cluster_yaml};
use crate::support::measure::watch;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// What a folder of `fixtures/fleets/invalid` must give: a line each of `exit CODE`,
/// `args ARGUMENTS`, `run CODE` (of a run with a healthy cluster beside it), and any number of
/// `says PHRASE` for stderr.
struct Expected {
    exit: i32,
    run: Option<i32>,
    args: Vec<String>,
    says: Vec<String>,
}

impl Expected {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("expected"))
            .unwrap_or_else(|e| panic!("{} needs a file `expected`: {e}", folder.display()));
        let mut expected = Self { exit: 2, run: None, args: Vec::new(), says: Vec::new() };
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} in {folder:?}"));
            match word {
                "exit" => expected.exit = rest.parse().expect("a code"),
                "run" => expected.run = Some(rest.parse().expect("a code")),
                "args" => expected.args = rest.split(' ').map(str::to_owned).collect(),
                "says" => expected.says.push(rest.to_owned()),
                _ => panic!("unknown word {word:?} in {folder:?}"),
            }
        }
        assert!(!expected.says.is_empty(), "{folder:?} expects no words");
        expected
    }

    fn args(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }
}

fn cases() -> Vec<std::path::PathBuf> {
    let root = project("fixtures/fleets/invalid");
    let mut cases: Vec<_> =
        std::fs::read_dir(root).expect("fixtures").map(|e| e.expect("entry").path()).collect();
    cases.sort();
    assert!(cases.len() > 80, "the fixtures are gone");
    cases
}

/// Fails with every case that failed, not the first.
#[track_caller]
fn all_pass(check: impl Fn(&Path, &Expected) -> Result<(), String>) {
    let failed: Vec<String> = cases()
        .iter()
        .filter_map(|case| {
            check(case, &Expected::read(case)).err().map(|why| format!("{}: {why}", case.display()))
        })
        .collect();
    assert!(failed.is_empty(), "{} case(s) failed:\n{}", failed.len(), failed.join("\n\n"));
}

#[test]
fn every_invalid_fleet_says_what_is_wrong_and_how_to_mend_it() {
    all_pass(|case, expected| {
        let ran = Fleet::copy_of(case).validate(&expected.args());
        let missing: Vec<&String> =
            expected.says.iter().filter(|s| !ran.stderr.contains(s.as_str())).collect();
        if ran.code == expected.exit && missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "exit {} instead of {}, does not say {missing:#?}; it says\n{}",
            ran.code, expected.exit, ran.stderr
        ))
    });
}

#[test]
fn an_invalid_fleet_stops_nothing_beside_it_and_is_never_written() {
    all_pass(|case, expected| {
        let Some(code) = expected.run else { return Ok(()) };
        let fleet = Fleet::copy_of(case);
        fleet.write("clusters/neighbour/cluster.yaml", &cluster_yaml("neighbour", "calm"));
        fleet.write("overlays/calm/values.yaml", "{}\n");
        let ran = fleet.run(&expected.args());
        if ran.code != code {
            return Err(format!("run exits {} instead of {code}:\n{}{}", ran.code, ran.stdout, ran.stderr));
        }
        let delivered = ran.stdout.contains("calm/neighbour") && ran.stdout.contains(" added");
        match code {
            5 if !delivered => Err(format!("the neighbour was not delivered:\n{}", ran.stdout)),
            2 if fleet.repo().join("refs/heads/main").exists() => Err("a commit was made".to_owned()),
            2 | 5 => Ok(()),
            other => Err(format!("nobody wrote down what exit {other} means here")),
        }
    });
}

#[test]
fn each_valid_sample_fleet_is_valid() {
    for sample in std::fs::read_dir(project("fixtures/fleets/valid")).expect("fixtures") {
        let sample = sample.expect("entry").path();
        let ran = Fleet::copy_of(&sample).validate(&[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", sample.display());
    }
}

#[test]
fn a_pipe_is_refused_and_never_waited_for() {
    let fleet = Fleet::of(&["a", "b"]);
    fleet.remove("clusters/b/cluster.yaml");
    let pipe = fleet.path().join("clusters/b/cluster.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let cost = watch(&["validate", "--fleet", &fleet.path().display().to_string()], Duration::from_secs(20));
    assert_eq!(cost.code, Some(2), "{}", cost.stderr);
    assert!(
        cost.stderr.contains("clusters/b/cluster.yaml: this is a pipe, socket or device, not a file"),
        "{}",
        cost.stderr
    );
    fleet.run(&[]).exits(5).shows("lab/a");
}

#[test]
fn a_file_of_a_gigabyte_is_refused_unread() {
    let fleet = Fleet::of(&["a"]);
    let file = std::fs::File::create(fleet.path().join("clusters/a/values.yaml")).expect("file");
    file.set_len(1 << 30).expect("sparse");
    let cost = watch(&["validate", "--fleet", &fleet.path().display().to_string()], Duration::from_secs(20));
    assert_eq!(cost.code, Some(2), "{}", cost.stderr);
    assert!(
        cost.stderr.contains("clusters/a/values.yaml: the file is larger than the 4194304 bytes allowed"),
        "{}",
        cost.stderr
    );
    assert!(cost.peak < 128 << 20, "it took {} bytes", cost.peak);
}

#[test]
fn hostile_files_end_soon_and_in_little_memory() {
    for name in ["alias-bomb", "quadratic-aliases", "hundred-thousand-brackets"] {
        let folder = project("fixtures/fleets/invalid").join(name);
        let cost = watch(&["validate", "--fleet", &folder.display().to_string()], Duration::from_secs(20));
        assert_eq!(cost.code, Some(2), "{name}: {}", cost.stderr);
        assert!(cost.time < Duration::from_secs(2), "{name} took {:?}", cost.time);
        assert!(cost.peak < 256 << 20, "{name} took {} bytes", cost.peak);
    }
}

#[test]
fn a_link_out_of_the_fleet_is_refused_and_what_it_names_is_not_shown() {
    let fleet = Fleet::of(&["a", "b"]);
    let outside = fleet.beside("outside.yaml");
    std::fs::write(&outside, "name: stolen\nenv: canary-in-a-file-outside\n").expect("file");
    fleet.remove("clusters/b/cluster.yaml");
    std::os::unix::fs::symlink(&outside, fleet.path().join("clusters/b/cluster.yaml")).expect("link");
    let ran =
        fleet.validate(&["-vv"]).exits(2).says("clusters/b/cluster.yaml: this link leads out of the fleet");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("canary"), "{}", ran.stderr);
}

#[test]
fn a_whole_folder_that_is_a_link_out_of_the_fleet_is_refused() {
    for folder in ["clusters", "overlays", "templates", "bindings"] {
        let fleet = Fleet::of(&["a"]);
        let outside = fleet.beside("outside");
        let name = fleet.path().join(folder);
        match name.exists() {
            true => std::fs::rename(&name, &outside).expect("moved"),
            false => std::fs::create_dir(&outside).expect("folder"),
        }
        std::os::unix::fs::symlink(&outside, &name).expect("link");
        fleet.validate(&[]).exits(2).says(&format!("{folder}: this link leads out of the fleet"));
    }
}

#[test]
fn a_link_inside_the_fleet_is_followed_as_config_map_mounts_have_them() {
    let fleet = Fleet::of(&[]);
    fleet.write("..data/cluster.yaml", &cluster_yaml("a", "lab"));
    std::fs::create_dir_all(fleet.path().join("clusters/a")).expect("folder");
    std::os::unix::fs::symlink("../../..data/cluster.yaml", fleet.path().join("clusters/a/cluster.yaml"))
        .expect("link");
    fleet.validate(&[]).exits(0).shows("1 cluster(s)");
}

#[test]
fn a_circle_of_links_is_an_error_and_no_endless_walk() {
    let fleet = Fleet::of(&["a"]);
    std::os::unix::fs::symlink("..", fleet.path().join("clusters/a/up")).expect("link");
    std::os::unix::fs::symlink("self", fleet.path().join("clusters/self")).expect("link");
    fleet
        .validate(&[])
        .exits(2)
        .says("clusters/a/up: this link leads to no file")
        .says("clusters/self: this link cannot be followed");
}

#[test]
fn folders_without_end_are_an_error() {
    let fleet = Fleet::of(&["a"]);
    let deep = format!("clusters/{}cluster.yaml", "d/".repeat(40));
    write_files(&fleet.path(), &[(&deep, &cluster_yaml("deep", "lab"))]);
    fleet.validate(&[]).exits(2).says("folders nest deeper than 16 levels");
}

#[test]
fn a_file_name_that_is_not_utf_8_is_an_error() {
    let fleet = Fleet::of(&["a"]);
    let name = std::ffi::OsStr::from_bytes(b"b\xff");
    std::fs::create_dir_all(fleet.path().join("clusters").join(name)).expect("folder");
    fleet.validate(&[]).exits(2).says("the file name is not UTF-8");
}

#[test]
fn a_folder_of_another_name_is_a_warning_and_no_more() {
    let fleet = Fleet::of(&[]);
    fleet.write("clusters/quay/cluster.yaml", &cluster_yaml("harbor", "lab"));
    fleet
        .validate(&[])
        .exits(0)
        .says("warning: clusters/quay/cluster.yaml:1:7: name: the folder is called `quay`, the cluster `harbor`")
        .shows("1 cluster(s)");
}

#[test]
fn what_starts_with_an_underscore_or_a_dot_is_skipped() {
    let fleet = Fleet::of(&["a"]);
    for folder in ["_example/b", ".hidden", "a/_old"] {
        fleet.write(&format!("clusters/{folder}/cluster.yaml"), "name: [broken\n");
    }
    let ran = fleet.validate(&[]).exits(0).shows("1 cluster(s)");
    assert_eq!(ran.stderr, "");
}

#[test]
fn several_documents_of_one_file_are_several_clusters_with_one_values_file() {
    let fleet = Fleet::of(&[]);
    let both = format!("{}---\n{}---\n# nothing more\n", cluster_yaml("a", "lab"), cluster_yaml("b", "lab"));
    fleet.write("clusters/a/cluster.yaml", &both);
    fleet.write("clusters/a/values.yaml", "global:\n  appNamespace: shared\n");
    fleet.validate(&[]).exits(0).shows("2 cluster(s)");
    let explained = fleet.call(&["explain", "values"], &["global.appNamespace"]).run().exits(0);
    assert_eq!(explained.stdout.matches("clusters/a/values.yaml:2:3").count(), 2, "{}", explained.stdout);
}

#[test]
fn a_cluster_folder_with_an_odd_name_keeps_its_values() {
    let fleet = Fleet::of(&[]);
    fleet.write("clusters/cluster.yaml.d/a/cluster.yaml", &cluster_yaml("a", "lab"));
    fleet.write("clusters/cluster.yaml.d/a/values.yaml", "global:\n  appNamespace: mine\n");
    fleet.call(&["explain", "values"], &["global.appNamespace"]).run().exits(0).shows("\"mine\"");
}

#[test]
fn all_problems_of_a_run_are_said_at_once() {
    let fleet = Fleet::of(&["a"]);
    fleet.write(
        "clusters/b/cluster.yaml",
        &cluster_yaml("b", "lab").replace("repo_ref: main", "repo_ref: 4.20"),
    );
    fleet.write("clusters/c/cluster.yaml", "name: c\nname: d\n");
    fleet.write("clusters/a/values.yaml", "globl: {}\n");
    fleet.write("overlays/dark/values.yaml", "globl: {}\n");
    fleet.write("clusters/d/cluster.yaml", &cluster_yaml("d", "dark"));
    fleet
        .validate(&[])
        .exits(2)
        .says("clusters/b/cluster.yaml:9:13: gitops.repo_ref: expected a string, found a number")
        .says("clusters/c/cluster.yaml:2:1: the key `name` stands twice; the first is on line 1")
        .says("clusters/a/values.yaml:1:1: globl: nothing reads this value")
        .says("overlays/dark/values.yaml:1:1: globl: nothing reads this value")
        .says("hint: did you mean `global`?");
}

#[test]
fn platforms_without_a_cloud_need_no_cloud_fields_but_may_have_them() {
    for platform in ["crc", "kind", "none"] {
        let fleet = Fleet::of(&[]);
        let file = cluster_yaml("a", "lab").replace("type: none", &format!("type: {platform}"));
        fleet.write("clusters/a/cluster.yaml", &file);
        fleet.validate(&[]).exits(0);
        let more = file.replace("dns:\n", "  account_id: \"111122223333\"\ndns:\n");
        fleet.write("clusters/a/cluster.yaml", &more);
        fleet.validate(&[]).exits(0);
        // What is given must still be right.
        fleet.write("clusters/a/cluster.yaml", &more.replace("\"111122223333\"", "\"1111\""));
        fleet.validate(&[]).exits(2).says("platform.account_id: `1111` does not match");
    }
}

#[test]
fn a_fleet_that_is_not_there_names_the_flag() {
    let fleet = Fleet::of(&["a"]);
    let gone = fleet.beside("nowhere").display().to_string();
    let ran = crate::common::hydrant(&["validate", "--fleet", &gone]).run().exits(2);
    ran.says("cannot be read").says("hint: give the folder that holds clusters/ with --fleet");
}

#[test]
fn control_characters_of_an_input_never_reach_the_terminal() {
    let fleet = Fleet::of(&["a"]);
    fleet.write("clusters/a/values.yaml", "\"\\e[31mred\\e[0m\\a\": 1\n");
    let ran = fleet.validate(&[]).exits(2);
    let odd = |c: char| c.is_control() && c != '\n';
    assert!(!ran.stderr.contains(odd), "{:?}", ran.stderr);
    // Hints and causes too: the near miss of a key may come from a file.
    fleet.write("clusters/a/values.yaml", "{}\n");
    fleet.write("hydrant.yaml", "\"fle\\u001bet\": x\n");
    let ran = fleet.validate(&[]).exits(2);
    assert!(!ran.stderr.contains(odd), "{:?}", ran.stderr);
}

#[test]
fn an_overlays_folder_that_cannot_be_read_holds_its_clusters() {
    let fleet = Fleet::of(&["a"]);
    fleet.write("clusters/b/cluster.yaml", &cluster_yaml("b", "sno"));
    let outside = fleet.beside("values.yaml");
    std::fs::write(&outside, "{}\n").expect("file");
    fleet.remove("overlays/lab/values.yaml");
    std::os::unix::fs::symlink(&outside, fleet.path().join("overlays/lab/values.yaml")).expect("link");
    fleet.validate(&[]).exits(2).says("overlays/lab/values.yaml: this link leads out of the fleet");
    // The other environment goes on.
    fleet.run(&[]).exits(5).shows("sno/b");
}
