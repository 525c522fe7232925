//! Delivery by merge requests, through the built binary: a real Git server, and a forge that
//! speaks the three APIs.

use crate::argocd::background::Background;
use crate::common::Ran;
use crate::support::fleet::{Fleet, cluster_yaml};
use crate::support::forge::{ALL, Forge, How, Speaks, Trouble};
use crate::support::git::{git, many_commits, person_commits};
use crate::support::server::{GitServer, Recorder};
use serde_json::Value;

/// In no shape that the redactor knows.
const TOKEN: &str = "canary7b1e55ed0c0ffee4242";
const BRANCH: &str = "hydrant/lab";

struct Scene {
    fleet: Fleet,
    server: GitServer,
    forge: Forge,
}

fn map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: {value}\n")
}

impl Scene {
    /// A fleet of two clusters that proposes, a repository with a first commit, a forge.
    fn new(speaks: Speaks) -> Self {
        let fleet = Fleet::of(&["a", "b"]);
        let server = GitServer::start();
        std::os::unix::fs::symlink(server.temp.path(), server.temp.path().join("acme")).expect("a link");
        person_commits(&server.repo, "main", &[("README.md", Some("start\n"))], "start");
        let forge = Forge::start(speaks, &server.repo, TOKEN);
        let scene = Self { fleet, server, forge };
        scene.settings("");
        scene.component("one");
        scene
    }

    fn settings(&self, more: &str) {
        let (kind, api) = (self.forge.speaks.name(), self.forge.api());
        self.fleet.write(
            "hydrant.yaml",
            &format!("environments:\n  lab:\n    deliver: merge-request\n    forge: {kind}\n    forgeApi: {api}\n{more}"),
        );
    }

    fn component(&self, value: &str) {
        self.fleet.component("notes", &map("m", value));
    }

    fn run(&self, more: &[&str]) -> Ran {
        self.run_with("cache", more)
    }

    /// Runs with a cache of its own, as another agent has it.
    fn run_with(&self, cache: &str, more: &[&str]) -> Ran {
        let url = format!("http://{}/acme/gitops.git", self.server.address);
        let cache = self.fleet.beside(cache).display().to_string();
        let report = self.fleet.beside("report.json").display().to_string();
        let mut args = vec!["--once", "--repo", &url, "--cache", &cache, "--report", &report];
        args.extend(more);
        let ran = self.fleet.call(&["run"], &args).env("HYDRANT_FORGE_TOKEN", TOKEN).run();
        for said in [&ran.stdout, &ran.stderr, &std::fs::read_to_string(&report).unwrap_or_default()] {
            assert!(!said.contains(TOKEN), "the token is shown:\n{said}");
        }
        ran
    }

    /// Returns what the last report says of the merge request.
    fn told(&self) -> Value {
        let text = std::fs::read_to_string(self.fleet.beside("report.json")).expect("a report");
        serde_json::from_str::<Value>(&text).expect("JSON")["destinations"][0]["request"].clone()
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        git(&self.server.repo, args)
    }

    #[track_caller]
    fn shown(&self, branch: &str) -> String {
        self.git(&["show", &format!("{branch}:lab/a/platform/notes/configmap-m.yaml")])
    }

    fn heads(&self) -> String {
        self.git(&["for-each-ref"])
    }
}

#[test]
fn a_change_opens_one_request_and_the_next_run_changes_nothing() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        let main = scene.git(&["rev-parse", "main"]);
        scene.run(&[]).exits(0).shows("merge request opened: https://forge.example/acme/gitops/");
        let request = scene.forge.only();
        assert_eq!((request.source.as_str(), request.target.as_str()), (BRANCH, "main"));
        assert!(request.title.starts_with("hydrant: lab: 2 clusters: "), "{}", request.title);
        assert!(
            request.body.contains("- `lab/a`: ") && request.body.contains("into `main`"),
            "{}",
            request.body
        );
        assert_eq!(scene.git(&["rev-parse", "main"]), main);
        assert_eq!(scene.git(&["rev-parse", &format!("{BRANCH}^")]), main);
        assert_eq!(
            (scene.told()["state"].as_str(), scene.told()["number"].as_u64()),
            (Some("opened"), Some(1))
        );
        assert!(scene.told()["url"].as_str().is_some_and(|url| url.ends_with("/1")));
        let (heads, _) = (scene.heads(), scene.forge.writes());
        for cache in ["cache", "empty"] {
            scene.run_with(cache, &[]).exits(0).shows("merge request waits");
            assert_eq!((scene.heads(), scene.forge.writes()), (heads.clone(), 0), "{speaks:?}");
        }
        assert_eq!(scene.told()["state"], "open");
    }
}

