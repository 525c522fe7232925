//! One kustomization compiled once and applied to many units.
//!
//! The objects of a unit stand where `resources` would. What finds nothing in one unit is
//! passed over there; [`Matched`] tells what found something, so that the caller can say
//! after all units which entries never did.

use super::compile::{Compiler, Place};
use super::config::Config;
use super::fieldspec::FieldSpec;
use super::files::Files;
use super::kustomization::{Kustomization, Placed};
use super::loader::{Folder, Found, ReadFiles};
use super::program::{Change, Matched, Op, Run};
use super::resource::{Resource, metadata_map, set_metadata_map};
use super::schema::Table;
use super::threads::Threads;
use crate::error::{Origin, Violation, Violations};
use serde_json::Value;
use std::sync::Arc;

pub use super::compile::OverlayEntry;

/// Where an overlay stands, and so what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For every unit of an environment: it changes objects, and neither adds nor moves them.
    Env,
    /// For one component.
    Component,
}

/// A compiled overlay.
#[derive(Clone, Debug)]
pub struct Overlay {
    ops: Vec<Op>,
    config: Arc<Config>,
    table: Option<Arc<Table>>,
    entries: Vec<OverlayEntry>,
    warnings: Violations,
    at: Origin,
    digest: blake3::Hash,
}

/// Fields that add or move objects.
const ADD_OR_MOVE: [&str; 7] =
    ["resources", "bases", "generators", "configMapGenerator", "namespace", "namePrefix", "nameSuffix"];

impl Overlay {
    /// Compiles the kustomization of a folder.
    ///
    /// # Errors
    /// Everything that is wrong in it, and fields that its level does not allow.
    pub fn compile(files: &dyn Files, dir: &str, level: Level) -> Result<Overlay, Violations> {
        let read = ReadFiles::noted();
        let folder = Folder::new(files, &read, &super::build::start(dir)?);
        let kustomization = folder.kustomization(None)?;
        let mut wrong = Violations::new();
        check(&kustomization, &folder, level, &mut wrong);
        let mut compiler = Compiler { level: Some(level), ..Compiler::default() };
        let mut config = Arc::new(Config::default());
        let compiled = compiler.target(&kustomization, &Place::new(folder.clone()), &mut config);
        let ops = match compiled {
            Ok(ops) if wrong.is_empty() => ops,
            Ok(_) => return Err(wrong),
            Err(mut more) => {
                wrong.append(&mut more);
                return Err(wrong);
            }
        };
        Ok(Overlay {
            ops,
            config,
            table: compiler.table,
            entries: compiler.entries,
            warnings: compiler.warnings,
            at: Origin::file(kustomization.file.clone()),
            digest: read.digest(),
        })
    }

    /// Applies the overlay to the objects of one unit; they keep their order.
    ///
    /// # Errors
    /// A change that cannot be made.
    pub fn apply(&self, objects: Vec<Value>) -> Result<(Vec<Value>, Matched), Violations> {
        let mut run = Run { lenient: true, ..Run::default() };
        for mut value in objects {
            let texts = metadata_map(&value, "annotations");
            if !texts.is_empty() {
                set_metadata_map(&mut value, "annotations", texts);
            }
            let mut resource = Resource::new(value);
            resource.table.clone_from(&self.table);
            run.resources.append(resource).map_err(|taken| {
                let (id, _) = *taken;
                vec![Violation::error(format!("the unit has two objects {id}")).at(self.at.clone())]
            })?;
        }
        run.run(&self.ops)?;
        run.finish(&self.config, &self.at)?;
        if let Some(id) = run.resources.duplicate(Threads::One) {
            let message = format!("the overlay makes two objects of the unit one: {id}");
            return Err(vec![Violation::error(message).at(self.at.clone())]);
        }
        let finished = run.resources.into_list().into_iter().map(|r| r.value).collect();
        Ok((finished, run.matched))
    }

    /// Returns the fields (`/`-separated) of an object that the overlay walks through, if its result
    /// follows from them and the object's type; `None` if it may look at anything else, or sets a text
    /// that is a `mark`. Lists on the way are not named. What is asked of all objects together (that
    /// no two are one) comes on top.
    pub fn walks<'o>(&'o self, object: &Value, mark: &dyn Fn(&str) -> bool) -> Option<Vec<&'o str>> {
        let mut fields = Vec::new();
        for op in &self.ops {
            let Op::Change(change, ..) = op else { return None };
            match &**change {
                Change::Texts { pairs, specs } if !pairs.values().any(|text| mark(text)) => {
                    let chosen = FieldSpec::choose(specs, object);
                    fields.extend(chosen.into_iter().map(|spec| spec.path.as_str()));
                }
                Change::Patch(patch) if !patch.may_choose(object) => {}
                _ => return None,
            }
        }
        Some(fields)
    }

    /// Returns the entries that can find something or not, by their number in [`Matched`].
    pub fn entries(&self) -> &[OverlayEntry] {
        &self.entries
    }

    /// Returns what somebody should look at in the kustomization itself.
    pub fn warnings(&self) -> &[Violation] {
        &self.warnings
    }

    /// Returns the digest of every file that went in.
    pub fn digest(&self) -> blake3::Hash {
        self.digest
    }
}

/// Checks what a level allows, in the components that are used too.
fn check(kustomization: &Kustomization, folder: &Folder<'_>, level: Level, wrong: &mut Violations) {
    if level == Level::Env {
        for field in ADD_OR_MOVE {
            let Some(at) = kustomization.set.get(field) else { continue };
            let message = format!(
                "`{field}` adds or moves objects, and this kustomization reaches every unit of the environment"
            );
            wrong.push(Violation::error(message).at(at.clone()).key(field).hint(
                "put it into the component's own overlay: overlays/<env>/<layer>/<component>/kustomization.yaml",
            ));
        }
    }
    for placed in &kustomization.components {
        if let Some((below, inner)) = component(placed, folder) {
            check(&inner, &below, level, wrong);
        }
    }
}

fn component<'f>(placed: &Placed, folder: &Folder<'f>) -> Option<(Folder<'f>, Kustomization)> {
    let Found::Folder(path) = folder.find(placed).ok()? else { return None };
    let below = folder.enter(path, &placed.1).ok()?;
    let kustomization = below.kustomization(Some(&placed.1)).ok()?;
    Some((below, kustomization))
}
