//! The corpus of the overlay engine: `fixtures/overlays/<topic>/<case>/`, one folder a case.
//!
//! * `input/` is the tree. The kustomization to build is `input/`, or `input/<root>` when a
//!   one-line file `root` names a folder in it.
//! * `expected.yaml` is the stdout of the real `kubectl kustomize`, or
//! * `refused` says that there is no output: a regular expression that our message must match,
//!   a line `why:`, and a line `kubectl:` with `refuses`, `builds` (then we differ by design) or
//!   `not-run` (it would open a socket).
//! * `warns` (optional) holds a regular expression that one of our warnings must match.

use crate::common::{kubectl_kustomize, program, project};
use hydrant::error::Violations;
use hydrant::kustomize::{BuildOptions, Built, Disk, build};
use hydrant::yaml::{Limits, Schema, read, write_documents};
use regex::Regex;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a case says should come of it.
enum Expected {
    Output(String),
    Refused { says: Regex, kubectl: Peer },
}

/// What `kubectl kustomize` does with an input that we refuse.
#[derive(PartialEq)]
enum Peer {
    Refuses,
    Builds,
    NotRun,
}

struct Case {
    name: String,
    input: PathBuf,
    root: Option<String>,
    expected: Expected,
    warns: Option<Regex>,
}

impl Case {
    fn load(folder: &Path, name: String) -> Self {
        let text = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let expected = match (text("expected.yaml"), text("refused")) {
            (Some(out), None) => Expected::Output(out),
            (None, Some(refused)) => {
                let mut lines = refused.lines();
                let says = lines.next().and_then(|l| Regex::new(l).ok());
                assert!(
                    lines.next().is_some_and(|l| l.len() > "why: ".len() && l.starts_with("why: ")),
                    "{name}: no why"
                );
                let kubectl = match lines.next() {
                    Some("kubectl: refuses") => Peer::Refuses,
                    Some("kubectl: builds") => Peer::Builds,
                    Some("kubectl: not-run") => Peer::NotRun,
                    other => panic!("{name}: what kubectl does is {other:?}"),
                };
                Expected::Refused { says: says.unwrap_or_else(|| panic!("{name}: no expression")), kubectl }
            }
            _ => panic!("{name}: needs one of expected.yaml and refused"),
        };
        Self {
            input: folder.join("input"),
            root: text("root").map(|r| r.trim().to_owned()),
            expected,
            warns: text("warns").map(|r| Regex::new(r.trim()).unwrap_or_else(|e| panic!("{name}: {e}"))),
            name,
        }
    }

    fn dir(&self) -> PathBuf {
        self.root.as_ref().map_or_else(|| self.input.clone(), |root| self.input.join(root))
    }

    /// Builds it with our engine; the error is all that is said to the reader.
    fn build(&self) -> Result<Built, String> {
        let disk = Disk::open(&self.input).map_err(|e| self.said(&e.to_string()))?;
        build(&disk, self.root.as_deref().unwrap_or("."), &BuildOptions::default())
            .map_err(|violations| self.said(&lines(&violations)))
    }

    /// Takes the path of the case out of a message: its name says what the message should say.
    fn said(&self, message: &str) -> String {
        message.replace(&self.input.display().to_string(), "")
    }

    /// Says how our engine differs from what is expected, if it does.
    fn fault(&self) -> Option<String> {
        match (&self.expected, self.build()) {
            (Expected::Output(want), Ok(built)) => {
                let missing = self
                    .warns
                    .as_ref()
                    .filter(|w| !built.warnings.iter().any(|v| w.is_match(&v.to_string())));
                if let Some(warns) = missing {
                    return Some(format!("no warning matches {warns}: {:?}", built.warnings));
                }
                differs(want, &built.objects)
            }
            (Expected::Output(_), Err(said)) => Some(format!("refused: {said}")),
            (Expected::Refused { says, .. }, Err(said)) => {
                (!says.is_match(&said)).then(|| format!("the message does not match {says}: {said}"))
            }
            (Expected::Refused { .. }, Ok(built)) => {
                Some(format!("should be refused, but gives\n{}", head(&write_documents(&built.objects), 12)))
            }
        }
    }
}

