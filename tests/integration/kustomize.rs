//! The overlay engine: overlays on units, what is refused, and the table of types.

use crate::common::{kubectl_kustomize, shared, write_files};
use hydrant::error::Violation;
use hydrant::kustomize::schema::{Scope, builtin, derive, scope};
use hydrant::kustomize::{BuildOptions, Disk, Files, Level, Memory, Overlay, build};
use hydrant::yaml::{Limits, Schema, read_one};
use serde_json::{Value, json};

fn files(list: &[(&str, &str)]) -> Memory {
    let empty = Memory::new(Default::default(), "fleet/");
    list.iter().fold(empty, |files, (path, text)| files.with(path, text))
}

fn overlay(level: Level, list: &[(&str, &str)]) -> Overlay {
    Overlay::compile(&files(list), "", level).expect("the overlay compiles")
}

fn refused(level: Level, list: &[(&str, &str)]) -> Vec<Violation> {
    Overlay::compile(&files(list), "", level).expect_err("the overlay is refused")
}

fn said(violations: &[Violation]) -> String {
    violations.iter().map(|v| format!("{v}\n")).collect()
}

fn web() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}]},
        ]}}},
    })
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
}

const PATCH: &str = "\
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      template:
        spec:
          containers:
          - name: app
            env:
            - name: B
              value: \"2\"
replicas:
- name: web
  count: 3
- name: elsewhere
  count: 5
images:
- name: app
  newTag: \"2\"
";

#[test]
fn an_overlay_changes_a_unit_and_says_which_entries_found_something() {
    let overlay = overlay(Level::Env, &[("kustomization.yaml", PATCH)]);
    let (objects, matched) = overlay.apply(vec![service(), web()]).expect("applies");
    assert_eq!(objects[0], service(), "the order of the unit is kept");
    let spec = &objects[1]["spec"];
    assert_eq!(spec["replicas"], 3);
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "app:2");
    assert_eq!(container["env"], json!([{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]));
    let found: Vec<(bool, &str)> =
        overlay.entries().iter().enumerate().map(|(i, e)| (matched.contains(i), e.what.as_str())).collect();
    assert_eq!(
        found,
        [
            (true, "patch of apps/v1 Deployment web"),
            (true, "replicas of `web`"),
            (false, "replicas of `elsewhere`"),
            (true, "image `app`"),
        ]
    );
    let origin = &overlay.entries()[2].origin;
    assert_eq!((origin.file.as_ref(), origin.line), ("fleet/kustomization.yaml", 18));
}

#[test]
fn an_entry_that_finds_nothing_in_a_unit_is_passed_over_there() {
    let overlay = overlay(Level::Env, &[("kustomization.yaml", PATCH)]);
    let (objects, matched) = overlay.apply(vec![service()]).expect("applies");
    assert_eq!(objects, vec![service()]);
    assert!((0..4).all(|i| !matched.contains(i)));
    let (_, mut all) = overlay.apply(vec![web()]).expect("applies");
    all.union(&matched);
    assert!(all.contains(0) && !all.contains(2));
}

#[test]
fn a_patch_that_does_not_fit_names_its_file_its_line_the_object_and_the_field() {
    let list = [
        ("kustomization.yaml", "patches:\n- path: p.yaml\n"),
        ("p.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: [x]}\n"),
    ];
    let wrong = overlay(Level::Component, &list).apply(vec![web()]).expect_err("does not fit");
    let text = said(&wrong);
    assert!(text.starts_with("fleet/p.yaml:1:1: apps/v1 Deployment web: `spec.template`: "), "{text}");
}

