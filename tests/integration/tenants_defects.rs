//! The defects of the original platform that rendering can mend, each by its number in the list
//! of defects (docs/tenants.md). What is a controller's, a server's or a person's is not here.

use crate::tenants_fleet::{Fleet, Output, organization, tenant};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The fixture fleet, rendered once for all tests that only look.
static OUTPUT: LazyLock<Output> = LazyLock::new(|| Fleet::of_fixtures().render());

const TENANTS: &str = "prodtest/harbour/tenants/river-works";
const ORGANIZATION: &str = "prodtest/harbour/organizations/river-works";

fn of(tenant: &str, kind: &str, name: &str) -> Value {
    OUTPUT.object(&format!("{TENANTS}/{tenant}"), kind, name)
}

fn listener() -> Value {
    OUTPUT.object(ORGANIZATION, "EventListener", "github-listener")
}

fn param<'v>(params: &'v Value, name: &str) -> &'v Value {
    params
        .as_array()
        .expect("a list")
        .iter()
        .find(|p| p["name"] == name)
        .map_or(&Value::Null, |p| &p["value"])
}

fn filter(trigger: &Value) -> String {
    param(&trigger["spec"]["interceptors"][0]["params"], "filter").as_str().expect("a filter").to_owned()
}

#[test]
fn defect_01_a_webhook_is_signed_and_runs_only_code_of_the_bound_repository() {
    let group = listener()["spec"]["triggerGroups"][0].clone();
    let params = &group["interceptors"][0]["params"];
    assert_eq!(
        *param(params, "secretRef"),
        json!({"secretName": "github-webhook-secret", "secretKey": "secret"})
    );
    assert_eq!(*param(params, "eventTypes"), json!(["push"]));
    let trigger = of("ferry", "Trigger", "ferry-trigger");
    let bindings = &trigger["spec"]["bindings"];
    assert_eq!(*param(bindings, "git-url"), "https://github.com/River-Works/ferry-api.git");
    assert!(filter(&trigger).contains("body.repository.full_name == 'River-Works/ferry-api'"));
    assert!(filter(&trigger).contains("body.ref == 'refs/heads/main'"));
    let from_body = OUTPUT.object(ORGANIZATION, "TriggerBinding", "github-push-binding");
    assert_eq!(*param(&from_body["spec"]["params"], "git-url"), Value::Null, "never from the request");
}

#[test]
fn defect_02_deleted_branches_tags_and_pings_start_no_run() {
    let trigger = of("barge", "Trigger", "barge-trigger");
    assert!(filter(&trigger).contains("body.ref == 'refs/heads/release'"), "a tag is refs/tags/…");
    assert!(filter(&trigger).contains(&format!("body.after != '{}'", "0".repeat(40))));
}

#[test]
fn defect_03_no_tenant_holds_the_secret_of_its_organization() {
    for object in OUTPUT.objects(TENANTS) {
        assert_ne!(object["metadata"]["name"], "github-webhook-secret", "{object}");
    }
    let reader = OUTPUT.object(ORGANIZATION, "Role", "eso-secrets-reader");
    assert_eq!(reader["rules"][0]["resourceNames"], json!(["org-secrets"]), "what tenants read by the store");
    let quay = OUTPUT.object("local/quay/organizations", "ExternalSecret", "github-webhook-secret");
    assert_ne!(quay["spec"]["secretStoreRef"]["name"], "org-river-works-store");
}

#[test]
fn defect_05_approved_organizations_and_zones_are_settings() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &organization("river-works")).write("bindings/b.yaml", &tenant("ferry"));
    fleet.render();
    fleet.write("hydrant.yaml", "tenants:\n  approvedOrganizations: [sea-works]\n");
    let out = fleet.path("out");
    fleet
        .run(&["render", "--out", out.to_str().expect("UTF-8")])
        .exits(2)
        .says("Repository organization 'river-works' not in approved list");
}

#[test]
fn defect_06_no_tenant_may_touch_applications_in_the_namespace_of_argo_cd() {
    for object in OUTPUT.objects(TENANTS) {
        if object["kind"] == "RoleBinding" {
            assert_ne!(object["metadata"]["namespace"], "openshift-gitops", "{object}");
        }
    }
    assert_eq!(of("ferry", "AppProject", "ferry")["spec"]["sourceNamespaces"], json!(["ferry"]));
}

