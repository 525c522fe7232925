//! The quick YAML reader against the full parser: what it takes, it reads alike, with the
//! same places; all else is the full parser's.
//!
//! `HYDRANT_YAML_CASES` sets the number of random texts of each sort, and
//! `HYDRANT_PROPERTY_SEED` another seed.

use crate::overlay_scene::Dice;
use hydrant::yaml::{Limits, is_simple, read, read_in_full};
use std::path::{Path, PathBuf};

/// Fails if both readers differ on a text.
fn same(text: &[u8], limits: &Limits, what: &dyn Fn() -> String) {
    // Where the quick reader gives up, both are one.
    if is_simple(text, limits) {
        let (quick, full) = (read(text, limits), read_in_full(text, limits));
        if quick != full {
            let (quick, full) = (format!("{quick:#?}"), format!("{full:#?}"));
            let differing = quick.lines().zip(full.lines()).position(|(a, b)| a != b).unwrap_or_default();
            let near = |all: &str| {
                all.lines()
                    .skip(differing.saturating_sub(4))
                    .take(9)
                    .map(|l| format!("{l}\n"))
                    .collect::<String>()
            };
            let text = String::from_utf8_lossy(text);
            panic!("{}:\n{text}\nquick:\n{}\nfull:\n{}", what(), near(&quick), near(&full));
        }
    }
}

fn yaml_files(below: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(below) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            found.push(path);
        }
    }
}

fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["fixtures", "overlays", "deploy", "templates"] {
        yaml_files(&root.join(folder), &mut found);
    }
    found.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("file"))).collect()
}

fn cases() -> usize {
    let set = std::env::var("HYDRANT_YAML_CASES").ok().and_then(|n| n.parse().ok());
    set.unwrap_or(if std::env::var_os("CI").is_some() { 60_000 } else { 6_000 })
}

fn seed() -> u64 {
    std::env::var("HYDRANT_PROPERTY_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(12)
}

#[test]
fn both_readers_agree_on_every_fixture_and_most_are_simple() {
    let files = fixtures();
    let mut simple = 0;
    for (path, bytes) in &files {
        for limits in [Limits::inputs(), Limits::manifests()] {
            same(bytes, &limits, &|| path.display().to_string());
        }
        simple += usize::from(is_simple(bytes, &Limits::manifests()));
    }
    assert!(files.len() > 1000, "{} files", files.len());
    eprintln!("{simple} of {} files are simple", files.len());
    assert!(simple * 10 > files.len() * 8, "{simple} of {} files are simple", files.len());
}

#[test]
fn both_readers_agree_on_fixtures_with_slips() {
    let files = fixtures();
    let mut dice = Dice::new(seed());
    let bits = [
        " ", "  ", "\n", "\n\n", "\t", ":", ": ", "- ", "-", "#", " #", "'", "\"", "{", "}", "[", "]", ",",
        "&a ", "*a", "!!str ", "|", "|-\n", ">", "---\n", "---", "...\n", "? ", "<<: ", "~", "é", "\u{2028}",
        "\r\n", "\\", "%", "@", "\u{feff}",
    ];
    for n in 0..cases() {
        let (path, bytes) = &files[dice.roll(files.len())];
        let mut text = bytes.clone();
        text.truncate(1500);
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(text.len() + 1);
            let end = (at + dice.roll(6)).min(text.len());
            let bit = bits[dice.roll(bits.len())];
            match dice.roll(4) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..end, bit.bytes())),
                2 => {
                    let again = text[at..end].to_vec();
                    drop(text.splice(at..at, again));
                }
                _ => drop(text.splice(at..at, bit.bytes())),
            }
        }
        for limits in [Limits::inputs(), Limits::manifests()] {
            same(&text, &limits, &|| format!("case {n} of {}", path.display()));
        }
    }
}

/// A text of lines that each look like YAML.
fn soup(dice: &mut Dice) -> String {
    let keys = [
        "a", "b", "kind", "\"c d\"", "'e'", "x.y/z", "-f", "1", "é", "a:b", "a#b", "k ", "...", ".a", "~",
        "<<", "a'b", "\"a\":", "[a]",
    ];
    let values = [
        "1",
        "text",
        "two words",
        "\"q\"",
        "'it''s'",
        "\"\\n\\\"\\x41\"",
        "\"\\n\\\"\"",
        "{}",
        "[]",
        "{a: b}",
        "{a: {b: [c, 'd']}, \"e\":1}",
        "[a, [b], {c: d}]",
        "{a}",
        "[a: b]",
        "{a: }",
        "[a, ]",
        "|",
        "|-",
        "|+",
        "|2",
        ">",
        "&x y",
        "*x",
        "!!str 1",
        "a: b",
        "a:b",
        "a #c",
        "#c",
        "",
        "",
        "-",
        "- a",
        "-1",
        "--- a",
        "?",
        "? a",
        "é ü",
        "\"é\"",
        "{é: ü, b: c}",
        "a]",
        "a, b",
        "[a b, c:d]",
        "null",
        "'a' b",
        "\"a\"#",
        "{a: b} # c",
        "[a]: b",
        "@a",
        "`",
        "%a",
        "=",
        "[#a]",
        "[a #b]",
        "{ a: b , c: d }",
        "[ ]",
        "{\"a\" : 1}",
        "{a : 1}",
        "'a",
        "\"a",
        "[-1, -, - a]",
        "[--a]",
        "[a-b]",
        "{a:1}",
        "{'a':1}",
        "[\"a\",'b']",
        "[[[]]]",
    ];
    let mut out = String::new();
    let mut indent = 0;
    for _ in 0..=dice.roll(9) {
        match dice.roll(5) {
            0 => indent += 2,
            1 => indent = 0,
            2 => indent = dice.roll(7),
            _ => {}
        }
        out.push_str(&" ".repeat(indent));
        match dice.roll(12) {
            0 => out.push_str("# c"),
            1 => {}
            2 => out.push_str("---"),
            3 => out.push_str("plain"),
            4 | 5 => {
                out.push_str(["- ", "-", "-   ", "- - "][dice.roll(4)]);
                out.push_str(values[dice.roll(values.len())]);
            }
            6 | 7 => {
                out.push_str("- ");
                out.push_str(keys[dice.roll(keys.len())]);
                out.push_str(": ");
                out.push_str(values[dice.roll(values.len())]);
                indent += 2;
            }
            _ => {
                out.push_str(keys[dice.roll(keys.len())]);
                out.push_str([":", ": ", ":  "][dice.roll(3)]);
                out.push_str(values[dice.roll(values.len())]);
            }
        }
        out.push_str(["", "", "", "", " ", " # c", "\t"][dice.roll(7)]);
        out.push('\n');
    }
    if dice.roll(4) == 0 {
        out.pop();
    }
    out
}

#[test]
fn both_readers_agree_on_random_lines() {
    let mut dice = Dice::new(seed());
    let mut simple = 0;
    for n in 0..cases() * 4 {
        let text = soup(&mut dice);
        same(text.as_bytes(), &Limits::manifests(), &|| format!("case {n}"));
        simple += usize::from(is_simple(text.as_bytes(), &Limits::manifests()));
    }
    assert!(simple > cases() / 6, "{simple} texts were simple");
}