#[test]
fn another_change_updates_the_open_request_and_the_branch_moves_forward() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        scene.run(&[]).exits(0);
        let (first, body) = (scene.git(&["rev-parse", BRANCH]), scene.forge.only().body);
        scene.component("two");
        scene.run(&[]).exits(0).shows("merge request updated");
        assert_eq!(scene.git(&["rev-parse", &format!("{BRANCH}^1")]), first);
        assert_eq!(scene.git(&["rev-parse", &format!("{BRANCH}^2")]), scene.git(&["rev-parse", "main"]));
        assert_ne!(scene.forge.only().body, body);
        assert!(scene.shown(BRANCH).contains("a: two"));
    }
}

/// Returns the message that GitHub gives a squash: the messages of the commits, then its own lines.
fn quoting(scene: &Scene) -> String {
    let said = scene.git(&["log", "-1", "--format=%B", BRANCH]);
    format!("All of it (#2)\n\n* {said}\n\n---------\n\nCo-authored-by: Bob <bob@example.com>")
}

#[test]
fn after_a_merge_a_squash_or_a_rebase_the_next_change_starts_from_the_target() {
    const PLAIN: &str = "All of it (#2)";
    for (how, deleted, cache) in [
        ("merge", false, "empty"),
        ("merge", true, "empty"),
        ("squash", false, "cache"),
        ("squash", false, "empty"),
        ("squash", true, "cache"),
        ("squash", true, "empty"),
        ("quote", true, "empty"),
        ("rebase", false, "cache"),
        ("rebase", true, "empty"),
    ] {
        let scene = Scene::new(Speaks::GitLab);
        scene.run(&[]).exits(0);
        scene.forge.merge(1, &How::Merge);
        scene.forge.delete_branch(BRANCH);
        scene.component("two");
        scene.run(&[]).exits(0);
        let landed = match how {
            "merge" => scene.forge.merge(2, &How::Merge),
            "squash" => scene.forge.merge(2, &How::Squash(PLAIN.into())),
            "quote" => scene.forge.merge(2, &How::Squash(quoting(&scene))),
            _ => scene.forge.merge(2, &How::Rebase),
        };
        if deleted {
            scene.forge.delete_branch(BRANCH);
        }
        person_commits(&scene.server.repo, "main", &[("README.md", Some("later\n"))], "later");
        let quiet = scene.run_with(cache, &[]).exits(0).shows("nothing to propose");
        assert!(!quiet.stderr.contains("by hand"), "{how} {deleted} {cache}: {}", quiet.stderr);
        scene.component("three");
        if (how, deleted, cache) == ("squash", true, "empty") {
            // A squash without a trace of us, its branch deleted, before an agent that remembers
            // nothing: it cannot be told from an edit by hand once the fleet moved on.
            scene.run_with(cache, &["--drift", "fail"]).exits(4).says("by hand");
            scene.run_with(cache, &[]).exits(0);
        } else {
            scene.run_with(cache, &["--drift", "fail"]).exits(0);
        }
        assert_eq!(scene.forge.requests().len(), 3, "{how} {deleted} {cache}");
        assert_eq!(scene.git(&["merge-base", "main", BRANCH]), scene.git(&["rev-parse", "main"]));
        scene.git(&["merge-base", "--is-ancestor", &landed, BRANCH]);
        assert!(scene.shown(BRANCH).contains("a: three"));
        assert_eq!(scene.git(&["show", &format!("{BRANCH}:README.md")]), "later");
    }
}

