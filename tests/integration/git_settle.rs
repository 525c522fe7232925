//! Foreign commits are settled by Git alone: drift, rollback, and the end of a rollback.
//!
//! A small agent stands in for the rest of the line: it wants some units, honours what is
//! held and writes the rest, as `DESIGN.md` says.

use crate::support::git::{bare, delete, git, git_command, person_commits, put, who};
use crate::support::server::GitServer;
use hydrant::edge::git::{GitSettings, Ownership, Pushed, Remote, Repository, Settlements, settle_branch};
use hydrant::error::Result;
use hydrant::model::tree::{BaseTree, Edit, ObjectId};
use hydrant::stage::settle::{Held, Verdict, restore};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROOT: &str = "prod/c1";
const MARK: &str = "prod/c1/.hydrant";

/// `apps/<name>.yaml` is a unit of one file, `platform/<name>` one of a folder.
fn unit_of(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix("prod/c1/")?.split('/').collect();
    match parts.as_slice() {
        ["apps", _] => Some(path.to_owned()),
        ["platform", name, _, ..] => Some(format!("prod/c1/platform/{name}")),
        _ => None,
    }
}

fn held(tree: &dyn BaseTree) -> Result<Held> {
    let Some(mark) = tree.entry(MARK)? else { return Ok(Held::new()) };
    let json: serde_json::Value = serde_json::from_slice(&tree.blob(&mark.id)?).unwrap();
    let empty = serde_json::Map::new();
    Ok(json["held"]
        .as_object()
        .unwrap_or(&empty)
        .iter()
        .map(|(path, id)| (path.clone(), id.as_str().map(|id| id.parse().unwrap())))
        .collect())
}

fn mark(held: &Held) -> String {
    let held: BTreeMap<_, _> =
        held.iter().map(|(path, id)| (path, id.map(|id: ObjectId| id.to_string()))).collect();
    format!("{:#}\n", serde_json::json!({ "fleet": "default", "held": held }))
}

fn settle(repo: &mut Repository, branch: &str) -> Option<Settlements> {
    let tip = repo.fetch(branch).unwrap();
    let roots = [ROOT.to_owned()];
    let us = Ownership {
        fleet: "default",
        roots: &roots,
        unit_of: &unit_of,
        held: &held,
        env: None,
        proposals: &[],
    };
    tip.head().and_then(|head| settle_branch(repo, head, &us).unwrap())
}

/// Returns each unit's verdict in a word, and who is named.
fn verdicts(settlements: &Settlements) -> BTreeMap<&str, (&'static str, String)> {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Rollback { .. } => "rollback",
        Verdict::Drift { .. } => "drift",
        Verdict::Ended => "ended",
    };
    settlements
        .settled
        .units
        .iter()
        .map(|(path, s)| {
            let by = s.by.as_ref().map(|by| by.subject.clone()).unwrap_or_default();
            (path.strip_prefix("prod/c1/").unwrap(), (word(&s.verdict), by))
        })
        .collect()
}

/// What one run of the agent did.
#[derive(Debug, Default)]
struct Ran {
    verdicts: BTreeMap<String, &'static str>,
    held: Held,
    wrote: bool,
}

/// The wanted units: one file each.
type Want = BTreeMap<String, String>;

