//! What objects allow, in plain words: RBAC, quota, network, Argo CD, webhooks.

use serde_json::Value;

/// Returns a sentence for each thing that some objects allow, in a fixed order.
pub fn in_words(objects: &[&Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for object in objects {
        match kind(object) {
            "RoleBinding" | "ClusterRoleBinding" => lines.extend(binding(object, objects)),
            _ => {}
        }
    }
    for object in objects {
        match kind(object) {
            "ResourceQuota" => lines.push(format!(
                "{} may use at most {}",
                in_namespace(object),
                pairs(&object["spec"]["hard"])
            )),
            "LimitRange" => lines.extend(limits(object)),
            "NetworkPolicy" => lines.extend(network(object)),
            "AppProject" => lines.extend(project(object)),
            "ClusterSecretStore" => lines.push(store(object)),
            "Trigger" => lines.push(format!(
                "a push starts a run of Pipeline {} where {}",
                param(&object["spec"]["bindings"], "pipeline-name").unwrap_or("?"),
                param(&object["spec"]["interceptors"][0]["params"], "filter").unwrap_or("any push")
            )),
            "Ingress" => lines.extend(hosts(object)),
            _ => {}
        }
    }
    lines
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn in_namespace(object: &Value) -> String {
    format!("namespace {}", text(object, "/metadata/namespace"))
}

fn words(list: &Value) -> String {
    let items: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    items.join(", ")
}

fn pairs(map: &Value) -> String {
    let pairs: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k} {}", v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
        .collect();
    pairs.join(", ")
}

fn param<'v>(list: &'v Value, name: &str) -> Option<&'v str> {
    list.as_array()?.iter().find(|p| p["name"] == name)?["value"].as_str()
}

/// Says who may do what, rule by rule; a role that is not among the objects is only named.
fn binding(object: &Value, all: &[&Value]) -> Vec<String> {
    let cluster_wide = kind(object) == "ClusterRoleBinding";
    let scope =
        if cluster_wide { "on the whole cluster".to_owned() } else { format!("in {}", in_namespace(object)) };
    let who: Vec<String> = object["subjects"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| match text(s, "/namespace") {
            "" => format!("{} {}", text(s, "/kind"), text(s, "/name")),
            namespace => format!("{} {namespace}/{}", text(s, "/kind"), text(s, "/name")),
        })
        .collect();
    let who = who.join(", ");
    let (role_kind, role_name) = (text(object, "/roleRef/kind"), text(object, "/roleRef/name"));
    let role = all.iter().find(|o| {
        kind(o) == role_kind
            && text(o, "/metadata/name") == role_name
            && (role_kind == "ClusterRole"
                || text(o, "/metadata/namespace") == text(object, "/metadata/namespace"))
    });
    let Some(role) = role else {
        return vec![format!("{who} has {role_kind} {role_name} {scope}")];
    };
    role["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| {
            let named = match words(&rule["resourceNames"]) {
                names if names.is_empty() => String::new(),
                names => format!(" named {names}"),
            };
            let groups = match words(&rule["apiGroups"]).trim_matches([',', ' ']) {
                "" => String::new(),
                groups => format!(" of {groups}"),
            };
            format!(
                "{who} may {} {}{groups}{named} {scope}",
                words(&rule["verbs"]),
                words(&rule["resources"])
            )
        })
        .collect()
}

fn limits(object: &Value) -> Vec<String> {
    let limit = |l: &Value| {
        format!(
            "a {} in {} gets {} (asks for {}), at most {}",
            text(l, "/type"),
            in_namespace(object),
            pairs(&l["default"]),
            pairs(&l["defaultRequest"]),
            pairs(&l["max"])
        )
    };
    object["spec"]["limits"].as_array().into_iter().flatten().map(limit).collect()
}

fn network(object: &Value) -> Vec<String> {
    let pods = match &object["spec"]["podSelector"]["matchLabels"] {
        Value::Object(labels) if !labels.is_empty() => {
            format!("pods with {}", pairs(&object["spec"]["podSelector"]["matchLabels"]))
        }
        _ => "all pods".to_owned(),
    };
    let place = in_namespace(object);
    let mut lines = Vec::new();
    for (key, peers, verb) in [("ingress", "from", "are reached from"), ("egress", "to", "reach")] {
        for rule in object["spec"][key].as_array().into_iter().flatten() {
            let whom: Vec<String> = rule[peers].as_array().into_iter().flatten().map(peer).collect();
            let whom = if whom.is_empty() { "everything".to_owned() } else { whom.join(" or ") };
            let ports: Vec<String> = rule["ports"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|p| format!("{} {}", text(p, "/protocol"), p["port"]))
                .collect();
            let ports = if ports.is_empty() { "any port".to_owned() } else { ports.join(", ") };
            lines.push(format!("{pods} in {place} {verb} {whom} ({ports})"));
        }
    }
    lines
}

fn peer(peer: &Value) -> String {
    if let Some(cidr) = peer["ipBlock"]["cidr"].as_str() {
        return cidr.to_owned();
    }
    let namespaces = match &peer["namespaceSelector"]["matchLabels"] {
        Value::Object(labels) => match labels.get("kubernetes.io/metadata.name").and_then(Value::as_str) {
            Some(name) => format!("namespace {name}"),
            None => format!("namespaces with {}", pairs(&peer["namespaceSelector"]["matchLabels"])),
        },
        _ => "its own namespace".to_owned(),
    };
    match &peer["podSelector"]["matchLabels"] {
        Value::Object(_) => {
            format!("pods with {} in {namespaces}", pairs(&peer["podSelector"]["matchLabels"]))
        }
        _ => namespaces,
    }
}

fn project(object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let destinations: Vec<String> = spec["destinations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|d| format!("{} of {}", text(d, "/namespace"), text(d, "/server")))
        .collect();
    let kinds = |key: &str| {
        let kinds: Vec<&str> = spec[key].as_array().into_iter().flatten().map(|k| text(k, "/kind")).collect();
        kinds.join(", ")
    };
    let mut lines = vec![format!(
        "its Applications (in {}) deploy {} to namespace {}",
        words(&spec["sourceNamespaces"]),
        words(&spec["sourceRepos"]),
        destinations.join(", ")
    )];
    if kinds("clusterResourceWhitelist").is_empty() {
        lines.push("its Applications bring nothing that is cluster-scoped".to_owned());
    }
    match kinds("namespaceResourceBlacklist") {
        none if none.is_empty() => {}
        some => lines.push(format!("its Applications do not bring {some}")),
    }
    lines
}

fn store(object: &Value) -> String {
    let labels = &object["spec"]["conditions"][0]["namespaceSelector"]["matchLabels"];
    format!(
        "namespaces with the label {} read secrets of namespace {} through {}",
        pairs(labels),
        text(object, "/spec/provider/kubernetes/remoteNamespace"),
        text(object, "/metadata/name")
    )
}

fn hosts(object: &Value) -> Vec<String> {
    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
    rules
        .map(|r| {
            let path = text(r, "/http/paths/0/path");
            format!("https://{}{path} leads to {}", text(r, "/host"), in_namespace(object))
        })
        .collect()
}
