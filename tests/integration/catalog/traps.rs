//! Each trap of the facts' section F that rendering can avoid; each test fails on the old form.

use super::{cluster, render, rendered, text, try_render};
use serde_json::json;

const ENVIRONMENTS: [&str; 4] = ["local", "sno", "prodtest", "prod"];

#[test]
fn f1_no_config_that_clears_the_reviewer_token_is_rendered() {
    for env in ENVIRONMENTS {
        let out = rendered(env);
        assert!(out.of_kind("KubernetesAuthEngineConfig").is_empty(), "{env}");
        assert!(out.of_kind("AuthEngineMount").is_empty(), "{env}");
    }
}

#[test]
fn f1_a_config_that_is_wanted_after_all_names_its_reviewer_and_ca() {
    let values = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
    let out = render(&[cluster("c", "prod").values(values)]);
    let config = &out.of_kind("KubernetesAuthEngineConfig")[0];
    assert_eq!(config["metadata"]["name"], "kubernetes-prod");
    assert_eq!(config["spec"]["tokenReviewerServiceAccount"], json!({"name": "vault-token-reviewer"}));
    assert_eq!(config["spec"]["kubernetesCACert"], "pem");
    assert_eq!(config["spec"]["kubernetesHost"], "https://kubernetes.default.svc");
    assert_eq!(config["spec"]["disableLocalCAJWT"], true);
    assert_eq!(config["spec"]["disableISSValidation"], true);
    assert_eq!(config["spec"]["useOperatorPodCA"], false);
    let why = try_render(&[cluster("c", "prod").values("vault-auth-mount: {enabled: true}\n")])
        .err()
        .expect("refused");
    assert!(why.contains("kubernetesCACert"), "{why}");
}

#[test]
fn f1_an_external_vaults_mount_is_never_owned_by_git() {
    let values = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
    let why = try_render(&[cluster("c", "prodtest").values(values)]).err().expect("refused");
    assert!(why.contains("external Vault") && why.contains("hydrant bootstrap"), "{why}");
}

#[test]
fn f2_an_external_vault_never_meets_an_inside_host() {
    // What is written is refused at its line, before a mount's config is made from it.
    let inside = "vault:\n  kubernetesHost: https://kubernetes.default.svc\n";
    let why = try_render(&[cluster("c", "prodtest").values(inside)]).err().expect("refused");
    assert!(why.contains("clusters/c/values.yaml:2:3: vault.kubernetesHost"), "{why}");
    assert!(why.contains("https://api.c.example.com:6443"), "{why}");
    // What is not written follows from the address: the inside host for a Vault inside.
    let mount = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
    let config =
        render(&[cluster("c", "prod").values(mount)]).of_kind("KubernetesAuthEngineConfig").remove(0);
    assert_eq!(config["spec"]["kubernetesHost"], "https://kubernetes.default.svc");
}

#[test]
fn a_mount_with_auth_before_it_is_refused_at_its_line() {
    // Observed row 1: logins would go to auth/auth/….
    let values = "vault:\n  kubernetesMount: auth/kubernetes-c\n";
    let why = try_render(&[cluster("c", "prodtest").values(values)]).err().expect("refused");
    assert!(why.contains("clusters/c/values.yaml:2:3: vault.kubernetesMount"), "{why}");
}

#[test]
fn f3_a_mount_does_not_nest() {
    let values = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
    let out = render(&[cluster("c", "prod").values(values)]);
    let mount = &out.of_kind("AuthEngineMount")[0];
    assert_eq!(mount["metadata"]["name"], "kubernetes-prod");
    assert_eq!(mount["spec"]["path"], "/");
    assert_eq!(mount["spec"]["config"], json!({"listingVisibility": "hidden"}));
    let options = text(mount, "/metadata/annotations/argocd.argoproj.io~1sync-options");
    assert_eq!(options, "Prune=false,Delete=false", "its deletion would remove the mount with its roles");
}

#[test]
fn f4_a_config_has_the_path_that_newer_operators_require() {
    let values = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
    let out = render(&[cluster("c", "prod").values(values)]);
    assert_eq!(out.of_kind("KubernetesAuthEngineConfig")[0]["spec"]["path"], "");
}

#[test]
fn f7_no_two_environments_share_a_mount_a_role_or_a_policy() {
    let out =
        render(&[cluster("a", "local"), cluster("b", "sno"), cluster("c", "prodtest"), cluster("d", "prod")]);
    let mut mounts: Vec<String> =
        out.of_kind("KubernetesAuthEngineRole").iter().map(|r| text(r, "/spec/path")).collect();
    mounts.sort();
    assert_eq!(mounts, ["kubernetes-local", "kubernetes-prod", "kubernetes-prodtest", "kubernetes-sno"]);
    let policies = out.names_of("Policy");
    assert_eq!(
        policies,
        [
            "openshift-gitops/gitops-local",
            "openshift-gitops/gitops-prod",
            "openshift-gitops/gitops-prodtest",
            "openshift-gitops/gitops-sno"
        ]
    );
}