fn run(repo: &mut Repository, branch: &str, want: &Want) -> Ran {
    let settlements = settle(repo, branch);
    let tip = repo.fetch(branch).unwrap();
    let on = tip.head().map(|c| c.id);
    let mut ran = Ran::default();
    let mut edits: BTreeMap<String, Edit> = BTreeMap::new();
    let before = settlements.as_ref().map(|s| s.held.clone()).unwrap_or_default();
    if let Some(settlements) = &settlements {
        ran.verdicts = verdicts(settlements).into_iter().map(|(p, (w, _))| (p.to_owned(), w)).collect();
        ran.held = settlements.settled.held_after(&before, false);
        let ours = repo.tree(Some(settlements.last.id)).unwrap();
        for (_, settlement) in settlements.settled.drifted() {
            for edit in restore(settlement, &ours).unwrap() {
                edits.insert(edit.path().to_owned(), edit);
            }
        }
    }
    let head = repo.tree(on).unwrap();
    let mut paths: Vec<String> = want.keys().cloned().collect();
    for entry in head.entries("prod/c1/apps").unwrap().unwrap_or_default() {
        paths.push(format!("apps/{}", entry.name));
    }
    // A held unit that nobody wants and nobody has ends too.
    paths.extend(ran.held.keys().map(|path| path["prod/c1/".len()..].to_owned()));
    for path in paths {
        let full = format!("prod/c1/{path}");
        let would = want.get(&path).map(|text| ObjectId::of_blob(text.as_bytes()));
        if ran.held.get(&full) == Some(&would) {
            continue;
        }
        ran.held.remove(&full);
        match want.get(&path) {
            Some(text) => edits.insert(full.clone(), put(&full, text)),
            None => edits.insert(full.clone(), delete(&full)),
        };
    }
    edits.insert(MARK.into(), put(MARK, &mark(&ran.held)));
    let edits: Vec<Edit> = edits.into_values().collect();
    let message = "hydrant: prod/c1: a run\n\nHydrant-Fleet: default\n";
    let commit = repo.commit(on, &edits, message, &who()).unwrap();
    if Some(commit) != on {
        ran.wrote = true;
        assert_eq!(repo.push(commit, branch, on).unwrap(), Pushed::Landed);
    }
    ran
}

struct Scene {
    temp: TempDir,
    path: PathBuf,
    repo: Repository,
    want: Want,
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("gitops.git");
        bare(&path);
        let repo = Repository::open(&Remote::Local(path.clone()), &GitSettings::default()).unwrap();
        Self { temp, path, repo, want: Want::new() }
    }

    /// Wants this from now on, and runs.
    fn deliver(&mut self, units: &[(&str, Option<&str>)]) -> Ran {
        for (path, text) in units {
            match text {
                Some(text) => self.want.insert((*path).to_owned(), (*text).to_owned()),
                None => self.want.remove(*path),
            };
        }
        self.run()
    }

    fn run(&mut self) -> Ran {
        run(&mut self.repo, "main", &self.want)
    }

    fn head(&self) -> String {
        git(&self.path, &["rev-parse", "main"])
    }

    fn show(&self, path: &str) -> Option<String> {
        let out = git_command(&self.path).args(["show", &format!("main:prod/c1/{path}")]).output().unwrap();
        out.status.success().then(|| String::from_utf8(out.stdout).unwrap())
    }

    fn hand_edit(&self, path: &str, text: Option<&str>) {
        person_commits(&self.path, "main", &[(&format!("prod/c1/{path}"), text)], &format!("edit {path}"));
    }

    /// `git revert` as a person does it.
    fn revert(&self, commit: &str) -> String {
        let work = self.temp.path().join(format!("revert-{}", commit.len() + self.head().len()));
        let _ = std::fs::remove_dir_all(&work);
        git(
            self.temp.path(),
            &["clone", "-q", &self.path.display().to_string(), &work.display().to_string()],
        );
        git(&work, &["revert", "--no-edit", commit]);
        git(&work, &["push", "-q", "origin", "HEAD:main"]);
        self.head()
    }
}

#[test]
fn a_head_of_ours_has_nothing_to_settle() {
    let mut scene = Scene::new();
    assert!(settle(&mut scene.repo, "main").is_none(), "an empty repository");
    scene.deliver(&[("apps/a.yaml", Some("1"))]);
    let settlements = settle(&mut scene.repo, "main").unwrap();
    assert!(settlements.settled.is_empty());
    assert!(!scene.run().wrote, "no change, no commit");
    // What others do elsewhere is their own.
    person_commits(&scene.path, "main", &[("docs/README.md", Some("hello"))], "docs");
    assert!(settle(&mut scene.repo, "main").unwrap().settled.is_empty());
    assert!(!scene.run().wrote);
}

