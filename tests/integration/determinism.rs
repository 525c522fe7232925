//! Same input, same bytes: whatever the order of files on disk, the locale, the time zone, the
//! number of threads.

use crate::catalog::render_folder;
use crate::common::project;
use crate::support::fleet::Fleet;
use std::path::{Path, PathBuf};

/// Writes the same files in another order, so that the folder lists them in another.
fn shuffled_copy(files: &[(PathBuf, Vec<u8>)], to: &Path, seed: u64) {
    let mut order: Vec<usize> = (0..files.len()).collect();
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    for i in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    for i in order {
        let (path, bytes) = &files[i];
        let full = to.join(path);
        std::fs::create_dir_all(full.parent().expect("a folder")).expect("folder");
        std::fs::write(full, bytes).expect("file");
    }
}

fn files_of(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files_of(root, &path, found);
        } else {
            let inside = path.strip_prefix(root).expect("inside").to_owned();
            found.push((inside, std::fs::read(&path).expect("file")));
        }
    }
}

fn sample(fleets: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for fleet in fleets {
        let root = project(fleet);
        files_of(&root, &root, &mut files);
    }
    assert!(files.len() > 8);
    files
}

#[test]
fn processes_of_any_surroundings_make_the_same_commit() {
    let files = sample(&["fixtures/fleets/quickstart", "fixtures/fleets/valid/extended"]);
    let mut seen = Vec::new();
    let surroundings = [
        ("C", "UTC", "1"),
        ("tr_TR.UTF-8", "Asia/Kathmandu", "2"),
        ("de_DE.UTF-8", "America/St_Johns", "7"),
        ("POSIX", "Pacific/Kiritimati", "16"),
        ("C.UTF-8", "", "3"),
        ("ar_EG.UTF-8", "Antarctica/Troll", "5"),
    ];
    for (seed, (locale, zone, threads)) in surroundings.into_iter().enumerate() {
        let fleet = Fleet::of(&[]);
        shuffled_copy(&files, &fleet.path(), seed as u64);
        let repo = fleet.repo().display().to_string();
        let call = fleet.call(&["run"], &["--once", "--repo", &repo]);
        call.env("LC_ALL", locale)
            .env("LANG", locale)
            .env("TZ", zone)
            .env("RAYON_NUM_THREADS", threads)
            .run()
            .exits(0);
        // The whole commit, its message and time included.
        seen.push(fleet.git(&["rev-parse", "main"]));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn a_hundred_runs_give_the_same_bytes_in_whatever_order_the_files_lie() {
    let files = sample(&["fixtures/fleets/valid/extended"]);
    let mut first = None;
    for seed in 0..100 {
        let fleet = Fleet::of(&[]);
        shuffled_copy(&files, &fleet.path(), seed);
        let output = render_folder(&fleet.path()).expect("renders").files;
        assert!(output.len() > 20);
        let wanted = first.get_or_insert_with(|| output.clone());
        assert!(*wanted == output, "run {seed} differs");
    }
}

#[test]
fn messages_come_in_the_same_order_with_any_number_of_threads() {
    let folder = project("fixtures/fleets/invalid/object-in-two-components");
    let said = |threads: &str| {
        let fleet = Fleet::copy_of(&folder);
        for i in 0..8 {
            let text = crate::support::fleet::cluster_yaml(&format!("c{i}"), "lab");
            fleet.write(&format!("clusters/c{i}/cluster.yaml"), &text);
        }
        fleet.call(&["validate"], &[]).env("RAYON_NUM_THREADS", threads).run().exits(2).stderr
    };
    let one = said("1");
    for threads in ["2", "5", "16"] {
        assert_eq!(said(threads), one);
    }
}
