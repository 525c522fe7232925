//! The steps of the line, each by itself and inside one process: `cargo bench --bench line`.
//!
//! The argument is the number of tenants on three clusters; `render` and the steps after it
//! count files, so that a row reads as files a second.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "support/fleet.rs"]
mod fleet;

use divan::Bencher;
use divan::counter::ItemsCount;
use fleet::Size;
use hydrant::config::{DeliveryRequest, RenderRequest};
use hydrant::definition::Definitions;
use hydrant::delivery;
use hydrant::edge::git::{GitSettings, Remote, Repository, Signature};
use hydrant::model::fleet::{Destination, Fleet};
use hydrant::model::target::TargetState;
use hydrant::model::tree::{Edit, NoTree};
use hydrant::model::unit::NoMemo;
use hydrant::reconcile::{self, Progress, Tools};
use hydrant::stop::Stop;
use hydrant::yaml;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use tempfile::TempDir;

const SIZES: [usize; 2] = [10, 100];

fn main() {
    divan::main();
}

/// Reads the fleet's files and checks each by itself.
#[divan::bench(args = SIZES, sample_count = 10)]
fn load(bencher: Bencher, tenants: usize) {
    let scene = Scene::of(tenants);
    bencher.counter(ItemsCount::new(tenants)).bench(|| scene.definitions());
}

/// Resolves, and renders, overlays and validates every unit, with an empty memo.
#[divan::bench(args = SIZES, sample_count = 10)]
fn render(bencher: Bencher, tenants: usize) {
    let scene = Scene::of(tenants);
    let definitions = scene.definitions();
    bencher.counter(ItemsCount::new(scene.edits.len())).bench(|| hydrate(&definitions, &scene.request));
}

/// Writes every rendered object as YAML.
#[divan::bench(args = SIZES, sample_count = 10)]
fn emit(bencher: Bencher, tenants: usize) {
    let scene = Scene::of(tenants);
    let objects: Vec<Value> = scene.edits.iter().filter_map(object).collect();
    bencher
        .counter(ItemsCount::new(objects.len()))
        .bench(|| objects.iter().map(|object| yaml::write(object).len()).sum::<usize>());
}

/// Compares with an empty branch.
#[divan::bench(args = SIZES, sample_count = 10)]
fn diff(bencher: Bencher, tenants: usize) {
    let scene = Scene::of(tenants);
    let definitions = scene.definitions();
    let target = hydrate(&definitions, &scene.request);
    let fleet = resolve(&definitions, &scene.request);
    bencher
        .counter(ItemsCount::new(scene.edits.len()))
        .bench(|| compare(&definitions, &fleet, &target, &scene.request));
}

/// Writes all files as one commit into an empty repository, and moves its branch.
#[divan::bench(args = SIZES, sample_count = 10)]
fn commit(bencher: Bencher, tenants: usize) {
    let scene = Scene::of(tenants);
    bencher
        .counter(ItemsCount::new(scene.edits.len()))
        .with_inputs(|| TempDir::new().unwrap())
        .bench_refs(|folder| deliver(&folder.path().join("gitops.git"), &scene.edits));
}

/// A fleet on disk and what it renders to.
struct Scene {
    _folder: TempDir,
    request: RenderRequest,
    edits: Vec<Edit>,
}

static SCENES: LazyLock<Mutex<BTreeMap<usize, Arc<Scene>>>> = LazyLock::new(Mutex::default);

impl Scene {
    /// Returns the scene of a size; each is made once.
    fn of(tenants: usize) -> Arc<Scene> {
        let mut made = SCENES.lock().unwrap();
        made.entry(tenants).or_insert_with(|| Arc::new(Scene::make(tenants))).clone()
    }

    fn make(tenants: usize) -> Scene {
        let folder = TempDir::new().unwrap();
        fleet::write(folder.path(), Size::tenants(tenants)).unwrap();
        let request = RenderRequest { fleet: folder.path().to_owned().into(), ..RenderRequest::default() };
        let mut scene = Scene { _folder: folder, request, edits: Vec::new() };
        let definitions = scene.definitions();
        let fleet = resolve(&definitions, &scene.request);
        let target = hydrate(&definitions, &scene.request);
        scene.edits = compare(&definitions, &fleet, &target, &scene.request);
        scene
    }

    fn definitions(&self) -> Definitions {
        reconcile::definitions(&self.request).expect("the fleet is sound")
    }
}

fn resolve<'d>(definitions: &'d Definitions, request: &RenderRequest) -> Fleet<'d> {
    reconcile::fleet(definitions, &request.pick).expect("the fleet is sound")
}

fn hydrate(definitions: &Definitions, request: &RenderRequest) -> TargetState {
    let fleet = resolve(definitions, request);
    let tools = Tools {
        memo: &NoMemo,
        progress: &Silent,
        stop: &Stop::never(),
        sync: None,
        types: None,
        quiet: true,
    };
    let target = reconcile::hydrate(&fleet, &request.pick, &tools).expect("nobody stops it");
    assert!(target.held.is_empty(), "the fleet must render: {:?}", target.held);
    target
}

fn compare(
    definitions: &Definitions,
    fleet: &Fleet<'_>,
    target: &TargetState,
    request: &RenderRequest,
) -> Vec<Edit> {
    let to: Destination = target.homes.values().next().expect("a cluster has a home").clone();
    let request = DeliveryRequest { render: request.clone(), ..DeliveryRequest::default() };
    let changes = delivery::compare(definitions, fleet, target, &to, &NoTree, &request);
    changes.expect("an empty tree can be read").edits
}

fn deliver(repo: &Path, edits: &[Edit]) {
    let remote = Remote::parse(&repo.display().to_string()).expect("a path");
    let settings = GitSettings { create: true, ..GitSettings::default() };
    let mut repository = Repository::open(&remote, &settings).expect("a repository");
    let who = Signature { name: "Bench".into(), email: "bench@example.org".into(), seconds: 0, offset: 0 };
    let commit = repository.commit(None, edits, "bench", &who).expect("a commit");
    repository.push(commit, "main", None).expect("a push");
}

/// Returns the object that an edit puts, if it is a manifest.
fn object(edit: &Edit) -> Option<Value> {
    let Edit::Put { path, bytes } = edit else { return None };
    let manifest = path.ends_with(".yaml") && !path.ends_with("/kustomization.yaml");
    manifest.then(|| {
        let node = yaml::read_one(bytes, &yaml::Limits::manifests()).expect("our own YAML");
        node.to_value(yaml::Schema::Kubectl).expect("our own YAML")
    })
}

struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: Option<u64>) {}
    fn step(&self) {}
    fn done(&self) {}
}
