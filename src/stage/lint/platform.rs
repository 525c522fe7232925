//! A cluster's Vault settings, before anything is rendered from them.

use super::{is_cluster_host, is_plain_name, is_refresh_interval, mount_problem};
use crate::error::{Origin, Violation, Violations};
use crate::model::cluster::ClusterFile;
use crate::model::platform::{IN_CLUSTER, Vault};
use url::Url;

/// Returns what cannot work in a cluster's Vault settings.
///
/// `is_enabled` says whether a component is on there; `at` gives the place that set a key of
/// `vault` (as in `vault.address`), or the cluster's file where nothing did.
pub fn lint_platform(
    cluster: &ClusterFile,
    vault: &Vault,
    is_enabled: impl Fn(&str) -> bool,
    at: impl Fn(&str) -> Origin,
) -> Violations {
    let mut found = Violations::new();
    if vault.address.is_empty() {
        return found;
    }
    let mut add = |v: Violation, key: &str, hint: &str| found.push(v.at(at(key)).key(key).hint(hint));
    address(vault, &is_enabled, &mut add);
    hosts(cluster, vault, &mut add);
    match mount_problem(&vault.kubernetes_mount) {
        Some((why, hint)) => add(Violation::error(why), "vault.kubernetesMount", hint),
        // The role and the policy are named after the mount: judged when it is right.
        None => names(vault, &mut add),
    }
    if !is_refresh_interval(&vault.refresh_after) {
        let v = Violation::error("must be a number and one unit (s, m or h)");
        add(v, "vault.refreshAfter", "write `60s`, `5m` or `1h`; not `1h30m`, `1d` or `15`");
    }
    if vault.token_ttl <= 0 {
        let v = Violation::error("0 is the mount's default, which is 768 hours");
        add(v, "vault.tokenTTL", "write seconds, as in 3600");
    }
    if vault.kv_mount.is_empty() || vault.kv_mount.starts_with('/') || vault.kv_mount.ends_with('/') {
        let v = Violation::error("must be the KV mount, without slashes around it");
        add(v, "vault.kvMount", "write it as in `gitops`");
    }
    found
}

fn address(vault: &Vault, is_enabled: &impl Fn(&str) -> bool, add: &mut impl FnMut(Violation, &str, &str)) {
    const KEY: &str = "vault.address";
    let url =
        Url::parse(&vault.address).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    let Some(url) = url else {
        let v = Violation::error("is no http or https address");
        return add(v, KEY, "write it as in https://vault.example.com:8200");
    };
    if url.scheme() == "http" && !vault.in_cluster {
        let v = Violation::warning("tokens and secrets cross the network without TLS");
        add(v, KEY, "use https");
    }
    let own = url.host_str().is_some_and(|h| h.starts_with("vault-dev.vault-dev."));
    match (own, is_enabled("vault-dev")) {
        (true, false) => add(
            Violation::error("this Vault is the one of the component vault-dev, which is off here"),
            KEY,
            "set `vault-dev.enabled: true`, or the address of the Vault you use",
        ),
        (false, true) => add(
            Violation::warning("the component vault-dev is on, and nothing uses its Vault"),
            KEY,
            "set `vault-dev.enabled: false`",
        ),
        _ => {}
    }
}

fn hosts(cluster: &ClusterFile, vault: &Vault, add: &mut impl FnMut(Violation, &str, &str)) {
    const KEY: &str = "vault.kubernetesHost";
    let inside = is_cluster_host(&vault.kubernetes_host);
    if !vault.in_cluster && inside {
        let v = Violation::error(
            "a Vault outside the cluster cannot reach the API server by its inside name, so every login fails",
        );
        add(v, KEY, &format!("leave it out, or write {}", cluster.api_url()));
    } else if vault.in_cluster && !inside {
        let v =
            Violation::warning("the Vault stands in the cluster and would call its API server from outside");
        add(v, KEY, &format!("leave it out, or write {IN_CLUSTER}"));
    }
}

