//! Bindings: what a team writes to get an organization, a tenant or a knowledge base.
//!
//! The types give the schema for editors (`hydrant schema binding`) and carry what was read;
//! the rules that a schema cannot say are in [`crate::stage::bindings`]. Sources of the forms:
//! the three custom resources of `aphex.io/v1alpha1`, and the two older RepoBindings.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;

/// The API version of every binding.
pub const BINDING_API: &str = "aphex.io/v1alpha1";
/// Groups that earlier controllers used; read as [`BINDING_API`], with a notice.
pub const OLDER_APIS: [&str; 2] = ["arbiter.io/v1alpha1", "platform.arbiter.io/v1alpha1"];
/// The dispatcher that a binding gets when an older form names none.
pub const DEFAULT_DISPATCHER: &str = "run-pipeline-v1";

/// The kinds of binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum BindingKind {
    /// An organization.
    Organization,
    /// A tenant: one repository and its pipeline.
    RepoBinding,
    /// A knowledge base.
    KnowledgeBase,
}

impl BindingKind {
    /// All kinds.
    pub const ALL: [BindingKind; 3] =
        [BindingKind::Organization, BindingKind::RepoBinding, BindingKind::KnowledgeBase];

    /// Returns the `kind` of its documents.
    pub fn name(self) -> &'static str {
        match self {
            BindingKind::Organization => "Organization",
            BindingKind::RepoBinding => "RepoBinding",
            BindingKind::KnowledgeBase => "KnowledgeBase",
        }
    }

    /// Returns the kind of a `kind`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

impl fmt::Display for BindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One document of `bindings/**/*.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind")]
#[schemars(title = "Hydrant binding")]
pub enum BindingFile {
    /// An organization.
    Organization(Envelope<OrganizationSpec>),
    /// A tenant.
    RepoBinding(Envelope<RepoBindingSpec>),
    /// A knowledge base.
    KnowledgeBase(Envelope<KnowledgeBaseSpec>),
}

/// What stands around a spec.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// `aphex.io/v1alpha1`.
    pub api_version: String,
    /// Name, namespace and annotations.
    pub metadata: BindingMetadata,
    /// What is asked for.
    pub spec: T,
}

/// The metadata that counts; what a live object also carries is dropped with a warning.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingMetadata {
    /// The binding's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace: `platform-system` for organizations and tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// Labels, which Hydrant does not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations; those of `hydrant.dev/` are read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// `spec` of an Organization.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationSpec {
    /// The name for people.
    #[schemars(length(min = 1, max = 256))]
    pub display_name: String,
    /// The email addresses of its admins.
    #[schemars(length(min = 1), inner(length(min = 3)))]
    pub admin_users: Vec<String>,
    /// Must stay empty: a secret has no place in Git. The webhook's secret is a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 0))]
    pub webhook_secret: Option<String>,
}

/// `spec` of a RepoBinding: today's form (with `pipelineSpec`) or the older one (with `tenantName`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = one_of_two_forms)]
pub struct RepoBindingSpec {
    /// The Organization it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 59), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub aphex_org: Option<String>,
    /// The GitHub organization.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$"))]
    pub repo_org: String,
    /// The repository's name.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_.-]+$"))]
    pub repo_name: String,
    /// The tenant's name: its namespace and its Pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub pipeline_name: Option<String>,
    /// The dispatcher that makes a run of a push (`run-pipeline-v1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub template_ref: Option<String>,
    /// A Tekton Pipeline (`tekton.dev/v1`), as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub pipeline_spec: Option<String>,
    /// Older form: the tenant's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub tenant_name: Option<String>,
    /// Older form: `standard` or `elevated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Profile")]
    pub permission_profile: Option<Profile>,
    /// Older form: the host under which the tenant's own listener is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub ingress_host: Option<String>,
}

fn one_of_two_forms(schema: &mut Schema) {
    schema.insert(
        "anyOf".into(),
        json!([
            {"required": ["aphexOrg", "pipelineName", "templateRef", "pipelineSpec"]},
            {"required": ["tenantName"]}
        ]),
    );
}

/// What a tenant's ServiceAccount may do, and how much the tenant may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For most repositories.
    #[default]
    Standard,
    /// For infrastructure repositories.
    Elevated,
}

impl Profile {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Standard => "standard",
            Profile::Elevated => "elevated",
        }
    }

    /// Returns the profile of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Profile::Standard, Profile::Elevated].into_iter().find(|p| p.name() == name)
    }
}

/// `spec` of a KnowledgeBase.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnowledgeBaseSpec {
    /// The name for people.
    #[schemars(length(min = 1, max = 256))]
    pub display_name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// The repositories it tracks.
    #[schemars(length(min = 1))]
    pub repositories: Vec<TrackedRepository>,
    /// An MCP server for it; none when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "McpServer")]
    pub mcp: Option<McpServer>,
}

/// A repository that a knowledge base tracks.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrackedRepository {
    /// `https://github.com/<org>/<repository>`.
    #[schemars(extend("format" = "uri"))]
    pub url: String,
    /// The branch; `main` when left out.
    #[serde(default = "main_branch")]
    pub branch: String,
    /// Folders inside the repository; `.kiro/docs` when left out.
    #[serde(default = "docs_folder")]
    pub paths: Vec<String>,
}

/// Returns the branch that is meant when none is named.
pub fn main_branch() -> String {
    "main".into()
}

/// Returns the folders that are meant when none is named.
pub fn docs_folder() -> Vec<String> {
    vec![".kiro/docs".into()]
}

/// A knowledge base's MCP server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpServer {
    /// Its image.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Its port.
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i64,
    /// The query service; `http://query.<namespace>:8080` when left out.
    #[serde(default, rename = "queryServiceURL", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub query_service_url: Option<String>,
    /// How many pods.
    #[serde(default = "one_replica")]
    #[schemars(range(min = 1))]
    pub replicas: i64,
}

fn one_replica() -> i64 {
    1
}

/// `tenants:` in hydrant.yaml.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TenantSettings {
    /// GitHub organizations whose repositories may be bound; all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub approved_organizations: Option<Vec<String>>,
    /// DNS zones in which webhook hosts may lie; all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub approved_zones: Option<Vec<String>>,
    /// The zone of `<organization>.<zone>`, the webhook host of an organization with a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub webhook_zone: Option<String>,
    /// Hosts of the repositories that knowledge bases may track; `github.com` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub repository_hosts: Option<Vec<String>>,
    /// More names that no tenant may take.
    pub reserved_names: Vec<String>,
    /// The namespace that Organizations and RepoBindings stand in; `platform-system` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub platform_namespace: Option<String>,
    /// The branch whose pushes start a run, unless a binding names another; `main` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub branch: Option<String>,
    /// Let a tenant's AppProject reach the namespaces `<tenant>-*` too, as the original did.
    pub namespace_wildcard: bool,
    /// What becomes of a `webhookSecret` in plain text.
    pub plain_webhook_secret: PlainSecret,
}

/// What becomes of a secret that stands in a binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlainSecret {
    /// The binding is held.
    #[default]
    Refuse,
    /// It is dropped with a warning; for a fleet that is on its way.
    Drop,
}
