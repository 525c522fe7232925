//! Small fleets for tests: folders that are written, broken and run.

use crate::common::{Hydrant, Ran, hydrant, write_files};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A cluster.yaml without a cloud, in an environment.
pub fn cluster_yaml(name: &str, env: &str) -> String {
    format!(
        "name: {name}\nenv: {env}\nplatform:\n  type: none\ndns:\n  base_domain: example.com\ngitops:\n  \
         repo_url: https://git.example.com/platform/gitops.git\n  repo_ref: main\n  env: {env}\n"
    )
}

/// A folder with a fleet in it, and a place for its repository beside it.
pub struct Fleet {
    folder: TempDir,
}

impl Fleet {
    /// Makes a fleet of the environment `lab`, which switches nothing on, with these clusters.
    pub fn of(clusters: &[&str]) -> Self {
        let fleet = Self { folder: tempfile::tempdir().expect("folder") };
        fleet.write("overlays/lab/values.yaml", "{}\n");
        for name in clusters {
            fleet.write(&format!("clusters/{name}/cluster.yaml"), &cluster_yaml(name, "lab"));
        }
        fleet
    }

    /// Makes a fleet from a folder of fixtures.
    pub fn copy_of(folder: &Path) -> Self {
        let fleet = Self { folder: tempfile::tempdir().expect("folder") };
        copy(folder, &fleet.path());
        fleet
    }

    /// Returns the fleet's folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("fleet")
    }

    /// Returns the place of the repository that the fleet is delivered to.
    pub fn repo(&self) -> PathBuf {
        self.folder.path().join("gitops.git")
    }

    /// Returns a place beside the fleet.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the fleet.
    pub fn write(&self, path: &str, text: &str) {
        write_files(&self.path(), &[(path, text)]);
    }

    /// Writes a component of the layer `platform`, always on: its component.yaml and one template.
    pub fn component(&self, id: &str, template: &str) {
        self.write(&format!("templates/platform/{id}/component.yaml"), "namespace: lab\n");
        self.write(&format!("templates/platform/{id}/objects.yaml"), template);
    }

    /// Removes a file or folder of the fleet.
    pub fn remove(&self, path: &str) {
        let full = self.path().join(path);
        let gone = if full.is_dir() { std::fs::remove_dir_all(&full) } else { std::fs::remove_file(&full) };
        gone.expect("removed");
    }

    /// Prepares a command on the fleet.
    pub fn call(&self, command: &[&str], more: &[&str]) -> Hydrant {
        let mut args: Vec<String> = command.iter().map(|a| (*a).to_owned()).collect();
        args.extend(["--fleet".to_owned(), self.path().display().to_string()]);
        args.extend(more.iter().map(|a| (*a).to_owned()));
        hydrant(&args).env("SOURCE_DATE_EPOCH", "1700000000")
    }

    /// Runs `hydrant validate`.
    pub fn validate(&self, more: &[&str]) -> Ran {
        self.call(&["validate"], more).run()
    }

    /// Runs `hydrant run --once` into the repository beside the fleet.
    pub fn run(&self, more: &[&str]) -> Ran {
        let repo = self.repo().display().to_string();
        let more: Vec<&str> = ["--once", "--repo", &repo].into_iter().chain(more.iter().copied()).collect();
        self.call(&["run"], &more).run()
    }

    /// Runs `hydrant render` against the repository beside the fleet.
    pub fn render(&self, more: &[&str]) -> Ran {
        let repo = self.repo().display().to_string();
        let more: Vec<&str> = ["--repo", &repo].into_iter().chain(more.iter().copied()).collect();
        self.call(&["render"], &more).run()
    }

    /// Runs `git` in the repository.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        super::git::git(&self.repo(), args)
    }

    /// Returns the id of the whole tree on `main`.
    #[track_caller]
    pub fn tree(&self) -> String {
        self.git(&["rev-parse", "main^{tree}"])
    }

    /// Returns the paths on `main` below a folder.
    #[track_caller]
    pub fn files(&self, below: &str) -> Vec<String> {
        let listed = self.git(&["ls-tree", "-r", "--name-only", "main"]);
        listed.lines().filter(|path| path.starts_with(below)).map(str::to_owned).collect()
    }

    /// Returns how many commits `main` has.
    #[track_caller]
    pub fn commits(&self) -> usize {
        self.git(&["rev-list", "--count", "main"]).parse().expect("a number")
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
