//! The component `argocd-access`: Hydrant's account in Argo CD, rights that are enough and no
//! more, and the health of Applications.

use crate::catalog::{ClusterInput, Output, cluster, render, render_with, text};
use crate::common::{kubectl_kustomize, write_files};
use hydrant::model::sync::policy;

const ON: &str = "argocd-access: {enabled: true}\n";

fn plain() -> ClusterInput {
    cluster("c", "prod").with("type: crc", "type: kind").values(ON)
}

fn policy_of(out: &Output) -> Vec<String> {
    let map = out.of_kind("ConfigMap").into_iter().find(|m| text(m, "/metadata/name") == "argocd-rbac-cm");
    let map = map.expect("argocd-rbac-cm");
    assert_eq!(map["data"].as_object().map(|d| d.len()), Some(1), "no key but our own: {map:#}");
    text(&map["data"], "/policy.hydrant.csv").lines().map(str::to_owned).collect()
}

/// Decides as Argo CD's enforcer does: globs without separators, roles by `g`, no deny among ours.
fn allows(lines: &[String], account: &str, resource: &str, action: &str, object: &str) -> bool {
    let fields = |line: &String| line.split(',').map(|f| f.trim().to_owned()).collect::<Vec<_>>();
    let parsed: Vec<Vec<String>> = lines.iter().map(fields).collect();
    for line in &parsed {
        let sound = match line[0].as_str() {
            "p" => line.len() == 6 && line[5] == "allow",
            "g" => line.len() == 3,
            _ => false,
        };
        assert!(sound, "Argo CD cannot read {line:?}");
    }
    let roles = |l: &&Vec<String>| l[0] == "g" && l[1] == account;
    let subjects: Vec<&str> = parsed.iter().filter(roles).map(|l| l[2].as_str()).chain([account]).collect();
    parsed.iter().any(|l| {
        l[0] == "p"
            && subjects.contains(&l[1].as_str())
            && glob(&l[2], resource)
            && glob(&l[3], action)
            && glob(&l[4], object)
    })
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len()).any(|cut| tail.is_char_boundary(cut) && glob(rest, &tail[cut..]))
        }),
    }
}

#[test]
fn the_policy_is_enough_for_every_application_of_the_cluster_and_for_nothing_else() {
    for values in [
        ON.to_owned(),
        format!(
            "{ON}argocd:\n  applicationName:\n    layer: 'l-{{cluster}}-{{layer}}'\n    root: 'top-{{cluster}}'\n"
        ),
    ] {
        let out = render_with(
            &[plain().values(&values)],
            &[
                ("bindings/a.yaml", &crate::tenants_fleet::organization("river-works")),
                ("bindings/b.yaml", &crate::tenants_fleet::tenant("ferry")),
            ],
        );
        // An organization without a tunnel is a notice and no warning.
        let out = out.expect("renders");
        let lines = policy_of(&out);
        let mut count = 0;
        for app in out.of_kind("Application") {
            let object = format!("{}/{}", text(&app, "/spec/project"), text(&app, "/metadata/name"));
            for action in ["get", "sync"] {
                assert!(
                    allows(&lines, "hydrant", "applications", action, &object),
                    "{action} {object}: {lines:#?}"
                );
            }
            for action in ["create", "update", "delete", "override", "action/apps/Deployment/restart"] {
                assert!(!allows(&lines, "hydrant", "applications", action, &object), "{action} {object}");
            }
            assert!(!allows(&lines, "somebody", "applications", "get", &object), "{object}");
            count += 1;
        }
        assert!(count > 10, "{count} Applications");
        for object in [
            "default/theirs",
            "default/platform-apps-dev",
            "payments/web",
            "hydrant-dev/web",
            "default/root-prod-2",
        ] {
            assert!(!allows(&lines, "hydrant", "applications", "get", object), "{object}");
        }
        for resource in ["clusters", "repositories", "projects", "accounts", "exec", "logs"] {
            assert!(!allows(&lines, "hydrant", resource, "get", "*"), "{resource}");
        }
    }
}

/// One source for both: what a refused run says, the component has line by line.
#[test]
fn the_lines_of_a_missing_right_are_those_that_the_component_renders() {
    let out = render(&[plain()]);
    let lines = policy_of(&out);
    for app in out.of_kind("Application") {
        let mend = policy::mend("hydrant", &text(&app, "/spec/project"), &text(&app, "/metadata/name"));
        let said: Vec<&str> = mend.lines().skip(1).collect();
        assert_eq!(said.len(), 3, "{mend}");
        for line in said {
            assert!(lines.iter().any(|l| l == line), "{line} is not in {lines:#?}");
        }
    }
    let of_project = policy::lines("proj:web:ci", [("web", "shop")]);
    assert_eq!(
        of_project,
        [
            "p, proj:web:ci, applications, get, web/*, allow",
            "p, proj:web:ci, applications, sync, web/*, allow"
        ]
    );
}

