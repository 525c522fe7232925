//! What a unit's templates may see, put together from parts that many units share.
//!
//! A cluster's own data, the values of a component and the data of a tenant are the same for many
//! units. Each is prepared once: as plain data, as the engine takes it, and as a digest for the
//! unit's key. A unit's context then costs a handful of pointers, whatever the parts hold.

use super::Texts;
use crate::suggest::did_you_mean;
use minijinja::value::{Serde, Value as Item};
use minijinja::{Error, ErrorKind};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// One name's value, prepared for many units.
#[derive(Clone, Debug)]
pub struct Part {
    data: Arc<Value>,
    item: Item,
    digest: blake3::Hash,
}

impl Part {
    /// Prepares a value.
    pub fn new(data: impl Into<Arc<Value>>) -> Self {
        let data = data.into();
        // Its maps are sorted, so the text is canonical.
        let digest = blake3::hash(data.to_string().as_bytes());
        Self::known(data, digest)
    }

    /// Prepares a value whose digest is known. Parts of one name with one digest must have the same
    /// data.
    pub fn known(data: Arc<Value>, digest: blake3::Hash) -> Self {
        Self { item: Item::from(Serde(&*data)), digest, data }
    }

    /// Returns the plain data.
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// Returns the digest of the data.
    pub fn digest(&self) -> &blake3::Hash {
        &self.digest
    }
}

/// What a unit's templates may see, by name.
#[derive(Clone, Debug)]
pub struct Context {
    parts: BTreeMap<&'static str, Part>,
    texts: Texts,
    /// As the template engine takes it; many templates only look up plain data.
    item: OnceLock<Item>,
}

impl Context {
    /// Puts the parts of a unit together, and the text files of its component.
    pub fn new(parts: BTreeMap<&'static str, Part>, texts: Texts) -> Self {
        Self { parts, texts, item: OnceLock::new() }
    }

    /// Returns all of it as the template engine takes it, with `text` added.
    pub(super) fn item(&self) -> &Item {
        self.item.get_or_init(|| item(&self.parts, self.texts.clone()))
    }

    /// Returns the same context with one name more.
    pub fn with(mut self, name: &'static str, part: Part) -> Self {
        self.parts.insert(name, part);
        Self::new(self.parts, self.texts)
    }

    /// Returns the plain data behind a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.parts.get(name).map(Part::data)
    }

    /// Returns the plain data behind a dotted name.
    pub fn look_up(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.get(first)?, |here, name| here.as_object()?.get(name))
    }

    /// Returns every name with its plain data, sorted.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.parts.iter().map(|(name, part)| (*name, part.data()))
    }

    /// Adds all names and values to what is hashed. Equal contexts add the same bytes.
    pub fn add_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend((self.parts.len() as u64).to_le_bytes());
        for (name, part) in &self.parts {
            bytes.extend((name.len() as u64).to_le_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(part.digest.as_bytes());
        }
    }
}

/// Returns the parts as the engine takes them, with the function `text` beside them.
fn item(parts: &BTreeMap<&'static str, Part>, texts: Texts) -> Item {
    let text = Item::from_function(move |name: String| -> Result<String, Error> {
        texts.get(name.as_str()).map(|t| t.to_string()).ok_or_else(|| {
            let near = did_you_mean(&name, texts.keys().map(String::as_str)).unwrap_or_default();
            let message = format!("the component has no text file `{name}`; {near}");
            Error::new(ErrorKind::InvalidOperation, message.trim_end_matches("; ").to_owned())
        })
    });
    let named = parts.iter().map(|(name, part)| (*name, part.item.clone()));
    Item::from_pairs(named.chain([("text", text)]))
}
