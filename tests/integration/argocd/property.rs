//! Whatever the server does, "live" is never said of what is not live and healthy.

use super::play::play;
use super::scenario::{App, Odd, Op, Request, Running, Scenario, Server, sha};
use hydrant::model::sync::SyncResult;
use std::collections::BTreeMap;

/// Numbers that follow from a seed.
struct Dice(u64, u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.1 += 1;
        let hash = blake3::hash(format!("{}/{}", self.0, self.1).as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len() as u64) as usize]
    }

    fn span(&mut self) -> Option<(f64, f64)> {
        let from = self.roll(40) as f64;
        let length = self.roll(90) as f64;
        self.one_in(5).then_some((from, from + length))
    }
}

fn operation(dice: &mut Dice) -> Op {
    let mut health = BTreeMap::new();
    let mut at = 0.05;
    for _ in 0..dice.roll(4) {
        health.insert(
            format!("{at:.2}"),
            dice.of(&["Healthy", "Progressing", "Degraded", "Missing", "Suspended", "Unknown"]).to_owned(),
        );
        at += dice.roll(200) as f64 / 10.0 + 0.1;
    }
    if dice.one_in(2) && !health.is_empty() {
        health.insert(format!("{at:.2}"), "Healthy".into());
    }
    Op {
        end: dice.of(&["", "", "", "", "Failed", "Error"]).into(),
        message: dice.of(&["", "it went wrong", "code = Unavailable", "window"]).into(),
        takes: dice.roll(30) as f64,
        forever: dice.one_in(15),
        retries: if dice.one_in(4) { 1 + dice.roll(2) as u32 } else { 0 },
        health,
        objects: if dice.one_in(6) {
            BTreeMap::from([("web".into(), dice.of(&["SyncFailed", "Failed", "PruneSkipped"]).into())])
        } else {
            BTreeMap::new()
        },
        applied: dice.one_in(3),
        nothing: dice.one_in(12),
        ..Op::default()
    }
}

fn odd(dice: &mut Dice) -> Odd {
    let (status, code, text) = dice.of(&[
        (401, 16, "invalid session: token is expired"),
        (403, 7, "permission denied"),
        (403, 7, "cannot sync: blocked by sync window"),
        (404, 5, "applications.argoproj.io \"one\" not found"),
        (400, 9, "another operation is already in progress"),
        (400, 9, "Cannot sync to x: auto-sync currently set to main"),
        (400, 9, "error resolving repo revision: x"),
        (400, 3, "app is not allowed in project \"default\", or the project does not exist"),
        (409, 10, "conflict"),
        (429, 8, "slow down"),
        (500, 2, "unknown"),
        (503, 14, "unavailable"),
        (504, 4, "context deadline exceeded"),
    ]);
    let how = dice.roll(6);
    Odd {
        on: dice
            .of(&[
                "sync",
                "sync",
                "sync",
                "get",
                "get",
                "refresh",
                "windows",
                "can-i",
                "stream",
                "terminate",
                "userinfo",
            ])
            .into(),
        skip: dice.roll(5) as u32,
        times: 1 + dice.roll(4) as u32,
        status,
        code,
        text: text.into(),
        raw: if dice.one_in(8) { "<html>gateway</html>".into() } else { String::new() },
        accept: dice.one_in(3),
        accept_after: if dice.one_in(6) { dice.roll(20) as f64 + 0.5 } else { 0.0 },
        drop: how == 0,
        hang: how == 1,
        ..Odd::default()
    }
}

fn scenario(seed: u64) -> Scenario {
    let dice = &mut Dice(seed, 0);
    let touched = if dice.one_in(3) {
        vec!["old".into(), dice.of(&["new", "newer", "old"]).into()]
    } else {
        Vec::new()
    };
    let app = App {
        name: "one".into(),
        policy: dice.of(&["", "", "auto", "auto", "auto-no-heal", "auto-no-prune", "auto-disabled"]).into(),
        live: dice.of(&["old", "old", "old", "new"]).into(),
        touched,
        health: dice.of(&["Healthy", "Healthy", "Progressing", "Degraded"]).into(),
        operations: (0..1 + dice.roll(3)).map(|_| operation(dice)).collect(),
        drift: dice.one_in(8),
        last_phase: dice.of(&["", "", "Failed"]).into(),
        running: dice.one_in(6).then(|| Running {
            commit: dice.of(&["old", "new"]).into(),
            by: dice.of(&["hydrant", "alice", "auto"]).into(),
            ends: dice.roll(60) as f64,
            message: String::new(),
        }),
        ..App::default()
    };
    let mut later = BTreeMap::new();
    if dice.one_in(4) {
        later.insert(format!("{}", dice.roll(30) as f64 + 0.1), "newer".to_owned());
    }
    Scenario {
        about: String::new(),
        row: String::new(),
        commits: vec!["old".into(), "new".into(), "newer".into()],
        push: "new".into(),
        later,
        apps: vec![app],
        answers: (0..dice.roll(5)).map(|_| odd(dice)).collect(),
        server: Server {
            kubernetes_down: dice.span(),
            git_down: dice.span(),
            controller_down: dice.span(),
            windows: dice.span().into_iter().collect(),
            windows_allow_manual: dice.one_in(2),
            require_override: dice.one_in(8),
            mute_streams: dice.one_in(5),
            stream_mischief: if dice.one_in(2) { 1 + dice.roll(1000) } else { 0 },
            stale_git_until: if dice.one_in(6) { dice.roll(60) as f64 } else { 0.0 },
            ..Server::default()
        },
        request: Request { explicit: dice.one_in(4), timeout: Some(600), ..Request::default() },
        expect: BTreeMap::new(),
    }
}

/// `SEEDS=from..to` plays others and shows them.
#[test]
fn live_is_never_said_of_what_is_not_live_and_healthy() {
    let range = std::env::var("SEEDS").unwrap_or_else(|_| "0..80".into());
    let (from, to) = range.split_once("..").unwrap();
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
    let (mut live, mut wrong) = (0, Vec::new());
    for seed in from..to {
        let scenario = scenario(seed);
        if std::env::var_os("SEEDS").is_some() {
            eprintln!("seed {seed}: {scenario:?}");
        }
        let played = play(&scenario);
        let outcome = &played.result.outcomes[0];
        if outcome.result == SyncResult::Live {
            live += 1;
            if !played.argocd.is_truly_live("one", &sha("new")) {
                wrong.push(format!("seed {seed}"));
            }
        }
        assert!(outcome.took.as_secs() <= 600 + 60, "seed {seed} took {:?}", outcome.took);
    }
    assert!(wrong.is_empty(), "{} of {live} lie:\n{}", wrong.len(), wrong.join("\n"));
    // Else the property would hold because nothing ever succeeds.
    assert!(live * 5 > to - from, "only {live} came out live");
}
