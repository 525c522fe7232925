//! Fleets of any size, the same bytes every time: what the benchmarks and the scripts measure with.
//!
//! `Size::tenants(n)` is "fleet-n": n tenants on three clusters (local, prodtest, prod), fifty
//! tenants an organization. `Size::clusters(n)` has no tenants: n clusters over three environments.
#![allow(dead_code)] // Each benchmark uses its own part of this.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// The environments that clusters are spread over, all built in.
pub const ENVIRONMENTS: [&str; 3] = ["local", "prodtest", "prod"];
/// Tenants of one organization.
const PER_ORGANIZATION: usize = 50;

/// How large a fleet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Clusters, spread over the environments in turn.
    pub clusters: usize,
    /// Tenants, each on every cluster.
    pub tenants: usize,
}

impl Size {
    /// Returns the size of "fleet-n": n tenants, one cluster an environment.
    pub fn tenants(n: usize) -> Self {
        Self { clusters: ENVIRONMENTS.len(), tenants: n }
    }

    /// Returns the size of a fleet of clusters without tenants.
    pub fn clusters(n: usize) -> Self {
        Self { clusters: n, tenants: 0 }
    }
}

/// Returns the files of a fleet, by path.
pub fn files(size: Size) -> Vec<(String, String)> {
    let mut files = vec![("hydrant.yaml".to_owned(), "fleet: benchmark\n".to_owned())];
    files.extend((0..size.clusters).map(cluster));
    files.extend((0..size.tenants.div_ceil(PER_ORGANIZATION)).map(organization));
    files.extend((0..size.tenants).map(|n| tenant(n, "v1")));
    files
}

/// Writes a fleet into a folder.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(dir: &Path, size: Size) -> io::Result<()> {
    files(size).iter().try_for_each(|(path, text)| put(dir, path, text))
}

/// Changes one tenant of a fleet that was written, by one word of its pipeline.
///
/// # Errors
/// A folder that cannot be written.
pub fn change_one_tenant(dir: &Path, number: usize, word: &str) -> io::Result<()> {
    let (path, text) = tenant(number, word);
    put(dir, &path, &text)
}

/// Returns the name of a tenant.
pub fn tenant_name(number: usize) -> String {
    format!("app-{number:05}")
}

/// Returns the name of a tenant's organization.
pub fn organization_name(tenant: usize) -> String {
    format!("team-{:03}", tenant / PER_ORGANIZATION)
}

fn put(dir: &Path, path: &str, text: &str) -> io::Result<()> {
    let full = dir.join(path);
    full.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(full, text)
}

fn cluster(number: usize) -> (String, String) {
    let env = ENVIRONMENTS[number % ENVIRONMENTS.len()];
    let name = format!("{env}-{number:04}");
    let mut text = format!("name: {name}\nenv: {env}\n\n");
    if env == "local" {
        text.push_str("platform:\n  type: crc\n\ndns:\n  base_domain: testing\n\n");
    } else {
        text.push_str(AWS);
    }
    let repo = "https://github.com/example-org/gitops.git";
    write!(text, "gitops:\n  repo_url: \"{repo}\"\n  repo_ref: \"main\"\n  env: {env}\n")
        .expect("a string takes all text");
    (format!("clusters/{name}/cluster.yaml"), text)
}

const AWS: &str = r#"platform:
  type: aws
  account_id: "111122223333"
  region: eu-central-1
  zones: ["eu-central-1a"]

dns:
  base_domain: ocp.example.com

openshift:
  version: "4.20"
  max_minor: "4.20"
  control_plane_replicas: 3
  compute_replicas: 2
  instance_type_control_plane: m6i.xlarge
  instance_type_compute: m6i.2xlarge

credentials:
  aws_profile: bench
  cco_mode: mint

"#;

fn organization(number: usize) -> (String, String) {
    let name = format!("team-{number:03}");
    let text = format!(
        "apiVersion: aphex.io/v1alpha1
kind: Organization
metadata:
  name: {name}
  namespace: platform-system
spec:
  displayName: \"Team {number}\"
  adminUsers:
    - ada@{name}.example
    - brook@{name}.example
  webhookSecret: \"\"
"
    );
    (format!("bindings/{name}/organization.yaml"), text)
}

fn tenant(number: usize, word: &str) -> (String, String) {
    let (organization, name) = (organization_name(number), tenant_name(number));
    let text = format!(
        "apiVersion: aphex.io/v1alpha1
kind: RepoBinding
metadata:
  name: {name}-binding
  namespace: platform-system
spec:
  aphexOrg: {organization}
  repoOrg: {organization}
  repoName: {name}
  pipelineName: {name}
  templateRef: run-pipeline-v1
  pipelineSpec: |
    apiVersion: tekton.dev/v1
    kind: Pipeline
    metadata:
      name: {name}
    spec:
      params:
        - name: git-url
          type: string
        - name: git-revision
          type: string
      workspaces:
        - name: source
      tasks:
        - name: build
          taskSpec:
            steps:
              - name: compile
                image: registry.example/tools:1.4
                script: |
                  echo \"{word} $(params.git-revision)\"
                  make all
        - name: test
          runAfter: [build]
          taskSpec:
            steps:
              - name: test
                image: registry.example/tools:1.4
                script: make test
"
    );
    (format!("bindings/{organization}/{name}.yaml"), text)
}
