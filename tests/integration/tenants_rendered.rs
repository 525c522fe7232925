//! What bindings give, through the built binary: the resources, one tenant at a time, deletion.

use crate::tenants_fleet::{Fleet, organization, tenant};
use serde_json::json;

const FERRY: &str = "prodtest/harbour/tenants/river-works/ferry";

#[test]
fn an_organization_gets_its_namespace_listener_store_admins_and_tunnel() {
    let output = Fleet::of_fixtures().render();
    let names = output.names("prodtest/harbour/organizations/river-works");
    assert_eq!(
        names,
        [
            "ClusterRole -/eventlistener-river-works",
            "ClusterRoleBinding -/eventlistener-river-works",
            "ClusterSecretStore -/org-river-works-store",
            "ConfigMap org-river-works/cloudflared-config",
            "Deployment org-river-works/cloudflared-river-works",
            "EventListener org-river-works/github-listener",
            "KubernetesAuthEngineRole openshift-gitops/gitops-prodtest-org-river-works",
            "Namespace -/org-river-works",
            "Policy openshift-gitops/gitops-prodtest-org-river-works",
            "Role org-river-works/eso-secrets-reader",
            "Role org-river-works/eventlistener",
            "Role org-river-works/organization-admin",
            "RoleBinding org-river-works/eso-secrets-reader",
            "RoleBinding org-river-works/eventlistener",
            "RoleBinding org-river-works/organization-admin-ada@river-works.example",
            "RoleBinding org-river-works/organization-admin-o_neil@river-works.example-551b3cf1",
            "ServiceAccount org-river-works/eso-secrets-reader",
            "ServiceAccount org-river-works/eventlistener",
            "ServiceAccount org-river-works/vault-reader",
            "TriggerBinding org-river-works/github-push-binding",
            "VaultAuth org-river-works/organization",
            "VaultConnection org-river-works/vault",
            "VaultStaticSecret org-river-works/cloudflared-credentials-river-works",
            "VaultStaticSecret org-river-works/github-webhook-secret",
        ]
    );
}

#[test]
fn the_tunnel_stands_on_its_one_cluster_only() {
    let output = Fleet::of_fixtures().render();
    let quay = output.names("local/quay/organizations/river-works");
    assert!(quay.iter().all(|n| !n.contains("cloudflared")), "{quay:?}");
    assert!(quay.contains(&"ExternalSecret org-river-works/github-webhook-secret".to_owned()));
}

#[test]
fn a_tenant_gets_every_resource_of_the_platform() {
    let output = Fleet::of_fixtures().render();
    assert_eq!(
        output.names(FERRY),
        [
            "AppProject openshift-gitops/ferry",
            "ClusterRole -/pipeline-runner-ferry",
            "ClusterRoleBinding -/pipeline-runner-ferry",
            "ConfigMap ferry/pipeline-context",
            "LimitRange ferry/tenant-limits",
            "Namespace -/ferry",
            "NetworkPolicy ferry/tenant-egress",
            "NetworkPolicy ferry/tenant-isolation",
            "Pipeline ferry/ferry",
            "ResourceQuota ferry/tenant-quota",
            "Role ferry/eventlistener",
            "Role ferry/pipeline-runner",
            "RoleBinding ferry/eventlistener",
            "RoleBinding ferry/pipeline-runner",
            "Secret ferry/terraform-backend-config",
            "ServiceAccount ferry/pipeline-runner",
            "Trigger org-river-works/ferry-trigger",
            "TriggerTemplate org-river-works/ferry-trigger-template",
        ]
    );
}

