//! A kustomization compiled into operations, and running them.
//!
//! Which operations there are and in which order does not depend on the objects, so a
//! program is compiled once and may run on many sets of objects.

use super::absorb::absorb;
use super::config::Config;
use super::fieldspec::FieldSpec;
use super::provenance::Provenance;
use super::resource::Resource;
use super::resources::{Resources, Taken};
use super::threads::Threads;
use super::transform::images::ImageChange;
use super::transform::metadata::{End, NamespaceChange, extend_names, set_texts};
use super::transform::patches::{Patch, nearest_ids};
use super::transform::replacements::Replacement;
use super::transform::replicas::ReplicaChange;
use super::transform::value_add::ValueAdd;
use super::transform::variables::{self, Variable, Variables};
use super::transform::{Failure, names};
use crate::error::{Origin, Violation, Violations};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::BTreeMap;

/// What one operation does to the objects.
#[derive(Clone, Debug)]
pub enum Change {
    /// Lays a patch over objects.
    Patch(Box<Patch>),
    /// Moves objects into a namespace.
    Namespace(NamespaceChange),
    /// Adds a prefix or suffix to names.
    Names { text: String, end: End, specs: Vec<FieldSpec> },
    /// Sets labels or annotations.
    Texts { pairs: BTreeMap<String, String>, specs: Vec<FieldSpec> },
    /// Sets an image.
    Image(Box<ImageChange>),
    /// Sets the number of replicas.
    Replicas(ReplicaChange),
    /// Copies a value.
    Replacement(Box<Replacement>),
    /// Puts a value into many fields.
    ValueAdd(ValueAdd),
    /// Adds hashes to names.
    Hash,
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// Adds objects that were read.
    Load(Vec<Resource>),
    /// Builds a base and adds what it gives.
    Base(Box<Program>, Origin),
    /// Adds generated objects, or merges them into what is there.
    Generate(Box<Resource>, Origin),
    /// Changes the objects.
    Change(Box<Change>, Origin, Option<usize>),
    /// Notes in all objects what changed them.
    Trace(Provenance),
    /// Adds variables.
    Variables(Vec<Variable>, Origin),
    /// Notes the fields whose changes must leave the objects as they are.
    Validate(Vec<Op>, Origin),
}

/// A compiled kustomization.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The operations in order.
    pub ops: Vec<Op>,
}

/// Which entries of an overlay found something; cheap to copy and to unite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched(Vec<u64>);

impl Matched {
    /// Notes an entry.
    pub fn insert(&mut self, entry: usize) {
        let word = entry / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (entry % 64);
    }

    /// Returns true if the entry found something.
    pub fn contains(&self, entry: usize) -> bool {
        self.0.get(entry / 64).is_some_and(|word| word & (1 << (entry % 64)) != 0)
    }

    /// Adds what another run found.
    pub fn union(&mut self, other: &Matched) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }
}

/// Objects on their way, and what is known of the run.
#[derive(Default)]
pub struct Run {
    /// The objects.
    pub resources: Resources,
    /// The variables.
    pub variables: Variables,
    /// Which entries found something.
    pub matched: Matched,
    /// Whether many bases and objects may be worked on by several threads.
    pub threads: Threads,
    /// True on a unit: what finds nothing is passed over.
    pub lenient: bool,
    /// What somebody should look at.
    pub warnings: Violations,
    /// What was not found; the run goes on and fails at its end.
    pub missing: Violations,
}

/// An operation, of which a base is built already.
enum Prepared {
    Base(Result<Box<Run>, Violations>, Origin),
    Op(Op),
}

/// Fewer bases are not worth waking other threads for.
const MANY: usize = 8;

impl Run {
    /// Runs the operations of a program.
    ///
    /// # Errors
    /// The first thing that cannot be done, and all that was not found before.
    pub fn run(&mut self, ops: &[Op]) -> Result<(), Violations> {
        for op in ops {
            self.op(op).map_err(|wrong| self.all_wrong(wrong))?;
        }
        Ok(())
    }

    /// Returns what was not found before, and what is wrong now.
    fn all_wrong(&mut self, mut wrong: Violations) -> Violations {
        let mut all = std::mem::take(&mut self.missing);
        all.append(&mut wrong);
        all
    }

