//! The random entries of one kustomization in a scene: a few of the fields that the engine
//! supports, aimed at objects that are there.

use crate::overlay_objects::{name, odd_string, scalar, strings, tree};
use crate::overlay_scene::{Dice, Entry};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What stands below a kustomization: its objects under their first names, and the names
/// that generators made.
pub struct Owner {
    pub id: usize,
    pub objects: Vec<Value>,
    pub generated: Vec<(&'static str, String)>,
    /// True above a diamond: then each first name is two objects, and one that must be
    /// unique cannot be named.
    pub doubled: bool,
}

/// Returns one to five entries.
pub fn entries(dice: &mut Dice, owner: &mut Owner, files: &mut BTreeMap<String, String>) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut once: Vec<usize> = Vec::new();
    for _ in 0..1 + dice.roll(5) {
        let kind = dice.roll(19);
        // these fields hold one value, or their entries would answer for each other
        if matches!(kind, 0..=6 | 12 | 16 | 17) {
            if once.contains(&kind) {
                continue;
            }
            once.push(kind);
        }
        all.extend(field(dice, owner, files, kind));
    }
    all
}

fn field(
    dice: &mut Dice,
    owner: &mut Owner,
    files: &mut BTreeMap<String, String>,
    kind: usize,
) -> Option<Entry> {
    Some(match kind {
        0 => Entry::is("namePrefix", json!(dice.pick(&["night-", "a.", "p-"]))),
        1 => Entry::is("nameSuffix", json!(dice.pick(&["-blue", "-v2", "0"]))),
        2 => Entry::is("namespace", json!(format!("{}-{}", dice.pick(&["harbour", "pier"]), owner.id))),
        3 => Entry::key(
            "commonLabels",
            dice.pick(&["mark", "part", "example.com/part", "app", "team", "zone", "made"]),
            json!(odd_label(dice)),
        ),
        4 => Entry::key(
            "commonAnnotations",
            dice.pick(&["owner", "example.com/note"]),
            json!(odd_string(dice)),
        ),
        5 => labels(dice),
        6 => image(dice),
        7 | 8 => strategic(dice, owner, files)?,
        9 | 10 => operations(dice, owner, files)?,
        11 => replicas(dice, owner)?,
        12 => Entry::is("generatorOptions", options(dice)),
        13 => generator(dice, owner),
        14 if !owner.doubled => merged(dice, owner)?,
        15 if !owner.doubled => replacement(dice, owner)?,
        16 => configuration(dice, files),
        17 => transformer(dice),
        18 if !owner.doubled => old_patch(dice, owner)?,
        _ => return None,
    })
}

fn odd_label(dice: &mut Dice) -> &'static str {
    dice.pick(&["keepers", "1", "true", "v1.2", "", "on"])
}

fn labels(dice: &mut Dice) -> Entry {
    let mut entry = json!({"pairs": {dice.pick(&["team", "tier", "zone"]): odd_label(dice)}});
    match dice.roll(4) {
        0 => entry["includeSelectors"] = json!(true),
        1 => entry["includeTemplates"] = json!(true),
        2 => entry["fields"] = json!([{"path": "spec/extent/labels", "kind": "Beacon", "create": true}]),
        _ => {}
    }
    Entry::element("labels", entry)
}

fn image(dice: &mut Dice) -> Entry {
    let mut entry = json!({"name": dice.pick(&[
        "lantern", "registry.example.com:5000/team/lantern", "tools/broom", "busybox", "tools/.*", "nobody"])});
    for (key, values) in [
        ("newName", ["mirror.example.com:5000/x", "lantern"]),
        ("newTag", ["v9", "1.10"]),
        ("digest", ["sha256:beef", "sha256:0123"]),
    ] {
        if dice.chance(40) {
            entry[key] = json!(dice.pick(&values));
        }
    }
    Entry::element("images", entry)
}

fn replicas(dice: &mut Dice, owner: &Owner) -> Option<Entry> {
    let scaled: Vec<&Value> =
        owner.objects.iter().filter(|o| o["kind"] == "Deployment" || o["kind"] == "StatefulSet").collect();
    let one = scaled.get(dice.roll(scaled.len().max(1)))?;
    Some(Entry::element("replicas", json!({"name": one["metadata"]["name"], "count": dice.roll(9)})))
}

fn options(dice: &mut Dice) -> Value {
    let mut options = Map::new();
    if dice.chance(30) {
        options.insert("disableNameSuffixHash".to_owned(), json!(dice.chance(70)));
    }
    if dice.chance(50) {
        options.insert("labels".to_owned(), json!({"made": odd_label(dice)}));
    }
    if dice.chance(40) {
        options.insert("annotations".to_owned(), json!({"by": odd_string(dice)}));
    }
    if dice.chance(20) {
        options.insert("immutable".to_owned(), json!(true));
    }
    Value::Object(options)
}

