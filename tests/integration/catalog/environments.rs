//! The table of §B, row by row, from the real file.

use super::{Output, documents, rendered, text};
use crate::common::shared;
use serde_json::{Value, json};

/// Where a key of the source's table comes out here.
fn shown(key: &str, env: &str, out: &Output) -> Option<Value> {
    let on = |component: &str| Some(json!(out.files.contains_key(&application(env, component))));
    let source = |component: &str, pointer: &str| {
        let path = application(env, component);
        out.files
            .contains_key(&path)
            .then(|| out.object(&path).pointer(&format!("/spec/source{pointer}")).cloned())?
    };
    let operators =
        |pointer: &str| source("bootstrap-operators", &format!("/helm/valuesObject/operators{pointer}"));
    let first =
        |kind: &str, pointer: &str| out.of_kind(kind).first().and_then(|v| v.pointer(pointer).cloned());
    let secret = |name: &str| {
        Some(json!(out.of_kind("VaultStaticSecret").iter().any(|s| text(s, "/metadata/name") == name)))
    };
    let route53 = |pointer: &str| {
        let all = out.of_kind("VaultStaticSecret");
        all.iter().find(|s| text(s, "/metadata/name") == "route53-credentials")?.pointer(pointer).cloned()
    };
    match key {
        "name" => Some(json!(env)),
        "clusterServer" => out.of_kind("Application").first()?.pointer("/spec/destination/server").cloned(),
        "appNamespace" => source("ci-pipelines", "/helm/valuesObject/appNamespace"),
        "strfryEnabled" => on("strfry"),
        "couchbaseEnabled" => on("couchbase"),
        "couchbaseOperatorEnabled" => on("couchbase-operator"),
        "certManagerEnabled" => on("cert-manager-config"),
        "nginxSitesEnabled" => on("nginx-sites"),
        "openshiftAIEnabled" => on("openshift-ai"),
        "bootstrapOperatorsEnabled" => on("bootstrap-operators"),
        "capacityEnabled" => on("cluster-capacity"),
        "nostrSiteEnabled" => on("nostr-site"),
        "signetLandingEnabled" => on("signet-landing"),
        "signetLLMEnabled" => on("signet-llm"),
        "signetEmbeddingsEnabled" => on("signet-embeddings"),
        "signetLoadtestEnabled" => on("signet-loadtest"),
        "ollamaEnabled" => on("ollama"),
        "nostrQueryEnabled" => on("nostr-query"),
        "nostrThreadsEnabled" => on("nostr-threads"),
        "nostrThreadCopierEnabled" => on("nostr-thread-copier"),
        "nostouchEnabled" => on("nostouch"),
        "vaultRuntimeEnabled" => on("vault-runtime"),
        "vaultConfigEnabled" => on("vault-config"),
        "vaultServerEnabled" => on("vault-dev"),
        "certManagerRoute53CredentialsEnabled" => secret("route53-credentials"),
        "certManagerRoute53CredentialsPath" => route53("/spec/path"),
        "certManagerRoute53SecretName" => route53("/spec/destination/name"),
        "certManagerRoute53SecretNamespace" => route53("/metadata/namespace"),
        "signetLLMHuggingFaceTokenEnabled" | "signetEmbeddingsHuggingFaceTokenEnabled" => {
            secret("huggingface-token")
        }
        "signetLoadtestOpenShiftAITokenEnabled" => secret("openshift-ai-token"),
        "vaultRuntimeAddress" => first("VaultConnection", "/spec/address"),
        "vaultRuntimeKubernetesMount" => first("VaultAuth", "/spec/mount"),
        "vaultRuntimeRoleName" => first("VaultAuth", "/spec/kubernetes/role"),
        "vaultConfigAddress" => first("KubernetesAuthEngineRole", "/spec/connection/address"),
        "vaultConfigMountPath" => first("KubernetesAuthEngineRole", "/spec/path"),
        "vaultConfigConnectionRole" => first("KubernetesAuthEngineRole", "/spec/authentication/role"),
        "vaultConfigRoleName" => first("KubernetesAuthEngineRole", "/metadata/name"),
        "vaultConfigPolicyName" => first("Policy", "/metadata/name"),
        "tektonFsGroup" => Some(source("ci-pipelines", "/helm/valuesObject/fsGroup").unwrap_or(json!(""))),
        "ollamaMode" => source("ollama", "/helm/valuesObject/mode"),
        "caoEnabled" => operators("/cao/enabled"),
        _ => {
            let field = |rest: &str| {
                let mut chars = rest.chars();
                let head = chars.next().map(|c| c.to_ascii_lowercase()).into_iter();
                if rest == "StartingCSV" {
                    "startingCSV".to_owned()
                } else {
                    head.chain(chars).collect::<String>()
                }
            };
            if let Some(rest) = key.strip_prefix("openshiftAI") {
                return operators(&format!("/openshiftAI/{}", field(rest)));
            }
            key.strip_prefix("cao").and_then(|rest| operators(&format!("/cao/{}", field(rest))))
        }
    }
}

fn application(env: &str, component: &str) -> String {
    let layer = match component {
        "bootstrap-operators"
        | "cert-manager-config"
        | "cluster-capacity"
        | "couchbase-operator"
        | "vault-dev" => "infrastructure",
        "vault-config" | "vault-runtime" | "ci-pipelines" | "image-updater" => "platform",
        _ => "applications",
    };
    format!("{env}/c/apps/{layer}/{component}.yaml")
}