/// Returns how many commits a cache has of the repository.
fn commits_in(cache: &std::path::Path) -> usize {
    let mirror = std::fs::read_dir(cache.join("git/git")).expect("a mirror").flatten().next().expect("one");
    let all = git(&mirror.path(), &["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]);
    all.lines().filter(|kind| *kind == "commit").count()
}

#[test]
fn a_new_agent_reads_a_request_whose_target_moved_on_without_all_of_its_history() {
    let scene = Scene::new(Speaks::GitHub);
    many_commits(&scene.server.repo, "main", 150);
    scene.run(&[]).exits(0);
    scene.forge.merge(1, &How::Merge);
    for value in ["two", "three", "four"] {
        scene.component(value);
        scene.run(&[]).exits(0);
    }
    person_commits(&scene.server.repo, "main", &[("README.md", Some("later\n"))], "later");
    let head = scene.git(&["rev-parse", BRANCH]);
    scene.run_with("empty", &[]).exits(0).shows("merge request waits");
    assert_eq!(scene.git(&["rev-parse", BRANCH]), head);
    let read = commits_in(&scene.fleet.beside("empty"));
    assert!(read < 100, "{read} of {} commits", scene.git(&["rev-list", "--count", "--all"]));
    // It knows the request by then, also when the forge has deleted the branch and what was on it.
    scene.forge.merge(2, &How::Squash("All of it".into()));
    scene.forge.delete_branch(BRANCH);
    scene.git(&["reflog", "expire", "--expire=now", "--all"]);
    scene.git(&["gc", "-q", "--prune=now"]);
    let quiet = scene.run_with("empty", &["--drift", "fail"]).exits(0).shows("nothing to propose");
    assert!(!quiet.stderr.contains("by hand"), "{}", quiet.stderr);
    scene.component("five");
    scene.run_with("empty", &[]).exits(0).shows("merge request opened");
}

#[test]
fn an_edit_by_hand_that_is_squashed_together_with_our_words_is_still_told() {
    let scene = Scene::new(Speaks::GitHub);
    scene.run(&[]).exits(0);
    scene.forge.merge(1, &How::Merge);
    scene.component("two");
    scene.run(&[]).exits(0);
    let message = quoting(&scene);
    person_commits(
        &scene.server.repo,
        BRANCH,
        &[("lab/a/platform/notes/configmap-m.yaml", Some("mine: true\n"))],
        "mine",
    );
    scene.forge.merge(2, &How::Squash(message));
    scene.forge.delete_branch(BRANCH);
    scene
        .run_with("empty", &[])
        .exits(0)
        .says("configmap-m.yaml")
        .says("by hand by Ann")
        .shows("merge request opened");
    assert!(scene.shown(BRANCH).contains("a: two"));
}

#[test]
fn a_closed_request_is_not_opened_again_until_the_change_is_another() {
    for speaks in ALL {
        for deleted in [false, true] {
            let scene = Scene::new(speaks);
            scene.run(&[]).exits(0);
            scene.forge.close(1);
            if deleted {
                scene.forge.delete_branch(BRANCH);
            }
            let (heads, _) = (scene.heads(), scene.forge.writes());
            for cache in ["cache", "empty"] {
                scene
                    .run_with(cache, &[])
                    .exits(5)
                    .says("was closed without a merge: its change is not proposed again")
                    .shows("merge request closed by a person");
                assert_eq!((scene.heads(), scene.forge.writes()), (heads.clone(), 0));
            }
            assert_eq!(scene.told()["state"], "closed");
            scene.component("two");
            scene.run(&[]).exits(0).shows("merge request opened");
            assert_eq!(scene.forge.requests().len(), 2);
        }
    }
}

#[test]
fn a_commit_of_somebody_else_on_the_branch_is_never_overwritten() {
    let scene = Scene::new(Speaks::GitHub);
    scene.run(&[]).exits(0);
    let theirs =
        person_commits(&scene.server.repo, BRANCH, &[("lab/a/extra.yaml", Some("x\n"))], "one more thing");
    scene.component("two");
    for cache in ["cache", "empty"] {
        scene
            .run_with(cache, &[])
            .exits(5)
            .says("somebody else works on `hydrant/lab` by Ann <ann@example.com>")
            .says("one more thing");
        assert_eq!(scene.git(&["rev-parse", BRANCH]), theirs);
    }
    assert_eq!(scene.told()["state"], "foreign");
    // Merged with what they added: theirs is an edit by hand then, and told as one.
    scene.forge.merge(1, &How::Merge);
    scene.run(&[]).exits(0).says("extra.yaml").says("by hand by Ann").shows("merge request opened");
    assert!(scene.shown(BRANCH).contains("a: two"));
}

#[test]
fn an_amended_proposal_is_somebody_elses() {
    let scene = Scene::new(Speaks::GitHub);
    scene.run(&[]).exits(0);
    let temp = tempfile::tempdir().expect("a folder");
    git(temp.path(), &["clone", "-q", "-b", BRANCH, &scene.server.repo.display().to_string(), "work"]);
    let work = temp.path().join("work");
    std::fs::write(work.join("lab/a/platform/notes/configmap-m.yaml"), "mine: true\n").expect("a file");
    git(&work, &["commit", "-qa", "--amend", "--no-edit"]);
    git(&work, &["push", "-qf", "origin", BRANCH]);
    let theirs = scene.git(&["rev-parse", BRANCH]);
    scene.component("two");
    scene.run(&[]).exits(5).says("somebody else works on");
    assert_eq!(scene.git(&["rev-parse", BRANCH]), theirs);
}

#[test]
fn the_forges_own_update_of_the_branch_is_nobodys_work() {
    let scene = Scene::new(Speaks::GitHub);
    scene.run(&[]).exits(0);
    person_commits(&scene.server.repo, "main", &[("README.md", Some("later\n"))], "later");
    // The button "Update branch": the target is merged into it.
    let temp = tempfile::tempdir().expect("a folder");
    git(temp.path(), &["clone", "-q", "-b", BRANCH, &scene.server.repo.display().to_string(), "work"]);
    let work = temp.path().join("work");
    git(&work, &["merge", "-q", "-m", "Merge main", "origin/main"]);
    git(&work, &["push", "-q", "origin", BRANCH]);
    let merged = scene.git(&["rev-parse", BRANCH]);
    scene.run(&[]).exits(0).shows("merge request waits");
    scene.component("two");
    scene.run(&[]).exits(0).shows("merge request updated");
    assert_eq!(scene.git(&["rev-parse", &format!("{BRANCH}^1")]), merged);
}

#[test]
fn a_target_that_moved_elsewhere_changes_nothing_and_one_that_moved_below_is_merged_in() {
    let scene = Scene::new(Speaks::Gitea);
    scene.run(&[]).exits(0);
    scene.forge.merge(1, &How::Merge);
    scene.component("two");
    scene.run(&[]).exits(0);
    let head = scene.git(&["rev-parse", BRANCH]);
    person_commits(&scene.server.repo, "main", &[("README.md", Some("later\n"))], "later");
    scene.run(&[]).exits(0).shows("merge request waits");
    assert_eq!(scene.git(&["rev-parse", BRANCH]), head);
    let file = "lab/a/platform/notes/configmap-m.yaml";
    person_commits(&scene.server.repo, "main", &[(file, Some("by: hand\n"))], "a quick fix");
    scene.run(&[]).exits(0).says("by hand").shows("merge request updated");
    assert!(scene.shown(BRANCH).contains("a: two"));
    scene.forge.merge(2, &How::Merge);
    assert!(scene.shown("main").contains("a: two"));
    scene.run(&[]).exits(0).shows("nothing to propose");
}

#[test]
fn a_revert_of_the_merge_is_a_rollback_and_is_honoured() {
    for how in [How::Merge, How::Squash("All of it".into())] {
        let scene = Scene::new(Speaks::GitHub);
        scene.run(&[]).exits(0);
        scene.forge.merge(1, &How::Merge);
        scene.component("two");
        scene.run(&[]).exits(0);
        let landed = scene.forge.merge(2, &how);
        let temp = tempfile::tempdir().expect("a folder");
        git(temp.path(), &["clone", "-q", &scene.server.repo.display().to_string(), "work"]);
        let work = temp.path().join("work");
        let main: &[&str] = if matches!(how, How::Merge) { &["-m", "1"] } else { &[] };
        git(&work, &[&["revert", "--no-edit"], main, &[&landed]].concat());
        git(&work, &["push", "-q", "origin", "main"]);
        scene.run(&[]).exits(5).says("a rollback is honoured by Ann").shows("merge request opened");
        assert!(scene.shown(BRANCH).contains("a: one"), "{}", scene.shown(BRANCH));
        assert!(scene.git(&["show", &format!("{BRANCH}:lab/a/.hydrant")]).contains("\"held\""));
        scene.run_with("empty", &[]).exits(5).shows("merge request waits");
        // A third content ends it.
        scene.component("three");
        scene.run(&[]).exits(0).shows("merge request updated");
    }
}

#[test]
fn a_change_that_is_taken_back_closes_the_request_and_can_come_again() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        scene.run(&[]).exits(0);
        scene.forge.merge(1, &How::Merge);
        scene.component("two");
        scene.run(&[]).exits(0);
        scene.component("one");
        scene.run(&[]).exits(0).shows("merge request closed: nothing is left to change");
        let request = scene.forge.requests()[1].clone();
        assert!(!request.open && !request.merged && request.comments.len() == 1, "{request:?}");
        scene.run(&[]).exits(0).shows("nothing to propose");
        scene.component("two");
        scene.run(&[]).exits(0).shows("merge request opened");
    }
}

