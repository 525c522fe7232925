//! One table of what clusters claim outside themselves. Two holders of one thing: both are
//! held, and neither is first.

use crate::error::{Origin, Violation};
use crate::model::fleet::Fleet;
use crate::model::id::{ClusterId, Domain};
use crate::stage::applications;
use std::collections::BTreeMap;

/// How many other holders a message names: a fleet of thousands may share one mistake.
const NAMED: usize = 3;

/// Who claims something, and how it stops.
struct Holder {
    cluster: ClusterId,
    at: Origin,
    mend: String,
}

/// Holds every domain whose claim clashes with another's.
pub fn check(fleet: &mut Fleet<'_>) {
    let mut table: BTreeMap<String, Vec<Holder>> = BTreeMap::new();
    for cluster in &fleet.clusters {
        let mut claim = |what: String, key: &str, mend: String| {
            let at = place(cluster, key);
            table.entry(what).or_default().push(Holder { cluster: cluster.id.clone(), at, mend });
        };
        let vault = &cluster.vault;
        // A Service address is the cluster's own Vault: nobody else reaches it.
        if !vault.address.is_empty() && !vault.in_cluster {
            let address = normal(&vault.address);
            let values = format!("{}/values.yaml", folder(&cluster.at));
            let mend =
                format!("in {values} set\n  vault:\n    kubernetesMount: kubernetes-{}", cluster.id.name);
            claim(
                format!("the Vault auth mount `{}` at {address}", vault.kubernetes_mount),
                "vault.kubernetesMount",
                mend,
            );
            let mend = format!("in {values} set\n  vault:\n    policyName: gitops-{}", cluster.id.name);
            claim(format!("the Vault policy `{}` at {address}", vault.policy_name), "vault.policyName", mend);
        }
        if !cluster.argocd.instance.is_empty() {
            let mend = "set argocd.applicationName patterns that hold {cluster}".to_owned();
            for name in applications::names(cluster) {
                let what =
                    format!("the Application `{name}` of the Argo CD instance `{}`", cluster.argocd.instance);
                claim(what, "argocd.applicationName", mend.clone());
            }
        }
    }
    for (what, holders) in table {
        let several = holders.iter().any(|h| h.cluster != holders[0].cluster);
        if !several {
            continue;
        }
        for (i, holder) in holders.iter().enumerate() {
            let mut others: Vec<String> = holders
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != i)
                .take(NAMED)
                .map(|(_, h)| format!("{} ({})", h.cluster, h.at))
                .collect();
            if holders.len() > NAMED + 1 {
                others.push(format!("by {} more", holders.len() - NAMED - 1));
            }
            let v = Violation::error(format!(
                "{what} is claimed by {} and by {}",
                holder.cluster,
                others.join(" and ")
            ))
            .at(holder.at.clone())
            .hint(holder.mend.clone());
            fleet.held.entry(Domain::cluster(holder.cluster.clone())).or_default().push(v);
        }
    }
}

/// Returns where a setting was set, or else the cluster's own file.
pub fn place(cluster: &crate::model::fleet::Cluster<'_>, dotted: &str) -> Origin {
    let mut here = Some(&cluster.values);
    for part in dotted.split('.') {
        here = here.and_then(|tree| tree.get(part));
    }
    here.map_or_else(|| cluster.at.clone(), |tree| tree.origin().clone())
}

fn folder(at: &Origin) -> &str {
    at.file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns an address in one form: lower-case host, the port always, no closing `/`.
fn normal(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(url) => format!(
            "{}://{}:{}{}",
            url.scheme(),
            url.host_str().unwrap_or_default().to_ascii_lowercase(),
            url.port_or_known_default().unwrap_or(0),
            url.path().trim_end_matches('/')
        ),
        Err(_) => address.to_owned(),
    }
}
