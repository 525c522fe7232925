//! The part that all bindings share: apiVersion, kind, metadata, annotations.

use super::fields::{Fields, Placed, place};
use super::{BindingDocument, BindingRules};
use crate::error::{Origin, Violation, Violations};
use crate::model::binding::{BINDING_API, BindingKind, OLDER_APIS};
use crate::suggest::did_you_mean;
use std::collections::BTreeMap;

/// The prefix of annotations that Hydrant reads.
pub const PREFIX: &str = "hydrant.dev/";

/// Annotations that every binding may carry.
const PLACEMENT: [&str; 2] = ["environments", "clusters"];
const OF_ORGANIZATIONS: [&str; 4] = ["tunnel-id", "tunnel-account", "tunnel-cluster", "webhook-host"];
const OF_TENANTS: [&str; 4] = ["permission-profile", "branch", "deploy-path", "egress"];

/// What the API server writes into an object; it has no place in a file.
const OF_THE_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What stands around a binding's spec.
pub struct Head {
    /// Its kind.
    pub kind: BindingKind,
    /// `metadata.name`, if it has one.
    pub name: Option<Placed>,
    /// `metadata.namespace`.
    pub namespace: Option<Placed>,
    /// The annotations of `hydrant.dev/`, without the prefix.
    pub annotations: BTreeMap<String, Placed>,
    /// Where the document begins.
    pub at: Origin,
}

/// What a document turned out to be.
pub enum Document {
    /// A binding.
    Binding(Head),
    /// Something that a fleet may hold and Hydrant leaves alone.
    Ignored,
    /// No binding that can be told by its kind.
    Unknown,
}

/// Reads everything but the spec.
pub fn head(document: &BindingDocument, rules: &BindingRules, found: &mut Violations) -> Document {
    let at = place(&document.file, document.node.at);
    let Some(mut fields) = Fields::open(&document.node, &document.file, "", found) else {
        return Document::Unknown;
    };
    let api = fields.required("apiVersion", found);
    let kind = fields.required("kind", found);
    let (Some(api), Some(kind)) = (api, kind) else { return Document::Unknown };
    if kind.text == "Agent" && api.text == BINDING_API {
        found.push(kind.warning("Hydrant renders no Agents; this document is left out"));
        return Document::Ignored;
    }
    let Some(kind_of) = BindingKind::from_name(&kind.text) else {
        let mut v = kind.error(format!("`{}` is no kind of binding", crate::redact::redact(&kind.text)));
        v.hint = did_you_mean(&kind.text, BindingKind::ALL.map(BindingKind::name));
        found.push(v);
        return Document::Unknown;
    };
    check_api(&api, found);
    fields.skip("metadata");
    fields.skip("spec");
    if fields.has("status") {
        found.push(
            Violation::warning("a status has no place in Git; it is dropped")
                .at(fields.origin("status"))
                .key("status")
                .hint("remove it; `hydrant status` shows the state"),
        );
    }
    fields.skip("status");
    let metadata = document.node.get("metadata");
    if metadata.is_none() {
        found.push(fields.error("metadata", "metadata is required"));
    }
    fields.finish(found);
    let mut head = Head { kind: kind_of, name: None, namespace: None, annotations: BTreeMap::new(), at };
    if let Some(node) = metadata
        && let Some(fields) = Fields::open(node, &document.file, "metadata", found)
    {
        read_metadata(fields, &mut head, rules, found);
    }
    Document::Binding(head)
}

fn check_api(api: &Placed, found: &mut Violations) {
    if api.text == BINDING_API {
        return;
    }
    if OLDER_APIS.contains(&api.text.as_str()) {
        let mut v = api.warning(format!("`{}` is an older group; it is read as `{BINDING_API}`", api.text));
        v.severity = crate::error::Severity::Notice;
        found.push(v.hint(format!("write `apiVersion: {BINDING_API}`")));
        return;
    }
    let shown = crate::redact::redact(&api.text).into_owned();
    found.push(
        api.error(format!("`{shown}` is not the API version of a binding"))
            .hint(format!("write `apiVersion: {BINDING_API}`")),
    );
}

fn read_metadata(mut fields: Fields<'_>, head: &mut Head, rules: &BindingRules, found: &mut Violations) {
    head.name = fields.required("name", found);
    head.namespace = fields.text("namespace", found);
    fields.text_map("labels", found);
    let annotations = fields.text_map("annotations", found);
    for key in OF_THE_SERVER {
        if fields.has(key) {
            found.push(dropped(&fields, key));
        }
        fields.skip(key);
    }
    if fields.has("finalizers") {
        found.push(dropped(&fields, "finalizers"));
    }
    fields.skip("finalizers");
    fields.finish(found);
    head.annotations = own_annotations(annotations, head.kind, found);
    check_namespace(head, rules, found);
}

fn dropped(fields: &Fields<'_>, key: &'static str) -> Violation {
    Violation::warning(format!("`{key}` belongs to a live object; it is dropped"))
        .at(fields.origin(key))
        .key(fields.key(key))
        .hint("remove it")
}

/// Keeps the annotations that Hydrant reads, and refuses those it would have to guess at.
fn own_annotations(
    all: BTreeMap<String, Placed>,
    kind: BindingKind,
    found: &mut Violations,
) -> BTreeMap<String, Placed> {
    let more: &[&str] = match kind {
        BindingKind::Organization => &OF_ORGANIZATIONS,
        BindingKind::RepoBinding => &OF_TENANTS,
        BindingKind::KnowledgeBase => &[],
    };
    let known: Vec<&str> = PLACEMENT.iter().chain(more).copied().collect();
    let mut own = BTreeMap::new();
    for (key, value) in all {
        let Some(short) = key.strip_prefix(PREFIX) else { continue };
        if known.contains(&short) {
            own.insert(short.to_owned(), value);
            continue;
        }
        let shown = crate::redact::redact(&key).into_owned();
        let mut v = value.error(format!("nothing reads the annotation `{shown}` on a {kind}"));
        v.key = Some(format!("metadata.annotations.{shown}"));
        v.hint =
            did_you_mean(short, known.iter().copied()).map(|h| h.replacen('`', &format!("`{PREFIX}"), 1));
        found.push(v);
    }
    own
}

/// Organizations and RepoBindings stand in the platform's namespace: whoever may write there
/// may onboard.
fn check_namespace(head: &Head, rules: &BindingRules, found: &mut Violations) {
    let Some(namespace) = &head.namespace else { return };
    if head.kind != BindingKind::KnowledgeBase && namespace.text != rules.platform_namespace {
        found.push(
            namespace
                .error(format!("a {} must stand in the namespace `{}`", head.kind, rules.platform_namespace))
                .hint(format!("write `namespace: {}`", rules.platform_namespace)),
        );
    }
}
