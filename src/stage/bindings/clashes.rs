//! What two bindings must not both have. Two holders: both fail, and each message names the
//! other; whoever was onboarded first is not known here and does not matter.

use super::drafts::Drafts;
use super::organization::{Organization, list};
use super::tenant::Tenant;
use super::{BindingRules, Claim, ClaimScope, knowledge_base};
use crate::error::{Origin, Violation};
use crate::model::id::ClusterId;
use std::collections::{BTreeMap, BTreeSet};

/// Finds all clashes and writes them to the bindings they concern.
pub(super) fn find(all: &mut Drafts, rules: &BindingRules) {
    same_names(all);
    same_tunnel(all);
    let tenants = &mut all.tenants;
    both_fail(tenants, "pipelineName", |t| t.name.clone(), "choose another pipelineName for one of them");
    both_fail(
        tenants,
        "repository",
        |t| Some(t.repository().to_ascii_lowercase()).filter(|r| r.len() > 1),
        "bind a repository once; one pipeline can do several things",
    );
    both_fail(
        tenants,
        "RepoBinding name",
        |t| Some(t.binding.clone()).filter(|b| !b.is_empty()),
        "give each binding a name of its own: in a cluster one would overwrite the other",
    );
    if rules.namespace_wildcard {
        wildcard_capture(tenants);
    }
    same_hosts(all);
    knowledge_bases_elsewhere(all);
}

fn same_names(all: &mut Drafts) {
    let hint = "keep one of them, under one name";
    let orgs: Vec<(Option<String>, Origin)> =
        all.organizations.iter().map(|o| (o.name.clone(), o.at.clone())).collect();
    for (i, v) in twice("organization name", &orgs, hint) {
        all.organizations[i].found.push(v);
    }
    let bases: Vec<(Option<String>, Origin)> =
        all.knowledge_bases.iter().map(|k| (k.name.clone(), k.at.clone())).collect();
    for (i, v) in twice("knowledge base name", &bases, hint) {
        all.knowledge_bases[i].found.push(v);
    }
}

fn same_tunnel(all: &mut Drafts) {
    let ids: Vec<(Option<String>, Origin)> = all
        .organizations
        .iter()
        .map(|o| (o.tunnel.as_ref().map(|t| t.id.text.to_ascii_lowercase()), o.at.clone()))
        .collect();
    for (i, v) in twice("tunnel id", &ids, "a tunnel leads to one organization; make one for each") {
        all.organizations[i].found.push(v);
    }
}

fn both_fail(tenants: &mut [Tenant], what: &str, key: impl Fn(&Tenant) -> Option<String>, hint: &str) {
    let keys: Vec<(Option<String>, Origin)> = tenants.iter().map(|t| (key(t), t.at.clone())).collect();
    for (i, v) in twice(what, &keys, hint) {
        tenants[i].found.push(v);
    }
}

/// Returns a violation for every index whose key another index has too.
fn twice(what: &str, keys: &[(Option<String>, Origin)], hint: &str) -> Vec<(usize, Violation)> {
    let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, (key, _)) in keys.iter().enumerate() {
        if let Some(key) = key {
            holders.entry(key).or_default().push(i);
        }
    }
    let mut found = Vec::new();
    for (key, indexes) in holders.into_iter().filter(|(_, i)| i.len() > 1) {
        for &i in &indexes {
            // A thousand copies of one binding must not give a million names.
            let others: Vec<String> =
                indexes.iter().filter(|j| **j != i).take(3).map(|j| keys[*j].1.to_string()).collect();
            let more = indexes.len() - 1 - others.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            found.push((
                i,
                Violation::error(format!(
                    "{what} `{}` is also claimed at {}{more}; all are held, none is first",
                    crate::redact::redact(key),
                    others.join(", ")
                ))
                .at(keys[i].1.clone())
                .hint(hint),
            ));
        }
    }
    found
}

/// With `P-*` in AppProjects the tenant `app` would reach the namespace of `app-prod`.
fn wildcard_capture(tenants: &mut [Tenant]) {
    let at: BTreeMap<String, Origin> =
        tenants.iter().filter_map(|t| Some((t.name.clone()?, t.at.clone()))).collect();
    let mut pairs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in at.keys() {
        for (cut, _) in name.match_indices('-') {
            let shorter = &name[..cut];
            if at.contains_key(shorter) {
                pairs.entry(shorter.to_owned()).or_default().insert(name.clone());
                pairs.entry(name.clone()).or_default().insert(shorter.to_owned());
            }
        }
    }
    for tenant in tenants {
        let Some(others) = tenant.name.as_ref().and_then(|n| pairs.get(n)) else { continue };
        let named: Vec<String> = others
            .iter()
            .take(3)
            .map(|o| format!("`{o}` ({})", at.get(o).map_or_else(String::new, Origin::to_string)))
            .collect();
        tenant.found.push(
            Violation::error(format!(
                "the namespaces `<tenant>-*` of one tenant would take in another's: {}; all are held",
                named.join(", ")
            ))
            .at(tenant.at.clone())
            .hint("rename one, or turn `tenants.namespaceWildcard` off"),
        );
    }
}

