//! What people ask about bindings: `explain binding`, `explain secrets`, `status`; and how a
//! tenant leaves.

use crate::common::{Ran, hydrant};
use crate::tenants_fleet::{Fleet, organization, tenant};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};

fn of_two_tenants() -> Fleet {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/org.yaml", &organization("river-works"));
    fleet.write("bindings/ferry.yaml", &tenant("ferry")).write("bindings/tide.yaml", &tenant("tide"));
    fleet
}

fn deliver(fleet: &Fleet, more: &[&str]) -> Ran {
    let repo = fleet.path("repo");
    let mut args = vec!["run", "--repo", repo.to_str().expect("UTF-8")];
    args.extend(more);
    fleet.run(&args)
}

fn status(fleet: &Fleet, env: &[(&str, &str)]) -> Vec<Value> {
    let (repo, dir) = (fleet.path("repo"), fleet.path("fleet"));
    let text = |p: &std::path::Path| p.to_str().expect("UTF-8").to_owned();
    let (repo, dir) = (text(&repo), text(&dir));
    let mut call = hydrant(&["status", "--format", "json", "--repo", &repo, "--fleet", &dir]);
    for (key, value) in env {
        call = call.env(key, value);
    }
    let ran = call.run().exits(0);
    serde_json::from_str(&ran.stdout).expect("JSON")
}

fn phase<'s>(all: &'s [Value], name: &str) -> (&'s str, &'s str) {
    let found = all.iter().find(|s| s["name"] == name).unwrap_or_else(|| panic!("no {name} in {all:#?}"));
    (
        found["status"]["phase"].as_str().expect("a phase"),
        found["status"]["message"].as_str().expect("a message"),
    )
}

