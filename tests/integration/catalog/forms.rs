//! The forms that were seen to work (`observed` §3 and the "Rendering" sentences of its §7).

use super::{cluster, render, render_with, rendered, text, try_render};
use serde_json::json;

#[test]
fn a_secret_keeps_its_last_data_when_a_key_is_gone() {
    // Rows 24, 31, 37 and rule 2: a deleted KV entry empties the Secret and all stays green.
    for env in ["local", "sno", "prodtest", "prod"] {
        let out = rendered(env);
        let secrets = out.of_kind("VaultStaticSecret");
        assert!(secrets.len() >= 6, "{env}");
        for secret in secrets {
            let how = &secret["spec"]["destination"]["transformation"];
            assert_eq!(how["excludeRaw"], true, "{secret}");
            assert_eq!(how["excludes"], json!([".*"]), "{secret}");
            let templates = how["templates"].as_object().expect("templates");
            assert!(!templates.is_empty());
            for (key, template) in templates {
                let text = text(template, "/text");
                assert!(text.contains("fail \""), "{key}: {text}");
                assert!(
                    !text.ends_with('\n') && text.starts_with("{{-"),
                    "{key} would end with a line break"
                );
            }
        }
    }
}

#[test]
fn a_guard_is_the_text_that_was_seen_to_work() {
    let out = rendered("prodtest");
    let secret = out.object(
        "prodtest/c/platform/vault-runtime/openshift-pipelines/vaultstaticsecret-github-webhook-secret.yaml",
    );
    assert_eq!(
        text(&secret, "/spec/destination/transformation/templates/token/text"),
        r#"{{- if not (hasKey .Secrets "token") -}}{{- fail "key token is missing" -}}{{- end -}}{{- get .Secrets "token" -}}"#
    );
    let quay =
        out.object("prodtest/c/platform/vault-runtime/openshift-pipelines/vaultstaticsecret-quay-auth.yaml");
    assert_eq!(text(&quay, "/spec/destination/type"), "kubernetes.io/dockerconfigjson");
    assert_eq!(quay["spec"]["destination"]["annotations"], json!({"tekton.dev/docker-0": "https://quay.io"}));
    assert_eq!(
        text(&quay, "/spec/destination/transformation/templates/.dockerconfigjson/text"),
        r#"{{- $v := get .Secrets "dockerconfigjson" -}}{{- if not $v -}}{{- $v = get .Secrets ".dockerconfigjson" -}}{{- end -}}{{- if not $v -}}{{- fail "no dockerconfigjson key" -}}{{- end -}}{{- if kindIs "string" $v -}}{{ $v }}{{- else -}}{{ toJson $v }}{{- end -}}"#
    );
}

#[test]
fn create_overwrite_mac_and_interval_are_written_out() {
    // Row 23: without refreshAfter a secret is read every 60 s, or never.
    for secret in rendered("local").of_kind("VaultStaticSecret") {
        let destination = &secret["spec"]["destination"];
        assert_eq!(destination["create"], true);
        assert_eq!(destination["overwrite"], true);
        assert_eq!(secret["spec"]["hmacSecretData"], true);
        assert_eq!(secret["spec"]["refreshAfter"], "60s");
        assert_eq!(secret["spec"]["type"], "kv-v2");
        assert_eq!(secret["spec"]["vaultAuthRef"], "k8s");
    }
    let slower = render(&[cluster("c", "prod").values("vault: {refreshAfter: 5m}\n")]);
    assert!(slower.of_kind("VaultStaticSecret").iter().all(|s| s["spec"]["refreshAfter"] == "5m"));
}

#[test]
fn an_interval_of_two_units_is_refused_before_it_is_rendered() {
    let values = "vault-runtime: {secrets: {quay-auth: {refreshAfter: 1h30m}}}\n";
    let why = try_render(&[cluster("c", "prod").values(values)]).err().expect("refused");
    assert!(why.contains("vault-runtime.secrets.quay-auth.refreshAfter"), "{why}");
}

