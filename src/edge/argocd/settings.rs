//! Which Argo CD serves which cluster, and with which right: raw settings and environment
//! in, checked settings out.
//!
//! The environment comes in as a function, so that nothing here reads it by itself. Both
//! families of names are known: `ARGOCD_API_URL` and `ARGOCD_API_TOKEN`, and what the
//! argocd CLI calls `ARGOCD_SERVER` and `ARGOCD_AUTH_TOKEN`.

use super::alert::{self, AlertHook, RawAlert};
use super::retry::Backoff;
use super::token::TokenSource;
use super::webhook::WebhookForm;
use crate::error::{Violation, Violations};
use crate::model::sync::ServerId;
use crate::redact::Secret;
use crate::suggest::did_you_mean;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::{Host, Url};

/// One server as the settings file writes it; every key has a default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RawServer {
    /// The base URL, with path prefix if Argo CD has one; `host:port` means https.
    pub url: Option<String>,
    /// A file that holds the token, and only it.
    pub token_file: Option<PathBuf>,
    /// The environment variable that holds the token.
    pub token_env: Option<String>,
    /// PEM certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate and key to show to a proxy that asks for one.
    pub client_cert_file: Option<PathBuf>,
    /// The name in the server's certificate, when the URL has an IP address.
    pub server_name: Option<String>,
    /// Trust any certificate. Refused unless the host is loopback or named again below.
    pub insecure_skip_tls_verify: bool,
    /// The host for which that is meant.
    pub insecure_skip_tls_verify_for: Option<String>,
    /// The host to which the token may travel over plain HTTP; loopback always may.
    pub plain_http_for: Option<String>,
    /// Extra headers, for a proxy: name → the environment variable that holds its value.
    pub headers: BTreeMap<String, String>,
    /// Operations at a time on this server; Argo CD has 10 operation processors by default.
    pub concurrency: Option<usize>,
    /// Refresh many Applications by one post to Argo CD's own webhook.
    pub webhook: bool,
    /// Whose push event that post looks like; by default what the repository's host suggests.
    pub webhook_form: Option<WebhookForm>,
    /// A file with Argo CD's secret for that form, if it has one.
    pub webhook_secret_file: Option<PathBuf>,
    /// The environment variable with that secret.
    pub webhook_secret_env: Option<String>,
}

/// The settings of the whole stage as the settings file writes them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RawArgoSettings {
    /// The server of every cluster that has none of its own.
    pub default: RawServer,
    /// Servers by their URL, for what differs between them.
    pub servers: BTreeMap<String, RawServer>,
    /// Longest time for one Application, in seconds.
    pub timeout: Option<u64>,
    /// Seconds an Application may be Degraded before it counts as failed.
    pub degraded_grace: Option<u64>,
    /// Seconds it must stay healthy before it counts as live.
    pub settle: Option<u64>,
    /// Count Suspended (a paused rollout, a suspended CronJob) as healthy.
    pub accept_suspended: bool,
    /// Webhooks that are told about failures.
    pub alerts: Vec<RawAlert>,
}

/// One server, checked.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Its name in messages and in the audit trail: the base URL.
    pub id: ServerId,
    /// The base URL without a trailing slash.
    pub base: Url,
    /// Where its token comes from.
    pub token: TokenSource,
    /// PEM certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate and key of ours.
    pub client_cert_file: Option<PathBuf>,
    /// The name in the server's certificate, when the URL has an IP address.
    pub server_name: Option<String>,
    /// True if any certificate will do; said at every start.
    pub insecure_skip_tls_verify: bool,
    /// Extra headers.
    pub headers: BTreeMap<String, Secret>,
    /// Operations at a time.
    pub concurrency: usize,
    /// Set when Argo CD's webhook may be used for refreshes.
    pub webhook: Option<Webhook>,
}

