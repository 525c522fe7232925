//! From the text of a kustomization to its entries.

use super::fields::{Fields, Wrong};
use super::generator::{GeneratorArgs, GeneratorKind, GeneratorOptions};
use super::parts::{read_field_specs, read_image, read_patch, read_replacement};
use super::{Kind, Kustomization, LabelEntry, Placed, ReplacementEntry, ReplicaEntry};
use crate::error::{Origin, Violation, Violations};
use crate::kustomize::gvk::Gvk;
use crate::kustomize::order::Order;
use crate::kustomize::transform::replacements::FieldPath;
use crate::kustomize::transform::variables::Variable;
use crate::suggest::did_you_mean;
use crate::yaml::{Data, Limits, Node, read as read_yaml};
use std::sync::Arc;

/// Every field of a kustomization.
const KNOWN: [&str; 34] = [
    "apiVersion",
    "kind",
    "metadata",
    "openapi",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "vars",
    "sortOptions",
    "resources",
    "components",
    "crds",
    "bases",
    "configMapGenerator",
    "secretGenerator",
    "helmGlobals",
    "helmCharts",
    "helmChartInflationGenerator",
    "generatorOptions",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "buildMetadata",
];

const BUILD_METADATA: [&str; 3] = ["managedByLabel", "originAnnotations", "transformerAnnotations"];

/// Reads a kustomization.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(bytes: &[u8], file: &Arc<str>, file_name: &str) -> Result<Kustomization, Violations> {
    let documents = read_yaml(bytes, &Limits::manifests()).map_err(|e| vec![e.in_file(file)])?;
    if let Some(second) = documents.get(1) {
        let at = Origin::at(file.clone(), second.at.line, second.at.column);
        let message = "a second document in a kustomization would be dropped without a word";
        return Err(vec![Violation::error(message).at(at).hint("remove the `---` or the document")]);
    }
    let Some(node) = documents.first() else {
        let empty = Violation::error("the kustomization is empty").at(Origin::file(file.clone()));
        return Err(vec![empty.hint("name what it builds from: `resources: [deployment.yaml]`")]);
    };
    let mut wrong = Violations::new();
    let fields = Fields::new(node, file, "");
    fields.only(&KNOWN, &mut wrong);
    if !matches!(node.data, Data::Map(_)) {
        return Err(wrong);
    }
    let mut read = Kustomization {
        file: file.clone(),
        file_name: file_name.to_owned(),
        kind: kind(&fields, &mut wrong),
        ..Kustomization::default()
    };
    read.set = node.entries().iter().map(|e| (e.key.clone(), fields.origin_at(e.key_at))).collect();
    refuse_helm(&fields, &mut wrong);
    paths(&fields, &mut read, &mut wrong);
    metadata_fields(&fields, &mut read, &mut wrong);
    changes(&fields, &mut read, &mut wrong);
    generators(&fields, &mut read, &mut wrong);
    read.vars =
        fields.maps("vars", "vars", &mut wrong).into_iter().map(|f| variable(f, &mut wrong)).collect();
    read.order = sort_options(&fields, &mut wrong);
    let says_something = node.entries().iter().any(|e| !matches!(e.key.as_str(), "apiVersion" | "kind"));
    if !says_something {
        wrong.push(Violation::error("the kustomization is empty").at(Origin::file(file.clone())));
    }
    if wrong.is_empty() { Ok(read) } else { Err(wrong) }
}

fn kind(fields: &Fields<'_>, wrong: &mut Wrong) -> Kind {
    let (word, api_version) = (fields.text("kind", wrong), fields.text("apiVersion", wrong));
    let kind = match word.as_str() {
        "" | "Kustomization" => Kind::Kustomization,
        "Component" => Kind::Component,
        other => {
            let at = fields.node.get("kind").map_or(fields.node.at, |n| n.at);
            let message = format!("`{other}` is not a kind of kustomization");
            wrong.push(
                Violation::error(message)
                    .at(fields.origin_at(at))
                    .key("kind")
                    .hint("write Kustomization or Component"),
            );
            Kind::Kustomization
        }
    };
    let wanted = match kind {
        Kind::Kustomization => "kustomize.config.k8s.io/v1beta1",
        Kind::Component => "kustomize.config.k8s.io/v1alpha1",
    };
    if !api_version.is_empty() && api_version != wanted {
        let at = fields.node.get("apiVersion").map_or(fields.node.at, |n| n.at);
        wrong.push(
            Violation::error(format!("`{api_version}` is not the apiVersion of this kind"))
                .at(fields.origin_at(at))
                .key("apiVersion")
                .hint(format!("write {wanted}")),
        );
    }
    kind
}