#[test]
fn an_older_binding_without_pipeline_gets_no_pipeline_trigger_or_ingress() {
    let output = Fleet::of_fixtures().render();
    let names = output.names("prodtest/harbour/tenants/river-works/tide");
    for kind in ["Pipeline", "Trigger", "TriggerTemplate", "EventListener", "Ingress"] {
        assert!(names.iter().all(|n| !n.starts_with(&format!("{kind} "))), "{kind}: {names:?}");
    }
    let weir = output.names("prodtest/harbour/tenants/river-works/weir");
    for name in [
        "EventListener weir/github-listener",
        "Ingress weir/github-webhook",
        "NetworkPolicy weir/github-listener",
    ] {
        assert!(weir.contains(&name.to_owned()), "{name}: {weir:?}");
    }
}

#[test]
fn a_knowledge_base_gets_its_list_and_a_server_where_it_asks_for_one() {
    let output = Fleet::of_fixtures().render();
    let base = "prodtest/harbour/knowledgebases";
    assert_eq!(output.names(&format!("{base}/river-docs")), ["ConfigMap platform-system/river-docs-repos"]);
    let harbour = format!("{base}/harbour-docs");
    assert_eq!(
        output.names(&harbour),
        [
            "ConfigMap harbour-knowledge/harbour-docs-repos",
            "Deployment harbour-knowledge/mcp-server-harbour-docs",
            "Service harbour-knowledge/mcp-server-harbour-docs",
        ]
    );
    let list = output.object(&harbour, "ConfigMap", "harbour-docs-repos");
    assert_eq!(list["data"]["repositoryCount"], "2");
    assert_eq!(list["data"]["repo.0.paths"], ".kiro/docs");
    assert_eq!(list["data"]["repo.1.branch"], "develop");
    assert_eq!(list["data"]["repo.1.paths"], ".kiro/docs,.kiro/docs/runbooks");
    let server = output.object(&harbour, "Deployment", "mcp-server-harbour-docs");
    let env = &server["spec"]["template"]["spec"]["containers"][0]["env"][0];
    assert_eq!(env["value"], "http://query.harbour-knowledge:8080");
}

#[test]
fn the_profiles_give_the_numbers_of_the_api_document() {
    let output = Fleet::of_fixtures().render();
    let hard = |tenant: &str| {
        let folder = format!("prodtest/harbour/tenants/river-works/{tenant}/tenant-limits");
        output.object(&folder, "ResourceQuota", "tenant-quota")["spec"]["hard"].clone()
    };
    assert_eq!(
        hard("ferry"),
        json!({"requests.cpu": "2", "requests.memory": "4Gi", "requests.storage": "10Gi", "limits.cpu": "4", "limits.memory": "8Gi", "pods": "20", "persistentvolumeclaims": "5"})
    );
    assert_eq!(
        hard("locks"),
        json!({"requests.cpu": "4", "requests.memory": "8Gi", "requests.storage": "20Gi", "limits.cpu": "8", "limits.memory": "16Gi", "pods": "20", "persistentvolumeclaims": "5"})
    );
}

#[test]
fn a_fleet_changes_quota_and_rights_without_rust() {
    let fleet = Fleet::of_fixtures();
    let values = fleet.text("clusters/quay/values.yaml");
    fleet.write(
        "clusters/quay/values.yaml",
        &format!("{values}tenant-limits:\n  version: v2\n  profiles:\n    standard:\n      quota:\n        pods: \"7\"\n"),
    );
    let output = fleet.render();
    let quota = output.object("local/quay/tenants/river-works/ferry", "ResourceQuota", "tenant-quota");
    assert_eq!(quota["spec"]["hard"]["pods"], "7");
    assert_eq!(quota["spec"]["hard"]["limits.cpu"], "4");
    assert_eq!(quota["metadata"]["labels"]["platform.aphex/profile-version"], "v2");
}

