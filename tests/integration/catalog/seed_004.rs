//! The handoff document of the environment `prodtest`, section by section.

use super::{Output, cluster, render, text};
use serde_json::json;

fn prodtest() -> Output {
    let aws = cluster("rehearsal", "prodtest")
        .with("platform: {type: crc}", "platform: {type: aws, account_id: '111122223333', region: eu-central-1, zones: [eu-central-1a]}")
        .with("gitops:", "openshift: {version: '4.20', control_plane_replicas: 3, compute_replicas: 2, instance_type_control_plane: m6i.xlarge, instance_type_compute: m6i.xlarge}\ncredentials: {cco_mode: mint}\ngitops:");
    render(&[aws])
}

const CLUSTER: &str = "prodtest/rehearsal";

#[test]
fn section_2_the_environment_prodtest_is_accepted_and_brings_its_overlay() {
    // 2.1 `gitops.env: local|sno|prodtest|prod`; 2.2 destination namespaces, Vault settings, flags.
    let out = prodtest();
    assert!(out.paths().iter().all(|p| p.starts_with(CLUSTER)));
    assert!(out.names_of("Namespace").contains(&"/bitiq-prodtest".to_owned()));
}

#[test]
fn section_3_1_the_mount_is_the_clusters_own_for_both_operators() {
    // "VCO: vaultConfigMountPath: kubernetes-prodtest; VSO: vaultRuntimeKubernetesMount: …"
    let out = prodtest();
    for kind in ["Policy", "KubernetesAuthEngineRole"] {
        for object in out.of_kind(kind) {
            assert_eq!(text(&object, "/spec/authentication/path"), "kubernetes-prodtest", "{kind}");
        }
    }
    assert_eq!(text(&out.of_kind("KubernetesAuthEngineRole")[0], "/spec/path"), "kubernetes-prodtest");
    let auths = out.of_kind("VaultAuth");
    assert_eq!(auths.len(), 3);
    assert!(auths.iter().all(|a| text(a, "/spec/mount") == "kubernetes-prodtest"));
}

#[test]
fn section_3_2_the_config_operator_logs_in_as_kube_auth_from_its_own_namespace() {
    // "a kube-auth role must exist in each auth mount …, bound to the ServiceAccount that VCO
    // uses (often default in openshift-gitops)". The role itself is `hydrant bootstrap`'s.
    let out = prodtest();
    for kind in ["Policy", "KubernetesAuthEngineRole"] {
        let object = &out.of_kind(kind)[0];
        assert_eq!(text(object, "/spec/authentication/role"), "kube-auth");
        assert_eq!(text(object, "/spec/authentication/serviceAccount/name"), "default");
        assert_eq!(text(object, "/metadata/namespace"), "openshift-gitops");
    }
    assert!(out.of_kind("KubernetesAuthEngineRole").iter().all(|r| text(r, "/metadata/name") != "kube-auth"));
}

#[test]
fn section_4_1_the_reviewer_may_review_tokens() {
    // `create sa vault-token-reviewer`; `add-cluster-role-to-user system:auth-delegator …`
    let out = prodtest();
    assert_eq!(out.names_of("ServiceAccount"), ["openshift-gitops/vault-token-reviewer"]);
    let binding = &out.of_kind("ClusterRoleBinding")[0];
    assert_eq!(text(binding, "/roleRef/name"), "system:auth-delegator");
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "vault-token-reviewer", "namespace": "openshift-gitops"}])
    );
}

#[test]
fn section_4_2_the_reviewer_token_does_not_end_after_24_hours() {
    // `create token --duration=24h`, and the note "decide whether to periodically refresh": a
    // token Secret needs no refresh (F6).
    let secret = &prodtest().of_kind("Secret")[0];
    assert_eq!(text(secret, "/type"), "kubernetes.io/service-account-token");
    assert_eq!(
        text(secret, "/metadata/annotations/kubernetes.io~1service-account.name"),
        "vault-token-reviewer"
    );
}

