//! The property of the overlay engine: for random bases and overlays it prints, byte for
//! byte, what `kubectl kustomize` prints, and refuses what kubectl refuses.
//!
//! A plain run tries a few dozen scenes, a CI run (`CI=true`) 2,000;
//! `HYDRANT_PROPERTY_CASES` sets another number and `HYDRANT_PROPERTY_SEED` repeats a run.
//! kubectl costs more than the build, so most scenes go to it by the batch: a parent
//! kustomization over several scenes with disjoint names. A batch that differs, or that
//! kubectl refuses, is run again scene by scene.

use crate::common::{kubectl_kustomize, program, write_files};
use crate::overlay_scene::{Dice, Scene};
use hydrant::kustomize::{BuildOptions, Disk, build};
use hydrant::yaml::write_documents;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Scenes a call of kubectl; its time grows with the square of them.
const BATCH: usize = 8;
/// Differing scenes to make smaller and report; more would hide the first.
const REPORTED: usize = 5;

type Outcome = Result<String, String>;

fn ours(root: &Path, dir: &str) -> Outcome {
    let disk = Disk::open(root).map_err(|e| e.to_string())?;
    match build(&disk, dir, &BuildOptions::default()) {
        Ok(built) => Ok(write_documents(&built.objects)),
        Err(violations) => Err(violations.iter().map(|v| format!("{v}\n")).collect()),
    }
}

fn write(root: &Path, files: &BTreeMap<String, String>) {
    let list: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    write_files(root, &list);
}

/// Builds a scene with both, and says how they differ.
fn difference(scene: &Scene) -> Option<String> {
    let dir = tempfile::tempdir().expect("folder");
    write(dir.path(), &scene.files());
    let theirs = kubectl_kustomize(&dir.path().join(scene.root())).expect("kubectl is there");
    match (theirs, ours(dir.path(), scene.root())) {
        (Ok(theirs), Ok(ours)) if theirs == ours => None,
        (Ok(theirs), Ok(ours)) => Some(
            similar::TextDiff::from_lines(&theirs, &ours)
                .unified_diff()
                .context_radius(3)
                .header("kubectl", "hydrant")
                .to_string(),
        ),
        (Err(_), Err(_)) => None,
        (Ok(_), Err(e)) => Some(format!("kubectl builds it, we refuse it: {e}")),
        // a crash is no verdict (kubectl 1.32 panics on a subject whose kind is null)
        (Err(e), Ok(_)) if e.contains("goroutine 1 [running]") => {
            eprintln!("no verdict: kubectl panics on a scene");
            None
        }
        (Err(e), Ok(_)) => Some(format!("we build it, kubectl refuses it: {e}")),
    }
}

/// Leaves out entries as long as the difference stays.
fn shrink(mut scene: Scene) -> Scene {
    'again: loop {
        for smaller in scene.smaller() {
            if difference(&smaller).is_some() {
                scene = smaller;
                continue 'again;
            }
        }
        return scene;
    }
}

/// Builds several scenes under one parent with both; true when they agree on all.
fn agree_on_all(scenes: &[(u64, Scene)]) -> bool {
    let dir = tempfile::tempdir().expect("folder");
    let mut parent = "resources:\n".to_owned();
    for (n, (_, scene)) in scenes.iter().enumerate() {
        write(&dir.path().join(format!("scene-{n}")), &scene.files());
        parent.push_str(&format!("- ../scene-{n}/{}\n", scene.root()));
    }
    write_files(dir.path(), &[("all/kustomization.yaml", &parent)]);
    let theirs = kubectl_kustomize(&dir.path().join("all")).expect("kubectl is there");
    theirs.is_ok_and(|theirs| ours(dir.path(), "all").is_ok_and(|ours| ours == theirs))
}

/// The first lines that say something, to see which differences are one.
fn gist(diff: &str) -> String {
    let telling = |l: &&str| {
        !l.starts_with("---") && !l.starts_with("+++") && (l.starts_with('-') || l.starts_with('+'))
    };
    let lines: Vec<&str> = diff.lines().filter(telling).take(2).collect();
    let text =
        if lines.is_empty() { diff.lines().next().unwrap_or_default().to_owned() } else { lines.join(" | ") };
    text.chars().take(240).collect()
}

fn report(seed: u64, scene: Scene) -> String {
    let scene = shrink(scene);
    let diff = difference(&scene).unwrap_or_default();
    let mut text = format!("scene of seed {seed}, made smaller, to build: {}\n", scene.root());
    for (path, content) in scene.files() {
        text.push_str(&format!("--- {path}\n{content}"));
    }
    text.push_str(&format!("=== difference\n{diff}\n"));
    if let Some(keep) = std::env::var_os("HYDRANT_PROPERTY_KEEP") {
        write(&Path::new(&keep).join(seed.to_string()).join("input"), &scene.files());
    }
    text
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|v| v.parse().unwrap_or_else(|e| panic!("{variable}={v}: {e}")))
}

fn seed_of_the_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).expect("masked")
}

#[test]
fn random_overlays_give_what_kubectl_gives() {
    if program("kubectl").is_none() {
        return;
    }
    let seed = number("HYDRANT_PROPERTY_SEED").unwrap_or_else(seed_of_the_clock);
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
    let cases = number("HYDRANT_PROPERTY_CASES").unwrap_or(if in_ci { 2_000 } else { 60 });
    let cases = usize::try_from(cases).expect("fits");
    eprintln!("HYDRANT_PROPERTY_SEED={seed} HYDRANT_PROPERTY_CASES={cases}");

    let mut dice = Dice::new(seed);
    let seeds: Vec<u64> = (0..cases).map(|_| dice.next()).collect();
    let batches: Vec<&[u64]> = seeds.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    let alone = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    let differing = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // one in eight stands alone, for what holds for a whole build only
                    let scenes: Vec<(u64, Scene)> = batch
                        .iter()
                        .enumerate()
                        .map(|(id, &seed)| (seed, Scene::random(seed, id, id == 0)))
                        .collect();
                    let (single, together) = scenes.split_at(1);
                    let again =
                        if together.is_empty() || agree_on_all(together) { &[][..] } else { together };
                    for (seed, scene) in single.iter().chain(again) {
                        alone.fetch_add(1, Ordering::Relaxed);
                        match difference(scene) {
                            Some(diff) => {
                                differing.lock().expect("no thread died").push((
                                    *seed,
                                    scene.clone(),
                                    gist(&diff),
                                ));
                            }
                            None => {
                                let dir = tempfile::tempdir().expect("folder");
                                write(dir.path(), &scene.files());
                                if ours(dir.path(), scene.root()).is_err() {
                                    refused.fetch_add(1, Ordering::Relaxed);
                                }
                            }
                        }
                    }
                }
            });
        }
    });
    let differing = differing.into_inner().expect("no thread died");
    let (alone, refused) = (alone.into_inner(), refused.into_inner());
    eprintln!(
        "{cases} scenes, {alone} of them run alone, {refused} refused by both, {} differ",
        differing.len()
    );
    let count = differing.len();
    let gists: Vec<String> = differing.iter().map(|(seed, _, gist)| format!("{seed}: {gist}")).collect();
    let told: Vec<String> =
        differing.into_iter().take(REPORTED).map(|(seed, scene, _)| report(seed, scene)).collect();
    assert!(
        count == 0,
        "HYDRANT_PROPERTY_SEED={seed}: {count} of {cases} scenes differ\n{}\n{}",
        gists.join("\n"),
        told.join("\n")
    );
    assert!(
        refused * 4 < cases.max(1),
        "the scenes say too little: {refused} of {cases} are refused by both"
    );
}