#[test]
fn a_forge_that_is_down_after_the_push_gets_the_request_from_the_next_run() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        let post = if speaks == Speaks::GitLab { "POST /api/v4/projects" } else { "POST" };
        for _ in 0..3 {
            scene.forge.trouble(post, Trouble::Says(502, vec![], "<html>bad gateway</html>".into()));
        }
        scene
            .run(&[])
            .exits(3)
            .says("the merge request was not opened")
            .says("is on the branch `hydrant/lab` already");
        assert!(scene.shown(BRANCH).contains("a: one") && scene.forge.requests().is_empty());
        let head = scene.git(&["rev-parse", BRANCH]);
        for _ in 0..2 {
            scene.forge.trouble(post, Trouble::Says(502, vec![], String::new()));
        }
        scene.run(&[]).exits(3);
        scene.forge.down(true);
        scene.run(&[]).exits(3).says("its merge requests were not read");
        scene.forge.down(false);
        let mut tries = 0;
        while scene.forge.requests().is_empty() && tries < 5 {
            scene.run(&[]);
            tries += 1;
        }
        scene.forge.only();
        assert_eq!(scene.git(&["rev-parse", BRANCH]), head);
    }
}

#[test]
fn a_request_whose_answer_is_lost_is_found_and_not_opened_twice() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        scene.forge.trouble("POST", Trouble::DoneAndCut);
        scene.run(&[]).exits(0).shows("merge request opened");
        scene.forge.only();
    }
}