fn refuse_helm(fields: &Fields<'_>, wrong: &mut Wrong) {
    for key in ["helmCharts", "helmGlobals", "helmChartInflationGenerator"] {
        if let Some(entry) = fields.node.entry(key) {
            wrong.push(
                Violation::error(format!("`{key}` runs the helm program and fetches charts, which is not done here"))
                    .at(fields.origin_at(entry.key_at))
                    .key(key)
                    .hint("let Argo CD render the chart: a component with a `source.yaml`, or an Application with `source.chart`; or commit what `helm template` prints and name it in `resources`"),
            );
        }
    }
}

fn paths(fields: &Fields<'_>, read: &mut Kustomization, wrong: &mut Wrong) {
    read.resources = fields.texts("resources", wrong);
    read.resources.extend(fields.texts("bases", wrong));
    read.components = fields.texts("components", wrong);
    read.crds = fields.texts("crds", wrong);
    read.configurations = fields.texts("configurations", wrong);
    read.generators = fields.texts("generators", wrong);
    read.transformers = fields.texts("transformers", wrong);
    read.validators = fields.texts("validators", wrong);
    for (option, at) in fields.texts("buildMetadata", wrong) {
        if BUILD_METADATA.contains(&option.as_str()) {
            read.build_metadata.push(option);
        } else {
            let mut violation =
                Violation::error(format!("`{option}` is not known")).at(at).key("buildMetadata");
            violation.hint = did_you_mean(&option, BUILD_METADATA);
            wrong.push(violation);
        }
    }
    if let Some(openapi) = fields.map("openapi", "openapi") {
        openapi.only(&["path", "version"], wrong);
        let path = openapi.text("path", wrong);
        let version = openapi.text("version", wrong);
        if !path.is_empty() {
            let at = openapi.node.get("path").map_or(openapi.node.at, |n| n.at);
            read.openapi = Some((path, openapi.origin_at(at)));
        }
        let at = openapi.node.get("version").map_or(openapi.node.at, |n| n.at);
        let problem = match (version.as_str(), &read.openapi) {
            ("", _) => None,
            (_, Some(_)) => Some("`version` and `path` cannot stand together".to_owned()),
            ("v1.21.2", None) => None,
            (other, None) => Some(format!("the schema of Kubernetes {other} is not built in, only v1.21.2")),
        };
        wrong.extend(problem.map(|m| Violation::error(m).at(openapi.origin_at(at)).key("openapi.version")));
    }
}

fn metadata_fields(fields: &Fields<'_>, read: &mut Kustomization, wrong: &mut Wrong) {
    let mut placed = |key: &str| -> Option<Placed> {
        let entry = fields.entry(key)?;
        let text = fields.text(key, wrong);
        (!text.is_empty()).then(|| (text, fields.origin_at(entry.value.at)))
    };
    read.namespace = placed("namespace");
    read.name_prefix = placed("namePrefix");
    read.name_suffix = placed("nameSuffix");
    read.common_labels = fields.text_map("commonLabels", wrong);
    read.common_annotations = fields.text_map("commonAnnotations", wrong);
    for label in fields.maps("labels", "labels", wrong) {
        label.only(&["pairs", "includeSelectors", "includeTemplates", "fields"], wrong);
        read.labels.push(LabelEntry {
            pairs: label.text_map("pairs", wrong),
            include_selectors: label.flag("includeSelectors", wrong),
            include_templates: label.flag("includeTemplates", wrong),
            fields: read_field_specs(&label, "fields", wrong),
            at: Some(label.origin()),
        });
    }
}

fn changes(fields: &Fields<'_>, read: &mut Kustomization, wrong: &mut Wrong) {
    let patches = fields.maps("patches", "patches", wrong);
    read.patches = patches.into_iter().map(|f| read_patch(f, wrong)).collect();
    let json = fields.maps("patchesJson6902", "patchesJson6902", wrong);
    read.patches_json6902 = json.into_iter().map(|f| read_patch(f, wrong)).collect();
    read.patches_strategic_merge = fields.texts("patchesStrategicMerge", wrong);
    for key in ["images", "imageTags"] {
        let images = fields.maps(key, key, wrong);
        read.images.extend(images.into_iter().map(|f| (read_image(f, wrong), f.origin())));
    }
    for replica in fields.maps("replicas", "replicas", wrong) {
        replica.only(&["name", "count"], wrong);
        read.replicas.push(ReplicaEntry {
            name: replica.text("name", wrong),
            count: replica.number("count", wrong),
            at: replica.origin(),
        });
    }
    for entry in fields.maps("replacements", "replacements", wrong) {
        let path = entry.text("path", wrong);
        let inline = entry.entry("source").is_some() || entry.entry("targets").is_some();
        if !path.is_empty() && inline {
            let message = "a replacement is written here or in the file of `path`, not both";
            wrong.push(Violation::error(message).at(entry.origin()).key("replacements"));
        } else if !path.is_empty() {
            entry.only(&["path"], wrong);
            let at = entry.node.get("path").map_or(entry.node.at, |n| n.at);
            read.replacements.push(ReplacementEntry::File((path, entry.origin_at(at))));
        } else if let Some(replacement) = read_replacement(entry, wrong) {
            read.replacements.push(ReplacementEntry::Inline(Box::new(replacement)));
        }
    }
}