#[test]
fn a_hand_edit_is_drift_with_commit_author_and_file_and_is_put_back() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1")), ("apps/b.yaml", Some("1"))]);
    scene.hand_edit("apps/a.yaml", Some("by hand"));
    scene.hand_edit("apps/new.yaml", Some("new"));
    scene.hand_edit("apps/a.yaml", Some("by hand again"));
    let last_edit = scene.head();
    person_commits(&scene.path, "main", &[("docs/x", Some("x"))], "elsewhere");
    let settlements = settle(&mut scene.repo, "main").unwrap();
    let seen = verdicts(&settlements);
    assert_eq!(seen["apps/a.yaml"], ("drift", "edit apps/a.yaml".into()));
    assert_eq!(seen["apps/new.yaml"], ("drift", "edit apps/new.yaml".into()));
    let a = &settlements.settled.units["prod/c1/apps/a.yaml"];
    let by = a.by.as_ref().unwrap();
    assert_eq!((by.commit.to_string(), by.author.as_str()), (last_edit, "Ann <ann@example.com>"));
    assert_eq!(a.files.len(), 1);
    assert_eq!(a.files[0].path, "prod/c1/apps/a.yaml");
    let ran = scene.run();
    assert!(ran.wrote && ran.held.is_empty());
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "1");
    assert_eq!(scene.show("apps/new.yaml"), None);
    assert!(!scene.run().wrote);
}

#[test]
fn a_revert_of_our_newest_commit_is_honoured_until_something_else_is_wanted() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1")), ("apps/b.yaml", Some("1"))]);
    scene.deliver(&[("apps/a.yaml", Some("2"))]);
    scene.revert("HEAD");
    let ran = scene.run();
    assert_eq!(ran.verdicts, BTreeMap::from([("apps/a.yaml".to_owned(), "rollback")]));
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "1");
    assert!(ran.wrote, "what is held is written down");
    // It stays so, also after deliveries elsewhere, and for an agent without any memory.
    assert!(!scene.run().wrote);
    scene.deliver(&[("apps/b.yaml", Some("2"))]);
    let ran = run(
        &mut Repository::open(&Remote::Local(scene.path.clone()), &GitSettings::default()).unwrap(),
        "main",
        &scene.want,
    );
    assert_eq!(ran.held["prod/c1/apps/a.yaml"], Some(ObjectId::of_blob(b"2")));
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "1");
    assert_eq!(scene.show("apps/b.yaml").unwrap(), "2");
    // A different result ends it.
    let ran = scene.deliver(&[("apps/a.yaml", Some("3"))]);
    assert!(ran.held.is_empty());
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "3");
}

#[test]
fn a_revert_of_a_revert_ends_the_rollback() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1"))]);
    scene.deliver(&[("apps/a.yaml", Some("2"))]);
    let second = scene.head();
    let revert = scene.revert(&second);
    assert_eq!(scene.run().held.len(), 1);
    scene.revert(&revert);
    let ran = scene.run();
    assert_eq!(ran.verdicts["apps/a.yaml"], "ended");
    assert!(ran.held.is_empty());
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "2");
    // And without a run of ours between the two, nothing happened at all.
    let revert = scene.revert(&second);
    scene.revert(&revert);
    assert!(!scene.run().wrote);
}

