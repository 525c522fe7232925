//! The entries that kustomizations and transformer files share.

use super::fields::{Fields, Wrong};
use super::{PatchEntry, TargetFields};
use crate::error::Violation;
use crate::kustomize::fieldspec::FieldSpec;
use crate::kustomize::gvk::Gvk;
use crate::kustomize::labels::LabelSelector;
use crate::kustomize::selector::{Pattern, Selector};
use crate::kustomize::transform::images::ImageFields;
use crate::kustomize::transform::replacements::{Choice, FieldPath, Ids, Options, Replacement, Target};

fn read_gvk(fields: &Fields<'_>, wrong: &mut Wrong) -> Gvk {
    Gvk {
        group: fields.text("group", wrong),
        version: fields.text("version", wrong),
        kind: fields.text("kind", wrong),
    }
}

/// Reads a list of field specs.
pub fn read_field_specs(fields: &Fields<'_>, key: &str, wrong: &mut Wrong) -> Vec<FieldSpec> {
    let path = fields.path_of(key);
    let specs = fields.maps(key, &path, wrong);
    specs
        .into_iter()
        .map(|f| {
            f.only(&["group", "version", "kind", "path", "create"], wrong);
            FieldSpec::new(read_gvk(&f, wrong), f.text("path", wrong), f.flag("create", wrong))
        })
        .collect()
}

/// Reads an entry of `images`.
pub fn read_image(fields: Fields<'_>, wrong: &mut Wrong) -> ImageFields {
    fields.only(&["name", "newName", "newTag", "tagSuffix", "digest"], wrong);
    ImageFields {
        name: fields.text("name", wrong),
        new_name: fields.text("newName", wrong),
        new_tag: fields.text("newTag", wrong),
        tag_suffix: fields.text("tagSuffix", wrong),
        digest: fields.text("digest", wrong),
    }
}

const SELECTOR: [&str; 7] =
    ["group", "version", "kind", "name", "namespace", "annotationSelector", "labelSelector"];

/// Reads an entry of `patches` or `patchesJson6902`.
pub fn read_patch(fields: Fields<'_>, wrong: &mut Wrong) -> PatchEntry {
    fields.only(&["path", "patch", "target", "options"], wrong);
    let placed = |key: &str, wrong: &mut Wrong| {
        let entry = fields.entry(key)?;
        let text = fields.text(key, wrong);
        (!text.is_empty()).then(|| (text, fields.origin_at(entry.value.at)))
    };
    let target_path = fields.path_of("target");
    let options_path = fields.path_of("options");
    let mut entry = PatchEntry {
        path: placed("path", wrong),
        inline: placed("patch", wrong),
        target: fields.map("target", &target_path).map(|f| read_target(f, wrong)),
        at: Some(fields.origin()),
        ..PatchEntry::default()
    };
    if let Some(options) = fields.map("options", &options_path) {
        options.only(&["allowNameChange", "allowKindChange"], wrong);
        entry.allow_name_change = options.flag("allowNameChange", wrong);
        entry.allow_kind_change = options.flag("allowKindChange", wrong);
    }
    entry
}

fn read_target(fields: Fields<'_>, wrong: &mut Wrong) -> TargetFields {
    fields.only(&SELECTOR, wrong);
    TargetFields {
        gvk: read_gvk(&fields, wrong),
        name: fields.text("name", wrong),
        namespace: fields.text("namespace", wrong),
        labels: fields.text("labelSelector", wrong),
        annotations: fields.text("annotationSelector", wrong),
        at: Some(fields.origin()),
    }
}

/// Reads and compiles a selector that stands in a map.
pub fn read_selector(fields: Fields<'_>, wrong: &mut Wrong) -> Selector {
    read_target(fields, wrong).compile(wrong)
}

impl TargetFields {
    /// Compiles the patterns and selectors.
    pub fn compile(&self, wrong: &mut Wrong) -> Selector {
        let mut errors = Vec::new();
        let mut pattern = |text: &str| {
            Pattern::new(text).unwrap_or_else(|e| {
                errors.push(e);
                Pattern::Any
            })
        };
        let mut selector = Selector {
            group: pattern(&self.gvk.group),
            version: pattern(&self.gvk.version),
            kind: pattern(&self.gvk.kind),
            name: pattern(&self.name),
            namespace: pattern(&self.namespace),
            ..Selector::default()
        };
        for (text, into) in
            [(&self.labels, &mut selector.labels), (&self.annotations, &mut selector.annotations)]
        {
            match LabelSelector::parse(text) {
                Ok(parsed) => *into = parsed,
                Err(e) => errors.push(e),
            }
        }
        wrong.extend(errors.into_iter().map(|message| {
            let violation = Violation::error(message).key("target");
            match &self.at {
                Some(at) => violation.at(at.clone()),
                None => violation,
            }
        }));
        selector
    }