/// Who holds a webhook host.
struct HostHolder {
    at: Origin,
    clusters: Vec<ClusterId>,
    /// A tunnel's host leads to one listener; an ingressHost is shared by path.
    alone: bool,
    organization: Option<usize>,
    tenant: Option<usize>,
}

/// A host leads to one cluster, and a tunnel's host to one organization.
fn same_hosts(all: &mut Drafts) {
    let mut hosts: BTreeMap<String, Vec<HostHolder>> = BTreeMap::new();
    for (i, org) in all.organizations.iter().enumerate() {
        if let Some(tunnel) = &org.tunnel {
            let clusters = org.tunnel_cluster().ok().flatten().into_iter().collect();
            let holder =
                HostHolder { at: org.at.clone(), clusters, alone: true, organization: Some(i), tenant: None };
            hosts.entry(tunnel.host.clone()).or_default().push(holder);
        }
    }
    for (i, tenant) in all.tenants.iter().enumerate() {
        if let Some(host) = &tenant.spec.ingress_host {
            let clusters = tenant.placed_on.clone();
            let holder = HostHolder {
                at: tenant.at.clone(),
                clusters,
                alone: false,
                organization: None,
                tenant: Some(i),
            };
            hosts.entry(host.to_ascii_lowercase()).or_default().push(holder);
        }
    }
    for (host, holders) in hosts {
        let clusters: Vec<ClusterId> = holders
            .iter()
            .flat_map(|h| h.clusters.iter().cloned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let shared = holders.len() > 1 && holders.iter().any(|h| h.alone);
        if clusters.len() < 2 && !shared {
            continue;
        }
        let places: Vec<String> = holders.iter().take(4).map(|h| h.at.to_string()).collect();
        let message = if clusters.len() > 1 {
            format!("webhook host `{host}` would stand on {} clusters: {}", clusters.len(), list(&clusters))
        } else {
            format!("webhook host `{host}` is claimed at {}; all are held, none is first", places.join(", "))
        };
        for holder in &holders {
            let v = Violation::error(message.clone())
                .at(holder.at.clone())
                .hint("a host leads to one place: name one cluster with `hydrant.dev/clusters`, or use another host");
            if let Some(org) = holder.organization.and_then(|i| all.organizations.get_mut(i)) {
                org.found.push(v);
            } else if let Some(tenant) = holder.tenant.and_then(|i| all.tenants.get_mut(i)) {
                tenant.found.push(v);
            }
        }
    }
}

/// A knowledge base brings a Deployment; it must not stand in a tenant's namespace.
fn knowledge_bases_elsewhere(all: &mut Drafts) {
    let tenants: BTreeSet<&str> = all.tenants.iter().filter_map(|t| t.name.as_deref()).collect();
    for base in &mut all.knowledge_bases {
        if tenants.contains(base.namespace.as_str()) {
            let owner = format!("the tenant `{}`", base.namespace);
            base.found.push(knowledge_base::stands_in(base, &owner));
        }
    }
}

/// Returns what an organization claims.
pub(super) fn claims_of_organization(org: &Organization) -> Vec<Claim> {
    let name = org.name.clone().unwrap_or_default();
    let claim = |what: String, scope| Claim { what, scope, at: org.at.clone() };
    let mut claims = vec![
        claim(format!("organization name {name}"), ClaimScope::Fleet),
        claim(format!("namespace org-{name}"), ClaimScope::Cluster),
    ];
    if let Some(tunnel) = &org.tunnel {
        claims.push(claim(format!("tunnel id {}", tunnel.id.text), ClaimScope::Fleet));
        claims.push(claim(format!("webhook host {}", tunnel.host), ClaimScope::Fleet));
    }
    claims
}

/// Returns what a tenant claims.
pub(super) fn claims_of_tenant(tenant: &Tenant) -> Vec<Claim> {
    let name = tenant.name.clone().unwrap_or_default();
    let claim = |what: String, scope| Claim { what, scope, at: tenant.at.clone() };
    let mut claims = vec![
        claim(format!("tenant name {name}"), ClaimScope::Fleet),
        claim(format!("namespace {name}"), ClaimScope::Cluster),
        claim(format!("repository {}", tenant.repository()), ClaimScope::Fleet),
    ];
    if let Some(host) = &tenant.spec.ingress_host {
        claims.push(claim(format!("webhook URL https://{host}/{name}"), ClaimScope::Fleet));
    }
    claims
}
