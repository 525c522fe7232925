//! What only one may hold, over clusters and bindings; bindings that name a cluster whose file is
//! broken; and a tenant that moves to another organization.

use crate::common::Ran;
use crate::tenants_fleet::{Fleet, organization, tenant};

fn copy_of_quay(fleet: &Fleet, name: &str) {
    let cluster = fleet.text("clusters/quay/cluster.yaml").replace("name: quay", &format!("name: {name}"));
    let values = fleet.text("clusters/quay/values.yaml");
    fleet.write(&format!("clusters/{name}/cluster.yaml"), &cluster);
    fleet.write(&format!("clusters/{name}/values.yaml"), &values);
}

fn add_values(fleet: &Fleet, cluster: &str, text: &str) {
    let path = format!("clusters/{cluster}/values.yaml");
    let values = fleet.text(&path);
    let values =
        if text.starts_with("vault:") { values.replace("vault:\n  address: \"\"\n", "") } else { values };
    fleet.write(&path, &format!("{values}{text}"));
}

fn bindings(fleet: &Fleet) {
    fleet.write("bindings/org.yaml", &organization("river-works"));
    fleet.write("bindings/ferry.yaml", &tenant("ferry")).write("bindings/tide.yaml", &tenant("tide"));
}

fn deliver(fleet: &Fleet, more: &[&str]) -> Ran {
    let repo = fleet.path("repo");
    let mut args = vec!["run", "--repo", repo.to_str().expect("UTF-8")];
    args.extend(more);
    fleet.run(&args)
}

fn files(fleet: &Fleet) -> Vec<String> {
    let listed = crate::support::git::git(&fleet.path("repo"), &["ls-tree", "-r", "--name-only", "main"]);
    listed.lines().map(str::to_owned).collect()
}

fn content(fleet: &Fleet, path: &str) -> String {
    crate::support::git::git(&fleet.path("repo"), &["show", &format!("main:{path}")])
}

#[test]
fn a_tenants_application_of_one_name_on_a_shared_argo_cd_holds_the_tenant_and_no_cluster() {
    let fleet = Fleet::of_one_cluster();
    copy_of_quay(&fleet, "pier");
    for cluster in ["quay", "pier"] {
        add_values(
            &fleet,
            cluster,
            "argocd:\n  instance: hub\n  applicationName:\n    component: '{component}-{cluster}'\n    layer: '{layer}-{cluster}'\n    root: 'root-{cluster}'\n    organization: '{org}-{cluster}'\n    tenant: 'tenant-{tenant}'\n",
        );
    }
    bindings(&fleet);
    let ran = fleet
        .run(&["validate"])
        .exits(2)
        .says("the Application `tenant-ferry` of the Argo CD instance `hub` is claimed by tenant/ferry on local/pier and by tenant/ferry on local/quay (bindings/ferry.yaml:1:1)")
        .says("set argocd.applicationName patterns that hold {cluster}");
    assert!(!ran.stdout.contains("held: cluster") && !ran.stderr.contains("held: cluster"), "{}", ran.stderr);
}

#[test]
fn a_tenant_that_takes_the_app_project_of_the_cluster_is_told_both_holders_and_the_mend() {
    let fleet = Fleet::of_one_cluster();
    bindings(&fleet);
    fleet.write("bindings/tide.yaml", &tenant("hydrant-local"));
    fleet
        .run(&["validate"])
        .exits(2)
        .says("AppProject `hydrant-local` on local/quay is claimed by tenant/hydrant-local on local/quay and by local/quay (clusters/quay/cluster.yaml:1:1)")
        .says("choose another pipelineName");
}

#[test]
fn an_organizations_vault_policy_that_is_another_clusters_holds_the_organization() {
    let fleet = Fleet::of_one_cluster();
    copy_of_quay(&fleet, "pier");
    let vault = |mount: &str, policy: &str| {
        format!(
            "vault:\n  address: https://vault.example.com\n  kubernetesMount: {mount}\n  policyName: {policy}\n  roleName: {policy}\n"
        )
    };
    add_values(&fleet, "quay", &vault("kubernetes-quay", "gitops-quay"));
    add_values(&fleet, "pier", &vault("kubernetes-pier", "gitops-quay-org-river-works"));
    bindings(&fleet);
    fleet
        .run(&["validate"])
        .exits(2)
        .says("the Vault policy `gitops-quay-org-river-works` at https://vault.example.com:443 is claimed by organization/river-works on local/quay and by local/pier")
        .says("choose another organization name, or another vault.policyName");
}

#[test]
fn a_failed_binding_still_claims_its_name() {
    let fleet = Fleet::of_one_cluster();
    bindings(&fleet);
    let broken =
        tenant("ferry").replace("run-pipeline-v1", "nope").replace("repoName: ferry", "repoName: other");
    fleet.write("bindings/other.yaml", &broken.replace("ferry-binding", "other-binding"));
    fleet
        .run(&["validate"])
        .exits(2)
        .says("bindings/ferry.yaml:1:1: pipelineName `ferry` is claimed by RepoBinding `ferry-binding` and by RepoBinding `other-binding` (bindings/other.yaml:1:1); all are held, none is first")
        .says("choose another pipelineName for one of them");
}