#[test]
fn defect_07_an_app_project_names_exact_namespaces_and_not_what_confines_it() {
    let project = of("barge", "AppProject", "barge")["spec"].clone();
    assert_eq!(
        project["destinations"],
        json!([{"server": "https://kubernetes.default.svc", "namespace": "barge"}])
    );
    assert_eq!(project["clusterResourceWhitelist"], json!([]));
    let black = project["namespaceResourceBlacklist"].as_array().expect("a list");
    for kind in ["LimitRange", "ResourceQuota", "NetworkPolicy", "Role", "RoleBinding", "AppProject"] {
        assert!(black.iter().any(|b| b["kind"] == kind), "{kind}");
    }
    assert_eq!(of("barge", "Application", "workload-barge-prodtest")["spec"]["project"], "barge");
}

#[test]
fn defect_08_no_binding_takes_a_namespace_of_the_platform_and_harmless_names_are_free() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &organization("river-works"));
    let reserved = [
        "argocd",
        "platform-system",
        "org-sea-works",
        "kube-x",
        "cert-manager",
        "external-secrets",
        "default",
    ];
    for name in reserved {
        fleet.write("bindings/b.yaml", &tenant(name));
        fleet
            .run(&["validate"])
            .exits(2)
            .says(&format!("Cannot create namespace with privileged name '{name}'"));
    }
    for name in ["default-app", "argocd-demo", "organisation"] {
        fleet.write("bindings/b.yaml", &tenant(name));
        fleet.run(&["validate"]).exits(0);
    }
}

#[test]
fn defect_09_a_repository_has_a_label_that_is_valid_and_its_own() {
    let label = |t: &str| of(t, "Namespace", t)["metadata"]["labels"]["platform.aphex/repo"].clone();
    assert_eq!(label("ferry"), "River-Works.ferry-api");
    assert_eq!(label("barge"), "river-works.barge.io-5c74c3ea", "`barge.io_` ends badly for a label");
    use hydrant::stage::bindings::names::repository_label;
    assert_ne!(repository_label("a-b", "c"), repository_label("a", "b-c"));
    let long = repository_label("river-works", &"x".repeat(90));
    assert!(long.len() <= 63 && long != repository_label("river-works", &"x".repeat(91)));
}

/// Neither is first, so neither overwrites the other: both keep what the branch has.
#[test]
fn defect_10_two_bindings_with_one_pipeline_name_are_both_held_and_keep_their_files() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &(organization("river-works") + "---\n" + &organization("sea-works")));
    fleet.write("bindings/b.yaml", &tenant("ferry")).write("bindings/c.yaml", &tenant("tide"));
    let before = fleet.render();
    let other = tenant("ferry").replace("aphexOrg: river-works", "aphexOrg: sea-works");
    let other = other.replace("repoName: ferry", "repoName: other").replace("ferry-binding", "other-binding");
    fleet.write("bindings/d.yaml", &other);
    fleet.write("bindings/b.yaml", &tenant("ferry").replace("name: build\n", "name: compile\n"));
    fleet.write("bindings/c.yaml", &tenant("tide").replace("name: build\n", "name: compile\n"));
    let out = fleet.path("out");
    fleet
        .run(&["render", "--out", out.to_str().expect("UTF-8")])
        .exits(2)
        .says("bindings/b.yaml:1:1: pipelineName `ferry` is claimed by RepoBinding `ferry-binding` and by RepoBinding `other-binding` (bindings/d.yaml:1:1)")
        .says("bindings/d.yaml:1:1: pipelineName `ferry` is claimed by RepoBinding `other-binding` and by RepoBinding `ferry-binding` (bindings/b.yaml:1:1)");
    let changed = fleet.output().changed(&before);
    assert_eq!(changed, ["local/quay/tenants/river-works/tide/tenant-pipeline/pipeline-tide.yaml"]);
}

#[test]
fn defect_11_an_edit_of_a_binding_reaches_the_cluster() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &organization("river-works")).write("bindings/b.yaml", &tenant("ferry"));
    let before = fleet.render();
    fleet.write("bindings/b.yaml", &tenant("ferry").replace("repoName: ferry", "repoName: ferry-two"));
    let after = fleet.render();
    let trigger = after.object("local/quay/tenants", "Trigger", "ferry-trigger");
    assert!(filter(&trigger).contains("'river-works/ferry-two'"));
    assert!(!after.changed(&before).is_empty());
}

