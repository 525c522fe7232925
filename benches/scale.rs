//! How rendering grows, and against whom: `cargo bench --bench scale -- 100 1000 5000` (numbers of
//! tenants on three clusters; the first two when none are given).
//!
//! Cold runs of `hydrant validate` (everything is rendered, overlaid, checked, printed as final bytes
//! and hashed; the bytes of a subject are let go after that) and of `hydrant render --out` (the same,
//! and written as one file an object), taking turns with
//!
//! * `helm template`, with a chart made here that gives the same tenant objects;
//! * Python with Jinja2 and PyYAML (its C loader and dumper): text, parse, merge, dump.
//!
//! Before anything is timed, the objects of both are compared with ours, as values. The comparison
//! favours both: what they would have to decide stands in their templates already, they read one
//! file of values where Hydrant reads a binding a tenant, and they make the tenants' objects alone,
//! where Hydrant makes the clusters' and organizations' too, checks all and looks for secrets.
//!
//! helm is taken from the variable HELM or from PATH, Python from PYTHON or PATH; what is not
//! there is skipped, and said so. Figures are medians of runs that take turns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/peers.rs"]
mod peers;
#[path = "support/scene.rs"]
mod scene;

use measure::{Took, is_manifest, machine, walk};
use peers::{Helm, Objects, Peer, Python};
use scene::Place;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As many as the machine that the goals were set on has cores.
const THREADS: &str = "2";

fn main() {
    // `cargo test --all-targets` starts benches too, without this flag
    if !std::env::args().any(|a| a == "--bench") {
        println!("skipped: run with `cargo bench --bench scale`");
        return;
    }
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![100, 1000] } else { sizes };
    println!("{}; Hydrant on {THREADS} threads", machine());
    let mut grown: Vec<(usize, Took)> = Vec::new();
    for tenants in sizes {
        let scene = Scene::new(tenants);
        println!(
            "\nfleet-{tenants}: {} objects in {} files, {} of them the tenants'",
            scene.objects,
            scene.files,
            scene.tenant_objects()
        );
        grown.push((tenants, scene.measure()));
    }
    growth(&grown);
}

/// Prints how much more a larger fleet takes: linear is as much more as there are tenants more.
fn growth(grown: &[(usize, Took)]) {
    println!("\ngrowth of `hydrant validate`");
    for pair in grown.windows(2) {
        let [(few, less), (many, more)] = pair else { continue };
        let times = |less: Option<f64>, more: Option<f64>| match (less, more) {
            (Some(less), Some(more)) => format!("{:.1}", more / less),
            _ => "n/a".to_owned(),
        };
        println!(
            "  {few} to {many} tenants ({:.1} times): wall {} times, cpu {} times, peak memory {} times",
            *many as f64 / *few as f64,
            times(Some(less.wall), Some(more.wall)),
            times(less.cpu, more.cpu),
            times(less.peak, more.peak),
        );
    }
}

struct Scene {
    place: Place,
    tenants: usize,
    objects: usize,
    files: usize,
}

impl Scene {
    fn new(tenants: usize) -> Self {
        let place = Place::with_tenants(tenants);
        let mut scene = Self { place, tenants, objects: 0, files: 0 };
        Took::by(&scene.render("first"));
        let files = walk(&scene.path("first"));
        scene.files = files.len();
        scene.objects = files.iter().filter(|f| is_manifest(f)).count();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    fn hydrant(&self, verb: &str) -> Command {
        let mut command = self.place.hydrant(&[verb]);
        command.env("RAYON_NUM_THREADS", THREADS);
        command
    }

    fn render(&self, out: &str) -> Command {
        let mut command = self.hydrant("render");
        command.arg("--cache").arg(self.path(&format!("cache-{out}")));
        command.arg("--out").arg(self.path(out));
        command
    }

    fn tenant_objects(&self) -> usize {
        walk(&self.path("first")).iter().filter(|f| is_tenants(f)).count()
    }

    /// How often each is run: the large ones take minutes.
    fn turns(&self) -> usize {
        match self.tenants {
            0..=100 => 5,
            101..=1000 => 3,
            _ => 1,
        }
    }

    fn measure(&self) -> Took {
        let ours = Objects::of(walk(&self.path("first")).iter().filter(|f| is_tenants(f)));
        let mut peers: Vec<Box<dyn Peer>> = Vec::new();
        for found in [
            Helm::find(self.place.root(), &ours, self.tenants, false),
            Helm::find(self.place.root(), &ours, self.tenants, true),
            Python::find(self.place.root(), &ours, self.tenants),
        ] {
            match found {
                Ok(peer) => peers.push(peer),
                Err(why) => println!("  skipped: {why}"),
            }
        }
        drop(ours);
        let (mut memory, mut written) = (Vec::new(), Vec::new());
        let mut others: Vec<Vec<Took>> = vec![Vec::new(); peers.len()];
        for turn in 0..self.turns() {
            memory.push(Took::by(&self.hydrant("validate")));
            written.push(Took::by(&self.render(&format!("turn-{turn}"))));
            for (peer, took) in peers.iter().zip(&mut others) {
                took.push(Took::by(&peer.command(turn)));
            }
        }
        let (memory, written) = (Took::median(&memory), Took::median(&written));
        println!("  {:44} {:>8} {:>8} {:>9}   wall of ours / its", "", "wall s", "cpu s", "peak MiB");
        row("hydrant validate: all bytes, not written", memory, &[]);
        row("hydrant render --out: one file an object", written, &[]);
        for (peer, took) in peers.iter().zip(&others) {
            row(&peer.name(), Took::median(took), &[("validate", memory), ("render --out", written)]);
        }
        memory
    }
}

/// Returns true for what helm and Python make too: the tenants' objects and their Applications.
fn is_tenants(file: &Path) -> bool {
    let path = file.to_string_lossy();
    is_manifest(file) && path.contains("/tenants/team-")
}

fn row(what: &str, took: Took, ours: &[(&str, Took)]) {
    let figure =
        |f: Option<f64>, digits: usize| f.map_or_else(|| "n/a".to_owned(), |f| format!("{f:.digits$}"));
    let ratios: Vec<String> =
        ours.iter().map(|(name, ours)| format!("{name} {:.3}", ours.wall / took.wall)).collect();
    println!(
        "  {what:44} {:>8} {:>8} {:>9}   {}",
        figure(Some(took.wall), 3),
        figure(took.cpu, 3),
        figure(took.peak, 1),
        ratios.join(", ")
    );
}
