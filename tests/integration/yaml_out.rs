//! Texts that teams write come back as the same texts, by whatever reads the files.

use crate::common::program;
use crate::support::fleet::Fleet;
use serde_json::{Map, Value, json};
use std::process::Command;

/// Random texts from a fixed seed: words that readers take for something else, and characters
/// that YAML gives a meaning.
fn texts(count: usize) -> Vec<String> {
    const WORDS: [&str; 24] = [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "null",
        "~",
        "true",
        "4.20",
        "0x1f",
        "010",
        "1e3",
        "12:30:45",
        "2024-01-01",
        "=",
        "<<",
        ".inf",
        "a",
        "b c",
        "é",
        "日本",
        "😀",
        "+argocd",
    ];
    const SIGNS: [&str; 30] = [
        " ", "  ", "\n", "\n\n", "\t", ":", ": ", " #", "#", "-", "- ", "? ", "'", "\"", "\\", "{", "}", "[",
        "]", ",", "&", "*", "!", "|", ">", "%", "@", "`", "\u{a0}", "\u{2028}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut found: std::collections::BTreeSet<String> = WORDS.iter().map(|w| (*w).to_owned()).collect();
    found.extend(["".to_owned(), "x ".repeat(90), "long-word-".repeat(40)]);
    while found.len() < count {
        let parts = 1 + next(6);
        let text: String = (0..parts)
            .map(|_| if next(2) == 0 { WORDS[next(WORDS.len())] } else { SIGNS[next(SIGNS.len())] })
            .collect();
        found.insert(text);
    }
    found.into_iter().collect()
}

/// Renders the texts as keys and values of a ConfigMap, and returns its folder and what it must hold.
fn written(wanted: impl Fn(&str) -> bool) -> (Fleet, std::path::PathBuf, Value) {
    let data: Map<String, Value> = texts(700)
        .into_iter()
        .filter(|text| wanted(text))
        .enumerate()
        // An empty text and a merge key are no keys that all readers take.
        .map(|(i, text)| {
            (if text.is_empty() { "empty".to_owned() } else { format!("{text}{i}") }, json!(text))
        })
        .collect();
    let fleet = Fleet::of(&["a"]);
    fleet.component(
        "notes",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\ndata: {{ values.texts }}\n",
    );
    fleet.write("templates/platform/notes/values.yaml", &json!({"texts": data}).to_string());
    let out = fleet.beside("out");
    fleet.call(&["render"], &["--out", &out.display().to_string()]).run().exits(0);
    let folder = out.join("lab/a/platform/notes");
    (fleet, folder, Value::Object(data))
}

#[track_caller]
fn same(found: &Value, wanted: &Value) {
    let (found, wanted) = (found.as_object().expect("a mapping"), wanted.as_object().expect("a mapping"));
    let differ: Vec<String> = wanted
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .map(|(key, value)| format!("{key:?}: {value} came back as {:?}", found.get(key)))
        .collect();
    assert!(
        differ.is_empty() && found.len() == wanted.len(),
        "{} of {}\n{}",
        differ.len(),
        wanted.len(),
        differ.join("\n")
    );
}

#[test]
fn our_own_reader_gives_every_text_back() {
    let (_fleet, folder, wanted) = written(|_| true);
    let text = std::fs::read_to_string(folder.join("configmap-notes.yaml")).expect("file");
    same(&crate::catalog::documents(&text)[0]["data"], &wanted);
}

#[test]
fn kubectl_gives_every_text_back() {
    if program("kubectl").is_none() {
        return;
    }
    // kustomize reads a line separator and prints it so that no reader takes it: its own fault.
    let (_fleet, folder, wanted) = written(|text| !text.contains('\u{2028}'));
    // Its YAML reader alone, without a server; it prints JSON.
    let file = folder.join("configmap-notes.yaml");
    let out = Command::new("kubectl")
        .args(["create", "--dry-run=client", "--validate=false", "-o", "json", "-f"])
        .arg(&file)
        .env("HOME", "/nonexistent")
        .output()
        .expect("kubectl starts");
    if out.status.success() {
        let read: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        same(&read["data"], &wanted);
    } else {
        // Some versions want a server even so; kustomize reads with the same library.
        eprintln!("skipped in part: kubectl create wants a server: {}", String::from_utf8_lossy(&out.stderr));
    }
    let built = crate::common::kubectl_kustomize(&folder).expect("kubectl").expect("builds");
    same(&crate::catalog::documents(&built)[0]["data"], &wanted);
}

#[test]
fn pyyaml_gives_every_text_back() {
    let Some(python) = program("python3") else { return };
    if !Command::new(&python).args(["-c", "import yaml"]).output().expect("python3 starts").status.success() {
        eprintln!("skipped: python3 has no yaml module");
        return;
    }
    let (_fleet, folder, wanted) = written(|_| true);
    let script = "import json,sys,yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding='utf-8'))['data']))";
    let out = Command::new(python)
        .args(["-c", script])
        .arg(folder.join("configmap-notes.yaml"))
        .output()
        .expect("python3 starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    same(&serde_json::from_slice(&out.stdout).expect("JSON"), &wanted);
}
