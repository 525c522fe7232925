//! The typed platform settings in values: `vault` and `argocd`.
//!
//! Unset keys are derived from the cluster, so that a value stands only where it differs.

use super::cluster::ClusterFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `vault:` in values, as written: every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VaultValues {
    /// The address of the Vault API; empty when the cluster uses none.
    pub address: Option<String>,
    /// The address of the API server as Vault reaches it.
    pub kubernetes_host: Option<String>,
    /// The auth mount, without `auth/`; it serves this cluster alone.
    pub kubernetes_mount: Option<String>,
    /// The role with which the config operator logs in.
    pub connection_role: Option<String>,
    /// The role with which workloads read.
    pub role_name: Option<String>,
    /// The policy of that role.
    pub policy_name: Option<String>,
    /// The KV v2 mount that holds the secrets.
    pub kv_mount: Option<String>,
    /// The ServiceAccount that logs in, in each namespace.
    pub service_account: Option<String>,
    /// How long a token of the role lives, in seconds.
    #[serde(rename = "tokenTTL")]
    pub token_ttl: Option<i64>,
    /// The Secret with a private CA (key `ca.crt`) in each namespace.
    pub ca_cert_secret: Option<String>,
    /// How often secrets are read again: a number and one unit, `60s`, `5m`, `1h`.
    pub refresh_after: Option<String>,
}

/// `argocd:` in values, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ArgocdValues {
    /// The URL of the Argo CD server that syncs this cluster.
    pub api: Option<String>,
    /// The namespace of the Applications.
    pub namespace: Option<String>,
    /// The name of the Argo CD instance; clusters that share one must not share names in it.
    pub instance: Option<String>,
    /// The API server that Applications deploy to.
    pub destination: Option<String>,
    /// The AppProject of the root and layer Applications.
    pub bootstrap_project: Option<String>,
    /// The AppProject of all other Applications.
    pub project: Option<String>,
    /// More repositories that the AppProject allows.
    pub source_repos: Option<Vec<String>>,
    /// `auto` or `manual`, for the whole cluster.
    pub sync: Option<SyncMode>,
    /// Names of Applications.
    pub application_name: ApplicationNames,
}

/// Patterns of Application names; `{component}`, `{env}`, `{cluster}`, `{tenant}`, `{org}`, `{kb}`
/// and `{layer}` are filled in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApplicationNames {
    /// Of a cluster-scoped component.
    pub component: Option<String>,
    /// Of a tenant.
    pub tenant: Option<String>,
    /// Of an organization.
    pub organization: Option<String>,
    /// Of a knowledge base.
    pub knowledgebase: Option<String>,
    /// Of a layer.
    pub layer: Option<String>,
    /// Of the app of apps.
    pub root: Option<String>,
}

/// Who starts a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// Argo CD, when it sees a change.
    Auto,
    /// Hydrant or a person.
    Manual,
}

/// The Vault settings of one cluster, all resolved.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vault {
    /// See [`VaultValues`]; empty when the cluster uses none.
    pub address: String,
    /// Whether that address is a Service of this very cluster.
    pub in_cluster: bool,
    /// The API server as Vault reaches it.
    pub kubernetes_host: String,
    /// The auth mount.
    pub kubernetes_mount: String,
    /// The config operator's role.
    pub connection_role: String,
    /// The workloads' role.
    pub role_name: String,
    /// Its policy.
    pub policy_name: String,
    /// The KV mount.
    pub kv_mount: String,
    /// The ServiceAccount that logs in.
    pub service_account: String,
    /// Seconds.
    #[serde(rename = "tokenTTL")]
    pub token_ttl: i64,
    /// The Secret with a private CA, or empty.
    pub ca_cert_secret: String,
    /// How often secrets are read again.
    pub refresh_after: String,
}

/// The Argo CD settings of one cluster, all resolved.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Argocd {
    /// The server's URL, or empty.
    pub api: String,
    /// The namespace of the Applications.
    pub namespace: String,
    /// The instance; empty means the cluster's own.
    pub instance: String,
    /// The API server that Applications deploy to.
    pub destination: String,
    /// Whether that is another cluster than the one Argo CD stands on: a hub's.
    pub remote: bool,
    /// The AppProject of root and layer Applications.
    pub bootstrap_project: String,
    /// The AppProject of all others.
    pub project: String,
    /// More repositories that the AppProject allows.
    pub source_repos: Vec<String>,
    /// Who starts a sync.
    pub sync: SyncMode,
    /// The names' patterns, resolved.
    pub application_name: ResolvedNames,
}