#[test]
fn the_env_level_neither_adds_nor_moves_objects() {
    let text = "namespace: x\nnamePrefix: a-\nnameSuffix: -b\nresources: [c.yaml]\nconfigMapGenerator: [{name: g}]\n";
    let c = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let list = [("kustomization.yaml", text), ("c.yaml", c)];
    let wrong = refused(Level::Env, &list);
    let fields: Vec<&str> = wrong.iter().filter_map(|v| v.key.as_deref()).collect();
    assert_eq!(fields, ["resources", "configMapGenerator", "namespace", "namePrefix", "nameSuffix"]);
    assert!(said(&wrong).contains("fleet/kustomization.yaml:1:1: namespace"), "{}", said(&wrong));
    assert!(wrong.iter().all(|v| v.hint.as_deref().is_some_and(|h| h.contains("<layer>/<component>"))));
    let (objects, _) = overlay(Level::Component, &list).apply(vec![service()]).expect("a component may");
    let names: Vec<&str> = objects.iter().filter_map(|o| o["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["a-web-b", "a-c-b", "a-g-b-6ct58987ht"]);
}

#[test]
fn secrets_are_generated_in_build_alone() {
    let list = [("kustomization.yaml", "secretGenerator:\n- name: s\n  literals: [a=hidden-value]\n")];
    let wrong = refused(Level::Component, &list);
    assert_eq!(wrong.len(), 1);
    assert!(!said(&wrong).contains("hidden-value"));
    let built = build(&files(&list), "", &BuildOptions::default()).expect("builds");
    assert_eq!(built.objects[0]["kind"], "Secret");
}

#[test]
fn a_transformer_that_moves_objects_is_refused_on_the_env_level_wherever_it_is_written() {
    let prefix = "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: a-\nfieldSpecs: [{path: metadata/name}]\n";
    let hash = "apiVersion: builtin\nkind: HashTransformer\nmetadata: {name: h}\n";
    let list = [
        ("kustomization.yaml", "transformers: [p.yaml, more]\n"),
        ("p.yaml", prefix),
        ("more/kustomization.yaml", "resources: [h.yaml]\n"),
        ("more/h.yaml", hash),
    ];
    let wrong = refused(Level::Env, &list);
    let text = said(&wrong);
    assert_eq!(wrong.len(), 2, "{text}");
    assert!(text.starts_with("fleet/p.yaml:1:1: transformers: a PrefixTransformer moves objects"), "{text}");
    assert!(text.contains("fleet/more/h.yaml:1:1: transformers: a HashTransformer moves objects"), "{text}");
    let (objects, _) = overlay(Level::Component, &list).apply(vec![service()]).expect("a component may");
    assert_eq!(objects[0]["metadata"]["name"], "a-web");
}

#[test]
fn no_way_round_generates_a_secret_in_an_overlay() {
    let generator =
        "apiVersion: builtin\nkind: SecretGenerator\nmetadata: {name: s}\nliterals: [a=hidden-value]\n";
    let list = [
        ("kustomization.yaml", "generators: [s.yaml]\nresources: [base]\n"),
        ("s.yaml", generator),
        ("base/kustomization.yaml", "secretGenerator:\n- name: s\n  literals: [a=hidden-value]\n"),
    ];
    let wrong = refused(Level::Component, &list);
    let text = said(&wrong);
    assert_eq!(wrong.len(), 2, "{text}");
    assert!(text.contains("fleet/base/kustomization.yaml:1:1: secretGenerator"), "{text}");
    assert!(text.contains("fleet/s.yaml:1:1: generators"), "{text}");
    assert!(!text.contains("hidden-value"), "{text}");
}

#[test]
fn a_component_inside_an_env_overlay_keeps_to_the_same_limits() {
    let list = [
        ("env/kustomization.yaml", "components: [../part]\n"),
        (
            "part/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamespace: x\n",
        ),
    ];
    let wrong = Overlay::compile(&files(&list), "env", Level::Env).expect_err("refused");
    assert!(said(&wrong).starts_with("fleet/part/kustomization.yaml:3:1: namespace"), "{}", said(&wrong));
}

#[test]
fn references_follow_renames_in_a_unit() {
    let mut web = web();
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "c"}}]);
    let c = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}});
    let overlay = overlay(Level::Component, &[("kustomization.yaml", "namePrefix: p-\n")]);
    let (objects, _) = overlay.apply(vec![web, c]).expect("applies");
    let container = &objects[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], "p-c");
}

#[test]
fn the_digest_follows_every_file_and_nothing_else() {
    let base = [("kustomization.yaml", "patches:\n- path: p.yaml\n"), ("p.yaml", PATCH_FILE)];
    let changed = PATCH_FILE.replace("web", "wed");
    let other = [base[0], ("p.yaml", changed.as_str())];
    let beside = [base[0], base[1], ("unread.yaml", "a: b\n")];
    assert_eq!(overlay(Level::Env, &base).digest(), overlay(Level::Env, &beside).digest());
    assert_ne!(overlay(Level::Env, &base).digest(), overlay(Level::Env, &other).digest());
}

const PATCH_FILE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: None}\n";