#[test]
fn f11_no_secret_has_two_writers_and_none_is_taken_over_half() {
    for env in ENVIRONMENTS {
        let out = rendered(env);
        let objects = out.of_kind("VaultStaticSecret");
        let at = hydrant::error::Origin::file("x");
        let found = hydrant::stage::lint::lint_writers(objects.iter().map(|o| (o, &at)));
        assert!(found.is_empty(), "{env}: {}", found[0]);
        for secret in objects {
            assert_eq!(secret["spec"]["destination"]["overwrite"], true);
            assert!(secret["spec"]["destination"]["type"].is_string(), "a type left out changes later");
        }
    }
}

#[test]
fn f12_a_role_is_never_deleted_to_be_made_again() {
    for env in ENVIRONMENTS {
        for (path, object) in rendered(env).manifests() {
            let options = text(&object, "/metadata/annotations/argocd.argoproj.io~1sync-options");
            assert!(!options.contains("Replace") && !options.contains("Force"), "{path}: {options}");
        }
    }
}

#[test]
fn f20_every_role_says_how_long_its_tokens_live() {
    for env in ENVIRONMENTS {
        for role in rendered(env).of_kind("KubernetesAuthEngineRole") {
            assert_eq!(role["spec"]["tokenTTL"], 3600, "{env}");
        }
    }
}

#[test]
fn vault_config_comes_before_vault_runtime_and_both_before_what_reads_secrets() {
    // §B: "vault-config and vault-runtime race each other".
    let out = rendered("local");
    let wave = |name: &str| -> i64 {
        let app = out.application(&format!("{name}-local"));
        text(&app, "/metadata/annotations/argocd.argoproj.io~1sync-wave").parse().expect("a wave")
    };
    assert!(wave("vault-config") < wave("vault-runtime"));
    assert!(wave("vault-runtime") < wave("image-updater"));
    assert!(wave("vault-runtime") < wave("ci-pipelines"));
    assert!(wave("couchbase") < wave("nostr-query"));
    assert!(out.files.contains_key("local/c/apps/platform/vault-runtime.yaml"));
    assert!(out.files.contains_key("local/c/apps/applications/toy-service.yaml"), "a later layer");
}

#[test]
fn a_secret_in_a_namespace_without_a_role_is_refused_not_rendered() {
    // §C3: "no VaultAuth there and role not bound to that ns: cannot work as written".
    let values = "vault-runtime: {secrets: {route53-credentials: {enabled: true}}}\ncert-manager-config: {enabled: true}\n";
    let why = try_render(&[cluster("c", "prod").values(values)]).err().expect("refused");
    assert!(why.contains("route53-credentials") && why.contains("global.secretNamespaces"), "{why}");
    let local = rendered("local");
    let role = &local.of_kind("KubernetesAuthEngineRole")[0];
    let bound = role["spec"]["targetNamespaces"]["targetNamespaces"].as_array().expect("namespaces").clone();
    assert!(bound.contains(&json!("cert-manager")));
    assert!(local.names_of("VaultAuth").contains(&"cert-manager/k8s".to_owned()));
    assert!(local.names_of("VaultStaticSecret").contains(&"cert-manager/route53-credentials".to_owned()));
}

#[test]
fn a_switch_that_says_false_is_off() {
    // §B bug 2: `default true .x` turned an explicit false into true.
    let values = "toy-service: {enabled: false}\nvault-runtime: {enabled: false}\n";
    let out = render(&[cluster("c", "prod").values(values)]);
    let names = out.names_of("Application").join(" ");
    assert!(!names.contains("toy-service-prod") && !names.contains("vault-runtime-prod"), "{names}");
    assert!(names.contains("toy-web-prod"), "{names}");
}

#[test]
fn a_branch_of_digits_stays_a_text() {
    // §B bug 3: parameters are typed by their looks.
    let out = render(&[cluster("c", "prod").with("repo_ref: main", "repo_ref: '1234567'")]);
    for app in out.of_kind("Application") {
        let source = &app["spec"]["source"];
        assert!(source["targetRevision"].is_string(), "{source}");
        assert_eq!(source.pointer("/helm/parameters"), None);
    }
    assert!(out.files["prod/c/apps/applications/toy-web.yaml"].contains("targetRevision: \"1234567\""));
}

