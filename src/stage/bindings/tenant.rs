//! Reads a RepoBinding, in today's form or an older one, and checks it alone.

use super::fields::{Fields, Placed};
use super::metadata::{Head, PREFIX};
use super::pipeline::Pipeline;
use super::{BindingDocument, BindingRules, Claim, SubjectData, names, organization};
use crate::error::{Origin, Violation, Violations};
use crate::model::binding::{DEFAULT_DISPATCHER, Profile, RepoBindingSpec};
use crate::model::id::{ClusterId, SubjectId};
use crate::redact::redact;
use crate::suggest::did_you_mean;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The namespace and name of the Pipeline that an older binding without pipelineSpec runs.
const CATALOG_NAMESPACE: &str = "pipeline-catalog";
const CATALOG_PIPELINE: &str = "cdktf-deploy-pipeline";

/// A RepoBinding as read.
pub struct Tenant {
    /// `metadata.name`.
    pub binding: String,
    /// The tenant's name, if it has a usable one.
    pub name: Option<String>,
    /// The organization it names; an older form may name none.
    pub organization: Option<Placed>,
    /// Where it stands.
    pub at: Origin,
    /// Its annotations.
    pub annotations: BTreeMap<String, Placed>,
    /// Its spec, as far as it could be read.
    pub spec: RepoBindingSpec,
    /// True if it is written in an older form.
    pub older: bool,
    /// Its Pipeline.
    pub pipeline: Option<Pipeline>,
    /// The Pipeline that a push runs, as namespace and name.
    pub runs: (String, String),
    /// The branch whose pushes count.
    pub branch: String,
    /// The folder that Argo CD deploys for it, if it names one.
    pub deploy_path: Option<String>,
    /// All that is wrong or worth saying.
    pub found: Violations,
    /// The clusters it is placed on.
    pub placed_on: Vec<ClusterId>,
    /// What templates see of it, once all is read.
    pub data: Option<SubjectData>,
    /// What it claims outside itself, once it is placed.
    pub claims: Vec<Claim>,
}

/// Reads one RepoBinding.
pub fn read(document: &BindingDocument, head: Head, rules: &BindingRules, mut found: Violations) -> Tenant {
    let mut tenant = Tenant {
        binding: head.name.as_ref().map(|n| n.text.clone()).unwrap_or_default(),
        name: None,
        organization: None,
        at: head.at.clone(),
        annotations: head.annotations,
        spec: RepoBindingSpec::default(),
        older: false,
        pipeline: None,
        runs: (String::new(), String::new()),
        branch: rules.branch.clone(),
        deploy_path: None,
        found: Violations::new(),
        placed_on: Vec::new(),
        data: None,
        claims: Vec::new(),
    };
    match document.node.get("spec") {
        None => found.push(Violation::error("spec is required").at(head.at).key("spec")),
        Some(node) => {
            if let Some(fields) = Fields::open(node, &document.file, "spec", &mut found) {
                tenant.read_spec(fields, rules, &mut found);
            }
        }
    }
    tenant.read_annotations(&mut found);
    tenant.found = found;
    tenant
}

impl Tenant {
    fn read_spec(&mut self, mut fields: Fields<'_>, rules: &BindingRules, found: &mut Violations) {
        self.older = ["tenantName", "permissionProfile", "ingressHost"].iter().any(|k| fields.has(k));
        self.read_organization(&mut fields, found);
        self.read_repository(&mut fields, rules, found);
        let pipeline_name = self.read_name(&mut fields, rules, found);
        self.read_pipeline(&mut fields, pipeline_name, rules, found);
        self.read_dispatcher(&mut fields, rules, found);
        self.read_older_fields(&mut fields, rules, found);
        fields.finish(found);
    }

