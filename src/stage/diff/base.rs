//! One cluster's folder as a base has it: its files, and which unit and subject each belongs to.

use crate::error::Result;
use crate::model::id::{SubjectId, UnitId};
use crate::model::tree::{BaseTree, Entry, EntryKind, ObjectId};
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
    /// Folders and files that are not looked at.
    closed: BTreeSet<String>,
}

/// The ids of the two things that a subject has in a cluster's folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectRoots {
    /// Its folder.
    pub folder: Option<ObjectId>,
    /// The file of its Application.
    pub application: Option<ObjectId>,
}

/// Returns true for a tenant of one of these organizations.
pub(super) fn is_in(subject: &SubjectId, organizations: &BTreeSet<&str>) -> bool {
    matches!(subject, SubjectId::Tenant { organization, .. } if organizations.contains(organization.as_str()))
}

impl BaseCluster {
    /// Reads a folder; an absent one is empty. Subjects that `skip` names stay closed, and so do
    /// all tenants of the organizations in `whole`: what they hold is left out.
    ///
    /// # Errors
    /// A tree that cannot be read, or that holds links or submodules below our mark.
    pub fn read(
        base: &dyn BaseTree,
        folder: &str,
        skip: &BTreeSet<&SubjectId>,
        whole: &BTreeSet<&str>,
    ) -> Result<Self> {
        let mut closed = BTreeSet::new();
        for organization in whole {
            closed.insert(format!("tenants/{organization}"));
            closed.insert(format!("apps/tenants/{organization}"));
        }
        for subject in skip.iter().filter(|subject| !is_in(subject, whole)) {
            closed.extend(subject.folder());
            closed.extend(subject.application_file());
        }
        let mut cluster = Self { closed, ..Self::default() };
        cluster.walk(base, folder, "", 0)?;
        for path in cluster.files.keys() {
            if let Some(parent) = path.strip_suffix("/kustomization.yaml") {
                cluster.kustomized.insert(parent.to_owned());
            }
        }
        let subjects = cluster.files.keys().filter_map(|p| SubjectId::of_path(p).map(|s| (p.clone(), s)));
        cluster.subjects = subjects.collect();
        Ok(cluster)
    }

    /// Returns what every subject has in a cluster's folder, without looking into it; tenants of
    /// the organizations in `whole` left out.
    ///
    /// # Errors
    /// A tree that cannot be read.
    pub fn roots(
        base: &dyn BaseTree,
        folder: &str,
        whole: &BTreeSet<&str>,
    ) -> Result<BTreeMap<SubjectId, SubjectRoots>> {
        let mut found: BTreeMap<SubjectId, SubjectRoots> = BTreeMap::new();
        let list = |inside: &str| base.entries(&format!("{folder}/{inside}")).map(Option::unwrap_or_default);
        let folders = |entries: Vec<Entry>| entries.into_iter().filter(|e| e.kind == EntryKind::Tree);
        let mut put = |subject: SubjectId, entry: &Entry| {
            let roots = found.entry(subject).or_default();
            match entry.kind {
                EntryKind::Tree => roots.folder = Some(entry.id),
                EntryKind::File => roots.application = Some(entry.id),
                // Whatever this is, it is not what we wrote.
                _ => {}
            }
        };
        let tenant = |organization: &str, tenant: &str| SubjectId::Tenant {
            organization: organization.to_owned(),
            tenant: tenant.to_owned(),
        };
        folders(list("organizations")?).for_each(|e| put(SubjectId::Organization(e.name.clone()), &e));
        folders(list("knowledgebases")?).for_each(|e| put(SubjectId::KnowledgeBase(e.name.clone()), &e));
        let open = |entry: &Entry| !whole.contains(entry.name.as_str());
        for organization in folders(list("tenants")?).filter(open) {
            let name = &organization.name;
            folders(list(&format!("tenants/{name}"))?).for_each(|e| put(tenant(name, &e.name), &e));
        }
        for kind in folders(list("apps/tenants")?).filter(open) {
            for file in list(&format!("apps/tenants/{}", kind.name))? {
                let subject = SubjectId::of_path(&format!("apps/tenants/{}/{}", kind.name, file.name));
                if let Some(subject) = subject.filter(|_| file.kind == EntryKind::File) {
                    put(subject, &file);
                }
            }
        }
        Ok(found)
    }

    fn walk(&mut self, base: &dyn BaseTree, folder: &str, inside: &str, depth: usize) -> Result<()> {
        let full = if inside.is_empty() { folder.to_owned() } else { format!("{folder}/{inside}") };
        if depth > MAX_DEPTH {
            return Err(super::unreadable(&full, "nests too deep"));
        }
        for entry in base.entries(&full)?.unwrap_or_default() {
            let path =
                if inside.is_empty() { entry.name.clone() } else { format!("{inside}/{}", entry.name) };
            if self.closed.contains(&path) {
                continue;
            }
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
