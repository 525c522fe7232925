//! The built-in environments as kustomizations: laid over every unit, by the engine of `hydrant build`.

use super::{Output, cluster, render_with, text};
use serde_json::{Value, json};

/// An organization with a tunnel and a knowledge base with a server: the two Deployments that
/// the catalog has.
const BINDINGS: &str = "apiVersion: aphex.io/v1alpha1
kind: Organization
metadata:
  name: river-works
  namespace: platform-system
  annotations:
    hydrant.dev/tunnel-id: 7c3b2a10-4d5e-4f60-8a71-92b3c4d5e6f7
    hydrant.dev/tunnel-account: 0123456789abcdef0123456789abcdef
    hydrant.dev/webhook-host: hooks.river-works.example
spec:
  displayName: River Works
  adminUsers: [ada@river-works.example]
---
apiVersion: aphex.io/v1alpha1
kind: KnowledgeBase
metadata: {name: harbour-docs, namespace: harbour-knowledge}
spec:
  displayName: Harbour
  repositories: [{url: 'https://github.com/river-works/ferry-web', branch: main}]
  mcp: {image: 'registry.example/mcp-server:2.1.0', port: 8090, replicas: 3}
";

fn with_bindings(env: &str) -> Output {
    render_with(&[cluster("c", env)], &[("bindings/all.yaml", BINDINGS)])
        .unwrap_or_else(|why| panic!("{env}: {why}"))
}

fn deployment(out: &Output, name: &str) -> Value {
    let all = out.of_kind("Deployment");
    all.into_iter()
        .find(|d| text(d, "/metadata/name") == name)
        .unwrap_or_else(|| panic!("no Deployment {name}"))
}

#[test]
fn every_object_of_a_unit_bears_its_environment() {
    for env in ["local", "sno", "prodtest", "prod"] {
        let out = with_bindings(env);
        for (path, object) in out.manifests() {
            assert_eq!(object["metadata"]["labels"]["hydrant.dev/environment"], env, "{path}");
        }
        // The label stays off what a selector or a pod template would carry.
        let selector = deployment(&out, "mcp-server-harbour-docs")["spec"]["selector"].to_string();
        assert!(!selector.contains("hydrant.dev"), "{selector}");
    }
}

#[test]
fn local_runs_one_small_replica_where_prod_runs_what_the_team_asked_and_two_tunnels() {
    let (local, prod) = (with_bindings("local"), with_bindings("prod"));
    let replicas = |out: &Output, name: &str| deployment(out, name)["spec"]["replicas"].clone();
    assert_eq!(replicas(&local, "mcp-server-harbour-docs"), 1);
    assert_eq!(replicas(&prod, "mcp-server-harbour-docs"), 3);
    assert_eq!(replicas(&local, "cloudflared-river-works"), 1);
    assert_eq!(replicas(&prod, "cloudflared-river-works"), 2);
    let resources = |out: &Output| {
        deployment(out, "mcp-server-harbour-docs")["spec"]["template"]["spec"]["containers"][0]["resources"]
            .clone()
    };
    assert_eq!(resources(&local)["limits"], json!({"cpu": "250m", "memory": "128Mi"}));
    assert_eq!(resources(&prod)["limits"], json!({"cpu": "200m", "memory": "256Mi"}));
}

#[test]
fn a_fleets_overlay_comes_after_the_built_in_one() {
    let own = "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
patches:
  - target: {kind: Deployment, name: mcp-server-harbour-docs}
    patch: |-
      - op: replace
        path: /spec/replicas
        value: 2
";
    let files = [("bindings/all.yaml", BINDINGS), ("overlays/local/kustomization.yaml", own)];
    let out = render_with(&[cluster("c", "local")], &files).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(deployment(&out, "mcp-server-harbour-docs")["spec"]["replicas"], 2);
    assert_eq!(deployment(&out, "cloudflared-river-works")["spec"]["replicas"], 1);
}
