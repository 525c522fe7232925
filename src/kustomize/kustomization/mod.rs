//! A kustomization.yaml, read and checked, with the place of every entry.

mod fields;
mod generator;
mod parts;
mod read;

pub use fields::{Fields, Wrong};
pub use generator::{GeneratorArgs, GeneratorKind, GeneratorOptions};
pub use parts::{read_field_specs, read_image, read_patch, read_replacement, read_selector};
pub use read::read;

use super::config::Config;
use super::fieldspec::FieldSpec;
use super::gvk::Gvk;
use super::order::Order;
use super::transform::images::ImageFields;
use super::transform::replacements::Replacement;
use super::transform::variables::Variable;
use crate::error::Origin;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A text with its place.
pub type Placed = (String, Origin);

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Builds objects of its own.
    #[default]
    Kustomization,
    /// Changes the objects of the kustomization that uses it.
    Component,
}

/// The names a kustomization may have.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// One entry of `labels`.
#[derive(Clone, Debug, Default)]
pub struct LabelEntry {
    /// The labels.
    pub pairs: BTreeMap<String, String>,
    /// True to set them in selectors too.
    pub include_selectors: bool,
    /// True to set them in templates too.
    pub include_templates: bool,
    /// More places to set them.
    pub fields: Vec<FieldSpec>,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// One entry of `patches`, `patchesJson6902` or `patchesStrategicMerge`.
#[derive(Clone, Debug, Default)]
pub struct PatchEntry {
    /// The file it is in.
    pub path: Option<Placed>,
    /// The patch itself.
    pub inline: Option<Placed>,
    /// Which objects.
    pub target: Option<TargetFields>,
    /// `options.allowNameChange`.
    pub allow_name_change: bool,
    /// `options.allowKindChange`.
    pub allow_kind_change: bool,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// The texts of a patch's target.
#[derive(Clone, Debug, Default)]
pub struct TargetFields {
    /// The type, each part a pattern.
    pub gvk: Gvk,
    /// A pattern for the name.
    pub name: String,
    /// A pattern for the namespace.
    pub namespace: String,
    /// A label selector.
    pub labels: String,
    /// A selector of annotations.
    pub annotations: String,
    /// Where it is written.
    pub at: Option<Origin>,
}

/// One entry of `replicas`.
#[derive(Clone, Debug)]
pub struct ReplicaEntry {
    /// The objects' name.
    pub name: String,
    /// How many.
    pub count: i64,
    /// Where it is written.
    pub at: Origin,
}

/// One entry of `replacements`.
#[derive(Clone, Debug)]
pub enum ReplacementEntry {
    /// Written here.
    Inline(Box<Replacement>),
    /// In a file.
    File(Placed),
}

/// A kustomization.
#[derive(Clone, Debug, Default)]
pub struct Kustomization {
    /// The file, as shown.
    pub file: Arc<str>,
    /// Its name in its folder.
    pub file_name: String,
    /// Kustomization or Component.
    pub kind: Kind,
    /// `resources` and `bases`.
    pub resources: Vec<Placed>,
    /// `components`.
    pub components: Vec<Placed>,
    /// `crds`.
    pub crds: Vec<Placed>,
    /// `configurations`.
    pub configurations: Vec<Placed>,
    /// `generators`.
    pub generators: Vec<Placed>,
    /// `transformers`.
    pub transformers: Vec<Placed>,
    /// `validators`.
    pub validators: Vec<Placed>,
    /// `openapi.path`.
    pub openapi: Option<Placed>,
    /// `namespace`.
    pub namespace: Option<Placed>,
    /// `namePrefix`.
    pub name_prefix: Option<Placed>,
    /// `nameSuffix`.
    pub name_suffix: Option<Placed>,
    /// `labels`.
    pub labels: Vec<LabelEntry>,
    /// `commonLabels`.
    pub common_labels: BTreeMap<String, String>,
    /// `commonAnnotations`.
    pub common_annotations: BTreeMap<String, String>,
    /// `patches`.
    pub patches: Vec<PatchEntry>,
    /// `patchesStrategicMerge`.
    pub patches_strategic_merge: Vec<Placed>,
    /// `patchesJson6902`.
    pub patches_json6902: Vec<PatchEntry>,
    /// `images` and `imageTags`.
    pub images: Vec<(ImageFields, Origin)>,
    /// `replicas`.
    pub replicas: Vec<ReplicaEntry>,
    /// `replacements`.
    pub replacements: Vec<ReplacementEntry>,
    /// `vars`.
    pub vars: Vec<Variable>,
    /// `configMapGenerator`.
    pub config_maps: Vec<GeneratorArgs>,
    /// `secretGenerator`.
    pub secrets: Vec<GeneratorArgs>,
    /// `sortOptions`.
    pub order: Option<Order>,
    /// `buildMetadata`.
    pub build_metadata: Vec<String>,
    /// Every field that is set, with its place.
    pub set: BTreeMap<String, Origin>,
}

impl Kustomization {
    /// Returns true if `buildMetadata` asks for something.
    pub fn wants(&self, metadata: &str) -> bool {
        self.build_metadata.iter().any(|m| m == metadata)
    }

    /// Returns the place of a field, or of the file.
    pub fn place(&self, field: &str) -> Origin {
        self.set.get(field).cloned().unwrap_or_else(|| Origin::file(self.file.clone()))
    }
}

/// Returns the specs that one entry of `labels` changes.
///
/// # Errors
/// Two specs for one field disagree.
pub fn label_specs(entry: &LabelEntry, config: &Config) -> Result<Vec<FieldSpec>, String> {
    use super::fieldspec::{merge_spec, merge_specs};
    let mut specs = entry.fields.clone();
    merge_specs(&mut specs, &config.labels)?;
    if entry.include_selectors {
        merge_specs(&mut specs, &config.common_labels)?;
        return Ok(specs);
    }
    if entry.include_templates {
        merge_specs(&mut specs, &config.template_labels)?;
    }
    merge_spec(&mut specs, &FieldSpec::new(Gvk::default(), "metadata/labels", true))?;
    Ok(specs)
}
