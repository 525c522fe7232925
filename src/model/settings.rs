//! `hydrant.yaml`: the fleet's settings. Every key has a default, a flag or a variable.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `hydrant.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(title = "Hydrant settings")]
pub struct Settings {
    /// The fleet's name, in the marks and trailers; `default` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub fleet: Option<String>,
    /// A folder inside the GitOps repository that holds all output; the root when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub path: Option<String>,
    /// Settings by environment.
    pub environments: BTreeMap<String, EnvironmentSettings>,
    /// Destinations that are judged for clusters that left, besides those of the clusters.
    pub destinations: Vec<DestinationSettings>,
    /// Deletions that need no flag: `cluster/<env>/<c>`, `organization/<o>`, `tenant/<t>`,
    /// `namespace/<ns>`, `application/<env>/<c>/<name>`, `objects/<env>/<c>`.
    pub allow_delete: Vec<String>,
    /// What tenants may do.
    pub tenants: super::binding::TenantSettings,
    /// The Argo CD servers.
    pub argocd: crate::edge::argocd::settings::RawArgoSettings,
    /// How repositories are reached.
    pub git: RepositorySettings,
    /// Who commits, and who signs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CommitSettings")]
    pub commit: Option<CommitSettings>,
}

/// Settings of one environment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EnvironmentSettings {
    /// How changes reach the branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Deliver")]
    pub deliver: Option<Deliver>,
    /// A branch that replaces `gitops.repo_ref` of the environment's clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub branch: Option<String>,
    /// What kind of server the merge requests are opened on; told by the host of github.com,
    /// gitlab.com and codeberg.org.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ForgeKind")]
    pub forge: Option<ForgeKind>,
    /// The base URL of that server's API, where it is not at the usual place of the
    /// repository's host: `https://git.example.com/api/v4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub forge_api: Option<String>,
    /// Whether bindings must name where they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Placement")]
    pub placement: Option<Placement>,
}

/// What kind of server holds merge requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// github.com or GitHub Enterprise.
    Github,
    /// gitlab.com or a GitLab of one's own.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
}

/// How changes reach a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deliver {
    /// A commit on the branch.
    Push,
    /// A merge request against it.
    MergeRequest,
}

/// Where a binding goes when it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// Everywhere.
    Everywhere,
    /// Nowhere: it must name the environment or the cluster.
    Explicit,
}

/// One destination.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationSettings {
    /// The repository.
    #[schemars(length(min = 1))]
    pub repo: String,
    /// The branch.
    #[schemars(length(min = 1))]
    pub branch: String,
}

/// How repositories are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RepositorySettings {
    /// Ask Git's credential helpers (`git credential fill`) where no credentials are set.
    pub credential_helper: bool,
    /// SSH host keys to trust, each as a line of a known_hosts file, unless a file is named.
    pub known_hosts: Vec<String>,
}

/// Who commits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CommitSettings {
    /// The author's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// The author's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub email: Option<String>,
    /// The committer, where it is not the author.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PersonSettings")]
    pub committer: Option<PersonSettings>,
    /// The SSH key that signs commits, as Git's `user.signingKey`: a file with a private or a
    /// public key, or `key::ssh-ed25519 …`; for a public key the agent signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1))]
    pub signing_key: Option<String>,
}

/// A person, or a program in its place.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PersonSettings {
    /// The name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The address.
    #[schemars(length(min = 1))]
    pub email: String,
}

impl Settings {
    /// Returns the fleet's name.
    pub fn fleet_name(&self) -> &str {
        self.fleet.as_deref().unwrap_or("default")
    }
}
