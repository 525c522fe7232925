//! A fleet that lies in a repository, and which of two of its commits is newer.

use crate::common::{Ran, hydrant, project};
use crate::support::fleet::{Fleet, cluster_yaml};
use crate::support::git::{git, person_commits};
use crate::support::server::GitServer;
use hydrant::edge::git::{Ancestry, GitSettings, Remote, Repository, ancestry};
use std::path::Path;

/// Commits one cluster of the environment `lab` into `dry/` of a repository.
fn commit_cluster(repo: &Path, name: &str) -> String {
    let file = format!("dry/clusters/{name}/cluster.yaml");
    let files = [("dry/overlays/lab/values.yaml", Some("{}\n")), (&file, Some(&cluster_yaml(name, "lab")))];
    person_commits(repo, "main", &files, &format!("add {name}"))
}

fn run(fleet: &str, repo: &Path, cache: &Path) -> Ran {
    let (repo, cache) = (repo.display().to_string(), cache.display().to_string());
    hydrant(&["run", "--once", "--fleet", fleet, "--repo", &repo, "--cache", &cache]).run()
}

fn trailer(repo: &Path) -> String {
    git(repo, &["log", "-1", "--format=%(trailers:key=Hydrant-Source-Commit,valueonly,separator=)", "main"])
}

#[test]
fn a_fleet_is_read_from_a_branch_a_tag_or_a_commit_of_a_server_or_a_path() {
    let server = GitServer::start();
    let old = commit_cluster(&server.repo, "a");
    git(&server.repo, &["-c", "user.name=A", "-c", "user.email=a@b", "tag", "-a", "v1", "-m", "v1", "main"]);
    git(&server.repo, &["tag", "light", "main"]);
    let new = commit_cluster(&server.repo, "b");
    for remote in [server.url(), format!("file://{}", server.repo.display())] {
        for (revision, commit, clusters) in [
            ("?ref=main", &new, 2),
            ("", &new, 2),
            ("?ref=v1", &old, 1),
            ("?ref=light", &old, 1),
            (&format!("?ref={old}"), &old, 1),
        ] {
            let to = tempfile::tempdir().unwrap();
            let repo = to.path().join("gitops.git");
            run(&format!("{remote}//dry{revision}"), &repo, &to.path().join("cache")).exits(0);
            assert_eq!(trailer(&repo), *commit, "{remote} {revision}");
            let files = git(&repo, &["ls-tree", "-r", "--name-only", "main"]);
            let marks = files.lines().filter(|path| path.ends_with("/.hydrant")).count();
            assert_eq!(marks, clusters, "{remote} {revision}: {files}");
        }
    }
}

#[test]
fn a_fleet_gives_the_same_files_from_a_repository_as_from_a_folder() {
    let fleet = Fleet::copy_of(&project("fixtures/fleets/quickstart"));
    git(&fleet.path(), &["init", "-q", "-b", "main"]);
    git(&fleet.path(), &["add", "-A"]);
    git(&fleet.path(), &["commit", "-qm", "the fleet"]);
    fleet.run(&[]).exits(0);
    let other = fleet.beside("other.git");
    run(&format!("file://{}", fleet.path().display()), &other, &fleet.beside("cache")).exits(0);
    assert_eq!(git(&other, &["rev-parse", "main^{tree}"]), fleet.tree());
}

#[test]
fn validate_and_explain_read_a_fleet_from_a_repository_too() {
    let server = GitServer::start();
    commit_cluster(&server.repo, "a");
    let fleet = format!("{}//dry", server.url());
    hydrant(&["validate", "--fleet", &fleet]).run().exits(0);
    hydrant(&["explain", "values", "--cluster", "a", "--fleet", &fleet]).run().exits(0);
}

#[test]
fn a_revision_or_a_folder_that_is_not_there_is_named_and_nothing_is_delivered() {
    let server = GitServer::start();
    commit_cluster(&server.repo, "a");
    let temp = tempfile::tempdir().unwrap();
    let repo = temp.path().join("gitops.git");
    for (fleet, said) in [
        ("//dry?ref=nope", "has no branch, tag or commit `nope`"),
        ("//wet", "has no folder `wet`"),
        ("//dry?rev=main", "did you mean `ref`?"),
        ("//../dry", "is no folder of a repository"),
    ] {
        run(&format!("{}{fleet}", server.url()), &repo, temp.path()).exits(2).says(said);
        assert!(!repo.exists());
    }
}

#[test]
fn a_fleet_that_cannot_be_reached_deletes_nothing() {
    let server = GitServer::start();
    commit_cluster(&server.repo, "a");
    let temp = tempfile::tempdir().unwrap();
    let repo = temp.path().join("gitops.git");
    run(&format!("{}//dry", server.url()), &repo, temp.path()).exits(0);
    let before = git(&repo, &["rev-parse", "main"]);
    commit_cluster(&server.repo, "b");
    server.demand("reader", "changed");
    run(&format!("{}//dry", server.url()), &repo, temp.path()).exits(3);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run(&format!("http://{nobody}/gitops.git//dry"), &repo, temp.path()).exits(3);
    assert_eq!(git(&repo, &["rev-parse", "main"]), before);
}

