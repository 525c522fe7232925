//! What the targets do with their bytes. The test suite runs the same bodies on a stable
//! compiler (`tests/integration/fuzz.rs`), so this names nothing of the fuzzer.

use hydrant::kustomize::{BuildOptions, Level, Memory, Overlay, build};
use hydrant::yaml::{Limits, read, read_in_full};

const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n";

/// Any bytes as a kustomization, built and compiled: an error is fine, a panic is not.
pub fn kustomization(bytes: &[u8]) {
    let files = Memory::default()
        .with("kustomization.yaml", bytes)
        .with("a.yaml", OBJECT)
        .with("base/kustomization.yaml", "resources: [b.yaml]\n")
        .with("base/b.yaml", OBJECT);
    let _ = build(&files, "", &BuildOptions::default());
    for level in [Level::Env, Level::Component] {
        if let Ok(overlay) = Overlay::compile(&files, "", level) {
            let _ = overlay.apply(vec![serde_json::json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "a:1"}]}}},
            })]);
        }
    }
}

/// Any two texts, split at a zero byte, as an object and a patch of it: an error is fine, a
/// panic is not.
pub fn merge(bytes: &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let (object, patch) = bytes.split_at(at);
    let patch = patch.strip_prefix(b"\0").unwrap_or(patch);
    let kustomization = "resources: [a.yaml]\npatches:\n- path: p.yaml\n  target: {kind: .*}\n";
    let files = Memory::default()
        .with("kustomization.yaml", kustomization)
        .with("a.yaml", object)
        .with("p.yaml", patch);
    let _ = build(&files, "", &BuildOptions::default());
}

/// Any bytes as YAML: the quick reader and the full one agree, and what is read can be
/// written and read again.
pub fn yaml(bytes: &[u8]) {
    let limits = Limits::manifests();
    let quick = read(bytes, &limits);
    assert!(quick == read_in_full(bytes, &limits), "the quick reader and the full one differ");
    for node in quick.into_iter().flatten() {
        for schema in [hydrant::yaml::Schema::Kubectl, hydrant::yaml::Schema::Kustomize] {
            let Ok(value) = node.to_value(schema) else { continue };
            let text = hydrant::yaml::write(&value);
            let again = read(text.as_bytes(), &limits).expect("what was written is YAML");
            let again = again.first().map(|n| n.to_value(schema).expect("it has types"));
            assert!(
                again.unwrap_or_default() == value,
                "written and read again, it is another value: {text}"
            );
        }
    }
}