#[test]
fn a_revert_of_an_older_commit_is_a_rollback_of_what_it_touched() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1")), ("apps/b.yaml", Some("1"))]);
    scene.deliver(&[("apps/a.yaml", Some("2")), ("apps/new.yaml", Some("new")), ("apps/b.yaml", None)]);
    let middle = scene.head();
    for n in 0..8 {
        scene.deliver(&[("apps/other.yaml", Some(&format!("{n}")))]);
    }
    scene.revert(&middle);
    let ran = scene.run();
    let names: Vec<&str> = ran.verdicts.keys().map(String::as_str).collect();
    assert_eq!(names, ["apps/a.yaml", "apps/b.yaml", "apps/new.yaml"]);
    assert!(ran.verdicts.values().all(|v| *v == "rollback"), "{:?}", ran.verdicts);
    // A change, a deletion and an addition were refused.
    assert_eq!(ran.held["prod/c1/apps/a.yaml"], Some(ObjectId::of_blob(b"2")));
    assert_eq!(ran.held["prod/c1/apps/b.yaml"], None);
    assert_eq!(ran.held["prod/c1/apps/new.yaml"], Some(ObjectId::of_blob(b"new")));
    assert_eq!(scene.show("apps/b.yaml").unwrap(), "1");
    assert_eq!(scene.show("apps/new.yaml"), None);
    assert_eq!(scene.show("apps/other.yaml").unwrap(), "7");
}

#[test]
fn a_revert_of_the_first_delivery_takes_everything_and_stays() {
    let mut scene = Scene::new();
    person_commits(&scene.path, "main", &[("README.md", Some("hello"))], "start");
    scene.deliver(&[("apps/a.yaml", Some("1")), ("apps/b.yaml", Some("1"))]);
    scene.revert("HEAD");
    let ran = scene.run();
    assert_eq!(ran.held.len(), 2);
    assert_eq!(scene.show("apps/a.yaml"), None);
    assert!(!scene.run().wrote);
}

#[test]
fn a_commit_older_than_our_last_hundred_is_found_by_its_revert() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1"))]);
    scene.deliver(&[("apps/a.yaml", Some("2"))]);
    let old = scene.head();
    for n in 0..104 {
        scene.deliver(&[("apps/other.yaml", Some(&format!("{n}")))]);
    }
    scene.revert(&old);
    assert_eq!(verdicts(&settle(&mut scene.repo, "main").unwrap())["apps/a.yaml"].0, "rollback");
    // The same content by hand, with nothing that says what is reverted, is drift.
    let text = git(&scene.path, &["show", "main:prod/c1/apps/a.yaml"]);
    git(&scene.path, &["update-ref", "refs/heads/main", "main~1"]);
    scene.hand_edit("apps/a.yaml", Some(&text));
    assert_eq!(verdicts(&settle(&mut scene.repo, "main").unwrap())["apps/a.yaml"].0, "drift");
}

#[test]
fn each_unit_of_one_foreign_commit_is_judged_by_itself() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1")), ("apps/b.yaml", Some("1")), ("apps/c.yaml", Some("1"))]);
    scene.deliver(&[("apps/a.yaml", Some("2")), ("apps/b.yaml", Some("2")), ("apps/c.yaml", Some("2"))]);
    // A squash of many things, as forges make them.
    let files = [
        ("prod/c1/apps/a.yaml", Some("1")),
        ("prod/c1/apps/b.yaml", Some("hot fix")),
        ("prod/c1/apps/d.yaml", Some("x")),
    ];
    person_commits(&scene.path, "main", &files, "squashed (#12)\n\n* Revert\n\n* hot fix");
    let settlements = settle(&mut scene.repo, "main").unwrap();
    let words: Vec<(&str, &str)> = verdicts(&settlements).into_iter().map(|(p, (w, _))| (p, w)).collect();
    assert_eq!(words, [("apps/a.yaml", "rollback"), ("apps/b.yaml", "drift"), ("apps/d.yaml", "drift")]);
    scene.run();
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "1");
    assert_eq!(scene.show("apps/b.yaml").unwrap(), "2");
    assert_eq!(scene.show("apps/d.yaml"), None);
}