fn names(vault: &Vault, add: &mut impl FnMut(Violation, &str, &str)) {
    for (key, name) in [
        ("vault.roleName", &vault.role_name),
        ("vault.policyName", &vault.policy_name),
        ("vault.connectionRole", &vault.connection_role),
    ] {
        if !is_plain_name(name) {
            let v = Violation::error(format!("`{name}` is no name that Vault keeps as it is"));
            add(v, key, "use lower-case letters, digits and `-`, as in `gitops-prod`");
        }
    }
    if vault.role_name == vault.connection_role {
        let v = Violation::error(
            "the workloads' role would replace the role that the config operator logs in with",
        );
        add(v, "vault.roleName", "give it another name, or leave it out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::platform::VaultValues;
    use serde_json::{Value, json};

    fn judge(values: Value, on: &[&str]) -> Vec<String> {
        let cluster: ClusterFile = serde_json::from_value(json!({
            "name": "p", "env": "p", "platform": {"type": "none"}, "dns": {"base_domain": "example.com"},
            "gitops": {"repo_url": "https://example.com/g.git", "repo_ref": "main", "env": "p"},
        }))
        .unwrap();
        let values: VaultValues = serde_json::from_value(values).unwrap();
        let vault = values.resolve(&cluster);
        lint_platform(&cluster, &vault, |id| on.contains(&id), |key| Origin::file(key))
            .iter()
            .map(|v| format!("{} {v}", v.severity.word()))
            .collect()
    }

    #[track_caller]
    fn says(values: Value, on: &[&str], all: &[&str]) {
        let found = judge(values, on);
        assert_eq!(found.len(), 1, "{found:#?}");
        all.iter().for_each(|part| assert!(found[0].contains(part), "no {part:?} in {:?}", found[0]));
    }

    const OUTSIDE: &str = "https://vault.example.com:8200";
    const INSIDE: &str = "http://vault-dev.vault-dev.svc:8200";

    #[test]
    fn what_follows_from_a_cluster_is_right() {
        assert_eq!(judge(json!({}), &[]), [""; 0]);
        assert_eq!(judge(json!({"address": OUTSIDE}), &[]), [""; 0]);
        assert_eq!(judge(json!({"address": INSIDE}), &["vault-dev"]), [""; 0]);
    }

    #[test]
    fn an_external_vault_needs_the_outside_host_and_the_other_way_round() {
        let host = "https://kubernetes.default.svc";
        says(
            json!({"address": OUTSIDE, "kubernetesHost": host}),
            &[],
            &["error", "vault.kubernetesHost", "https://api.p.example.com:6443"],
        );
        says(
            json!({"address": INSIDE, "kubernetesHost": "https://api.p.example.com:6443"}),
            &["vault-dev"],
            &["warning", "vault.kubernetesHost", host],
        );
    }

    #[test]
    fn an_address_must_be_one_and_belong_to_a_vault_that_is_there() {
        says(json!({"address": "vault"}), &[], &["error", "vault.address", "no http"]);
        says(json!({"address": "http://vault.example.com"}), &[], &["warning", "without TLS"]);
        says(json!({"address": INSIDE}), &[], &["error", "vault-dev", "off here"]);
        says(json!({"address": OUTSIDE}), &["vault-dev"], &["warning", "nothing uses"]);
    }

    #[test]
    fn mounts_names_times_and_intervals_are_checked() {
        let with = |key: &str, value: Value| json!({"address": OUTSIDE, key: value});
        let mount = json!({"address": OUTSIDE, "kubernetesMount": "auth/k"});
        says(mount, &[], &["vault.kubernetesMount", "auth/auth/"]);
        says(with("policyName", json!("Gitops")), &[], &["vault.policyName", "`Gitops`"]);
        says(with("roleName", json!("kube-auth")), &[], &["vault.roleName", "replace"]);
        says(with("refreshAfter", json!("1h30m")), &[], &["vault.refreshAfter"]);
        says(with("tokenTTL", json!(0)), &[], &["vault.tokenTTL", "768"]);
        says(with("kvMount", json!("gitops/")), &[], &["vault.kvMount"]);
    }

    #[test]
    fn a_cluster_without_vault_has_nothing_to_judge() {
        assert_eq!(judge(json!({"tokenTTL": 0, "refreshAfter": "x"}), &["vault-dev"]), [""; 0]);
    }
}
