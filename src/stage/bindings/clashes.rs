//! What two bindings must not both have. Two holders: both fail, and each message names the
//! other; whoever was onboarded first is not known here and does not matter.

use super::drafts::Drafts;
use super::knowledge_base::{self, KnowledgeBase};
use super::organization::Organization;
use super::tenant::Tenant;
use super::{BindingRules, Claim, ClaimScope};
use crate::error::{Origin, Violation};
use crate::redact::redact;
use crate::stage::claims::{Table, number, repeated};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Which draft holds a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Organization(usize),
    Tenant(usize),
    KnowledgeBase(usize),
}

/// Finds all clashes and writes them to the bindings they concern.
pub(super) fn find(all: &mut Drafts, rules: &BindingRules) {
    all.tenants.par_iter_mut().for_each(|tenant| tenant.claims = claims_of_tenant(tenant));
    let table = table(all);
    for (holder, v) in table.clashes(|_| 0) {
        let v = Violation { message: format!("{}; all are held, none is first", v.message), ..v };
        match holder {
            Holder::Organization(i) => all.organizations[i].found.push(v),
            Holder::Tenant(i) => all.tenants[i].found.push(v),
            Holder::KnowledgeBase(i) => all.knowledge_bases[i].found.push(v),
        }
    }
    if rules.namespace_wildcard {
        wildcard_capture(&mut all.tenants);
    }
    knowledge_bases_elsewhere(all);
}

/// Returns the claims that more than one holder may have, or that lead to more than one cluster.
/// What reaches no further than a cluster is checked with what else stands there.
fn table(all: &Drafts) -> Table<Holder> {
    let organizations: Vec<Vec<Claim>> = all.organizations.iter().map(claims_of_organization).collect();
    let bases: Vec<Vec<Claim>> = all.knowledge_bases.iter().map(claims_of_knowledge_base).collect();
    // A binding with another fault has its last files on the clusters, so it claims as well.
    let claims: Vec<(Holder, &Claim)> = held(&organizations, Holder::Organization)
        .chain(held(all.tenants.iter().map(|t| &t.claims), Holder::Tenant))
        .chain(held(&bases, Holder::KnowledgeBase))
        .filter(|(_, claim)| claim.scope == ClaimScope::Fleet)
        .collect();
    let doubtful = repeated(claims.iter().map(|(_, claim)| number(&claim.what)).collect());
    let mut table = Table::new();
    for (holder, claim) in claims {
        if claim.leads_to.len() > 1 || doubtful.contains(&number(&claim.what)) {
            table.add(holder, claim.clone());
        }
    }
    table
}

/// Returns claims with their holders.
fn held<'c>(
    claims: impl IntoIterator<Item = &'c Vec<Claim>>,
    holder: impl Fn(usize) -> Holder,
) -> impl Iterator<Item = (Holder, &'c Claim)> {
    let numbered = claims.into_iter().enumerate();
    numbered.flat_map(move |(i, all)| {
        let holder = holder(i);
        all.iter().map(move |claim| (holder, claim))
    })
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

const HOST: &str =
    "a host leads to one place: name one cluster with `hydrant.dev/clusters`, or use another host";

/// Returns what an organization claims.
pub(super) fn claims_of_organization(org: &Organization) -> Vec<Claim> {
    let mut claims = Vec::new();
    let by = format!("Organization `{}`", org.name.as_deref().unwrap_or("without a name"));
    if let Some(name) = &org.name {
        let keep = "keep one of them, under one name";
        claims.push(Claim::new(format!("organization name `{name}`"), ClaimScope::Fleet, &by, &org.at, keep));
        let namespace = format!("namespace `org-{name}`");
        claims.push(Claim::new(
            namespace,
            ClaimScope::Cluster,
            &by,
            &org.at,
            "choose another organization name",
        ));
    }
    if let Some(tunnel) = &org.tunnel {
        let id = redact(&tunnel.id.text.to_ascii_lowercase()).into_owned();
        let one = "a tunnel leads to one organization; make one for each";
        claims.push(Claim::new(format!("tunnel id `{id}`"), ClaimScope::Fleet, &by, &org.at, one));
        let host = format!("webhook host `{}`", redact(&tunnel.host));
        let mut claim = Claim::new(host, ClaimScope::Fleet, &by, &org.at, HOST);
        claim.leads_to = org.tunnel_cluster().ok().flatten().into_iter().collect();
        claims.push(claim);
    }
    claims
}

/// Returns what a tenant claims.
pub(super) fn claims_of_tenant(tenant: &Tenant) -> Vec<Claim> {
    let mut claims = Vec::new();
    let by = format!("RepoBinding `{}`", redact(&tenant.binding));
    let mut claim = |what: String, scope, mend: &str| {
        claims.push(Claim::new(what, scope, &by, &tenant.at, mend));
    };
    if let Some(name) = &tenant.name {
        let rename = "choose another pipelineName for one of them";
        claim(format!("pipelineName `{name}`"), ClaimScope::Fleet, rename);
        claim(format!("namespace `{name}`"), ClaimScope::Cluster, rename);
        claim(format!("AppProject `{name}`"), ClaimScope::Cluster, rename);
    }
    if !tenant.binding.is_empty() {
        let mend = "give each binding a name of its own: in a cluster one would overwrite the other";
        claim(format!("RepoBinding name `{}`", redact(&tenant.binding)), ClaimScope::Fleet, mend);
    }
    let repository = tenant.repository().to_ascii_lowercase();
    if repository.len() > 1 {
        let mend = "bind a repository once; one pipeline can do several things";
        claim(format!("repository `{}`", redact(&repository)), ClaimScope::Fleet, mend);
    }
    if let Some(host) = &tenant.spec.ingress_host {
        let host = format!("webhook host `{}`", redact(&host.to_ascii_lowercase()));
        let mut claim = Claim::new(host, ClaimScope::Fleet, &by, &tenant.at, HOST);
        claim.leads_to = tenant.placed_on.clone();
        // Ingresses of one cluster share a host by path.
        claim.shared = true;
        claims.push(claim);
    }
    claims
}

/// Returns what a knowledge base claims. Its namespace may be shared.
pub(super) fn claims_of_knowledge_base(base: &KnowledgeBase) -> Vec<Claim> {
    let Some(name) = &base.name else { return Vec::new() };
    let by = format!("KnowledgeBase `{name}`");
    let what = format!("knowledge base name `{name}`");
    vec![Claim::new(what, ClaimScope::Fleet, &by, &base.at, "keep one of them, under one name")]
}
