//! The random objects of a scene: Kubernetes' own kinds and one custom kind, with names that
//! refer to each other often enough to matter.

use crate::overlay_scene::Dice;
use serde_json::{Map, Value, json};

/// Returns a name of the scene; there are few, so that references hit.
pub fn name(dice: &mut Dice, id: usize) -> String {
    format!("{}-{id}", dice.pick(&["lantern", "ledger", "tide"]))
}

/// A string that is a string only when it is quoted or written as a block.
pub fn odd_string(dice: &mut Dice) -> String {
    let odd = [
        "plain",
        "two words",
        "yes",
        "true",
        "null",
        "12",
        "1.50",
        "0x1f",
        "1e3",
        "~",
        "",
        " lead",
        "trail ",
        "a: b",
        "a #b",
        "- a",
        "*a",
        "&a",
        "!a",
        "{a}",
        "[a]",
        "it's",
        "say \"hi\"",
        "back\\slash",
        "one\ntwo",
        "one\ntwo\n",
        "\n  indented\nline\n",
        "tab\there",
        "é日",
        "2024-01-01",
        "12:30",
        "x=y",
        "$(VAR)",
        "/a/b",
        "---",
        "a,b",
        "%x",
        "@x",
        "`x`",
        "on",
        "off",
        "0777",
        "+1",
        ".5",
        "1_000",
        "a rather long line of words that goes on until it is longer than what other writers would put on one line of text",
    ];
    dice.pick(&odd).to_owned()
}

/// A scalar of any type.
pub fn scalar(dice: &mut Dice) -> Value {
    match dice.roll(6) {
        0 => json!(dice.roll(1000)),
        1 => json!(dice.chance(50)),
        2 => json!(-(i64::try_from(dice.roll(50)).expect("small"))),
        3 => json!(1.5 + f64::from(u8::try_from(dice.roll(9)).expect("small"))),
        _ => json!(odd_string(dice)),
    }
}

/// A map of strings with few and short keys.
pub fn strings(dice: &mut Dice, most: usize) -> Value {
    let mut map = Map::new();
    for _ in 0..dice.roll(most + 1) {
        let key = dice.pick(&["colour", "high", "low", "app.conf", "a_b", "A-B", "k1", "k10", "k2"]);
        map.insert(key.to_owned(), json!(odd_string(dice)));
    }
    Value::Object(map)
}

/// A free tree of values, for custom kinds.
pub fn tree(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 1 } else { 4 }) {
        1 => {
            let keys = ["alpha", "beta", "gamma", "name", "x-y"];
            (0..dice.roll(4)).map(|_| (dice.pick(&keys).to_owned(), tree(dice, depth - 1))).collect()
        }
        2 => Value::Array((0..dice.roll(4)).map(|_| tree(dice, depth - 1)).collect()),
        3 => Value::Array(
            ["main", "spare"].iter().map(|n| json!({"name": n, "watts": dice.roll(100)})).collect(),
        ),
        _ => scalar(dice),
    }
}

fn labels(dice: &mut Dice, id: usize) -> Value {
    let mut map = Map::new();
    map.insert("app".to_owned(), json!(name(dice, id)));
    if dice.chance(40) {
        map.insert("tier".to_owned(), json!(dice.pick(&["front", "back", "1", "true"])));
    }
    Value::Object(map)
}

fn env(dice: &mut Dice, id: usize) -> Value {
    let mut list = Vec::new();
    for key in ["LOG", "REGION", "KEY"] {
        if dice.chance(50) {
            let from = name(dice, id);
            list.push(match dice.roll(4) {
                0 => json!({"name": key, "valueFrom": {"configMapKeyRef": {"name": from, "key": "colour"}}}),
                1 => json!({"name": key, "valueFrom": {"secretKeyRef": {"name": from, "key": "high"}}}),
                _ => json!({"name": key, "value": odd_string(dice)}),
            });
        }
    }
    Value::Array(list)
}

fn ports(dice: &mut Dice, key: &str) -> Value {
    let mut list = Vec::new();
    // one form a list: kustomize merges lists where only some elements have a protocol by luck
    let protocols = dice.chance(50);
    for port in [80, 443, 9090] {
        if dice.chance(50) {
            let mut one = json!({"name": format!("p{port}")});
            one[key] = json!(port);
            if protocols {
                one["protocol"] = json!(dice.pick(&["TCP", "UDP"]));
            }
            list.push(one);
        }
    }
    Value::Array(list)
}

fn container(dice: &mut Dice, id: usize, called: &str) -> Value {
    let image = dice.pick(&[
        "lantern",
        "lantern:v1",
        "registry.example.com:5000/team/lantern:1.2",
        "tools/broom@sha256:00ff",
        "tools/broom:2@sha256:00ff",
        "busybox",
    ]);
    let mut one = json!({"name": called, "image": image});
    if dice.chance(50) {
        one["env"] = env(dice, id);
    }
    if dice.chance(30) {
        one["envFrom"] =
            json!([{"configMapRef": {"name": name(dice, id)}}, {"secretRef": {"name": name(dice, id)}}]);
    }
    if dice.chance(40) {
        one["ports"] = ports(dice, "containerPort");
    }
    if dice.chance(40) {
        one["volumeMounts"] =
            json!([{"name": "data", "mountPath": "/data"}, {"name": "conf", "mountPath": "/etc/conf"}]);
    }
    if dice.chance(30) {
        one["args"] = json!([odd_string(dice), odd_string(dice)]);
    }
    if dice.chance(30) {
        one["resources"] = json!({"limits": {"memory": "64Mi"}, "requests": {"cpu": dice.roll(4)}});
    }
    one
}

