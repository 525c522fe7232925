//! `transformers`, `generators` and `validators`: configuration objects of built-in kinds.

use super::plugin_fields::{names, namespace, only, replacements, value_add};
use super::{Compiler, Place, merge_config, run_alone};
use crate::error::{Origin, Violation, Violations};
use crate::kustomize::config::Config;
use crate::kustomize::generate::generate;
use crate::kustomize::gvk::ObjectId;
use crate::kustomize::kustomization::{
    Fields, GeneratorArgs, GeneratorKind, GeneratorOptions, Placed, Wrong, read_field_specs, read_image,
    read_patch,
};
use crate::kustomize::manifest::read_manifests;
use crate::kustomize::overlay::Level;
use crate::kustomize::program::{Change, Op};
use crate::kustomize::provenance::Provenance;
use crate::kustomize::resource::Resource;
use crate::kustomize::transform::images::ImageChange;
use crate::kustomize::transform::metadata::End;
use crate::kustomize::transform::replicas::ReplicaChange;
use crate::suggest::did_you_mean;
use crate::yaml::{Limits, Node, read};
use std::sync::Arc;

const KINDS: [&str; 17] = [
    "AnnotationsTransformer",
    "ConfigMapGenerator",
    "HashTransformer",
    "IAMPolicyGenerator",
    "ImageTagTransformer",
    "LabelTransformer",
    "NamespaceTransformer",
    "PatchJson6902Transformer",
    "PatchStrategicMergeTransformer",
    "PatchTransformer",
    "PrefixSuffixTransformer",
    "PrefixTransformer",
    "ReplacementTransformer",
    "ReplicaCountTransformer",
    "SecretGenerator",
    "SuffixTransformer",
    "ValueAddTransformer",
];

/// Those that move objects, which an overlay for every unit must not.
const MOVING: [&str; 5] = [
    "HashTransformer",
    "NamespaceTransformer",
    "PrefixSuffixTransformer",
    "PrefixTransformer",
    "SuffixTransformer",
];

/// Returns why an overlay generates no secrets.
pub(super) fn no_secrets(at: Origin) -> Violation {
    Violation::error(
        "`secretGenerator` puts secret data into manifests, so it works in `hydrant build` alone",
    )
    .at(at)
    .hint("reference the secret: a VaultStaticSecret or an ExternalSecret in the component's templates")
}

/// A configuration object, its text and where that is.
struct Plugin {
    node: Node,
    file: Arc<str>,
    kind: String,
    api_version: String,
    provenance: Option<Provenance>,
}

impl Compiler {
    /// Compiles what a list of files, folders and objects asks for.
    pub(super) fn plugins(
        &mut self,
        list: &[Placed],
        field: &str,
        place: &Place<'_>,
        config: &mut Arc<Config>,
    ) -> Result<Vec<Op>, Violations> {
        let (mut ops, mut wrong) = (Vec::new(), Violations::new());
        let mut ids = std::collections::BTreeSet::new();
        for placed in list {
            let found = self.plugin_objects(placed, place, config, &mut ids);
            let compiled = found.and_then(|objects| {
                let mut all = Vec::new();
                for object in objects {
                    all.extend(self.plugin(&object, field, place)?);
                }
                Ok(all)
            });
            match compiled {
                Ok(more) => ops.extend(more),
                Err(more) => wrong.extend(more),
            }
        }
        if wrong.is_empty() { Ok(ops) } else { Err(wrong) }
    }