#[test]
fn all_mistakes_of_a_kustomization_are_said_at_once_with_near_misses() {
    let text = "resources: [a.yml, https://example.com/x.yaml, ../up.yaml]\nnamePrefx: a\nhelmCharts: []\nimages: [{name: a, newtag: b}]\n";
    let list = [("d/kustomization.yaml", text), ("d/a.yaml", "x: y"), ("up.yaml", "x: y")];
    let wrong = build(&files(&list), "d", &BuildOptions::default()).expect_err("refused");
    let text = said(&wrong);
    for part in [
        "kustomization.yaml:2:1: namePrefx: unknown field `namePrefx`\n  hint: did you mean `namePrefix`?",
        "kustomization.yaml:3:1: helmCharts: ",
        "let Argo CD render the chart",
        "images.newtag: unknown field `newtag`\n  hint: did you mean `newTag`?",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let list = [
        ("d/kustomization.yaml", "resources: [a.yml, https://example.com/x.yaml, ../up.yaml]\n"),
        list[1],
        list[2],
    ];
    let text = said(&build(&files(&list), "d", &BuildOptions::default()).expect_err("refused"));
    for part in
        ["did you mean `a.yaml`?", "is remote, and a build opens no connection", "lies outside the folder"]
    {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_cycle_is_printed() {
    let list =
        [("a/kustomization.yaml", "resources: [../b]\n"), ("b/kustomization.yaml", "resources: [../a]\n")];
    let text = said(&build(&files(&list), "a", &BuildOptions::default()).expect_err("refused"));
    assert!(text.contains("fleet/a → fleet/b → fleet/a"), "{text}");
}

/// A chain of so many bases above one object.
fn chain(bases: usize) -> Memory {
    let c = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let last = Memory::default()
        .with(&format!("b{bases}/c.yaml"), c)
        .with(&format!("b{bases}/kustomization.yaml"), "resources: [c.yaml]\n");
    (0..bases).fold(last, |files, n| {
        files.with(&format!("b{n}/kustomization.yaml"), format!("resources: [../b{}]\n", n + 1))
    })
}

#[test]
fn a_hundred_bases_may_lead_to_one_another_and_no_more() {
    let built = build(&chain(100), "b0", &BuildOptions::default()).expect("builds");
    assert_eq!(built.objects[0]["metadata"]["name"], "c");
    let text = said(&build(&chain(101), "b0", &BuildOptions::default()).expect_err("refused"));
    assert!(text.contains("b100/kustomization.yaml:1:13: more than 100 bases lead to one another"), "{text}");
    assert!(text.contains("hint: name the last of them in `resources` directly"), "{text}");
}

#[test]
fn bases_that_double_at_each_level_end_in_an_error_and_not_in_all_the_memory() {
    let c = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let last =
        Memory::default().with("l30/kustomization.yaml", "resources: [c.yaml]\n").with("l30/c.yaml", c);
    let files = (0..30).fold(last, |files, n| {
        let both = "resources: [a, b]\n";
        let one = |prefix: char| format!("resources: [../../l{}]\nnamePrefix: {prefix}-\n", n + 1);
        files
            .with(&format!("l{n}/kustomization.yaml"), both)
            .with(&format!("l{n}/a/kustomization.yaml"), one('a'))
            .with(&format!("l{n}/b/kustomization.yaml"), one('b'))
    });
    let options = BuildOptions { most_folders: Some(500), ..BuildOptions::default() };
    let wrong = build(&files, "l0", &options).expect_err("refused");
    assert!(said(&wrong).contains("the build enters more than 500 bases and components"), "{}", said(&wrong));
    assert!(wrong.len() < 100, "said {} times", wrong.len());
}

#[test]
fn strict_makes_a_target_that_finds_nothing_an_error() {
    let c = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let text = "resources: [c.yaml]\npatches:\n- target: {kind: ConfigMap, name: d}\n  patch: |-\n    - {op: add, path: /data, value: {}}\n";
    let files = files(&[("kustomization.yaml", text), ("c.yaml", c)]);
    let built = build(&files, "", &BuildOptions::default()).expect("builds");
    let warning = built.warnings[0].to_string();
    assert!(warning.contains("chooses no object") && warning.contains("v1 ConfigMap c"), "{warning}");
    assert!(build(&files, "", &BuildOptions { strict: true, ..BuildOptions::default() }).is_err());
}

#[test]
fn nothing_outside_the_folder_is_read_from_disk() {
    let dir = tempfile::tempdir().expect("dir");
    write_files(
        dir.path(),
        &[("in/kustomization.yaml", "resources: [link.yaml]\n"), ("secret.yaml", "x: y")],
    );
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.yaml", dir.path().join("in/link.yaml")).expect("link");
    let disk = Disk::open(&dir.path().join("in")).expect("opens");
    assert!(disk.read("link.yaml").is_err());
    let (disk, inside) = Disk::around(&dir.path().join("in")).expect("opens");
    let text = said(&build(&disk, &inside, &BuildOptions::default()).expect_err("refused"));
    assert!(text.contains("lies outside the folder"), "{text}");
}

#[test]
fn unquoted_dates_are_times_as_kustomize_reads_them() {
    let words = [
        "2024-01-01",
        "2024-1-1",
        "2024-02-30",
        "2024-01-01T10:20:30Z",
        "2024-01-01t10:20:30.500+02:00",
        "2024-01-01T10:20:30+00:00",
        "2024-01-01 10:20:30",
        "2024-01-01 10:20:30.25",
        "2024-01-01 10:20:30Z",
        "2024-01-01T10:20:30",
        "2024-13-01",
        "2024-01-01T25:00:00Z",
        "20240101",
        "2024-01-01x",
        "2024-01-01T1:2:3Z",
    ];
    let mut text = String::from("apiVersion: v1\nkind: X\nmetadata:\n  name: a\nx:\n");
    for (i, word) in words.iter().enumerate() {
        text.push_str(&format!("  k{i}: {word}\n"));
    }
    let dir = tempfile::tempdir().expect("dir");
    write_files(dir.path(), &[("a.yaml", &text), ("kustomization.yaml", "resources: [a.yaml]\n")]);
    let Some(theirs) = kubectl_kustomize(dir.path()) else { return };
    let disk = Disk::open(dir.path()).expect("opens");
    let built = build(&disk, "", &BuildOptions::default()).expect("builds");
    // As values: words that are nearly dates are quoted by us, for readers that would fail.
    let theirs = theirs.expect("kubectl takes it");
    let node = read_one(theirs.as_bytes(), &Limits::manifests()).expect("yaml");
    assert_eq!(built.objects, [node.to_value(Schema::Kustomize).expect("typed")]);
    assert_eq!(built.objects[0]["x"]["k4"], "2024-01-01T10:20:30.5+02:00");
}

#[test]
fn the_table_is_what_the_published_schema_gives() {
    let Some(path) = shared("crds/kubernetes/openapi-1.21.2.json") else { return };
    let document: Value = serde_json::from_slice(&std::fs::read(path).expect("file")).expect("json");
    let derived = derive(&document);
    assert!(derived.to_text().lines().count() > 200);
    assert_eq!(builtin().to_text(), derived.to_text());
}

#[test]
fn scopes_of_kinds_are_known_also_where_kustomize_does_not_know_them() {
    assert_eq!(scope("v1", "Namespace"), Some(Scope::Cluster));
    assert_eq!(scope("apps/v1", "Deployment"), Some(Scope::Namespaced));
    assert_eq!(scope("autoscaling/v2", "HorizontalPodAutoscaler"), Some(Scope::Namespaced));
    assert_eq!(scope("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"), Some(Scope::Cluster));
    assert_eq!(scope("sea.example.com/v1", "Beacon"), None);
}

/// Reads all files below a folder, by their path in it.
fn tree(root: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let (mut all, mut queue) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = queue.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                queue.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                all.push((name, bytes));
            }
        }
    }
    all.sort();
    all
}

