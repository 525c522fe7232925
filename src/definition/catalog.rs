//! The catalog: every component of the built-in set and of the fleet, compiled once.

use super::checked::Checker;
use super::clusters::values_file;
use super::tree::Tree;
use crate::error::{Origin, Violation, Violations};
use crate::model::cluster::schema_of;
use crate::model::component::{ComponentFile, ComponentKey, Replaces};
use crate::model::form::Forms;
use crate::model::id::{Layer, Scope};
use crate::model::values::ValueTree;
use crate::suggest::did_you_mean;
use crate::template::{Expression, Template, Texts};
use crate::yaml::{Limits, read_one};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All components by id, and the values that every component may read.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The components by id.
    pub components: BTreeMap<String, Component>,
    /// Defaults of `global` from `templates/values.yaml`, and with them its types.
    pub globals: Option<ValueTree>,
    /// What belongs to no component: stray files, a broken `templates/values.yaml`. Holds
    /// every cluster.
    pub failed: Violations,
    /// Warnings.
    pub notices: Violations,
}

/// Where the namespace of a component comes from.
#[derive(Debug)]
pub enum NamespaceRule {
    /// A fixed name.
    Fixed(String),
    /// An expression.
    Computed(Expression),
}

/// One component, ready to render.
#[derive(Debug)]
pub struct Component {
    /// Its layer and id.
    pub key: ComponentKey,
    /// Its component.yaml.
    pub file: ComponentFile,
    /// Where that lies.
    pub at: Origin,
    /// Where each of its keys stands.
    pub places: BTreeMap<String, Origin>,
    /// Its templates, in the order of their paths.
    pub templates: Arc<Vec<Template>>,
    /// Its source.yaml, if Argo CD renders it.
    pub source: Option<Template>,
    /// Its argocd.yaml: what its Application has besides.
    pub application: Option<Template>,
    /// Its text files.
    pub texts: Texts,
    /// Its values' defaults.
    pub defaults: ValueTree,
    /// Its own schema for values, instead of types by example.
    pub schema: Option<Checker>,
    /// Where it is rendered.
    pub enabled: Option<Expression>,
    /// The namespace of its objects.
    pub namespace: Option<NamespaceRule>,
    /// The wave that follows from `wave` and `needs`.
    pub wave: i64,
    /// Of every byte of its folder, and of what it extends.
    pub digest: blake3::Hash,
    /// What is wrong with it; whoever uses it is held then.
    pub failed: Violations,
    /// Whether it is one of ours.
    pub builtin: bool,
    /// What its units have in common, as far as it was seen.
    pub forms: Forms,
}

impl Component {
    /// Returns its scope.
    pub fn scope(&self) -> Scope {
        self.file.scope
    }

    /// Returns where a key of its component.yaml stands, or the file if it does not.
    pub fn place(&self, key: &str) -> Origin {
        self.places.get(key).unwrap_or(&self.at).clone()
    }
}

const ROOT: &str = "templates";
/// Ids that stand for something else in values and paths.
const RESERVED: [&str; 5] = ["global", "vault", "argocd", "organizations", "knowledgebases"];

/// Reads the catalog.
pub fn read_catalog(builtin: &Tree, fleet: &Tree) -> Catalog {
    let mut catalog = Catalog::default();
    let mut found: BTreeMap<String, Vec<Folder<'_>>> = BTreeMap::new();
    for (tree, is_builtin) in [(builtin, true), (fleet, false)] {
        for folder in folders(tree, is_builtin, &mut catalog) {
            found.entry(folder.key.id.clone()).or_default().push(folder);
        }
        read_globals(tree, &mut catalog);
        for (_, why) in tree.unreadable_below(ROOT) {
            catalog.failed.push(why.clone());
        }
    }
    let checker = match Checker::new(schema_of::<ComponentFile>()) {
        Ok(checker) => checker,
        Err(v) => {
            catalog.failed.push(v);
            return catalog;
        }
    };
    check_prefixes(&found, &mut catalog.failed);
    for (id, folders) in found {
        let mut read: Vec<Component> =
            folders.iter().filter_map(|f| f.read(&checker, &mut catalog.failed)).collect();
        if let Some(chosen) = choose(&id, &mut read, &mut catalog.failed) {
            catalog.components.insert(id, chosen);
        }
    }
    extend_all(&mut catalog);
    super::waves::resolve(&mut catalog.components);
    catalog
}