#[test]
fn defect_12_both_profiles_come_from_one_versioned_table() {
    for (tenant, profile) in [("ferry", "standard"), ("locks", "elevated")] {
        for (kind, name) in [("ResourceQuota", "tenant-quota"), ("LimitRange", "tenant-limits")] {
            let labels = of(tenant, kind, name)["metadata"]["labels"].clone();
            assert_eq!(labels["platform.aphex/permission-profile"], profile);
            assert_eq!(labels["platform.aphex/profile-version"], "v1");
        }
    }
    assert_ne!(
        of("ferry", "Role", "pipeline-runner")["rules"],
        of("locks", "Role", "pipeline-runner")["rules"],
        "elevated is no dead word"
    );
}

#[test]
fn defect_13_the_network_policy_lets_dns_pass_by_udp_and_tcp_and_not_everything() {
    let policy = of("ferry", "NetworkPolicy", "tenant-isolation")["spec"].clone();
    let dns = policy["egress"]
        .as_array()
        .expect("rules")
        .iter()
        .find(|r| {
            r["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "kube-system"
        })
        .expect("a rule for DNS");
    assert_eq!(dns["ports"], json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]));
    assert_eq!(policy["ingress"], json!([{"from": [{"podSelector": {}}]}]));
    let egress = |t: &str| of(t, "NetworkPolicy", "tenant-egress")["spec"]["egress"].clone();
    let standard = egress("ferry");
    assert_eq!(standard[0]["to"], json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]));
    assert!(standard[0]["ports"].as_array().is_some_and(|p| !p.is_empty()), "ports, not everything");
    assert_eq!(egress("barge")[0].get("ports"), None, "barge asked for it");
    let listener = of("weir", "NetworkPolicy", "github-listener")["spec"].clone();
    assert_eq!(
        listener["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"],
        json!({"kubernetes.io/metadata.name": "ingress-nginx"}),
        "the ingress controller reaches the listener"
    );
}

#[test]
fn defect_14_the_older_form_refers_to_what_exists_and_by_the_names_it_has() {
    let listener = of("weir", "EventListener", "github-listener");
    let trigger = &listener["spec"]["triggers"][0];
    let template = of("weir", "TriggerTemplate", "github-push-template");
    assert_eq!(trigger["template"]["ref"], template["metadata"]["name"]);
    assert_eq!(listener["metadata"]["namespace"], template["metadata"]["namespace"], "one namespace");
    let given = of("weir", "TriggerBinding", "github-push-binding")["spec"]["params"].clone();
    let wanted = &template["spec"]["params"];
    assert_eq!(given[0]["name"], wanted[0]["name"], "the binding gives what the template takes");
    let run = &template["spec"]["resourcetemplates"][0]["spec"];
    let reference = &run["pipelineRef"]["params"];
    assert_eq!(*param(reference, "namespace"), "pipeline-catalog", "with its namespace");
    let backend = of("weir", "Secret", "terraform-backend-config");
    assert_eq!(run["workspaces"][1]["secret"]["secretName"], backend["metadata"]["name"], "one name");
    let ingress = of("weir", "Ingress", "github-webhook");
    assert_eq!(ingress["spec"]["tls"][0]["hosts"], json!(["barge-hooks.river.example"]));
}

#[test]
fn defect_15_the_repository_is_passed_as_a_string() {
    let template = of("ferry", "TriggerTemplate", "ferry-trigger-template");
    let run = &template["spec"]["resourcetemplates"][0]["spec"];
    assert_eq!(*param(&run["params"], "repo-full-name"), "$(tt.params.repo-full-name)");
}

#[test]
fn defect_16_the_listener_carries_no_list_of_tenants() {
    let spec = listener()["spec"].clone();
    assert_eq!(spec.get("namespaceSelector"), None);
    assert_eq!(spec["triggerGroups"][0]["triggerSelector"].get("namespaceSelector"), None);
    assert_eq!(of("ferry", "Trigger", "ferry-trigger")["metadata"]["namespace"], "org-river-works");
}

#[test]
fn defect_17_a_run_stands_in_its_tenants_namespace_whatever_else_is_called_like_it() {
    let bindings = of("ferry", "Trigger", "ferry-trigger")["spec"]["bindings"].clone();
    assert_eq!(*param(&bindings, "pipeline-namespace"), "ferry");
    assert_eq!(of("ferry", "Pipeline", "ferry")["metadata"]["namespace"], "ferry");
}

