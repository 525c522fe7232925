//! What the bindings of a fleet ask for: subjects, claims, and who failed.

use super::knowledge_base::KnowledgeBase;
use super::organization::Organization;
use super::tenant::Tenant;
use super::{Checked, Claim, SubjectData, clashes};
use crate::error::{Origin, Severity, Violation, Violations};
use crate::model::binding::BindingKind;
use crate::model::id::{ClusterId, SubjectId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An organization, a tenant or a knowledge base that can be rendered.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its identity.
    pub id: SubjectId,
    /// `metadata.name` of its binding.
    pub binding: String,
    /// What templates see as `organization`, `tenant` or `knowledgeBase`.
    pub context: Arc<SubjectData>,
    /// The clusters it is placed on, in order.
    pub placed_on: Vec<ClusterId>,
    /// What it claims outside itself. Bindings that claim the same of the fleet have failed
    /// already; `resolve` looks at the rest, cluster by cluster.
    pub claims: Vec<Claim>,
    /// Where its binding stands.
    pub at: Origin,
    /// Warnings and notices.
    pub warnings: Violations,
}

/// Who failed, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailedIdentity {
    /// This subject, held on every cluster.
    Subject(SubjectId),
    /// Some binding of this kind.
    Kind(BindingKind),
    /// Some binding.
    Unknown,
}

/// A binding that cannot be rendered.
#[derive(Clone, Debug)]
pub struct FailedBinding {
    /// Who it is.
    pub id: FailedIdentity,
    /// `metadata.name` or the tenant's name, where it has one.
    pub name: Option<String>,
    /// Where it stands.
    pub at: Origin,
    /// Why; at least one error, and its warnings.
    pub why: Violations,
}

/// Whether something that is no longer asked for may be deleted in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MayDelete {
    /// False if an Organization may stand in a file that cannot be told.
    pub organizations: bool,
    /// False if a RepoBinding, or its Organization, may.
    pub tenants: bool,
    /// False if a KnowledgeBase may.
    pub knowledge_bases: bool,
}

/// All that the bindings of a fleet ask for.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    /// Organizations by name.
    pub organizations: BTreeMap<String, Subject>,
    /// Tenants by name.
    pub tenants: BTreeMap<String, Subject>,
    /// Knowledge bases by name.
    pub knowledge_bases: BTreeMap<String, Subject>,
    /// What cannot be rendered, in the order of files.
    pub failed: Vec<FailedBinding>,
    /// Warnings and notices that belong to no subject.
    pub notices: Violations,
    /// What may be deleted.
    pub may_delete: MayDelete,
}

/// Splits what was found into errors (with the rest beside them) or mere warnings.
fn split(found: Violations) -> Result<Violations, Violations> {
    if found.iter().any(|v| v.severity == Severity::Error) { Err(found) } else { Ok(found) }
}

impl Subjects {
    /// Returns the texts in which nothing was found.
    pub fn checked(&self) -> Checked {
        self.tenants.values().filter_map(|tenant| tenant.context.checked()).collect()
    }

    fn fail(&mut self, id: FailedIdentity, name: Option<String>, at: Origin, why: Violations) {
        self.failed.push(FailedBinding { id, name, at, why });
    }

    pub(super) fn take_organization(&mut self, org: &Organization) {
        let known = org.name.clone().map(SubjectId::Organization);
        match (known, split(org.found.clone())) {
            (Some(id), Ok(warnings)) => {
                let subject = Subject {
                    binding: org.name.clone().unwrap_or_default(),
                    context: Arc::new(SubjectData::new(org.context())),
                    placed_on: org.placed_on.clone(),
                    claims: clashes::claims_of_organization(org),
                    at: org.at.clone(),
                    warnings,
                    id,
                };
                self.organizations.insert(subject.binding.clone(), subject);
            }
            (id, found) => {
                let id = id.map_or(FailedIdentity::Kind(BindingKind::Organization), FailedIdentity::Subject);
                self.fail(id, org.name.clone(), org.at.clone(), found.unwrap_or_else(|why| why));
            }
        }
    }

    pub(super) fn take_tenant(&mut self, mut tenant: Tenant) {
        let organization = tenant.organization.as_ref().map(|o| o.text.clone());
        if let Some(org) = &organization
            && !self.organizations.contains_key(org)
            && !tenant.found.iter().any(Violation::is_error)
        {
            tenant.found.push(
                Violation::error(format!("its Organization `{org}` has failed, and a tenant waits for it"))
                    .at(tenant.at.clone())
                    .hint("mend the Organization"),
            );
        }
        let known = organization.as_deref().and_then(|o| tenant.id(o));
        let name = tenant.name.clone();
        match (known, split(std::mem::take(&mut tenant.found))) {
            (Some(id), Ok(warnings)) => {
                let subject = Subject {
                    binding: tenant.binding.clone(),
                    context: Arc::new(tenant.data.unwrap_or_else(|| SubjectData::new(Value::Null))),
                    claims: tenant.claims,
                    placed_on: tenant.placed_on,
                    at: tenant.at,
                    warnings,
                    id,
                };
                self.tenants.insert(name.unwrap_or_default(), subject);
            }
            (id, found) => {
                let id = id.map_or(FailedIdentity::Kind(BindingKind::RepoBinding), FailedIdentity::Subject);
                self.fail(id, name.or(Some(tenant.binding)), tenant.at, found.unwrap_or_else(|why| why));
            }
        }
    }

    pub(super) fn take_knowledge_base(&mut self, base: KnowledgeBase) {
        let known = base.name.clone().map(SubjectId::KnowledgeBase);
        let context = Arc::new(SubjectData::new(base.context()));
        let claims = clashes::claims_of_knowledge_base(&base);
        match (known, split(base.found)) {
            (Some(id), Ok(warnings)) => {
                let name = base.name.unwrap_or_default();
                let subject = Subject {
                    id,
                    binding: name.clone(),
                    context,
                    placed_on: base.placed_on,
                    claims,
                    at: base.at,
                    warnings,
                };
                self.knowledge_bases.insert(name, subject);
            }
            (id, found) => {
                let id = id.map_or(FailedIdentity::Kind(BindingKind::KnowledgeBase), FailedIdentity::Subject);
                self.fail(id, base.name, base.at, found.unwrap_or_else(|why| why));
            }
        }
    }

    /// While a binding's identity is unknown, nothing of its kind or below goes.
    pub(super) fn decide_deletions(&mut self) {
        for failed in &self.failed {
            let may = &mut self.may_delete;
            match failed.id {
                FailedIdentity::Subject(_) => {}
                FailedIdentity::Kind(BindingKind::Organization) => {
                    may.organizations = false;
                    may.tenants = false;
                }
                FailedIdentity::Kind(BindingKind::RepoBinding) => may.tenants = false,
                FailedIdentity::Kind(BindingKind::KnowledgeBase) => may.knowledge_bases = false,
                FailedIdentity::Unknown => {
                    *may = MayDelete { organizations: false, tenants: false, knowledge_bases: false };
                }
            }
        }
    }
}