fn literals(dice: &mut Dice) -> Value {
    let keys = ["high", "low", "app.conf", "a_b"];
    let from = dice.roll(3);
    keys[from..from + 1 + dice.roll(2)].iter().map(|k| json!(format!("{k}={}", odd_string(dice)))).collect()
}

fn generator(dice: &mut Dice, owner: &mut Owner) -> Entry {
    let field = dice.pick(&["configMapGenerator", "secretGenerator"]);
    // a name of its own: most references hit it, and a plain object never has it
    let called = format!("made{}-{}", owner.generated.len(), owner.id);
    let mut entry = json!({"name": called, "literals": literals(dice)});
    if dice.chance(30) {
        entry["options"] = options(dice);
    }
    owner.generated.push((field, called));
    Entry::element(field, entry)
}

fn merged(dice: &mut Dice, owner: &Owner) -> Option<Entry> {
    let (field, called) = owner.generated.get(dice.roll(owner.generated.len().max(1)))?;
    Some(Entry::element(
        field,
        json!({"name": called, "behavior": dice.pick(&["merge", "replace"]), "literals": literals(dice)}),
    ))
}

/// Either inline or in a file, by the dice.
fn patch_entry(
    dice: &mut Dice,
    files: &mut BTreeMap<String, String>,
    text: String,
    target: Option<Value>,
) -> Entry {
    let mut entry = json!({});
    if let Some(target) = target {
        entry["target"] = target;
    }
    if dice.chance(40) {
        let name = format!("patch-{}.yaml", files.len());
        entry["path"] = json!(name);
        files.insert(name, text);
    } else {
        entry["patch"] = json!(text);
    }
    Entry::element("patches", entry)
}

fn target(dice: &mut Dice, object: &Value) -> Value {
    let mut target = Map::new();
    let called = object["metadata"]["name"].as_str().expect("name");
    match dice.roll(6) {
        0 => target.insert("kind".to_owned(), object["kind"].clone()),
        1 => target.insert("name".to_owned(), json!(called)),
        2 => target.insert("name".to_owned(), json!(format!("{}.*", &called[..3]))),
        3 => target.insert("labelSelector".to_owned(), json!(format!("app={called}"))),
        4 => target.insert("labelSelector".to_owned(), json!("tier in (front, back),app")),
        _ => {
            target.insert("kind".to_owned(), object["kind"].clone());
            target.insert("name".to_owned(), json!(called))
        }
    };
    Value::Object(target)
}

/// More places for labels, images and name references.
fn configuration(dice: &mut Dice, files: &mut BTreeMap<String, String>) -> Entry {
    let beacon = |path: &str, create: bool| json!([{"path": path, "kind": "Beacon", "create": create}]);
    let mut fields = Map::new();
    if dice.chance(60) {
        fields.insert("commonLabels".to_owned(), beacon("spec/places", true));
    }
    if dice.chance(60) {
        fields.insert("images".to_owned(), beacon("spec/image", false));
    }
    if dice.chance(40) {
        fields.insert("namePrefix".to_owned(), beacon("spec/image", false));
    }
    fields.insert(
        "nameReference".to_owned(),
        json!([{"kind": "ConfigMap", "fieldSpecs": beacon("spec/settings", false)}]),
    );
    files.insert("fields.yaml".to_owned(), hydrant::yaml::write(&Value::Object(fields)));
    Entry::element("configurations", json!("fields.yaml"))
}

/// A built-in transformer, inline.
fn transformer(dice: &mut Dice) -> Entry {
    let everywhere = json!([{"path": "metadata/annotations", "create": true}]);
    let mut config = match dice.roll(3) {
        0 => {
            json!({"kind": "AnnotationsTransformer", "annotations": {"by": odd_string(dice)}, "fieldSpecs": everywhere})
        }
        1 => json!({"kind": "LabelTransformer", "labels": {"by": odd_label(dice)},
            "fieldSpecs": [{"path": "metadata/labels", "create": true, "kind": "Deployment"}, {"path": "spec/selector", "version": "v1"}]}),
        _ => {
            json!({"kind": "PrefixTransformer", "prefix": "trans-", "fieldSpecs": [{"path": "metadata/name", "kind": "ConfigMap"}]})
        }
    };
    config["apiVersion"] = json!("builtin");
    config["metadata"] = json!({"name": "t"});
    Entry::element("transformers", json!(hydrant::yaml::write(&config)))
}

