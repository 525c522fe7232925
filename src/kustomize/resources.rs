//! The objects of a build in their order, found by name without looking at all of them.

use super::build::AT_ONCE;
use super::gvk::{Identified as _, ObjectId};
use super::resource::Resource;
use super::selector::{Pattern, Selector};
use super::threads::Threads;
use crate::error::Origin;
use foldhash::fast::RandomState;
use rayon::iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

/// Objects in order. Whoever changes names, types or the order through
/// [`Resources::list_mut`] lets the indexes be built again.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    list: Vec<Resource>,
    ids: Option<Ids>,
    by_name: Option<ByName>,
}

/// An id that is there already, and where the object that has it too is written.
pub type Taken = (ObjectId, Option<Origin>);

type ByName = HashMap<String, Vec<usize>, RandomState>;

/// Which ids there are. An id is its hash and one object that has it; ids of one hash are
/// told apart by looking at all objects, which happens to nobody but an attacker.
#[derive(Clone, Debug, Default)]
struct Ids {
    by_hash: HashMap<u64, usize, RandomState>,
    /// The hashes in the order of the objects.
    hashes: Vec<u64>,
}

/// What all ids are hashed by, so that a build needs to hash the ids of its bases only once.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::default);

impl Ids {
    fn of(list: &[Resource]) -> Self {
        let mut ids = Self::default();
        for resource in list {
            ids.add(HASHER.hash_one(resource.identity()));
        }
        ids
    }

    fn add(&mut self, hash: u64) {
        self.by_hash.entry(hash).or_insert(self.hashes.len());
        self.hashes.push(hash);
    }
}

impl Resources {
    /// Returns the objects.
    pub fn list(&self) -> &[Resource] {
        &self.list
    }

    /// Returns the objects to change; the indexes are forgotten.
    pub fn list_mut(&mut self) -> &mut Vec<Resource> {
        self.ids = None;
        self.by_name = None;
        &mut self.list
    }

    /// Returns one object to change in ways that keep its id.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Resource> {
        self.list.get_mut(at)
    }

    /// Returns the objects to change in ways that keep their ids.
    pub fn keep_ids_mut(&mut self) -> &mut [Resource] {
        &mut self.list
    }

    /// Forgets the indexes, after an id changed.
    pub fn ids_changed(&mut self) {
        self.ids = None;
        self.by_name = None;
    }

    /// Takes the objects out.
    pub fn into_list(self) -> Vec<Resource> {
        self.list
    }

    /// Adds an object.
    ///
    /// # Errors
    /// The id is taken: that id, and where the object is written.
    pub fn append(&mut self, resource: Resource) -> Result<(), Box<Taken>> {
        let hash = HASHER.hash_one(resource.identity());
        self.append_hashed(resource, hash)
    }

    /// Adds all objects of others.
    ///
    /// # Errors
    /// As [`Resources::append`].
    pub fn append_all(&mut self, others: Resources) -> Result<(), Box<Taken>> {
        let Some(ids) = others.ids else {
            return others.list.into_iter().try_for_each(|resource| self.append(resource));
        };
        self.list.reserve(others.list.len());
        let mut both = others.list.into_iter().zip(ids.hashes);
        both.try_for_each(|(resource, hash)| self.append_hashed(resource, hash))
    }

    fn append_hashed(&mut self, resource: Resource, hash: u64) -> Result<(), Box<Taken>> {
        let ids = self.ids.get_or_insert_with(|| Ids::of(&self.list));
        if let Some(first) = ids.by_hash.get(&hash).and_then(|first| self.list.get(*first)) {
            let identity = resource.identity();
            if first.identity() == identity || self.list.iter().any(|r| r.identity() == identity) {
                return Err(Box::new((resource.id(), resource.at)));
            }
        }
        ids.add(hash);
        if let Some(by_name) = &mut self.by_name {
            index(by_name, self.list.len(), &resource);
        }
        self.list.push(resource);
        Ok(())
    }

    /// Returns the places of the objects that have or had an id.
    pub fn with_any_id(&mut self, id: &ObjectId) -> Vec<usize> {
        let candidates = self.named(&id.name).to_vec();
        candidates.into_iter().filter(|i| self.list[*i].has_any_id(id)).collect()
    }

    /// Returns the places of the objects that have or had a name.
    pub fn named(&mut self, name: &str) -> &[usize] {
        let by_name = self.by_name.get_or_insert_with(|| {
            let mut all = ByName::default();
            self.list.iter().enumerate().for_each(|(i, r)| index(&mut all, i, r));
            all
        });
        by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the places of the objects that a selector chooses.
    pub fn select(&mut self, selector: &Selector) -> Vec<usize> {
        if let Pattern::Exact(name) = &selector.name {
            let candidates = self.named(name).to_vec();
            return candidates.into_iter().filter(|i| selector.matches(&self.list[*i])).collect();
        }
        (0..self.list.len()).filter(|i| selector.matches(&self.list[*i])).collect()
    }

    /// Drops the objects of these places.
    pub fn remove(&mut self, places: &[usize]) {
        if places.is_empty() {
            return;
        }
        let mut at = 0;
        self.list_mut().retain(|_| {
            at += 1;
            !places.contains(&(at - 1))
        });
    }

    /// Returns the first id that two objects share.
    pub fn duplicate(&self, threads: Threads) -> Option<ObjectId> {
        let hash = |r: &Resource| HASHER.hash_one(r.identity());
        let hashes: Vec<u64> = if threads.share(self.list.len(), AT_ONCE + 1) {
            self.list.par_iter().with_min_len(AT_ONCE).map(hash).collect()
        } else {
            self.list.iter().map(hash).collect()
        };
        let mut seen = HashSet::with_capacity_and_hasher(self.list.len(), RandomState::default());
        if hashes.into_iter().all(|hash| seen.insert(hash)) {
            return None;
        }
        let mut seen = HashSet::with_capacity_and_hasher(self.list.len(), RandomState::default());
        self.list.iter().find(|r| !seen.insert(r.identity())).map(Resource::id)
    }
}

fn index(by_name: &mut ByName, at: usize, resource: &Resource) {
    let mut add = |name: &str| {
        let places = by_name.entry(name.to_owned()).or_default();
        if places.last() != Some(&at) {
            places.push(at);
        }
    };
    add(&resource.value.name());
    resource.previous.iter().for_each(|p| add(&p.name));
}
