//! The kinds of the vault-config-operator, which write to Vault itself.

use super::{Found, is_cluster_host, is_plain_name};
use serde_json::Value;

/// Judges one object of the operator.
pub(super) fn lint(kind: &str, found: &mut Found<'_>) {
    connection(found);
    name(found);
    match kind {
        "AuthEngineMount" => mount(found),
        "Policy" => policy(found),
        "KubernetesAuthEngineConfig" => config(found),
        "KubernetesAuthEngineRole" => role(found),
        _ => {}
    }
}

fn connection(found: &mut Found<'_>) {
    found.need("spec.connection.address", "the operator would call https://127.0.0.1:8200");
    found.need("spec.authentication.path", "the operator would log in at the mount `kubernetes`");
    found.need("spec.authentication.role", "the operator could not log in");
    found.mount("spec.authentication.path");
}

/// The name is part of a path in Vault, which folds capitals.
fn name(found: &mut Found<'_>) {
    for key in ["metadata.name", "spec.name"] {
        let name = found.text(key).to_owned();
        if !name.is_empty() && !is_plain_name(&name) {
            found.error(
                key,
                format!("`{name}` is no name that Vault keeps as it is"),
                "use lower-case letters, digits and `-`, as in `gitops-prod`",
            );
        }
    }
}

fn mount(found: &mut Found<'_>) {
    let (path, name) = (found.text("spec.path").to_owned(), found.text("metadata.name").to_owned());
    if path.is_empty() {
        found.error(
            "spec.path",
            "is empty: the mount is made, but the operator can never store its finalizer",
            "write `path: /`",
        );
    } else if path != "/" {
        let inside = path.trim_matches('/');
        let message = format!("the mount would be {inside}/{name}, inside another one");
        if inside == name {
            found.error("spec.path", format!("{message}, and Vault refuses that"), "write `path: /`");
        } else {
            found.warning("spec.path", message, "write `path: /` for a mount of its own");
        }
    }
    if found.text("spec.config.listingVisibility").is_empty() {
        found.error(
            "spec.config.listingVisibility",
            "is missing: the operator can never store its finalizer",
            "write `listingVisibility: hidden`",
        );
    }
}

fn policy(found: &mut Found<'_>) {
    if found.text("spec.policy").trim().is_empty() {
        found.error("spec.policy", "is empty, and Vault refuses that", "write the rules in HCL");
    }
    if found.text("spec.type").is_empty() {
        found.warning(
            "spec.type",
            "is missing: the policy goes to sys/policy, not sys/policies/acl",
            "write `type: acl`",
        );
    }
}

fn config(found: &mut Found<'_>) {
    if found.text("spec.tokenReviewerServiceAccount.name").is_empty() {
        found.error(
            "spec.tokenReviewerServiceAccount.name",
            "is missing: the operator clears Vault's reviewer token, which locks out every client of the mount while this object says success",
            "name a ServiceAccount bound to system:auth-delegator, or remove this object: `hydrant bootstrap` writes the config",
        );
    }
    if found.value("spec.path").and_then(Value::as_str).is_none() {
        found.error(
            "spec.path",
            "is required by the operator's CRD",
            "write `path: \"\"`, the name is the mount",
        );
    }
    found.mount("spec.path");
    let external = !found.text("spec.connection.address").is_empty()
        && !is_cluster_host(found.text("spec.connection.address"));
    let host = found.text("spec.kubernetesHost").to_owned();
    if external && (host.is_empty() || is_cluster_host(&host)) {
        found.error(
            "spec.kubernetesHost",
            "a Vault outside the cluster cannot reach the API server by its inside name, so every login fails",
            "write the API server's outside address, as in https://api.prod.example.com:6443",
        );
    }
}

