//! Reads a file named in `configurations`.

use super::{Config, NameReference};
use crate::error::Violations;
use crate::kustomize::gvk::Gvk;
use crate::kustomize::kustomization::{Fields, Wrong, read_field_specs};
use crate::yaml::{Limits, read};
use std::sync::Arc;

const KNOWN: [&str; 11] = [
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "templateLabels",
    "commonAnnotations",
    "nameReference",
    "varReference",
    "images",
    "replicas",
];

/// Reads a transformer configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_config(bytes: &[u8], file: &Arc<str>) -> Result<Config, Violations> {
    let documents = read(bytes, &Limits::manifests()).map_err(|e| vec![e.in_file(file)])?;
    let mut config = Config::default();
    let Some(node) = documents.first() else { return Ok(config) };
    let mut wrong = Wrong::new();
    let fields = Fields::new(node, file, "");
    fields.only(&KNOWN, &mut wrong);
    for (section, specs) in config.sections() {
        *specs = read_field_specs(&fields, section, &mut wrong);
    }
    for entry in fields.maps("nameReference", "nameReference", &mut wrong) {
        entry.only(&["group", "version", "kind", "fieldSpecs"], &mut wrong);
        let target = Gvk {
            group: entry.text("group", &mut wrong),
            version: entry.text("version", &mut wrong),
            kind: entry.text("kind", &mut wrong),
        };
        let referrers = read_field_specs(&entry, "fieldSpecs", &mut wrong);
        config.name_reference.push(NameReference { target, referrers });
    }
    config.sort();
    if wrong.is_empty() { Ok(config) } else { Err(wrong) }
}