#[test]
fn refusals_of_the_forge_are_said_in_words_with_the_rights_that_are_needed() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        scene.forge.hide();
        scene
            .run(&[])
            .exits(3)
            .says("the token may not see it (404)")
            .says("whether the token is valid and has");
        let scene = Scene::new(speaks);
        scene.forge.trouble("GET", Trouble::Says(401, vec![], format!("{{\"message\": \"no {TOKEN}\"}}")));
        scene.run(&[]).exits(3).says("the token is refused (401): no [REDACTED]");
        scene.forge.trouble("GET", Trouble::Says(429, vec!["Retry-After: 1".into()], String::new()));
        scene.forge.trouble("GET", Trouble::Says(403, vec!["Retry-After: 0".into()], String::new()));
        scene.run(&[]).exits(0).shows("merge request opened");
        // A limit on many requests comes as 403 with a time to wait, which may be a moment.
        let scene = Scene::new(speaks);
        let moment = ["Date: Mon, 02 Mar 2026 09:00:00 GMT", "Retry-After: Mon, 02 Mar 2026 09:00:01 GMT"];
        scene.forge.trouble("GET", Trouble::Says(403, moment.map(str::to_owned).to_vec(), String::new()));
        scene.run(&[]).exits(0).shows("merge request opened");
        let scene = Scene::new(speaks);
        scene.forge.trouble("GET", Trouble::Body("<html>log in</html>".into()));
        scene.run(&[]).exits(3).says("a login page, perhaps");
        assert_eq!(scene.heads().lines().count(), 1, "nothing is pushed");
    }
}

#[test]
fn the_token_never_follows_a_redirect() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        let elsewhere = Recorder::start();
        for status in [301, 302, 307, 308] {
            let to = format!("Location: http://{}/api/v3/repos/acme/gitops/pulls", elsewhere.address);
            scene.forge.trouble("GET", Trouble::Says(status, vec![to], String::new()));
            scene.run(&[]).exits(3).says("a token never follows there");
        }
        assert_eq!(elsewhere.got(), "");
    }
}

#[test]
fn the_token_is_for_the_host_it_is_bound_to() {
    let scene = Scene::new(Speaks::GitHub);
    let url = format!("http://{}/acme/gitops.git", scene.server.address);
    let ran = scene
        .fleet
        .call(&["run"], &["--once", "--repo", &url])
        .env("GITHUB_TOKEN", TOKEN)
        .env("HYDRANT_FORGE_HOST", "api.github.com")
        .run();
    ran.exits(2).says("the forge's token is for api.github.com, and the merge requests are on 127.0.0.1");
    assert!(scene.forge.headers().is_empty());
    let file = scene.fleet.beside("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("a file");
    scene.fleet.call(&["run"], &["--once", "--repo", &url]).env("GITHUB_TOKEN_FILE", &file).run().exits(0);
    scene.forge.only();
    let none = Scene::new(Speaks::GitLab);
    let url = format!("http://{}/acme/gitops.git", none.server.address);
    none.fleet
        .call(&["run"], &["--once", "--repo", &url])
        .env("GITHUB_TOKEN", TOKEN)
        .run()
        .exits(3)
        .says("there is no token for the merge requests on 127.0.0.1")
        .says("GITLAB_TOKEN_FILE");
}

#[test]
fn a_strangers_request_from_a_fork_is_not_ours() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        scene.forge.fork(BRANCH, "main");
        scene.run(&[]).exits(0).shows("merge request opened");
        assert_eq!(scene.forge.requests().len(), 2);
        assert_eq!(scene.forge.requests()[0].title, "mine");
    }
}

#[test]
fn a_busy_forges_list_is_read_page_by_page() {
    let scene = Scene::new(Speaks::Gitea);
    scene.run(&[]).exits(0);
    for n in 0..45 {
        scene.forge.fork(&format!("topic-{n}"), "main");
    }
    scene.forge.writes();
    scene.run(&[]).exits(0).shows("merge request waits");
    assert_eq!(scene.forge.writes(), 0);
}

#[test]
fn two_agents_at_once_make_one_branch_and_one_request() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        std::thread::scope(|scope| {
            let agents: Vec<_> = ["x", "y", "z"]
                .map(|cache| {
                    let scene = &scene;
                    scope.spawn(move || {
                        scene
                            .fleet
                            .call(
                                &["run"],
                                &[
                                    "--once",
                                    "--repo",
                                    &format!("http://{}/acme/gitops.git", scene.server.address),
                                    "--cache",
                                    &scene.fleet.beside(cache).display().to_string(),
                                ],
                            )
                            .env("HYDRANT_FORGE_TOKEN", TOKEN)
                            .run()
                    })
                })
                .into_iter()
                .collect();
            for agent in agents {
                agent.join().expect("an agent").exits(0);
            }
        });
        let request = scene.forge.only();
        assert!(request.open);
        assert_eq!(scene.git(&["rev-list", "--count", &format!("main..{BRANCH}")]), "1");
    }
}