#[test]
fn a_unit_that_is_a_folder_is_judged_as_a_whole() {
    let scene = Scene::new();
    let mut repo = Repository::open(&Remote::Local(scene.path.clone()), &GitSettings::default()).unwrap();
    let ours = |repo: &mut Repository, edits: &[Edit]| {
        let on = repo.fetch("main").unwrap().head().map(|c| c.id);
        let commit = repo.commit(on, edits, "ours\n\nHydrant-Fleet: default\n", &who()).unwrap();
        assert_eq!(repo.push(commit, "main", on).unwrap(), Pushed::Landed);
        commit
    };
    ours(
        &mut repo,
        &[
            put(MARK, &mark(&Held::new())),
            put("prod/c1/platform/vault/a.yaml", "1"),
            put("prod/c1/platform/vault/b.yaml", "1"),
        ],
    );
    let second = ours(
        &mut repo,
        &[put("prod/c1/platform/vault/a.yaml", "2"), put("prod/c1/platform/vault/b.yaml", "2")],
    );
    let refused = repo.tree(Some(second)).unwrap().entry("prod/c1/platform/vault").unwrap().unwrap().id;
    // Half of it put back is no state of before.
    scene.hand_edit("platform/vault/a.yaml", Some("1"));
    let half = settle(&mut repo, "main").unwrap();
    assert_eq!(verdicts(&half)["platform/vault"].0, "drift");
    assert_eq!(half.settled.units["prod/c1/platform/vault"].files.len(), 1);
    scene.hand_edit("platform/vault/b.yaml", Some("1"));
    let whole = settle(&mut repo, "main").unwrap();
    let verdict = &whole.settled.units["prod/c1/platform/vault"].verdict;
    assert_eq!(*verdict, Verdict::Rollback { refused: Some(refused) });
    // A stranger's file among ours and a changed index file are told, each for itself.
    scene.hand_edit("notes.txt", Some("mine"));
    scene.hand_edit(".hydrant", Some("{\"fleet\": \"default\"}"));
    let others = settle(&mut repo, "main").unwrap().settled.others;
    assert_eq!(others.keys().collect::<Vec<_>>(), ["prod/c1/.hydrant", "prod/c1/notes.txt"]);
}

#[test]
fn a_file_where_our_folder_was_and_a_folder_where_our_file_was_are_put_back() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1"))]);
    person_commits(
        &scene.path,
        "main",
        &[("prod/c1/apps/a.yaml", None), ("prod/c1/apps/a.yaml/x", Some("x"))],
        "a folder",
    );
    // `unit_of` of this test knows no such path, so the stranger is told by itself.
    let settlements = settle(&mut scene.repo, "main").unwrap();
    assert_eq!(verdicts(&settlements)["apps/a.yaml"].0, "drift");
    let mut edits = Vec::new();
    let ours = scene.repo.tree(Some(settlements.last.id)).unwrap();
    for settlement in settlements.settled.units.values().chain(settlements.settled.others.values()) {
        edits.extend(restore(settlement, &ours).unwrap());
    }
    let head = scene.repo.fetch("main").unwrap().head().unwrap().id;
    let commit = scene.repo.commit(Some(head), &edits, "back", &who()).unwrap();
    assert_eq!(scene.repo.read_commit(&commit).unwrap().tree, settlements.last.tree);
}

#[test]
fn merges_and_cherry_picks_do_not_hide_our_last_commit() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1"))]);
    // A person works on an old state, pulls, and pushes a merge whose first parent is theirs.
    let work = scene.temp.path().join("work");
    git(scene.temp.path(), &["clone", "-q", &scene.path.display().to_string(), "work"]);
    std::fs::write(work.join("prod/c1/apps/hand.yaml"), "x").unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "work on an old state"]);
    scene.deliver(&[("apps/a.yaml", Some("2"))]);
    let last = scene.head();
    git(&work, &["pull", "-q", "--no-rebase", "--no-edit"]);
    git(&work, &["push", "-q"]);
    let settlements = settle(&mut scene.repo, "main").unwrap();
    assert_eq!(settlements.last.id.to_string(), last);
    let seen = verdicts(&settlements);
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&"apps/hand.yaml"]);
    assert_eq!(seen["apps/hand.yaml"], ("drift", "work on an old state".into()), "not the merge");
    scene.run();
    assert_eq!(scene.show("apps/a.yaml").unwrap(), "2");
    assert_eq!(scene.show("apps/hand.yaml"), None);
}

