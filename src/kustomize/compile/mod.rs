//! From a folder to a program: reads the kustomization, what it names, and what those name.

mod changes;
mod plugin_fields;
mod plugins;

use super::config::{Config, read_config};
use super::crds::read_crds;
use super::generate::generate;
use super::kustomization::{GeneratorArgs, Kind, Kustomization, Placed};
use super::loader::{Folder, Found};
use super::manifest::read_manifests;
use super::overlay::Level;
use super::program::{Op, Program};
use super::provenance::Provenance;
use super::resource::Resource;
use super::schema::{Table, derive};
use super::threads::Threads;
use crate::error::{Origin, Violation, Violations};
use crate::yaml::{Limits, Schema, read};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::sync::Arc;

/// Fewer entries of `resources` are not worth waking other threads for.
const MANY: usize = 24;

/// One entry of an overlay that can find something or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayEntry {
    /// Where it is written.
    pub origin: Origin,
    /// What it is, in one line.
    pub what: String,
}

/// What holds for a whole compilation.
#[derive(Default)]
pub struct Compiler {
    /// Where an overlay stands; none in a build.
    pub level: Option<Level>,
    /// Whether long lists of resources may be compiled by several threads; not where
    /// entries are numbered.
    pub threads: Threads,
    /// True if the build keeps where objects come from.
    pub trace: bool,
    /// The schema that an `openapi` field gave, the first one met.
    pub table: Option<Arc<Table>>,
    /// The name of the kustomization that is being compiled.
    pub file_name: String,
    /// The entries so far.
    pub entries: Vec<OverlayEntry>,
    /// What somebody should look at.
    pub warnings: Violations,
}

/// Where a compilation stands: the folder and its path for `buildMetadata`.
pub struct Place<'f> {
    folder: Folder<'f>,
    origin_path: String,
}

impl<'f> Place<'f> {
    /// Returns the place a compilation begins at.
    pub fn new(folder: Folder<'f>) -> Self {
        Self { folder, origin_path: String::new() }
    }

    /// Returns a path below this place as `buildMetadata` shows it.
    fn traced(&self, path: &str) -> String {
        clean_join(&self.origin_path, path)
    }
}

impl Compiler {
    /// Compiles the kustomization of a folder; `config` takes up its field specs.
    ///
    /// # Errors
    /// Everything that is wrong in it and in what it names.
    pub fn target(
        &mut self,
        kustomization: &Kustomization,
        place: &Place<'_>,
        config: &mut Arc<Config>,
    ) -> Result<Vec<Op>, Violations> {
        let (mut ops, mut wrong) = (Vec::new(), Violations::new());
        self.openapi(kustomization, place, &mut wrong);
        self.deprecations(kustomization);
        self.resources(&kustomization.resources, place, config, &mut ops, &mut wrong);
        self.configure(kustomization, place, config, &mut wrong);
        self.generators(kustomization, place, &mut ops, &mut wrong);
        for placed in &kustomization.components {
            match self.component(placed, place, config) {
                Ok(more) => ops.extend(more),
                Err(more) => wrong.extend(more),
            }
        }
        self.changes(kustomization, place, config, &mut ops, &mut wrong);
        self.file_name.clone_from(&kustomization.file_name);
        match self.plugins(&kustomization.transformers, "transformers", place, config) {
            Ok(more) => ops.extend(more),
            Err(more) => wrong.extend(more),
        }
        match self.plugins(&kustomization.validators, "validators", place, config) {
            Ok(checks) if checks.is_empty() => {}
            Ok(checks) => ops.push(Op::Validate(checks, kustomization.place("validators"))),
            Err(more) => wrong.extend(more),
        }
        if !kustomization.vars.is_empty() {
            ops.push(Op::Variables(kustomization.vars.clone(), kustomization.place("vars")));
        }
        if wrong.is_empty() { Ok(ops) } else { Err(wrong) }
    }

    fn openapi(&mut self, kustomization: &Kustomization, place: &Place<'_>, wrong: &mut Violations) {
        let Some(placed) = kustomization.openapi.as_ref().filter(|_| self.table.is_none()) else { return };
        match read_openapi(placed, place) {
            Ok(table) => self.table = Some(Arc::new(table)),
            Err(violation) => wrong.push(*violation),
        }
    }

    /// Says what kustomize says of fields that have successors.
    fn deprecations(&mut self, kustomization: &Kustomization) {
        let all = [
            ("bases", "resources"),
            ("commonLabels", "labels"),
            ("imageTags", "images"),
            ("patchesJson6902", "patches"),
            ("patchesStrategicMerge", "patches"),
            ("vars", "replacements"),
        ];
        for (old, new) in all {
            if let Some(at) = kustomization.set.get(old) {
                let notice = Violation::notice(format!("`{old}` is deprecated")).at(at.clone());
                self.warnings.push(notice.hint(format!("use `{new}`")));
            }
        }
    }