/// The patterns of Application names, all set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResolvedNames {
    /// Of a cluster-scoped component.
    pub component: String,
    /// Of a tenant.
    pub tenant: String,
    /// Of an organization.
    pub organization: String,
    /// Of a knowledge base.
    pub knowledgebase: String,
    /// Of a layer.
    pub layer: String,
    /// Of the app of apps.
    pub root: String,
}

/// The API server's address inside every cluster.
pub const IN_CLUSTER: &str = "https://kubernetes.default.svc";

impl VaultValues {
    /// Fills in what is not set, from the cluster (`DESIGN.md`, Vault).
    pub fn resolve(self, cluster: &ClusterFile) -> Vault {
        let address = self.address.unwrap_or_default();
        let in_cluster = is_in_cluster(&address);
        let mount = self.kubernetes_mount.unwrap_or_else(|| format!("kubernetes-{}", cluster.gitops.env));
        let role = self.role_name.unwrap_or_else(|| role_of_mount(&mount));
        let own_host = if in_cluster { IN_CLUSTER.to_owned() } else { cluster.api_url() };
        Vault {
            in_cluster,
            kubernetes_host: self.kubernetes_host.unwrap_or(own_host),
            policy_name: self.policy_name.unwrap_or_else(|| role.clone()),
            role_name: role,
            kubernetes_mount: mount,
            connection_role: self.connection_role.unwrap_or_else(|| "kube-auth".into()),
            kv_mount: self.kv_mount.unwrap_or_else(|| "gitops".into()),
            service_account: self.service_account.unwrap_or_else(|| "default".into()),
            token_ttl: self.token_ttl.unwrap_or(3600),
            ca_cert_secret: self.ca_cert_secret.unwrap_or_default(),
            refresh_after: self.refresh_after.unwrap_or_else(|| "60s".into()),
            address,
        }
    }
}

/// Returns the role (and policy) of a mount: `kubernetes-X` gives `gitops-X`, another `M` gives `gitops-M`.
fn role_of_mount(mount: &str) -> String {
    format!("gitops-{}", mount.strip_prefix("kubernetes-").unwrap_or(mount))
}

/// Returns the host of a URL, lower case, without port.
pub fn host_of(address: &str) -> String {
    url::Url::parse(address).ok().and_then(|u| u.host_str().map(str::to_ascii_lowercase)).unwrap_or_default()
}

/// Returns true for an address that means the cluster's own Service.
pub fn is_in_cluster(address: &str) -> bool {
    let host = host_of(address);
    host.ends_with(".svc") || host.ends_with(".svc.cluster.local")
}

impl Argocd {
    /// Returns the API server for what stands beside Argo CD: Applications and AppProjects.
    pub fn beside(&self) -> &str {
        if self.remote { IN_CLUSTER } else { &self.destination }
    }
}

impl ArgocdValues {
    /// Fills in what is not set, from the cluster.
    pub fn resolve(self, cluster: &ClusterFile) -> Argocd {
        let env = &cluster.gitops.env;
        let namespace = if cluster.is_openshift() { "openshift-gitops" } else { "argocd" };
        let names = self.application_name;
        let or = |set: Option<String>, default: &str| set.unwrap_or_else(|| default.to_owned());
        let (instance, destination) = (self.instance.unwrap_or_default(), or(self.destination, IN_CLUSTER));
        Argocd {
            api: self.api.unwrap_or_default(),
            namespace: or(self.namespace, namespace),
            // A hub may serve the cluster it stands on too, at the address of every cluster's own.
            remote: !instance.is_empty() && !is_in_cluster(&destination),
            instance,
            destination,
            bootstrap_project: or(self.bootstrap_project, "default"),
            project: self.project.unwrap_or_else(|| format!("hydrant-{env}")),
            source_repos: self.source_repos.unwrap_or_default(),
            sync: self.sync.unwrap_or(SyncMode::Auto),
            application_name: ResolvedNames {
                component: or(names.component, "{component}-{env}"),
                tenant: or(names.tenant, "tenant-{tenant}-{env}"),
                organization: or(names.organization, "organization-{org}-{env}"),
                knowledgebase: or(names.knowledgebase, "knowledgebase-{kb}-{env}"),
                layer: or(names.layer, "{layer}-apps-{env}"),
                root: or(names.root, "root-{env}"),
            },
        }
    }
}
