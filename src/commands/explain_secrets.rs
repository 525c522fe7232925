//! `hydrant explain secrets`: where each secret of the fleet is read, by name; never a value.

use super::explain_binding::{Yielded, yielded};
use crate::cli::ExplainSecrets;
use crate::config::RenderRequest;
use crate::error::Result;
use crate::model::id::ClusterId;
use crate::reconcile;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One Secret that something reads or fills.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretReference {
    /// The cluster.
    pub cluster: String,
    /// The Secret's namespace and name.
    pub secret: String,
    /// Its keys, where they are known.
    pub keys: Vec<String>,
    /// Where its data come from: a path in Vault, an entry of a store, or nowhere that is in Git.
    pub from: String,
    /// Whose it is.
    pub subject: String,
    /// The file of the object that says so.
    pub path: String,
}

/// Prints the secret references of the selected clusters.
///
/// # Errors
/// A fleet that cannot be read.
pub fn run(args: &ExplainSecrets) -> Result<u8> {
    let found = references(&super::rendering(&args.fleet)?)?;
    super::print_list(&found, &table(&found), args.format)?;
    Ok(0)
}

/// Returns the secret references of the selected clusters, sorted.
///
/// # Errors
/// A fleet that cannot be read.
pub fn references(request: &RenderRequest) -> Result<Vec<SecretReference>> {
    let definitions = reconcile::definitions(request)?;
    let fleet = reconcile::fleet(&definitions, &request.pick)?;
    let mut found = Vec::new();
    for cluster in fleet.clusters.iter().filter(|c| request.pick.takes_cluster(&c.id)) {
        // Units that fail are the business of `validate`; the others are listed.
        let objects: Vec<Yielded> = yielded(&fleet, &cluster.id, None)
            .unwrap_or_default()
            .into_iter()
            .filter(|o| request.pick.takes_subject(&o.unit.subject))
            .collect();
        found.extend(of_cluster(&cluster.id, &objects));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Returns the references as a table.
pub fn table(references: &[SecretReference]) -> String {
    let mut out = String::new();
    let mut by_cluster: BTreeMap<&str, Vec<&SecretReference>> = BTreeMap::new();
    for reference in references {
        by_cluster.entry(&reference.cluster).or_default().push(reference);
    }
    for (cluster, rows) in by_cluster {
        out.push_str(&format!("# {cluster}\n"));
        let width = |f: fn(&SecretReference) -> usize| rows.iter().map(|r| f(r)).max().unwrap_or(0).min(64);
        let (w0, w1) = (width(|r| r.secret.len()), width(|r| r.from.len()));
        for r in &rows {
            let keys = if r.keys.is_empty() { "-".to_owned() } else { r.keys.join(",") };
            out.push_str(&format!("{:w0$}  {:w1$}  {keys}  {}\n", r.secret, r.from, r.subject));
        }
    }
    out
}

fn of_cluster(cluster: &ClusterId, objects: &[Yielded]) -> Vec<SecretReference> {
    let mut found = Vec::new();
    let mut filled: BTreeSet<String> = BTreeSet::new();
    for o in objects {
        let Some((secret, keys, from)) = source(&o.value) else { continue };
        filled.insert(secret.clone());
        found.push(reference(cluster, o, secret, keys, from));
    }
    // What is read and filled by nothing in Git: somebody makes it by hand.
    for o in objects {
        for (secret, key) in reads(&o.value) {
            if !filled.contains(&secret) {
                let from = "made by hand".to_owned();
                found.push(reference(cluster, o, secret, key.into_iter().collect(), from));
            }
        }
    }
    found
}

fn reference(
    cluster: &ClusterId,
    o: &Yielded,
    secret: String,
    keys: Vec<String>,
    from: String,
) -> SecretReference {
    SecretReference {
        cluster: cluster.to_string(),
        secret,
        keys,
        from,
        subject: o.unit.subject.to_string(),
        path: o.path.clone(),
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn named(object: &Value, name: &str) -> String {
    format!("{}/{name}", text(object, "/metadata/namespace"))
}

/// Returns the Secret that an object fills, its keys, and where they come from.
fn source(object: &Value) -> Option<(String, Vec<String>, String)> {
    match object["kind"].as_str()? {
        "VaultStaticSecret" => {
            let spec = &object["spec"];
            let templates = spec["destination"]["transformation"]["templates"].as_object();
            let keys = templates.map(|t| t.keys().cloned().collect()).unwrap_or_default();
            let from = format!("vault {}/{}", text(spec, "/mount"), text(spec, "/path"));
            Some((named(object, &text(spec, "/destination/name")), keys, from))
        }
        "ExternalSecret" => {
            let spec = &object["spec"];
            let data: Vec<&Value> = spec["data"].as_array().into_iter().flatten().collect();
            let keys = data.iter().map(|d| text(d, "/secretKey")).collect();
            let remote: BTreeSet<String> = data
                .iter()
                .map(|d| format!("{}#{}", text(d, "/remoteRef/key"), text(d, "/remoteRef/property")))
                .collect();
            let remote: Vec<String> = remote.into_iter().collect();
            let store = text(spec, "/secretStoreRef/name");
            Some((
                named(object, &text(spec, "/target/name")),
                keys,
                format!("store {store}: {}", remote.join(", ")),
            ))
        }
        "Secret" => {
            let data = object["stringData"].as_object().or_else(|| object["data"].as_object());
            let keys: Vec<String> = data.map(|d| d.keys().cloned().collect()).unwrap_or_default();
            let name = text(object, "/metadata/name");
            let from = if keys.is_empty() { "filled on the cluster" } else { "in Git (declared public)" };
            Some((named(object, &name), keys, from.into()))
        }
        _ => None,
    }
}

/// Returns the Secrets that an object reads, with the key if it names one.
fn reads(object: &Value) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    match object["kind"].as_str() {
        Some("EventListener") => walk(object, 0, &mut |map| {
            if map.get("name").and_then(Value::as_str) == Some("secretRef")
                && let Some(value) = map.get("value")
            {
                found.push((named(object, &text(value, "/secretName")), Some(text(value, "/secretKey"))));
            }
        }),
        Some("Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob") => {
            walk(object, 0, &mut |map| {
                if let Some(name) = map.get("secretName").and_then(Value::as_str) {
                    found.push((named(object, name), None));
                }
                for key in ["secretKeyRef", "secretRef"] {
                    let Some(reference) = map.get(key) else { continue };
                    let name = text(reference, "/name");
                    if !name.is_empty() {
                        let item = Some(text(reference, "/key")).filter(|k| !k.is_empty());
                        found.push((named(object, &name), item));
                    }
                }
            });
        }
        Some("ClusterSecretStore") => {
            let namespace = text(object, "/spec/provider/kubernetes/remoteNamespace");
            if !namespace.is_empty() {
                found.push((format!("{namespace}/org-secrets"), None));
            }
        }
        _ => {}
    }
    found
}

fn walk(value: &Value, depth: usize, visit: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
    // Manifests come from bounded YAML; the bound only keeps the stack safe.
    if depth > 200 {
        return;
    }
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|v| walk(v, depth + 1, visit));
        }
        Value::Array(items) => items.iter().for_each(|v| walk(v, depth + 1, visit)),
        _ => {}
    }
}
