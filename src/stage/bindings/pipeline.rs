//! Parses a pipelineSpec: a text that must be exactly one Tekton Pipeline.
//!
//! The original looked for three words in the text, took the first document and lost unknown
//! fields in silence. Here the text is parsed by the same reader as all YAML, and `{{ }}` or
//! `$(…)` in it is data like everything else.

use super::data::Checked;
use super::fields::Placed;
use crate::error::{Origin, Violation, Violations};
use crate::redact::redact;
use crate::suggest::did_you_mean;
use crate::yaml::{Data, Limits, Node, Schema, read};
use serde_json::{Value, json};

/// Fields of a Pipeline's spec in `tekton.dev/v1`.
const SPEC: [&str; 7] = ["description", "displayName", "finally", "params", "results", "tasks", "workspaces"];
/// Fields of a pipeline task in `tekton.dev/v1`.
const TASK: [&str; 15] = [
    "description",
    "displayName",
    "matrix",
    "name",
    "onError",
    "params",
    "pipelineRef",
    "pipelineSpec",
    "retries",
    "runAfter",
    "taskRef",
    "taskSpec",
    "timeout",
    "when",
    "workspaces",
];
/// Labels and annotations that steer the platform or Argo CD and are not a team's to set.
const NOT_THEIRS: [&str; 5] =
    ["argocd.argoproj.io/", "platform.aphex/", "aphex.dev/", "hydrant.dev/", "app.kubernetes.io/instance"];

/// The Pipeline of a tenant.
#[derive(Clone, Debug)]
pub struct Pipeline {
    text: Placed,
    tenant: Option<String>,
    digest: [u8; 32],
    /// True if nothing was found in it.
    clean: bool,
    /// None where an earlier run has read it.
    read: Option<Value>,
}

impl Pipeline {
    /// Reads a Pipeline, unless that is known to find nothing.
    pub fn read(
        text: Placed,
        tenant: Option<&str>,
        checked: &Checked,
        found: &mut Violations,
    ) -> Option<Self> {
        let digest = digest(&text.text, tenant);
        let before = found.len();
        let known = checked.has(&digest);
        let read = if known { None } else { Some(parse(&text, tenant, found)?) };
        let clean = found.len() == before;
        Some(Self { text, tenant: tenant.map(str::to_owned), digest, clean, read })
    }

    /// Reads it after all.
    ///
    /// # Errors
    /// What is wrong with it, although nothing should be.
    pub fn read_now(&self) -> Result<Value, Violations> {
        let mut found = Violations::new();
        parse(&self.text, self.tenant.as_deref(), &mut found).ok_or(found)
    }

    /// Takes what was read, if it was.
    pub fn take(&mut self) -> Option<Value> {
        self.read.take()
    }

    /// Returns the hash of all that it is read from.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the same, if nothing was found in it.
    pub fn checked(&self) -> Option<[u8; 32]> {
        self.clean.then_some(self.digest)
    }
}

/// Another version of Hydrant may find something else in a text, so it is part of the hash.
fn digest(text: &str, tenant: Option<&str>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [env!("CARGO_PKG_VERSION"), tenant.unwrap_or_default(), text] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Returns the Pipeline as templates see it: `labels`, `annotations` and `spec`.
fn parse(text: &Placed, tenant: Option<&str>, found: &mut Violations) -> Option<Value> {
    let before = found.len();
    let say = Sayer { text };
    let documents = match read(text.text.as_bytes(), &Limits::inputs()) {
        Ok(documents) => documents,
        Err(e) => {
            let mut v = say.error(e.at.line, format!("failed to decode YAML: {}", redact(&e.message)));
            v.hint = e.hint;
            found.push(v);
            return None;
        }
    };
    let [document] = documents.as_slice() else {
        found.push(match documents.get(1) {
            None => say.error(0, "YAML content is empty"),
            Some(second) => say
                .error(second.at.line, "a second document in a pipelineSpec, which takes one")
                .hint("bind each Pipeline by itself"),
        });
        return None;
    };
    if !matches!(document.data, Data::Map(_)) {
        found.push(say.error(document.at.line, "a Pipeline is a mapping"));
        return None;
    }
    say.identity(document, found);
    let (labels, annotations) = say.metadata(document, tenant, found);
    say.spec(document, found);
    say.known(document, "", &["apiVersion", "kind", "metadata", "spec"], found);
    if found[before..].iter().any(Violation::is_error) {
        return None;
    }
    let spec = document.get("spec")?.to_value(Schema::Kubectl);
    match spec {
        Ok(spec) => Some(json!({"labels": labels, "annotations": annotations, "spec": spec})),
        Err(e) => {
            found.push(say.error(e.at.line, redact(&e.message).into_owned()));
            None
        }
    }
}

struct Sayer<'p> {
    text: &'p Placed,
}

