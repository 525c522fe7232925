//! The lot: all units of one subject on one cluster. They fail and are held together, and they
//! are remembered and compared together, so that a run looks at what changed and not at all.

use super::id::{ClusterId, Part, SubjectId, UnitId};
use super::overlay::Matches;
use super::tree::ObjectId;
use super::unit::Hydrated;
use crate::error::{Result, Violations};
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

    /// Lets its files go, for a run that only tells what is wrong; what they hold stays known.
    pub fn without_files(self) -> Self {
        let Bytes::Here(units) = self.bytes else { return self };
        let bare =
            |(id, hydrated)| (id, Arc::new(Hydrated { files: Vec::new(), ..Arc::unwrap_or_clone(hydrated) }));
        let units = Arc::unwrap_or_clone(units).into_iter().map(bare).collect();
        Self { bytes: Bytes::Here(Arc::new(units)), ..self }
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

impl fmt::Debug for Lot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {:?}", self.subject, self.cluster, self.summary)
    }
}