    fn read_organization(&mut self, fields: &mut Fields<'_>, found: &mut Violations) {
        let name =
            if self.older { fields.text("aphexOrg", found) } else { fields.required("aphexOrg", found) };
        let Some(name) = name.filter(|n| !n.text.is_empty()) else { return };
        if !names::is_dns_label(&name.text) || name.text.len() > names::ORGANIZATION {
            found.push(
                name.error("aphexOrg must be a valid Kubernetes name (lowercase alphanumeric and hyphens)")
                    .hint(format!(
                        "at most {} characters, with a letter or digit at both ends",
                        names::ORGANIZATION
                    )),
            );
            return;
        }
        self.spec.aphex_org = Some(name.text.clone());
        self.organization = Some(name);
    }

    fn read_repository(&mut self, fields: &mut Fields<'_>, rules: &BindingRules, found: &mut Violations) {
        if let Some(org) = fields.required("repoOrg", found) {
            if !names::is_github_organization(&org.text) {
                found.push(org.error("repoOrg must be a valid GitHub organization name"));
            } else if !rules.allows_organization(&org.text) {
                let approved = rules.approved_organizations.clone().unwrap_or_default().join(", ");
                found.push(
                    org.error(format!("Repository organization '{}' not in approved list", org.text)).hint(
                        format!("approved: {approved} (`tenants.approvedOrganizations` in hydrant.yaml)"),
                    ),
                );
            }
            self.spec.repo_org = org.text;
        }
        if let Some(name) = fields.required("repoName", found) {
            if !names::is_github_repository(&name.text) {
                found.push(name.error("repoName must be a valid GitHub repository name"));
            }
            self.spec.repo_name = name.text;
        }
    }

    /// Reads the tenant's name; returns the Pipeline's where an older form gives it another.
    fn read_name(
        &mut self,
        fields: &mut Fields<'_>,
        rules: &BindingRules,
        found: &mut Violations,
    ) -> Option<Placed> {
        let tenant = fields.text("tenantName", found).filter(|t| !t.text.is_empty());
        let pipeline = if tenant.is_some() {
            fields.text("pipelineName", found).filter(|t| !t.text.is_empty())
        } else {
            fields.required("pipelineName", found)
        };
        let name = tenant.clone().or_else(|| pipeline.clone())?;
        let key = if tenant.is_some() { "tenantName" } else { "pipelineName" };
        if check_tenant_name(&name, key, rules, found) {
            self.name = Some(name.text);
        }
        let other = pipeline.filter(|p| tenant.is_some() && self.name.as_deref() != Some(p.text.as_str()));
        if let Some(other) = &other {
            if !names::is_dns_label(&other.text) {
                found.push(other.error(
                    "pipelineName must be a valid Kubernetes name (lowercase alphanumeric and hyphens)",
                ));
            }
            if fields.has("pipelineSpec") {
                found.push(
                    other
                        .error("tenantName and pipelineName differ, and a tenant's Pipeline has the tenant's name")
                        .hint("give both the same name"),
                );
            }
        }
        other
    }

    fn read_pipeline(
        &mut self,
        fields: &mut Fields<'_>,
        pipeline_name: Option<Placed>,
        rules: &BindingRules,
        found: &mut Violations,
    ) {
        let text = if self.older {
            fields.text("pipelineSpec", found).filter(|t| !t.text.is_empty())
        } else {
            fields.required("pipelineSpec", found)
        };
        let tenant = self.name.clone().unwrap_or_default();
        self.runs = match &text {
            Some(_) => (tenant.clone(), tenant),
            None => {
                (CATALOG_NAMESPACE.into(), pipeline_name.map_or_else(|| CATALOG_PIPELINE.into(), |p| p.text))
            }
        };
        if let Some(text) = text {
            self.pipeline = Pipeline::read(text, self.name.as_deref(), &rules.checked, found);
        }
    }