/// How Argo CD's own webhook is called.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Whose push event the post looks like, if that is set.
    pub form: Option<WebhookForm>,
    /// Argo CD's secret for that form, if it has one.
    pub secret: Option<TokenSource>,
}

/// Every wait of the stage, in one place.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Deadline of an ordinary call.
    pub call: Duration,
    /// Deadline of a requested refresh, which may never answer.
    pub refresh: Duration,
    /// Deadline of a stream's response header; a missing Application sends none.
    pub stream_header: Duration,
    /// Silence that ends a stream: three of Argo CD's 15 s keepalives.
    pub stream_silence: Duration,
    /// The first and the longest wait between two looks.
    pub poll: (Duration, Duration),
    /// How long an accepted operation may wait for the controller.
    pub pending: Duration,
    /// How long the comparison may take after the operation, before a refresh is asked for.
    pub barrier: Duration,
    /// How long Degraded is forgiven; rollouts flap.
    pub degraded_grace: Duration,
    /// How long it must stay healthy.
    pub settle: Duration,
    /// How long nothing may happen after a requested refresh before that is believed.
    pub idle: Duration,
    /// How long an older operation of ours may keep a newer commit waiting.
    pub give_way: Duration,
    /// The longest wait between two looks at a closed window.
    pub window_poll: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            call: s(30),
            refresh: s(60),
            stream_header: s(5),
            stream_silence: s(45),
            poll: (s(2), s(10)),
            pending: s(30),
            barrier: s(10),
            degraded_grace: s(30),
            settle: s(2),
            idle: s(5),
            give_way: s(60),
            window_poll: s(60),
        }
    }
}

/// The settings of the stage, checked.
#[derive(Clone, Debug)]
pub struct ArgoSettings {
    /// The server for clusters without `argocd.api`.
    pub default: Option<ServerSettings>,
    /// Servers by base URL.
    pub servers: BTreeMap<ServerId, ServerSettings>,
    /// Every wait.
    pub timing: Timing,
    /// How refused and lost calls are repeated.
    pub backoff: Backoff,
    /// Longest time for one Application.
    pub timeout: Duration,
    /// Suspended counts as healthy.
    pub accept_suspended: bool,
    /// Webhooks that are told about failures.
    pub alerts: Vec<AlertHook>,
}

/// Looks a variable up, as `std::env::var` does.
pub type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

impl ArgoSettings {
    /// Resolves settings. `clusters` maps a cluster to its value `argocd.api`; each such URL
    /// becomes a server, with the keys that `servers` has for it.
    ///
    /// # Errors
    /// All violations: URLs that are none, tokens that are nowhere, unsafe transports.
    pub fn resolve(
        raw: &RawArgoSettings,
        clusters: &BTreeMap<String, String>,
        env: Env,
    ) -> Result<Self, Violations> {
        let mut found = Violations::new();
        let mut servers = BTreeMap::new();
        let url = default_url(&raw.default, env, &mut found);
        let default = url.and_then(|url| server(&url, &merged(raw, &url), env, "argocd.default", &mut found));
        for (cluster, url) in clusters {
            let key = format!("argocd.api of cluster `{cluster}`");
            if let Some(server) = server(url, &merged(raw, url), env, &key, &mut found) {
                servers.insert(server.id.clone(), server);
            }
        }
        if let Some(server) = &default {
            servers.entry(server.id.clone()).or_insert_with(|| server.clone());
        }
        unused(raw, &servers, &mut found);
        let alerts = alert::resolve(&raw.alerts, env).unwrap_or_else(|why| {
            found.extend(why);
            Vec::new()
        });
        if found.iter().any(Violation::is_error) {
            return Err(found);
        }
        for warning in &found {
            let key = warning.key.as_deref().unwrap_or_default();
            let hint = warning.hint.as_deref().unwrap_or_default();
            tracing::warn!(key, hint, "{}", warning.message);
        }
        let mut timing = Timing::default();
        let seconds = |n: Option<u64>, or: Duration| n.map_or(or, Duration::from_secs);
        timing.degraded_grace = seconds(raw.degraded_grace, timing.degraded_grace);
        timing.settle = seconds(raw.settle, timing.settle);
        Ok(Self {
            default,
            servers,
            timing,
            backoff: Backoff::default(),
            timeout: seconds(raw.timeout, Duration::from_secs(15 * 60)),
            accept_suspended: raw.accept_suspended,
            alerts,
        })
    }

