//! A cluster: what its cluster.yaml says, and what follows from that.
//!
//! The rules are those of the clusters repository that the format comes from, kept as they
//! are for `aws`. `crc`, `kind` and `none` are ours: clusters without a cloud account.

use super::id::ClusterId;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One cluster of the fleet (`clusters/**/cluster.yaml`).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Hydrant cluster", transform = cloud_fields_on_aws)]
pub struct ClusterFile {
    /// The cluster's identity in the fleet; its folder should have the same name.
    #[schemars(length(min = 1), regex(pattern = r"^[a-z0-9-]+$"))]
    pub name: String,
    /// A label for people; `gitops.env` selects the overlay.
    #[schemars(length(min = 1))]
    pub env: String,
    /// Where the cluster runs.
    pub platform: Platform,
    /// Its domain.
    pub dns: Dns,
    /// Its OpenShift version and size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Openshift")]
    pub openshift: Option<Openshift>,
    /// How it reaches its cloud account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Credentials")]
    pub credentials: Option<Credentials>,
    /// The repository that its manifests are delivered to, and the overlay.
    pub gitops: Gitops,
}

/// Where a cluster runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// The kind of platform.
    #[serde(rename = "type")]
    pub kind: PlatformType,
    /// The cloud account: 12 digits, in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^[0-9]{12}$"))]
    pub account_id: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: Option<String>,
    /// The availability zones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), inner(length(min = 1), regex(pattern = r"^[a-z0-9-]+$")))]
    pub zones: Vec<String>,
}

/// The kinds of platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlatformType {
    /// Amazon Web Services.
    Aws,
    /// OpenShift Local.
    Crc,
    /// Kubernetes in containers.
    Kind,
    /// Any other Kubernetes.
    None,
}

/// A cluster's domain.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The domain under which the cluster's own name stands.
    #[schemars(length(min = 1), regex(pattern = r"^[a-z0-9.-]+$"))]
    pub base_domain: String,
    /// The Route 53 zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), regex(pattern = r"^Z[A-Z0-9]+$"))]
    pub hosted_zone_id: Option<String>,
}

/// A cluster's OpenShift version and size.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Openshift {
    /// The version, in quotes: `4.20` without them is the number 4.2.
    #[schemars(length(min = 1), regex(pattern = r"^[0-9]+\.[0-9]+(\.[0-9]+)?$"))]
    pub version: String,
    /// The newest minor version allowed, in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), regex(pattern = r"^[0-9]+\.[0-9]+$"))]
    pub max_minor: Option<String>,
    /// How many control plane nodes.
    #[schemars(range(min = 1))]
    pub control_plane_replicas: i64,
    /// How many workers.
    #[schemars(range(min = 0))]
    pub compute_replicas: i64,
    /// The control plane's machine type.
    #[schemars(length(min = 1))]
    pub instance_type_control_plane: String,
    /// The workers' machine type.
    #[schemars(length(min = 1))]
    pub instance_type_compute: String,
    /// How workers are bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ComputeMarket")]
    pub compute_market: Option<ComputeMarket>,
}

/// How workers are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComputeMarket {
    /// At the list price.
    OnDemand,
    /// Interruptible.
    Spot,
}

/// How a cluster reaches its cloud account.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The profile of the AWS tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub aws_profile: Option<String>,
    /// The mode of the cloud credential operator.
    pub cco_mode: CcoMode,
}

/// The modes of the cloud credential operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CcoMode {
    /// It makes users.
    Mint,
    /// Short-lived tokens, set up by hand.
    ManualSts,
}

/// Where a cluster's manifests go.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gitops {
    /// The repository, as Argo CD reaches it.
    #[schemars(length(min = 1), extend("format" = "uri"))]
    pub repo_url: String,
    /// The branch.
    #[schemars(length(min = 1))]
    pub repo_ref: String,
    /// The environment: which overlay applies.
    #[schemars(length(min = 1), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub env: String,
}

/// Requires the cloud's fields where there is a cloud.
fn cloud_fields_on_aws(schema: &mut Schema) {
    schema.insert(
        "if".into(),
        json!({"properties": {"platform": {"properties": {"type": {"const": "aws"}}, "required": ["type"]}}, "required": ["platform"]}),
    );
    schema.insert(
        "then".into(),
        json!({"required": ["openshift", "credentials"], "properties": {"platform": {"required": ["account_id", "region", "zones"]}}}),
    );
}

/// Returns the JSON Schema (draft-07) of a type.
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator: SchemaGenerator =
        SchemaSettings::draft07().with(|s| s.inline_subschemas = true).into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// Returns the schema of a cluster.yaml by the original rules alone (`--strict-compat`): `aws`
/// only, the three first environments, every cloud field required.
pub fn compat_schema() -> Value {
    let mut schema = schema_of::<ClusterFile>();
    if let Some(root) = schema.as_object_mut() {
        root.remove("if");
        root.remove("then");
    }
    schema["required"] = json!(["name", "env", "platform", "dns", "openshift", "credentials", "gitops"]);
    schema["properties"]["platform"]["required"] = json!(["type", "account_id", "region", "zones"]);
    schema["properties"]["platform"]["properties"]["type"] = json!({"type": "string", "enum": ["aws"]});
    schema["properties"]["gitops"]["properties"]["env"] =
        json!({"type": "string", "enum": ["local", "sno", "prod"]});
    schema
}

impl ClusterFile {
    /// Returns the cluster's identity.
    pub fn id(&self) -> ClusterId {
        ClusterId { env: self.gitops.env.clone(), name: self.name.clone() }
    }

    /// Returns the domain of the cluster's routes: `apps.<name>.<base_domain>`, and on
    /// OpenShift Local `apps-<name>.<base_domain>` (its own is `apps-crc.testing`).
    pub fn apps_domain(&self) -> String {
        let separator = if self.platform.kind == PlatformType::Crc { '-' } else { '.' };
        format!("apps{separator}{}.{}", self.name, self.dns.base_domain)
    }

    /// Returns the API server's address from outside.
    pub fn api_url(&self) -> String {
        // OpenShift Local keeps to the form too: api.crc.testing.
        format!("https://api.{}.{}:6443", self.name, self.dns.base_domain)
    }

    /// Returns true on OpenShift, which fixes some namespaces.
    pub fn is_openshift(&self) -> bool {
        matches!(self.platform.kind, PlatformType::Aws | PlatformType::Crc)
    }
}