/// Damages a text in a way that a number chooses.
fn damaged(bytes: &[u8], how: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    let at = how % lines.len().max(1);
    match how % 5 {
        0 if !lines.is_empty() => drop(lines.remove(at)),
        1 => return bytes[..bytes.len() * (how % 97) / 97].to_vec(),
        2 if !lines.is_empty() => lines[at] = lines[at].split_once(':').map_or("", |(key, _)| key),
        3 => lines.reverse(),
        _ => return text.replace(": ", if how.is_multiple_of(2) { ": [" } else { ": null #" }).into_bytes(),
    }
    lines.join("\n").into_bytes()
}

#[test]
fn damaged_input_is_built_or_refused_and_never_ends_in_a_panic() {
    let corpus = crate::common::project("fixtures/overlays");
    let mut built = [0, 0];
    let mut seed = 7usize;
    for topic in std::fs::read_dir(corpus).expect("corpus") {
        for case in std::fs::read_dir(topic.expect("topic").path()).expect("topic") {
            let case = case.expect("case").path();
            let root = std::fs::read_to_string(case.join("root")).unwrap_or_default();
            let files = tree(&case.join("input"));
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let which = (seed >> 33) % files.len().max(1);
                let mut memory = Memory::default();
                for (i, (name, bytes)) in files.iter().enumerate() {
                    let bytes = if i == which { damaged(bytes, seed >> 40) } else { bytes.clone() };
                    memory = memory.with(name, bytes);
                }
                let result = build(&memory, root.trim(), &BuildOptions::default());
                built[usize::from(result.is_ok())] += 1;
                if let Ok(overlay) = Overlay::compile(&memory, root.trim(), Level::Component) {
                    let _ = overlay.apply(vec![web(), service()]);
                }
            }
        }
    }
    assert!(built[0] > 100 && built[1] > 100, "too one-sided to say much: {built:?}");
}