    fn plugin_objects(
        &mut self,
        placed: &Placed,
        place: &Place<'_>,
        config: &mut Arc<Config>,
        ids: &mut std::collections::BTreeSet<ObjectId>,
    ) -> Result<Vec<Plugin>, Violations> {
        let (text, at) = placed;
        let inline = text.contains('\n') || text.contains(": ") || text.trim_start().starts_with('{');
        let resources: Vec<Resource> = if inline {
            let mut resources = read_manifests(text.as_bytes(), &at.file, None)?;
            if self.trace {
                let origin = Provenance::file(place.traced(&self.file_name));
                resources.iter_mut().for_each(|r| r.origin = Some(origin.clone()));
            }
            resources
        } else {
            let (op, own) = self.resource(placed, place)?;
            if let Some(own) = own {
                merge_config(&mut config.clone(), &own)
                    .map_err(|why| vec![Violation::error(why).at(at.clone())])?;
            }
            run_alone(vec![op])?
        };
        if let Some(twice) = resources.iter().find(|r| !ids.insert(r.id())) {
            let message = format!("{} stands here twice", twice.id());
            return Err(vec![
                Violation::error(message).at(at.clone()).hint("give each its own metadata.name"),
            ]);
        }
        resources.into_iter().map(|r| plugin_of(r, at, inline)).collect()
    }

    fn plugin(&mut self, plugin: &Plugin, field: &str, place: &Place<'_>) -> Result<Vec<Op>, Violations> {
        let mut wrong = Wrong::new();
        let fields = Fields::new(&plugin.node, &plugin.file, "");
        if plugin.api_version != "builtin" {
            return Err(vec![self.foreign(plugin, fields.origin(), field)]);
        }
        if self.level == Some(Level::Env) && MOVING.contains(&plugin.kind.as_str()) {
            let message =
                format!("a {} moves objects, and this kustomization reaches every unit", plugin.kind);
            let violation = Violation::error(message).at(fields.origin()).key(field);
            return Err(vec![violation.hint("put it into the component's own overlay")]);
        }
        if self.level.is_some() && plugin.kind == "SecretGenerator" {
            return Err(vec![no_secrets(fields.origin()).key(field)]);
        }
        let generates = plugin.kind.ends_with("Generator");
        if generates != (field == "generators") {
            let message = format!("a {} cannot stand in `{field}`", plugin.kind);
            return Err(vec![Violation::error(message).at(fields.origin())]);
        }
        let mut ops = self.builtin(plugin, fields, place, &mut wrong);
        if let Some(provenance) = plugin.provenance.clone().filter(|_| self.trace && !generates) {
            ops.push(Op::Trace(provenance));
        }
        if wrong.is_empty() { Ok(ops) } else { Err(wrong) }
    }

    /// Returns why a plugin that is not built in is refused.
    fn foreign(&self, plugin: &Plugin, at: Origin, field: &str) -> Violation {
        let message = format!(
            "the plugin {} {} is not built in, and a build runs no program and no container",
            plugin.api_version, plugin.kind
        );
        let violation = Violation::error(message).at(at).key(field);
        violation.hint(match did_you_mean(&plugin.kind, KINDS) {
            Some(near) if KINDS.iter().any(|k| near.contains(k)) && near.starts_with("did") => {
                format!("built-in kinds have `apiVersion: builtin`; {near}")
            }
            _ => "commit what it generates and name that in `resources`".to_owned(),
        })
    }

