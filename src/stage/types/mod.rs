//! The types of a cluster, from files: CustomResourceDefinitions, and Kubernetes' own OpenAPI
//! document. Checks rendered objects against them as strictly as the API server does for
//! `kubectl apply --validate=strict`: a field that the schema does not know is an error.
//!
//! * [`read`]: files → types.
//! * [`schema`]: an OpenAPI schema → what a JSON Schema validator takes.
//! * [`problem`]: one failed check → words.
//!
//! Not checked: CEL rules (`x-kubernetes-validations`), keys of map lists, and what only an
//! admission webhook knows.

mod problem;
mod read;
mod schema;

use crate::error::{Origin, Result, Violation, Violations};
use crate::model::id::Domain;
use crate::model::target::TargetState;
use crate::model::unit::ObjectRef;
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What an object says it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeName {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The version.
    pub version: String,
}

impl TypeName {
    /// Returns the type of an object; missing parts are empty.
    pub fn of(object: &Value) -> Self {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let api = text("apiVersion");
        let (group, version) = api.rsplit_once('/').unwrap_or(("", api));
        Self { group: group.to_owned(), kind: text("kind").to_owned(), version: version.to_owned() }
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The schema of one type in one file, compiled when the first object of it comes.
struct Type {
    /// The file.
    file: Arc<str>,
    schema: Value,
    /// What `$ref` names, for Kubernetes' own types.
    definitions: Option<Arc<schema::Definitions>>,
    compiled: OnceLock<Result<Validator, String>>,
}

impl Type {
    fn validator(&self) -> Result<&Validator, &String> {
        self.compiled
            .get_or_init(|| {
                let whole = match &self.definitions {
                    Some(all) => all.with(&self.schema),
                    None => self.schema.clone(),
                };
                // OpenAPI 3.0 takes `exclusiveMinimum` as draft 4 does: a boolean.
                jsonschema::draft4::new(&whole).map_err(|e| e.masked().to_string())
            })
            .as_ref()
    }
}

/// The types that were given.
pub struct Types {
    /// Several where files give one type differently; an object must fit all of them.
    known: BTreeMap<TypeName, Vec<Type>>,
}

impl Types {
    /// Returns how many types are known, each version counted.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns true if no type is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns what is wrong with an object; none if nothing is known of its kind.
    ///
    /// `unit` is the place of the unit that makes it, for the message.
    pub fn check(&self, object: &Value, at: &Origin, unit: &str) -> Option<Violations> {
        let name = TypeName::of(object);
        let Some(types) = self.known.get(&name) else { return self.other_version(&name, object, at, unit) };
        let mut found = Violations::new();
        for known in types {
            match known.validator() {
                Ok(validator) => {
                    let stored = known.as_stored(object);
                    let about = problem::About { object, unit, name: &name, file: &known.file, at };
                    for error in validator.iter_errors(&stored) {
                        problem::describe(&error, known, &about, &mut found);
                    }
                }
                Err(why) => found.push(
                    Violation::error(format!(
                        "the schema of {} {} is none: {why}",
                        name.api_version(),
                        name.kind
                    ))
                    .at(Origin::file(known.file.clone())),
                ),
            }
        }
        found.sort();
        found.dedup();
        Some(found)
    }

    /// Returns an object as the API server would store it, with the schema's defaults filled in;
    /// none if nothing is known of its type.
    pub fn with_defaults(&self, object: &Value) -> Option<Value> {
        self.known.get(&TypeName::of(object))?.first().map(|known| known.as_stored(object))
    }

    /// A kind that is known by other versions only would be refused by the cluster.
    fn other_version(&self, name: &TypeName, object: &Value, at: &Origin, unit: &str) -> Option<Violations> {
        let versions: Vec<&str> =
            self.versions(&name.group, &name.kind).map(|known| known.version.as_str()).collect();
        if versions.is_empty() {
            return None;
        }
        let v = Violation::error(format!(
            "{} has no version `{}` ({}, unit {unit})",
            name.kind,
            crate::redact::redact(&name.version),
            ObjectRef::of(object)
        ))
        .at(at.clone())
        .key("apiVersion")
        .hint(format!("the types that were given have {}", versions.join(", ")));
        Some(vec![v])
    }

    fn versions(&self, group: &str, kind: &str) -> impl Iterator<Item = &TypeName> {
        let first = TypeName { group: group.to_owned(), kind: kind.to_owned(), version: String::new() };
        let same = first.clone();
        self.known
            .range(first..)
            .map(|(name, _)| name)
            .take_while(move |name| name.group == same.group && name.kind == same.kind)
    }

    /// Checks the index files, which no unit makes, and notes the kinds of which nothing is known.
    pub fn check_target(&self, target: &mut TargetState) -> Result<()> {
        let mut unknown: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut wrong: Vec<(Domain, Violations)> = Vec::new();
        for (id, cluster) in &target.clusters {
            let root = ("bootstrap/root-app.yaml".to_owned(), &cluster.root);
            let layers = cluster.layers.iter().map(|(name, bytes)| (format!("apps/{name}"), bytes));
            for (path, bytes) in layers.chain([root]) {
                let documents =
                    crate::yaml::read(bytes, &crate::yaml::Limits::manifests()).unwrap_or_default();
                let at = Origin::file(format!("{id}/{path}"));
                for object in documents.iter().filter_map(|d| d.to_value(crate::yaml::Schema::Kubectl).ok()) {
                    let found = self.check(&object, &at, &path).unwrap_or_default();
                    if !found.is_empty() {
                        wrong.push((Domain::cluster(id.clone()), found));
                    }
                }
            }
            for lot in cluster.lots.values() {
                for (object, _) in lot.units()?.iter().flat_map(|(_, hydrated)| &hydrated.objects) {
                    if self.versions(&object.group, &object.kind).next().is_none() {
                        *unknown.entry((object.group.clone(), object.kind.clone())).or_default() += 1;
                    }
                }
            }
        }
        for (domain, why) in wrong {
            target.held.entry(domain).or_default().extend(why);
        }
        if !unknown.is_empty() {
            let kinds: Vec<String> = unknown
                .iter()
                .map(|((group, kind), count)| {
                    let dot = if group.is_empty() { "" } else { "." };
                    format!("{kind}{dot}{group} ({count})")
                })
                .collect();
            target.notices.push(
                Violation::notice(format!("nothing is known of the type of {}", kinds.join(", ")))
                    .hint("these objects were not checked; add their CRDs, or Kubernetes' OpenAPI document, to the folder of --crds"),
            );
        }
        Ok(())
    }
}
