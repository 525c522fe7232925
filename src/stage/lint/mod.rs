//! Lints: objects and settings that an API server takes and that do not work, or work until
//! the day they are needed.
//!
//! Schemas say what a cluster accepts; these rules say what was seen to fail behind a green
//! status: a mount written with `auth/`, a config that clears Vault's reviewer token, a Secret
//! that is emptied when its KV entry is deleted. An error is a form that cannot work, a warning
//! one that works and will surprise.

mod argocd;
mod external_secrets;
mod platform;
mod vault_config;
mod vault_secrets;

pub use platform::lint_platform;

use crate::error::{Origin, Violation, Violations};
use crate::model::unit::ObjectRef;
use serde_json::Value;
use std::collections::BTreeMap;

/// Returns true for the types that [`lint`] and [`lint_writers`] judge; they are silent about others.
pub fn judges(group: &str, kind: &str) -> bool {
    match group {
        "redhatcop.redhat.io" | "secrets.hashicorp.com" | "external-secrets.io" | "argoproj.io" => true,
        "" => kind == "Secret",
        _ => false,
    }
}

/// Returns what is wrong with one object that its schema does not say.
pub fn lint(object: &Value, at: &Origin) -> Violations {
    let mut found = Found { object, at, violations: Violations::new() };
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    match (group, text("kind")) {
        ("redhatcop.redhat.io", kind) => vault_config::lint(kind, &mut found),
        ("secrets.hashicorp.com", kind) => vault_secrets::lint(kind, &mut found),
        ("external-secrets.io", kind) => external_secrets::lint(kind, &mut found),
        ("argoproj.io", kind) => argocd::lint(kind, &mut found),
        _ => {}
    }
    found.violations
}

/// Returns the Secrets that two objects of one unit would both write.
pub fn lint_writers<'a>(objects: impl IntoIterator<Item = (&'a Value, &'a Origin)>) -> Violations {
    let mut writers: BTreeMap<(String, String), ObjectRef> = BTreeMap::new();
    let mut found = Violations::new();
    for (object, at) in objects {
        let Some(secret) = secret_of(object) else { continue };
        let this = ObjectRef::of(object);
        let key = (this.namespace.clone(), secret.to_owned());
        if let Some(first) = writers.get(&key) {
            found.push(
                Violation::error(format!(
                    "{this} writes the Secret {} that {first} writes too: one of them wins, and the other stays green",
                    key.1
                ))
                .at(at.clone())
                .hint("give one of the two Secrets another name"),
            );
        } else {
            writers.insert(key, this);
        }
    }
    found
}

/// Returns the name of the Secret that an object has its operator write.
fn secret_of(object: &Value) -> Option<&str> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let own = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = || text("/metadata/name").unwrap_or_default();
    let group = own("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    match (group, own("kind")) {
        ("secrets.hashicorp.com", "VaultStaticSecret" | "VaultDynamicSecret" | "VaultPKISecret") => {
            text("/spec/destination/name")
        }
        ("external-secrets.io", "ExternalSecret") => text("/spec/target/name").or_else(|| Some(name())),
        ("", "Secret") => Some(name()),
        _ => None,
    }
}

/// One object under examination, and what was found.
struct Found<'a> {
    object: &'a Value,
    at: &'a Origin,
    violations: Violations,
}

