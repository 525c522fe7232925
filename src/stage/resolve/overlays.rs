//! Compiles the overlay chain of each environment once.

use crate::definition::catalog::Catalog;
use crate::definition::tree::Tree;
use crate::error::{Origin, Violation, Violations};
use crate::kustomize::{Files, Level, Memory, Overlay};
use crate::model::fleet::Overlays;
use crate::model::overlay::Step;
use crate::suggest::did_you_mean;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles environments on demand and keeps them.
pub struct Compiler<'a> {
    sets: [Set; 2],
    catalog: &'a Catalog,
    done: BTreeMap<String, Result<(Overlays, Violations), Violations>>,
}

/// The overlay files of the built-in set or of the fleet.
struct Set {
    files: Memory,
    paths: Vec<String>,
    builtin: bool,
}

impl Set {
    fn of(tree: &Tree, builtin: bool) -> Self {
        let files: BTreeMap<String, Arc<[u8]>> =
            tree.below("overlays").map(|(path, bytes)| (path.to_owned(), bytes.clone())).collect();
        let paths = files.keys().cloned().collect();
        Self { files: Memory::new(files, tree.shown_before.clone()), paths, builtin }
    }

    /// Returns the folders below one that hold a kustomization of their own, relative to it.
    fn kustomizations(&self, folder: &str) -> Vec<String> {
        let prefix = format!("{folder}/");
        self.paths
            .iter()
            .filter_map(|path| path.strip_prefix(&prefix)?.strip_suffix("/kustomization.yaml"))
            .map(str::to_owned)
            .collect()
    }

    fn compile(&self, folder: &str, level: Level, found: &mut Violations) -> Option<Arc<Step>> {
        let file = format!("{folder}/kustomization.yaml");
        if !self.paths.contains(&file) {
            return None;
        }
        match Overlay::compile(&self.files, folder, level) {
            Ok(overlay) => {
                let digest = overlay.digest();
                let mut name = [0; 8];
                name.copy_from_slice(&digest.as_bytes()[..8]);
                let shown = Arc::from(self.files.shown(folder));
                Some(Arc::new(Step {
                    shown,
                    builtin: self.builtin,
                    name: u64::from_le_bytes(name),
                    digest,
                    overlay,
                }))
            }
            Err(why) => {
                found.extend(why);
                None
            }
        }
    }
}

impl<'a> Compiler<'a> {
    /// Prepares for the two sets of overlays.
    pub fn new(builtin: &Tree, fleet: &Tree, catalog: &'a Catalog) -> Self {
        Self { sets: [Set::of(builtin, true), Set::of(fleet, false)], catalog, done: BTreeMap::new() }
    }

    /// Returns the chain of an environment; what is wrong with it is added to `found`, what
    /// somebody should look at to `notices`.
    pub fn chain(&mut self, env: &str, found: &mut Violations, notices: &mut Violations) -> Overlays {
        if !self.done.contains_key(env) {
            let compiled = self.compile(env);
            self.done.insert(env.to_owned(), compiled);
        }
        match self.done.get(env) {
            Some(Ok((chain, warnings))) => {
                notices.extend(warnings.iter().cloned());
                chain.clone()
            }
            Some(Err(why)) => {
                found.extend(why.iter().cloned());
                Overlays::default()
            }
            None => Overlays::default(),
        }
    }

    fn compile(&self, env: &str) -> Result<(Overlays, Violations), Violations> {
        let mut chain = Overlays::default();
        let mut found = Violations::new();
        let folder = format!("overlays/{env}");
        for (n, set) in self.sets.iter().enumerate() {
            chain.env[n] = set.compile(&folder, Level::Env, &mut found);
            // What the env's own kustomization takes in (components, patches) is no component overlay.
            for inside in set.kustomizations(&folder).iter().filter(|i| looks_like_component(i)) {
                let path = format!("{folder}/{inside}");
                if let Err(v) = self.known(inside, &set.files.shown(&path)) {
                    // A fleet may have replaced or moved a built-in component.
                    if !set.builtin {
                        found.push(v);
                    }
                    continue;
                }
                let step = set.compile(&path, Level::Component, &mut found);
                chain.component.entry(inside.clone()).or_insert([None, None])[n] = step;
            }
        }
        if !found.is_empty() {
            return Err(found);
        }
        let warnings =
            chain.all().filter(|s| !s.builtin).flat_map(|s| s.overlay.warnings().to_vec()).collect();
        Ok((chain, warnings))
    }

    /// Checks that a component overlay speaks of a component.
    fn known(&self, inside: &str, shown: &str) -> Result<(), Violation> {
        let keys: Vec<String> = self.catalog.components.values().map(|c| c.key.to_string()).collect();
        if keys.iter().any(|k| k == inside) {
            return Ok(());
        }
        let mut v = Violation::error(format!("there is no component `{inside}`"))
            .at(Origin::file(format!("{shown}/kustomization.yaml")));
        v.hint = did_you_mean(inside, keys.iter().map(String::as_str));
        Err(v)
    }
}

/// Returns true for `<layer>/<component>`.
fn looks_like_component(inside: &str) -> bool {
    let layer = inside.split('/').next().unwrap_or_default();
    inside.contains('/') && crate::model::id::Layer::from_name(layer).is_some()
}
