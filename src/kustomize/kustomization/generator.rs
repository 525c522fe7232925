//! The entries of `configMapGenerator` and `secretGenerator`.

use super::Placed;
use super::fields::{Fields, Wrong};
use crate::error::{Origin, Violation};
use crate::kustomize::resource::Behavior;
use std::collections::BTreeMap;

/// What a generator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratorKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// `generatorOptions`, or the `options` of one entry.
#[derive(Clone, Debug, Default)]
pub struct GeneratorOptions {
    /// Labels of the object.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the object.
    pub annotations: BTreeMap<String, String>,
    /// True for a name without hash.
    pub disable_name_suffix_hash: bool,
    /// True for an object that must not change.
    pub immutable: bool,
}

impl GeneratorOptions {
    /// Reads options.
    pub fn read(fields: Fields<'_>, wrong: &mut Wrong) -> Self {
        fields.only(&["labels", "annotations", "disableNameSuffixHash", "immutable"], wrong);
        Self {
            labels: fields.text_map("labels", wrong),
            annotations: fields.text_map("annotations", wrong),
            disable_name_suffix_hash: fields.flag("disableNameSuffixHash", wrong),
            immutable: fields.flag("immutable", wrong),
        }
    }

    /// Adds the options of all generators to those of one; its own win.
    pub fn merge(&mut self, general: &GeneratorOptions) {
        for (own, more) in
            [(&mut self.labels, &general.labels), (&mut self.annotations, &general.annotations)]
        {
            more.iter().for_each(|(k, v)| {
                own.entry(k.clone()).or_insert_with(|| v.clone());
            });
        }
        self.disable_name_suffix_hash |= general.disable_name_suffix_hash;
        self.immutable |= general.immutable;
    }
}

/// One entry of `configMapGenerator` or `secretGenerator`.
#[derive(Clone, Debug)]
pub struct GeneratorArgs {
    /// What it makes.
    pub kind: GeneratorKind,
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The type of a Secret.
    pub secret_type: String,
    /// What happens if the object exists.
    pub behavior: Behavior,
    /// `key=value`.
    pub literals: Vec<Placed>,
    /// `[key=]path`.
    pub files: Vec<Placed>,
    /// Files of `key=value` lines.
    pub envs: Vec<Placed>,
    /// Its options, those of all generators included.
    pub options: GeneratorOptions,
    /// Where it is written.
    pub at: Origin,
}

impl GeneratorArgs {
    /// Reads an entry. `more` names fields that may stand beside, as of a plugin.
    pub fn read(
        fields: Fields<'_>,
        kind: GeneratorKind,
        general: &GeneratorOptions,
        more: &[&str],
        wrong: &mut Wrong,
    ) -> Self {
        let mut known = vec!["namespace", "name", "behavior", "literals", "files", "envs", "env", "options"];
        if kind == GeneratorKind::Secret {
            known.push("type");
        }
        known.extend(more);
        fields.only(&known, wrong);
        let word = fields.text("behavior", wrong);
        let behavior = match word.as_str() {
            "" | "create" | "unspecified" => Behavior::Create,
            "merge" => Behavior::Merge,
            "replace" => Behavior::Replace,
            other => {
                let at = fields.node.get("behavior").map_or(fields.node.at, |n| n.at);
                wrong.push(
                    Violation::error(format!("`{other}` is no behavior of a generator"))
                        .at(fields.origin_at(at))
                        .key(fields.path_of("behavior"))
                        .hint("write create, merge or replace"),
                );
                Behavior::Create
            }
        };
        let path = fields.path_of("options");
        let mut options = fields
            .map("options", &path)
            .map_or_else(GeneratorOptions::default, |f| GeneratorOptions::read(f, wrong));
        options.merge(general);
        let mut envs = fields.texts("envs", wrong);
        if let Some(entry) = fields.entry("env") {
            envs.push((fields.text("env", wrong), fields.origin_at(entry.value.at)));
        }
        Self {
            kind,
            name: fields.text("name", wrong),
            namespace: fields.text("namespace", wrong),
            secret_type: if kind == GeneratorKind::Secret {
                fields.text("type", wrong)
            } else {
                String::new()
            },
            behavior,
            literals: fields.texts("literals", wrong),
            files: fields.texts("files", wrong),
            envs,
            options,
            at: fields.origin(),
        }
    }
}