    fn builtin(
        &mut self,
        plugin: &Plugin,
        fields: Fields<'_>,
        place: &Place<'_>,
        wrong: &mut Wrong,
    ) -> Vec<Op> {
        let at = fields.origin();
        let change = |change: Change| vec![Op::Change(Box::new(change), at.clone(), None)];
        let specs = |wrong: &mut Wrong| read_field_specs(&fields, "fieldSpecs", wrong);
        match plugin.kind.as_str() {
            "AnnotationsTransformer" => {
                only(&fields, &["annotations", "fieldSpecs"], wrong);
                change(Change::Texts { pairs: fields.text_map("annotations", wrong), specs: specs(wrong) })
            }
            "LabelTransformer" => {
                only(&fields, &["labels", "fieldSpecs"], wrong);
                change(Change::Texts { pairs: fields.text_map("labels", wrong), specs: specs(wrong) })
            }
            "NamespaceTransformer" => change(Change::Namespace(namespace(&fields, specs(wrong), wrong))),
            "PrefixTransformer" => names(&fields, &[("prefix", End::Prefix)], wrong),
            "SuffixTransformer" => names(&fields, &[("suffix", End::Suffix)], wrong),
            "PrefixSuffixTransformer" => {
                names(&fields, &[("prefix", End::Prefix), ("suffix", End::Suffix)], wrong)
            }
            "ImageTagTransformer" => {
                only(&fields, &["imageTag", "fieldSpecs"], wrong);
                let image =
                    fields.map("imageTag", "imageTag").map(|f| read_image(f, wrong)).unwrap_or_default();
                match ImageChange::new(image, specs(wrong)) {
                    Ok(image) => change(Change::Image(Box::new(image))),
                    Err(why) => {
                        wrong.push(Violation::error(why).at(at.clone()));
                        Vec::new()
                    }
                }
            }
            "ReplicaCountTransformer" => {
                only(&fields, &["replica", "fieldSpecs"], wrong);
                let replica = fields.map("replica", "replica");
                let name = replica.map(|f| f.text("name", wrong)).unwrap_or_default();
                let count = replica.map(|f| f.number("count", wrong)).unwrap_or_default();
                change(Change::Replicas(ReplicaChange { name, count, specs: specs(wrong) }))
            }
            "HashTransformer" => {
                only(&fields, &[], wrong);
                change(Change::Hash)
            }
            "ValueAddTransformer" => {
                value_add(&fields, place, wrong).map_or_else(Vec::new, |v| change(Change::ValueAdd(v)))
            }
            "ReplacementTransformer" => replacements(&fields, place, wrong),
            "PatchTransformer" | "PatchJson6902Transformer" | "PatchStrategicMergeTransformer" => {
                self.patch_plugin(plugin, &fields, place, wrong)
            }
            "IAMPolicyGenerator" => self.iam_policy(plugin, &fields, wrong),
            "ConfigMapGenerator" | "SecretGenerator" => self.generator_plugin(plugin, &fields, place, wrong),
            other => {
                let mut violation =
                    Violation::error(format!("`{other}` is not a built-in plugin")).at(at).key("kind");
                violation.hint = did_you_mean(other, KINDS);
                wrong.push(violation);
                Vec::new()
            }
        }
    }

    fn patch_plugin(
        &mut self,
        plugin: &Plugin,
        fields: &Fields<'_>,
        place: &Place<'_>,
        wrong: &mut Wrong,
    ) -> Vec<Op> {
        let at = fields.origin();
        let mut patches = Vec::new();
        let mut take = |read: Result<Vec<_>, Violations>, wrong: &mut Wrong| match read {
            Ok(more) => patches.extend(more),
            Err(more) => wrong.extend(more),
        };
        if plugin.kind == "PatchStrategicMergeTransformer" {
            only(fields, &["paths", "patches"], wrong);
            for placed in fields.texts("paths", wrong) {
                take(self.merge_patches(&placed, place), wrong);
            }
            let text = fields.text("patches", wrong);
            if !text.is_empty() {
                take(self.merge_patches(&(format!("{text}\n"), at.clone()), place), wrong);
            }
        } else {
            // The text of a JSON patch has another name in its own plugin.
            let mut node = plugin.node.clone();
            if let crate::yaml::Data::Map(entries) = &mut node.data {
                entries.retain(|e| !matches!(e.key.as_str(), "apiVersion" | "kind" | "metadata"));
                entries.iter_mut().filter(|e| e.key == "jsonOp").for_each(|e| e.key = "patch".to_owned());
            }
            let entry = read_patch(Fields::new(&node, &plugin.file, ""), wrong);
            let remembers = plugin.kind == "PatchTransformer";
            take(self.patch(&entry, place, remembers), wrong);
        }
        let op = |patch: crate::kustomize::transform::patches::Patch| {
            let at = patch.at.clone();
            Op::Change(Box::new(Change::Patch(Box::new(patch))), at, None)
        };
        patches.into_iter().map(op).collect()
    }