    fn resources(
        &mut self,
        paths: &[Placed],
        place: &Place<'_>,
        config: &mut Arc<Config>,
        ops: &mut Vec<Op>,
        wrong: &mut Violations,
    ) {
        let mut left = paths;
        while self.threads.share(left.len(), MANY) {
            left = &left[self.resources_at_once(left, place, config, ops, wrong)..];
        }
        for placed in left {
            let compiled = self.resource(placed, place);
            take_resource(compiled, &placed.1, config, ops, wrong);
        }
    }

    /// Compiles entries on several threads; returns how many were taken. It ends behind one
    /// that sets the schema, which those after it must see.
    fn resources_at_once(
        &mut self,
        paths: &[Placed],
        place: &Place<'_>,
        config: &mut Arc<Config>,
        ops: &mut Vec<Op>,
        wrong: &mut Violations,
    ) -> usize {
        let (trace, table) = (self.trace, self.table.clone());
        let compile = |placed: &Placed| {
            let mut own = Self { trace, table: table.clone(), ..Self::default() };
            let compiled = own.resource(placed, place);
            (compiled, own)
        };
        let all: Vec<_> = paths.par_iter().map(compile).collect();
        for (taken, (compiled, own)) in all.into_iter().enumerate() {
            take_resource(compiled, &paths[taken].1, config, ops, wrong);
            self.warnings.extend(own.warnings);
            if self.table.is_none() && own.table.is_some() {
                self.table = own.table;
                return taken + 1;
            }
        }
        paths.len()
    }

    /// Compiles an entry of `resources`; a folder brings the field specs it ends with.
    fn resource(
        &mut self,
        placed: &Placed,
        place: &Place<'_>,
    ) -> Result<(Op, Option<Arc<Config>>), Violations> {
        let (path, at) = placed;
        match place.folder.find(placed).map_err(|v| vec![*v])? {
            Found::File(bytes, file) => {
                let mut resources = read_manifests(&bytes, &file, self.table.as_ref())?;
                if self.trace {
                    let origin = Provenance::file(place.traced(path));
                    resources.iter_mut().for_each(|r| r.origin = Some(origin.clone()));
                }
                Ok((Op::Load(resources), None))
            }
            Found::Folder(folder) => {
                let below = self.enter(folder, placed, place)?;
                let kustomization = below.folder.kustomization(Some(at))?;
                if kustomization.kind == Kind::Component {
                    let message = format!("`{path}` is a Component");
                    return Err(vec![
                        Violation::error(message)
                            .at(at.clone())
                            .hint("name it in `components`, not in `resources`"),
                    ]);
                }
                let mut own = Arc::new(Config::default());
                let ops = self.target(&kustomization, &below, &mut own)?;
                Ok((Op::Base(Box::new(Program { ops }), at.clone()), Some(own)))
            }
        }
    }

