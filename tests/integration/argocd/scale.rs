//! Many Applications, and how soon the first request goes out.

use super::play::play;
use super::scenario::{App, Odd, Scenario, Server};
use hydrant::audit::AuditRecord;
use hydrant::model::sync::SyncResult;
use std::collections::BTreeMap;
use std::time::Instant;

fn scenario(apps: Vec<App>, server: Server, answers: Vec<Odd>) -> Scenario {
    Scenario {
        about: String::new(),
        row: String::new(),
        commits: vec!["old".into(), "new".into()],
        push: "new".into(),
        later: BTreeMap::new(),
        apps,
        answers,
        server,
        request: Default::default(),
        expect: BTreeMap::new(),
    }
}

fn app(name: String, needs: Vec<String>, policy: &str) -> App {
    App { name, needs, policy: policy.into(), ..App::default() }
}

/// Applications in a graph four deep: of a hundred, one needs nothing, 9 need it, 30 need those
/// and 60 need those. Every second one is automated.
pub fn four_deep(most: usize, answer_millis: u64, concurrency: usize) -> Scenario {
    let mut apps = Vec::new();
    let mut level: Vec<String> = Vec::new();
    let share = |percent: usize| (most * percent).div_ceil(100);
    for (depth, count) in [share(1), share(9), share(30), share(60)].into_iter().enumerate() {
        let count = count.min(most - apps.len());
        let names: Vec<String> = (0..count).map(|n| format!("app-{depth}-{n:03}")).collect();
        for (n, name) in names.iter().enumerate() {
            let needs = if level.is_empty() { Vec::new() } else { vec![level[n % level.len()].clone()] };
            apps.push(app(name.clone(), needs, if n % 2 == 0 { "" } else { "auto" }));
        }
        level = names;
    }
    let server = Server { answer_millis, concurrency: Some(concurrency), ..Server::default() };
    scenario(apps, server, Vec::new())
}

#[test]
fn five_hundred_applications_in_a_graph_four_deep_all_go_live() {
    let scenario = four_deep(500, 10, 16);
    let apps = &scenario.apps;
    let edges: Vec<(String, Vec<String>)> = apps.iter().map(|a| (a.name.clone(), a.needs.clone())).collect();
    let begun = Instant::now();
    let played = play(&scenario);
    let real = begun.elapsed();
    let outcomes = &played.result.outcomes;
    assert_eq!(outcomes.iter().filter(|o| o.result == SyncResult::Live).count(), 500);
    assert_eq!(outcomes.iter().map(|o| o.wave).max(), Some(3));
    // Nobody is asked for anything before what it needs has come to its end.
    let line =
        |app: &str, event: &str| played.audit.iter().find(|r| r.application == app && r.event == event);
    let mut checked = 0;
    for (name, needs) in &edges {
        for need in needs {
            let (asked, done) = (line(name, "request").unwrap(), line(need, "outcome").unwrap());
            let at = |r: &AuditRecord| r.time.parse::<jiff::Timestamp>().unwrap();
            let begun = at(asked) - jiff::SignedDuration::from_millis(asked.millis as i64);
            assert!(begun >= at(done), "{name} began at {begun}, before {need} was through at {}", done.time);
            checked += 1;
        }
    }
    assert_eq!(checked, 495);
    let world = played.argocd.lock();
    let posts: usize = world.apps.values().map(|a| a.posts.len()).sum();
    assert_eq!(posts, 251, "each manual Application is asked for once, no automated one");
    drop(world);
    eprintln!(
        "500 Applications: {:.1} virtual s, {:.2} ms of real time each (agent, fake server and clock), peak {}",
        played.argocd.clock.millis() as f64 / 1000.0,
        real.as_secs_f64() * 2.0,
        peak_memory()
    );
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned()
}

#[test]
fn a_sync_is_asked_for_within_a_second_when_nothing_fails() {
    let server = Server { answer_millis: 10, ..Server::default() };
    let played = play(&scenario(vec![app("one".into(), Vec::new(), "")], server, Vec::new()));
    let asked = played.argocd.lock().apps["one"].asked_at[0];
    assert!(asked <= 1_000, "asked after {asked} ms");
}

#[test]
fn a_sync_is_asked_for_within_thirty_seconds_when_every_call_fails_once() {
    let answers = ["userinfo", "can-i", "get", "windows", "sync"].map(|on| Odd {
        on: on.into(),
        status: 503,
        code: 14,
        text: "away".into(),
        ..Odd::default()
    });
    let played = play(&scenario(vec![app("one".into(), Vec::new(), "")], Server::default(), answers.into()));
    let state = &played.argocd.lock().apps["one"];
    assert_eq!(state.operations, 1);
    let accepted = *state.asked_at.last().unwrap();
    assert!(accepted <= 30_000, "accepted after {accepted} ms");
    assert_eq!(played.result.outcomes[0].result, SyncResult::Live);
}
