//! A hub: one Argo CD that serves clusters other than its own.

use crate::tenants_fleet::{Fleet, Output, organization, tenant};
use serde_json::{Value, json};

const IN_CLUSTER: &str = "https://kubernetes.default.svc";
const TENANTS: &str = "local/quay/tenants/";
const QUAY: &str = "https://api.quay.example.com:6443";

/// A fleet of one cluster with a tenant; the cluster's Argo CD is `instance` and applies to `destination`.
fn fleet(argocd: &str) -> Fleet {
    let fleet = Fleet::of_one_cluster();
    let values = fleet.text("clusters/quay/values.yaml");
    fleet.write("clusters/quay/values.yaml", &format!("{values}argocd: {argocd}\n"));
    let deploys = tenant("ferry").replacen(
        "metadata:\n",
        "metadata:\n  annotations: {hydrant.dev/deploy-path: deploy}\n",
        1,
    );
    assert!(deploys.contains("deploy-path"), "{deploys}");
    fleet.write("bindings/org.yaml", &organization("river-works")).write("bindings/ferry.yaml", &deploys);
    fleet
}

fn of_hub() -> Fleet {
    fleet(&format!("{{instance: hub, destination: '{QUAY}'}}"))
}

/// Returns the destination server of an Application.
fn server(output: &Output, name: &str) -> Value {
    output.object("local/quay/", "Application", name)["spec"]["destination"]["server"].clone()
}

#[test]
fn on_a_hub_applications_of_applications_apply_to_the_hub_and_all_others_to_the_cluster() {
    let output = of_hub().render();
    for beside in ["root-local", "bootstrap-apps-local", "tenants-apps-local", "argocd-project-local"] {
        assert_eq!(server(&output, beside), IN_CLUSTER, "{beside}");
    }
    for away in ["namespaces-local", "organization-river-works-local", "tenant-ferry-local"] {
        assert_eq!(server(&output, away), QUAY, "{away}");
    }
    let project = output.object("local/quay/", "AppProject", "hydrant-local");
    assert_eq!(project["spec"]["destinations"], json!([{"server": QUAY, "namespace": "*"}]));
}

#[test]
fn a_cluster_that_carries_the_hub_itself_has_everything_as_if_it_were_alone() {
    let alone = fleet("{}").render();
    let carries = fleet("{instance: hub}").render();
    carries.object(TENANTS, "Application", "workload-ferry-local");
    carries.object(TENANTS, "AppProject", "ferry");
    let but_role_bindings = |output: &Output| -> Vec<String> {
        let names = output.names("local/quay/").into_iter();
        names.filter(|n| !n.starts_with("RoleBinding")).collect()
    };
    assert_eq!(but_role_bindings(&carries), but_role_bindings(&alone));
}

#[test]
fn a_tenant_of_a_hubs_cluster_is_told_that_its_workload_application_cannot_be_delivered() {
    let fleet = of_hub();
    fleet
        .run(&["validate"])
        .exits(0)
        .says("bindings/ferry.yaml:")
        .says("tenant/ferry has no workload Application on local/quay: it would stand on the Argo CD instance `hub`")
        .says("add the Application and its AppProject there by hand");
    let output = fleet.render();
    let beside = |name: &String| name.starts_with("AppProject") || name.starts_with("Application");
    assert!(!output.names(TENANTS).iter().any(beside), "{:?}", output.names(TENANTS));
}

#[test]
fn two_clusters_of_a_hub_cannot_share_an_app_project() {
    let fleet = Fleet::of_one_cluster();
    let file = fleet.text("clusters/quay/cluster.yaml");
    let values = fleet.text("clusters/quay/values.yaml");
    for name in ["quay", "pier"] {
        let argocd = format!(
            "argocd:\n  instance: hub\n  destination: https://api.{name}.example.com:6443\n  applicationName: {{component: '{{component}}-{{cluster}}', layer: '{{layer}}-{{cluster}}', root: 'root-{{cluster}}'}}\n"
        );
        fleet.write(
            &format!("clusters/{name}/cluster.yaml"),
            &file.replace("name: quay", &format!("name: {name}")),
        );
        fleet.write(&format!("clusters/{name}/values.yaml"), &format!("{values}{argocd}"));
    }
    fleet
        .run(&["validate"])
        .exits(2)
        .says("the Argo CD instance `hub` is claimed by local/pier and by local/quay")
        .says("AppProject `hydrant-local`")
        .says("set another argocd.project");
}
