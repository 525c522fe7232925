//! Argo CD's own kinds.

use super::Found;
use serde_json::Value;

/// Judges one object of Argo CD.
pub(super) fn lint(kind: &str, found: &mut Found<'_>) {
    if kind != "Application" {
        return;
    }
    let mut sources = vec![("spec.source".to_owned(), found.value("spec.source").cloned())];
    let many = found.value("spec.sources").and_then(Value::as_array).cloned().unwrap_or_default();
    sources.extend(many.into_iter().enumerate().map(|(i, s)| (format!("spec.sources.{i}"), Some(s))));
    for (key, source) in sources {
        if let Some(helm) = source.as_ref().and_then(|s| s.get("helm")) {
            values(&key, helm, found);
        }
    }
    let options = found.value("spec.syncPolicy.syncOptions").and_then(Value::as_array);
    if options.into_iter().flatten().any(|o| o.as_str() == Some("Replace=true")) {
        found.error(
            "spec.syncPolicy.syncOptions",
            "`Replace=true` deletes and recreates what it changes",
            "remove it; annotate the one object that needs it",
        );
    }
}

fn values(key: &str, helm: &Value, found: &mut Found<'_>) {
    if helm.get("ignoreMissingValueFiles").and_then(Value::as_bool) == Some(true) {
        found.warning(
            &format!("{key}.helm.ignoreMissingValueFiles"),
            "an environment without its value file runs on the common values, and nothing says so",
            "name the files that exist",
        );
    }
    for parameter in helm.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        let forced = parameter.get("forceString").and_then(Value::as_bool) == Some(true);
        let digits = !text("value").is_empty() && text("value").bytes().all(|b| b.is_ascii_digit());
        if digits && !forced {
            found.warning(
                &format!("{key}.helm.parameters"),
                format!(
                    "`{}` becomes a number: Helm gives parameters their type by their looks",
                    text("name")
                ),
                "write `forceString: true`, or use valuesObject",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{messages, says, with};

    const APPLICATION: &str = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: a}
spec:
  source: {helm: {valueFiles: [a.yaml], parameters: [{name: rev, value: '1234567', forceString: true}]}}
  syncPolicy: {syncOptions: [ServerSideApply=true]}
";

    #[test]
    fn silent_helm_settings_are_named() {
        assert_eq!(messages(APPLICATION), Vec::<String>::new());
        says(
            &with(APPLICATION, ", forceString: true", ""),
            &["warning spec.source.helm.parameters", "`rev`"],
        );
        let missing = with(APPLICATION, "valueFiles: [a.yaml]", "ignoreMissingValueFiles: true");
        says(&missing, &["warning spec.source.helm.ignoreMissingValueFiles"]);
        let many = with(&missing, "  source: {", "  sources: [{");
        says(&with(&many, "forceString: true}]}}", "forceString: true}]}}]"), &["spec.sources.0.helm"]);
        says(
            &with(APPLICATION, "ServerSideApply=true", "Replace=true"),
            &["error spec.syncPolicy.syncOptions"],
        );
    }
}