fn read_globals(tree: &Tree, catalog: &mut Catalog) {
    const FILE: &str = "templates/values.yaml";
    let Some(bytes) = tree.get(FILE) else { return };
    match values_file(tree, FILE, bytes) {
        Ok(ValueTree::Map(mut map, _)) => {
            if let Some(globals) = map.remove("global") {
                match &mut catalog.globals {
                    Some(existing) => existing.merge(globals),
                    none => *none = Some(globals),
                }
            }
            for (key, value) in map {
                catalog.failed.push(
                    Violation::error("only `global` is read here")
                        .at(value.origin().clone())
                        .key(key)
                        .hint("a component's defaults stand in its own values.yaml"),
                );
            }
        }
        Ok(ValueTree::Leaf(_, at)) => catalog.failed.push(Violation::error("values are a mapping").at(at)),
        Err(v) => catalog.failed.push(v),
    }
}

/// A folder with a component.yaml.
struct Folder<'t> {
    tree: &'t Tree,
    builtin: bool,
    key: ComponentKey,
    path: String,
}

/// Finds the component folders of a tree; files outside of any are reported.
fn folders<'t>(tree: &'t Tree, builtin: bool, catalog: &mut Catalog) -> Vec<Folder<'t>> {
    let mut folders = Vec::new();
    for (path, _) in tree.below(ROOT) {
        let Some(folder) = path.strip_suffix("/component.yaml") else { continue };
        let inside = &folder[ROOT.len()..];
        let mut parts = inside.trim_start_matches('/').splitn(2, '/');
        let layer = parts.next().unwrap_or_default();
        let id = parts.next().unwrap_or_default().to_owned();
        let at = Origin::file(tree.shown(path));
        match Layer::from_name(layer) {
            Some(layer) if !id.is_empty() => folders.push(Folder {
                tree,
                builtin,
                key: ComponentKey { layer, id },
                path: folder.to_owned(),
            }),
            _ => {
                let mut v = Violation::error("a component lies in templates/<layer>/<id>/").at(at);
                v.hint = did_you_mean(layer, Layer::ALL.map(Layer::name));
                catalog.failed.push(v);
            }
        }
    }
    let roots: BTreeSet<&str> = folders.iter().map(|f| f.path.as_str()).collect();
    for (path, _) in tree.below(ROOT) {
        let owned =
            roots.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')));
        if !owned && path != "templates/values.yaml" && !path.ends_with("/component.yaml") {
            catalog.notices.push(
                Violation::warning(
                    "this file belongs to no component: no folder above it has a component.yaml",
                )
                .at(Origin::file(tree.shown(path))),
            );
        }
    }
    folders
}

/// Refuses ids that are a path prefix of another, and reserved ones.
fn check_prefixes(found: &BTreeMap<String, Vec<Folder<'_>>>, failed: &mut Violations) {
    for (id, folders) in found {
        let at = folders.first().map(|f| Origin::file(f.tree.shown(&format!("{}/component.yaml", f.path))));
        let mut refuse = |message: String| {
            let mut v = Violation::error(message);
            v.at = at.clone();
            failed.push(v);
        };
        let first = id.split('/').next().unwrap_or_default();
        if RESERVED.contains(&first) {
            refuse(format!("the component id `{id}` is reserved"));
        }
        let well_formed = id.split('/').all(|part| {
            !part.is_empty()
                && part.len() <= 63
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        });
        if !well_formed {
            refuse(format!(
                "the component id `{id}` must be lower-case letters, digits and `-`, in parts divided by `/`"
            ));
        }
        let above = id.match_indices('/').map(|(i, _)| &id[..i]).find(|p| found.contains_key(*p));
        if let Some(above) = above {
            refuse(format!("the component `{id}` lies inside the component `{above}`"));
        }
    }
}

