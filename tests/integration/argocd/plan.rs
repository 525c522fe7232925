//! The order of a run; no server needed.

use super::play::app_ref;
use super::scenario::App;
use hydrant::model::sync::{AppRef, AppSource, Place, ServerId};
use hydrant::stage::sync_plan::{Role, plan};
use serde_json::json;

fn app(name: &str, needs: &[&str]) -> AppRef {
    let given =
        App { name: name.into(), needs: needs.iter().map(|n| (*n).to_owned()).collect(), ..App::default() };
    app_ref(&given, &ServerId("https://argo.example".into()))
}

#[test]
fn an_application_comes_after_what_it_needs_whatever_the_order_given() {
    let apps = [app("c", &["b"]), app("a", &[]), app("b", &["a"]), app("d", &[])];
    for turn in 0..apps.len() {
        let mut given = apps.to_vec();
        given.rotate_left(turn);
        let plan = plan(&given, &[]);
        let names: Vec<(&str, usize)> = plan.nodes.iter().map(|n| (n.app.name.as_str(), n.wave)).collect();
        assert_eq!(names, [("a", 0), ("d", 0), ("b", 1), ("c", 2)]);
        for (place, node) in plan.nodes.iter().enumerate() {
            assert!(node.waits_for.iter().all(|w| *w < place));
        }
    }
}

#[test]
fn a_need_that_is_not_synced_is_watched_and_its_own_needs_are_not() {
    let plan = plan(&[app("one", &["base"])], &[app("base", &["ground"])]);
    let roles: Vec<(&str, Role)> = plan.nodes.iter().map(|n| (n.app.name.as_str(), n.role)).collect();
    assert_eq!(roles, [("base", Role::Watch), ("one", Role::Sync)]);
}

#[test]
fn one_application_given_twice_is_synced_once() {
    assert_eq!(plan(&[app("one", &[]), app("one", &[])], &[]).nodes.len(), 1);
}

#[test]
fn what_hangs_on_a_circle_is_told_apart_from_the_rest() {
    let plan = plan(&[app("a", &["b"]), app("b", &["a"]), app("behind", &["a"]), app("free", &[])], &[]);
    assert_eq!(plan.nodes.iter().map(|n| n.app.name.as_str()).collect::<Vec<_>>(), ["free"]);
    let behind = plan.refused.iter().find(|r| r.app.name == "behind").unwrap();
    assert!(behind.because.contains("a → b → a"), "{}", behind.because);
}

#[test]
fn a_manifest_tells_what_is_ours() {
    let at =
        Place { server: ServerId("https://argo.example".into()), cluster: "east".into(), env: "prod".into() };
    let read = |spec: serde_json::Value| {
        let manifest = json!({"metadata": {"name": "one", "namespace": "argocd"}, "spec": spec});
        AppRef::from_manifest(manifest, &at, "https://git.example/fleet.git").unwrap()
    };
    let ours = json!({"repoURL": "git.example/Fleet", "path": "p", "targetRevision": "main"});
    let one = read(json!({"project": "p", "source": ours, "syncPolicy": {"automated": {}}}));
    assert!(!one.manual && matches!(one.source, AppSource::OurPath { .. }));
    assert!(read(json!({"source": ours, "syncPolicy": {"automated": {"enabled": false}}})).manual);
    let chart = json!({"repoURL": "https://charts.example", "chart": "web", "targetRevision": "1.0.0"});
    assert_eq!(read(json!({"source": chart})).source, AppSource::Chart);
    assert!(matches!(read(json!({"sources": [chart, ours]})).source, AppSource::OurPath { .. }));
    assert_eq!(
        read(json!({"source": {"repoURL": "https://git.example/other", "path": "p"}})).source,
        AppSource::Foreign
    );
    assert!(matches!(read(json!({"sourceHydrator": {"drySource": ours}})).source, AppSource::OurPath { .. }));
    let nameless = AppRef::from_manifest(json!({"metadata": {"name": "one"}}), &at, "x").unwrap_err();
    assert!(nameless.contains("metadata.namespace"), "{nameless}");
}