#[test]
fn it_is_off_until_somebody_turns_it_on_and_has_no_place_beside_a_hub() {
    let count = |c: ClusterInput| render(&[c]).paths().iter().filter(|p| p.contains("argocd-access")).count();
    assert_eq!(count(cluster("c", "prod").with("type: crc", "type: kind")), 0);
    let hub = format!(
        "{ON}argocd:\n  instance: hub\n  applicationName: {{component: 'x-{{component}}-{{cluster}}', layer: 'l-{{layer}}-{{cluster}}', root: 'r-{{cluster}}'}}\n"
    );
    assert_eq!(count(plain().values(&hub)), 0);
    assert!(count(plain()) > 2);
}

#[test]
fn argo_cds_own_objects_are_never_deleted_with_it_and_only_single_keys_are_ours() {
    let out = render(&[plain()]);
    let cm = out.object("prod/c/bootstrap/argocd-access/configmap-argocd-cm.yaml");
    let keys: Vec<&String> = cm["data"].as_object().expect("data").keys().collect();
    assert_eq!(keys, ["accounts.hydrant", "resource.customizations.health.argoproj.io_Application"]);
    for (_, object) in out.manifests().into_iter().filter(|(p, _)| p.contains("/argocd-access/")) {
        let options = text(&object["metadata"]["annotations"], "/argocd.argoproj.io~1sync-options");
        assert!(options.contains("Prune=false") && options.contains("Delete=false"), "{object:#}");
    }
    let app = out.application("argocd-access-prod");
    assert_eq!(app["spec"]["syncPolicy"]["syncOptions"], serde_json::json!(["ServerSideApply=true"]));
    assert_eq!(app["metadata"].get("finalizers"), None, "it goes without taking anything along");
}

#[test]
fn on_openshift_the_operators_resource_gets_the_keys_that_it_would_else_take_away() {
    let out = render(&[cluster("c", "prod").values(ON)]);
    assert!(!out.paths().iter().any(|p| p.ends_with("configmap-argocd-cm.yaml")), "{:?}", out.paths());
    let argocd = out.of_kind("ArgoCD").remove(0);
    assert_eq!(text(&argocd, "/metadata/name"), "openshift-gitops");
    assert_eq!(argocd["spec"]["extraConfig"]["accounts.hydrant"], "apiKey");
    assert!(!policy_of(&out).is_empty());
    let other = render(&[plain().values("argocd-access: {enabled: true, health: false, operator: mine}\n")]);
    let argocd = other.of_kind("ArgoCD").remove(0);
    assert_eq!(argocd["spec"], serde_json::json!({"extraConfig": {"accounts.hydrant": "apiKey"}}));
}

/// Whoever owns argocd-cm already takes the files as patches, and keeps all that is his.
#[test]
fn the_files_are_patches_for_an_argo_cd_that_is_managed_elsewhere() {
    let out = render(&[plain()]);
    let file =
        |name: &str| out.files[&format!("prod/c/bootstrap/argocd-access/configmap-{name}.yaml")].clone();
    let folder = tempfile::tempdir().expect("folder");
    let own = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n  url: https://argocd.example\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-rbac-cm\n  namespace: argocd\ndata:\n  policy.csv: g, admins, role:admin\n";
    write_files(
        folder.path(),
        &[
            ("own.yaml", own),
            ("cm.yaml", &file("argocd-cm")),
            ("rbac.yaml", &file("argocd-rbac-cm")),
            (
                "kustomization.yaml",
                "resources: [own.yaml]\npatches:\n  - path: cm.yaml\n  - path: rbac.yaml\n",
            ),
        ],
    );
    let built = crate::common::hydrant(&["build".as_ref(), folder.path().as_os_str()]).run().exits(0).stdout;
    for kept in [
        "url: https://argocd.example",
        "policy.csv: g, admins, role:admin",
        "accounts.hydrant: apiKey",
        "policy.hydrant.csv: |",
    ] {
        assert!(built.contains(kept), "{kept:?} in {built}");
    }
    if let Some(peer) = kubectl_kustomize(folder.path()) {
        assert_eq!(peer.expect("kubectl builds it"), built);
    }
}

/// The page shows what the component renders: a person may copy it from there.
#[test]
fn the_page_shows_the_policy_and_the_health_as_rendered() {
    let docs = std::fs::read_to_string(crate::common::project("docs/argocd.md")).expect("docs/argocd.md");
    let out = render(&[plain()]);
    for line in policy_of(&out) {
        assert!(docs.contains(&line), "docs/argocd.md does not show {line:?}");
    }
    let cm = out.object("prod/c/bootstrap/argocd-access/configmap-argocd-cm.yaml");
    let health = text(&cm["data"], "/resource.customizations.health.argoproj.io_Application");
    for line in health.lines() {
        assert!(docs.contains(line.trim()), "docs/argocd.md does not show {line:?}");
    }
}
