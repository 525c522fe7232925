//! The fields of a kustomization that change objects, in the order kustomize applies them.

use super::{Compiler, Place};
use crate::error::{Origin, Violation, Violations};
use crate::kustomize::config::Config;
use crate::kustomize::kustomization::{
    Fields, Kustomization, PatchEntry, Placed, ReplacementEntry, label_specs, read_replacement,
};
use crate::kustomize::manifest::read_patches;
use crate::kustomize::program::{Change, Op};
use crate::kustomize::provenance::Provenance;
use crate::kustomize::transform::images::ImageChange;
use crate::kustomize::transform::json6902::read_operations;
use crate::kustomize::transform::metadata::{End, NamespaceChange, Subjects};
use crate::kustomize::transform::patches::{Body, Patch};
use crate::kustomize::transform::replacements::Replacement;
use crate::kustomize::transform::replicas::ReplicaChange;
use crate::yaml::{Data, Limits, Node, YamlError, read};
use std::sync::Arc;

impl Compiler {
    /// Adds the changes of a kustomization.
    pub(super) fn changes(
        &mut self,
        kustomization: &Kustomization,
        place: &Place<'_>,
        config: &Config,
        ops: &mut Vec<Op>,
        wrong: &mut Violations,
    ) {
        let mut add = Adder { compiler: self, kustomization, place, ops, wrong };
        add.patches_strategic_merge();
        for entry in &kustomization.patches {
            add.patch_entry(entry, "PatchTransformer", true);
        }
        if let Some((namespace, at)) = &kustomization.namespace {
            let change = NamespaceChange {
                namespace: namespace.clone(),
                specs: config.namespace.clone(),
                unset_only: false,
                subjects: Subjects::Default,
            };
            add.change(Change::Namespace(change), at, "NamespaceTransformer");
        }
        for (placed, end, specs, plugin) in [
            (&kustomization.name_prefix, End::Prefix, &config.name_prefix, "PrefixTransformer"),
            (&kustomization.name_suffix, End::Suffix, &config.name_suffix, "SuffixTransformer"),
        ] {
            if let Some((text, at)) = placed {
                add.change(Change::Names { text: text.clone(), end, specs: specs.clone() }, at, plugin);
            }
        }
        add.labels(config);
        if !kustomization.common_annotations.is_empty() {
            let pairs = kustomization.common_annotations.clone();
            let specs = config.common_annotations.clone();
            let at = kustomization.place("commonAnnotations");
            add.change(Change::Texts { pairs, specs }, &at, "AnnotationsTransformer");
        }
        for entry in &kustomization.patches_json6902 {
            add.json_entry(entry);
        }
        for replica in &kustomization.replicas {
            let change = ReplicaChange {
                name: replica.name.clone(),
                count: replica.count,
                specs: config.replicas.clone(),
            };
            let what = format!("replicas of `{}`", replica.name);
            add.entry(Change::Replicas(change), &replica.at, &what);
            add.trace("ReplicaCountTransformer");
        }
        for (fields, at) in &kustomization.images {
            let what = format!("image `{}`", fields.name);
            match ImageChange::new(fields.clone(), config.images.clone()) {
                Ok(change) => add.entry(Change::Image(Box::new(change)), at, &what),
                Err(why) => add.wrong.push(Violation::error(why).at(at.clone()).key("images.name")),
            }
            add.trace("ImageTagTransformer");
        }
        add.replacements();
    }
}

/// Adds operations of one kustomization.
struct Adder<'a, 'p> {
    compiler: &'a mut Compiler,
    kustomization: &'a Kustomization,
    place: &'a Place<'p>,
    ops: &'a mut Vec<Op>,
    wrong: &'a mut Violations,
}

impl Adder<'_, '_> {
    fn change(&mut self, change: Change, at: &Origin, plugin: &str) {
        self.ops.push(Op::Change(Box::new(change), at.clone(), None));
        self.trace(plugin);
    }

    fn entry(&mut self, change: Change, at: &Origin, what: &str) {
        let entry = self.compiler.entry(at, what);
        self.ops.push(Op::Change(Box::new(change), at.clone(), Some(entry)));
    }

    fn trace(&mut self, plugin: &str) {
        if self.compiler.trace {
            let file = self.place.traced(&self.kustomization.file_name);
            self.ops.push(Op::Trace(Provenance::builtin(&file, plugin)));
        }
    }

    fn labels(&mut self, config: &Config) {
        let kustomization = self.kustomization;
        for label in &kustomization.labels {
            let at = label.at.clone().unwrap_or_else(|| kustomization.place("labels"));
            match label_specs(label, config) {
                Ok(specs) => {
                    let change = Change::Texts { pairs: label.pairs.clone(), specs };
                    self.change(change, &at, "LabelTransformer");
                }
                Err(why) => self.wrong.push(Violation::error(why).at(at)),
            }
        }
        if !kustomization.labels.is_empty() || !kustomization.common_labels.is_empty() {
            let change = Change::Texts {
                pairs: kustomization.common_labels.clone(),
                specs: if kustomization.common_labels.is_empty() {
                    Vec::new()
                } else {
                    config.common_labels.clone()
                },
            };
            self.change(change, &kustomization.place("commonLabels"), "LabelTransformer");
        }
    }