fn pod_spec(dice: &mut Dice, id: usize) -> Value {
    let mut spec = json!({"containers": [container(dice, id, "web")]});
    if dice.chance(40) {
        let second = container(dice, id, "proxy");
        spec["containers"].as_array_mut().expect("list").push(second);
    }
    if dice.chance(30) {
        spec["initContainers"] = json!([container(dice, id, "warm")]);
    }
    if dice.chance(50) {
        spec["volumes"] = json!([
            {"name": "data", "persistentVolumeClaim": {"claimName": name(dice, id)}},
            {"name": "conf", "configMap": {"name": name(dice, id)}},
            {"name": "key", "secret": {"secretName": name(dice, id)}},
        ]);
    }
    if dice.chance(40) {
        spec["serviceAccountName"] = json!(name(dice, id));
    }
    if dice.chance(20) {
        spec["imagePullSecrets"] = json!([{"name": name(dice, id)}]);
    }
    if dice.chance(20) {
        spec["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    }
    spec
}

fn template(dice: &mut Dice, id: usize) -> Value {
    json!({"metadata": {"labels": labels(dice, id)}, "spec": pod_spec(dice, id)})
}

fn workload(dice: &mut Dice, id: usize, kind: &str) -> Value {
    let mut spec = json!({"selector": {"matchLabels": labels(dice, id)}, "template": template(dice, id)});
    if kind != "DaemonSet" && dice.chance(60) {
        spec["replicas"] = json!(dice.roll(5));
    }
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name(dice, id));
        if dice.chance(50) {
            spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}]);
        }
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "spec": spec})
}

fn binding(dice: &mut Dice, id: usize, kind: &str) -> Value {
    let role = if kind == "RoleBinding" { dice.pick(&["Role", "ClusterRole"]) } else { "ClusterRole" };
    let account = if dice.chance(50) { name(dice, id) } else { "default".to_owned() };
    let mut subject = json!({"kind": "ServiceAccount", "name": account});
    if dice.chance(60) {
        subject["namespace"] = json!(format!("harbour-{id}"));
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name(dice, id)},
        "subjects": [subject, {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}],
    })
}

/// One object without its name.
fn object(dice: &mut Dice, id: usize) -> Value {
    let n = name(dice, id);
    match dice.roll(26) {
        0..=2 => workload(dice, id, "Deployment"),
        3 => workload(dice, id, "StatefulSet"),
        4 => workload(dice, id, "DaemonSet"),
        5 => json!({"apiVersion": "batch/v1", "kind": "CronJob",
            "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template(dice, id)}}}}),
        6 => json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template(dice, id)}}),
        7 => json!({"apiVersion": "v1", "kind": "Pod", "spec": pod_spec(dice, id)}),
        8 | 9 => json!({"apiVersion": "v1", "kind": "ConfigMap", "data": strings(dice, 4)}),
        10 => json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": strings(dice, 3)}),
        11 | 12 => json!({"apiVersion": "v1", "kind": "Service",
            "spec": {"selector": labels(dice, id), "ports": ports(dice, "port")}}),
        13 => json!({"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": [{"name": n}]}),
        14 => json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {
            "tls": [{"secretName": name(dice, id), "hosts": ["a.example.com"]}],
            "rules": [{"host": "a.example.com", "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": n, "port": {"number": 80}}}}]}}]}}),
        15 => {
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": dice.pick(&["Deployment", "StatefulSet"]), "name": n}}})
        }
        16 => binding(dice, id, "RoleBinding"),
        17 => binding(dice, id, "ClusterRoleBinding"),
        18 => {
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": dice.pick(&["Role", "ClusterRole"]),
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [n], "verbs": ["get"]}]})
        }
        19 => json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        20 => json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "spec": {"podSelector": {"matchLabels": labels(dice, id)}, "ingress": [{"from": [{"podSelector": {"matchLabels": labels(dice, id)}}]}]}}),
        _ => {
            json!({"apiVersion": "sea.example.com/v1", "kind": "Beacon", "spec": {"image": "lantern:v1", "free": tree(dice, 3)}})
        }
    }
}

/// Returns between `least` and `most` objects, no two with the same identity.
pub fn objects(dice: &mut Dice, id: usize, least: usize, most: usize) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for _ in 0..least + dice.roll(most - least + 1) {
        let mut one = object(dice, id);
        one["metadata"] = json!({"name": name(dice, id)});
        if dice.chance(15) {
            one["metadata"]["namespace"] = json!(format!("harbour-{id}"));
        }
        if dice.chance(40) {
            one["metadata"]["labels"] = labels(dice, id);
        }
        if dice.chance(25) {
            one["metadata"]["annotations"] = strings(dice, 3);
        }
        // namespaces are left out: two objects that a `namespace:` moves together would collide
        let same = |other: &Value| {
            other["kind"] == one["kind"] && other["metadata"]["name"] == one["metadata"]["name"]
        };
        if !all.iter().any(same) {
            all.push(one);
        }
    }
    all
}
