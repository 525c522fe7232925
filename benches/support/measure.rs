//! Runs and times commands, and prints rows.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

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

/// Returns the one in the middle.
pub fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Prints a time, and its ratio to another.
pub fn row(what: &str, seconds: f64, than: Option<f64>) {
    let ratio = than.map(|t| format!("  {:8.2} times the first", seconds / t)).unwrap_or_default();
    println!("  {what:62} {seconds:8.3} s{ratio}");
}

/// Prints the largest resident set of one run.
pub fn memory(what: &str, command: &mut Command) {
    let measured = Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::null())
        .output();
    let peak = measured.ok().and_then(|out| {
        String::from_utf8_lossy(&out.stderr).lines().last().and_then(|l| l.trim().parse::<f64>().ok())
    });
    match peak {
        Some(kib) => println!("  {:62} {:8.1} MiB", format!("peak memory: {what}"), kib / 1024.0),
        None => println!("  peak memory: {what}: not measured (no /usr/bin/time)"),
    }
}

/// Returns what the machine is, and how busy.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split(": ").nth(1));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}, load {}", model.unwrap_or("unknown"), load.trim())
}
