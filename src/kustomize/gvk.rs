//! What an object is called: group, version, kind, namespace and name.

use super::text::scalar_text;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A Kubernetes API type. In a selector an empty part matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// The API group, empty for the core group.
    pub group: String,
    /// The version, as `v1`.
    pub version: String,
    /// The kind.
    pub kind: String,
}

impl Gvk {
    /// Returns the type of an `apiVersion` and a `kind`.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Returns true if a selector chooses this type; empty parts of the selector match all.
    pub fn is_selected_by(&self, selector: &Gvk) -> bool {
        selects(&selector.group, &self.group)
            && selects(&selector.version, &self.version)
            && selects(&selector.kind, &self.kind)
    }

    /// Returns `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Returns true if every part is empty.
    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.version.is_empty() && self.kind.is_empty()
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind)
    }
}

/// Splits `apps/v1` into group and version; `v1` has no group.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

fn selects(selector: &str, part: &str) -> bool {
    selector.is_empty() || selector == part
}

/// The namespace of objects that have none, in comparisons.
pub const NO_NAMESPACE: &str = "_non_namespaceable_";

/// Names one object. Two ids are equal when the objects would be one in a cluster, so an
/// empty namespace and `default` are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Its type.
    pub gvk: Gvk,
    /// The namespace it counts for: `default` where it has none, [`NO_NAMESPACE`] for
    /// cluster-scoped objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.gvk)?;
        if self.namespace != NO_NAMESPACE && self.namespace != "default" {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// Returns the namespace that counts in comparisons.
pub fn effective_namespace(namespace: &str, cluster_scoped: bool) -> &str {
    match namespace {
        _ if cluster_scoped => NO_NAMESPACE,
        "" => "default",
        other => other,
    }
}

/// Reads the parts of an object's id without copying.
pub trait Identified {
    /// Returns the `apiVersion`, or nothing.
    fn api_version(&self) -> Cow<'_, str>;
    /// Returns the `kind`, or nothing.
    fn kind(&self) -> Cow<'_, str>;
    /// Returns the name, or nothing.
    fn name(&self) -> Cow<'_, str>;
    /// Returns the namespace as written, or nothing.
    fn namespace(&self) -> Cow<'_, str>;
}

impl Identified for Value {
    fn api_version(&self) -> Cow<'_, str> {
        self.get("apiVersion").map_or(Cow::Borrowed(""), scalar_text)
    }

    fn kind(&self) -> Cow<'_, str> {
        self.get("kind").map_or(Cow::Borrowed(""), scalar_text)
    }

    fn name(&self) -> Cow<'_, str> {
        meta_text(self, "name")
    }

    fn namespace(&self) -> Cow<'_, str> {
        meta_text(self, "namespace")
    }
}

fn meta_text<'v>(value: &'v Value, key: &str) -> Cow<'v, str> {
    text_in(value.get("metadata"), key)
}

/// Returns a field of an object's metadata as text, or nothing.
pub fn text_in<'v>(metadata: Option<&'v Value>, key: &str) -> Cow<'v, str> {
    match metadata.and_then(|m| m.get(key)) {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(text) => scalar_text(text),
    }
}
