//! What the platform allows: settings and the dispatcher catalog, resolved once.

use super::data::Checked;
use crate::model::binding::{DEFAULT_DISPATCHER, PlainSecret, TenantSettings};
use std::sync::Arc;

/// Names that belong to the platform or to Kubernetes. The first nine are the original
/// controller's, the next two its admission's; the others are namespaces that the platform's
/// own components take.
const RESERVED: [&str; 20] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "default",
    "pipeline-system",
    "pipeline-catalog",
    "auth-system",
    "tekton-pipelines",
    "tekton-pipelines-resolvers",
    "argocd",
    "platform-system",
    "cert-manager",
    "external-secrets",
    "ingress-nginx",
    "ingress-system",
    "vault",
    "openshift",
    "istio-system",
    "applications",
    "hydrant",
];

/// Prefixes that belong to organizations, Kubernetes and OpenShift.
const RESERVED_PREFIXES: [&str; 3] = ["org-", "kube-", "openshift-"];

/// What the platform allows in bindings.
#[derive(Clone, Debug, PartialEq)]
pub struct BindingRules {
    /// GitHub organizations whose repositories may be bound; none means all.
    pub approved_organizations: Option<Vec<String>>,
    /// Zones in which webhook hosts may lie; none means all.
    pub approved_zones: Option<Vec<String>>,
    /// The zone of an organization's webhook host.
    pub webhook_zone: Option<String>,
    /// Hosts of repositories that knowledge bases may track.
    pub repository_hosts: Vec<String>,
    /// Names that no tenant may take, besides the built-in ones.
    pub reserved_names: Vec<String>,
    /// The namespace that Organizations and RepoBindings stand in.
    pub platform_namespace: String,
    /// The branch whose pushes start a run.
    pub branch: String,
    /// Whether AppProjects reach `<tenant>-*`.
    pub namespace_wildcard: bool,
    /// What becomes of a `webhookSecret` in plain text.
    pub plain_webhook_secret: PlainSecret,
    /// The dispatchers of the catalog (`templates/tenants/dispatchers/<name>`), sorted.
    pub dispatchers: Vec<String>,
    /// Texts that need not be read to know that nothing is wrong with them.
    pub checked: Arc<Checked>,
}

impl BindingRules {
    /// Fills in the defaults. `dispatchers` are the names below `dispatchers/` in the catalog.
    pub fn new(settings: &TenantSettings, dispatchers: impl IntoIterator<Item = String>) -> Self {
        let mut dispatchers: Vec<String> = dispatchers.into_iter().collect();
        dispatchers.sort();
        dispatchers.dedup();
        let lower = |list: &Vec<String>| list.iter().map(|s| s.to_ascii_lowercase()).collect::<Vec<_>>();
        Self {
            approved_organizations: settings.approved_organizations.as_ref().map(lower),
            approved_zones: settings.approved_zones.as_ref().map(lower),
            webhook_zone: settings.webhook_zone.as_ref().map(|z| z.to_ascii_lowercase()),
            repository_hosts: settings
                .repository_hosts
                .as_ref()
                .map_or_else(|| vec!["github.com".into()], lower),
            reserved_names: settings.reserved_names.clone(),
            platform_namespace: settings
                .platform_namespace
                .clone()
                .unwrap_or_else(|| "platform-system".into()),
            branch: settings.branch.clone().unwrap_or_else(|| "main".into()),
            namespace_wildcard: settings.namespace_wildcard,
            plain_webhook_secret: settings.plain_webhook_secret,
            dispatchers,
            checked: Arc::default(),
        }
    }

    /// Returns true for a name that no tenant may take. Unlike the original's, the rule takes
    /// exact names and three prefixes, so that `default-app` is free.
    pub fn is_reserved(&self, name: &str) -> bool {
        self.is_reserved_exactly(name) || RESERVED_PREFIXES.iter().any(|p| name.starts_with(p))
    }

    /// Returns true for a name that stands in the list itself.
    pub fn is_reserved_exactly(&self, name: &str) -> bool {
        RESERVED.contains(&name)
            || name == self.platform_namespace
            || self.reserved_names.iter().any(|r| r == name)
    }

    /// Returns a reserved name or prefix that the wildcard `<tenant>-*` would reach.
    pub fn reserved_under(&self, tenant: &str) -> Option<String> {
        let under = format!("{tenant}-");
        RESERVED
            .iter()
            .copied()
            .chain(RESERVED_PREFIXES)
            .chain(self.reserved_names.iter().map(String::as_str))
            .find(|name| name.starts_with(&under))
            .map(str::to_owned)
    }

    /// Returns true if a webhook host lies in an approved zone.
    pub fn allows_host(&self, host: &str) -> bool {
        self.approved_zones.as_ref().is_none_or(|zones| {
            zones
                .iter()
                .any(|z| host == z || host.strip_suffix(z.as_str()).is_some_and(|rest| rest.ends_with('.')))
        })
    }

    /// Returns true if repositories of a GitHub organization may be bound.
    pub fn allows_organization(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.approved_organizations.as_ref().is_none_or(|all| all.contains(&name))
    }
}

impl Default for BindingRules {
    fn default() -> Self {
        Self::new(&TenantSettings::default(), [DEFAULT_DISPATCHER.to_owned()])
    }
}