    /// Returns the server of a cluster: its value `argocd.api`, else the one for all.
    pub fn server_of(&self, api: Option<&str>) -> Option<&ServerSettings> {
        match api {
            Some(url) => {
                self.servers.get(&ServerId(base_url(url).ok()?.as_str().trim_end_matches('/').into()))
            }
            None => self.default.as_ref(),
        }
    }
}

/// The keys of one URL: those of `servers`, and what it leaves out from the default.
fn merged(raw: &RawArgoSettings, url: &str) -> RawServer {
    let wanted = base_url(url).ok();
    let own =
        raw.servers.iter().find(|(u, _)| wanted.is_some() && base_url(u).ok() == wanted).map(|(_, s)| s);
    let Some(own) = own else { return raw.default.clone() };
    let default = &raw.default;
    let mut server = own.clone();
    if server.token_file.is_none() && server.token_env.is_none() {
        server.token_file = default.token_file.clone();
        server.token_env = default.token_env.clone();
    }
    server.ca_file = server.ca_file.or_else(|| default.ca_file.clone());
    server.client_cert_file = server.client_cert_file.or_else(|| default.client_cert_file.clone());
    // What weakens a connection is never inherited.
    server
}

fn default_url(raw: &RawServer, env: Env, found: &mut Violations) -> Option<String> {
    let api = env("ARGOCD_API_URL").filter(|v| !v.is_empty());
    let cli = env("ARGOCD_SERVER").filter(|v| !v.is_empty());
    if let (Some(api), Some(cli)) = (&api, &cli)
        && base_url(api).ok() != base_url(cli).ok()
    {
        found
            .push(Violation::warning("ARGOCD_API_URL and ARGOCD_SERVER name two servers; the first is used"));
    }
    api.or(cli).or_else(|| raw.url.clone())
}

fn unused(raw: &RawArgoSettings, servers: &BTreeMap<ServerId, ServerSettings>, found: &mut Violations) {
    for url in raw.servers.keys() {
        let id = base_url(url).map(|u| ServerId(u.as_str().trim_end_matches('/').into()));
        if !id.as_ref().is_ok_and(|id| servers.contains_key(id)) {
            let violation = Violation::warning(format!("no cluster uses the Argo CD server `{url}`"))
                .key(format!("argocd.servers.{url}"));
            let hint = did_you_mean(url, servers.keys().map(|s| s.0.as_str()));
            found.push(match hint {
                Some(hint) => violation.hint(hint),
                None => violation,
            });
        }
    }
}

