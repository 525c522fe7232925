//! Everything as read, joined and placed, before it is known what holds.

use super::knowledge_base::{self, KnowledgeBase};
use super::metadata::{self, Document};
use super::organization::{self, Organization};
use super::subjects::{FailedBinding, FailedIdentity, MayDelete, Subjects};
use super::tenant::{self, Tenant};
use super::{BindingDocument, BindingRules, Clusters, Unreadable, fields, placement};
use crate::error::{Origin, Violation, Violations};
use crate::model::binding::BindingKind;
use crate::model::id::{ClusterId, SubjectId};
use crate::suggest::did_you_mean;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Everything as read, before it is known what holds.
pub(super) struct Drafts {
    pub(super) organizations: Vec<Organization>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) knowledge_bases: Vec<KnowledgeBase>,
    failed: Vec<FailedBinding>,
    notices: Violations,
}

/// One document as read.
enum Read {
    Nothing(Violations),
    Failed(FailedBinding),
    Organization(Box<Organization>),
    Tenant(Box<Tenant>),
    KnowledgeBase(Box<KnowledgeBase>),
}

impl Read {
    fn of(document: &BindingDocument, rules: &BindingRules) -> Self {
        let mut found = Violations::new();
        match metadata::head(document, rules, &mut found) {
            Document::Ignored => Self::Nothing(found),
            Document::Unknown => Self::Failed(FailedBinding {
                id: FailedIdentity::Unknown,
                name: None,
                at: fields::place(&document.file, document.node.at),
                why: found,
            }),
            Document::Binding(head) => match head.kind {
                BindingKind::Organization => {
                    Self::Organization(Box::new(organization::read(document, head, rules, found)))
                }
                BindingKind::RepoBinding => {
                    Self::Tenant(Box::new(tenant::read(document, head, rules, found)))
                }
                BindingKind::KnowledgeBase => {
                    Self::KnowledgeBase(Box::new(knowledge_base::read(document, head, rules, found)))
                }
            },
        }
    }
}

impl Drafts {
    pub(super) fn read(
        documents: &[BindingDocument],
        unreadable: &[Unreadable],
        rules: &BindingRules,
    ) -> Self {
        let mut all = Self {
            organizations: Vec::new(),
            tenants: Vec::new(),
            knowledge_bases: Vec::new(),
            failed: Vec::new(),
            notices: Vec::new(),
        };
        for file in unreadable {
            all.failed.push(FailedBinding {
                id: FailedIdentity::Unknown,
                name: None,
                at: Origin::file(file.file.clone()),
                why: vec![file.why.clone()],
            });
        }
        // Each by itself, on all cores; joined in the order of the files.
        let read: Vec<Read> = documents.par_iter().map(|document| Read::of(document, rules)).collect();
        for one in read {
            match one {
                Read::Nothing(mut found) => all.notices.append(&mut found),
                Read::Failed(failed) => all.failed.push(failed),
                Read::Organization(organization) => all.organizations.push(*organization),
                Read::Tenant(tenant) => all.tenants.push(*tenant),
                Read::KnowledgeBase(base) => all.knowledge_bases.push(*base),
            }
        }
        all
    }

    pub(super) fn place_organizations(&mut self, clusters: Clusters<'_>) {
        for org in &mut self.organizations {
            org.placed_on = placement::clusters_of(&org.annotations, clusters, &mut org.found);
            if let Err(v) = org.tunnel_cluster() {
                let named = org.tunnel.as_ref().and_then(|t| t.cluster.as_ref());
                let broken = clusters.unread.iter().find(|c| {
                    c.name.is_some() && c.name.as_deref() == named.and_then(|n| n.text.rsplit('/').next())
                });
                org.found.push(match (named, broken) {
                    (Some(named), Some(broken)) => named
                        .warning("the file of the tunnel's cluster cannot be read: nothing changes there")
                        .hint(format!("mend {}", broken.file)),
                    _ => v,
                });
            }
            if org.tunnel.is_none() && org.name.is_some() && !org.found.iter().any(Violation::is_error) {
                let v = Violation::notice("no tunnel is given, so its webhooks are reached by no host of ours")
                    .at(org.at.clone())
                    .hint("a tunnel that exists is named by `hydrant.dev/tunnel-id` and `hydrant.dev/tunnel-account`");
                org.found.push(v);
            }
        }
    }