    /// Makes the service account that stands for one of Google's.
    fn iam_policy(&self, plugin: &Plugin, fields: &Fields<'_>, wrong: &mut Wrong) -> Vec<Op> {
        only(fields, &["cloud", "kubernetesService", "serviceAccount"], wrong);
        let cloud = fields.text("cloud", wrong);
        if cloud != "gke" {
            let message = format!("the cloud `{cloud}` is not supported, only gke");
            wrong.push(Violation::error(message).at(fields.origin()).key("cloud"));
        }
        let mut text =
            |map: &str, key: &str| fields.map(map, map).map(|f| f.text(key, wrong)).unwrap_or_default();
        let (name, namespace) = (text("kubernetesService", "name"), text("kubernetesService", "namespace"));
        let (account, project) = (text("serviceAccount", "name"), text("serviceAccount", "projectId"));
        let mut resource = Resource::new(serde_json::json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "annotations": {
                    "iam.gke.io/gcp-service-account": format!("{account}@{project}.iam.gserviceaccount.com"),
                },
                "name": name,
            },
        }));
        resource.set_namespace(&namespace);
        resource.at = Some(fields.origin());
        if self.trace {
            resource.origin.clone_from(&plugin.provenance);
        }
        vec![Op::Generate(Box::new(resource), fields.origin())]
    }

    fn generator_plugin(
        &mut self,
        plugin: &Plugin,
        fields: &Fields<'_>,
        place: &Place<'_>,
        wrong: &mut Wrong,
    ) -> Vec<Op> {
        let kind =
            if plugin.kind == "SecretGenerator" { GeneratorKind::Secret } else { GeneratorKind::ConfigMap };
        let more = ["apiVersion", "kind", "metadata"];
        let mut args = GeneratorArgs::read(*fields, kind, &GeneratorOptions::default(), &more, wrong);
        if let Some(metadata) = fields.map("metadata", "metadata") {
            if args.name.is_empty() {
                args.name = metadata.text("name", wrong);
            }
            if args.namespace.is_empty() {
                args.namespace = metadata.text("namespace", wrong);
            }
        }
        match generate(&args, &place.folder) {
            Ok(mut resource) => {
                resource.table.clone_from(&self.table);
                if self.trace {
                    resource.origin.clone_from(&plugin.provenance);
                }
                vec![Op::Generate(Box::new(resource), args.at)]
            }
            Err(more) => {
                wrong.extend(more);
                Vec::new()
            }
        }
    }
}

/// Turns a configuration object back into text and reads that, so that one reader with
/// places serves all; the places of an object from a file are lost but for its own.
fn plugin_of(resource: Resource, at: &Origin, inline: bool) -> Result<Plugin, Violations> {
    use crate::kustomize::gvk::Identified as _;
    let place = resource.at.clone().unwrap_or_else(|| at.clone());
    let text = crate::yaml::write(&resource.value);
    let file = place.file.clone();
    let mut documents = read(text.as_bytes(), &Limits::manifests()).map_err(|e| vec![e.in_file(&file)])?;
    let Some(mut node) = documents.pop() else { return Err(vec![Violation::error("it is empty").at(place)]) };
    let line = if inline { at.line } else { place.line };
    settle(&mut node, line.max(1));
    let value = &resource.value;
    let by = [
        value.api_version().into_owned(),
        value.kind().into_owned(),
        value.name().into_owned(),
        value.namespace().into_owned(),
    ];
    let provenance = resource.origin.as_ref().map(|o| Provenance {
        configured_in: o.path.clone(),
        configured_by: Some(by.clone()),
        ..Provenance::default()
    });
    let [api_version, kind, ..] = by;
    Ok(Plugin { node, file, kind, api_version, provenance })
}

/// Gives all nodes one place.
fn settle(node: &mut Node, line: u32) {
    use crate::yaml::Data;
    node.at.line = line;
    node.at.column = 1;
    match &mut node.data {
        Data::Scalar(_) => {}
        Data::Seq(items) => items.iter_mut().for_each(|n| settle(n, line)),
        Data::Map(entries) => entries.iter_mut().for_each(|e| {
            e.key_at = node.at;
            settle(&mut e.value, line);
        }),
    }
}