#[test]
fn an_environment_without_its_value_file_fails_in_the_open() {
    // §B bug 4: with ignoreMissingValueFiles, prodtest ran on what all environments share.
    let out = rendered("prodtest");
    let app = out.application("toy-service-prodtest");
    assert_eq!(
        app["spec"]["source"]["helm"]["valueFiles"],
        json!(["values-common.yaml", "values-prodtest.yaml"])
    );
    for env in ENVIRONMENTS {
        for app in rendered(env).of_kind("Application") {
            assert_eq!(app.pointer("/spec/source/helm/ignoreMissingValueFiles"), None);
        }
    }
}

#[test]
fn a_chart_from_a_repository_that_the_project_refuses_is_named_before_argo_cd_does() {
    let values = "couchbase-operator: {enabled: true}\n";
    let why = try_render(&[cluster("c", "prod").values(values)]).err().expect("refused");
    assert!(why.contains("argocd.sourceRepos") && why.contains("couchbase-partners"), "{why}");
}

#[test]
fn no_secret_data_is_in_any_file() {
    for env in ENVIRONMENTS {
        for (path, object) in rendered(env).manifests() {
            if object["kind"] == "Secret" {
                assert!(object.get("data").is_none() && object.get("stringData").is_none(), "{path}");
            }
        }
    }
}

#[test]
fn f13_image_tags_are_written_only_where_a_cluster_names_its_image() {
    const TARGET: &str = "argocd-image-updater.argoproj.io/write-back-target";
    for env in ENVIRONMENTS {
        for app in rendered(env).of_kind("Application") {
            assert_eq!(
                app["metadata"]["annotations"].get(TARGET),
                None,
                "{env}: two clusters would write one file"
            );
        }
    }
    let image = "toy-service: {imageUpdater: {image: quay.io/example-org/toy-service}}\nglobal: {platforms: 'linux/arm64'}\n";
    let out = render(&[cluster("east", "prod").values(image)]);
    let annotations = out.application("toy-service-prod")["metadata"]["annotations"].clone();
    assert_eq!(annotations[TARGET], "helmvalues:/charts/toy-service/values-prod.yaml");
    assert_eq!(
        annotations["argocd-image-updater.argoproj.io/image-list"],
        "toy-service=quay.io/example-org/toy-service"
    );
    assert_eq!(annotations["argocd-image-updater.argoproj.io/toy-service.platforms"], "linux/arm64");
    let tags = text(&annotations, "/argocd-image-updater.argoproj.io~1toy-service.allow-tags");
    assert_eq!(tags, r"regexp:^v\d+\.\d+\.\d+-commit\.g[0-9a-f]{7,}$", "the grammar of F22");
    let own = image.replace("image:", "writeTo: 'values-{env}-{cluster}.yaml', image:");
    let out = render(&[cluster("east", "prod").values(&own)]);
    let annotations = out.application("toy-service-prod")["metadata"]["annotations"].clone();
    assert_eq!(annotations[TARGET], "helmvalues:/charts/toy-service/values-prod-east.yaml");
}

#[test]
fn f13_a_pause_and_a_switch_off_stop_the_image_updater() {
    // §B bug 2: toyServiceImageUpdater.enabled=false had no effect. prodtest is paused by its overlay.
    let image = "image: quay.io/example-org/toy-service";
    let cases = [("prod", "enabled: false, "), ("prod", "pause: true, "), ("prodtest", "")];
    for (env, switch) in cases {
        let values = format!("toy-service: {{imageUpdater: {{{switch}{image}}}}}\n");
        let out = render(&[cluster("c", env).values(&values)]);
        let app = out.application(&format!("toy-service-{env}"));
        let ours = app["metadata"]["annotations"].as_object().expect("annotations");
        assert!(ours.keys().all(|k| !k.contains("image-updater")), "{env} {switch}");
    }
}

#[test]
fn replicas_of_machine_sets_are_compared_unless_an_autoscaler_sets_them() {
    let out = rendered("prod");
    let app = out.application("cluster-capacity-prod");
    assert_eq!(app["spec"].get("ignoreDifferences"), None);
    assert_eq!(app["spec"]["syncPolicy"]["automated"], json!({"prune": false, "selfHeal": true}));
    let values = "cluster-capacity: {ignoreMachineSetReplicas: true}\n";
    let app = render(&[cluster("c", "prod").values(values)]).application("cluster-capacity-prod");
    assert_eq!(app["spec"]["ignoreDifferences"][0]["jsonPointers"], json!(["/spec/replicas"]));
}