    fn enter<'f>(
        &self,
        folder: String,
        (path, at): &Placed,
        place: &Place<'f>,
    ) -> Result<Place<'f>, Violations> {
        let below = place.folder.enter(folder, at).map_err(|v| vec![*v])?;
        Ok(Place { folder: below, origin_path: place.traced(path) })
    }

    fn component(
        &mut self,
        placed: &Placed,
        place: &Place<'_>,
        config: &mut Arc<Config>,
    ) -> Result<Vec<Op>, Violations> {
        let (path, at) = placed;
        let Found::Folder(folder) = place.folder.find(placed).map_err(|v| vec![*v])? else {
            let message = format!("the component `{path}` is a file");
            return Err(vec![Violation::error(message).at(at.clone()).hint("name the folder it lies in")]);
        };
        let below = self.enter(folder, placed, place)?;
        let kustomization = below.folder.kustomization(Some(at))?;
        if kustomization.kind != Kind::Component {
            let message = format!("`{path}` is not a Component");
            return Err(vec![
                Violation::error(message)
                    .at(at.clone())
                    .hint("name it in `resources`, or set `kind: Component` there"),
            ]);
        }
        self.target(&kustomization, &below, config)
    }

    fn configure(
        &self,
        kustomization: &Kustomization,
        place: &Place<'_>,
        config: &mut Arc<Config>,
        wrong: &mut Violations,
    ) {
        // The order of these merges shows: a spec for one kind that comes first hides the
        // general one that comes after it.
        let own = read_configs(&kustomization.configurations, place, read_config, wrong);
        let mut specs = Config::default_specs();
        if !kustomization.configurations.is_empty() {
            let at = kustomization.place("configurations");
            note(Arc::make_mut(&mut specs).merge(&own), &at, wrong);
        }
        note(merge_config(config, &specs), &kustomization.place("configurations"), wrong);
        if !kustomization.crds.is_empty() {
            let crds = Arc::new(read_configs(&kustomization.crds, place, read_crds, wrong));
            note(merge_config(config, &crds), &kustomization.place("crds"), wrong);
        }
    }

    fn generators(
        &mut self,
        kustomization: &Kustomization,
        place: &Place<'_>,
        ops: &mut Vec<Op>,
        wrong: &mut Violations,
    ) {
        let file = place.traced(&kustomization.file_name);
        let secrets = match kustomization.set.get("secretGenerator").filter(|_| self.level.is_some()) {
            None => &kustomization.secrets[..],
            Some(at) => {
                wrong.push(plugins::no_secrets(at.clone()).key("secretGenerator"));
                &[]
            }
        };
        for (args, kind) in kustomization
            .config_maps
            .iter()
            .map(|a| (a, "ConfigMapGenerator"))
            .chain(secrets.iter().map(|a| (a, "SecretGenerator")))
        {
            let origin = Provenance::builtin(&file, kind);
            match self.generated(args, place, origin) {
                Ok(op) => ops.push(op),
                Err(more) => wrong.extend(more),
            }
        }
        self.file_name.clone_from(&kustomization.file_name);
        match self.plugins(&kustomization.generators, "generators", place, &mut Config::default_specs()) {
            Ok(more) => ops.extend(more),
            Err(more) => wrong.extend(more),
        }
    }

    fn generated(
        &self,
        args: &GeneratorArgs,
        place: &Place<'_>,
        origin: Provenance,
    ) -> Result<Op, Violations> {
        let mut resource = generate(args, &place.folder)?;
        resource.table.clone_from(&self.table);
        if self.trace {
            resource.origin = Some(origin);
        }
        Ok(Op::Generate(Box::new(resource), args.at.clone()))
    }

    /// Adds an entry and returns its number.
    fn entry(&mut self, origin: &Origin, what: impl Into<String>) -> usize {
        self.entries.push(OverlayEntry { origin: origin.clone(), what: what.into() });
        self.entries.len() - 1
    }
}

/// Takes over what came of an entry of `resources`.
fn take_resource(
    compiled: Result<(Op, Option<Arc<Config>>), Violations>,
    at: &Origin,
    config: &mut Arc<Config>,
    ops: &mut Vec<Op>,
    wrong: &mut Violations,
) {
    match compiled {
        Ok((op, own)) => {
            note(own.map_or(Ok(()), |own| merge_config(config, &own)), at, wrong);
            ops.push(op);
        }
        Err(more) => wrong.extend(more),
    }
}

fn note(merged: Result<(), String>, at: &Origin, wrong: &mut Violations) {
    if let Err(why) = merged {
        wrong.push(Violation::error(why).at(at.clone()));
    }
}

/// Reads files of field specs into one.
fn read_configs(
    paths: &[Placed],
    place: &Place<'_>,
    read: fn(&[u8], &Arc<str>) -> Result<Config, Violations>,
    wrong: &mut Violations,
) -> Config {
    let mut all = Config::default();
    for placed in paths {
        let file = place.folder.read_file(placed).map_err(|v| vec![*v]);
        match file.and_then(|(bytes, file)| read(&bytes, &file)) {
            Ok(more) => note(all.merge(&more), &placed.1, wrong),
            Err(more) => wrong.extend(more),
        }
    }
    all
}

/// Adds field specs; most often both are the built-in ones and nothing is done.
fn merge_config(into: &mut Arc<Config>, more: &Arc<Config>) -> Result<(), String> {
    let builtin = Arc::ptr_eq(more, &Config::default_specs());
    if Arc::ptr_eq(into, more) && builtin {
        return Ok(());
    }
    if builtin && **into == Config::default() {
        *into = more.clone();
        return Ok(());
    }
    Arc::make_mut(into).merge(more)
}

fn read_openapi(placed: &Placed, place: &Place<'_>) -> Result<Table, Box<Violation>> {
    let (bytes, file) = place.folder.read_file(placed)?;
    let documents = read(&bytes, &Limits::manifests()).map_err(|e| Box::new(e.in_file(&file)))?;
    let Some(node) = documents.first() else {
        return Err(Box::new(Violation::error("the schema is empty").at(Origin::file(file))));
    };
    let document = node.to_value(Schema::Kubectl).map_err(|e| Box::new(e.in_file(&file)))?;
    Ok(derive(&document))
}

/// Joins paths as `buildMetadata` shows them: `..` stays where nothing is left to go up.
fn clean_join(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the objects of a program that needs nothing from outside, as of a folder of
/// transformer configurations.
fn run_alone(ops: Vec<Op>) -> Result<Vec<Resource>, Violations> {
    let mut run = super::program::Run::default();
    run.run_once(ops)?;
    if run.missing.is_empty() { Ok(run.resources.into_list()) } else { Err(run.missing) }
}
