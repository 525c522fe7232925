//! Organizations whose tenants all stand as they should, told by the ids of two folders: a run
//! about one tenant opens no other organization's.

use crate::error::Result;
use crate::model::id::SubjectId;
use crate::model::target::ClusterTarget;
use crate::model::tree::{BaseTree, EntryKind, ObjectId, tree_id};
use std::collections::{BTreeMap, BTreeSet};

/// What one organization's two folders, of its tenants and of their Applications, are to hold.
#[derive(Default)]
struct Wanted {
    tenants: BTreeMap<String, (bool, ObjectId)>,
    applications: BTreeMap<String, (bool, ObjectId)>,
    /// A tenant that is undecided, or of which not both are wanted.
    open: bool,
}

/// Returns the organizations in whose folders there is just what is wanted there. A tenant that
/// `undecided` names keeps its organization open.
pub(super) fn organizations<'t>(
    cluster: &'t ClusterTarget,
    base: &dyn BaseTree,
    folder: &str,
    undecided: &dyn Fn(&SubjectId) -> bool,
) -> Result<BTreeSet<&'t str>> {
    let mut wanted: BTreeMap<&str, Wanted> = BTreeMap::new();
    for (subject, lot) in &cluster.lots {
        let SubjectId::Tenant { organization, tenant } = subject else { continue };
        let wanted = wanted.entry(organization).or_default();
        match (lot.summary.folder, lot.summary.application) {
            (Some(folder), Some(application)) if !undecided(subject) => {
                wanted.tenants.insert(format!("{tenant}/"), (true, folder));
                wanted.applications.insert(format!("{tenant}.yaml"), (false, application));
            }
            _ => wanted.open = true,
        }
    }
    let there = |inside: &str| -> Result<BTreeMap<String, ObjectId>> {
        let entries = base.entries(&format!("{folder}/{inside}"))?.unwrap_or_default();
        let folders = entries.into_iter().filter(|entry| entry.kind == EntryKind::Tree);
        Ok(folders.map(|entry| (entry.name, entry.id)).collect())
    };
    let (tenants, applications) = (there("tenants")?, there("apps/tenants")?);
    wanted.retain(|name, wanted| {
        !wanted.open
            && tenants.get(*name) == Some(&tree_id(&wanted.tenants))
            && applications.get(*name) == Some(&tree_id(&wanted.applications))
    });
    Ok(wanted.into_keys().collect())
}