    fn read_dispatcher(&mut self, fields: &mut Fields<'_>, rules: &BindingRules, found: &mut Violations) {
        let given = fields.text("templateRef", found).filter(|t| !t.text.is_empty());
        let Some(given) = given else {
            if self.older {
                self.spec.template_ref = Some(DEFAULT_DISPATCHER.into());
            } else {
                found.push(
                    fields
                        .error("templateRef", "Template reference is required")
                        .hint(format!("write `templateRef: {DEFAULT_DISPATCHER}`")),
                );
            }
            return;
        };
        if !rules.dispatchers.contains(&given.text) {
            let mut v = given.error(format!(
                "Template \"{}\" not found in catalog (available: [{}])",
                redact(&given.text),
                rules.dispatchers.join(" ")
            ));
            v.hint = did_you_mean(&given.text, rules.dispatchers.iter().map(String::as_str));
            found.push(v);
        }
        self.spec.template_ref = Some(given.text);
    }

    fn read_older_fields(&mut self, fields: &mut Fields<'_>, rules: &BindingRules, found: &mut Violations) {
        if let Some(profile) = fields.text("permissionProfile", found).filter(|p| !p.text.is_empty()) {
            self.spec.permission_profile = read_profile(&profile, found);
        }
        if let Some(host) = fields.text("ingressHost", found).filter(|h| !h.text.is_empty()) {
            organization::check_host(&host, &host.text, rules, found);
            self.spec.ingress_host = Some(host.text);
        }
    }

    fn read_annotations(&mut self, found: &mut Violations) {
        if let Some(profile) = self.annotations.get("permission-profile") {
            let named = read_profile(profile, found);
            if self.spec.permission_profile.is_some() && self.spec.permission_profile != named {
                found
                    .push(profile.error("the annotation and spec.permissionProfile name different profiles"));
            }
            self.spec.permission_profile = named;
        }
        if let Some(branch) = self.annotations.get("branch") {
            // The branch enters a CEL expression as a literal, so quotes are out, too.
            if !names::is_branch(&branch.text)
                || branch.text.contains(['\'', '"', '`'])
                || !branch.text.is_ascii()
            {
                found.push(branch.error(format!("invalid branch name '{}'", redact(&branch.text))));
            }
            self.branch = branch.text.clone();
        }
        if let Some(path) = self.annotations.get("deploy-path") {
            if !names::is_inside_path(&path.text) {
                found.push(
                    path.error("the path must name a folder inside the repository")
                        .hint("write it like `deploy/prod`: relative, without `.` and `..`"),
                );
            }
            self.deploy_path = Some(path.text.clone());
        }
        if let Some(egress) = self.annotations.get("egress")
            && egress.text != "anywhere"
        {
            found.push(
                egress
                    .error("the only value is `anywhere`")
                    .hint(format!("remove `{PREFIX}egress` to keep the profile's rules")),
            );
        }
    }

    /// Returns its identity, once it has an organization.
    pub fn id(&self, organization: &str) -> Option<SubjectId> {
        let tenant = self.name.clone()?;
        Some(SubjectId::Tenant { organization: organization.to_owned(), tenant })
    }

