//! What is rendered fits the CRDs that clusters have, with nothing left to their defaults.

use super::{Output, cluster, render, rendered};
use crate::common::shared;
use crate::support::crds::Crds;
use serde_json::json;

const ENVIRONMENTS: [&str; 4] = ["local", "sno", "prodtest", "prod"];

fn real_crds() -> Option<Crds> {
    let folders = ["crds/vco", "crds/vso", "crds/argocd"].map(shared);
    let folders: Option<Vec<_>> = folders.into_iter().collect();
    folders.map(|f| Crds::read(&f))
}

fn check(crds: &Crds, out: &Output) -> usize {
    let mut checked = 0;
    for (path, object) in out.manifests() {
        let Some(problems) = crds.problems(&object) else { continue };
        assert!(problems.is_empty(), "{path}: {}", problems.join("\n"));
        checked += 1;
    }
    checked
}

#[test]
fn every_custom_resource_fits_the_real_crd_and_has_no_field_that_it_does_not_know() {
    let Some(crds) = real_crds() else { return };
    for env in ENVIRONMENTS {
        let checked = check(&crds, &rendered(env));
        assert!(checked > 20, "{env}: {checked} objects were checked");
    }
    let mount = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
    check(&crds, &render(&[cluster("c", "prod").values(mount)]));
}

/// Observed rows 5 and 10 and rule 3: what the cluster fills in by itself shows as a difference
/// for ever, or makes an operator edit the object.
#[test]
fn every_default_of_a_vault_object_is_written_out() {
    let Some(crds) = real_crds() else { return };
    let mut compared = 0;
    for env in ENVIRONMENTS {
        let values = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
        let input = cluster("c", env);
        let out = render(&[if env == "prodtest" { input } else { input.values(values) }]);
        for (path, object) in out.manifests() {
            let group = object["apiVersion"].as_str().unwrap_or_default();
            if group.starts_with("redhatcop.redhat.io/") || group.starts_with("secrets.hashicorp.com/") {
                assert_eq!(crds.with_defaults(&object).as_ref(), Some(&object), "{path}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared} objects were compared");
}

#[test]
fn the_lints_have_nothing_to_say_about_the_catalog() {
    let at = hydrant::error::Origin::file("x");
    for env in ENVIRONMENTS {
        let mount = "vault-auth-mount: {enabled: true, kubernetesCACert: pem}\n";
        let input = cluster("c", env);
        let out = render(&[if env == "prodtest" { input } else { input.values(mount) }]);
        for (path, object) in out.manifests() {
            let found = hydrant::stage::lint::lint(&object, &at);
            assert!(found.is_empty(), "{env} {path}: {}", found[0]);
        }
    }
}

/// Observed row 21: the source's own example does not fit its CRDs. The check is seen failing.
#[test]
fn the_forms_of_the_sources_example_file_are_refused() {
    let Some(crds) = real_crds() else { return };
    let connection = json!({
        "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultConnection", "metadata": {"name": "vault"},
        "spec": {"address": "https://vault.example:8200", "tls": {"skipVerify": true}},
    });
    let found = crds.problems(&connection).expect("a kind it knows");
    assert!(found.len() == 1 && found[0].contains("tls"), "{found:?}");
    let mut role = rendered("prod").of_kind("KubernetesAuthEngineRole").remove(0);
    assert_eq!(crds.problems(&role), Some(vec![]));
    role["spec"]["targetNamespaces"] = json!(["openshift-gitops"]);
    role["spec"]["tokenTTL"] = json!("1h");
    let found = crds.problems(&role).expect("a kind it knows");
    assert_eq!(found.len(), 2, "{found:?}");
}
