//! The built-in catalog: what the four environments render, and every trap that rendering avoids.
//!
//! F numbers and §B, §C are those of the facts that the product was built from; the numbers of
//! `observed` are its rows of what a real run of Vault and its operators showed.

mod crds;
mod environments;
mod forms;
mod overlays;
mod seed_004;
mod side_by_side;
mod traps;

use crate::common::{hydrant, write_files};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use tempfile::TempDir;

/// What a fleet renders: every file below the output folder, by its path.
pub struct Output {
    /// Holds the files themselves, in `out`, for as long as they are needed.
    pub folder: Option<TempDir>,
    /// The files' texts.
    pub files: BTreeMap<String, String>,
}

/// One cluster of a fleet under test: its name, its cluster.yaml, its values.yaml.
pub struct ClusterInput {
    pub name: &'static str,
    pub file: String,
    pub values: Option<String>,
}

/// A cluster without a cloud, in an environment.
pub fn cluster(name: &'static str, env: &str) -> ClusterInput {
    let file = format!(
        "name: {name}\nenv: {env}\nplatform: {{type: crc}}\ndns: {{base_domain: example.com}}\n\
         gitops: {{repo_url: 'https://github.com/example-org/gitops.git', repo_ref: main, env: {env}}}\n"
    );
    ClusterInput { name, file, values: None }
}

impl ClusterInput {
    /// Replaces a part of the cluster.yaml; the part must be there.
    #[track_caller]
    pub fn with(mut self, part: &str, by: &str) -> Self {
        assert!(self.file.contains(part), "no {part:?} in the cluster file");
        self.file = self.file.replacen(part, by, 1);
        self
    }

    /// Sets the values.yaml.
    pub fn values(mut self, text: &str) -> Self {
        self.values = Some(text.to_owned());
        self
    }
}

/// Renders a fleet of these clusters.
#[track_caller]
pub fn render(clusters: &[ClusterInput]) -> Output {
    try_render(clusters).unwrap_or_else(|why| panic!("does not render:\n{why}"))
}

/// Renders a fleet of these clusters, or says why not.
pub fn try_render(clusters: &[ClusterInput]) -> Result<Output, String> {
    render_with(clusters, &[])
}

/// Renders a fleet of these clusters and more files, or says why not.
pub fn render_with(clusters: &[ClusterInput], files: &[(&str, &str)]) -> Result<Output, String> {
    let fleet = tempfile::tempdir().expect("folder");
    write_files(fleet.path(), files);
    for c in clusters {
        let folder = format!("clusters/{}", c.name);
        write_files(fleet.path(), &[(&format!("{folder}/cluster.yaml"), &c.file)]);
        if let Some(values) = &c.values {
            write_files(fleet.path(), &[(&format!("{folder}/values.yaml"), values)]);
        }
    }
    render_folder(fleet.path())
}

/// Renders a fleet's folder with the built binary, or gives what it says; a warning counts too.
pub fn render_folder(fleet: &Path) -> Result<Output, String> {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out");
    let ran = hydrant(&[
        "render".as_ref(),
        "--out".as_ref(),
        out.as_os_str(),
        "--fleet".as_ref(),
        fleet.as_os_str(),
    ])
    .run();
    if ran.code != 0 || ran.stderr.contains("warning") {
        return Err(ran.stderr);
    }
    let mut files = BTreeMap::new();
    read_below(&out, &out, &mut files);
    Ok(Output { folder: Some(folder), files })
}

/// Returns what one cluster of an environment renders; it is rendered once for all tests.
#[track_caller]
pub fn rendered(env: &str) -> Arc<Output> {
    static DONE: LazyLock<Mutex<BTreeMap<String, Arc<Output>>>> = LazyLock::new(Mutex::default);
    let mut done = DONE.lock().expect("no test failed in here");
    if !done.contains_key(env) {
        let Output { files, .. } = render(&[cluster("c", env)]);
        done.insert(env.to_owned(), Arc::new(Output { folder: None, files }));
    }
    done[env].clone()
}

fn read_below(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            read_below(root, &path, files);
        } else {
            let inside = path.strip_prefix(root).expect("inside").to_string_lossy().into_owned();
            files.insert(inside, std::fs::read_to_string(&path).expect("text"));
        }
    }
}

/// Returns the documents of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    let nodes = hydrant::yaml::read(text.as_bytes(), &hydrant::yaml::Limits::manifests()).expect("YAML");
    nodes.iter().map(|n| n.to_value(hydrant::yaml::Schema::Kubectl).expect("values")).collect()
}

impl Output {
    /// Returns a file as an object.
    #[track_caller]
    pub fn object(&self, path: &str) -> Value {
        let text =
            self.files.get(path).unwrap_or_else(|| panic!("no {path} among\n{}", self.paths().join("\n")));
        documents(text).remove(0)
    }

    /// Returns every path.
    pub fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    /// Returns every manifest: all YAML files but the generated kustomization files.
    pub fn manifests(&self) -> Vec<(&str, Value)> {
        let yaml =
            self.files.iter().filter(|(p, _)| p.ends_with(".yaml") && !p.ends_with("kustomization.yaml"));
        yaml.map(|(path, text)| (path.as_str(), documents(text).remove(0))).collect()
    }

    /// Returns the manifests of a kind.
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.manifests().into_iter().map(|(_, v)| v).filter(|v| v["kind"] == kind).collect()
    }

    /// Returns the names of a kind's objects as `namespace/name`, sorted.
    pub fn names_of(&self, kind: &str) -> Vec<String> {
        let name = |v: &Value| format!("{}/{}", text(v, "/metadata/namespace"), text(v, "/metadata/name"));
        let mut names: Vec<String> = self.of_kind(kind).iter().map(name).collect();
        names.sort();
        names
    }

    /// Returns the Application of a name.
    #[track_caller]
    pub fn application(&self, name: &str) -> Value {
        let found = self.of_kind("Application").into_iter().find(|a| text(a, "/metadata/name") == name);
        found.unwrap_or_else(|| panic!("no Application {name}"))
    }
}

/// Returns the text at a JSON pointer; empty if there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