#[test]
fn section_4_3_the_mounts_config_is_not_in_git_where_it_would_undo_the_write() {
    // `vault write auth/kubernetes-prodtest/config …` stays bootstrap's step: F1 and F2.
    let out = prodtest();
    assert!(out.of_kind("KubernetesAuthEngineConfig").is_empty());
    assert!(out.of_kind("AuthEngineMount").is_empty());
}

#[test]
fn section_5_1_the_namespace_is_bitiq_prodtest() {
    let out = prodtest();
    assert_eq!(
        text(&out.application("toy-service-prodtest"), "/spec/destination/namespace"),
        "bitiq-prodtest"
    );
    let role = &out.of_kind("KubernetesAuthEngineRole")[0];
    let bound = json!(["openshift-gitops", "openshift-pipelines", "bitiq-prodtest"]);
    assert_eq!(role["spec"]["targetNamespaces"]["targetNamespaces"], bound);
}

#[test]
fn section_5_2_every_value_of_the_external_vault_is_as_written() {
    let out = prodtest();
    let config = &out.of_kind("KubernetesAuthEngineRole")[0];
    let runtime = &out.of_kind("VaultAuth")[0];
    for connection in out.of_kind("VaultConnection") {
        assert_eq!(text(&connection, "/spec/address"), "https://vault.bitiq.io:8200", "vaultRuntimeAddress");
    }
    assert_eq!(text(config, "/spec/connection/address"), "https://vault.bitiq.io:8200", "vaultConfigAddress");
    assert!(
        !out.files.contains_key(&format!("{CLUSTER}/apps/infrastructure/vault-dev.yaml")),
        "vaultServerEnabled"
    );
    assert_eq!(text(runtime, "/spec/mount"), "kubernetes-prodtest", "vaultRuntimeKubernetesMount");
    assert_eq!(text(config, "/spec/path"), "kubernetes-prodtest", "vaultConfigMountPath");
    assert_eq!(text(config, "/spec/authentication/role"), "kube-auth", "vaultConfigConnectionRole");
    assert_eq!(text(runtime, "/spec/kubernetes/role"), "gitops-prodtest", "vaultRuntimeRoleName");
    assert_eq!(text(config, "/metadata/name"), "gitops-prodtest", "vaultConfigRoleName");
    assert_eq!(out.names_of("Policy"), ["openshift-gitops/gitops-prodtest"], "vaultConfigPolicyName");
    assert_eq!(config["spec"]["policies"], json!(["gitops-prodtest"]), "vaultConfigPolicyName");
}

#[test]
fn section_5_3_every_secret_says_which_key_it_misses_without_showing_one() {
    // "Keep/enable the secrets readiness check so failures are actionable … (names-only)": the
    // guard of each key is what makes the operator's status name it.
    for secret in prodtest().of_kind("VaultStaticSecret") {
        let templates = secret["spec"]["destination"]["transformation"]["templates"]
            .as_object()
            .expect("templates")
            .clone();
        for (key, template) in templates {
            let name = key.trim_start_matches('.');
            let text = text(&template, "/text");
            assert!(
                text.contains(&format!("fail \"key {name} is missing\""))
                    || text.contains(&format!("fail \"no {name} key\"")),
                "{text}"
            );
        }
    }
}

#[test]
fn section_7_every_application_and_secret_of_the_checklist_is_there() {
    let out = prodtest();
    let applications = out.names_of("Application");
    for name in ["vault-config-prodtest", "vault-runtime-prodtest"] {
        assert!(applications.contains(&format!("openshift-gitops/{name}")), "{name}");
    }
    let secrets: Vec<String> = out
        .of_kind("VaultStaticSecret")
        .iter()
        .map(|s| format!("{}/{}", text(s, "/metadata/namespace"), text(s, "/spec/destination/name")))
        .collect();
    for name in [
        "openshift-gitops/argocd-image-updater-secret",
        "openshift-pipelines/quay-auth",
        "openshift-pipelines/github-webhook-secret",
        "openshift-pipelines/gitops-repo-creds",
        "bitiq-prodtest/toy-service-config",
        "bitiq-prodtest/toy-web-config",
    ] {
        assert!(secrets.contains(&name.to_owned()), "{name} is missing in {secrets:?}");
    }
}
