//! The bodies of the fuzz targets over the corpus of fixtures and over damaged copies.
//!
//! `cargo fuzz` needs a nightly compiler for its instrumentation; this runs everywhere, with
//! a fixed seed. `HYDRANT_FUZZ_CASES` and `HYDRANT_PROPERTY_SEED` make it longer or another.

#[path = "../../fuzz/fuzz_targets/bodies.rs"]
mod bodies;

use crate::overlay_scene::Dice;
use std::path::Path;

fn collect(below: &Path, found: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = std::fs::read_dir(below).expect("folder").flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(std::fs::read(&path).expect("file"));
        }
    }
}

fn number(variable: &str, unset: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(unset)
}

/// Returns a text with a few bytes, words or lines changed, or a part of another in it.
fn damaged(dice: &mut Dice, text: &[u8], other: &[u8]) -> Vec<u8> {
    let words: [&[u8]; 22] = [
        b"\n",
        b": ",
        b"- ",
        b"  ",
        b"'",
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b"null",
        b"~",
        b"|",
        b"&a ",
        b"*a",
        b"!!str ",
        b"$patch: delete",
        b"\t",
        b"\0",
        b"\xff",
        b"<<: ",
        b"99999999999999999999",
    ];
    let mut text = text[..text.len().min(3000)].to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(text.len() + 1);
        let end = (at + dice.roll(24)).min(text.len());
        match dice.roll(6) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..end, words[dice.roll(words.len())].iter().copied())),
            2 => drop(text.splice(at..at, words[dice.roll(words.len())].iter().copied())),
            3 => {
                let again = text[at..end].to_vec();
                drop(text.splice(at..at, again));
            }
            4 => {
                let from = dice.roll(other.len() + 1);
                let piece = other[from..(from + dice.roll(60)).min(other.len())].to_vec();
                drop(text.splice(at..at, piece));
            }
            _ => {
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= 1 << dice.roll(8);
                }
            }
        }
    }
    text
}

/// Runs a body over inputs as they are, and over damaged ones; names the input that ends it.
fn hold(body: fn(&[u8]), inputs: &[Vec<u8>], cases: u64) {
    let run = |bytes: &[u8], what: &str| {
        let ended = std::panic::catch_unwind(|| body(bytes));
        assert!(ended.is_ok(), "{what} ends in a panic:\n{}", bytes.escape_ascii());
    };
    assert!(inputs.len() > 200, "{} inputs", inputs.len());
    for (n, input) in inputs.iter().enumerate() {
        run(input, &format!("input {n}"));
    }
    let mut dice = Dice::new(number("HYDRANT_PROPERTY_SEED", 12));
    for n in 0..number("HYDRANT_FUZZ_CASES", cases) {
        let (one, other) = (&inputs[dice.roll(inputs.len())], &inputs[dice.roll(inputs.len())]);
        run(&damaged(&mut dice, one, other), &format!("case {n}"));
    }
}

fn fixtures() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    collect(&crate::common::project("fixtures/overlays"), &mut all);
    all
}

#[test]
fn no_bytes_end_the_kustomization_target() {
    let all = fixtures();
    let is_kustomization = |text: &&Vec<u8>| !text.windows(9).any(|w| w == b"metadata:");
    let inputs: Vec<Vec<u8>> = all.iter().filter(is_kustomization).cloned().collect();
    hold(bodies::kustomization, &inputs, 1500);
}

#[test]
fn no_bytes_end_the_merge_target() {
    let all = fixtures();
    let pairs = all.iter().zip(all.iter().skip(1)).step_by(2);
    let inputs: Vec<Vec<u8>> = pairs.map(|(object, patch)| [object, &b"\0"[..], patch].concat()).collect();
    hold(bodies::merge, &inputs, 1500);
}

#[test]
fn no_bytes_end_the_yaml_target() {
    hold(bodies::yaml, &fixtures(), 3000);
}