#[test]
fn a_fleet_adds_a_dispatcher_by_adding_a_folder() {
    let fleet = Fleet::of_one_cluster();
    fleet.write(
        "templates/tenants/dispatchers/quiet-v1/component.yaml",
        "scope: tenant\nneeds: [tenant-pipeline]\n",
    );
    fleet.write(
        "templates/tenants/dispatchers/quiet-v1/template.yaml",
        "{% if tenant.pipeline is not none and tenant.templateRef == \"quiet-v1\" %}\napiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata:\n  name: {{ tenant.name ~ \"-trigger-template\" }}\n  namespace: {{ organization.namespace }}\nspec:\n  params:\n    - name: git-revision\n{% endif %}\n",
    );
    fleet.write("bindings/a.yaml", &organization("river-works"));
    fleet.write("bindings/b.yaml", &tenant("ferry").replace("run-pipeline-v1", "quiet-v1"));
    let output = fleet.render();
    let template =
        output.object("local/quay/tenants/river-works/ferry", "TriggerTemplate", "ferry-trigger-template");
    assert_eq!(template["spec"]["params"].as_array().map(Vec::len), Some(1));
}

#[test]
fn one_tenant_changes_its_own_files_on_its_clusters_and_nothing_else() {
    let fleet = Fleet::of_fixtures();
    let before = fleet.render();
    let path = "bindings/river-works/repo-binding.yaml";
    fleet.write(path, &fleet.text(path).replace("tools:1.4", "tools:1.5"));
    let changed = fleet.render().changed(&before);
    assert_eq!(
        changed,
        [
            "local/quay/tenants/river-works/ferry/tenant-pipeline/pipeline-ferry.yaml",
            "prodtest/harbour/tenants/river-works/ferry/tenant-pipeline/pipeline-ferry.yaml",
        ]
    );
}

#[test]
fn a_new_tenant_adds_its_folder_and_its_application_and_touches_no_other_file() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/a.yaml", &organization("river-works")).write("bindings/b.yaml", &tenant("ferry"));
    let before = fleet.render();
    fleet.write("bindings/c.yaml", &tenant("tide"));
    let after = fleet.render();
    let changed = after.changed(&before);
    let own = |p: &String| {
        p.starts_with("local/quay/tenants/river-works/tide/")
            || p == "local/quay/apps/tenants/river-works/tide.yaml"
    };
    assert!(changed.iter().all(own), "{changed:?}");
    assert_eq!(
        changed.iter().filter(|p| !p.ends_with("kustomization.yaml")).count(),
        19,
        "18 objects and an Application"
    );
    assert!(changed.iter().all(|p| !before.files.contains_key(p)));
}

#[test]
fn a_bad_binding_keeps_its_last_files_and_the_others_go_on() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/org.yaml", &organization("river-works"));
    for i in 0..10 {
        fleet.write(&format!("bindings/t{i}.yaml"), &tenant(&format!("t{i}")));
    }
    let before = fleet.render();
    for i in 0..10 {
        let next = tenant(&format!("t{i}")).replace("name: build\n", "name: compile\n");
        fleet.write(&format!("bindings/t{i}.yaml"), &next);
    }
    fleet.write("bindings/t3.yaml", &tenant("t3").replace("kind: Pipeline\n", "kind: Task\n"));
    let out = fleet.path("out");
    fleet
        .run(&["render", "--out", out.to_str().expect("UTF-8")])
        .exits(2)
        .says("expected Pipeline, got Task");
    let changed = fleet.output().changed(&before);
    assert_eq!(changed.len(), 9, "{changed:?}");
    assert!(changed.iter().all(|p| p.ends_with(".yaml") && !p.contains("/t3/")), "{changed:?}");
}