    fn patches_strategic_merge(&mut self) {
        let kustomization = self.kustomization;
        for placed in &kustomization.patches_strategic_merge {
            match self.compiler.merge_patches(placed, self.place) {
                Ok(patches) => patches.into_iter().for_each(|patch| self.patch(patch)),
                Err(more) => self.wrong.extend(more),
            }
        }
        if !kustomization.patches_strategic_merge.is_empty() {
            self.trace("PatchStrategicMergeTransformer");
        }
    }

    fn patch(&mut self, patch: Patch) {
        let (at, what) = (patch.at.clone(), format!("patch of {}", patch.what));
        self.entry(Change::Patch(Box::new(patch)), &at, &what);
    }

    fn patch_entry(&mut self, entry: &PatchEntry, plugin: &str, remembers: bool) {
        match self.compiler.patch(entry, self.place, remembers) {
            Ok(patches) => {
                for patch in patches {
                    let (at, what) = (patch.at.clone(), format!("patch of {}", patch.what));
                    self.entry(Change::Patch(Box::new(patch)), &at, &what);
                }
            }
            Err(more) => self.wrong.extend(more),
        }
        self.trace(plugin);
    }

    fn json_entry(&mut self, entry: &PatchEntry) {
        let at = entry.at.clone().unwrap_or_else(|| self.kustomization.place("patchesJson6902"));
        if entry.target.as_ref().is_none_or(|t| t.name.is_empty()) {
            self.wrong.push(Violation::error("`target.name` is missing").at(at).key("patchesJson6902"));
            return;
        }
        self.patch_entry(entry, "PatchJson6902Transformer", false);
    }

    fn replacements(&mut self) {
        let kustomization = self.kustomization;
        for entry in &kustomization.replacements {
            let read = match entry {
                ReplacementEntry::Inline(replacement) => Ok(vec![(**replacement).clone()]),
                ReplacementEntry::File(placed) => read_replacement_file(placed, self.place),
            };
            match read {
                Ok(all) => {
                    for replacement in all {
                        let at = replacement.at.clone();
                        let what =
                            format!("replacement from {} `{}`", replacement.source, replacement.field.text());
                        self.entry(Change::Replacement(Box::new(replacement)), &at, &what);
                    }
                }
                Err(more) => self.wrong.extend(more),
            }
        }
        if !kustomization.replacements.is_empty() {
            self.trace("ReplacementTransformer");
        }
    }
}

/// Reads a file of replacements, one or a list.
pub(super) fn read_replacement_file(
    placed: &Placed,
    place: &Place<'_>,
) -> Result<Vec<Replacement>, Violations> {
    let (bytes, file) = place.folder.read_file(placed).map_err(|v| vec![*v])?;
    let documents = read(&bytes, &Limits::manifests()).map_err(|e| vec![e.in_file(&file)])?;
    let mut wrong = Violations::new();
    let one = |node: &Node, wrong: &mut Violations| {
        read_replacement(Fields::new(node, &file, "replacements"), wrong)
    };
    let all: Vec<Replacement> = match documents.first().map(|d| (&d.data, d)) {
        Some((Data::Seq(items), _)) => items.iter().filter_map(|n| one(n, &mut wrong)).collect(),
        Some((_, node)) => one(node, &mut wrong).into_iter().collect(),
        None => Vec::new(),
    };
    if wrong.is_empty() { Ok(all) } else { Err(wrong) }
}

/// The text of a patch and where it is.
struct PatchText {
    bytes: Vec<u8>,
    file: Arc<str>,
    at: Origin,
    /// True if the text stands inside a kustomization.
    inline: bool,
}

impl PatchText {
    /// Reads the documents, their places counted in the file that holds them.
    fn documents(&self) -> Result<Vec<Node>, Violations> {
        let moved = |e: YamlError| {
            let mut violation = e.in_file(&self.file);
            if self.inline {
                violation.at = Some(self.at.clone());
            }
            vec![violation]
        };
        let mut documents = read(&self.bytes, &Limits::manifests()).map_err(moved)?;
        if self.inline {
            // The first line of a block text stands below its key.
            documents.iter_mut().for_each(|d| shift(d, self.at.line));
        }
        Ok(documents)
    }
}

fn shift(node: &mut Node, lines: u32) {
    node.at.line += lines;
    match &mut node.data {
        Data::Scalar(_) => {}
        Data::Seq(items) => items.iter_mut().for_each(|n| shift(n, lines)),
        Data::Map(entries) => entries.iter_mut().for_each(|e| {
            e.key_at.line += lines;
            shift(&mut e.value, lines);
        }),
    }
}

