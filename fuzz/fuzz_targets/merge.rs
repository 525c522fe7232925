//! Any two texts, split at a zero byte, as an object and a patch of it: an error is fine, a
//! panic is not.
#![no_main]

use hydrant::kustomize::{BuildOptions, Memory, build};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (object, patch) = bytes.split_at(at);
    let patch = patch.strip_prefix(b"\0").unwrap_or(patch);
    let kustomization = "resources: [a.yaml]\npatches:\n- path: p.yaml\n  target: {kind: .*}\n";
    let files = Memory::default()
        .with("kustomization.yaml", kustomization)
        .with("a.yaml", object)
        .with("p.yaml", patch);
    let _ = build(&files, "", &BuildOptions::default());
});