/// The two fields that `patches` took the place of.
fn old_patch(dice: &mut Dice, owner: &Owner) -> Option<Entry> {
    let object = &owner.objects[dice.roll(owner.objects.len())];
    let (group, version) =
        object["apiVersion"].as_str()?.rsplit_once('/').unwrap_or(("", object["apiVersion"].as_str()?));
    let mut target = json!({"group": group, "version": version, "kind": object["kind"], "name": object["metadata"]["name"]});
    let mut metadata = json!({"name": object["metadata"]["name"], "annotations": strings(dice, 2)});
    if dice.chance(50) {
        metadata["labels"] = loose_texts(dice, &object["metadata"]["labels"]);
    }
    if let Some(namespace) = object["metadata"].get("namespace") {
        target["namespace"] = namespace.clone();
        metadata["namespace"] = namespace.clone();
    }
    if dice.chance(50) {
        let labels = json!({"app": odd_label(dice), "old": odd_label(dice)});
        let add = json!([{"op": "add", "path": "/metadata/labels", "value": labels}]);
        return Some(Entry::element("patchesJson6902", json!({"target": target, "patch": add.to_string()})));
    }
    let patch = json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata});
    Some(Entry::element("patchesStrategicMerge", json!(hydrant::yaml::write(&patch))))
}

fn strategic(dice: &mut Dice, owner: &Owner, files: &mut BTreeMap<String, String>) -> Option<Entry> {
    let object = &owner.objects[dice.roll(owner.objects.len())];
    let mut patch = match change(dice, object, 0) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for key in ["apiVersion", "kind"] {
        patch.insert(key.to_owned(), object[key].clone());
    }
    let mut metadata = json!({"name": object["metadata"]["name"]});
    if let Some(namespace) = object["metadata"].get("namespace") {
        metadata["namespace"] = namespace.clone();
    }
    for field in ["annotations", "labels"] {
        if dice.chance(30) {
            metadata[field] = loose_texts(dice, &object["metadata"][field]);
        }
    }
    patch.insert("metadata".to_owned(), metadata);
    if dice.chance(3) {
        patch.insert("$patch".to_owned(), json!("delete"));
    }
    let aimed = (owner.doubled || dice.chance(30)).then(|| target(dice, object));
    let text = hydrant::yaml::write(&Value::Object(patch));
    Some(patch_entry(dice, files, text, aimed))
}

/// Labels or annotations of a patch: some new, some taken away, some that are no texts.
fn loose_texts(dice: &mut Dice, there: &Value) -> Value {
    let mut texts = strings(dice, 2);
    for key in there.as_object().into_iter().flat_map(Map::keys) {
        if dice.chance(50) {
            texts[key] = if dice.chance(60) { Value::Null } else { json!(odd_string(dice)) };
        }
    }
    if dice.chance(30) {
        texts["loose"] = json!(dice.roll(99));
    }
    texts
}

/// A random strategic merge patch of a value.
fn change(dice: &mut Dice, of: &Value, depth: usize) -> Value {
    match of {
        Value::Object(map) if depth < 9 => {
            let mut patch = Map::new();
            for (key, value) in map {
                if depth == 0 && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    continue;
                }
                // near the root nearly always go on, or most patches would be empty
                if dice.chance(if depth < 4 { 70 } else { 35 }) {
                    let drop = depth > 1 && dice.chance(8);
                    patch
                        .insert(key.clone(), if drop { Value::Null } else { change(dice, value, depth + 1) });
                }
            }
            if depth > 0 && dice.chance(4) {
                patch.insert("$patch".to_owned(), json!("replace"));
            }
            Value::Object(patch)
        }
        Value::Array(list) if list.iter().any(Value::is_object) => elements(dice, list, depth),
        Value::Array(list) => list.iter().map(|_| json!(odd_string(dice))).collect(),
        Value::Number(_) => json!(dice.roll(99)),
        Value::Bool(b) => json!(!b),
        _ => json!(odd_string(dice)),
    }
}