#[test]
fn a_run_about_one_cluster_keeps_what_is_proposed_for_the_others() {
    let scene = Scene::new(Speaks::GitLab);
    scene.run(&[]).exits(0);
    scene.component("two");
    scene.run(&["--cluster", "a"]).exits(0).shows("merge request updated");
    assert!(scene.shown(BRANCH).contains("a: two"));
    let other = scene.git(&["show", &format!("{BRANCH}:lab/b/platform/notes/configmap-m.yaml")]);
    assert!(other.contains("a: one"), "{other}");
    scene.run(&["--cluster", "a"]).exits(0).shows("merge request waits");
    let body = scene.forge.only().body;
    assert!(body.contains("`lab/a`") && body.contains("`lab/b`"), "{body}");
}

#[test]
fn what_breaks_for_a_moment_takes_nothing_out_of_the_request() {
    let scene = Scene::new(Speaks::GitHub);
    scene.run(&[]).exits(0);
    let head = scene.git(&["rev-parse", BRANCH]);
    scene.fleet.write("clusters/a/values.yaml", "globl: {}\n");
    scene.run(&[]).exits(5);
    assert_eq!(scene.git(&["rev-parse", BRANCH]), head);
    assert!(scene.forge.only().open);
}

#[test]
fn a_deletion_that_was_allowed_once_stays_in_the_request() {
    let scene = Scene::new(Speaks::GitHub);
    scene.run(&[]).exits(0);
    scene.forge.merge(1, &How::Merge);
    scene.fleet.remove("clusters/b");
    scene.run(&[]).exits(4).says("left the fleet");
    assert_eq!(scene.forge.requests().len(), 1);
    scene.run(&["--allow-delete", "cluster/lab/b"]).exits(0).shows("merge request opened");
    let request = scene.forge.requests()[1].clone();
    assert!(request.title.contains("deleted") && request.body.contains("Files deleted"), "{}", request.body);
    let head = scene.git(&["rev-parse", BRANCH]);
    for cache in ["cache", "empty"] {
        scene.run_with(cache, &[]).exits(0).shows("merge request waits");
    }
    assert_eq!(scene.git(&["rev-parse", BRANCH]), head);
    // Refused by a person: it is not allowed any more.
    scene.forge.close(2);
    scene.run(&[]).exits(4).says("left the fleet");
}

#[test]
fn an_older_fleet_never_takes_back_what_a_newer_one_proposes() {
    let scene = Scene::new(Speaks::GitHub);
    let fleet = scene.fleet.path();
    git(&fleet, &["init", "-q", "-b", "main"]);
    let commit = |message: &str| {
        git(&fleet, &["add", "."]);
        git(&fleet, &["commit", "-qm", message]);
    };
    commit("one");
    scene.component("two");
    commit("two");
    scene.run(&[]).exits(0);
    let head = scene.git(&["rev-parse", BRANCH]);
    git(&fleet, &["checkout", "-q", "HEAD~1"]);
    scene.run(&[]).exits(0).says("left alone: the open merge request has what");
    assert_eq!(scene.git(&["rev-parse", BRANCH]), head);
    assert!(scene.forge.only().body.contains("Source commit `"));
}

#[test]
fn a_push_and_requests_of_two_environments_share_one_branch() {
    let scene = Scene::new(Speaks::GitHub);
    let (api, kind) = (scene.forge.api(), "github");
    for env in ["stage", "dev"] {
        scene.fleet.write(&format!("overlays/{env}/values.yaml"), "{}\n");
        scene.fleet.write(&format!("clusters/{env}-1/cluster.yaml"), &cluster_yaml(&format!("{env}-1"), env));
    }
    scene
        .settings(&format!("  stage:\n    deliver: merge-request\n    forge: {kind}\n    forgeApi: {api}\n"));
    scene.run(&[]).exits(0).shows("committed");
    let all = scene.forge.requests();
    assert_eq!(all.iter().map(|r| r.source.as_str()).collect::<Vec<_>>(), [BRANCH, "hydrant/stage"]);
    assert_eq!(scene.git(&["ls-tree", "--name-only", "main"]), "README.md\ndev");
    // One is merged; somebody edits the other's folder before it is; the push does not hide that.
    scene.forge.merge(2, &How::Merge);
    scene.run(&[]).exits(0);
    let file = "stage/stage-1/platform/notes/configmap-m.yaml";
    person_commits(&scene.server.repo, "main", &[(file, Some("by: hand\n"))], "a quick fix");
    scene.component("two");
    scene.run(&["--env", "dev"]).exits(0).shows("committed");
    let edited = scene.git(&["show", &format!("main:{file}")]);
    assert_eq!(edited, "by: hand");
    scene.run(&[]).exits(0).says("a quick fix").shows("merge request opened");
    assert!(scene.git(&["show", &format!("hydrant/stage:{file}")]).contains("a: two"));
}

