//! 500 Applications in a graph four deep, followed until they are healthy, against a fake Argo
//! CD whose answers take 10 ms: `cargo bench --bench sync -- 500 10` (Applications, milliseconds).
//!
//! The agent's side runs in a process of its own, in real time: its CPU time, its peak memory
//! and the requests that it made are those of the agent alone. The same run with one
//! Application tells what is there anyway. Waits that are settings are as short as they may be
//! (`settle: 0`); Argo CD's own times are those of a tiny Application (docs/argocd.md).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
// The fake server stands among the tests, which are not compiled here.
#![allow(unused)]

#[path = "../tests/integration/argocd/mod.rs"]
mod argocd;
#[path = "../tests/integration/common.rs"]
mod common;

use argocd::background::Background;
use argocd::scale;
use hydrant::commands::sync::{SyncContext, sync};
use hydrant::edge::argocd::settings::{ArgoSettings, RawArgoSettings};
use hydrant::edge::argocd::verdict::NoAncestry;
use hydrant::stop::Stop;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

/// Tells the process that it is the agent's side.
const AGENT: &str = "HYDRANT_BENCH_AGENT";
/// Operations at a time; Argo CD has 10 operation processors by default.
const CONCURRENCY: usize = 16;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (most, millis) = match numbers[..] {
        [apps, millis, ..] => (apps as usize, millis),
        [apps] => (apps as usize, 10),
        [] => (500, 10),
    };
    if let Ok(apps) = std::env::var(AGENT) {
        return agent(apps.parse().unwrap());
    }
    println!("Applications  seconds  CPU ms  CPU ms each  peak MB  requests each  first request after ms");
    for apps in [1, most] {
        let server = Background::start(scale::four_deep(apps, millis, CONCURRENCY), None);
        let begun = server.argocd.clock.millis();
        let out = Command::new(std::env::current_exe().unwrap())
            .env(AGENT, apps.to_string())
            .env("ARGOCD_API_URL", &server.url)
            .env("ARGOCD_API_TOKEN_FILE", &server.token_file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
        let [seconds, cpu, peak]: [f64; 3] =
            said.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
        let world = server.argocd.lock();
        let requests: usize = world.calls.values().sum();
        let first = world.apps.values().flat_map(|a| a.asked_at.first()).min().copied().unwrap_or(0);
        println!(
            "{apps:12}  {seconds:7.2}  {cpu:6.0}  {:11.2}  {peak:7.1}  {:13.1}  {:.0}",
            cpu / apps as f64,
            requests as f64 / apps as f64,
            first.saturating_sub(begun)
        );
        let calls: Vec<String> = world.calls.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        println!("              {}", calls.join(", "));
    }
}

/// Syncs and prints seconds, CPU milliseconds and megabytes.
fn agent(apps: usize) {
    let mut raw = RawArgoSettings { settle: Some(0), ..Default::default() };
    raw.default.concurrency = Some(CONCURRENCY);
    let settings =
        ArgoSettings::resolve(&raw, &Default::default(), &|name| std::env::var(name).ok()).unwrap();
    let server = settings.default.as_ref().unwrap().id.clone();
    let request = argocd::play::request(&scale::four_deep(apps, 0, CONCURRENCY), &server);
    let ancestry = Arc::new(NoAncestry);
    let context = SyncContext { settings, ancestry, audit: None, quiet: true, stop: Stop::never() };
    let begun = Instant::now();
    let report = sync(&request, &context).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(report.exit, 0, "{}", report.text());
    println!("{seconds} {} {}", cpu_millis(), peak_megabytes());
}

/// User and system time of this process, to 10 ms.
fn cpu_millis() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(") ").unwrap().1;
    let ticks: f64 = after.split(' ').skip(11).take(2).map(|n| n.parse::<f64>().unwrap()).sum();
    ticks * 10.0
}

fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1024.0
}