/// Picks between a built-in component and the fleet's of the same id.
fn choose(id: &str, read: &mut Vec<Component>, failed: &mut Violations) -> Option<Component> {
    if read.len() > 1 {
        let own: Vec<Origin> = read.iter().filter(|c| !c.builtin).map(|c| c.at.clone()).collect();
        if own.len() > 1 {
            failed.push(
                Violation::error(format!("the component id `{id}` stands twice; the other is {}", own[0]))
                    .at(own[1].clone())
                    .hint("rename one of the two folders"),
            );
        }
        let clash = read.iter().any(|c| c.builtin);
        if let Some(component) = read.iter_mut().find(|c| !c.builtin)
            && clash
            && component.file.replaces != Some(Replaces::Builtin)
        {
            let v = Violation::error(format!("the component id `{id}` is built in"))
                .at(component.at.clone())
                .hint("add `replaces: builtin` to take its place, or rename the folder; `extends:` takes its templates");
            component.failed.push(v);
        }
        read.retain(|c| !c.builtin);
    }
    if read.is_empty() { None } else { Some(read.remove(0)) }
}

impl Folder<'_> {
    fn read(&self, checker: &Checker, failed: &mut Violations) -> Option<Component> {
        let file_path = format!("{}/component.yaml", self.path);
        let shown = self.tree.shown(&file_path);
        let bytes = self.tree.get(&file_path)?;
        let node = match read_one(bytes, &Limits::inputs()) {
            Ok(node) => node,
            Err(e) => {
                failed.push(e.in_file(&shown));
                return None;
            }
        };
        // Without its component.yaml nobody can say whom it serves: every cluster is held.
        let file: ComponentFile = match checker.read(&node, &shown) {
            Ok(file) => file,
            Err(why) => {
                failed.extend(why);
                return None;
            }
        };
        let place = |key: &str| {
            let at = node.entry(key).map_or(node.at, |e| e.key_at);
            Origin::at(shown.clone(), at.line, at.column)
        };
        let mut component = Component {
            key: self.key.clone(),
            at: Origin::file(shown.clone()),
            places: node.entries().iter().map(|e| (e.key.clone(), place(&e.key))).collect(),
            templates: Arc::default(),
            source: None,
            application: None,
            texts: Texts::default(),
            defaults: ValueTree::empty(Origin::file(shown.clone())),
            schema: None,
            enabled: None,
            namespace: None,
            wave: file.wave.unwrap_or(0),
            digest: blake3::hash(b""),
            failed: Violations::new(),
            builtin: self.builtin,
            forms: Forms::default(),
            file,
        };
        if let Some(text) = &component.file.enabled {
            match Expression::compile(text, place("enabled")) {
                Ok(expression) => component.enabled = Some(expression),
                Err(v) => component.failed.push(v.key("enabled")),
            }
        }
        component.namespace = namespace_rule(&component.file, place("namespace"), &mut component.failed);
        self.read_files(&mut component);
        Some(component)
    }

    /// Reads the templates, text files, values and schema of the folder.
    fn read_files(&self, component: &mut Component) {
        let mut digest = blake3::Hasher::new();
        let mut texts = BTreeMap::new();
        let mut templates = Vec::new();
        for (path, bytes) in self.tree.below(&self.path) {
            let name = &path[self.path.len() + 1..];
            digest.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            digest.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
            let shown = self.tree.shown(path);
            match name {
                "component.yaml" => {}
                "values.yaml" => match values_file(self.tree, path, bytes) {
                    Ok(values) => component.defaults = values,
                    Err(v) => component.failed.push(v),
                },
                "values.schema.json" => match serde_json::from_slice(bytes)
                    .map_err(|e| Violation::error(format!("this is not JSON: {e}")))
                    .and_then(Checker::new)
                {
                    Ok(checker) => component.schema = Some(checker),
                    Err(v) => component.failed.push(v.at(Origin::file(shown))),
                },
                _ => {
                    let Ok(text) = std::str::from_utf8(bytes) else {
                        let v = Violation::error("the file is not UTF-8").at(Origin::file(shown));
                        component.failed.push(v);
                        continue;
                    };
                    if !name.ends_with(".yaml") {
                        texts.insert(name.to_owned(), Arc::from(text));
                        continue;
                    }
                    match Template::compile(shown, text) {
                        Ok(template) if name == "source.yaml" => component.source = Some(template),
                        Ok(template) if name == "argocd.yaml" => component.application = Some(template),
                        Ok(template) => templates.push(template),
                        Err(why) => component.failed.extend(why),
                    }
                }
            }
        }
        if component.source.is_some() && !templates.is_empty() {
            component.failed.push(
                Violation::error("a component has templates or a source.yaml, not both")
                    .at(component.at.clone()),
            );
        }
        if let Some(extra) = &component.application
            && component.scope() != Scope::Cluster
        {
            component.failed.push(
                Violation::error(
                    "a subject's components share one Application, and argocd.yaml speaks of one's own",
                )
                .at(Origin::file(extra.file().clone()))
                .hint("remove it, or give the component `scope: cluster`"),
            );
        }
        component.templates = Arc::new(templates);
        component.texts = Arc::new(texts);
        component.digest = digest.finalize();
    }
}