#[test]
fn a_secret_is_added_by_values_alone_and_a_key_nobody_reads_is_refused() {
    let values = "vault-runtime:\n  secrets:\n    my-api:\n      namespace: app\n      path: services/my/api\n      keys: [API_KEY]\n      labels: {team: mine}\n";
    let out = render(&[cluster("c", "prod").values(values)]);
    let secret = out.object("prod/c/platform/vault-runtime/bitiq-prod/vaultstaticsecret-my-api.yaml");
    assert_eq!(secret["spec"]["path"], "services/my/api");
    assert_eq!(secret["spec"]["destination"]["labels"], json!({"team": "mine"}));
    assert!(
        text(&secret, "/spec/destination/transformation/templates/API_KEY/text")
            .contains("key API_KEY is missing")
    );
    let why =
        try_render(&[cluster("c", "prod").values(&values.replace("keys:", "kyes:"))]).err().expect("refused");
    assert!(why.contains("my-api") && why.contains("kyes"), "{why}");
}

#[test]
fn a_data_folder_in_a_path_is_refused() {
    // F10: `data/` before the path lands at data/data in Vault, where nothing is.
    let values = "vault-runtime: {secrets: {quay-auth: {path: data/registry/quay}}}\n";
    let why = try_render(&[cluster("c", "prod").values(values)]).err().expect("refused");
    assert!(why.contains("quay-auth"), "{why}");
}

#[test]
fn restarts_stand_only_where_the_secret_is_ours_to_make() {
    let out = rendered("prodtest");
    let with_targets: Vec<_> = out
        .of_kind("VaultStaticSecret")
        .into_iter()
        .filter(|s| s["spec"].get("rolloutRestartTargets").is_some())
        .collect();
    assert_eq!(with_targets.len(), 1);
    assert_eq!(with_targets[0]["metadata"]["name"], "toy-service-config");
    assert_eq!(
        with_targets[0]["spec"]["rolloutRestartTargets"],
        json!([{"kind": "Deployment", "name": "toy-service"}])
    );
    assert_eq!(with_targets[0]["spec"]["destination"]["create"], true);
}

#[test]
fn a_vault_auth_has_all_four_fields_and_a_mount_without_auth() {
    // Row 22: no schema requires them, and the object is green without.
    for auth in rendered("prodtest").of_kind("VaultAuth") {
        assert_eq!(auth["spec"]["mount"], "kubernetes-prodtest");
        assert_eq!(auth["spec"]["vaultConnectionRef"], "vault");
        assert_eq!(auth["spec"]["kubernetes"]["role"], "gitops-prodtest");
        assert_eq!(auth["spec"]["kubernetes"]["serviceAccount"], "default");
        assert_eq!(auth["spec"]["kubernetes"].get("audiences"), None);
    }
}

#[test]
fn a_private_ca_is_referred_to_by_name() {
    // Row 20: caCertSecretRef is a text, not an object.
    let out = render(&[cluster("c", "prodtest").values("vault: {caCertSecret: vault-ca}\n")]);
    let connections = out.of_kind("VaultConnection");
    assert_eq!(connections.len(), 3);
    assert!(connections.iter().all(|c| c["spec"]["caCertSecretRef"] == "vault-ca"));
    assert!(
        rendered("prodtest")
            .of_kind("VaultConnection")
            .iter()
            .all(|c| c["spec"].get("caCertSecretRef").is_none())
    );
}

