//! The unit: what flows through render, overlay and validate, and what comes out.

use super::id::{ClusterId, SubjectId, UnitId};
use super::lot::{Lot, LotKey};
use super::tree::ObjectId;
use crate::definition::catalog::Component;
use crate::error::{Origin, Violations};
use crate::stage::bindings::Checked;
use crate::template::Context;
use serde_json::Value;
use std::sync::Arc;

/// The hash of everything that a unit's bytes depend on. Same key, same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitKey(pub [u8; 32]);

impl std::fmt::Display for UnitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// One unit, ready to render: it sees its own context and nothing else of the fleet.
#[derive(Clone, Debug)]
pub struct RenderUnit<'f> {
    /// What it is called and where it lies.
    pub id: UnitId,
    /// Of all that follows.
    pub key: UnitKey,
    /// What makes its objects.
    pub work: Work<'f>,
    /// The overlays that apply to it, in order.
    pub overlays: Vec<Arc<super::overlay::Step>>,
}

/// What makes a unit's objects.
#[derive(Clone, Debug)]
pub enum Work<'f> {
    /// The templates of a component.
    Templates {
        /// The component.
        component: &'f Component,
        /// What they see.
        context: Context,
        /// The namespace of the component's objects.
        namespace: Option<String>,
        /// The wave that its objects carry, where they share an Application.
        wave: i64,
    },
    /// One Application, built from its parts.
    Application(Box<Value>),
}

/// One object on its way through the stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The object.
    pub value: Value,
    /// The template line that made it.
    pub at: Origin,
}

/// A unit after its templates ran.
#[derive(Debug)]
pub struct Rendered {
    /// Its objects, in the order of the templates.
    pub objects: Vec<Manifest>,
}

/// A unit after its overlays were applied.
#[derive(Debug)]
pub struct Overlaid {
    /// Its objects.
    pub objects: Vec<Manifest>,
    /// Which overlay entries found something.
    pub matched: super::overlay::Matches,
}

/// The identity of an object on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Returns the identity of an object; missing parts are empty.
    pub fn of(object: &Value) -> Self {
        let metadata = object.get("metadata");
        let text = |of: Option<&Value>, key: &str| {
            of.and_then(|of| of.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        Self {
            group: api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: text(Some(object), "kind"),
            namespace: text(metadata, "namespace"),
            name: text(metadata, "name"),
        }
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        if self.namespace.is_empty() {
            write!(f, "{}{group}/{}", self.kind, self.name)
        } else {
            write!(f, "{}{group}/{} in {}", self.kind, self.name, self.namespace)
        }
    }
}

/// One file of a unit: its path inside the cluster's folder, and its final bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path inside the cluster's folder.
    pub path: String,
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// Their Git id.
    pub id: ObjectId,
}

impl File {
    /// Returns a file of these bytes.
    pub fn new(mut path: String, bytes: Vec<u8>) -> Self {
        // There are hundreds of thousands of them.
        path.shrink_to_fit();
        Self { path, id: ObjectId::of_blob(&bytes), bytes: Arc::from(bytes) }
    }
}

/// The final bytes of one unit and all that later stages ask about it: what a memo keeps.
#[derive(Clone, Debug)]
pub struct Hydrated {
    /// The key that gave these bytes.
    pub key: UnitKey,
    /// Its files, in path order.
    pub files: Vec<File>,
    /// What they hold, with the template line that made each.
    pub objects: Vec<(ObjectRef, Origin)>,
    /// Which overlay entries found something.
    pub matched: super::overlay::Matches,
    /// What people should look at.
    pub warnings: Violations,
}

/// What should stand at a unit's place.
#[derive(Clone, Debug)]
pub enum Target {
    /// These files.
    Hydrated(Arc<Hydrated>),
    /// What the branch has: its domain is in failure.
    Held,
}

/// A place that remembers lots and units by their keys. The line works with none.
pub trait Memo: Sync {
    /// Begins a run of the fleet of this name.
    fn begin(&self, _fleet: &str) {}
    /// Returns what a lot's key gave before.
    fn lot(&self, _key: &LotKey, _cluster: &ClusterId, _subject: &SubjectId) -> Option<Lot> {
        None
    }
    /// Returns what a unit's key gave before, in whatever lot.
    fn unit(&self, _key: &UnitKey) -> Option<Arc<Hydrated>> {
        None
    }
    /// Keeps what a key gives, and may put its bytes away; without a key only its units are found.
    fn keep(&self, _key: Option<&LotKey>, lot: Lot) -> Lot {
        lot
    }
    /// Returns the texts in which the last run found nothing.
    fn checked(&self) -> Arc<Checked> {
        Arc::default()
    }
    /// Keeps the texts in which this run found nothing.
    fn keep_checked(&self, _: Checked) {}
    /// Returns true if something that was found could not be read after all.
    fn is_damaged(&self) -> bool {
        false
    }
}

/// A memo that remembers nothing.
#[derive(Debug, Default)]
pub struct NoMemo;

impl Memo for NoMemo {}

/// A memo that remembers nothing and lets the files of each lot go: for runs that write none.
#[derive(Debug, Default)]
pub struct NoFiles;

impl Memo for NoFiles {
    fn keep(&self, _: Option<&LotKey>, lot: Lot) -> Lot {
        lot.without_files()
    }
}