#[test]
fn an_edit_before_the_last_environment_goes_back_to_pushes_is_still_told() {
    let scene = Scene::new(Speaks::GitHub);
    scene.fleet.write("overlays/dev/values.yaml", "{}\n");
    scene.fleet.write("clusters/dev-1/cluster.yaml", &cluster_yaml("dev-1", "dev"));
    scene.run(&[]).exits(0).shows("merge request opened");
    scene.forge.merge(1, &How::Merge);
    scene.run(&[]).exits(0);
    let file = "lab/a/platform/notes/configmap-m.yaml";
    person_commits(&scene.server.repo, "main", &[(file, Some("by: hand\n"))], "a quick fix");
    // A push about the other environment comes on top of it.
    scene.component("two");
    scene.run(&["--env", "dev"]).exits(0).shows("committed");
    assert_eq!(scene.git(&["show", &format!("main:{file}")]), "by: hand");
    scene.fleet.write("hydrant.yaml", "{}\n");
    for cache in ["empty", "cache"] {
        scene.run_with(cache, &["--drift", "fail"]).exits(4).says("a quick fix");
    }
    scene.run(&[]).exits(0).says("a quick fix").says("it is put back").shows("committed");
    assert!(scene.shown("main").contains("a: two"));
    // Said once: the next commit of ours is about all environments.
    let ran = scene.run(&["--drift", "fail"]).exits(0);
    assert!(!ran.stderr.contains("a quick fix"), "{}", ran.stderr);
}

#[test]
fn a_proposal_has_its_note_and_a_run_without_changes_adds_none() {
    let scene = Scene::new(Speaks::GitLab);
    scene.run(&[]).exits(0).shows("merge request opened");
    let note = |commit: &str| -> Value {
        serde_json::from_str(&scene.git(&["notes", "--ref=hydrant", "show", commit])).expect("a record")
    };
    let first = note(BRANCH);
    assert_eq!(first["schema"], 1);
    assert_eq!(first["destination"]["branch"], "main");
    assert_eq!(first["destination"]["base"], scene.git(&["rev-parse", "main"]).as_str());
    assert!(first["clusters"]["lab/a"]["added"].as_u64() > Some(0), "{first}");
    let all = || scene.git(&["notes", "--ref=hydrant", "list"]).lines().count();
    assert_eq!(all(), 1);
    scene.run(&[]).exits(0).shows("merge request waits");
    assert_eq!(all(), 1);
    // The next proposal has a note of its own, and the first keeps its.
    scene.component("two");
    scene.run_with("another", &[]).exits(0).shows("merge request updated");
    assert_eq!(all(), 2);
    assert_eq!(note(BRANCH)["clusters"]["lab/a"]["added"], first["clusters"]["lab/a"]["added"]);
    assert_eq!(note(&format!("{BRANCH}^1")), first);
}

#[test]
fn a_server_that_refuses_the_note_of_a_proposal_takes_the_proposal_all_the_same() {
    let scene = Scene::new(Speaks::Gitea);
    scene
        .server
        .hook("update", "#!/bin/sh\ncase $1 in refs/notes/*) echo no notes here >&2; exit 1;; esac\n");
    scene.run(&[]).exits(0).shows("merge request opened").says("no notes here");
    assert!(scene.shown(BRANCH).contains("a: one"));
    assert_eq!(scene.git(&["for-each-ref", "refs/notes"]), "");
}

#[test]
fn a_forge_that_cannot_be_told_and_a_target_that_is_missing_are_said_with_the_mend() {
    let scene = Scene::new(Speaks::GitHub);
    scene.fleet.write("hydrant.yaml", "environments:\n  lab:\n    deliver: merge-request\n");
    scene
        .run(&[])
        .exits(2)
        .says("environments.lab.forge: what kind of forge 127.0.0.1 is cannot be told by its name")
        .says("set it to github, gitlab or gitea");
    let said = scene.fleet.validate(&[]).exits(0);
    assert!(
        said.stderr.contains("a run will hold this cluster: what kind of forge git.example.com is"),
        "{}",
        said.stderr
    );
    scene.settings("");
    scene.run(&["--branch", "release"]).exits(4).says("has no branch `release` to ask a merge into");
}

#[test]
fn a_huge_change_fits_the_forges_limit() {
    let scene = Scene::new(Speaks::GitHub);
    for n in 0..400 {
        scene.fleet.write(
            &format!("clusters/c{n}/cluster.yaml"),
            &cluster_yaml(&format!("{}{n}", "c".repeat(40)), "lab"),
        );
    }
    scene.run(&[]).exits(0).shows("merge request opened");
    let request = scene.forge.only();
    assert!(request.body.chars().count() <= 65_536 && request.title.len() <= 255);
    assert!(request.body.contains("and 202 more"), "{}", request.body);
}