/// Answers like an Argo CD in which every Application stands so.
fn argocd(sync: &'static str, health: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let mut first = String::new();
                    if reader.read_line(&mut first).unwrap_or(0) == 0 {
                        return;
                    }
                    let mut line = String::new();
                    while reader.read_line(&mut line).unwrap_or(0) > 2 {
                        line.clear();
                    }
                    let name = first.split(['/', '?', ' ']).nth(5).unwrap_or_default();
                    let body = serde_json::json!({
                        "metadata": {"name": name},
                        "spec": {},
                        "status": {"sync": {"status": sync}, "health": {"status": health}},
                    })
                    .to_string();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    if reader.get_mut().write_all((head + &body).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn explain_binding_lists_every_object_and_what_it_may_do() {
    let fleet = Fleet::of_fixtures();
    fleet
        .run(&["explain", "binding", "barge"])
        .exits(0)
        .shows("tenant/barge (bindings/river-works/barge.yaml:1:1, binding barge-binding)")
        .shows("# prodtest/harbour: 20 objects")
        .shows("tenants/river-works/barge/tenant-limits/resourcequota-tenant-quota.yaml")
        .shows("builtin:templates/tenants/tenant-limits/limits.yaml:1")
        .shows("barge/pipeline-runner may get, list, watch namespaces, nodes, persistentvolumes on the whole cluster")
        .shows("namespace barge may use at most limits.cpu 8")
        .shows("all pods in namespace barge reach 0.0.0.0/0 or ::/0 (any port)")
        .shows("its Applications bring nothing that is cluster-scoped")
        .shows("org-river-works/eventlistener may create pipelineruns of tekton.dev in namespace barge");
    fleet
        .run(&["explain", "binding", "river-docs"])
        .exits(0)
        .shows("  - nothing: it brings no rights, no quota and no network rule");
    fleet
        .run(&["explain", "binding", "organization/river-works"])
        .exits(0)
        .shows("claims     tunnel id `6f1f7f64");
}

#[test]
fn explain_binding_says_what_is_wrong_with_a_failed_one_and_suggests_for_a_missing_one() {
    let fleet = of_two_tenants();
    fleet.write("bindings/ferry.yaml", &tenant("ferry").replace("run-pipeline-v1", "nope"));
    fleet.run(&["explain", "binding", "ferry"]).exits(2).says("Template \"nope\" not found in catalog");
    fleet.run(&["explain", "binding", "tied"]).exits(2).says("did you mean `tide`?");
}

#[test]
fn explain_secrets_names_paths_and_never_values() {
    let fleet = Fleet::of_fixtures();
    let ran = fleet
        .run(&["explain", "secrets"])
        .exits(0)
        .shows("vault gitops/organizations/river-works/github-webhook")
        .shows("store platform: organizations/river-works/github-webhook#secret")
        .shows("weir/webhook-weir");
    assert!(
        ran.stdout
            .lines()
            .any(|l| l.starts_with("org-river-works/org-secrets") && l.contains("made by hand"))
    );
    let json = fleet.run(&["explain", "secrets", "--format", "json", "--cluster", "quay"]).exits(0);
    let all: Vec<Value> = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(all.iter().all(|r| r["cluster"] == "local/quay"));
    assert!(all.iter().any(|r| r["keys"] == serde_json::json!(["backend.tf"])));
}

#[test]
fn a_binding_goes_from_pending_over_provisioning_to_ready() {
    let fleet = of_two_tenants();
    fleet.write("bindings/bad.yaml", &tenant("barge").replace("repoOrg: river-works", "repoOrg: bad-"));
    fleet.write(
        "bindings/waits.yaml",
        &tenant("raft").replace("aphexOrg: river-works", "aphexOrg: sea-works"),
    );
    deliver(&fleet, &[]).exits(5);
    fleet.write("bindings/tide.yaml", &tenant("tide").replace("name: build\n", "name: compile\n"));
    let all = status(&fleet, &[]);
    assert_eq!(phase(&all, "ferry").0, "Provisioning");
    assert_eq!(phase(&all, "tide"), ("Pending", "not delivered yet to local/quay"));
    assert_eq!(
        phase(&all, "barge"),
        ("Failed", "Validation failed: repoOrg: repoOrg must be a valid GitHub organization name")
    );
    assert_eq!(phase(&all, "raft").0, "Pending");
    assert!(phase(&all, "raft").1.starts_with("waiting for Organization \"sea-works\""));
    let healthy = argocd("Synced", "Healthy");
    let all = status(&fleet, &[("ARGOCD_API_URL", &healthy), ("ARGOCD_API_TOKEN", "t")]);
    assert_eq!(phase(&all, "ferry"), ("Ready", "Tenant resources provisioned successfully"));
    assert_eq!(phase(&all, "river-works"), ("Ready", "Organization provisioned successfully"));
    let ferry = all.iter().find(|s| s["name"] == "ferry").expect("ferry");
    for condition in ["NamespaceReady", "RBACReady", "NetworkPolicyReady", "EventListenerReady"] {
        let found =
            ferry["status"]["conditions"].as_array().expect("a list").iter().find(|c| c["type"] == condition);
        assert_eq!(found.expect("a condition")["status"], "True", "{condition}");
    }
    assert_eq!(ferry["status"]["provisionedResources"]["resourceQuota"], true);
    let sick = argocd("Synced", "Degraded");
    let all = status(&fleet, &[("ARGOCD_API_URL", &sick), ("ARGOCD_API_TOKEN", "t")]);
    assert_eq!(phase(&all, "ferry"), ("Failed", "Degraded on local/quay"));
    // The server and its token as hydrant.yaml names them, with an alert that nobody gets.
    let settings = format!(
        "argocd:\n  default: {{url: '{healthy}', tokenEnv: OUR_TOKEN}}\n  alerts: [{{urlEnv: NOT_SET}}]\n"
    );
    fleet.write("hydrant.yaml", &settings);
    let all = status(&fleet, &[("OUR_TOKEN", "t")]);
    assert_eq!(phase(&all, "ferry").0, "Ready");
}

/// What is held says so, whatever the branch has: a held cluster gives no files to compare.
#[test]
fn a_binding_is_failed_where_its_cluster_or_its_organization_is_held() {
    let fleet = of_two_tenants();
    deliver(&fleet, &[]).exits(0);
    fleet.write("clusters/quay/values.yaml", "vault:\n  address: ''\nglobl: {}\n");
    let all = status(&fleet, &[]);
    assert_ne!(phase(&all, "ferry").0, "Provisioning", "nobody knows what should stand there");
    let own = fleet.text("clusters/quay/cluster.yaml");
    fleet.write("clusters/pier/cluster.yaml", &own.replace("name: quay", "name: pier"));
    let vault = "vault:\n  address: https://vault.example.com\n";
    fleet.write("clusters/pier/values.yaml", vault).write("clusters/quay/values.yaml", vault);
    let all = status(&fleet, &[]);
    let (phase, message) = phase(&all, "ferry");
    assert_eq!(phase, "Failed");
    assert!(message.contains("the Vault auth mount `kubernetes-local`"), "{message}");
}

#[test]
fn defect_04_the_webhook_url_is_that_of_the_bound_organization_and_its_secret_only_a_name() {
    let fleet = Fleet::of_fixtures();
    deliver(&fleet, &["-q"]).exits(0);
    let all = status(&fleet, &[]);
    let barge = all.iter().find(|s| s["name"] == "barge").expect("barge");
    assert_eq!(
        barge["status"]["webhookConfiguration"],
        serde_json::json!({"url": "https://river-works.hooks.river.example", "secret": "org-river-works/github-webhook-secret", "events": ["push"]})
    );
    let org = all.iter().find(|s| s["name"] == "river-works").expect("the organization");
    assert_eq!(org["status"]["webhookURL"], "https://river-works.hooks.river.example");
    assert_eq!(org["status"]["namespace"], "org-river-works");
    let weir = all.iter().find(|s| s["name"] == "weir").expect("weir");
    assert_eq!(weir["status"]["webhookConfiguration"]["url"], "https://barge-hooks.river.example/weir");
}

#[test]
fn a_tenant_leaves_only_when_a_person_says_so_and_the_last_one_can() {
    let fleet = of_two_tenants();
    deliver(&fleet, &[]).exits(0);
    fleet.remove("bindings/tide.yaml");
    deliver(&fleet, &[]).exits(4).says("tenant/tide");
    deliver(&fleet, &["--allow-delete", "tenant/tide"]).exits(0);
    fleet.remove("bindings/ferry.yaml");
    deliver(&fleet, &["--allow-delete", "tenant/ferry"]).exits(0);
    let repo = fleet.path("repo");
    let list = std::process::Command::new("git")
        .args(["ls-tree", "-r", "--name-only", "main"])
        .current_dir(&repo)
        .output()
        .expect("git");
    let files = String::from_utf8(list.stdout).expect("UTF-8");
    assert!(!files.contains("/tenants/river-works/"), "{files}");
    assert!(files.contains("apps/tenants/.keep"), "the layer's Application still has its folder");
    let layer = std::process::Command::new("git")
        .args(["show", "main:local/quay/apps/tenants-apps.yaml"])
        .current_dir(&repo)
        .output()
        .expect("git");
    assert!(String::from_utf8_lossy(&layer.stdout).contains("allowEmpty: true"));
}

#[test]
fn an_organization_does_not_leave_before_its_bindings() {
    let fleet = of_two_tenants();
    deliver(&fleet, &[]).exits(0);
    fleet.remove("bindings/org.yaml");
    deliver(&fleet, &["--allow-delete", "organization/river-works"])
        .says("Organization `river-works` has RepoBindings left and does not exist: ferry, tide");
    let list = std::process::Command::new("git")
        .args(["ls-tree", "-r", "--name-only", "main"])
        .current_dir(fleet.path("repo"))
        .output()
        .expect("git");
    let files = String::from_utf8(list.stdout).expect("UTF-8");
    assert!(files.contains("organizations/river-works/org-namespace/namespace-org-river-works.yaml"));
    assert!(files.contains("tenants/river-works/tide/tenant-namespace/namespace-tide.yaml"));
}
