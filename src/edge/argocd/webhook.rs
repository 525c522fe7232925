//! Argo CD's own webhook: one post refreshes every Application of a repository and branch.
//!
//! Argo CD compares the repository by host and path only, so each form works for each
//! forge; what the form decides is which of its secrets has to match. No login is needed
//! there, so the token is not sent. The payloads hold what Argo CD's handler reads and no
//! list of files: with one it would leave Applications out by its own idea of their paths.

use crate::redact::Secret;
use hmac::{Hmac, Mac as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

/// Whose push event the post looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WebhookForm {
    /// GitHub: signed with `webhook.github.secret`.
    Github,
    /// GitLab: shows `webhook.gitlab.secret`.
    Gitlab,
    /// Gitea, Forgejo and Gogs: signed with `webhook.gogs.secret`.
    Gogs,
    /// Bitbucket Cloud: shows `webhook.bitbucket.uuid`.
    Bitbucket,
    /// Bitbucket Server and Data Center: signed with `webhook.bitbucketserver.secret`.
    BitbucketServer,
}

impl WebhookForm {
    /// Returns the form that a repository's host suggests; GitLab's for a host that says nothing.
    pub fn of_repository(repo_url: &str) -> Self {
        let (host, _) = host_and_path(repo_url);
        let host = host.to_lowercase();
        let named = |name: &str| host.split(['.', '-']).any(|label| label == name);
        if named("github") {
            WebhookForm::Github
        } else if ["gitea", "gogs", "forgejo", "codeberg"].into_iter().any(named) {
            WebhookForm::Gogs
        } else if host == "bitbucket.org" {
            WebhookForm::Bitbucket
        } else if named("bitbucket") {
            WebhookForm::BitbucketServer
        } else {
            WebhookForm::Gitlab
        }
    }

    /// Returns the key of Argo CD's Secret `argocd-secret` that holds what has to match.
    pub fn secret_key(self) -> &'static str {
        match self {
            WebhookForm::Github => "webhook.github.secret",
            WebhookForm::Gitlab => "webhook.gitlab.secret",
            WebhookForm::Gogs => "webhook.gogs.secret",
            WebhookForm::Bitbucket => "webhook.bitbucket.uuid",
            WebhookForm::BitbucketServer => "webhook.bitbucketserver.secret",
        }
    }
}

/// A push, as Argo CD's webhook is told about it.
#[derive(Clone, Debug)]
pub struct Push<'p> {
    /// The repository as the Applications name it.
    pub repo_url: &'p str,
    /// The branch; empty or `HEAD` for the default one.
    pub branch: &'p str,
    /// The pushed commit.
    pub after: &'p str,
}

/// A post that is ready to be sent: the signature covers exactly these bytes.
#[derive(Clone)]
pub struct Post {
    /// The body.
    pub body: Vec<u8>,
    /// The headers, some of them secret.
    pub headers: Vec<(&'static str, Secret)>,
}

impl Push<'_> {
    /// Writes the post of a form, with the proof that Argo CD asks for where it has a secret.
    pub fn post(&self, form: WebhookForm, secret: Option<&Secret>) -> Post {
        let body = self.body(form).to_string().into_bytes();
        let plain = |name, value: &str| (name, Secret::new(value));
        let signed = |prefix: &str| secret.map(|s| Secret::new(format!("{prefix}{}", signature(s, &body))));
        let mut headers = Vec::new();
        let proof = match form {
            WebhookForm::Github => {
                headers.push(plain("x-github-event", "push"));
                signed("sha256=").map(|s| ("x-hub-signature-256", s))
            }
            WebhookForm::Gitlab => {
                headers.push(plain("x-gitlab-event", "Push Hook"));
                secret.map(|s| ("x-gitlab-token", s.clone()))
            }
            WebhookForm::Gogs => {
                headers.push(plain("x-gogs-event", "push"));
                signed("").map(|s| ("x-gogs-signature", s))
            }
            WebhookForm::Bitbucket => {
                headers.push(plain("x-event-key", "repo:push"));
                // Argo CD knows this form by the header, so there is one without a secret too.
                Some(("x-hook-uuid", secret.cloned().unwrap_or_else(|| Secret::new("hydrant"))))
            }
            WebhookForm::BitbucketServer => {
                headers.push(plain("x-event-key", "repo:refs_changed"));
                signed("sha256=").map(|s| ("x-hub-signature", s))
            }
        };
        headers.extend(proof);
        Post { body, headers }
    }

    fn body(&self, form: WebhookForm) -> Value {
        let web = web_url(self.repo_url);
        let branch = self.branch.strip_prefix("refs/heads/").unwrap_or(self.branch);
        let reference = format!("refs/heads/{branch}");
        // `before` is empty on purpose: with it Argo CD would file old manifests under our commit.
        match form {
            WebhookForm::Github | WebhookForm::Gogs => json!({
                "ref": reference,
                "before": "",
                "after": self.after,
                "repository": {"html_url": web, "default_branch": branch},
                "commits": [],
            }),
            WebhookForm::Gitlab => json!({
                "object_kind": "push",
                "event_name": "push",
                "ref": reference,
                "before": "",
                "after": self.after,
                "checkout_sha": self.after,
                "project": {"web_url": web, "default_branch": branch},
                "commits": [],
            }),
            WebhookForm::Bitbucket => json!({
                "repository": {"links": {"html": {"href": web}}},
                "push": {"changes": [{"new": {"name": branch, "target": {"hash": self.after}}}]},
            }),
            WebhookForm::BitbucketServer => json!({
                "eventKey": "repo:refs_changed",
                "repository": {"links": {"clone": [{"name": "http", "href": web}]}},
                "changes": [{"ref": {"id": reference}, "toHash": self.after}],
            }),
        }
    }
}

/// HMAC-SHA256 in lower-case hex.
fn signature(secret: &Secret, body: &[u8]) -> String {
    // A key of any length is taken; the type says otherwise.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

/// Returns the address of a repository's page: Argo CD takes host and path from it. The
/// clone address may be one of ssh, which is no URL that it could read.
fn web_url(repo_url: &str) -> String {
    let (host, path) = host_and_path(repo_url);
    let path = path.trim_matches('/');
    format!("https://{host}/{}", path.strip_suffix(".git").unwrap_or(path))
}

/// Splits `https://user@host:port/path` and `user@host:path` into host and path.
fn host_and_path(repo_url: &str) -> (&str, &str) {
    let (rest, is_url) = match repo_url.split_once("://") {
        Some((_, rest)) => (rest, true),
        None => (repo_url, false),
    };
    let end = if is_url { rest.find('/') } else { rest.find([':', '/']) };
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // A port is no part of what Argo CD compares; an IPv6 address keeps its colons.
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    (host, path.trim_start_matches([':', '/']))
}