#[test]
fn another_fleets_commits_are_foreign_and_its_folders_are_its_own() {
    let mut scene = Scene::new();
    scene.deliver(&[("apps/a.yaml", Some("1"))]);
    person_commits(
        &scene.path,
        "main",
        &[("prod/other/apps/x.yaml", Some("1"))],
        "hydrant: prod/other\n\nHydrant-Fleet: other",
    );
    let settlements = settle(&mut scene.repo, "main").unwrap();
    assert!(settlements.settled.is_empty());
    assert_eq!(settlements.last.subject(), "hydrant: prod/c1: a run");
}

#[test]
fn an_empty_cache_fetches_history_only_as_far_as_the_question_needs() {
    let server = GitServer::start();
    let open = |cache: &Path| {
        let settings = GitSettings { cache: Some(cache.into()), ..GitSettings::default() };
        Repository::open(&Remote::parse(&server.url()).unwrap(), &settings).unwrap()
    };
    let fresh = || tempfile::tempdir().unwrap();
    let first = fresh();
    let mut repo = open(first.path());
    let mut want = Want::from([("apps/a.yaml".to_owned(), "1".to_owned())]);
    run(&mut repo, "main", &want);
    for n in 0..90 {
        want.insert("apps/other.yaml".into(), n.to_string());
        run(&mut repo, "main", &want);
    }
    want.insert("apps/a.yaml".into(), "2".into());
    run(&mut repo, "main", &want);
    let requests = |repo: &mut Repository| {
        let before = server.seen().len();
        let settlements = settle(repo, "main").unwrap();
        (settlements, server.seen().len() - before)
    };
    // A head of ours: the branches and one commit.
    let cache = fresh();
    let (settlements, count) = requests(&mut open(cache.path()));
    assert!(settlements.settled.is_empty());
    assert_eq!(count, 2);
    // A foreign head, elsewhere: back to our last commit.
    person_commits(&server.repo, "main", &[("docs/x", Some("1"))], "docs");
    let cache = fresh();
    let (settlements, count) = requests(&mut open(cache.path()));
    assert!(settlements.settled.is_empty());
    assert_eq!(count, 3);
    // A return to a state 92 commits ago, seen by an agent with an empty cache.
    person_commits(&server.repo, "main", &[("prod/c1/apps/other.yaml", Some("3"))], "back to 3");
    let cache = fresh();
    let (settlements, count) = requests(&mut open(cache.path()));
    assert_eq!(verdicts(&settlements)["apps/other.yaml"].0, "rollback");
    assert!(count <= 5, "{count} requests");
    // And the same verdict from the agent that has been there all the time.
    let (again, _) = requests(&mut repo);
    assert_eq!(again.settled, settlements.settled);
}

/// A small generator, so that a failure can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

/// What the rules say, told without trees: per unit its states and what is refused.
#[derive(Default)]
struct Model {
    /// States that our commits left or found.
    past: BTreeMap<String, Vec<Option<String>>>,
    /// Where our last commit left each unit.
    last: BTreeMap<String, Option<String>>,
    refused: BTreeMap<String, Option<String>>,
}