/// The whole way, through the built binary: 999 of 1,000 are delivered. That a bad one keeps the
/// files that it had is the test below.
#[test]
fn one_bad_binding_of_a_thousand_leaves_999_delivered() {
    let fleet = Fleet::of_one_cluster();
    // The form without a Pipeline has the fewest objects.
    let older = |i: usize| {
        let name = if i == 500 { "Bad_Name".to_owned() } else { format!("t{i}") };
        format!(
            "apiVersion: aphex.io/v1alpha1\nkind: RepoBinding\nmetadata: {{name: b{i}}}\nspec: {{aphexOrg: river-works, repoOrg: river-works, repoName: r{i}, tenantName: {name}}}\n"
        )
    };
    let all: Vec<String> = (0..1000).map(older).collect();
    fleet
        .write("bindings/org.yaml", &organization("river-works"))
        .write("bindings/all.yaml", &all.join("---\n"));
    let repo = fleet.path("repo");
    fleet
        .run(&["run", "-q", "--repo", repo.to_str().expect("UTF-8")])
        .exits(5)
        .says("bindings/all.yaml:2501:1");
    let folder = "local/quay/tenants/river-works/";
    let files = crate::support::git::git(&repo, &["ls-tree", "--name-only", "main", folder]);
    assert_eq!(files.lines().count(), 999);
    assert!(!files.contains("t500"));
    let applications = crate::support::git::git(
        &repo,
        &["ls-tree", "--name-only", "main", "local/quay/apps/tenants/river-works/"],
    );
    assert_eq!(applications.lines().count(), 999);
}

/// What cannot say who it is might be anyone of its kind; what is of another kind may go.
#[test]
fn a_binding_without_a_name_stops_deletions_of_its_kind_and_below_and_no_other() {
    let fleet = Fleet::of_one_cluster();
    let base = |name: &str| {
        format!(
            "apiVersion: aphex.io/v1alpha1\nkind: KnowledgeBase\nmetadata: {{name: {name}}}\nspec: {{displayName: d, repositories: [{{url: https://github.com/a/{name}}}]}}\n"
        )
    };
    fleet
        .write("bindings/org.yaml", &organization("river-works"))
        .write("bindings/sea.yaml", &organization("sea-works"));
    fleet.write("bindings/a.yaml", &tenant("ferry")).write("bindings/b.yaml", &tenant("tide"));
    fleet.write("bindings/kb.yaml", &base("docs")).write("bindings/kb2.yaml", &base("more"));
    let repo = fleet.path("repo");
    let allowed = "tenant/tide,organization/sea-works,application/local/quay/knowledgebase-docs-local,objects/local/quay";
    let run = |more: &[&str]| {
        let mut args = vec!["run", "--repo", repo.to_str().expect("UTF-8")];
        args.extend(more);
        fleet.run(&args)
    };
    let stands = |path: &str| {
        !crate::support::git::git(
            &repo,
            &["ls-tree", "-r", "--name-only", "main", &format!("local/quay/{path}")],
        )
        .is_empty()
    };
    run(&[]).exits(0);
    // A RepoBinding that cannot be told: tenants stay, the knowledge base goes.
    fleet.write("bindings/a.yaml", &tenant("ferry").replace("pipelineName: ferry", "pipelineName: Ferry"));
    fleet.remove("bindings/b.yaml").remove("bindings/kb.yaml");
    run(&["--allow-delete", allowed]).exits(5);
    assert!(stands("tenants/river-works/ferry") && stands("tenants/river-works/tide"));
    assert!(!stands("knowledgebases/docs") && stands("knowledgebases/more"));
    // An Organization that cannot be told: organizations and tenants stay.
    fleet.write("bindings/a.yaml", &tenant("ferry"));
    fleet.write("bindings/sea.yaml", &organization("Sea"));
    run(&["--allow-delete", allowed]).exits(5);
    assert!(stands("organizations/sea-works") && stands("tenants/river-works/tide"));
    // Mended: both go.
    fleet.remove("bindings/sea.yaml");
    run(&["--allow-delete", allowed]).exits(0);
    assert!(!stands("organizations/sea-works") && !stands("tenants/river-works/tide"));
    assert!(stands("tenants/river-works/ferry"));
}