/// A patch of a list of maps: changed, new and deleted elements, each with its keys.
fn elements(dice: &mut Dice, list: &[Value], depth: usize) -> Value {
    let keys = ["name", "mountPath", "containerPort", "port", "protocol", "ip", "topologyKey", "key"];
    let mut patch = Vec::new();
    if dice.chance(5) {
        patch.push(json!({"$patch": "replace"}));
    }
    for element in list {
        if !dice.chance(60) {
            continue;
        }
        let mut one = change(dice, element, depth + 1);
        let gone = dice.chance(8);
        if let (Value::Object(one), Value::Object(element)) = (&mut one, element) {
            one.remove("$patch");
            for key in keys {
                if let Some(value) = element.get(key) {
                    one.insert(key.to_owned(), value.clone());
                }
            }
            if gone {
                one.insert("$patch".to_owned(), json!("delete"));
            }
        }
        patch.push(one);
    }
    if let Some(Value::Object(like)) = list.first().filter(|_| dice.chance(25)) {
        let mut fresh = like.clone();
        for key in ["name", "mountPath"] {
            if fresh.contains_key(key) {
                fresh.insert(key.to_owned(), json!("/fresh"));
            }
        }
        for key in ["containerPort", "port"] {
            if fresh.contains_key(key) {
                fresh.insert(key.to_owned(), json!(7777));
            }
        }
        patch.push(Value::Object(fresh));
    }
    Value::Array(patch)
}

fn operations(dice: &mut Dice, owner: &Owner, files: &mut BTreeMap<String, String>) -> Option<Entry> {
    let object = &owner.objects[dice.roll(owner.objects.len())];
    let mut operations = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        operations.push(match dice.roll(5) {
            0 => json!({"op": "add", "path": "/metadata/annotations/example.com~1note", "value": odd_string(dice)}),
            1 if object["spec"].is_object() => json!({"op": "add", "path": "/spec/extra", "value": tree(dice, 2)}),
            2 if object["metadata"]["labels"].is_object() => {
                json!({"op": "replace", "path": "/metadata/labels/tier", "value": odd_label(dice)})
            }
            3 => json!({"op": "add", "path": "/data", "value": {"whole": odd_string(dice)}}),
            _ => {
                let path = pointer(dice, &object["spec"], "/spec", 0)?;
                match dice.roll(3) {
                    0 => json!({"op": "remove", "path": path}),
                    1 => json!({"op": "copy", "from": path, "path": "/spec/copied"}),
                    // the same type: a place that some field rewrites must stay what it is
                    _ => json!({"op": "replace", "path": path, "value": other(dice, object.pointer(&path)?)}),
                }
            }
        });
    }
    let mut aimed = json!({"kind": object["kind"], "name": object["metadata"]["name"]});
    if operations.len() == 1
        && dice.chance(20)
        && operations[0]["path"] != "/spec/extra"
        && operations[0]["op"] == "add"
    {
        aimed = target(dice, object);
    }
    let operations = Value::Array(operations);
    let text = if dice.chance(40) { operations.to_string() } else { hydrant::yaml::write(&operations) };
    Some(patch_entry(dice, files, text, Some(aimed)))
}

/// Another value of the same type.
fn other(dice: &mut Dice, value: &Value) -> Value {
    match value {
        Value::String(_) => json!(odd_string(dice)),
        Value::Number(_) => json!(dice.roll(99)),
        Value::Object(_) => strings(dice, 2),
        Value::Array(list) => json!(list.iter().rev().collect::<Vec<_>>()),
        _ => scalar(dice),
    }
}

/// A pointer to something that is in the value.
fn pointer(dice: &mut Dice, value: &Value, at: &str, depth: usize) -> Option<String> {
    let (key, below) = match value {
        Value::Object(map) if !map.is_empty() => map.iter().nth(dice.roll(map.len()))?,
        Value::Array(list) if !list.is_empty() => {
            let n = dice.roll(list.len());
            (&n.to_string(), &list[n])
        }
        _ => return (depth > 0).then(|| at.to_owned()),
    };
    let here = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    if dice.chance(25) { Some(here) } else { pointer(dice, below, &here, depth + 1) }
}

fn replacement(dice: &mut Dice, owner: &Owner) -> Option<Entry> {
    let source = &owner.objects[dice.roll(owner.objects.len())];
    let to = &owner.objects[dice.roll(owner.objects.len())];
    let mut field = json!({"kind": source["kind"], "name": source["metadata"]["name"]});
    if dice.chance(50) {
        field["fieldPath"] = json!(dice.pick(&["kind", "metadata.name", "apiVersion"]));
    }
    if dice.chance(25) {
        field["options"] = json!({"delimiter": "-"});
    }
    let mut aim = json!({
        "select": {"kind": to["kind"]},
        "fieldPaths": [dice.pick(&["metadata.annotations.copied", "spec.copied.deep", "metadata.labels.copied"])],
        "options": {"create": true},
    });
    if dice.chance(30) {
        aim["reject"] = json!([{"name": name(dice, owner.id)}]);
    }
    Some(Entry::element("replacements", json!({"source": field, "targets": [aim]})))
}
