//! One cluster's folder as a base has it: its files, and which unit and subject each belongs to.

use crate::error::Result;
use crate::model::id::{SubjectId, UnitId};
use crate::model::tree::{BaseTree, Entry, EntryKind};
use std::collections::{BTreeMap, BTreeSet};

/// How deep a cluster's folder may nest in a repository.
const MAX_DEPTH: usize = 24;

/// The files of a cluster's folder in a base.
#[derive(Debug, Default)]
pub struct BaseCluster {
    /// Files by path inside the folder.
    pub files: BTreeMap<String, Entry>,
    /// Folders that hold a kustomization.yaml.
    kustomized: BTreeSet<String>,
    /// The subject of each file that belongs to one.
    subjects: BTreeMap<String, SubjectId>,
}

impl BaseCluster {
    /// Reads a folder; an absent one is empty.
    ///
    /// # Errors
    /// A tree that cannot be read, or that holds links or submodules below our mark.
    pub fn read(base: &dyn BaseTree, folder: &str) -> Result<Self> {
        let mut cluster = Self::default();
        cluster.walk(base, folder, "", 0)?;
        for path in cluster.files.keys() {
            if let Some(parent) = path.strip_suffix("/kustomization.yaml") {
                cluster.kustomized.insert(parent.to_owned());
            }
        }
        let subjects = cluster.files.keys().filter_map(|p| subject_of(p).map(|s| (p.clone(), s)));
        cluster.subjects = subjects.collect();
        Ok(cluster)
    }

    fn walk(&mut self, base: &dyn BaseTree, folder: &str, inside: &str, depth: usize) -> Result<()> {
        let full = if inside.is_empty() { folder.to_owned() } else { format!("{folder}/{inside}") };
        if depth > MAX_DEPTH {
            return Err(super::unreadable(&full, "nests too deep"));
        }
        for entry in base.entries(&full)?.unwrap_or_default() {
            let path =
                if inside.is_empty() { entry.name.clone() } else { format!("{inside}/{}", entry.name) };
            match entry.kind {
                EntryKind::Tree => self.walk(base, folder, &path, depth + 1)?,
                EntryKind::File | EntryKind::Executable => {
                    self.files.insert(path, entry);
                }
                EntryKind::Symlink | EntryKind::Submodule => {
                    let what = format!("is {}, and stands under our mark", entry.kind.words());
                    return Err(super::unreadable(&format!("{folder}/{path}"), &what)
                        .hint("remove it there, then run again"));
                }
            }
        }
        Ok(())
    }

    /// Returns the place of the unit that a file belongs to.
    pub fn place_of(&self, path: &str) -> Option<String> {
        UnitId::place_of(path, |folder| self.kustomized.contains(folder))
    }

    /// Returns the subject that a file belongs to; none for index files.
    pub fn subject_of(&self, path: &str) -> Option<&SubjectId> {
        self.subjects.get(path)
    }

    /// Returns every subject that has files here.
    pub fn subjects(&self) -> impl Iterator<Item = &SubjectId> {
        self.subjects.values().collect::<BTreeSet<_>>().into_iter()
    }
}

/// Returns the subject of a path inside a cluster's folder; none for index files of the
/// cluster. The kustomization.yaml of a subject's folder counts as the subject's.
pub fn subject_of(path: &str) -> Option<SubjectId> {
    let parts: Vec<&str> = path.split('/').collect();
    let stem = |file: &str| file.strip_suffix(".yaml").map(str::to_owned);
    match parts.as_slice() {
        ["apps", "tenants", "organizations", file] => stem(file).map(SubjectId::Organization),
        ["apps", "tenants", "knowledgebases", file] => stem(file).map(SubjectId::KnowledgeBase),
        ["apps", "tenants", org, file] => {
            stem(file).map(|tenant| SubjectId::Tenant { organization: (*org).to_owned(), tenant })
        }
        ["organizations", name, _, ..] => Some(SubjectId::Organization((*name).to_owned())),
        ["knowledgebases", name, _, ..] => Some(SubjectId::KnowledgeBase((*name).to_owned())),
        ["tenants", org, tenant, _, ..] => {
            Some(SubjectId::Tenant { organization: (*org).to_owned(), tenant: (*tenant).to_owned() })
        }
        [".hydrant" | "kustomization.yaml"] | ["bootstrap", "root-app.yaml"] | ["apps", _] => None,
        ["apps", _, ".keep"] => None,
        _ => Some(SubjectId::Cluster),
    }
}
