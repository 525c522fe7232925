//! [`Overlaid`] → [`Hydrated`]: checks the objects of one unit, and prints them as final bytes.

use super::types::Types;
use super::{firewall, lint, names};
use crate::error::{Origin, Violation, Violations};
use crate::model::id::Part;
use crate::model::unit::{File, Hydrated, ObjectRef, Overlaid, RenderUnit, Work};
use crate::yaml::write;
use serde_json::Value;
use std::collections::BTreeMap;

/// Keeps Argo CD from reading a generated kustomization.yaml as a manifest, and from running
/// kustomize for it (seen on a running server).
pub const SKIP_LINE: &str = "# +argocd:skip-file-rendering";
const SKIP: &str = "+argocd:skip-file-rendering";

/// Checks a unit and gives its final files.
///
/// # Errors
/// Objects that are none, that stand twice, that carry a secret, or that do not fit their type
/// where types are given.
pub fn validate(
    overlaid: Overlaid,
    unit: &RenderUnit<'_>,
    types: Option<&Types>,
) -> Result<Hydrated, Violations> {
    let mut found = Violations::new();
    let mut objects: Vec<(ObjectRef, Origin, Value)> = Vec::with_capacity(overlaid.objects.len());
    let (own_namespace, public) = match &unit.work {
        Work::Templates { component, namespace, .. } => {
            (namespace.as_deref(), component.file.public_secret_keys.as_slice())
        }
        Work::Application(_) => (None, [].as_slice()),
    };
    for manifest in overlaid.objects {
        check_object(&manifest.value, &manifest.at, &mut found);
        found.extend(firewall::check(&manifest.value, &manifest.at, public));
        found.extend(lint::lint(&manifest.value, &manifest.at));
        if let Some(types) = types {
            let wrong = types.check(&manifest.value, &manifest.at, &unit.id.place());
            found.extend(wrong.unwrap_or_default());
        }
        let reference = ObjectRef::of(&manifest.value);
        objects.push((reference, manifest.at, manifest.value));
    }
    check_twice(&objects, &mut found);
    found.extend(lint::lint_writers(objects.iter().map(|(_, at, value)| (value, at))));
    let warnings: Violations = found.iter().filter(|v| !v.is_error()).cloned().collect();
    if found.iter().any(Violation::is_error) {
        return Err(found);
    }
    let files = match &unit.id.part {
        Part::Manifests { .. } => {
            let references: Vec<&ObjectRef> = objects.iter().map(|(r, _, _)| r).collect();
            let paths = names::file_names(&references, own_namespace);
            check_same_file(&objects, &paths, &mut found);
            folder(&unit.id.place(), &paths, objects.iter().map(|(_, _, value)| write(value)))
        }
        _ => objects.iter().map(|(_, _, value)| file(unit.id.place(), write(value))).collect(),
    };
    check_skip_line(&files, &mut found);
    if found.iter().any(Violation::is_error) {
        return Err(found);
    }
    // Not collected in place, which would keep the room of the values for as long as the unit lives.
    let mut kept = Vec::with_capacity(objects.len());
    kept.extend(objects.into_iter().map(|(reference, at, _)| (reference, at)));
    Ok(Hydrated { key: unit.key, files, objects: kept, matched: overlaid.matched, warnings })
}

fn file(path: String, text: String) -> File {
    File::new(path, text.into_bytes())
}

/// Checks what every Kubernetes object has.
pub(super) fn check_object(object: &Value, at: &Origin, found: &mut Violations) {
    let problem = |message: &str, key: &str| Violation::error(message).at(at.clone()).key(key);
    let Value::Object(map) = object else {
        found.push(Violation::error("a template must give objects, and this is none").at(at.clone()));
        return;
    };
    for key in ["apiVersion", "kind"] {
        match map.get(key) {
            Some(Value::String(text)) if !text.is_empty() => {}
            _ => found.push(problem("an object needs this as text", key)),
        }
    }
    let name = object.pointer("/metadata/name");
    match name.and_then(Value::as_str) {
        Some(name) if names::is_object_name(name) => {}
        Some(name) => {
            let shown = crate::redact::redact(name);
            found.push(problem(&format!("`{shown}` is no name that an object can have"), "metadata.name"));
        }
        None => found.push(
            problem("an object needs a name", "metadata.name").hint("generateName has no place in Git"),
        ),
    }
    if let Some(namespace) = object.pointer("/metadata/namespace")
        && !namespace.as_str().is_some_and(names::is_label)
    {
        found.push(problem("this is no name that a namespace can have", "metadata.namespace"));
    }
    if map.contains_key("status") {
        found.push(problem("a `status` belongs to the cluster and is not written to Git", "status"));
    }
}

fn check_twice(objects: &[(ObjectRef, Origin, Value)], found: &mut Violations) {
    let mut seen: BTreeMap<&ObjectRef, &Origin> = BTreeMap::new();
    for (reference, at, _) in objects {
        if let Some(first) = seen.insert(reference, at) {
            found.push(
                Violation::error(format!("{reference} stands twice in this unit; the other is {first}"))
                    .at(at.clone()),
            );
        }
    }
}

/// Refuses two objects of one file: without a namespace and in the component's own, they are one
/// object to Argo CD, and one of the two would be lost without a word.
fn check_same_file(objects: &[(ObjectRef, Origin, Value)], paths: &[String], found: &mut Violations) {
    let mut seen: BTreeMap<&str, (&ObjectRef, &Origin)> = BTreeMap::new();
    for ((reference, at, _), path) in objects.iter().zip(paths) {
        if let Some((other, first)) = seen.insert(path, (reference, at)) {
            found.push(
                Violation::error(format!(
                    "{reference} and {other} ({first}) are one object once the component's namespace is filled in"
                ))
                .at(at.clone())
                .key("metadata.namespace")
                .hint("name the namespace in both, or remove one"),
            );
        }
    }
}

/// Returns true for a manifest that Argo CD would pass over.
pub(super) fn holds_skip_line(text: &str) -> bool {
    text.contains(SKIP)
}

fn check_skip_line(files: &[File], found: &mut Violations) {
    for file in files.iter().filter(|f| !f.path.ends_with("/kustomization.yaml")) {
        // What we print is UTF-8.
        if std::str::from_utf8(&file.bytes).is_ok_and(holds_skip_line) {
            found.push(
                Violation::error(format!(
                    "the object holds the text `{SKIP}`, and Argo CD would not apply it"
                ))
                .at(Origin::file(file.path.as_str())),
            );
        }
    }
}

/// Puts the folder of a component together: a file for each object, and its kustomization.yaml.
pub(super) fn folder(place: &str, paths: &[String], texts: impl IntoIterator<Item = String>) -> Vec<File> {
    let mut files = Vec::with_capacity(paths.len() + 1);
    files.extend(paths.iter().zip(texts).map(|(path, text)| file(format!("{place}/{path}"), text)));
    if !files.is_empty() {
        files.push(file(format!("{place}/kustomization.yaml"), kustomization(paths)));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Prints a generated kustomization.yaml that lists files or folders.
pub fn kustomization(resources: &[String]) -> String {
    let mut sorted = resources.to_vec();
    sorted.sort();
    let body = write(&serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted,
    }));
    format!("{SKIP_LINE}\n{body}")
}
