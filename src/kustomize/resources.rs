//! The objects of a build in their order, found by name without looking at all of them.

use super::gvk::{Identified as _, ObjectId};
use super::resource::Resource;
use super::selector::{Pattern, Selector};
use crate::error::Origin;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

/// Objects in order. Whoever changes names, types or the order through
/// [`Resources::list_mut`] lets the indexes be built again.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    list: Vec<Resource>,
    ids: Option<Ids>,
    by_name: Option<HashMap<String, Vec<usize>>>,
}

/// Which ids there are. An id is its hash and one object that has it; ids of one hash are
/// told apart by looking at all objects, which happens to nobody but an attacker.
#[derive(Clone, Debug, Default)]
struct Ids {
    hasher: RandomState,
    by_hash: HashMap<u64, usize>,
}

impl Ids {
    fn of(list: &[Resource]) -> Self {
        let mut ids = Self::default();
        for (i, resource) in list.iter().enumerate() {
            ids.by_hash.entry(ids.hasher.hash_one(resource.identity())).or_insert(i);
        }
        ids
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
    pub fn append(&mut self, resource: Resource) -> Result<(), Box<(ObjectId, Option<Origin>)>> {
        let ids = self.ids.get_or_insert_with(|| Ids::of(&self.list));
        let identity = resource.identity();
        let hash = ids.hasher.hash_one(&identity);
        let taken = match ids.by_hash.get(&hash).and_then(|first| self.list.get(*first)) {
            Some(first) => first.identity() == identity || self.list.iter().any(|r| r.identity() == identity),
            None => false,
        };
        if taken {
            return Err(Box::new((resource.id(), resource.at)));
        }
        ids.by_hash.entry(hash).or_insert(self.list.len());
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
            let mut all = HashMap::new();
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
    pub fn duplicate(&self) -> Option<ObjectId> {
        let mut seen = HashSet::with_capacity(self.list.len());
        self.list.iter().find(|r| !seen.insert(r.identity())).map(Resource::id)
    }
}

fn index(by_name: &mut HashMap<String, Vec<usize>>, at: usize, resource: &Resource) {
    let mut add = |name: &str| {
        let places = by_name.entry(name.to_owned()).or_default();
        if places.last() != Some(&at) {
            places.push(at);
        }
    };
    add(&resource.value.name());
    resource.previous.iter().for_each(|p| add(&p.name));
}
