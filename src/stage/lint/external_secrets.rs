//! The kinds of the external-secrets operator.

use super::Found;
use serde_json::Value;

/// Judges one object of the operator.
pub(super) fn lint(kind: &str, found: &mut Found<'_>) {
    if found.text("apiVersion") == "external-secrets.io/v1beta1" {
        found.error("apiVersion", "v1beta1 is no longer served", "write `external-secrets.io/v1`");
    }
    match kind {
        "ExternalSecret" => external_secret(found),
        "ClusterSecretStore" => {
            store(found);
            cluster_store(found);
        }
        "SecretStore" => store(found),
        _ => {}
    }
}

fn external_secret(found: &mut Found<'_>) {
    if found.value("spec.target.template.metadata").is_none() {
        found.error(
            "spec.target.template.metadata",
            "is missing: the Secret gets this object's labels and annotations, Argo CD's tracking ones too",
            "write `metadata: {}` or the labels you want",
        );
    }
    let sources = found.value("spec.dataFrom").and_then(Value::as_array);
    if sources.into_iter().flatten().any(|source| source.get("key").is_some()) {
        found.error("spec.dataFrom", "`key` stands one level too high", "write `extract: {key: …}`");
    }
}

fn store(found: &mut Found<'_>) {
    found.mount("spec.provider.vault.auth.kubernetes.mountPath");
}

fn cluster_store(found: &mut Found<'_>) {
    let reference = "spec.provider.vault.auth.kubernetes.serviceAccountRef";
    if found.value(reference).is_some() && found.text(&format!("{reference}.namespace")).is_empty() {
        found.warning(
            &format!("{reference}.namespace"),
            "is missing: the store says Valid without a test, and each ExternalSecret logs in as its own namespace's ServiceAccount",
            "name the namespace, unless that is what you want",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, says, with};

    const SECRET: &str = "apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: s, namespace: apps}
spec:
  target: {template: {metadata: {}}}
  dataFrom: [{extract: {key: finops-db-creds}}]
";
    const STORE: &str = "apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: s}
spec: {provider: {vault: {auth: {kubernetes: {mountPath: kubernetes, serviceAccountRef: {name: a, namespace: b}}}}}}
";

    #[test]
    fn the_forms_that_worked_are_left_alone() {
        for good in [SECRET, STORE] {
            assert_eq!(messages(good), Vec::<String>::new());
        }
    }

    #[test]
    fn forms_that_do_not_work_are_named() {
        says(&with(SECRET, "external-secrets.io/v1", "external-secrets.io/v1beta1"), &["error apiVersion"]);
        says(&with(SECRET, "{template: {metadata: {}}}", "{}"), &["error spec.target.template.metadata"]);
        says(
            &with(SECRET, "{extract: {key: finops-db-creds}}", "{key: a}"),
            &["error spec.dataFrom", "one level"],
        );
        says(&with(STORE, "mountPath: kubernetes", "mountPath: auth/kubernetes"), &["auth/auth/"]);
        says(&with(STORE, ", namespace: b", ""), &["warning", "serviceAccountRef.namespace"]);
    }
}
