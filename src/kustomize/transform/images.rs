//! Sets names, tags and digests of container images.

use super::Failure;
use crate::kustomize::fieldspec::{FieldSpec, Make};
use crate::kustomize::gvk::Identified as _;
use crate::kustomize::resources::Resources;
use crate::kustomize::text::scalar_text;
use regex::Regex;
use serde_json::Value;

/// One entry of `images`.
#[derive(Clone, Debug)]
pub struct ImageChange {
    pattern: Regex,
    new_name: String,
    new_tag: String,
    tag_suffix: String,
    digest: String,
    specs: Vec<FieldSpec>,
}

/// The texts of one entry of `images`.
#[derive(Clone, Debug, Default)]
pub struct ImageFields {
    /// The image to look for; kustomize takes it for a regular expression.
    pub name: String,
    /// Its new name.
    pub new_name: String,
    /// Its new tag.
    pub new_tag: String,
    /// What is added to its tag.
    pub tag_suffix: String,
    /// Its new digest.
    pub digest: String,
}

impl ImageChange {
    /// Compiles an entry.
    ///
    /// # Errors
    /// The name is no regular expression.
    pub fn new(fields: ImageFields, specs: Vec<FieldSpec>) -> Result<Self, String> {
        let text = format!("^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", fields.name);
        let pattern = Regex::new(&text).map_err(|_| {
            format!("the image name `{}` is not a regular expression, as kustomize reads it", fields.name)
        })?;
        let ImageFields { new_name, new_tag, tag_suffix, digest, .. } = fields;
        Ok(Self { pattern, new_name, new_tag, tag_suffix, digest, specs })
    }

    /// Changes all objects; returns true if an image was found.
    pub fn apply(&self, resources: &mut Resources) -> Result<bool, Failure> {
        let mut found = false;
        for resource in resources.keep_ids_mut() {
            if resource.value.kind() == "CustomResourceDefinition" {
                continue;
            }
            let changed = self.containers(&mut resource.value, &mut found);
            let changed = changed.and_then(|()| {
                self.specs.iter().try_for_each(|spec| {
                    let mut set = |field: &mut Value| self.set(field, &mut found);
                    spec.change(&mut resource.value, Make::Nothing, &mut set)
                })
            });
            changed.map_err(|why| Failure::at(resource, why))?;
        }
        Ok(found)
    }

    /// Changes the images of all `containers` and `initContainers`, wherever they stand.
    fn containers(&self, value: &mut Value, found: &mut bool) -> Result<(), String> {
        match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.containers(item, found)),
            Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| {
                self.containers(value, found)?;
                if !matches!(key.as_str(), "containers" | "initContainers") {
                    return Ok(());
                }
                let Value::Array(items) = value else { return Ok(()) };
                for item in items {
                    match item {
                        Value::Object(container) => {
                            if let Some(image) = container.get_mut("image") {
                                self.set(image, found)?;
                            }
                        }
                        Value::Null => {}
                        _ => return Err(format!("an item of `{key}` is not a map")),
                    }
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn set(&self, field: &mut Value, found: &mut bool) -> Result<(), String> {
        if matches!(field, Value::Array(_) | Value::Object(_)) {
            return Err("an image is a text".to_owned());
        }
        let image = scalar_text(field);
        if !self.pattern.is_match(&image) {
            return Ok(());
        }
        *found = true;
        let (name, tag, digest) = split(&image);
        let mut result = if self.new_name.is_empty() { name } else { &self.new_name }.to_owned();
        let (tag, digest) = match (self.new_tag.as_str(), self.digest.as_str()) {
            ("", "") if !self.tag_suffix.is_empty() => (format!("{tag}{}", self.tag_suffix), ""),
            ("", "") => (tag.to_owned(), digest),
            (tag, digest) => (tag.to_owned(), digest),
        };
        if !tag.is_empty() {
            result = format!("{result}:{tag}");
        }
        if !digest.is_empty() {
            result = format!("{result}@{digest}");
        }
        *field = Value::String(result);
        Ok(())
    }
}

/// Splits an image into name, tag and digest. A colon before the first slash is a port.
fn split(image: &str) -> (&str, &str, &str) {
    let from = image.find('/').unwrap_or(0);
    let at = image[from..].find('@').map(|i| i + from);
    let colon = image[from..].find(':').map(|i| i + from);
    match (colon, at) {
        (None, None) => (image, "", ""),
        (colon, Some(at)) if colon.is_none_or(|c| at < c) => (&image[..at], "", &image[at + 1..]),
        (Some(colon), Some(at)) => (&image[..colon], &image[colon + 1..at], &image[at + 1..]),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
        (None, Some(at)) => (&image[..at], "", &image[at + 1..]),
    }
}