    /// Describes the target in a few words.
    pub fn describe(&self) -> String {
        let api_version = self.gvk.api_version();
        let mut parts: Vec<String> =
            [api_version.trim_end_matches('/'), &self.gvk.kind, &self.namespace, &self.name]
                .into_iter()
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect();
        for (text, what) in [(&self.labels, "labels"), (&self.annotations, "annotations")] {
            if !text.is_empty() {
                parts.push(format!("{what} {text}"));
            }
        }
        if parts.is_empty() { "any object".to_owned() } else { parts.join(" ") }
    }
}

/// Reads a replacement; none if it lacks what it needs.
pub fn read_replacement(fields: Fields<'_>, wrong: &mut Wrong) -> Option<Replacement> {
    fields.only(&["source", "targets", "path"], wrong);
    let (source_path, targets_path) = (fields.path_of("source"), fields.path_of("targets"));
    let source = fields.map("source", &source_path);
    let has_targets = fields.entry("targets").is_some();
    let (Some(source), true) = (source, has_targets) else {
        wrong.push(
            Violation::error("a replacement needs a `source` and at least one target in `targets`")
                .at(fields.origin()),
        );
        return None;
    };
    source.only(&["group", "version", "kind", "name", "namespace", "fieldPath", "options"], wrong);
    let targets = fields.maps("targets", &targets_path, wrong);
    let options_path = source.path_of("options");
    Some(Replacement {
        source: read_ids(&source, wrong),
        field: read_path(&source, &source.text("fieldPath", wrong), wrong),
        options: read_options(source.map("options", &options_path), wrong),
        targets: targets.into_iter().filter_map(|t| read_replacement_target(t, wrong)).collect(),
        at: fields.origin(),
    })
}

fn read_ids(fields: &Fields<'_>, wrong: &mut Wrong) -> Ids {
    Ids {
        gvk: read_gvk(fields, wrong),
        name: fields.text("name", wrong),
        namespace: fields.text("namespace", wrong),
    }
}

fn read_path(fields: &Fields<'_>, text: &str, wrong: &mut Wrong) -> FieldPath {
    let text = if text.is_empty() { "metadata.name" } else { text };
    FieldPath::new(text)
        .or_else(|why| {
            wrong.push(Violation::error(why).at(fields.origin()).key(fields.path_of("fieldPath")));
            FieldPath::new("metadata.name")
        })
        .unwrap_or_default()
}

fn read_options(fields: Option<Fields<'_>>, wrong: &mut Wrong) -> Options {
    let Some(fields) = fields else { return Options::default() };
    fields.only(&["delimiter", "index", "encoding", "create"], wrong);
    // `encoding` exists in kustomize's type and does nothing there.
    fields.text("encoding", wrong);
    Options {
        delimiter: fields.text("delimiter", wrong),
        index: fields.number("index", wrong),
        create: fields.flag("create", wrong),
    }
}

fn read_replacement_target(fields: Fields<'_>, wrong: &mut Wrong) -> Option<Target> {
    fields.only(&["select", "reject", "fieldPaths", "options"], wrong);
    let (select_path, reject_path) = (fields.path_of("select"), fields.path_of("reject"));
    let Some(select) = fields.map("select", &select_path) else {
        wrong.push(Violation::error("a target needs `select`, which objects it is").at(fields.origin()));
        return None;
    };
    let rejected = fields.maps("reject", &reject_path, wrong);
    let mut paths = fields.texts("fieldPaths", wrong);
    if paths.is_empty() {
        paths.push((String::new(), fields.origin()));
    }
    let options_path = fields.path_of("options");
    Some(Target {
        select: read_choice(select, wrong),
        reject: rejected.into_iter().map(|r| read_choice(r, wrong)).collect(),
        fields: paths.iter().map(|(text, _)| read_path(&fields, text, wrong)).collect(),
        options: read_options(fields.map("options", &options_path), wrong),
    })
}

fn read_choice(fields: Fields<'_>, wrong: &mut Wrong) -> Choice {
    fields.only(&SELECTOR, wrong);
    let selector = |key: &str, wrong: &mut Wrong| {
        let text = fields.text(key, wrong);
        if text.is_empty() {
            return None;
        }
        LabelSelector::parse(&text)
            .map_err(|why| wrong.push(Violation::error(why).at(fields.origin()).key(fields.path_of(key))))
            .ok()
    };
    Choice {
        ids: read_ids(&fields, wrong),
        labels: selector("labelSelector", wrong),
        annotations: selector("annotationSelector", wrong),
    }
}
