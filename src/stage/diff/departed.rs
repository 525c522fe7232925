//! Clusters that left the fleet: found by our marks, deleted only with a person's word.

use super::{BaseCluster, Rules};
use crate::error::{Result, Violation};
use crate::model::id::{ClusterId, Domain};
use crate::model::mark::{self, Mark};
use crate::model::target::{ChangeSet, ClusterChange, Refusal};
use crate::model::tree::{BaseTree, Edit, EntryKind};
use std::collections::BTreeSet;

/// Judges every folder under our marks whose cluster is not in the fleet.
pub fn judge(base: &dyn BaseTree, rules: &Rules<'_>, changes: &mut ChangeSet) -> Result<()> {
    for (id, folder) in marked(base, rules)? {
        let in_fleet = rules.known_ids.contains(&id);
        let selected =
            rules.scope.takes(&id.env) && (rules.pick.envs.is_empty() || rules.pick.envs.contains(&id.env));
        if in_fleet || !selected {
            continue;
        }
        // A cluster whose file is broken may have any environment; it did not leave.
        let unclear =
            rules.known_clusters.contains(&id.name) && !rules.known_ids.iter().any(|k| k.name == id.name);
        if unclear || !rules.may_delete.clusters {
            continue;
        }
        let allow = format!("cluster/{id}");
        if !rules.allow_delete.allows(&allow) {
            let why = Violation::error(format!("the cluster {id} left the fleet, and its folder `{folder}` would be deleted"))
                .hint(format!("if that is meant, run once with --allow-delete {allow} (or list it under allowDelete: in hydrant.yaml);\nelse put its cluster.yaml back"))
                .guard();
            changes.refused.push(Refusal { domain: Domain::cluster(id), why: vec![why] });
            continue;
        }
        let before = BaseCluster::read(base, &folder, &BTreeSet::new(), &BTreeSet::new())?;
        let removed = before.files.len();
        changes
            .edits
            .extend(before.files.keys().map(|path| Edit::Delete { path: format!("{folder}/{path}") }));
        changes.clusters.insert(id, ClusterChange { removed, ..ClusterChange::default() });
    }
    Ok(())
}

/// Returns the clusters whose folders bear our fleet's mark.
fn marked(base: &dyn BaseTree, rules: &Rules<'_>) -> Result<Vec<(ClusterId, String)>> {
    let mut found = Vec::new();
    for env in base.entries(rules.path)?.unwrap_or_default() {
        if env.kind != EntryKind::Tree {
            continue;
        }
        let env_folder =
            if rules.path.is_empty() { env.name.clone() } else { format!("{}/{}", rules.path, env.name) };
        for cluster in base.entries(&env_folder)?.unwrap_or_default() {
            let folder = format!("{env_folder}/{}", cluster.name);
            let Some(entry) = base.entry(&format!("{folder}/{}", mark::FILE))? else { continue };
            if !entry.kind.is_file() {
                continue;
            }
            let ours = Mark::read(&base.blob(&entry.id)?)
                .is_some_and(|m| m.fleet == rules.fleet && m.env == env.name && m.cluster == cluster.name);
            if ours {
                found.push((ClusterId { env: env.name.clone(), name: cluster.name.clone() }, folder));
            }
        }
    }
    Ok(found)
}