#[test]
fn a_file_that_does_not_parse_deletes_nothing() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/org.yaml", &organization("river-works"));
    fleet.write("bindings/a.yaml", &tenant("ferry")).write("bindings/b.yaml", &tenant("tide"));
    let before = fleet.render();
    fleet.write("bindings/a.yaml", "kind: [RepoBinding\n").remove("bindings/b.yaml");
    let out = fleet.path("out");
    fleet.run(&["render", "--out", out.to_str().expect("UTF-8")]).exits(2);
    assert_eq!(fleet.output().changed(&before), Vec::<String>::new());
}

#[test]
fn what_a_team_writes_stays_data_through_templates_and_yaml() {
    let fleet = Fleet::of_one_cluster();
    let nasty = "\"}\\n---\\nkind: Secret # {{ cluster.name }} {% if x %} $(params.x): - [\"";
    fleet.write(
        "bindings/org.yaml",
        &organization("river-works").replace("displayName: river-works", "displayName: \"{{ x }}: #\""),
    );
    fleet.write(
        "bindings/a.yaml",
        &tenant("ferry").replace("taskRef: {name: build}", &format!("description: {nasty}")),
    );
    fleet.write(
        "bindings/kb.yaml",
        "apiVersion: aphex.io/v1alpha1\nkind: KnowledgeBase\nmetadata: {name: docs}\nspec:\n  displayName: '{{ y }}'\n  description: \"a\\n---\\nb: {{ c }}\"\n  repositories: [{url: https://github.com/river-works/ferry}]\n",
    );
    let output = fleet.render();
    let pipeline = output.object("local/quay/tenants/river-works/ferry", "Pipeline", "ferry");
    assert_eq!(
        pipeline["spec"]["tasks"][0]["description"],
        "}\n---\nkind: Secret # {{ cluster.name }} {% if x %} $(params.x): - ["
    );
    let list = output.object("local/quay/knowledgebases/docs", "ConfigMap", "docs-repos");
    assert_eq!(list["data"]["description"], "a\n---\nb: {{ c }}");
    assert_eq!(list["data"]["displayName"], "{{ y }}");
}

#[test]
fn two_renders_give_the_same_bytes() {
    let fleet = Fleet::of_fixtures();
    let first = fleet.render();
    std::fs::remove_dir_all(fleet.path("out")).expect("removed");
    assert_eq!(fleet.render().changed(&first), Vec::<String>::new());
}

#[test]
fn a_tenant_that_takes_a_name_of_the_platform_is_held_and_the_cluster_is_not() {
    let fleet = Fleet::of_one_cluster();
    fleet.write("bindings/org.yaml", &organization("river-works"));
    fleet.write("bindings/a.yaml", &tenant("ferry")).write("bindings/b.yaml", &tenant("tide"));
    let own = fleet.render();
    let taken: Vec<String> = own
        .objects("local/quay/")
        .iter()
        .filter(|o| o["kind"] == "AppProject" || o["kind"] == "Namespace")
        .filter_map(|o| o["metadata"]["name"].as_str().map(str::to_owned))
        .filter(|n| !["ferry", "tide", "org-river-works"].contains(&n.as_str()))
        .collect();
    assert!(taken.contains(&"hydrant-local".to_owned()), "{taken:?}");
    let out = fleet.path("out");
    for name in taken {
        fleet.write("bindings/b.yaml", &tenant(&name));
        fleet.write(
            "bindings/a.yaml",
            &tenant("ferry").replace("name: build\n", &format!("name: x{}\n", name.len())),
        );
        let ran =
            fleet.run(&["render", "--out", out.to_str().expect("UTF-8"), "--allow-delete", "tenant/tide"]);
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        assert!(!ran.stderr.contains("held: cluster"), "{name}: {}", ran.stderr);
        let pipeline = fleet.output().object("local/quay/tenants/river-works/ferry", "Pipeline", "ferry");
        assert_eq!(pipeline["spec"]["tasks"][0]["name"], format!("x{}", name.len()), "ferry goes on");
        assert!(fleet.output().names(&format!("local/quay/tenants/river-works/{name}")).is_empty(), "{name}");
    }
}