    /// Runs operations that nobody needs afterwards: what was read is moved, not copied.
    ///
    /// # Errors
    /// As [`Run::run`].
    pub fn run_once(&mut self, ops: Vec<Op>) -> Result<(), Violations> {
        let bases = ops.iter().filter(|op| matches!(op, Op::Base(..))).count();
        if !self.threads.share(bases, MANY) {
            return ops.into_iter().try_for_each(|op| {
                let prepared = self.prepare(op, self.threads);
                self.finish_op(prepared)
            });
        }
        let this = &*self;
        let prepared: Vec<Prepared> = ops.into_par_iter().map(|op| this.prepare(op, Threads::One)).collect();
        prepared.into_iter().try_for_each(|prepared| self.finish_op(prepared))
    }

    /// Does the part of an operation that needs no object of this run: builds a base.
    fn prepare(&self, op: Op, threads: Threads) -> Prepared {
        match op {
            Op::Base(program, at) => {
                let mut inner = Run { threads, ..self.below() };
                Prepared::Base(inner.run_once(program.ops).map(|()| Box::new(inner)), at)
            }
            op => Prepared::Op(op),
        }
    }

    fn finish_op(&mut self, prepared: Prepared) -> Result<(), Violations> {
        let done = match prepared {
            Prepared::Base(inner, at) => inner.and_then(|inner| self.take(*inner, &at)),
            Prepared::Op(Op::Load(resources)) => resources.into_iter().try_for_each(|r| self.append(r)),
            Prepared::Op(op) => self.op(&op),
        };
        done.map_err(|wrong| self.all_wrong(wrong))
    }

    /// Follows renamed objects and resolves variables: the last steps of a whole build.
    ///
    /// # Errors
    /// A reference or a variable that cannot be resolved, or what was not found before.
    pub fn finish(&mut self, config: &Config, at: &Origin) -> Result<(), Violations> {
        if !self.missing.is_empty() {
            return Err(std::mem::take(&mut self.missing));
        }
        super::hash::add_hashes(&mut self.resources);
        names::follow(&mut self.resources, config, self.lenient, self.threads)
            .map_err(|f| vec![f.in_entry(at)])?;
        let unused = variables::resolve(&self.variables, &mut self.resources, &config.var_reference)
            .map_err(|f| vec![f.in_entry(at)])?;
        for name in unused {
            let origin = self.variables.get(&name).map_or_else(|| at.clone(), |v| v.at.clone());
            self.warnings.push(Violation::warning(format!("the variable `{name}` is never used")).at(origin));
        }
        let local = |r: &Resource| {
            let annotations = r.value.get("metadata").and_then(|m| m.get("annotations"));
            let annotation = annotations.and_then(|a| a.get("config.kubernetes.io/local-config"));
            annotation.is_some_and(|a| a.as_str() != Some("false"))
        };
        if self.resources.list().iter().any(local) {
            self.resources.list_mut().retain(|r| !local(r));
        }
        Ok(())
    }

    fn op(&mut self, op: &Op) -> Result<(), Violations> {
        match op {
            Op::Load(resources) => resources.iter().try_for_each(|r| self.append(r.clone())),
            Op::Base(program, at) => self.base(program, at),
            Op::Generate(resource, at) => match absorb(&mut self.resources, (**resource).clone()) {
                Ok(()) => Ok(()),
                Err(failure) => self.fail(failure, at),
            },
            Op::Change(change, at, entry) => self.change(change, at, *entry),
            Op::Trace(provenance) => {
                for resource in self.resources.keep_ids_mut() {
                    if resource.origin.is_none() {
                        resource.origin = Some(provenance.clone());
                    } else {
                        resource.transformations.push(provenance.clone());
                    }
                }
                Ok(())
            }
            Op::Variables(all, at) => variables::add(&mut self.variables, all, &mut self.resources)
                .map_err(|f| vec![f.in_entry(at)]),
            Op::Validate(ops, at) => self.validate(ops, at),
        }
    }

    fn append(&mut self, resource: Resource) -> Result<(), Violations> {
        self.resources.append(resource).map_err(|taken| vec![self.taken(*taken)])
    }

    /// Returns what to say of an id that is there already.
    fn taken(&self, (id, at): Taken) -> Violation {
        let first = self.resources.list().iter().find(|r| r.id() == id).and_then(|r| r.at.clone());
        let mut violation = Violation::error(format!("{id} is there already"));
        violation.at = at;
        violation.hint =
            first.map(|first| format!("the first is at {first}; remove or rename one of the two"));
        violation
    }

