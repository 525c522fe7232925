//! The types of a cluster, read from folders as `--crds` reads them.
#![allow(dead_code)]

use hydrant::edge::fleet::load_folder;
use hydrant::error::Origin;
use hydrant::stage::types::Types;
use serde_json::Value;
use std::path::Path;

/// The types that some folders give.
pub struct Crds(Types);

impl Crds {
    /// Reads every type of some folders.
    pub fn read<P: AsRef<Path>>(folders: &[P]) -> Self {
        let mut all = hydrant::definition::tree::Tree::default();
        for (n, folder) in folders.iter().enumerate() {
            let tree = load_folder(folder.as_ref()).expect("a folder of types");
            assert!(tree.unreadable.is_empty(), "{:?}", tree.unreadable);
            all.files.extend(tree.files.into_iter().map(|(path, bytes)| (format!("{n}/{path}"), bytes)));
        }
        Self(Types::read(&all).expect("types"))
    }

    /// Returns what is wrong with an object; none if nothing is known of its kind.
    pub fn problems(&self, object: &Value) -> Option<Vec<String>> {
        let found = self.0.check(object, &Origin::file("the object"), "the unit")?;
        Some(found.iter().map(ToString::to_string).collect())
    }

    /// Returns the object as the API server would store it, with the schema's defaults filled in.
    pub fn with_defaults(&self, object: &Value) -> Option<Value> {
        self.0.with_defaults(object)
    }
}