/// Returns what we say instead, where we differ from the source on purpose, and why.
fn differs(key: &str, env: &str) -> Option<(Value, &'static str)> {
    Some(match key {
        "vaultRuntimeKubernetesMount" | "vaultConfigMountPath" => {
            (json!(format!("kubernetes-{env}")), "one mount serves one cluster (F7)")
        }
        "vaultRuntimeAddress" | "vaultConfigAddress" if env == "sno" => {
            (json!("http://vault-sno.vault.svc:8200"), "no Service can be called vault-sno.vault.sno.svc")
        }
        _ => return None,
    })
}

/// Keys that come out as something else than one value of one object; each has its own test.
const ELSEWHERE: [&str; 7] = [
    "baseDomain",                       // follows from the cluster
    "platforms",                        // traps: f13_…
    "toyServiceImageUpdater",           // traps: f13_…
    "toyWebImageUpdater",               // traps: f13_…
    "vaultConfigKubernetesHost",        // no object but an auth mount's config has it
    "capacityIgnoreMachineSetReplicas", // traps: replicas_…
    "",
];

#[test]
fn every_row_of_the_real_values_table_comes_out() {
    let Some(file) = shared("inputs/gitops/argocd-apps-values.yaml") else { return };
    let table = documents(&std::fs::read_to_string(file).expect("text")).remove(0);
    let mut compared = 0;
    let mut wrong = Vec::new();
    for element in table["envs"].as_array().expect("envs") {
        let env = text(element, "/name");
        let out = rendered(&env);
        for (key, source) in element.as_object().expect("a mapping") {
            if ELSEWHERE.contains(&key.as_str()) {
                continue;
            }
            let wanted = differs(key, &env).map_or_else(|| source.clone(), |(value, _)| value);
            let found = shown(key, &env, &out);
            // A switch or setting of something that is off has no place to be seen.
            let is_off = found.is_none() && setting_of_something_off(key, element);
            if !is_off && found.as_ref() != Some(&wanted) {
                wrong.push(format!("{env} {key}: the table has {wanted}, we render {found:?}"));
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 140, "{compared} rows were compared");
}

fn setting_of_something_off(key: &str, element: &Value) -> bool {
    let off = |switch: &str| element[switch] == json!(false);
    match key {
        "ollamaMode" => off("ollamaEnabled"),
        _ if key.starts_with("openshiftAI") || key.starts_with("cao") => off("bootstrapOperatorsEnabled"),
        _ => false,
    }
}

/// Seed 004 and the facts' derived column; the file has no such element.
#[test]
fn prodtest_is_prod_without_the_costly_parts_and_with_an_external_vault() {
    let out = rendered("prodtest");
    let on: Vec<String> =
        out.names_of("Application").iter().map(|n| n.replace("openshift-gitops/", "")).collect();
    for name in [
        "bootstrap-operators",
        "image-updater",
        "ci-pipelines",
        "toy-service",
        "toy-web",
        "vault-config",
        "vault-runtime",
    ] {
        assert!(on.contains(&format!("{name}-prodtest")), "{name} is missing in {on:?}");
    }
    for name in [
        "vault-dev",
        "cluster-capacity",
        "openshift-ai",
        "signet-llm",
        "signet-embeddings",
        "signet-loadtest",
        "strfry",
    ] {
        assert!(!on.contains(&format!("{name}-prodtest")), "{name} is on");
    }
}

#[test]
fn local_openshift_has_the_apps_domain_that_it_has() {
    let local = super::render(&[super::cluster("crc", "local").with("example.com", "testing")]);
    let strfry = local.application("strfry-local");
    assert_eq!(text(&strfry, "/spec/source/helm/valuesObject/baseDomain"), "apps-crc.testing");
    let values = "global: {baseDomain: apps.other.example}\n";
    let other = super::render(&[super::cluster("crc", "local").values(values)]);
    let strfry = other.application("strfry-local");
    assert_eq!(text(&strfry, "/spec/source/helm/valuesObject/baseDomain"), "apps.other.example");
}

#[test]
fn every_component_stands_in_the_documents_under_its_layer() {
    let text = std::fs::read_to_string(crate::common::project("docs/catalog.md")).expect("text");
    let catalog = hydrant::definition::catalog::read_catalog(
        hydrant::edge::embedded::builtin(),
        &hydrant::definition::tree::Tree::default(),
    );
    assert!(catalog.failed.is_empty() && catalog.notices.is_empty(), "{:?}", catalog.failed);
    for (id, component) in &catalog.components {
        assert!(component.failed.is_empty(), "{id}: {}", component.failed[0]);
        if component.key.layer == hydrant::model::id::Layer::Tenants {
            continue; // docs/tenants.md has these
        }
        let row = format!("| {} |", component.key.layer);
        let found = text.lines().any(|l| l.starts_with(&row) && l.contains(&format!("`{id}`")));
        assert!(found, "docs/catalog.md has no row for {}", component.key);
    }
}

#[test]
fn an_environment_of_the_fleets_own_starts_with_the_platform_alone() {
    let own = [("overlays/staging/values.yaml", "global: {appNamespace: shop}\n")];
    let out =
        super::render_with(&[super::cluster("c", "staging")], &own).unwrap_or_else(|why| panic!("{why}"));
    let folders: Vec<&str> = out.paths().into_iter().filter(|p| p.ends_with("/kustomization.yaml")).collect();
    assert_eq!(
        folders,
        [
            "staging/c/bootstrap/argocd-project/kustomization.yaml",
            "staging/c/bootstrap/namespaces/kustomization.yaml",
            "staging/c/kustomization.yaml"
        ]
    );
    assert_eq!(out.names_of("Namespace"), ["/openshift-pipelines", "/shop"]);
}
