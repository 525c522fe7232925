//! A fleet with bindings, rendered through the built binary, and its objects.

use crate::common::{Ran, hydrant, project, write_files};
use hydrant::yaml::{Limits, Schema, read};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A fleet in a temporary folder, and a folder that it is rendered into.
pub struct Fleet {
    dir: tempfile::TempDir,
}

/// Everything that a render wrote, by path.
pub struct Output {
    pub files: BTreeMap<String, String>,
}

impl Fleet {
    /// Copies `fixtures/fleets/tenants`.
    pub fn of_fixtures() -> Self {
        let fleet = Self::empty();
        copy(&project("fixtures/fleets/tenants"), &fleet.path("fleet"));
        fleet
    }

    /// Takes one cluster, `local/quay`, and no bindings.
    pub fn of_one_cluster() -> Self {
        let fleet = Self::empty();
        let quay = project("fixtures/fleets/tenants/clusters/quay");
        copy(&quay, &fleet.path("fleet/clusters/quay"));
        fleet
    }

    fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("folder") }
    }

    /// Returns a path beside the fleet.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// Writes a file of the fleet.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        write_files(&self.path("fleet"), &[(path, text)]);
        self
    }

    /// Removes a file of the fleet.
    pub fn remove(&self, path: &str) -> &Self {
        std::fs::remove_file(self.path("fleet").join(path)).expect("a file to remove");
        self
    }

    /// Returns a file of the fleet.
    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path("fleet").join(path)).expect("a file of the fleet")
    }

    /// Runs a command on the fleet.
    pub fn run(&self, args: &[&str]) -> Ran {
        let fleet = self.path("fleet");
        let mut all: Vec<&str> = args.to_vec();
        all.extend(["--fleet", fleet.to_str().expect("UTF-8")]);
        hydrant(&all).run()
    }

    /// Renders into the folder `out`.
    #[track_caller]
    pub fn render(&self) -> Output {
        let out = self.path("out");
        self.run(&["render", "--out", out.to_str().expect("UTF-8")]).exits(0);
        self.output()
    }

    /// Returns what stands in the folder `out`.
    pub fn output(&self) -> Output {
        let mut files = BTreeMap::new();
        list(&self.path("out"), "", &mut files);
        Output { files }
    }
}

impl Output {
    /// Returns all objects below a folder, generated kustomizations aside.
    pub fn objects(&self, folder: &str) -> Vec<Value> {
        self.files
            .iter()
            .filter(|(path, _)| path.starts_with(folder) && path.ends_with(".yaml"))
            .filter(|(path, _)| !path.ends_with("kustomization.yaml"))
            .flat_map(|(_, text)| read(text.as_bytes(), &Limits::manifests()).expect("YAML"))
            .map(|n| n.to_value(Schema::Kubectl).expect("values"))
            .collect()
    }

    /// Returns the one object of a kind and name below a folder.
    #[track_caller]
    pub fn object(&self, folder: &str, kind: &str, name: &str) -> Value {
        let mut found: Vec<Value> = self
            .objects(folder)
            .into_iter()
            .filter(|o| o["kind"] == kind && o["metadata"]["name"] == name)
            .collect();
        assert_eq!(found.len(), 1, "{kind} {name} in {folder}");
        found.remove(0)
    }

    /// Returns `kind/namespace/name` of all objects below a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
        let mut names: Vec<String> = self
            .objects(folder)
            .iter()
            .map(|o| {
                let m = &o["metadata"];
                format!("{} {}/{}", text(&o["kind"]), text(&m["namespace"]), text(&m["name"]))
            })
            .collect();
        names.sort();
        names
    }

    /// Returns the paths that differ from another output.
    pub fn changed(&self, other: &Output) -> Vec<String> {
        let all: std::collections::BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        all.into_iter().filter(|p| self.files.get(*p) != other.files.get(*p)).cloned().collect()
    }
}

/// Returns an Organization.
pub fn organization(name: &str) -> String {
    format!(
        "apiVersion: aphex.io/v1alpha1\nkind: Organization\nmetadata:\n  name: {name}\n  namespace: platform-system\nspec:\n  displayName: {name}\n  adminUsers: [ada@{name}.example]\n"
    )
}

/// Returns a RepoBinding in today's form.
pub fn tenant(name: &str) -> String {
    format!(
        "apiVersion: aphex.io/v1alpha1\nkind: RepoBinding\nmetadata:\n  name: {name}-binding\n  namespace: platform-system\nspec:\n  aphexOrg: river-works\n  repoOrg: river-works\n  repoName: {name}\n  pipelineName: {name}\n  templateRef: run-pipeline-v1\n  pipelineSpec: |\n    apiVersion: tekton.dev/v1\n    kind: Pipeline\n    spec:\n      tasks:\n        - name: build\n          taskRef: {{name: build}}\n"
    )
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").map(|e| e.expect("entry").path()) {
        let target = to.join(entry.file_name().expect("name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("copy");
        }
    }
}

fn list(dir: &Path, before: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).expect("folder").map(|e| e.expect("entry").path()) {
        let path = format!("{before}{}", entry.file_name().expect("name").to_string_lossy());
        if entry.is_dir() {
            list(&entry, &format!("{path}/"), files);
        } else {
            files.insert(path, std::fs::read_to_string(&entry).expect("UTF-8"));
        }
    }
}
