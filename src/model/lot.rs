//! The lot: all units of one subject on one cluster. They fail and are held together, and they
//! are remembered and compared together, so that a run looks at what changed and not at all.

use super::id::{ClusterId, Part, SubjectId, UnitId};
use super::overlay::Matches;
use super::tree::ObjectId;
use super::unit::{Hydrated, ObjectRef, UnitKey};
use crate::error::{Origin, Result, Violations};
use std::fmt;
use std::sync::Arc;

/// The hash of everything that the bytes of a lot depend on. Same key, same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LotKey(pub [u8; 32]);

/// The units of a lot.
pub type Units = Vec<(UnitId, Arc<Hydrated>)>;

/// What is asked about a lot without looking at its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What its units make, in the order of the units.
    pub parts: Arc<Vec<Part>>,
    /// How many files they have, index files not counted.
    pub files: usize,
    /// The Git id of the subject's folder with its kustomization.yaml; none for the cluster's
    /// own lot and for one without manifests.
    pub folder: Option<ObjectId>,
    /// The Git id of the file of the subject's Application.
    pub application: Option<ObjectId>,
    /// A short hash of each object's identity: two objects with different ones differ.
    pub objects: Vec<u64>,
    /// Which overlay entries found something.
    pub matched: Arc<Matches>,
    /// What people should look at.
    pub warnings: Violations,
}

/// A place that has the bytes of a lot.
pub trait Stored: Send + Sync {
    /// Reads the units.
    ///
    /// # Errors
    /// A place that is damaged.
    fn units(&self, lot: &Lot) -> Result<Units>;

    /// Reads the first unit alone.
    ///
    /// # Errors
    /// A place that is damaged.
    fn first(&self, lot: &Lot) -> Result<Option<Arc<Hydrated>>> {
        Ok(self.units(lot)?.into_iter().next().map(|(_, hydrated)| hydrated))
    }
}

/// All units of one subject on one cluster.
#[derive(Clone)]
pub struct Lot {
    /// The cluster.
    pub cluster: ClusterId,
    /// The subject.
    pub subject: SubjectId,
    /// What is known of it at once.
    pub summary: Summary,
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    Here(Arc<Units>),
    Stored(Arc<dyn Stored>),
}

impl Lot {
    /// Returns a lot with its units at hand.
    pub fn new(cluster: ClusterId, subject: SubjectId, summary: Summary, units: Units) -> Self {
        Self { cluster, subject, summary, bytes: Bytes::Here(Arc::new(units)) }
    }

    /// Returns a lot whose units lie elsewhere.
    pub fn stored(cluster: ClusterId, subject: SubjectId, summary: Summary, place: Arc<dyn Stored>) -> Self {
        Self { cluster, subject, summary, bytes: Bytes::Stored(place) }
    }

    /// Lets its files go, for a run that only tells what is wrong. The identities of its objects stay
    /// known, in little room.
    pub fn without_files(self) -> Self {
        let Bytes::Here(units) = &self.bytes else { return self };
        let Some(kept) = Identities::of(units) else { return self };
        Self { bytes: Bytes::Stored(Arc::new(kept)), ..self }
    }

    /// Returns the units; they are read each time if they lie elsewhere.
    ///
    /// # Errors
    /// A store that is damaged.
    pub fn units(&self) -> Result<Arc<Units>> {
        match &self.bytes {
            Bytes::Here(units) => Ok(units.clone()),
            Bytes::Stored(place) => place.units(self).map(Arc::new),
        }
    }

    /// Returns the subject's Application, which comes first among its units.
    ///
    /// # Errors
    /// A store that is damaged.
    pub fn application(&self) -> Result<Option<Arc<Hydrated>>> {
        if self.summary.parts.first() != Some(&Part::SubjectApplication) {
            return Ok(None);
        }
        match &self.bytes {
            Bytes::Here(units) => Ok(units.first().map(|(_, hydrated)| hydrated.clone())),
            Bytes::Stored(place) => place.first(self),
        }
    }

    /// Returns the ids of the units.
    pub fn ids(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.summary.parts.iter().map(|part| UnitId {
            cluster: self.cluster.clone(),
            subject: self.subject.clone(),
            part: part.clone(),
        })
    }

    /// Returns true if nothing of it is to stand anywhere.
    pub fn is_empty(&self) -> bool {
        self.summary.parts.is_empty()
    }
}