fn generators(fields: &Fields<'_>, read: &mut Kustomization, wrong: &mut Wrong) {
    let general = fields
        .map("generatorOptions", "generatorOptions")
        .map_or_else(GeneratorOptions::default, |f| GeneratorOptions::read(f, wrong));
    let kinds = [
        ("configMapGenerator", GeneratorKind::ConfigMap, &mut read.config_maps),
        ("secretGenerator", GeneratorKind::Secret, &mut read.secrets),
    ];
    for (key, kind, into) in kinds {
        let entries = fields.maps(key, key, wrong);
        into.extend(entries.into_iter().map(|f| GeneratorArgs::read(f, kind, &general, &[], wrong)));
    }
}

fn variable(fields: Fields<'_>, wrong: &mut Wrong) -> Variable {
    fields.only(&["name", "objref", "fieldref"], wrong);
    let (object_path, field_path) = (fields.path_of("objref"), fields.path_of("fieldref"));
    let empty = Node { at: fields.node.at, data: Data::Map(Vec::new()) };
    let object = fields.map("objref", &object_path).unwrap_or(Fields::new(&empty, fields.file, "objref"));
    object.only(&["apiVersion", "group", "version", "kind", "name", "namespace"], wrong);
    let kind = object.text("kind", wrong);
    let api_version = object.text("apiVersion", wrong);
    let gvk = if api_version.is_empty() {
        Gvk { group: object.text("group", wrong), version: object.text("version", wrong), kind }
    } else {
        Gvk::new(&api_version, &kind)
    };
    let mut field = String::new();
    if let Some(from) = fields.map("fieldref", &field_path) {
        // kustomize takes any case, and its own examples write `fieldpath`.
        from.only(&["fieldPath", "fieldpath"], wrong);
        field = from.text("fieldPath", wrong);
        if field.is_empty() {
            field = from.text("fieldpath", wrong);
        }
    }
    let path = if field.is_empty() { "metadata.name".to_owned() } else { split_indexes(&field) };
    let field = FieldPath::new(&path).unwrap_or_else(|why| {
        wrong.push(Violation::error(why).at(fields.origin()).key("vars.fieldref"));
        FieldPath::default()
    });
    Variable {
        name: fields.text("name", wrong),
        gvk,
        object: object.text("name", wrong),
        namespace: object.text("namespace", wrong),
        field,
        at: fields.origin(),
    }
}

/// Turns `ports[0].port` into `ports.0.port`.
fn split_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']').map(|i| i + open) else { break };
        let inner = &rest[open + 1..close];
        let is_index = !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit());
        if is_index && open > 0 {
            out.push_str(&rest[..open]);
            out.push('.');
            out.push_str(inner);
        } else {
            out.push_str(&rest[..=close]);
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out
}

fn sort_options(fields: &Fields<'_>, wrong: &mut Wrong) -> Option<Order> {
    let options = fields.map("sortOptions", "sortOptions")?;
    options.only(&["order", "legacySortOptions"], wrong);
    let path = options.path_of("legacySortOptions");
    let legacy = options.map("legacySortOptions", &path);
    let refuse = |message: &str, wrong: &mut Wrong| {
        wrong.push(Violation::error(message).at(options.origin()).key(options.path_of("order")));
    };
    match options.text("order", wrong).as_str() {
        "fifo" => {
            if legacy.is_some() {
                refuse("`legacySortOptions` is set, but the order is fifo", wrong);
            }
            Some(Order::Fifo)
        }
        "legacy" => Some(match legacy {
            None => Order::legacy(),
            Some(legacy) => {
                legacy.only(&["orderFirst", "orderLast"], wrong);
                let texts = |key: &str, wrong: &mut Wrong| {
                    legacy.texts(key, wrong).into_iter().map(|(t, _)| t).collect()
                };
                Order::Legacy { first: texts("orderFirst", wrong), last: texts("orderLast", wrong) }
            }
        }),
        other => {
            refuse(&format!("`{other}` is no order; there are legacy and fifo"), wrong);
            None
        }
    }
}
