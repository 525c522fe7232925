//! Asks Argo CD where Applications stand, without touching any: for what is owed where no
//! record tells.

use super::application::Application;
use super::client::Client;
use super::clock::{Clock, SystemClock};
use super::settings::ArgoSettings;
use super::verdict::{NoAncestry, Verdict, Wanted, is_commit};
use crate::edge::net::block_on;
use crate::model::sync::{AppKey, AppRef, AppSource, ServerId, same_repository};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The longest time for one server. Who has not answered by then is owed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where an Application stands that is synced and healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// At this commit of the delivered branch.
    At(String),
    /// At our spec; its manifests come from elsewhere.
    OurSpec,
}

/// Returns where Applications stand that are synced and healthy. The others, and those that
/// Argo CD does not tell of, are left out.
pub fn compared(apps: &[AppRef], settings: &ArgoSettings, run: &str) -> BTreeMap<AppKey, Standing> {
    if apps.is_empty() {
        return BTreeMap::new();
    }
    // A thread of its own: the agent's loop is inside a runtime, which takes no second one.
    std::thread::scope(|scope| scope.spawn(|| ask_all(apps, settings, run)).join()).unwrap_or_default()
}

fn ask_all(apps: &[AppRef], settings: &ArgoSettings, run: &str) -> BTreeMap<AppKey, Standing> {
    let found = block_on(async {
        let mut servers: BTreeMap<&ServerId, Vec<&AppRef>> = BTreeMap::new();
        for app in apps {
            servers.entry(&app.server).or_default().push(app);
        }
        let mut found = BTreeMap::new();
        for (server, apps) in servers {
            let asking = ask_server(server, &apps, settings, run, &mut found);
            if tokio::time::timeout(PATIENCE, asking).await.is_err() {
                tracing::warn!(%server, "Argo CD did not tell in time where all Applications stand");
            }
        }
        found
    });
    found.unwrap_or_default()
}

async fn ask_server(
    server: &ServerId,
    apps: &[&AppRef],
    settings: &ArgoSettings,
    run: &str,
    found: &mut BTreeMap<AppKey, Standing>,
) {
    let Some(named) = settings.servers.get(server) else { return };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let Ok(client) = Client::new(named, &settings.timing, clock, run) else { return };
    // A server that is away is asked once, not once an Application; the sync says what is wrong.
    match client.userinfo().await {
        Ok(who) if who.logged_in => {}
        _ => return,
    }
    let client = Arc::new(client);
    let suspended = settings.accept_suspended;
    let mut asking = JoinSet::new();
    for app in apps {
        let (client, app) = (client.clone(), (*app).clone());
        asking.spawn(async move {
            let answer = client.application(&app, false).await.ok();
            (app.key(), answer.and_then(|answer| standing(&app, &answer, suspended)))
        });
    }
    while let Some(done) = asking.join_next().await {
        if let Ok((key, Some(standing))) = done {
            found.insert(key, standing);
        }
    }
}

/// Returns where an Application stands, if it is synced and healthy there.
fn standing(ours: &AppRef, theirs: &Application, accept_suspended: bool) -> Option<Standing> {
    let (source, spec) = match &ours.source {
        AppSource::OurPath { repo_url, path, .. } => (place(theirs, repo_url, path)?, None),
        AppSource::Chart | AppSource::Foreign => (None, ours.manifest.get("spec")),
    };
    let revision = theirs.status.sync.revision_of(source).to_owned();
    let commit = spec.is_none().then_some(revision.as_str());
    let wanted = Wanted { commit, source, spec, mark: None, ancestry: &NoAncestry, accept_suspended };
    if wanted.judge(theirs) != Verdict::Live {
        return None;
    }
    match spec {
        Some(_) => Some(Standing::OurSpec),
        // A branch's name in the place of a commit says that nothing was compared.
        None => is_commit(&revision).then_some(Standing::At(revision)),
    }
}

/// Returns the place of our source among several; `Some(None)` where there is only one.
fn place(app: &Application, repo_url: &str, path: &str) -> Option<Option<usize>> {
    let is_ours = |source: &Value| {
        let text = |key: &str| source.get(key).and_then(Value::as_str).unwrap_or_default();
        same_repository(text("repoURL"), repo_url) && text("path").trim_matches('/') == path.trim_matches('/')
    };
    match app.sources() {
        Some(sources) => sources.iter().position(is_ours).map(Some),
        None => Some(None),
    }
}