impl Found<'_> {
    /// Returns the value at a dotted path.
    fn value(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self.object, |here, part| here.get(part))
    }

    /// Returns the text at a dotted path; empty if there is none.
    fn text(&self, path: &str) -> &str {
        self.value(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns whether the value at a dotted path is `true`.
    fn is_true(&self, path: &str) -> bool {
        self.value(path).and_then(Value::as_bool) == Some(true)
    }

    /// Returns whether a list stands at a dotted path that holds something.
    fn has_items(&self, path: &str) -> bool {
        self.value(path).and_then(Value::as_array).is_some_and(|items| !items.is_empty())
    }

    /// Returns whether an annotation of the object holds a sync option.
    fn has_sync_option(&self, option: &str) -> bool {
        let options = self.value("metadata.annotations").and_then(|a| a.get(SYNC_OPTIONS));
        options.and_then(Value::as_str).is_some_and(|all| all.split(',').any(|o| o.trim() == option))
    }

    fn error(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        self.violations.push(Violation::error(message).at(self.at.clone()).key(key).hint(hint));
    }

    fn warning(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        self.violations.push(Violation::warning(message).at(self.at.clone()).key(key).hint(hint));
    }

    /// Checks that a text stands at a dotted path.
    fn need(&mut self, path: &str, without: &str) {
        if self.text(path).is_empty() {
            self.error(path, format!("is missing: {without}"), &format!("set `{path}`"));
        }
    }

    /// Checks the auth mount at a dotted path, if one stands there.
    fn mount(&mut self, path: &str) {
        if let Some(why) = mount_problem(self.text(path)) {
            self.error(path, why.0, why.1);
        }
    }
}

const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";

/// Returns what is wrong with an auth mount, and the mend. An empty one is not judged here.
fn mount_problem(mount: &str) -> Option<(String, &'static str)> {
    if mount.is_empty() {
        return None;
    }
    if mount == "auth" || mount.starts_with("auth/") {
        return Some((
            format!("`{mount}` begins with `auth/`: logins would go to auth/auth/… and be refused"),
            "write the mount alone, as in `kubernetes-prod`",
        ));
    }
    if mount.starts_with('/') || mount.ends_with('/') {
        return Some((
            format!("`{mount}` begins or ends with a slash"),
            "write the mount alone, as in `kubernetes-prod`",
        ));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    (!mount.bytes().all(plain)).then(|| {
        (
            format!("`{mount}` holds a character that does not belong into a Vault path"),
            "use letters, digits, `-`, `_` and `.`",
        )
    })
}

/// Returns true for a name as Vault and Kubernetes both take it. The CRD's own pattern is not
/// anchored and stops nothing.
fn is_plain_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Returns true for a number and one unit: `60s`, `1.5h`. `1h30m`, `1d` and `15` are refused.
fn is_refresh_interval(text: &str) -> bool {
    let Some(number) = text.strip_suffix(['s', 'm', 'h']) else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match number.split_once('.') {
        Some((whole, rest)) => digits(whole) && digits(rest),
        None => digits(number),
    }
}

/// Returns true for a host that only the pods of one cluster can resolve.
fn is_cluster_host(address: &str) -> bool {
    let host = crate::model::platform::host_of(address);
    crate::model::platform::is_in_cluster(address) || host == "kubernetes" || host == "kubernetes.default"
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Returns the messages (key and text) that a YAML object gives.
    pub fn messages(text: &str) -> Vec<String> {
        let node = crate::yaml::read_one(text.as_bytes(), &crate::yaml::Limits::inputs()).unwrap();
        let object = node.to_value(crate::yaml::Schema::Kubectl).unwrap();
        let found = lint(&object, &Origin::file("x.yaml"));
        found
            .iter()
            .map(|v| format!("{} {}: {}", v.severity.word(), v.key.as_deref().unwrap_or(""), v.message))
            .collect()
    }

    /// Asserts that an object gives exactly one violation, which says all of these.
    #[track_caller]
    pub fn says(text: &str, all: &[&str]) {
        let found = messages(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        for part in all {
            assert!(found[0].contains(part), "no {part:?} in {:?}", found[0]);
        }
    }

    /// Returns a text with one line replaced; the line must be there.
    #[track_caller]
    pub fn with(text: &str, line: &str, by: &str) -> String {
        assert!(text.contains(line), "no {line:?} in the sample");
        text.replacen(line, by, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_interval_is_a_number_and_one_unit() {
        for good in ["60s", "5m", "1h", "1.5h"] {
            assert!(is_refresh_interval(good), "{good}");
        }
        for bad in ["", "15", "1d", "1h30m", "1h ", ".5h", "5.h", "s", "-1s"] {
            assert!(!is_refresh_interval(bad), "{bad}");
        }
    }

    #[test]
    fn a_mount_is_written_alone() {
        for good in ["", "kubernetes-prod", "teams/a/kubernetes", "k_8.s"] {
            assert!(mount_problem(good).is_none(), "{good}");
        }
        for bad in ["auth/kubernetes", "/kubernetes", "kubernetes/", "a b", "ä"] {
            assert!(mount_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn objects_of_other_kinds_are_not_judged() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Up"}});
        assert_eq!(lint(&object, &Origin::file("x")), []);
        assert_eq!(lint(&json!("no object"), &Origin::file("x")), []);
    }

    #[test]
    fn two_operators_that_write_one_secret_are_refused() {
        let vso = json!({
            "apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultStaticSecret",
            "metadata": {"name": "a", "namespace": "n"}, "spec": {"destination": {"name": "s"}},
        });
        let eso = |namespace: &str, name: &str| {
            json!({
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
                "metadata": {"name": name, "namespace": namespace}, "spec": {},
            })
        };
        let at = Origin::file("x");
        let judge = |objects: &[Value]| lint_writers(objects.iter().map(|o| (o, &at)));
        let found = judge(&[vso.clone(), eso("n", "s")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("ExternalSecret.external-secrets.io/s in n"), "{}", found[0]);
        assert!(found[0].message.contains("VaultStaticSecret.secrets.hashicorp.com/a in n"), "{}", found[0]);
        assert_eq!(judge(&[vso.clone(), eso("other", "s")]), []);
        assert_eq!(judge(&[vso, eso("n", "t")]), []);
    }
}