impl Compiler {
    /// Reads the merge patches of one entry of `patchesStrategicMerge`, a path or the text.
    pub(super) fn merge_patches(&self, placed: &Placed, place: &Place<'_>) -> Result<Vec<Patch>, Violations> {
        let (text, at) = placed;
        let inline = text.contains('\n') || text.contains(": ") || text.trim_start().starts_with('{');
        let source = if inline {
            PatchText { bytes: text.as_bytes().to_vec(), file: at.file.clone(), at: at.clone(), inline }
        } else {
            let (bytes, file) = place.folder.read_file(placed).map_err(|v| vec![*v])?;
            PatchText { bytes, at: Origin::file(file.clone()), file, inline }
        };
        let patches = read_patches(source.documents()?, &source.file, self.table.as_ref(), true)?;
        let patch = |object: crate::kustomize::resource::Resource| {
            let at = object.at.clone().unwrap_or_else(|| at.clone());
            Patch {
                what: object.id().to_string(),
                body: Body::Merge(Box::new(object)),
                target: None,
                allow_name_change: false,
                allow_kind_change: false,
                remembers: true,
                at,
            }
        };
        Ok(patches.into_iter().map(patch).collect())
    }

    /// Reads the patches of one entry of `patches` or `patchesJson6902`.
    pub(super) fn patch(
        &self,
        entry: &PatchEntry,
        place: &Place<'_>,
        remembers: bool,
    ) -> Result<Vec<Patch>, Violations> {
        let at = entry.at.clone().unwrap_or_else(|| Origin::file(place.folder.shown()));
        let mut source = patch_text(entry, place, &at)?;
        if source.inline && remembers {
            // `patches` trims its texts, `patchesJson6902` does not.
            let end = source.bytes.trim_ascii_end().len();
            source.bytes.truncate(end);
        }
        let documents = source.documents()?;
        let mut wrong = Violations::new();
        let target = entry.target.as_ref().map(|t| t.compile(&mut wrong));
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let patch = |body: Body, at: Origin| Patch {
            what: match (&body, &entry.target) {
                (Body::Merge(object), None) => object.id().to_string(),
                (_, target) => target.as_ref().map(|t| t.describe()).unwrap_or_default(),
            },
            body,
            target: target.clone(),
            allow_name_change: entry.allow_name_change,
            allow_kind_change: entry.allow_kind_change,
            remembers,
            at,
        };
        let refuse =
            |message: &str, hint: &str| Err(vec![Violation::error(message).at(source.at.clone()).hint(hint)]);
        let Some(first) = documents.first() else {
            return refuse("the patch is empty", "write an object to merge, or a list of JSON operations");
        };
        if matches!(first.data, Data::Seq(_)) {
            if source.bytes.starts_with(b"[")
                && serde_json::from_slice::<serde_json::Value>(&source.bytes).is_err()
            {
                return refuse(
                    "a patch that begins with `[` must be JSON",
                    "quote its keys and texts, or write `- op: …`",
                );
            }
            if target.is_none() {
                return refuse(
                    "a JSON patch needs a `target`",
                    "name what it changes: `target: {kind: Deployment}`",
                );
            }
            let operations = read_operations(first, &source.file)?;
            if operations.is_empty() {
                return refuse("the patch has no operations", "remove it, or write `- op: …`");
            }
            return Ok(vec![patch(Body::Json(operations), source.at.clone())]);
        }
        let merging = read_patches(documents, &source.file, self.table.as_ref(), target.is_some())?;
        if merging.len() > 1 && target.is_some() {
            return refuse(
                "a patch of several objects cannot have a `target`",
                "make an entry of `patches` for each object",
            );
        }
        Ok(merging
            .into_iter()
            .map(|object| {
                let at = object.at.clone().unwrap_or_else(|| source.at.clone());
                patch(Body::Merge(Box::new(object)), at)
            })
            .collect())
    }
}

fn patch_text(entry: &PatchEntry, place: &Place<'_>, at: &Origin) -> Result<PatchText, Violations> {
    let refuse = |message: &str| Err(vec![Violation::error(message).at(at.clone()).key("patches")]);
    match (&entry.path, &entry.inline) {
        (None, None) => refuse("a patch needs `path` or `patch`"),
        (Some(_), Some(_)) => refuse("a patch has `path` or `patch`, not both"),
        (Some(placed), None) => {
            let (bytes, file) = place.folder.read_file(placed).map_err(|v| vec![*v])?;
            Ok(PatchText { bytes, at: Origin::file(file.clone()), file, inline: false })
        }
        (None, Some((text, at))) => Ok(PatchText {
            bytes: text.as_bytes().to_vec(),
            file: at.file.clone(),
            at: at.clone(),
            inline: true,
        }),
    }
}