    fn base(&mut self, program: &Program, at: &Origin) -> Result<(), Violations> {
        let mut inner = self.below();
        inner.run(&program.ops)?;
        self.take(inner, at)
    }

    /// Returns a run for a base of this one.
    fn below(&self) -> Run {
        Run { lenient: self.lenient, ..Run::default() }
    }

    /// Takes over what a base gave.
    fn take(&mut self, mut inner: Run, at: &Origin) -> Result<(), Violations> {
        self.matched.union(&inner.matched);
        self.warnings.append(&mut inner.warnings);
        self.missing.append(&mut inner.missing);
        let added = self.resources.append_all(inner.resources);
        added.map_err(|taken| {
            let mut violation = self.taken(*taken);
            violation.at.get_or_insert_with(|| at.clone());
            vec![violation]
        })?;
        variables::merge(&mut self.variables, inner.variables).map_err(|f| vec![f.in_entry(at)])
    }

    fn validate(&mut self, ops: &[Op], at: &Origin) -> Result<(), Violations> {
        let before: Vec<serde_json::Value> = self.resources.list().iter().map(|r| r.value.clone()).collect();
        self.run(ops)?;
        let unchanged = before.len() == self.resources.list().len()
            && self.resources.list().iter().zip(&before).all(|(r, b)| r.value == *b);
        if unchanged {
            return Ok(());
        }
        Err(vec![
            Violation::error("a validator changed the objects")
                .at(at.clone())
                .hint("name it in `transformers`"),
        ])
    }

    /// Notes a failure that is no reason to stop, or returns it.
    fn fail(&mut self, failure: Failure, at: &Origin) -> Result<(), Violations> {
        match (failure.nothing_found, self.lenient) {
            (true, true) => Ok(()),
            (true, false) => {
                self.missing.push(failure.in_entry(at));
                Ok(())
            }
            (false, _) => Err(vec![failure.in_entry(at)]),
        }
    }

    fn change(&mut self, change: &Change, at: &Origin, entry: Option<usize>) -> Result<(), Violations> {
        let resources = &mut self.resources;
        let found = match change {
            Change::Patch(patch) => patch.apply(resources).map(|n| n > 0),
            Change::Namespace(namespace) => namespace.apply(resources).map(|()| true),
            Change::Names { text, end, specs } => extend_names(resources, text, *end, specs).map(|()| true),
            Change::Texts { pairs, specs } => set_texts(resources, pairs, specs).map(|()| true),
            Change::Image(image) => image.apply(resources),
            Change::Replicas(replicas) => replicas.apply(resources).map(|()| true),
            Change::Replacement(replacement) => replacement.apply(resources).map(|n| n > 0),
            Change::ValueAdd(add) => add.apply(resources).map(|()| true),
            Change::Hash => {
                super::hash::add_hashes(resources);
                Ok(true)
            }
        };
        match found {
            Ok(true) => {
                if let Some(entry) = entry {
                    self.matched.insert(entry);
                }
                Ok(())
            }
            Ok(false) => {
                self.note_unmatched(change, at);
                Ok(())
            }
            Err(failure) => self.fail(failure, at),
        }
    }

    /// kustomize is silent when a target chooses nothing; mostly it is a slip.
    fn note_unmatched(&mut self, change: &Change, at: &Origin) {
        let Change::Patch(patch) = change else { return };
        if self.lenient {
            return;
        }
        let message = format!("the target of this patch chooses no object: {}", patch.what);
        let warning = Violation::warning(message).at(at.clone());
        let name = patch.target.as_ref().map(|t| t.name.text()).unwrap_or_default();
        let near = self.resources.list().first().map(|r| {
            let id = super::gvk::ObjectId { name: name.to_owned(), ..r.id() };
            nearest_ids(&self.resources, &id)
        });
        let all = || {
            let ids: Vec<String> = self.resources.list().iter().take(5).map(|r| r.id().to_string()).collect();
            (!ids.is_empty()).then(|| format!("known here: {}", ids.join(", ")))
        };
        let hint = near.flatten().filter(|_| !name.is_empty()).or_else(all);
        self.warnings.push(Violation { hint, ..warning });
    }
}