#[test]
fn the_credentials_of_the_fleet_are_its_own_or_those_of_git() {
    let server = GitServer::start();
    commit_cluster(&server.repo, "a");
    server.demand("reader", "canary-fleet");
    let fleet = format!("{}//dry", server.url());
    let call = || hydrant(&["validate", "--fleet", &fleet]);
    call().run().exits(3);
    let ran =
        call().env("HYDRANT_FLEET_USERNAME", "reader").env("HYDRANT_FLEET_PASSWORD", "canary-fleet").run();
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    ran.exits(0);
    call().env("HYDRANT_GIT_USERNAME", "reader").env("HYDRANT_GIT_PASSWORD", "canary-fleet").run().exits(0);
    call().env("HYDRANT_FLEET_USERNAME", "reader").run().exits(2).says("HYDRANT_FLEET_PASSWORD is not");
}

#[test]
fn links_of_a_fleet_in_a_repository_are_followed_inside_the_fleet_only() {
    let server = GitServer::start();
    commit_cluster(&server.repo, "a");
    let temp = tempfile::tempdir().unwrap();
    git(temp.path(), &["clone", "-q", &server.repo.display().to_string(), "w"]);
    let work = temp.path().join("w");
    std::fs::create_dir_all(work.join("dry/clusters/b")).unwrap();
    std::fs::write(work.join("dry/clusters/b/real.txt"), cluster_yaml("b", "lab")).unwrap();
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, work.join(at)).unwrap();
    link("real.txt", "dry/clusters/b/cluster.yaml");
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "a link inside"]);
    git(&work, &["push", "-q"]);
    let fleet = format!("{}//dry", server.url());
    hydrant(&["explain", "values", "--cluster", "b", "--fleet", &fleet]).run().exits(0);
    std::fs::create_dir_all(work.join("dry/bindings")).unwrap();
    std::fs::write(work.join("outside.yaml"), "x: 1\n").unwrap();
    link("../../outside.yaml", "dry/bindings/out.yaml");
    link("/etc/hostname", "dry/bindings/root.yaml");
    link("self.yaml", "dry/bindings/self.yaml");
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "links that lead out"]);
    git(&work, &["push", "-q"]);
    let ran = hydrant(&["validate", "--fleet", &fleet]).run().exits(2);
    ran.says("this link leads out of the fleet").says("this link leads from link to link");
}

#[test]
fn a_slow_job_with_an_older_commit_of_a_fleet_on_a_server_leaves_the_newer_delivery_alone() {
    let server = GitServer::start();
    let old = commit_cluster(&server.repo, "a");
    for n in 0..70 {
        person_commits(&server.repo, "main", &[("notes", Some(&n.to_string()))], "more history");
    }
    let new = commit_cluster(&server.repo, "b");
    let temp = tempfile::tempdir().unwrap();
    let repo = temp.path().join("gitops.git");
    let at = |commit: &str| format!("{}//dry?ref={commit}", server.url());
    run(&at(&new), &repo, &temp.path().join("one")).exits(0);
    // Another machine: its mirror has nothing.
    let ran = run(&at(&old), &repo, &temp.path().join("two")).says("left alone: the branch has what");
    assert_eq!(trailer(&repo), new, "{ran:?}");
    let settings = GitSettings::default();
    let mut fleet = Repository::open(&Remote::parse(&server.url()).unwrap(), &settings).unwrap();
    assert_eq!(fleet.compare(&new, &old).unwrap(), Ancestry::Newer);
    assert_eq!(fleet.compare(&old, &old).unwrap(), Ancestry::Same);
    assert_eq!(fleet.compare(&old, &"1".repeat(40)).unwrap(), Ancestry::Unknown);
}

#[test]
fn an_older_source_commit_is_told_from_a_newer_and_an_unknown_one() {
    let temp = tempfile::tempdir().unwrap();
    git(temp.path(), &["init", "-q", "-b", "main", "fleet"]);
    let fleet = temp.path().join("fleet");
    let commit = |message: &str| {
        git(&fleet, &["commit", "-q", "--allow-empty", "-m", message]);
        git(&fleet, &["rev-parse", "HEAD"])
    };
    let first = commit("first");
    let second = commit("second");
    git(&fleet, &["checkout", "-q", "-b", "side", &first]);
    let side = commit("side");
    assert_eq!(ancestry(&fleet, &first, &first), Ancestry::Same);
    assert_eq!(ancestry(&fleet, &first, &second), Ancestry::Older);
    assert_eq!(ancestry(&fleet, &second, &first), Ancestry::Newer);
    assert_eq!(ancestry(&fleet, &side, &second), Ancestry::Apart);
    assert_eq!(ancestry(&fleet, &"1".repeat(40), &second), Ancestry::Unknown);
    assert_eq!(ancestry(temp.path(), &first, &second), Ancestry::Unknown);
    // A shallow checkout, as CI makes it, cannot tell.
    git(&fleet, &["checkout", "-q", "main"]);
    git(temp.path(), &["clone", "-q", "--depth", "1", &format!("file://{}", fleet.display()), "shallow"]);
    assert_eq!(ancestry(&temp.path().join("shallow"), &first, &second), Ancestry::Unknown);
}
