//! Chooses objects: by type, name and namespace with regular expressions, by labels and by
//! annotations.

use super::gvk::Identified as _;
use super::labels::LabelSelector;
use super::resource::Resource;
use regex::Regex;
use serde_json::Value;

/// One part of a selector: anything, a fixed text, or an anchored regular expression.
#[derive(Clone, Debug, Default)]
pub enum Pattern {
    /// Not given: matches anything.
    #[default]
    Any,
    /// A text without special signs.
    Exact(String),
    /// A regular expression that must match the whole text.
    Regex(Regex),
}

impl Pattern {
    /// Compiles the text of a part; an empty one matches anything.
    ///
    /// # Errors
    /// The text is no regular expression.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Pattern::Any);
        }
        if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/')) {
            return Ok(Pattern::Exact(text.to_owned()));
        }
        Regex::new(&format!("^(?:{text})$"))
            .map(Pattern::Regex)
            .map_err(|_| format!("`{text}` is not a regular expression"))
    }

    /// Returns the text it was made from, for messages.
    pub fn text(&self) -> &str {
        match self {
            Pattern::Any => "",
            Pattern::Exact(text) => text,
            Pattern::Regex(regex) => {
                let whole = regex.as_str();
                whole.strip_prefix("^(?:").and_then(|t| t.strip_suffix(")$")).unwrap_or(whole)
            }
        }
    }

    /// Returns true if the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(wanted) => wanted == text,
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }
}

/// The target of a patch.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// The group of the type it has now.
    pub group: Pattern,
    /// The version of the type.
    pub version: Pattern,
    /// The kind of the type.
    pub kind: Pattern,
    /// The name it has or had first.
    pub name: Pattern,
    /// The namespace it has or had first.
    pub namespace: Pattern,
    /// Labels it must have.
    pub labels: LabelSelector,
    /// Annotations it must have, in the language of label selectors.
    pub annotations: LabelSelector,
}

impl Selector {
    /// Returns true if an object is chosen.
    pub fn matches(&self, resource: &Resource) -> bool {
        let api_version = resource.value.api_version();
        let (group, version) = super::gvk::split_api_version(&api_version);
        self.kind.matches(&resource.value.kind())
            && self.group.matches(group)
            && self.version.matches(version)
            && (self.name.matches(&resource.value.name()) || self.name.matches(&resource.original_name()))
            && self.in_namespace(resource)
            && self.labels.matches(|key| metadata_text(&resource.value, "labels", key))
            && self.annotations.matches(|key| metadata_text(&resource.value, "annotations", key))
    }

    /// Returns false if the type of an object rules it out.
    pub fn may_choose(&self, object: &Value) -> bool {
        let api_version = object.api_version();
        let (group, version) = super::gvk::split_api_version(&api_version);
        self.kind.matches(&object.kind()) && self.group.matches(group) && self.version.matches(version)
    }

    fn in_namespace(&self, resource: &Resource) -> bool {
        matches!(self.namespace, Pattern::Any)
            || self.namespace.matches(&resource.original_namespace())
            || self.namespace.matches(&resource.effective_namespace())
    }
}

/// Returns a label or annotation as text.
fn metadata_text(value: &Value, map: &str, key: &str) -> Option<String> {
    let entry = value.get("metadata")?.get(map)?.get(key)?;
    Some(super::text::scalar_text(entry).into_owned())
}