fn namespace_rule(file: &ComponentFile, at: Origin, failed: &mut Violations) -> Option<NamespaceRule> {
    let text = file.namespace.as_deref()?.trim();
    let expression = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}"));
    match expression {
        None if text.contains("{{") => {
            failed.push(crate::template::scan::not_whole(at).key("namespace"));
            None
        }
        None => Some(NamespaceRule::Fixed(text.to_owned())),
        Some(expression) => match Expression::compile(expression.trim(), at) {
            Ok(expression) => Some(NamespaceRule::Computed(expression)),
            Err(v) => {
                failed.push(v.key("namespace"));
                None
            }
        },
    }
}

/// Gives each component that extends another its templates, texts and defaults.
fn extend_all(catalog: &mut Catalog) {
    let ids: Vec<String> = catalog.components.keys().cloned().collect();
    for id in ids {
        let Some(base_id) = catalog.components.get(&id).and_then(|c| c.file.extends.clone()) else {
            continue;
        };
        let known: Vec<String> = catalog.components.keys().cloned().collect();
        let base = catalog.components.get(&base_id).map(|base| {
            (
                base.templates.clone(),
                base.texts.clone(),
                base.defaults.clone(),
                base.digest,
                base.file.clone(),
            )
        });
        let Some(component) = catalog.components.get_mut(&id) else { continue };
        let place = component.place("extends");
        let problem = |message: String| Violation::error(message).at(place.clone()).key("extends");
        let Some((templates, texts, mut defaults, digest, base_file)) = base else {
            let mut v = problem(format!("there is no component `{base_id}`"));
            v.hint = did_you_mean(&base_id, known.iter().map(String::as_str));
            component.failed.push(v);
            continue;
        };
        if base_id == id {
            component.failed.push(problem("a component cannot extend itself".into()));
            continue;
        }
        if base_file.extends.is_some() {
            component
                .failed
                .push(problem(format!("`{base_id}` extends a component itself; one step is taken")));
            continue;
        }
        if !component.templates.is_empty() {
            component
                .failed
                .push(problem("a component that extends another has no templates of its own".into()));
            continue;
        }
        let own = std::mem::replace(&mut component.defaults, ValueTree::empty(component.at.clone()));
        own.check_fits(&defaults, &id, &mut component.failed);
        defaults.merge(own);
        component.defaults = defaults;
        component.templates = templates;
        let mut all: BTreeMap<String, Arc<str>> = (*texts).clone();
        all.extend(component.texts.iter().map(|(k, v)| (k.clone(), v.clone())));
        component.texts = Arc::new(all);
        component.digest =
            blake3::Hasher::new().update(component.digest.as_bytes()).update(digest.as_bytes()).finalize();
        let mut public = base_file.public_secret_keys;
        public.extend(component.file.public_secret_keys.iter().cloned());
        component.file.public_secret_keys = public;
    }
}