/// The identities of a lot's objects, without what their units print.
struct Identities {
    /// Of each unit: its key, and how many objects it has.
    units: Vec<(UnitKey, usize)>,
    /// Group, kind, namespace and name of each object, each with a line break after it.
    texts: Box<str>,
    /// Where each is made.
    origins: Vec<Origin>,
}

impl Identities {
    /// Returns those of some units; `None` if one cannot be told from two.
    fn of(units: &Units) -> Option<Self> {
        let objects = || units.iter().flat_map(|(_, hydrated)| &hydrated.objects);
        let mut texts = String::with_capacity(objects().count() * 96);
        for part in objects().flat_map(|(o, _)| [&o.group, &o.kind, &o.namespace, &o.name]) {
            if part.contains(END) {
                return None;
            }
            texts.push_str(part);
            texts.push(END);
        }
        Some(Self {
            units: units.iter().map(|(_, hydrated)| (hydrated.key, hydrated.objects.len())).collect(),
            texts: texts.into(),
            origins: objects().map(|(_, at)| at.clone()).collect(),
        })
    }
}

/// Ends each part of an identity.
const END: char = '\n';

impl Stored for Identities {
    fn units(&self, lot: &Lot) -> Result<Units> {
        let mut texts = self.texts.split(END).map(str::to_owned);
        let mut origins = self.origins.iter();
        let mut object = || {
            let (group, kind) = (texts.next()?, texts.next()?);
            let (namespace, name) = (texts.next()?, texts.next()?);
            Some((ObjectRef { group, kind, namespace, name }, origins.next()?.clone()))
        };
        let units = lot.ids().zip(&self.units).map(|(id, (key, count))| {
            let objects = (0..*count).map_while(|_| object()).collect();
            let (files, matched, warnings) = (Vec::new(), Matches::default(), Violations::new());
            (id, Arc::new(Hydrated { key: *key, files, objects, matched, warnings }))
        });
        Ok(units.collect())
    }
}

impl fmt::Debug for Lot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {:?}", self.subject, self.cluster, self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Layer;

    fn lot(kinds: &[&str]) -> Lot {
        let cluster = ClusterId { env: "prod".into(), name: "c".into() };
        let objects = |n: usize| {
            kinds.iter().take(n).enumerate().map(|(i, kind)| {
                let (group, namespace) = ("apps".into(), String::new());
                let name = format!("o{i}");
                let object = ObjectRef { group, kind: (*kind).into(), namespace, name };
                (object, Origin::at("t.yaml", i as u32 + 1, 0))
            })
        };
        let units: Units = (0..=kinds.len())
            .map(|n| {
                let part = Part::Manifests { layer: Layer::Tenants, component: format!("c{n}") };
                let id = UnitId { cluster: cluster.clone(), subject: SubjectId::Cluster, part };
                let files = vec![super::super::unit::File::new(format!("f{n}"), vec![1])];
                let key = UnitKey([n as u8; 32]);
                let (matched, warnings) = (Matches::default(), Violations::new());
                (id, Arc::new(Hydrated { key, files, objects: objects(n).collect(), matched, warnings }))
            })
            .collect();
        let parts = Arc::new(units.iter().map(|(id, _)| id.part.clone()).collect());
        Lot::new(cluster, SubjectId::Cluster, Summary { parts, ..Summary::default() }, units)
    }

    fn objects(lot: &Lot) -> Vec<String> {
        let units = lot.units().unwrap();
        units.iter().map(|(id, h)| format!("{} {:?} {:?}", id.place(), h.key, h.objects)).collect()
    }

    fn files(lot: &Lot) -> usize {
        lot.units().unwrap().iter().map(|(_, h)| h.files.len()).sum()
    }

    #[test]
    fn a_lot_without_files_still_knows_its_objects() {
        let whole = lot(&["A", "B", "C"]);
        let bare = whole.clone().without_files();
        assert_eq!(objects(&bare), objects(&whole));
        assert_eq!((files(&whole), files(&bare)), (4, 0));
    }

    #[test]
    fn what_could_be_confused_is_kept_whole() {
        let whole = lot(&["A\nB", "C"]);
        let bare = whole.clone().without_files();
        assert_eq!(objects(&bare), objects(&whole));
        assert_eq!(files(&bare), files(&whole));
    }
}
