//! Measures what a call of the binary costs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a call cost, and what it said.
#[derive(Debug)]
pub struct Cost {
    pub code: Option<i32>,
    pub stderr: String,
    pub time: Duration,
    /// The most memory it held, in bytes.
    pub peak: u64,
}

/// Runs the binary and watches its memory; it is ended after `most`.
///
/// The kernel keeps the peak (`VmHWM`), so that looking now and then misses only what the last
/// milliseconds added. Output goes to files: a full pipe would stop the child.
pub fn watch(args: &[&str], most: Duration) -> Cost {
    let folder = tempfile::tempdir().expect("folder");
    let said = folder.path().join("stderr");
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_hydrant"))
        .args(args)
        .env_clear()
        .env("NO_COLOR", "1")
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).expect("file"))
        .spawn()
        .expect("the binary starts");
    let mut peak = 0;
    let code = loop {
        peak = peak.max(high_water(child.id()));
        if let Some(status) = child.try_wait().expect("a child") {
            break status.code();
        }
        if began.elapsed() > most {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stderr = std::fs::read_to_string(&said).unwrap_or_default();
    Cost { code, stderr, time: began.elapsed(), peak }
}

fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}
