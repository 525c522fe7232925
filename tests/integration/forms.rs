//! The short way through the line gives what the long way gives, or nothing.

use crate::common::{project, write_files};
use crate::support::odd::ODD_TEXTS;
use hydrant::definition::{Definitions, Source, Strictness, define};
use hydrant::edge::embedded::{builtin, renderer};
use hydrant::edge::fleet::load_folder;
use hydrant::error::Violations;
use hydrant::model::fleet::Fleet;
use hydrant::model::unit::{Hydrated, RenderUnit, Work};
use hydrant::reconcile::hydrate_unit;
use hydrant::stage::units::{Selection, units};
use hydrant::stage::{form, overlay, render, resolve, validate};
use hydrant::template::{Context, Part};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Everything about a unit that later stages see.
#[track_caller]
fn shown(made: &Result<Hydrated, Violations>) -> String {
    match made {
        Ok(h) => format!("{:#?}\n{:?}\n{:?}\n{:?}", texts(h), h.objects, h.matched, h.warnings),
        Err(why) => format!("{why:#?}"),
    }
}

fn texts(hydrated: &Hydrated) -> Vec<(&str, String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    hydrated.files.iter().map(|f| (f.path.as_str(), f.id.to_string(), text(&f.bytes))).collect()
}

/// Goes both ways; returns true if the short one was taken.
#[track_caller]
fn both_ways(unit: &RenderUnit<'_>) -> bool {
    let long = render::render(unit)
        .and_then(|rendered| overlay::overlay(rendered, unit))
        .and_then(|overlaid| validate::validate(overlaid, unit, None));
    let long = shown(&long);
    // The second unit of a form makes it, at the latest the third takes it.
    let mut short = None;
    for _ in 0..3 {
        short = form::hydrate(unit, &render::evaluate(unit));
        assert_eq!(shown(&hydrate_unit(unit, None)), long, "{}", unit.id.place());
    }
    let taken = short.is_some();
    if let Some(hydrated) = short {
        assert_eq!(shown(&Ok(hydrated)), long, "{}", unit.id.place());
    }
    taken
}

fn defined(folder: &Path) -> Result<Definitions, Violations> {
    let tree = load_folder(folder).map_err(|_| Vec::new())?;
    define(tree, builtin(), Source::default(), Strictness::default())
}

/// Lists the folders below `fixtures/fleets` that are fleets.
fn fleets(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(below).expect("folder") {
        let path = entry.expect("entry").path();
        if path.join("clusters").is_dir() {
            found.push(path);
        } else if path.is_dir() {
            fleets(&path, found);
        }
    }
}

#[test]
fn every_unit_of_every_fleet_comes_out_the_same_both_ways() {
    let mut folders = Vec::new();
    fleets(&project("fixtures/fleets"), &mut folders);
    let (mut all, mut taken) = (0, 0);
    for folder in folders {
        let Ok(definitions) = defined(&folder) else { continue };
        let fleet: Fleet<'_> = resolve::resolve(&definitions, builtin());
        let (pick, renderer) = (Selection::default(), renderer());
        for unit in units(&fleet, &pick, &renderer).filter_map(Result::ok) {
            all += 1;
            taken += usize::from(both_ways(&unit));
        }
    }
    assert!(all > 400, "{all}");
    assert!(taken > all / 4, "{taken} of {all}");
}

const COMPONENT: &str = "scope: cluster\nnamespace: odd\nneeds: []\npublicSecretKeys: [shown]\n";

/// Values stand at every kind of place: names, labels, annotations, lists, maps, below fields that the
/// overlay walks through, in objects that lints judge.
const PLAIN: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ values.name }}
  namespace: {{ values.namespace }}
  labels:
    app: {{ values.label }}
    fixed: yes-it-is
  annotations:
    note: {{ values.note }}
data:
  key: {{ values.data }}
  fixed: 'a: b'
list: [{{ values.item }}, fixed, {deep: [{{ values.deep }}]}]
tree: {{ values.tree }}
a-long-key-that-brings-its-value-near-to-the-place-where-lines-are-folded: {{ values.long }}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ values.secret }}
spec:
  refreshInterval: {{ values.interval }}
  secretStoreRef: {kind: SecretStore, name: store}
  target: {name: {{ values.target }}, template: {{ values.template }}}
  data: [{secretKey: key, remoteRef: {key: {{ values.remote }}, property: p}}]
---
apiVersion: v1
kind: Secret
metadata: {name: public}
stringData:
  shown: {{ values.public }}
";
const TAGGED: &str = "{% for name in values.names %}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ name }}
spec:
  template: {metadata: {labels: {app: {{ values.pod }}}}, spec: {{ values.spec }}}
---
{% endfor %}
{% if values.more %}
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
data: {more: {{ values.more }}}
{% endif %}
";
const OVERLAY: &str = "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
labels:
  - pairs: {hydrant.dev/environment: local, extra: '1.0'}
    includeTemplates: true