/// Reads a base URL: `host:port` means https, trailing slashes go, no query, no user.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&full).map_err(|e| format!("is no URL ({e})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has scheme `{}`; only https and http can be", url.scheme()));
    }
    if url.host().is_none() {
        return Err("has no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or password; the token has its own setting".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment; give the base URL only".into());
    }
    if url.path().trim_end_matches('/').ends_with("/api/v1") {
        return Err("ends in /api/v1; give the part before it".into());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Returns true for a host that never leaves the machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn server(url: &str, raw: &RawServer, env: Env, key: &str, found: &mut Violations) -> Option<ServerSettings> {
    let base = match base_url(url) {
        Ok(base) => base,
        Err(why) => {
            // The text itself may hold a password, so it is not shown.
            found.push(Violation::error(format!("the URL of Argo CD {why}")).key(key));
            return None;
        }
    };
    let before = found.len();
    let host = base.host_str().unwrap_or_default().to_owned();
    check_transport(&base, &host, raw, key, found);
    let token = TokenSource::choose(raw.token_file.as_deref(), raw.token_env.as_deref(), env);
    if token.is_none() {
        found.push(
            Violation::error(format!("there is no token for Argo CD at {base}"))
                .key(key)
                .hint("set ARGOCD_API_TOKEN_FILE (or ARGOCD_API_TOKEN), or `tokenFile:` of that server"),
        );
    }
    let headers = extra_headers(raw, env, key, found);
    let webhook = webhook(raw, env, key, found);
    let (Some(token), true) = (token, found[before..].iter().all(|v| !v.is_error())) else { return None };
    Some(ServerSettings {
        id: ServerId(base.as_str().trim_end_matches('/').to_owned()),
        base,
        token,
        ca_file: raw.ca_file.clone(),
        client_cert_file: raw.client_cert_file.clone(),
        server_name: raw.server_name.clone(),
        insecure_skip_tls_verify: raw.insecure_skip_tls_verify,
        headers,
        concurrency: raw.concurrency.unwrap_or(10).clamp(1, 64),
        webhook,
    })
}

fn webhook(raw: &RawServer, env: Env, key: &str, found: &mut Violations) -> Option<Webhook> {
    if !raw.webhook {
        let named = [
            ("webhookForm", raw.webhook_form.is_some()),
            ("webhookSecretFile", raw.webhook_secret_file.is_some()),
            ("webhookSecretEnv", raw.webhook_secret_env.is_some()),
        ];
        for (name, _) in named.into_iter().filter(|(_, set)| *set) {
            let unused = format!("`{name}` does nothing without `webhook: true`");
            found.push(Violation::warning(unused).key(key));
        }
        return None;
    }
    let secret = match (&raw.webhook_secret_file, &raw.webhook_secret_env) {
        (Some(file), _) => Some(TokenSource::File(file.clone())),
        (None, Some(name)) => {
            let value = env(name).filter(|v| !v.trim().is_empty());
            if value.is_none() {
                let unset = format!("the secret of the webhook: the variable `{name}` is not set");
                found.push(Violation::error(unset).key(key));
            }
            value.map(|v| TokenSource::Given(Secret::new(v.trim())))
        }
        (None, None) => None,
    };
    Some(Webhook { form: raw.webhook_form, secret })
}

fn extra_headers(raw: &RawServer, env: Env, key: &str, found: &mut Violations) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    for (name, variable) in &raw.headers {
        match env(variable) {
            Some(value) => {
                headers.insert(name.clone(), Secret::new(value.trim()));
            }
            None => found.push(
                Violation::error(format!("header `{name}`: the variable `{variable}` is not set")).key(key),
            ),
        }
    }
    headers
}

fn check_transport(base: &Url, host: &str, raw: &RawServer, key: &str, found: &mut Violations) {
    let local = is_loopback(base);
    if raw.insecure_skip_tls_verify && !local && raw.insecure_skip_tls_verify_for.as_deref() != Some(host) {
        found.push(
            Violation::error(format!(
                "`insecureSkipTlsVerify` is refused for {host}: whoever answers there would get the token"
            ))
            .key(key)
            .hint(format!(
                "trust its certificate with `caFile:`, or say it twice: `insecureSkipTlsVerifyFor: {host}`"
            )),
        );
    }
    if base.scheme() == "http" && !local && raw.plain_http_for.as_deref() != Some(host) {
        found.push(
            Violation::error(format!("the token would travel to {host} over plain HTTP"))
                .key(key)
                .hint(format!("use https, or say `plainHttpFor: {host}`")),
        );
    }
    if raw.server_name.is_some() && matches!(base.host(), Some(Host::Domain(_)) | None) {
        found.push(
            Violation::error("`serverName` is for a URL with an IP address")
                .key(key)
                .hint("put the name into the URL, or the address of the server in its place"),
        );
    }
}