#[test]
fn the_policy_and_the_role_are_those_that_worked() {
    let out = rendered("prodtest");
    let policy = out.object("prodtest/c/platform/vault-config/policy-gitops-prodtest.yaml");
    assert_eq!(policy["spec"]["type"], "acl");
    assert_eq!(
        text(&policy, "/spec/policy"),
        "path \"gitops/data/*\" { capabilities = [\"read\", \"list\"] }\npath \"gitops/metadata/*\" { capabilities = [\"read\", \"list\"] }\n"
    );
    let role = out.object("prodtest/c/platform/vault-config/kubernetesauthenginerole-gitops-prodtest.yaml");
    assert_eq!(role["spec"]["path"], "kubernetes-prodtest");
    assert_eq!(role["spec"]["policies"], json!(["gitops-prodtest"]));
    assert_eq!(role["spec"]["targetServiceAccounts"], json!(["default"]));
    assert_eq!(
        role["spec"]["targetNamespaces"],
        json!({"targetNamespaces": ["openshift-gitops", "openshift-pipelines", "bitiq-prodtest"]})
    );
}

#[test]
fn a_prefix_keeps_the_clusters_of_one_vault_apart() {
    let out = render(&[cluster("c", "prodtest").values("global: {secretPrefix: prodtest/}\n")]);
    let policy = text(&out.of_kind("Policy")[0], "/spec/policy");
    assert!(policy.contains("path \"gitops/data/prodtest/*\""), "{policy}");
    assert!(out.of_kind("VaultStaticSecret").iter().all(|s| text(s, "/spec/path").starts_with("prodtest/")));
}

#[test]
fn policies_are_named_after_the_mount_because_they_are_vault_wide() {
    // §7: with two clusters of one env the CR's deletion in one removes the policy of the other.
    let two = [
        cluster("east", "prodtest").values("vault: {kubernetesMount: kubernetes-east}\n"),
        cluster("west", "prodtest").values("vault: {kubernetesMount: kubernetes-west}\n"),
    ];
    let names = render(&two).names_of("Policy");
    assert_eq!(names, ["openshift-gitops/gitops-east", "openshift-gitops/gitops-west"]);
}

#[test]
fn the_reviewer_has_a_token_that_does_not_expire_and_no_data_in_git() {
    // C5 and F6: a token of `create token` ends after a day.
    let out = rendered("prodtest");
    let folder = "prodtest/c/infrastructure/vault-token-reviewer";
    let secret = out.object(&format!("{folder}/secret-vault-token-reviewer.yaml"));
    assert_eq!(secret["type"], "kubernetes.io/service-account-token");
    assert_eq!(
        text(&secret, "/metadata/annotations/kubernetes.io~1service-account.name"),
        "vault-token-reviewer"
    );
    assert!(secret.get("data").is_none() && secret.get("stringData").is_none());
    let account = out.object(&format!("{folder}/serviceaccount-vault-token-reviewer.yaml"));
    assert_eq!(account["metadata"]["namespace"], "openshift-gitops");
    let binding =
        out.object(&format!("{folder}/clusterrolebinding-vault-token-reviewer-auth-delegator.yaml"));
    assert_eq!(binding["roleRef"]["name"], "system:auth-delegator");
    assert_eq!(binding["subjects"][0]["name"], "vault-token-reviewer");
    assert_eq!(binding["subjects"][0]["namespace"], "openshift-gitops");
}

#[test]
fn the_project_allows_the_cluster_and_names_its_repositories() {
    let out = rendered("local");
    let project = out.object("local/c/bootstrap/argocd-project/appproject-hydrant-local.yaml");
    assert_eq!(
        project["spec"]["destinations"],
        json!([{"server": "https://kubernetes.default.svc", "namespace": "*"}])
    );
    let repos =
        ["https://github.com/example-org/gitops.git", "https://couchbase-partners.github.io/helm-charts"];
    assert_eq!(project["spec"]["sourceRepos"], json!(repos));
    assert_eq!(project["spec"]["clusterResourceWhitelist"], json!([{"group": "*", "kind": "*"}]));
    assert_eq!(out.application("argocd-project-local")["spec"]["project"], "default");
    assert_eq!(out.application("namespaces-local")["spec"]["project"], "hydrant-local");
}

