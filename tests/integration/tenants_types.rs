//! Every rendered object of the tenants against the real types: the CRDs of its operator, and
//! Kubernetes' own definitions, both refusing fields that they do not know.

use crate::common::shared;
use crate::support::crds::Crds;
use crate::tenants_fleet::{Fleet, tenant};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn every_rendered_object_fits_its_real_type() {
    let Some(folder) = shared("crds") else { return };
    let crds = Crds::read(&[folder]);
    let fleet = Fleet::of_fixtures();
    let output = fleet.render();
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    for cluster in ["local/quay/", "prodtest/harbour/"] {
        for folder in ["organizations/", "tenants/", "knowledgebases/", "apps/tenants"] {
            for object in output.objects(&format!("{cluster}{folder}")) {
                let problems = crds.problems(&object).unwrap_or_else(|| panic!("no type for {object}"));
                assert!(problems.is_empty(), "{problems:?} in {object:#}");
                *checked.entry(object["kind"].as_str().expect("kind").to_owned()).or_default() += 1;
            }
        }
    }
    for kind in ["Pipeline", "AppProject", "Application", "ClusterSecretStore", "ExternalSecret", "Ingress"] {
        assert!(checked.contains_key(kind), "{kind} was not rendered: {checked:?}");
    }
    assert!(checked.values().sum::<usize>() > 150, "{checked:?}");
}

/// The same check as users have it: every unit, Applications and index files too.
#[test]
fn the_built_binary_checks_the_whole_fleet_of_tenants_against_the_real_types() {
    let Some(folder) = shared("crds") else { return };
    let fleet = Fleet::of_fixtures();
    let crds = folder.to_str().expect("UTF-8");
    let ran = fleet.run(&["validate", "--crds", crds]).exits(0);
    assert!(!ran.stderr.contains("nothing is known of the type"), "{}", ran.stderr);
    let out = fleet.path("out");
    fleet.run(&["render", "--crds", crds, "--out", out.to_str().expect("UTF-8")]).exits(0);
}

/// Every combination of what a binding may ask for, on clusters with and without a Vault.
#[test]
fn a_generated_fleet_of_every_kind_of_tenant_fits_the_real_types() {
    let Some(folder) = shared("crds") else { return };
    let fleet = Fleet::of_fixtures();
    let mut all = Vec::new();
    for n in 0..32_u32 {
        let on = |bit: u32| n & (1 << bit) != 0;
        let mut notes = Vec::new();
        let annotations = [
            (0, "permission-profile: elevated"),
            (1, "egress: anywhere"),
            (2, "deploy-path: deploy/prod"),
            (3, "branch: release/1.x"),
            (4, "clusters: harbour"),
        ];
        for (_, text) in annotations.iter().filter(|(bit, _)| on(*bit)) {
            notes.push(format!("hydrant.dev/{text}"));
        }
        let name = format!("g{n}");
        let head = format!("  name: {name}-binding\n");
        all.push(tenant(&name).replace(&head, &format!("{head}  annotations: {{{}}}\n", notes.join(", "))));
    }
    fleet.write("bindings/generated.yaml", &all.join("---\n"));
    let ran = fleet.run(&["validate", "--crds", folder.to_str().expect("UTF-8")]).exits(0);
    assert!(!ran.stderr.contains("nothing is known of the type"), "{}", ran.stderr);
}

/// What runs inside a TriggerTemplate is free-form for its CRD; the run itself is not.
#[test]
fn the_runs_that_dispatchers_make_fit_the_type_of_a_pipeline_run() {
    let Some(folder) = shared("crds/tekton") else { return };
    let crds = Crds::read(&[folder]);
    let output = Fleet::of_fixtures().render();
    let templates: Vec<Value> =
        output.objects("").into_iter().filter(|o| o["kind"] == "TriggerTemplate").collect();
    assert!(templates.len() >= 3, "{}", templates.len());
    for template in templates {
        for run in template["spec"]["resourcetemplates"].as_array().expect("runs") {
            assert_eq!(crds.problems(run).expect("a PipelineRun"), Vec::<String>::new(), "{run:#}");
        }
    }
}