#[test]
fn defect_18_the_listener_follows_its_account_and_waits_on_no_tunnel() {
    let wave = |kind: &str, name: &str| {
        let object = OUTPUT.object(ORGANIZATION, kind, name);
        let text = object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].clone();
        text.as_str().unwrap_or("0").parse::<i64>().expect("a wave")
    };
    let listener = wave("EventListener", "github-listener");
    assert!(wave("Namespace", "org-river-works") < wave("ServiceAccount", "eventlistener"));
    assert!(wave("ServiceAccount", "eventlistener") < listener);
    assert!(wave("Role", "organization-admin") <= listener);
    for (kind, name) in [
        ("Deployment", "cloudflared-river-works"),
        ("VaultStaticSecret", "cloudflared-credentials-river-works"),
        ("VaultStaticSecret", "github-webhook-secret"),
        ("ClusterSecretStore", "org-river-works-store"),
    ] {
        assert!(wave(kind, name) > listener, "{kind} {name}");
    }
}

#[test]
fn defect_19_a_namespace_carries_our_keys_only() {
    let namespace = of("ferry", "Namespace", "ferry");
    let labels: Vec<&String> = namespace["metadata"]["labels"].as_object().expect("labels").keys().collect();
    assert!(
        labels.iter().all(|k| k.starts_with("platform.aphex/")
            || k.starts_with("hydrant.dev/")
            || *k == "aphex.dev/org"),
        "{labels:?}"
    );
    assert_eq!(namespace["metadata"].get("annotations"), None);
}

#[test]
fn defect_20_an_admin_taken_off_the_list_loses_access_and_none_has_all_rights() {
    let fleet = Fleet::of_one_cluster();
    let two = organization("river-works")
        .replace("ada@river-works.example", "ada@river-works.example, eve@river-works.example");
    fleet.write("bindings/a.yaml", &two);
    let admins = |o: &Output| {
        o.names("local/quay/organizations").iter().filter(|n| n.contains("organization-admin-")).count()
    };
    assert_eq!(admins(&fleet.render()), 2);
    fleet.write("bindings/a.yaml", &organization("river-works"));
    assert_eq!(admins(&fleet.render()), 1);
    let role = OUTPUT.object(ORGANIZATION, "Role", "organization-admin");
    assert!(!role["rules"].to_string().contains('*'), "{role}");
}

#[test]
fn defect_21_no_secret_of_a_binding_reaches_a_message_or_a_file() {
    let fleet = Fleet::of_one_cluster();
    let secret = "horse-battery-staple-17";
    fleet.write("bindings/a.yaml", &(organization("river-works") + &format!("  webhookSecret: {secret}\n")));
    let out = fleet.path("out");
    let ran = fleet.run(&["render", "--out", out.to_str().expect("UTF-8")]).exits(2).says("in plain text");
    assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret));
    fleet.write("hydrant.yaml", "tenants:\n  plainWebhookSecret: drop\n");
    let output = fleet.render();
    assert!(output.files.values().all(|text| !text.contains(secret)));
}

#[test]
fn defect_24_a_pipeline_spec_is_parsed_strictly_and_its_older_version_is_refused_with_the_conversion() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &organization("river-works"));
    let says = |from: &str, to: &str, message: &str| {
        let edited = tenant("ferry").replace(from, to);
        assert_ne!(edited, tenant("ferry"), "{from}");
        fleet.write("bindings/b.yaml", &edited);
        fleet.run(&["validate"]).exits(2).says(message);
    };
    says("tekton.dev/v1\n", "tekton.dev/v1beta1\n", "expected v1, got v1beta1");
    says("tekton.dev/v1\n", "tekton.dev/v1beta1\n", "hint: ");
    // The original looked for three words in the text, and this has all of them.
    says(
        "    kind: Pipeline\n",
        "    kind: ConfigMap\n    metadata: {labels: {kind: Pipeline}}\n",
        "expected Pipeline, got ConfigMap",
    );
    says(
        "          taskRef: {name: build}\n",
        "          taskRef: {name: build}\n    ---\n    kind: Secret\n",
        "a second document in a pipelineSpec, which takes one",
    );
    says("      tasks:\n", "      tsks: []\n      tasks:\n", "tsks");
}

