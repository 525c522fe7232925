//! Which fields of which objects each field of a kustomization changes.

mod defaults;
mod read;

pub use read::read_config;

use super::fieldspec::{FieldSpec, merge_spec, merge_specs};
use super::gvk::Gvk;
use super::order::type_key;
use std::sync::{Arc, LazyLock};

/// The objects of a type may be named by these fields of other objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameReference {
    /// The type that is named.
    pub target: Gvk,
    /// The fields that name it.
    pub referrers: Vec<FieldSpec>,
}

/// The places each transformer changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// For `namePrefix`.
    pub name_prefix: Vec<FieldSpec>,
    /// For `nameSuffix`.
    pub name_suffix: Vec<FieldSpec>,
    /// For `namespace`.
    pub namespace: Vec<FieldSpec>,
    /// For `commonLabels`, and `labels` with `includeSelectors`.
    pub common_labels: Vec<FieldSpec>,
    /// For every entry of `labels`.
    pub labels: Vec<FieldSpec>,
    /// For `labels` with `includeTemplates`.
    pub template_labels: Vec<FieldSpec>,
    /// For `commonAnnotations`.
    pub common_annotations: Vec<FieldSpec>,
    /// Names that follow renamed objects.
    pub name_reference: Vec<NameReference>,
    /// Where `vars` are put in.
    pub var_reference: Vec<FieldSpec>,
    /// For `images`.
    pub images: Vec<FieldSpec>,
    /// For `replicas`.
    pub replicas: Vec<FieldSpec>,
}

static DEFAULT: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(defaults::read()));

impl Config {
    /// Returns what holds when a kustomization says nothing.
    pub fn default_specs() -> Arc<Config> {
        DEFAULT.clone()
    }

    /// Returns the lists of field specs by the name of their section.
    pub(super) fn sections(&mut self) -> [(&'static str, &mut Vec<FieldSpec>); 10] {
        [
            ("namePrefix", &mut self.name_prefix),
            ("nameSuffix", &mut self.name_suffix),
            ("namespace", &mut self.namespace),
            ("commonLabels", &mut self.common_labels),
            ("labels", &mut self.labels),
            ("templateLabels", &mut self.template_labels),
            ("commonAnnotations", &mut self.common_annotations),
            ("varReference", &mut self.var_reference),
            ("images", &mut self.images),
            ("replicas", &mut self.replicas),
        ]
    }

    /// Returns the list of field specs of a section.
    pub(super) fn section(&mut self, name: &str) -> Option<&mut Vec<FieldSpec>> {
        self.sections().into_iter().find(|(section, _)| *section == name).map(|(_, list)| list)
    }

    /// Adds another configuration.
    ///
    /// # Errors
    /// Both name a field and disagree about making it.
    pub fn merge(&mut self, other: &Config) -> Result<(), String> {
        let mut other = other.clone();
        for ((_, into), (_, more)) in self.sections().into_iter().zip(other.sections()) {
            merge_specs(into, more)?;
        }
        for reference in other.name_reference {
            self.add_name_reference(reference)?;
        }
        self.sort();
        Ok(())
    }

    /// Adds fields that name objects of a type.
    ///
    /// # Errors
    /// As [`Config::merge`].
    pub fn add_name_reference(&mut self, reference: NameReference) -> Result<(), String> {
        match self.name_reference.iter_mut().find(|r| r.target == reference.target) {
            Some(there) => reference.referrers.iter().try_for_each(|s| merge_spec(&mut there.referrers, s)),
            None => {
                self.name_reference.push(reference);
                Ok(())
            }
        }
    }

    /// Puts the specs into the order of their types.
    pub(super) fn sort(&mut self) {
        for (_, specs) in self.sections() {
            specs.sort_by_cached_key(|spec| type_key(&spec.gvk));
        }
        self.name_reference.sort_by_cached_key(|reference| type_key(&reference.target));
    }
}
