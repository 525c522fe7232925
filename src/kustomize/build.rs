//! A whole build: what `kubectl kustomize DIR` prints.

use super::compile::{Compiler, Place};
use super::config::Config;
use super::fieldspec::FieldSpec;
use super::files::{Files, join};
use super::gvk::Gvk;
use super::kustomization::Kustomization;
use super::loader::{Folder, MOST_FOLDERS, ReadFiles};
use super::order::Order;
use super::program::Run;
use super::provenance::{origin_text, transformations_text};
use super::resource::{Resource, metadata_map, set_metadata_map};
use super::threads::Threads;
use super::transform::metadata::set_texts;
use crate::error::{Origin, Violation, Violations};
use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// True if a patch whose target chooses nothing is an error, not a warning.
    pub strict: bool,
    /// Makes rayon's global pool ready, before a build that is large enough is shared among
    /// its threads; none leaves that to rayon.
    pub threads: Option<fn()>,
    /// How many bases and components may be entered, each as often as it is named; none is
    /// 250,000.
    pub most_folders: Option<usize>,
}

/// Objects that one thread takes at a time where several work.
pub(super) const AT_ONCE: usize = 64;

/// What a build gave.
#[derive(Debug)]
pub struct Built {
    /// The objects in order.
    pub objects: Vec<Value>,
    /// What somebody should look at.
    pub warnings: Violations,
}

/// What kustomize writes into `app.kubernetes.io/managed-by`: kubectl does not know the
/// version of the kustomize inside it.
const MANAGED_BY: &str = "kustomize-(devel)";

/// Annotations of kustomize's own, which no build prints.
const INTERNAL: [&str; 18] = [
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
];

/// Builds a folder: prints what `kubectl kustomize` prints for it.
///
/// # Errors
/// Everything that is wrong in the kustomization and in what it names.
pub fn build(files: &dyn Files, dir: &str, options: &BuildOptions) -> Result<Built, Violations> {
    let read = ReadFiles::unnoted(options.most_folders.unwrap_or(MOST_FOLDERS));
    let folder = Folder::new(files, &read, &start(dir)?);
    let kustomization = folder.kustomization(None)?;
    let threads = Threads::Several(options.threads.unwrap_or(|| ()));
    let trace = !kustomization.build_metadata.is_empty();
    let mut compiler = Compiler { threads, trace, ..Compiler::default() };
    let mut config = Arc::new(Config::default());
    let at = Origin::file(kustomization.file.clone());
    let ops = compiler.target(&kustomization, &Place::new(folder), &mut config)?;
    let mut run = Run { threads, warnings: compiler.warnings, ..Run::default() };
    run.run_once(ops)?;
    run.finish(&config, &at)?;
    kustomization.order.clone().unwrap_or_else(Order::legacy).sort(run.resources.list_mut());
    if let Some(id) = run.resources.duplicate(threads) {
        return Err(vec![Violation::error(format!("two objects end up as {id}")).at(at)]);
    }
    if kustomization.wants("managedByLabel") {
        let pairs = [("app.kubernetes.io/managed-by".to_owned(), MANAGED_BY.to_owned())].into();
        let spec = FieldSpec::new(Gvk::default(), "metadata/labels", true);
        set_texts(&mut run.resources, &pairs, &[spec]).map_err(|f| vec![f.in_entry(&at)])?;
    }
    if options.strict && !run.warnings.iter().all(|w| w.severity > crate::error::Severity::Warning) {
        let strict = run.warnings.into_iter().map(|mut w| {
            if w.severity == crate::error::Severity::Warning {
                w.severity = crate::error::Severity::Error;
            }
            w
        });
        return Err(strict.filter(Violation::is_error).collect());
    }
    let finish = |r| finished(r, &kustomization);
    let list = run.resources.into_list();
    let objects = if threads.share(list.len(), AT_ONCE + 1) {
        list.into_par_iter().with_min_len(AT_ONCE).map(finish).collect()
    } else {
        list.into_iter().map(finish).collect()
    };
    Ok(Built { objects, warnings: run.warnings })
}

/// Returns the folder a build begins in, as a path from the root of the files.
pub(super) fn start(dir: &str) -> Result<String, Violations> {
    let outside =
        || vec![Violation::error(format!("the folder `{dir}` lies outside the files to build from"))];
    join("", dir).ok_or_else(outside)
}

/// Returns an object as it is printed.
fn finished(mut resource: Resource, kustomization: &Kustomization) -> Value {
    let metadata = resource.value.get("metadata").and_then(Value::as_object);
    let bare = metadata.is_some_and(|m| !m.contains_key("annotations"));
    if bare && resource.origin.is_none() && resource.transformations.is_empty() {
        return resource.value;
    }
    let mut annotations = metadata_map(&resource.value, "annotations");
    clean(&mut annotations);
    if let Some(origin) = resource.origin.take().filter(|_| kustomization.wants("originAnnotations")) {
        annotations.insert("config.kubernetes.io/origin".into(), Value::String(origin_text(&origin)));
    }
    let transformations = std::mem::take(&mut resource.transformations);
    if kustomization.wants("transformerAnnotations") && !transformations.is_empty() {
        let text = Value::String(transformations_text(&transformations));
        annotations.insert("alpha.config.kubernetes.io/transformations".into(), text);
    }
    set_metadata_map(&mut resource.value, "annotations", annotations);
    resource.value
}

/// Takes kustomize's own annotations away.
pub(super) fn clean(annotations: &mut Map<String, Value>) {
    for key in INTERNAL {
        annotations.remove(key);
    }
    annotations.remove("config.kubernetes.io/origin");
    annotations.remove("alpha.config.kubernetes.io/transformations");
}