fn lines(violations: &Violations) -> String {
    violations.iter().map(|v| format!("{v}\n")).collect()
}

/// Compares values in order first, then bytes: the first difference is the more telling one.
fn differs(want: &str, got: &[Value]) -> Option<String> {
    let bytes = write_documents(got);
    if want == bytes {
        return None;
    }
    let same_values = values(want).is_some_and(|want| want == got);
    let what = if same_values { "equal as values, but not as bytes" } else { "other values" };
    Some(format!("{what}\n{}", short_diff(want, &bytes)))
}

fn values(text: &str) -> Option<Vec<Value>> {
    let nodes = read(text.as_bytes(), &Limits::manifests()).ok()?;
    nodes.iter().map(|n| n.to_value(Schema::Kustomize).ok()).collect()
}

fn short_diff(want: &str, got: &str) -> String {
    let diff = similar::TextDiff::from_lines(want, got);
    head(&diff.unified_diff().context_radius(2).header("kubectl", "hydrant").to_string(), 24)
}

fn head(text: &str, lines: usize) -> String {
    let mut short: String = text.lines().take(lines).map(|l| format!("    {l}\n")).collect();
    if text.lines().nth(lines).is_some() {
        short.push_str("    …\n");
    }
    short
}

/// Returns every case of the corpus in the order of its name.
fn cases() -> Vec<Case> {
    let corpus = project("fixtures/overlays");
    let mut all = Vec::new();
    for topic in folders(&corpus) {
        for case in folders(&topic) {
            let name = case.strip_prefix(&corpus).expect("below the corpus").display().to_string();
            all.push(Case::load(&case, name));
        }
    }
    all
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap_or_else(|e| panic!("{}: {e}", of.display()));
    let mut all: Vec<PathBuf> = entries.map(|e| e.expect("entry").path()).filter(|p| p.is_dir()).collect();
    all.sort();
    all
}

/// Runs a check over all cases on two threads and reports every failing one at once.
fn over_all(check: impl Fn(&Case) -> Option<String> + Sync) {
    let all = cases();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(fault) = check(case) {
                        faults.lock().expect("no thread died").push(format!("{}: {fault}", case.name));
                    }
                }
            });
        }
    });
    let mut faults = faults.into_inner().expect("no thread died");
    faults.sort();
    assert!(faults.is_empty(), "{} of {} cases differ:\n{}", faults.len(), all.len(), faults.join("\n"));
}

#[test]
fn every_case_of_the_corpus_gives_what_kubectl_gave() {
    over_all(Case::fault);
}

#[test]
fn the_corpus_holds_at_least_250_cases() {
    let all = cases();
    assert!(all.len() >= 250, "only {} cases", all.len());
}

#[test]
fn a_fresh_recording_equals_the_corpus() {
    if program("kubectl").is_none() {
        return;
    }
    over_all(|case| {
        if matches!(case.expected, Expected::Refused { kubectl: Peer::NotRun, .. }) {
            return None;
        }
        let fresh = kubectl_kustomize(&case.dir()).expect("kubectl is there");
        match (&case.expected, fresh) {
            (Expected::Output(want), Ok(fresh)) if *want == fresh => None,
            (Expected::Output(want), Ok(fresh)) => Some(short_diff(want, &fresh)),
            (Expected::Output(_), Err(e)) => Some(format!("kubectl refuses it: {e}")),
            (Expected::Refused { kubectl: Peer::Refuses, .. }, Err(_)) => None,
            (Expected::Refused { kubectl: Peer::Builds, .. }, Ok(_)) => None,
            (Expected::Refused { .. }, Ok(_)) => Some("kubectl builds it now".to_owned()),
            (Expected::Refused { .. }, Err(e)) => Some(format!("kubectl refuses it now: {e}")),
        }
    });
}