    /// Returns the repository as `organization/name`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.spec.repo_org, self.spec.repo_name)
    }

    /// Returns the permission profile.
    pub fn profile(&self) -> Profile {
        self.spec.permission_profile.unwrap_or_default()
    }

    /// Makes what templates see as `tenant`; its Pipeline goes there.
    pub fn make_data(&mut self, rules: &BindingRules) {
        self.data = Some(SubjectData::of_tenant(self.context(rules), self.pipeline.take()));
    }

    /// Returns what templates see as `tenant`, but for its Pipeline.
    fn context(&self, rules: &BindingRules) -> Value {
        let (org, repo) = (&self.spec.repo_org, &self.spec.repo_name);
        let url = format!("https://github.com/{org}/{repo}");
        let name = self.name.clone().unwrap_or_default();
        let own_listener = self.spec.ingress_host.is_some();
        json!({
            "name": name,
            "namespace": name,
            "binding": self.binding,
            "ownerLabel": names::label_value(&self.binding),
            "repository": {
                "org": org,
                "name": repo,
                "fullName": self.repository(),
                "url": url,
                "cloneUrl": format!("{url}.git"),
                "label": names::repository_label(org, repo),
            },
            "profile": self.profile().name(),
            "branch": self.branch,
            "templateRef": self.spec.template_ref,
            "pipeline": null,
            "runs": {"namespace": self.runs.0, "name": self.runs.1},
            "ownListener": own_listener,
            "ingressHost": self.spec.ingress_host,
            "deployPath": self.deploy_path,
            "egressAnywhere": self.annotations.contains_key("egress"),
            "namespaceWildcard": rules.namespace_wildcard,
        })
    }

    /// Returns the notice that shows an older form in today's.
    pub fn conversion(&self, organization: &str, rules: &BindingRules) -> Option<Violation> {
        if !self.older {
            return None;
        }
        let mut annotations: Map<String, Value> = self
            .annotations
            .iter()
            .map(|(k, v)| (format!("{PREFIX}{k}"), Value::String(v.text.clone())))
            .collect();
        if self.profile() == Profile::Elevated {
            annotations.insert(format!("{PREFIX}permission-profile"), json!("elevated"));
        }
        let mut metadata = json!({"name": self.binding, "namespace": rules.platform_namespace});
        if !annotations.is_empty() {
            metadata["annotations"] = Value::Object(annotations);
        }
        let form = json!({
            "apiVersion": crate::model::binding::BINDING_API,
            "kind": "RepoBinding",
            "metadata": metadata,
            "spec": {
                "aphexOrg": organization,
                "repoOrg": self.spec.repo_org,
                "repoName": self.spec.repo_name,
                "pipelineName": self.name,
                "templateRef": self.spec.template_ref,
                "pipelineSpec": "… the Tekton Pipeline, as text …",
            },
        });
        let mut missing = Vec::new();
        if self.pipeline.is_none() {
            missing.push("it has no pipelineSpec, so no Pipeline and no Trigger are made");
        }
        if self.spec.ingress_host.is_some() {
            missing.push("its own listener and Ingress go with ingressHost; today's form uses the organization's listener");
        }
        let because = missing.iter().map(|m| format!("; {m}")).collect::<String>();
        Some(
            Violation::notice(format!("this RepoBinding is in an older form{because}"))
                .at(self.at.clone())
                .hint(format!("today's form:\n{}", crate::yaml::write(&form).trim_end())),
        )
    }
}

fn read_profile(given: &Placed, found: &mut Violations) -> Option<Profile> {
    let profile = Profile::from_name(&given.text);
    if profile.is_none() {
        found.push(given.error("Permission profile must be 'standard' or 'elevated'"));
    }
    profile
}

/// Checks a tenant's name, which becomes a namespace; false if it cannot even name a folder.
fn check_tenant_name(name: &Placed, key: &str, rules: &BindingRules, found: &mut Violations) -> bool {
    let shown = redact(&name.text);
    if !names::is_lower_name(&name.text) {
        found.push(name.error("Namespace name must match pattern ^[a-z0-9-]+$"));
        return false;
    }
    if name.text.len() > names::LABEL {
        found.push(
            name.error(format!("{key} is longer than {} characters", names::LABEL))
                .hint("it is a namespace, and a namespace has at most 63"),
        );
        return false;
    }
    if !names::is_dns_label(&name.text) {
        found.push(
            name.error(format!("{key} must be a valid Kubernetes name (lowercase alphanumeric and hyphens)"))
                .hint("it must begin and end with a letter or digit"),
        );
        return false;
    }
    if rules.is_reserved(&name.text) {
        found
            .push(name.error(format!("Cannot create namespace with privileged name '{shown}'")).hint(
                "choose a name that is not the platform's, Kubernetes' or an organization's (`org-…`)",
            ));
    }
    if rules.namespace_wildcard
        && let Some(reached) = rules.reserved_under(&name.text)
    {
        found.push(
            name.error(format!("with `tenants.namespaceWildcard` the tenant would reach `{reached}`"))
                .hint("choose another name"),
        );
    }
    true
}