const ON_PIER: &str = "  name: ferry-binding\n  annotations: {hydrant.dev/clusters: 'quay, pier'}\n";

/// Returns a delivered fleet whose tenant `ferry` names the clusters `quay` and `pier`, and the
/// files that were delivered.
fn a_tenant_of_two_clusters() -> (Fleet, Vec<String>) {
    let fleet = Fleet::of_one_cluster();
    copy_of_quay(&fleet, "pier");
    bindings(&fleet);
    fleet.write("bindings/ferry.yaml", &tenant("ferry").replace("  name: ferry-binding\n", ON_PIER));
    deliver(&fleet, &[]).exits(0);
    let before = files(&fleet);
    (fleet, before)
}

#[test]
fn a_binding_that_names_a_cluster_whose_file_is_broken_goes_on_elsewhere_and_loses_nothing() {
    let (fleet, before) = a_tenant_of_two_clusters();
    let cluster = fleet.text("clusters/pier/cluster.yaml");
    fleet.write("clusters/pier/cluster.yaml", &cluster.replace("gitops:", "gitopps:"));
    let edited = fleet.text("bindings/ferry.yaml").replace("name: build\n", "name: compile\n");
    fleet.write("bindings/ferry.yaml", &edited);
    let ran = deliver(&fleet, &[])
        .exits(5)
        .says("the file of the cluster `pier` cannot be read: nothing changes there");
    assert!(!ran.stderr.contains("the fleet has no cluster"), "{}", ran.stderr);
    assert_eq!(files(&fleet), before);
    let pipeline = |c: &str| {
        content(&fleet, &format!("local/{c}/tenants/river-works/ferry/tenant-pipeline/pipeline-ferry.yaml"))
    };
    assert!(pipeline("quay").contains("name: compile") && pipeline("pier").contains("name: build"));
}

#[test]
fn a_cluster_that_may_stand_in_an_unreadable_file_holds_the_binding_and_says_which_file() {
    let (fleet, before) = a_tenant_of_two_clusters();
    fleet.write("clusters/pier/cluster.yaml", "name: [pier\n");
    deliver(&fleet, &["--allow-delete", "cluster/local/pier,tenant/ferry"])
        .exits(5)
        .says("the fleet has no cluster `pier`, as far as its files can be read: clusters/pier/cluster.yaml cannot")
        .says("mend clusters/pier/cluster.yaml first");
    assert_eq!(files(&fleet), before);
    fleet.write(
        "bindings/ferry.yaml",
        &fleet.text("bindings/ferry.yaml").replace("clusters: 'quay, pier'", "environments: prod"),
    );
    deliver(&fleet, &["--allow-delete", "cluster/local/pier,tenant/ferry"])
        .exits(5)
        .says("the fleet has no environment `prod`, as far as its files can be read");
    assert_eq!(files(&fleet), before);
}

/// Returns a delivered fleet whose tenant `ferry` has since been given to the organization
/// `sea-works`, and the files that were delivered.
fn a_moving_tenant() -> (Fleet, Vec<String>) {
    let fleet = Fleet::of_one_cluster();
    bindings(&fleet);
    fleet.write("bindings/sea.yaml", &organization("sea-works"));
    deliver(&fleet, &[]).exits(0);
    let before = files(&fleet);
    fleet.write(
        "bindings/ferry.yaml",
        &tenant("ferry").replace("aphexOrg: river-works", "aphexOrg: sea-works"),
    );
    (fleet, before)
}

/// Facts A2 and C2: the original refused the edit for ever. Here a person decides, and the
/// namespace lives on.
#[test]
fn a_tenant_moves_to_another_organization_when_a_person_says_so_and_never_stands_under_both() {
    let (fleet, before) = a_moving_tenant();
    deliver(&fleet, &[])
        .exits(4)
        .says("tenant/ferry would move to the organization `sea-works` on local/quay")
        .says("the tenant `ferry` moves from the organization `river-works` to `sea-works` on local/quay, and its files under `river-works` stay")
        .says("--allow-delete tenant/ferry");
    assert_eq!(files(&fleet), before);
    deliver(&fleet, &["--organization", "sea-works", "--allow-delete", "tenant/ferry"])
        .exits(4)
        .says("for both organizations");
    assert_eq!(files(&fleet), before, "half a move is none");
    deliver(&fleet, &["--allow-delete", "tenant/ferry"]).exits(0);
    let after = files(&fleet);
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|p| !p.contains("river-works/ferry")), "{after:?}");
    let application = content(&fleet, "local/quay/apps/tenants/sea-works/ferry.yaml");
    assert!(
        application.contains("name: tenant-ferry-local") && application.contains("tenants/sea-works/ferry")
    );
    let namespace =
        content(&fleet, "local/quay/tenants/sea-works/ferry/tenant-namespace/namespace-ferry.yaml");
    assert!(namespace.contains("aphex.dev/org: sea-works"), "{namespace}");
}

#[test]
fn a_tenant_does_not_move_while_a_binding_cannot_be_read() {
    let (fleet, before) = a_moving_tenant();
    fleet.write("bindings/broken.yaml", "kind: [\n");
    deliver(&fleet, &["--allow-delete", "tenant/ferry"]).exits(4).says("its files under `river-works` stay");
    assert_eq!(files(&fleet), before);
}