#[test]
fn no_log_no_cache_and_no_other_server_holds_the_token() {
    let scene = Scene::new(Speaks::GitHub);
    let ran = scene.run(&["-vvv"]).exits(0);
    assert!(ran.stderr.contains("/pulls"), "the calls are logged: {}", ran.stderr);
    scene.forge.trouble("PATCH", Trouble::Says(500, vec![], TOKEN.to_owned()));
    scene.component("two");
    scene.run(&["-vvv"]).exits(0);
    let mut folders = vec![scene.fleet.beside("cache"), scene.server.repo.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                let bytes = std::fs::read(entry.path()).expect("a file");
                let found = bytes.windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes());
                assert!(!found, "{}", entry.path().display());
            }
        }
    }
    assert!(files > 10);
    for seen in scene.server.seen() {
        assert!(!seen.headers.iter().any(|h| h.contains(TOKEN)), "{seen:?}");
    }
    let told: String = scene.forge.requests().iter().map(|r| format!("{}{}", r.title, r.body)).collect();
    assert!(!told.contains(TOKEN));
    let carried: Vec<String> = scene.forge.headers().into_iter().filter(|h| h.contains(TOKEN)).collect();
    assert!(
        !carried.is_empty() && carried.iter().all(|h| h.starts_with("authorization: Bearer ")),
        "{carried:?}"
    );
}

#[test]
fn only_what_is_merged_is_synced_also_while_the_forge_is_down() {
    let scene = Scene::new(Speaks::GitHub);
    scene.fleet.remove("clusters/b");
    let argocd = Background::beside(&scene.server.repo, "main");
    let url = format!("http://{}/acme/gitops.git", scene.server.address);
    let cache = scene.fleet.beside("cache").display().to_string();
    let run = || {
        scene
            .fleet
            .call(&["run"], &["--once", "--repo", &url, "--cache", &cache])
            .env("HYDRANT_FORGE_TOKEN", TOKEN)
            .env("ARGOCD_API_URL", &argocd.url)
            .env("ARGOCD_API_TOKEN_FILE", &argocd.token_file)
            .run()
    };
    let opened = run().exits(0).shows("merge request opened");
    assert!(!opened.stdout.contains("notes-lab"), "{}", opened.stdout);
    let landed = scene.forge.merge(1, &How::Merge);
    scene.component("two");
    scene.forge.down(true);
    let caught_up = run().exits(3).says("its merge requests were not read").shows("notes-lab");
    assert!(caught_up.stdout.contains(&landed[..10]), "{}", caught_up.stdout);
    scene.forge.down(false);
    let waits = run().exits(0).shows("merge request opened");
    assert!(!waits.stdout.contains("notes-lab"), "nothing is owed: {}", waits.stdout);
}

#[test]
fn the_last_cluster_of_an_environment_leaves_by_a_request_too() {
    let scene = Scene::new(Speaks::Gitea);
    scene.fleet.write("overlays/dev/values.yaml", "{}\n");
    scene.fleet.write("clusters/dev-1/cluster.yaml", &cluster_yaml("dev-1", "dev"));
    scene.run(&[]).exits(0);
    scene.forge.merge(1, &How::Merge);
    scene.fleet.remove("clusters/a");
    scene.fleet.remove("clusters/b");
    let main = scene.git(&["rev-parse", "main"]);
    scene.run(&[]).exits(4).says("the cluster lab/a left the fleet");
    let allow = ["--allow-delete", "cluster/lab/a,cluster/lab/b"];
    scene.run(&allow).exits(0).shows("merge request opened");
    assert_eq!(scene.git(&["rev-parse", "main"]), main, "the push of dev does not delete it");
    let landed = scene.forge.merge(2, &How::Squash("gone".into()));
    assert_eq!(scene.git(&["ls-tree", "--name-only", &landed]), "README.md\ndev");
    scene.run(&[]).exits(0);
    assert_eq!(scene.forge.requests().len(), 2);
}

#[test]
fn what_a_team_wrote_reaches_the_description_without_its_power() {
    for speaks in ALL {
        let scene = Scene::new(speaks);
        let evil = "/approve @acme/owners Fixes #1 Closes !2 <img src=x> [a](http://evil.example) `x` GH-3";
        scene.fleet.write("clusters/a/values.yaml", &format!("'{evil}': {{}}\n"));
        scene.run(&[]).exits(5);
        let body = scene.forge.only().body;
        let line =
            body.lines().find(|l| l.starts_with("- `cluster lab/a`: ")).expect("the held cluster is named");
        assert!(body.contains("these keep what the target has"), "{body}");
        for power in ["@acme", "#1", "!2", "<img", "http://", "[a]", "GH-3"] {
            assert!(!body.contains(power), "{power} in {line}");
        }
        assert!(!body.lines().any(|l| l.trim_start().starts_with('/')), "{body}");
    }
}
