//! Argo CD: one scenario a folder, played against a fake server on loopback whose time jumps.

pub mod background;
mod clock;
mod command;
mod fake;
mod plan;
pub mod play;
mod property;
pub mod scale;
mod scenario;
mod settings;
mod tls;
mod trail;
mod webhook;
mod world;

pub use scenario::Op;

use super::common::project;
use play::check;

/// Every folder of `fixtures/argocd` is played; a new case is a new folder.
/// `SCENARIO=<part of a name>` plays some of them.
#[test]
fn every_scenario_comes_out_as_it_says() {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let names: Vec<String> = scenario::all().into_iter().filter(|n| n.contains(&only)).collect();
    assert!(!names.is_empty(), "no scenario is called like {only}");
    let mut wrong = Vec::new();
    for name in names {
        wrong.extend(check(&name).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// `HYDRANT_BLESS=1` writes the table anew.
#[test]
fn the_docs_list_every_scenario() {
    let mut table = String::from("| Facts | Scenario | What happens | Outcome |\n|---|---|---|---|\n");
    for name in scenario::all() {
        let s = scenario::load(&name);
        let outcome: Vec<String> = s.expect.iter().map(|(app, e)| format!("{app}: {}", e.result)).collect();
        table.push_str(&format!("| {} | `{name}` | {} | {} |\n", s.row, s.about, outcome.join(", ")));
    }
    let path = project("docs/argocd.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- scenarios -->\n").expect("a place for the table");
    let (shown, after) = rest.split_once("<!-- end -->").expect("its end");
    if std::env::var_os("HYDRANT_BLESS").is_some() {
        std::fs::write(&path, format!("{before}<!-- scenarios -->\n{table}<!-- end -->{after}")).unwrap();
        return;
    }
    assert!(
        shown == table,
        "docs/argocd.md is out of date: HYDRANT_BLESS=1 cargo test the_docs_list_every_scenario"
    );
}