#[test]
fn defect_25_there_is_one_form_of_phases_groups_and_labels_and_older_ones_are_converted() {
    let fleet = Fleet::of_one_cluster();
    fleet.write(
        "bindings/a.yaml",
        &organization("river-works").replace("aphex.io/v1alpha1", "arbiter.io/v1alpha1"),
    );
    fleet.write(
        "bindings/b.yaml",
        "apiVersion: platform.arbiter.io/v1alpha1\nkind: RepoBinding\nmetadata: {name: tide}\nspec: {repoOrg: river-works, repoName: tide, tenantName: tide}\n",
    );
    fleet.run(&["validate"]).exits(0).says("is an older group").says("in an older form");
    let output = fleet.render();
    for object in output.objects("local/quay/") {
        let labels = object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let old = |k: &&String| {
            k.starts_with("platform.arbiter.io") || k.starts_with("arbiter.io") || k.starts_with("aphex/")
        };
        assert_eq!(labels.keys().find(old), None, "{object}");
    }
    let all = fleet.run(&["status", "--format", "json"]).exits(0);
    let all: Vec<Value> = serde_json::from_str(&all.stdout).expect("JSON");
    for status in all {
        let phase = status["status"]["phase"].as_str().expect("a phase");
        assert!(["Pending", "Provisioning", "Ready", "Failed"].contains(&phase), "{status}");
    }
    // One rule for paths, by components: `.kiro/docs-x` is not below `.kiro/docs`.
    fleet.write(
        "bindings/c.yaml",
        "apiVersion: aphex.io/v1alpha1\nkind: KnowledgeBase\nmetadata: {name: docs}\nspec: {displayName: d, repositories: [{url: https://github.com/a/b, paths: [.kiro/docs-x]}]}\n",
    );
    fleet.run(&["validate"]).exits(2).says("path must start with .kiro/docs");
}

#[test]
fn defect_28_no_image_of_ours_is_latest() {
    let mut images = 0;
    for object in OUTPUT.objects(ORGANIZATION) {
        for container in
            object.pointer("/spec/template/spec/containers").and_then(Value::as_array).into_iter().flatten()
        {
            let image = container["image"].as_str().expect("an image");
            assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
            images += 1;
        }
    }
    assert!(images > 0);
}

/// The acceptance list of the original's own tests, held against what Hydrant says of a failed
/// binding and of one that is held where it would be rendered. What a failed sync says is in the
/// tests of the sync stage (`a_report_names_objects_as_kubectl_takes_them_and_the_mend`).
#[test]
fn defect_29_a_failure_names_what_failed_why_and_where() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &organization("river-works"));
    fleet.write("bindings/b.yaml", &tenant("ferry").replace("repoName: ferry", "repoName: 'a/b'"));
    fleet.write("bindings/c.yaml", &tenant("tide"));
    fleet.write("templates/tenants/extra/component.yaml", "scope: tenant\n");
    fleet.write(
        "templates/tenants/extra/x.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ fail(\"no room for \" ~ tenant.name) }}\n",
    );
    let ran = fleet.run(&["status", "--format", "json"]).exits(0);
    let all: Vec<Value> = serde_json::from_str(&ran.stdout).expect("JSON");
    let of = |name: &str| all.iter().find(|s| s["name"] == name).expect("a status").clone();
    let ferry = of("ferry");
    assert_eq!(ferry["kind"], "RepoBinding");
    assert_eq!(ferry["at"], "bindings/b.yaml:1:1");
    assert_eq!(ferry["status"]["phase"], "Failed");
    assert_eq!(
        ferry["status"]["message"],
        "Validation failed: repoName: repoName must be a valid GitHub repository name"
    );
    let tide = of("tide");
    assert_eq!(tide["status"]["phase"], "Failed");
    let message = tide["status"]["message"].as_str().expect("a message");
    assert!(
        message.starts_with("Failed to provision on local/quay: ") && message.contains("no room for tide"),
        "{message}"
    );
    assert_eq!(of("river-works")["status"]["phase"], "Pending", "its tenants' failures are not its own");
}

#[test]
fn defect_30_only_namespaces_of_the_organization_get_the_label_that_its_store_trusts() {
    let store = OUTPUT.object(ORGANIZATION, "ClusterSecretStore", "org-river-works-store");
    assert_eq!(
        store["spec"]["conditions"][0]["namespaceSelector"]["matchLabels"],
        json!({"aphex.dev/org": "river-works"})
    );
    let labelled: Vec<String> = OUTPUT
        .objects("prodtest/harbour/")
        .iter()
        .filter(|o| o["kind"] == "Namespace" && o["metadata"]["labels"]["aphex.dev/org"] == "river-works")
        .map(|o| o["metadata"]["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(labelled, ["org-river-works", "barge", "ferry", "locks", "tide", "weir"]);
    let project = of("ferry", "AppProject", "ferry");
    assert_eq!(project["spec"]["clusterResourceWhitelist"], json!([]), "no tenant brings a Namespace");
}
