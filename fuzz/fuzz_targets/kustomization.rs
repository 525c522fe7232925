//! Any bytes as a kustomization, built and compiled: an error is fine, a panic is not.
#![no_main]

use hydrant::kustomize::{BuildOptions, Level, Memory, Overlay, build};
use libfuzzer_sys::fuzz_target;

const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n";

fuzz_target!(|bytes: &[u8]| {
    let files = Memory::default()
        .with("kustomization.yaml", bytes)
        .with("a.yaml", OBJECT)
        .with("base/kustomization.yaml", "resources: [b.yaml]\n")
        .with("base/b.yaml", OBJECT);
    let _ = build(&files, "", &BuildOptions::default());
    if let Ok(overlay) = Overlay::compile(&files, "", Level::Component) {
        let _ = overlay.apply(Vec::new());
    }
});
