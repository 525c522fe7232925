//! The kinds of the vault-secrets-operator, which read from Vault.

use super::{Found, is_refresh_interval};
use serde_json::Value;
use url::Url;

/// Judges one object of the operator.
pub(super) fn lint(kind: &str, found: &mut Found<'_>) {
    match kind {
        "VaultConnection" => connection(found),
        "VaultAuth" => auth(found),
        "VaultStaticSecret" => {
            source(found);
            destination(found);
            transformation(found);
        }
        _ => {}
    }
}

fn connection(found: &mut Found<'_>) {
    let address = found.text("spec.address").to_owned();
    let usable =
        Url::parse(&address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !usable {
        found.error(
            "spec.address",
            "is no http or https address",
            "write it as in https://vault.example.com:8200",
        );
    }
    if found.is_true("spec.skipTLSVerify") {
        found.warning(
            "spec.skipTLSVerify",
            "anybody on the way can pose as Vault",
            "name a Secret with the CA (key `ca.crt`) in `caCertSecretRef`",
        );
    }
}

/// The CRD requires none of the four, and the object says Ready without them.
fn auth(found: &mut Found<'_>) {
    found.need("spec.mount", "logins would go to auth/login and be refused");
    found.need("spec.vaultConnectionRef", "the operator would look for a VaultConnection named `default`");
    found.mount("spec.mount");
    if found.text("spec.method") == "kubernetes" {
        found.need("spec.kubernetes.role", "logins fail with `empty role`");
        found.need("spec.kubernetes.serviceAccount", "logins fail with `empty serviceAccount`");
    }
}

fn source(found: &mut Found<'_>) {
    let mount = found.text("spec.mount").to_owned();
    if mount.is_empty() || mount.starts_with('/') || mount.ends_with('/') {
        found.error(
            "spec.mount",
            "must be the KV mount, without slashes around it",
            "write it as in `gitops`",
        );
    }
    let path = found.text("spec.path").to_owned();
    for prefix in ["data/", "metadata/", &format!("{mount}/data/"), &format!("{mount}/metadata/")] {
        if path.starts_with(prefix) && found.text("spec.type") == "kv-v2" {
            found.error(
                "spec.path",
                format!(
                    "`{path}` begins with `{prefix}`, which the operator adds itself: nothing is found there"
                ),
                "write the path below the mount alone",
            );
            break;
        }
    }
    let vault_auth = found.text("spec.vaultAuthRef").to_owned();
    if let Some((namespace, _)) = vault_auth.split_once('/')
        && namespace != found.text("metadata.namespace")
    {
        found.warning(
            "spec.vaultAuthRef",
            format!("the VaultAuth in {namespace} must allow this namespace in `allowedNamespaces`"),
            "name a VaultAuth of the same namespace",
        );
    }
    match found.value("spec.refreshAfter") {
        None if found.value("spec.hmacSecretData").and_then(Value::as_bool) == Some(false) => found.error(
            "spec.refreshAfter",
            "is missing, and without hmacSecretData the secret is never read again",
            "write a number and one unit, as in `60s`",
        ),
        None => found.warning("spec.refreshAfter", "is missing: every 60 s", "write it out, as in `60s`"),
        Some(value) if !value.as_str().is_some_and(is_refresh_interval) => found.error(
            "spec.refreshAfter",
            "must be a number and one unit (s, m or h)",
            "write `60s`, `5m` or `1h`; not `1h30m`, `1d` or `15`",
        ),
        Some(_) => {}
    }
}

fn destination(found: &mut Found<'_>) {
    found.need("spec.destination.name", "no Secret could be written");
    let restarts = found.has_items("spec.rolloutRestartTargets");
    match found.value("spec.destination.create").and_then(Value::as_bool) {
        Some(true) => {}
        _ if restarts => found.error(
            "spec.rolloutRestartTargets",
            "with `destination.create: false` the targets restart at every refresh",
            "write `create: true`, or remove the targets",
        ),
        None => found.warning(
            "spec.destination.create",
            "is missing, which means false: the Secret is never made, and no status says so",
            "write `create: true`",
        ),
        Some(false) => {}
    }
    if restarts && found.value("spec.hmacSecretData").and_then(Value::as_bool) == Some(false) {
        found.error(
            "spec.hmacSecretData",
            "restarts need it: without it the operator cannot tell a change",
            "write `hmacSecretData: true`",
        );
    }
}

fn transformation(found: &mut Found<'_>) {
    if found.value("spec.destination.transformation").is_none() {
        found.error(
            "spec.destination.transformation",
            "is missing: the operator edits this object, restarts its targets at once, and puts the whole KV entry into the Secret",
            "write at least `transformation: {excludeRaw: true}`",
        );
        return;
    }
    if !found.is_true("spec.destination.transformation.excludeRaw") {
        found.warning(
            "spec.destination.transformation.excludeRaw",
            "the Secret carries the whole KV entry under `_raw`; `excludes` never removes it",
            "write `excludeRaw: true`",
        );
    }
    let templates = found.value("spec.destination.transformation.templates").and_then(Value::as_object);
    let names: Vec<(String, bool)> = templates
        .into_iter()
        .flatten()
        .map(|(name, template)| {
            let text = template.get("text").and_then(Value::as_str).unwrap_or_default();
            (name.clone(), text.contains("fail "))
        })
        .collect();
    if names.is_empty() || names.iter().any(|(_, guarded)| !guarded) {
        found.warning(
            "spec.destination.transformation.templates",
            "when the KV entry is deleted the Secret is emptied, and every status stays green",
            "guard each key: a template that calls `fail` when it is missing keeps the last Secret",
        );
    }
    for (name, _) in &names {
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !name.bytes().all(valid) {
            found.error(
                "spec.destination.transformation.templates",
                format!("`{name}` is no key that a Secret can have, and it blocks the whole Secret"),
                "use letters, digits, `-`, `_` and `.`",
            );
        }
    }
    let type_of = found.text("spec.destination.type");
    if type_of == "kubernetes.io/dockerconfigjson" && !names.iter().any(|(n, _)| n == ".dockerconfigjson") {
        found.error(
            "spec.destination.transformation.templates",
            "a Secret of this type needs the key `.dockerconfigjson`",
            "add a template of that name",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, says, with};

    const AUTH: &str = "apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultAuth
metadata: {name: k8s, namespace: apps}
spec:
  method: kubernetes
  mount: kubernetes-p
  vaultConnectionRef: vault
  kubernetes: {role: gitops-p, serviceAccount: default}
";
    const SECRET: &str = "apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultStaticSecret
metadata: {name: s, namespace: apps}
spec:
  vaultAuthRef: k8s
  mount: gitops
  type: kv-v2
  path: a/b
  refreshAfter: 60s
  hmacSecretData: true
  destination:
    name: s
    create: true
    transformation:
      excludeRaw: true
      templates:
        token: {text: '{{ fail \"x\" }}'}
  rolloutRestartTargets: [{kind: Deployment, name: d}]
";

    #[test]
    fn the_forms_that_worked_are_left_alone() {
        let connection = "apiVersion: secrets.hashicorp.com/v1beta1\nkind: VaultConnection\nspec: {address: 'https://v:8200'}\n";
        for good in [AUTH, SECRET, connection] {
            assert_eq!(messages(good), Vec::<String>::new());
        }
    }

    #[test]
    fn a_connection_has_an_address_and_checks_it() {
        let base = "apiVersion: secrets.hashicorp.com/v1beta1\nkind: VaultConnection\nspec: ";
        for bad in ["{}", "{address: 'vault:8200'}", "{address: ftp://vault}"] {
            says(&format!("{base}{bad}\n"), &["error spec.address"]);
        }
        says(
            &format!("{base}{{address: 'https://v', skipTLSVerify: true}}\n"),
            &["warning spec.skipTLSVerify"],
        );
    }

    #[test]
    fn the_four_fields_that_no_schema_requires_are_required_here() {
        says(&with(AUTH, "  mount: kubernetes-p\n", ""), &["error spec.mount", "auth/login"]);
        says(&with(AUTH, "  vaultConnectionRef: vault\n", ""), &["error spec.vaultConnectionRef"]);
        says(&with(AUTH, "role: gitops-p, ", ""), &["error spec.kubernetes.role", "empty role"]);
        says(&with(AUTH, ", serviceAccount: default", ""), &["error spec.kubernetes.serviceAccount"]);
        says(&with(AUTH, "mount: kubernetes-p", "mount: auth/kubernetes-p"), &["auth/auth/"]);
    }

    #[test]
    fn the_path_stands_below_the_mount_alone() {
        for bad in ["data/a", "metadata/a", "gitops/data/a"] {
            says(&with(SECRET, "path: a/b", &format!("path: {bad}")), &["error spec.path", bad]);
        }
        says(&with(SECRET, "mount: gitops", "mount: gitops/"), &["error spec.mount"]);
        says(&with(SECRET, "vaultAuthRef: k8s", "vaultAuthRef: other/k8s"), &["warning spec.vaultAuthRef"]);
        assert_eq!(
            messages(&with(SECRET, "vaultAuthRef: k8s", "vaultAuthRef: apps/k8s")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_interval_has_one_unit() {
        for bad in ["1h30m", "1d", "'15'", "''", "15"] {
            says(
                &with(SECRET, "refreshAfter: 60s", &format!("refreshAfter: {bad}")),
                &["error spec.refreshAfter"],
            );
        }
        says(&with(SECRET, "  refreshAfter: 60s\n", ""), &["warning spec.refreshAfter"]);
        let never =
            with(SECRET, "  refreshAfter: 60s\n  hmacSecretData: true\n", "  hmacSecretData: false\n");
        let never = with(&never, "  rolloutRestartTargets: [{kind: Deployment, name: d}]\n", "");
        says(&never, &["error spec.refreshAfter", "never"]);
    }

    #[test]
    fn restarts_need_a_secret_of_our_own_and_its_mac() {
        says(&with(SECRET, "create: true", "create: false"), &["error spec.rolloutRestartTargets"]);
        says(&with(SECRET, "    create: true\n", ""), &["error spec.rolloutRestartTargets"]);
        let without = with(SECRET, "  rolloutRestartTargets: [{kind: Deployment, name: d}]\n", "");
        says(&with(&without, "    create: true\n", ""), &["warning spec.destination.create"]);
        says(&with(SECRET, "hmacSecretData: true", "hmacSecretData: false"), &["error spec.hmacSecretData"]);
    }

    #[test]
    fn a_secret_keeps_its_last_data_and_nothing_raw() {
        let whole = "    transformation:\n      excludeRaw: true\n      templates:\n        token: {text: '{{ fail \"x\" }}'}\n";
        says(&with(SECRET, whole, ""), &["error spec.destination.transformation"]);
        says(&with(SECRET, "      excludeRaw: true\n", ""), &["warning", "_raw"]);
        says(&with(SECRET, "{{ fail \"x\" }}", "{{ get .Secrets \"x\" }}"), &["warning", "emptied"]);
        says(&with(SECRET, "token: {", "'bad key': {"), &["error", "`bad key`"]);
        says(
            &with(SECRET, "create: true", "create: true\n    type: kubernetes.io/dockerconfigjson"),
            &["error", ".dockerconfigjson"],
        );
    }
}