fn role(found: &mut Found<'_>) {
    found.need("spec.path", "the role needs its mount");
    found.mount("spec.path");
    if !found.has_items("spec.policies") {
        found.error("spec.policies", "is empty", "name at least one policy");
    }
    if !found.has_items("spec.targetServiceAccounts") {
        found.error("spec.targetServiceAccounts", "is empty", "name at least one ServiceAccount");
    }
    let listed = found.has_items("spec.targetNamespaces.targetNamespaces");
    let selected = found.value("spec.targetNamespaces.targetNamespaceSelector").is_some();
    if listed == selected {
        found.error(
            "spec.targetNamespaces",
            "needs exactly one of targetNamespaces (a list) and targetNamespaceSelector",
            "write `targetNamespaces: {targetNamespaces: [a, b]}`",
        );
    }
    let number = |f: &Found<'_>, key: &str| f.value(key).and_then(Value::as_i64).unwrap_or(0);
    if number(found, "spec.tokenTTL") <= 0 && number(found, "spec.tokenPeriod") <= 0 {
        found.warning(
            "spec.tokenTTL",
            "is missing: the operator writes 0, which is the mount's default of 768 hours",
            "write seconds, as in `tokenTTL: 3600`",
        );
    }
    if found.has_sync_option("Replace=true") || found.has_sync_option("Force=true") {
        found.error(
            "metadata.annotations",
            "Force and Replace delete the role in Vault before they make it again, and hang when Vault is down",
            "remove these sync options; a changed mount is a new role",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, says, with};

    const ROLE: &str = "apiVersion: redhatcop.redhat.io/v1alpha1
kind: KubernetesAuthEngineRole
metadata: {name: gitops-p, namespace: argocd}
spec:
  connection: {address: 'https://vault.example:8200'}
  authentication: {path: kubernetes-p, role: kube-auth}
  path: kubernetes-p
  policies: [gitops-p]
  targetServiceAccounts: [default]
  targetNamespaces: {targetNamespaces: [a]}
  tokenTTL: 3600
";
    const CONFIG: &str = "apiVersion: redhatcop.redhat.io/v1alpha1
kind: KubernetesAuthEngineConfig
metadata: {name: kubernetes-p}
spec:
  connection: {address: 'https://vault.example:8200'}
  authentication: {path: kubernetes-p, role: kube-auth}
  path: ''
  kubernetesHost: https://api.p.example:6443
  tokenReviewerServiceAccount: {name: vault-token-reviewer}
";
    const MOUNT: &str = "apiVersion: redhatcop.redhat.io/v1alpha1
kind: AuthEngineMount
metadata: {name: kubernetes-p}
spec:
  connection: {address: 'https://vault.example:8200'}
  authentication: {path: kubernetes-p, role: kube-auth}
  path: /
  type: kubernetes
  config: {listingVisibility: hidden}
";
    const POLICY: &str = "apiVersion: redhatcop.redhat.io/v1alpha1
kind: Policy
metadata: {name: gitops-p}
spec:
  connection: {address: 'https://vault.example:8200'}
  authentication: {path: kubernetes-p, role: kube-auth}
  type: acl
  policy: 'path \"a\" {}'
";

    #[test]
    fn the_forms_that_worked_are_left_alone() {
        for good in [ROLE, CONFIG, MOUNT, POLICY] {
            assert_eq!(messages(good), Vec::<String>::new());
        }
    }

    #[test]
    fn a_login_without_address_mount_or_role_is_an_error() {
        let auth = "authentication: {path: kubernetes-p, role: kube-auth}";
        let address = "  connection: {address: 'https://vault.example:8200'}\n";
        says(&with(ROLE, address, ""), &["error spec.connection.address", "127.0.0.1"]);
        says(&with(ROLE, auth, "authentication: {path: kubernetes-p}"), &["spec.authentication.role"]);
        says(&with(ROLE, auth, "authentication: {role: kube-auth}"), &["spec.authentication.path"]);
        says(
            &with(ROLE, auth, "authentication: {path: auth/k, role: kube-auth}"),
            &["`auth/k`", "auth/auth/"],
        );
    }

    #[test]
    fn a_name_that_vault_folds_is_an_error() {
        says(&with(POLICY, "name: gitops-p", "name: Up"), &["metadata.name", "`Up`"]);
        says(&with(POLICY, "  type: acl", "  type: acl\n  name: a b"), &["spec.name", "`a b`"]);
    }

    #[test]
    fn a_mount_inside_a_mount_is_an_error() {
        says(
            &with(MOUNT, "path: /\n", "path: kubernetes-p\n"),
            &["error spec.path", "kubernetes-p/kubernetes-p"],
        );
        says(&with(MOUNT, "path: /\n", "path: teams\n"), &["warning spec.path", "teams/kubernetes-p"]);
        says(&with(MOUNT, "path: /\n", "path: ''\n"), &["error spec.path", "finalizer"]);
        says(&with(MOUNT, "  config: {listingVisibility: hidden}\n", ""), &["listingVisibility"]);
    }

    #[test]
    fn a_config_without_reviewer_is_an_error() {
        let reviewer = "  tokenReviewerServiceAccount: {name: vault-token-reviewer}\n";
        says(&with(CONFIG, reviewer, ""), &["error spec.tokenReviewerServiceAccount.name", "locks out"]);
        says(&with(CONFIG, "  path: ''\n", ""), &["error spec.path", "required"]);
    }

    #[test]
    fn an_external_vault_with_an_inside_host_is_an_error() {
        for host in [
            "https://kubernetes.default.svc",
            "https://kubernetes.default.svc:443",
            "https://kubernetes.default",
        ] {
            let text = with(CONFIG, "https://api.p.example:6443", host);
            says(&text, &["error spec.kubernetesHost", "outside"]);
        }
        let inside = with(CONFIG, "https://api.p.example:6443", "https://kubernetes.default.svc");
        let inside = with(&inside, "https://vault.example:8200", "http://vault.vault.svc:8200");
        assert_eq!(messages(&inside), Vec::<String>::new());
    }

    #[test]
    fn a_policy_must_say_something_and_where_it_goes() {
        says(&with(POLICY, "policy: 'path \"a\" {}'", "policy: ' '"), &["error spec.policy"]);
        says(&with(POLICY, "  type: acl\n", ""), &["warning spec.type", "sys/policy"]);
    }

    #[test]
    fn a_role_needs_bounds_a_life_time_and_no_replace() {
        says(&with(ROLE, "  tokenTTL: 3600\n", ""), &["warning spec.tokenTTL", "768"]);
        assert_eq!(messages(&with(ROLE, "tokenTTL: 3600", "tokenPeriod: 60")), Vec::<String>::new());
        says(
            &with(ROLE, "targetNamespaces: {targetNamespaces: [a]}", "targetNamespaces: [a]"),
            &["exactly one"],
        );
        says(
            &with(ROLE, "[a]}", "[a], targetNamespaceSelector: {}}"),
            &["error spec.targetNamespaces", "exactly one"],
        );
        says(
            &with(ROLE, "targetServiceAccounts: [default]", "targetServiceAccounts: []"),
            &["targetServiceAccounts"],
        );
        says(&with(ROLE, "policies: [gitops-p]", "policies: []"), &["spec.policies"]);
        let replace = "annotations: {argocd.argoproj.io/sync-options: 'Force=true,Replace=true'}";
        says(
            &with(ROLE, "namespace: argocd", &format!("namespace: argocd, {replace}")),
            &["Replace", "hang"],
        );
    }
}