impl Sayer<'_> {
    /// Returns an error at a line of the text. The place of a block scalar is its first line of
    /// text, not its `|`.
    fn error(&self, line: u32, message: impl Into<String>) -> Violation {
        let at = &self.text.at;
        let block = self.text.text.contains('\n');
        let at =
            if line > 0 && block { Origin::at(at.file.clone(), at.line + line - 1, 0) } else { at.clone() };
        Violation::error(message).at(at).key(self.text.key.clone())
    }

    fn identity(&self, document: &Node, found: &mut Violations) {
        let kind = document.get("kind").and_then(Node::text).unwrap_or("");
        let line = |key: &str| document.entry(key).map_or(document.at.line, |e| e.key_at.line);
        if kind != "Pipeline" {
            found.push(
                self.error(line("kind"), format!("YAML validation failed for kind: expected Pipeline, got {}", or_empty(kind)))
                    .hint("a RepoBinding carries one Tekton Pipeline; Tasks belong inside it (`taskSpec`) or into the catalog"),
            );
        }
        match document.get("apiVersion").and_then(Node::text).unwrap_or("") {
            "tekton.dev/v1" => {}
            "tekton.dev/v1beta1" => found.push(
                self.error(line("apiVersion"), "YAML validation failed for version: expected v1, got v1beta1").hint(
                    "convert it: write `apiVersion: tekton.dev/v1`; `taskRef.bundle` becomes `taskRef: {resolver: bundles}`, `spec.resources` goes (use workspaces), and `resources` of a step becomes `computeResources`",
                ),
            ),
            other => found.push(self.error(
                line("apiVersion"),
                format!("YAML validation failed for apiVersion: expected tekton.dev/v1, got {}", or_empty(other)),
            )),
        }
    }

    fn metadata(&self, document: &Node, tenant: Option<&str>, found: &mut Violations) -> (Value, Value) {
        let empty = || (json!({}), json!({}));
        let Some(metadata) = document.get("metadata") else { return empty() };
        self.known(metadata, "metadata.", &["name", "namespace", "labels", "annotations"], found);
        for key in ["name", "namespace"] {
            let given = metadata.get(key).and_then(Node::text);
            if let (Some(given), Some(tenant)) = (given, tenant)
                && given != tenant
            {
                found.push(
                    self.error(
                        metadata.get(key).map_or(0, |n| n.at.line),
                        format!("metadata.{key} is `{}`, and the tenant is `{tenant}`", redact(given)),
                    )
                    .hint(format!("write `{key}: {tenant}` or leave it out")),
                );
            }
        }
        let mut kept = ["labels", "annotations"].map(|key| self.strings(metadata, key, found));
        let annotations = kept[1].take();
        (kept[0].take(), annotations)
    }

    fn strings(&self, metadata: &Node, key: &str, found: &mut Violations) -> Value {
        let mut kept = serde_json::Map::new();
        for e in metadata.get(key).map(Node::entries).unwrap_or_default() {
            let shown = redact(&e.key).into_owned();
            if NOT_THEIRS.iter().any(|p| e.key.starts_with(p)) {
                found.push(
                    self.error(e.key_at.line, format!("metadata.{key}.{shown} is the platform's to set"))
                        .hint("remove it"),
                );
                continue;
            }
            match e.value.to_value(Schema::Kubectl) {
                Ok(Value::String(text)) => {
                    kept.insert(e.key.clone(), Value::String(text));
                }
                _ => found.push(
                    self.error(e.key_at.line, format!("metadata.{key}.{shown} must be a string"))
                        .hint("put it in quotes"),
                ),
            }
        }
        Value::Object(kept)
    }

    fn spec(&self, document: &Node, found: &mut Violations) {
        let Some(spec) = document.get("spec").filter(|n| matches!(n.data, Data::Map(_))) else {
            found.push(self.error(document.at.line, "the Pipeline has no spec"));
            return;
        };
        self.known(spec, "spec.", &SPEC, found);
        if spec.get("tasks").is_none_or(|t| t.items().is_empty()) {
            found.push(self.error(spec.at.line, "the Pipeline has no tasks"));
        }
        for list in ["tasks", "finally"] {
            for (i, task) in spec.get(list).map(Node::items).unwrap_or_default().iter().enumerate() {
                self.known(task, &format!("spec.{list}[{i}]."), &TASK, found);
                if task.get("name").and_then(Node::text).is_none_or(str::is_empty) {
                    found.push(self.error(task.at.line, format!("spec.{list}[{i}] has no name")));
                }
            }
        }
        for param in spec.get("params").map(Node::items).unwrap_or_default() {
            let is = |key: &str, value: &str| param.get(key).and_then(Node::text) == Some(value);
            if is("name", "repo-full-name") && is("type", "array") {
                let mut v = self
                    .error(param.at.line, "the parameter `repo-full-name` is declared as an array, and it is passed as a string")
                    .hint("write `type: string`");
                v.severity = crate::error::Severity::Warning;
                found.push(v);
            }
        }
    }

    fn known(&self, node: &Node, path: &str, known: &[&str], found: &mut Violations) {
        for e in node.entries() {
            if !known.contains(&e.key.as_str()) {
                let shown = redact(&e.key);
                let mut v = self.error(
                    e.key_at.line,
                    format!("`{path}{shown}` is not a field of a Pipeline in tekton.dev/v1"),
                );
                v.hint = did_you_mean(&e.key, known.iter().copied());
                found.push(v);
            }
        }
    }
}

fn or_empty(text: &str) -> String {
    if text.is_empty() { "(empty)".into() } else { redact(text).into_owned() }
}