commonAnnotations: {owner: platform}
patches:
  - target: {kind: Deployment, name: never}
    patch: |-
      - {op: add, path: /spec/replicas, value: 1}
  - patch: |-
      apiVersion: apps/v1
      kind: StatefulSet
      metadata: {name: never}
      spec: {replicas: 2}
";

fn benign() -> Value {
    json!({
        "name": "config", "namespace": "elsewhere", "label": "odd", "note": "a note", "data": "text", "item": "x",
        "deep": "y", "tree": {"a": ["b", {"c": 1}]}, "long": "some words", "secret": "outside", "interval": "1h",
        "target": "made", "template": {"metadata": {}}, "remote": "a/b", "public": "all may see it",
        "names": ["one", "two"], "pod": "p", "spec": {"a": 1}, "more": false,
    })
}

fn odd() -> Vec<Value> {
    // Put together here so that no scanner takes this file for a leak.
    let token = format!("ghp_{}", "A1b2".repeat(9));
    let own = [
        " ",
        "on",
        "UPPER",
        "a/b",
        "a b",
        "..",
        "public",
        "config",
        "outside",
        "default",
        "x.y",
        "+argocd:skip-file-rendering",
        "15",
        "1d",
        "\u{f8f0}0\u{f8f1}",
        "Z2hwX0ExYjJBMWIyQTFiMkExYjJBMWIyQTFiMkExYjJBMWIyQTFiMg==",
        "{{ values.name }}",
        "{% if %}",
    ];
    let mut all: Vec<Value> = ODD_TEXTS.iter().chain(&own).map(|t| json!(t)).collect();
    all.extend([json!(token), json!({"inside": [token.clone()]}), json!({token.clone(): "key"})]);
    all.extend([76, 80, 84, 300].map(|n| json!("word and ".repeat(n / 9))));
    all.extend([64, 254].map(|n| json!("x".repeat(n))));
    all.extend([json!(null), json!(true), json!(false), json!(0), json!(-7), json!(1.5), json!(u64::MAX)]);
    all.extend([json!([]), json!({}), json!([null]), json!(["a", ["b"], {"c": {}}]), json!([token, 1])]);
    all.push(json!({"kind": "Secret", "apiVersion": "v1", "data": {"a": "Yg=="}}));
    all.push(json!([{"kind": "Secret", "stringData": {"a": "b"}}]));
    all.push(json!({"kind": "Secret", "apiVersion": "other/v1", "data": {"a": "b"}}));
    all.push(json!({"metadata": {"labels": null}, "data": {"password": "Yg=="}}));
    all.push(json!({"metadata": "text", "labels": {"a": "b"}, "annotations": {"a": true}}));
    all.push(json!({"config.kubernetes.io/local-config": "false", "on": "off", "a\nb": 1}));
    all
}

#[test]
fn odd_values_at_odd_places_come_out_the_same_both_ways() {
    let dir = tempfile::tempdir().expect("folder");
    let cluster = std::fs::read_to_string(project("fixtures/fleets/tenants/clusters/quay/cluster.yaml"));
    write_files(
        dir.path(),
        &[
            ("clusters/quay/cluster.yaml", &cluster.expect("a cluster")),
            ("overlays/local/kustomization.yaml", OVERLAY),
            ("templates/platform/odd/component.yaml", COMPONENT),
            ("templates/platform/odd/values.yaml", &hydrant::yaml::write(&benign())),
            ("templates/platform/odd/plain.yaml", PLAIN),
            ("templates/platform/odd/tagged.yaml", TAGGED),
        ],
    );
    let definitions = defined(dir.path()).expect("a fleet");
    let fleet = resolve::resolve(&definitions, builtin());
    assert_eq!(fleet.held.values().flatten().collect::<Vec<_>>(), Vec::<&_>::new());
    let (pick, renderer) = (Selection::default(), renderer());
    let unit = units(&fleet, &pick, &renderer)
        .filter_map(Result::ok)
        .find(|unit| unit.id.place() == "platform/odd")
        .expect("the unit");
    let plain = hydrate_unit(&unit, None).expect("a unit");
    assert_eq!((plain.warnings.as_slice(), plain.files.len()), (&[][..], 6));
    assert!(both_ways(&unit), "the plain values take the short way");
    let (mut all, mut taken) = (0, 0);
    let places: Vec<String> = benign().as_object().expect("a map").keys().cloned().collect();
    for place in &places {
        for value in odd() {
            let mut values = benign();
            values[place] = value.clone();
            if place == "names" {
                values[place] = json!([value, "two"]);
            }
            all += 1;
            taken += usize::from(both_ways(&with_values(&unit, values)));
        }
    }
    assert!(taken > all / 4, "{taken} of {all}");
    assert!(taken < all * 3 / 4, "{taken} of {all}: many of these values are wrong at most places");
}

fn with_values<'f>(unit: &RenderUnit<'f>, values: Value) -> RenderUnit<'f> {
    let mut unit = unit.clone();
    if let Work::Templates { component, context, .. } = &mut unit.work {
        *context = Context::new([("values", Part::new(values))].into(), component.texts.clone());
    }
    unit
}