#[test]
fn namespaces_stand_only_where_they_are_needed_and_are_never_deleted() {
    let local = rendered("local");
    assert_eq!(
        local.names_of("Namespace"),
        ["/bitiq-local", "/cert-manager", "/openshift-pipelines", "/vault-dev"]
    );
    let prodtest = rendered("prodtest");
    assert_eq!(prodtest.names_of("Namespace"), ["/bitiq-prodtest", "/openshift-pipelines"]);
    for namespace in local.of_kind("Namespace") {
        let annotations = &namespace["metadata"]["annotations"];
        assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
        assert_eq!(namespace["metadata"]["labels"]["argocd.argoproj.io/managed-by"], "openshift-gitops");
    }
    assert_eq!(local.application("namespaces-local")["metadata"].get("finalizers"), None);
}

#[test]
fn argo_cds_controller_may_write_in_each_namespace_by_the_name_it_has_there() {
    let openshift = rendered("local");
    let bindings = openshift.of_kind("RoleBinding");
    assert_eq!(bindings.len(), 4);
    for binding in bindings {
        assert_eq!(binding["metadata"]["name"], "argocd-app-admin");
        assert_eq!(binding["roleRef"]["name"], "admin");
        assert_eq!(binding["subjects"][0]["name"], "openshift-gitops-argocd-application-controller");
        assert_eq!(binding["subjects"][0]["namespace"], "openshift-gitops");
    }
    let kind = render(&[cluster("c", "sno").with("crc", "kind")]);
    for binding in kind.of_kind("RoleBinding") {
        assert_eq!(binding["subjects"][0]["name"], "argocd-application-controller");
        assert_eq!(binding["subjects"][0]["namespace"], "argocd");
    }
    let hub = "argocd: {instance: hub, destination: 'https://api.c.example.com:6443', applicationName: {component: '{component}-{cluster}', layer: '{layer}-{cluster}', root: 'root-{cluster}'}}\n";
    assert_eq!(render(&[cluster("c", "sno").values(hub)]).names_of("RoleBinding"), [""; 0]);
}

#[test]
fn a_fleets_own_template_is_judged_by_the_same_rules() {
    let component = "description: ours\nnamespace: mine\n";
    let secret = "apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultStaticSecret
metadata: {name: s, namespace: mine}
spec:
  vaultAuthRef: k8s
  mount: gitops
  type: kv-v2
  path: data/services/mine
  refreshAfter: 1h30m
  destination: {name: s, create: false, transformation: {excludeRaw: true}}
  rolloutRestartTargets: [{kind: Deployment, name: mine}]
";
    let files = [
        ("templates/platform/mine/component.yaml", component),
        ("templates/platform/mine/secret.yaml", secret),
    ];
    let why = render_with(&[cluster("c", "prod")], &files).err().expect("refused");
    for part in [
        "templates/platform/mine/secret.yaml:1",
        "spec.path",
        "spec.refreshAfter",
        "spec.rolloutRestartTargets",
    ] {
        assert!(why.contains(part), "no {part} in {why}");
    }
}

#[test]
fn two_clusters_that_would_share_a_mount_are_refused_with_the_edit() {
    let why = try_render(&[cluster("east", "prodtest"), cluster("west", "prodtest")]).err().expect("refused");
    for part in
        ["prodtest/east", "prodtest/west", "`kubernetes-prodtest`", "kubernetesMount: kubernetes-east"]
    {
        assert!(why.contains(part), "no {part} in {why}");
    }
}

#[test]
fn a_secret_says_which_keys_it_holds() {
    let values = "vault-runtime:\n  secrets:\n    my-api: {namespace: app, path: services/my/api}\n";
    let why = try_render(&[cluster("c", "prod").values(values)]).err().expect("refused");
    assert!(why.contains("clusters/c/values.yaml:3:5") && why.contains("keys"), "{why}");
}
