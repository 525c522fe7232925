//! Several clusters in one fleet, and the folders as `kubectl kustomize` sees them.

use super::{ClusterInput, Output, cluster, documents, render, render_folder, text};
use crate::common::{kubectl_kustomize, project, shared};
use serde_json::Value;
use std::collections::BTreeMap;

/// §A: all three have env `prod` and a Vault inside; two lie under `_example`, which a fleet
/// skips, so the test lays them out anew.
#[test]
fn the_three_real_clusters_stand_side_by_side() {
    let files = ["prod", "_example/aws-multi-az", "_example/aws-single-az"]
        .map(|f| shared(&format!("inputs/clusters/{f}/cluster.yaml")));
    let Some(files) = files.into_iter().collect::<Option<Vec<_>>>() else { return };
    let names = ["prod", "example-aws-multi-az", "example-aws-single-az"];
    let inputs: Vec<ClusterInput> = names
        .iter()
        .zip(files)
        .map(|(name, file)| ClusterInput {
            name,
            file: std::fs::read_to_string(file).expect("text"),
            values: None,
        })
        .collect();
    let out = render(&inputs);
    let names_in = |cluster: &str| -> Vec<String> {
        let folder = format!("prod/{cluster}/");
        out.paths().iter().filter_map(|p| p.strip_prefix(&folder)).map(str::to_owned).collect()
    };
    let first = names_in("prod");
    assert!(first.len() > 40, "{first:#?}");
    for other in &names[1..] {
        assert_eq!(names_in(other), first, "the same components on {other}");
    }
    let domain = |cluster: &str| {
        text(
            &out.object(&format!("prod/{cluster}/apps/applications/toy-web.yaml")),
            "/spec/source/helm/valuesObject/baseDomain",
        )
    };
    assert_eq!(domain("prod"), "apps.prod.aws.ocp.signet.ing");
    assert_eq!(domain("example-aws-multi-az"), "apps.example-aws-multi-az.aws.ocp.signet.ing");
}

#[test]
fn local_prodtest_and_prod_stand_side_by_side_as_they_stand_alone() {
    let together = render(&[cluster("a", "local"), cluster("b", "prodtest"), cluster("c", "prod")]);
    let mut alone = BTreeMap::new();
    for one in [cluster("a", "local"), cluster("b", "prodtest"), cluster("c", "prod")] {
        alone.extend(render(&[one]).files);
    }
    assert_eq!(together.files, alone);
}

#[test]
fn the_sample_fleets_render() {
    for fleet in ["quickstart", "four-envs"] {
        let out = render_folder(&project(&format!("fixtures/fleets/{fleet}")))
            .unwrap_or_else(|why| panic!("{fleet}: {why}"));
        assert!(out.files.len() > 50, "{fleet}");
    }
    let quickstart = render_folder(&project("fixtures/fleets/quickstart")).expect("renders");
    assert!(quickstart.names_of("Namespace").contains(&"/harbor-apps".to_owned()));
    assert!(quickstart.names_of("Policy").contains(&"openshift-gitops/gitops-prod".to_owned()));
}

fn identity(object: &Value) -> String {
    format!(
        "{} {} {} {}",
        text(object, "/apiVersion"),
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name")
    )
}

/// Compares what `kubectl kustomize` makes of each folder with the files below it.
fn check_folders(out: &Output) -> usize {
    let root = out.folder.as_ref().expect("files").path();
    let mut checked = 0;
    for path in out.paths() {
        let Some(folder) = path.strip_suffix("/kustomization.yaml") else { continue };
        let Some(built) = kubectl_kustomize(&root.join("out").join(folder)) else { return 0 };
        let built = built.unwrap_or_else(|why| panic!("{folder}: {why}"));
        let mut theirs: BTreeMap<String, Value> = BTreeMap::new();
        for object in documents(&built) {
            assert!(theirs.insert(identity(&object), object).is_none(), "{folder}");
        }
        let below = format!("{folder}/");
        let applications = [format!("{folder}/apps/"), format!("{folder}/bootstrap/root-app.yaml")];
        let ours: BTreeMap<String, Value> = out
            .manifests()
            .into_iter()
            .filter(|(p, _)| p.starts_with(&below) && !applications.iter().any(|a| p.starts_with(a)))
            .map(|(_, object)| (identity(&object), object))
            .collect();
        assert_eq!(theirs, ours, "{folder}");
        checked += 1;
    }
    checked
}

#[test]
fn kubectl_kustomize_gives_the_objects_of_the_files() {
    if crate::common::program("kubectl").is_none() {
        return;
    }
    let out = render(&[cluster("a", "local"), cluster("b", "prodtest")]);
    let checked = check_folders(&out);
    assert!(checked >= 10, "{checked} folders were checked");
}
