//! What the benchmarks of whole processes share: runs with their wall time, processor time and
//! peak memory, and the words for the machine they ran on.
#![allow(dead_code)] // Each benchmark uses its own part of this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// GNU time, which tells a child's processor time and largest resident set.
const TIME: &str = "/usr/bin/time";

/// What one run of a process took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Wall clock, in seconds.
    pub wall: f64,
    /// Processor time in user mode and in the kernel, in seconds; none without GNU time.
    pub cpu: Option<f64>,
    /// The largest resident set, in MiB; none without GNU time.
    pub peak: Option<f64>,
}

impl Took {
    /// Runs a command to its end with its output thrown away.
    pub fn by(command: &Command) -> Took {
        let has_time = Path::new(TIME).exists();
        let mut whole = Command::new(if has_time { TIME.as_ref() } else { command.get_program() });
        if has_time {
            whole.args(["-f", "%U %S %M"]).arg(command.get_program());
        }
        whole.args(command.get_args());
        whole.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let from = Instant::now();
        let out = whole.stdin(Stdio::null()).stdout(Stdio::null()).output().expect("it starts");
        let wall = from.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{command:?}: {said}");
        let figures: Vec<f64> = match has_time {
            true => {
                said.lines().last().unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect()
            }
            false => Vec::new(),
        };
        match figures.as_slice() {
            [user, system, kib] => Took { wall, cpu: Some(user + system), peak: Some(kib / 1024.0) },
            _ => Took { wall, ..Took::default() },
        }
    }

    /// Returns the medians of several runs, each figure by itself.
    pub fn median(all: &[Took]) -> Took {
        let of = |figure: &dyn Fn(&Took) -> Option<f64>| {
            let figures: Option<Vec<f64>> = all.iter().map(figure).collect();
            figures.filter(|f| !f.is_empty()).map(median)
        };
        Took { wall: of(&|t| Some(t.wall)).unwrap_or_default(), cpu: of(&|t| t.cpu), peak: of(&|t| t.peak) }
    }
}

/// Returns the middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Runs a command, which must succeed.
pub fn run(command: &mut Command) {
    let out = command.stdout(Stdio::null()).output().expect("it starts");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Returns how long something takes, in seconds.
pub fn timed(work: impl FnOnce()) -> f64 {
    let from = Instant::now();
    work();
    from.elapsed().as_secs_f64()
}

/// Prints a time, and its ratio to another.
pub fn row(what: &str, seconds: f64, than: Option<f64>) {
    let ratio = than.map(|t| format!("  {:8.2} times the first", seconds / t)).unwrap_or_default();
    println!("  {what:62} {seconds:8.3} s{ratio}");
}

/// Prints the largest resident set of one run.
pub fn memory(what: &str, command: &Command) {
    match Took::by(command).peak {
        Some(mib) => println!("  {:62} {mib:8.1} MiB", format!("peak memory: {what}")),
        None => println!("  peak memory: {what}: not measured (no {TIME})"),
    }
}

/// Returns the binary that is measured: the one that HYDRANT_BIN names, such as an older
/// one to compare with, else the one that was built with the benchmark.
pub fn hydrant() -> PathBuf {
    std::env::var_os("HYDRANT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_hydrant").into(), PathBuf::from)
}

/// Returns the machine in a line: what figures are worth depends on it.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split(": ").nth(1));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}, load {}", model.unwrap_or("unknown"), load.trim())
}

/// Returns all files below a folder, sorted.
pub fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Returns true for a file that holds an object.
pub fn is_manifest(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "yaml") && file.file_name().unwrap() != "kustomization.yaml"
}