    /// Finds each tenant's organization. One that is missing holds the tenant, and is held
    /// itself: its last binding is not its end.
    pub(super) fn join_tenants(&mut self, rules: &BindingRules) {
        let known: BTreeSet<String> = self.organizations.iter().filter_map(|o| o.name.clone()).collect();
        let unread = self.failed.iter().any(|f| f.id == FailedIdentity::Unknown)
            || self.organizations.iter().any(|o| o.name.is_none());
        let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for tenant in &mut self.tenants {
            if tenant.organization.is_none() && tenant.older {
                let like = tenant.spec.repo_org.to_ascii_lowercase();
                if known.contains(&like) {
                    tenant.organization = Some(fields::Placed {
                        text: like,
                        key: "spec.repoOrg".into(),
                        at: tenant.at.clone(),
                    });
                } else if !tenant.spec.repo_org.is_empty() {
                    tenant.found.push(no_organization_of_its_own(tenant, &like));
                }
            }
            let Some(org) = tenant.organization.clone() else { continue };
            if !known.contains(&org.text) {
                let mut v = org.error(format!(
                    "waiting for Organization \"{}\": the fleet has none of that name",
                    org.text
                ));
                v.hint = did_you_mean(&org.text, known.iter().map(String::as_str));
                if unread {
                    v.hint = Some("it may stand in a file that cannot be read; mend that first".into());
                }
                tenant.found.push(v);
                missing.entry(org.text).or_default().push(tenant.name.clone().unwrap_or_default());
            }
            if let Some(v) = tenant.organization.as_ref().and_then(|o| tenant.conversion(&o.text, rules)) {
                tenant.found.push(v);
            }
        }
        for (name, mut tenants) in missing {
            tenants.sort();
            let more = tenants.len().saturating_sub(5);
            tenants.truncate(5);
            if more > 0 {
                tenants.push(format!("and {more} more"));
            }
            let at = self.tenants.iter().find(|t| t.organization.as_ref().is_some_and(|o| o.text == name));
            let at = at.map_or_else(|| Origin::file("bindings"), |t| t.at.clone());
            let why = Violation::error(format!(
                "Organization `{name}` has RepoBindings left and does not exist: {}",
                tenants.join(", ")
            ))
            .at(at.clone())
            .hint("an Organization goes after its RepoBindings: remove these first, or bring it back");
            self.failed.push(FailedBinding {
                id: FailedIdentity::Subject(SubjectId::Organization(name.clone())),
                name: Some(name),
                at,
                why: vec![why],
            });
        }
    }

    pub(super) fn place_others(&mut self, clusters: Clusters<'_>) {
        let homes: BTreeMap<&str, &[ClusterId]> = self
            .organizations
            .iter()
            .filter_map(|o| Some((o.name.as_deref()?, o.placed_on.as_slice())))
            .collect();
        for tenant in &mut self.tenants {
            let own = placement::clusters_of(&tenant.annotations, clusters, &mut tenant.found);
            let org = tenant.organization.as_ref().map(|o| o.text.as_str()).unwrap_or_default();
            tenant.placed_on = match homes.get(org) {
                Some(home) => placement::within(own, home, &tenant.annotations, org, &mut tenant.found),
                None => own,
            };
        }
        for base in &mut self.knowledge_bases {
            base.placed_on = placement::clusters_of(&base.annotations, clusters, &mut base.found);
        }
        if clusters.known.is_empty() {
            return;
        }
        let nowhere = |at: &Origin| {
            Violation::warning("the binding is placed on no cluster")
                .at(at.clone())
                .hint("name clusters with `hydrant.dev/clusters` or `hydrant.dev/environments`")
        };
        for o in self.organizations.iter_mut().filter(|o| o.placed_on.is_empty()) {
            o.found.push(nowhere(&o.at));
        }
        for t in self.tenants.iter_mut().filter(|t| t.placed_on.is_empty()) {
            t.found.push(nowhere(&t.at));
        }
        for k in self.knowledge_bases.iter_mut().filter(|k| k.placed_on.is_empty()) {
            k.found.push(nowhere(&k.at));
        }
    }

    pub(super) fn finish(mut self, rules: &BindingRules) -> Subjects {
        self.tenants.par_iter_mut().for_each(|tenant| tenant.make_data(rules));
        let mut subjects = Subjects {
            organizations: BTreeMap::new(),
            tenants: BTreeMap::new(),
            knowledge_bases: BTreeMap::new(),
            failed: self.failed,
            notices: self.notices,
            may_delete: MayDelete { organizations: true, tenants: true, knowledge_bases: true },
        };
        for org in &self.organizations {
            subjects.take_organization(org);
        }
        for tenant in self.tenants {
            subjects.take_tenant(tenant);
        }
        for base in self.knowledge_bases {
            subjects.take_knowledge_base(base);
        }
        subjects.failed.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        subjects.decide_deletions();
        subjects
    }
}

fn no_organization_of_its_own(tenant: &Tenant, like: &str) -> Violation {
    Violation::error(format!(
        "this older RepoBinding names no aphexOrg, and there is no Organization `{like}` named like its repoOrg"
    ))
    .at(tenant.at.clone())
    .key("spec.aphexOrg")
    .hint("add `aphexOrg`, or an Organization of that name")
}
