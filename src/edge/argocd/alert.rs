//! Tells people's webhooks about failures. Bounded in time, and never changes a result.

use super::clock::{Clock, within};
use super::settings::Env;
use crate::edge::net::install_tls_provider;
use crate::error::{Violation, Violations};
use crate::model::sync::{Failure, SyncOutcome, SyncResult};
use crate::redact::{Secret, redact};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// How long one webhook may take in all.
const LONGEST: Duration = Duration::from_secs(10);
/// How many failures one alert lists; the rest is counted.
const MOST: usize = 20;

/// One webhook as hydrant.yaml writes it. Its URL is a secret, so it stands elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RawAlert {
    /// The environment variable that holds the URL.
    pub url_env: String,
    /// What the webhook takes.
    pub format: AlertFormat,
}

/// What a webhook takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertFormat {
    /// Our own JSON, one object a run.
    #[default]
    Json,
    /// `{"text": …}`, as Slack, Mattermost and Rocket.Chat take it.
    Slack,
}

/// One webhook, checked.
#[derive(Clone, Debug)]
pub struct AlertHook {
    url: Secret,
    format: AlertFormat,
}

/// Resolves webhooks.
///
/// # Errors
/// A variable that is not set or holds no https URL (http is taken for loopback only).
pub fn resolve(raw: &[RawAlert], env: Env) -> Result<Vec<AlertHook>, Violations> {
    let (mut hooks, mut found) = (Vec::new(), Violations::new());
    for (n, alert) in raw.iter().enumerate() {
        let wrong = |text: String| Violation::error(text).key(format!("argocd.alerts[{n}].urlEnv"));
        let Some(text) = env(&alert.url_env).filter(|v| !v.trim().is_empty()) else {
            found.push(wrong(format!("the variable `{}` is not set", alert.url_env)));
            continue;
        };
        let url = Url::parse(text.trim()).ok();
        let safe = url.as_ref().is_some_and(|u| {
            u.scheme() == "https" || u.scheme() == "http" && super::settings::is_loopback(u)
        });
        if safe {
            hooks.push(AlertHook { url: Secret::new(text.trim()), format: alert.format });
        } else {
            found.push(wrong(format!("the variable `{}` holds no https URL", alert.url_env)));
        }
    }
    if found.is_empty() { Ok(hooks) } else { Err(found) }
}

/// What an alert is about.
#[derive(Debug)]
pub struct Alert<'a> {
    /// The run.
    pub run: &'a str,
    /// The delivered commit.
    pub revision: &'a str,
    /// What came of the Applications; failures are picked from it.
    pub outcomes: &'a [SyncOutcome],
    /// What is urgent besides (a token that expires).
    pub notices: &'a [String],
}

impl Alert<'_> {
    /// Lists what people must know: permanent failures, transient ones that outlasted all
    /// tries, and Applications whose time was up. A window and a stopped run are neither.
    fn failures(&self) -> Vec<&SyncOutcome> {
        let worth =
            |o: &&SyncOutcome| matches!(o.result, SyncResult::Failed(_) | SyncResult::TimedOut { .. });
        self.outcomes.iter().filter(worth).collect()
    }

    fn body(&self, format: AlertFormat) -> Value {
        let failures = self.failures();
        match format {
            AlertFormat::Json => json!({
                "source": "hydrant",
                "run": self.run,
                "revision": self.revision,
                "failed": failures.len(),
                "failures": failures.iter().take(MOST).map(|o| one(o)).collect::<Vec<_>>(),
                "notices": self.notices,
            }),
            AlertFormat::Slack => json!({"text": self.text(&failures)}),
        }
    }

    fn text(&self, failures: &[&SyncOutcome]) -> String {
        let commit: String = self.revision.chars().take(10).collect();
        let mut text =
            format!("hydrant: {} of {} Applications failed at {commit}", failures.len(), self.outcomes.len());
        for o in failures.iter().take(MOST) {
            let reason = redact(o.result.reason().unwrap_or_default()).into_owned();
            text.push_str(&format!("\n• {}/{} `{}`: {reason}", o.env, o.cluster, o.app));
        }
        if failures.len() > MOST {
            text.push_str(&format!("\n… and {} more", failures.len() - MOST));
        }
        for notice in self.notices {
            text.push_str(&format!("\n• {notice}"));
        }
        text
    }
}

fn one(o: &SyncOutcome) -> Value {
    let (permanent, mend) = match &o.result {
        SyncResult::Failed(Failure { permanent, mend, .. }) => (*permanent, mend.clone()),
        _ => (false, None),
    };
    json!({
        "application": o.app,
        "cluster": o.cluster,
        "env": o.env,
        "server": o.server,
        "result": o.result.word(),
        "permanent": permanent,
        "reason": redact(o.result.reason().unwrap_or_default()),
        "mend": mend,
        "failing": o.failing.iter().take(MOST).map(|f| f.kubectl_name()).collect::<Vec<_>>(),
    })
}

/// Sends an alert to every webhook at once, if there is anything to say. Returns how many
/// took it; a webhook that does not is only logged, without its URL.
pub async fn send(hooks: &[AlertHook], alert: &Alert<'_>, clock: &dyn Clock) -> usize {
    if hooks.is_empty() || alert.failures().is_empty() && alert.notices.is_empty() {
        return 0;
    }
    install_tls_provider();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let Ok(client) = client.connect_timeout(LONGEST).build() else { return 0 };
    let mut posts = tokio::task::JoinSet::new();
    for hook in hooks {
        let post = client
            .post(hook.url.expose())
            .header("content-type", "application/json")
            .body(alert.body(hook.format).to_string());
        posts.spawn(async move { post.send().await.is_ok_and(|answer| answer.status().is_success()) });
    }
    let all = async {
        let mut taken = 0;
        while let Some(done) = posts.join_next().await {
            taken += usize::from(done.unwrap_or(false));
        }
        taken
    };
    let taken = within(clock, LONGEST, all).await.unwrap_or(0);
    if taken < hooks.len() {
        tracing::warn!("{} of {} alert webhooks did not take the alert", hooks.len() - taken, hooks.len());
    }
    taken
}