fn play(seed: u64) {
    let mut dice = Dice(seed);
    let mut scene = Scene::new();
    let mut model = Model::default();
    let mut person = Repository::open(&Remote::Local(scene.path.clone()), &GitSettings::default()).unwrap();
    let names: Vec<String> = (0..5).map(|n| format!("apps/u{n}.yaml")).collect();
    // A state of all units, read from the branch.
    let state = |repo: &mut Repository| -> BTreeMap<String, Option<String>> {
        let head = repo.fetch("main").unwrap().head().map(|c| c.id);
        let tree = repo.tree(head).unwrap();
        let text = |name: &str| {
            let entry = tree.entry(&format!("prod/c1/{name}")).unwrap()?;
            Some(String::from_utf8(tree.blob(&entry.id).unwrap().to_vec()).unwrap())
        };
        names.iter().map(|name| (name.clone(), text(name))).collect()
    };
    let mut started = false;
    for step in 0..40 {
        // People: edits, deletions, returns to older states, several between two runs.
        for _ in 0..dice.roll(3) {
            if !started {
                break;
            }
            let mut edits = Vec::new();
            for name in &names {
                let full = format!("prod/c1/{name}");
                let known = model.past.get(name).cloned().unwrap_or_default();
                match dice.roll(6) {
                    0 => edits.push(put(&full, &format!("hand {step} {}", dice.roll(3)))),
                    1 => edits.push(delete(&full)),
                    2 if !known.is_empty() => match &known[dice.roll(known.len())] {
                        Some(text) => edits.push(put(&full, text)),
                        None => edits.push(delete(&full)),
                    },
                    _ => {}
                }
            }
            let on = person.fetch("main").unwrap().head().map(|c| c.id);
            let commit = person.commit(on, &edits, &format!("person {step}"), &who()).unwrap();
            if Some(commit) != on {
                assert_eq!(person.push(commit, "main", on).unwrap(), Pushed::Landed);
            }
        }
        // The fleet: other contents, an upgrade that changes all, a unit less.
        for name in &names {
            match dice.roll(8) {
                0 => {
                    scene.want.insert(name.clone(), format!("v{}", dice.roll(4)));
                }
                1 => {
                    scene.want.remove(name);
                }
                _ => {}
            }
        }
        let found = state(&mut person);
        let ran = scene.run();
        let now = state(&mut person);
        for name in &names {
            let context = format!("seed {seed}, step {step}, {name}");
            let would = scene.want.get(name).cloned();
            let before = model.last.get(name).cloned().flatten();
            if started && found[name] != before {
                let verdict = ran.verdicts.get(name).unwrap_or_else(|| panic!("{context}: unreported"));
                let refused = model.refused.get(name).cloned();
                let expected = if refused.as_ref() == Some(&found[name]) {
                    model.refused.remove(name);
                    "ended"
                } else if model.past[name].contains(&found[name]) {
                    model.refused.insert(name.clone(), refused.unwrap_or(before.clone()));
                    "rollback"
                } else {
                    "drift"
                };
                assert_eq!(*verdict, expected, "{context}");
                if expected == "drift" && model.refused.get(name) == Some(&would) {
                    // Held, and what our last commit had is put back.
                    assert_eq!(now[name], before, "{context}");
                    continue;
                }
            } else {
                assert!(!ran.verdicts.contains_key(name), "{context}: nobody touched it");
            }
            if model.refused.get(name) == Some(&would) {
                assert_eq!(now[name], found[name], "{context}: a rollback was undone");
            } else {
                model.refused.remove(name);
                assert_eq!(now[name], would, "{context}");
            }
        }
        if ran.wrote {
            for name in &names {
                let past = model.past.entry(name.clone()).or_default();
                past.extend([found[name].clone(), now[name].clone()]);
            }
            model.last = now;
            started = true;
        }
        let held: Vec<String> = ran.held.keys().map(|p| p["prod/c1/".len()..].to_owned()).collect();
        assert_eq!(held, model.refused.keys().cloned().collect::<Vec<_>>(), "seed {seed}, step {step}");
    }
}

#[test]
fn no_foreign_edit_is_lost_unreported_and_no_rollback_is_undone_unasked() {
    // The long run: HYDRANT_SEEDS=500 cargo test no_foreign_edit
    let seeds = std::env::var("HYDRANT_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    for seed in 1..=seeds {
        play(seed);
    }
}
