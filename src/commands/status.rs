//! `hydrant status`: the phase of every binding, from the inputs, the GitOps repository and,
//! when somebody can ask it, Argo CD.

use crate::cli::StatusArgs;
use crate::config::DeliveryRequest;
use crate::delivery;
use crate::edge::argocd::client::Client;
use crate::edge::argocd::clock::SystemClock;
use crate::edge::argocd::settings::{ArgoSettings, Env, RawArgoSettings, ServerSettings};
use crate::edge::git::{GitSettings, Remote, Repository, Tip};
use crate::edge::net::install_tls_provider;
use crate::error::Result;
use crate::follow;
use crate::model::fleet::{Cluster, Destination, Fleet};
use crate::model::id::{ClusterId, SubjectId};
use crate::model::lot::Lot;
use crate::model::sync::{AppRef, AppSource, ServerId};
use crate::model::target::{ClusterTarget, TargetState};
use crate::model::tree::{BaseTree, NoTree, ObjectId};
use crate::reconcile::{self, Tools};
use crate::stage::applications::{repository_path, subject_name};
use crate::stage::bindings::status::{self, BindingStatus, LiveApplication, Seen, Sight};
use crate::stop::Stop;
use crate::telemetry::Shown;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Prints the status of every binding.
///
/// # Errors
/// A fleet that cannot be read.
pub fn run(args: &StatusArgs, quiet: bool) -> Result<u8> {
    let request = super::delivery(&args.fleet, &args.destination, None)?;
    let memo = super::memo(&request);
    let progress = Shown::new(quiet);
    let tools =
        Tools { memo: &memo, progress: &progress, stop: &Stop::never(), sync: None, types: None, quiet };
    let all = statuses(&request, &tools, &|name| std::env::var(name).ok())?;
    super::print_list(&all, &status::table(&all), args.format)?;
    Ok(0)
}

/// Returns the status of every binding of the fleet. A branch that cannot be read makes its
/// bindings Pending, an Argo CD that cannot be asked leaves them Provisioning; neither is an error.
/// `env` looks up the variables that name Argo CD's server and token.
///
/// # Errors
/// A fleet that cannot be read.
pub fn statuses(request: &DeliveryRequest, tools: &Tools<'_>, env: Env<'_>) -> Result<Vec<BindingStatus>> {
    let definitions = reconcile::definitions(&request.render)?;
    let fleet = reconcile::fleet(&definitions, &request.render.pick)?;
    let mut target = reconcile::hydrate(&fleet, &request.render.pick, tools)?;
    let git = request.git_with(&definitions.settings.git);
    let mut sight = Sight::new();
    for to in delivery::destinations(&fleet, &mut target, request) {
        let opened = open(&to, &git);
        let tree = match &opened {
            Some((repository, Some(head))) => {
                Some(Box::new(repository.tree(Some(*head))?) as Box<dyn BaseTree>)
            }
            Some((_, None)) => Some(Box::new(NoTree) as Box<dyn BaseTree>),
            None => None,
        };
        let here = target.homes.iter().filter(|(_, home)| **home == to).map(|(id, _)| id.clone());
        for id in here.collect::<Vec<_>>() {
            look(&fleet, &target, &id, tree.as_deref(), &mut sight)?;
        }
    }
    for (key, live) in ask(&definitions.settings.argocd, &fleet, &sight, env) {
        if let Some(seen) = sight.get_mut(&key) {
            seen.live = Some(live);
        }
    }
    Ok(status::of_all(&fleet.subjects, &sight))
}

fn open(to: &Destination, git: &GitSettings) -> Option<(Repository, Option<ObjectId>)> {
    let remote = Remote::parse(&to.repo).ok()?;
    let mut repository = Repository::open(&remote, git).ok()?;
    let head = match repository.fetch(&to.branch).ok()? {
        Tip::Head(commit) => Some(commit.id),
        _ => None,
    };
    Some((repository, head))
}

/// Compares what should stand for each subject of a cluster with what does.
fn look(
    fleet: &Fleet<'_>,
    target: &TargetState,
    id: &ClusterId,
    tree: Option<&dyn BaseTree>,
    sight: &mut Sight,
) -> Result<()> {
    let Some(cluster) = fleet.clusters.iter().find(|c| c.id == *id) else { return Ok(()) };
    let nothing = ClusterTarget::default();
    let wanted = target.clusters.get(id).unwrap_or(&nothing);
    for subject in cluster.subjects.keys() {
        let mut seen = Seen {
            files: tree.map(|_| BTreeMap::new()),
            live: None,
            // What holds the organization or the whole cluster holds this one, too.
            held: target
                .held
                .iter()
                .filter(|(d, _)| d.holds(id, subject))
                .flat_map(|(_, w)| w.clone())
                .collect(),
        };
        if let (Some(tree), Some(files)) = (tree, &mut seen.files) {
            let units = wanted.lots.get(subject).map(Lot::units).transpose()?;
            for (_, hydrated) in units.iter().flat_map(|units| units.iter()) {
                for file in &hydrated.files {
                    let path = repository_path(&fleet.path, cluster, &file.path);
                    let there = tree.entry(&path)?.is_some_and(|e| e.id == file.id);
                    files.insert(file.path.clone(), there);
                }
            }
        }
        sight.insert((id.clone(), subject.clone()), seen);
    }
    Ok(())
}

type Key = (ClusterId, SubjectId);

/// Asks each cluster's Argo CD for the Applications of its subjects.
fn ask(raw: &RawArgoSettings, fleet: &Fleet<'_>, sight: &Sight, env: Env<'_>) -> Vec<(Key, LiveApplication)> {
    let apis: BTreeMap<String, String> = fleet
        .clusters
        .iter()
        .filter(|c| !c.argocd.api.is_empty())
        .map(|c| (c.id.name.clone(), c.argocd.api.clone()))
        .collect();
    // Nobody is alerted of what is only looked at, so a webhook that lacks its URL is no matter.
    let raw = RawArgoSettings { alerts: Vec::new(), ..raw.clone() };
    let settings = match ArgoSettings::resolve(&raw, &apis, env) {
        Ok(settings) if !follow::is_configured(&settings) => return Vec::new(),
        Ok(settings) => settings,
        Err(why) => {
            for v in why {
                tracing::warn!("Argo CD is not asked: {v}");
            }
            return Vec::new();
        }
    };
    let mut questions: BTreeMap<ServerId, Vec<(Key, AppRef)>> = BTreeMap::new();
    for cluster in &fleet.clusters {
        let api = Some(cluster.argocd.api.as_str()).filter(|a| !a.is_empty());
        let Some(server) = settings.server_of(api) else { continue };
        for subject in cluster.subjects.keys() {
            let key = (cluster.id.clone(), subject.clone());
            if sight.contains_key(&key) {
                let app = question(cluster, subject, &server.id);
                questions.entry(server.id.clone()).or_default().push((key, app));
            }
        }
    }
    install_tls_provider();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
    else {
        return Vec::new();
    };
    runtime.block_on(async {
        let mut found = Vec::new();
        for (server, apps) in questions {
            match settings.servers.get(&server) {
                Some(server) => found.extend(ask_server(server, &settings, apps).await),
                None => continue,
            }
        }
        found
    })
}

/// Asks one server for all its Applications; what it does not answer is left out.
async fn ask_server(
    server: &ServerSettings,
    settings: &ArgoSettings,
    apps: Vec<(Key, AppRef)>,
) -> Vec<(Key, LiveApplication)> {
    let client = match Client::new(server, &settings.timing, Arc::new(SystemClock::default()), "status") {
        Ok(client) => Arc::new(client),
        Err(fault) => {
            tracing::warn!(server = %server.id, "Argo CD is not asked: {fault}");
            return Vec::new();
        }
    };
    let mut asked = JoinSet::new();
    for (key, app) in apps {
        let client = client.clone();
        // The client itself bounds how many calls are on the wire.
        asked.spawn(async move { (key, client.application(&app, false).await) });
    }
    let mut found = Vec::new();
    let mut refused = 0;
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((key, Ok(application))) => {
                let status = application.status;
                let live = LiveApplication {
                    sync: status.sync.status,
                    health: status.health.status,
                    message: status.health.message,
                };
                found.push((key, live));
            }
            _ => refused += 1,
        }
    }
    if refused > 0 {
        tracing::warn!(server = %server.id, "Argo CD gave no answer for {refused} Application(s)");
    }
    found
}

fn question(cluster: &Cluster<'_>, subject: &SubjectId, server: &ServerId) -> AppRef {
    AppRef {
        name: subject_name(cluster, subject),
        namespace: cluster.argocd.namespace.clone(),
        project: cluster.argocd.project.clone(),
        server: server.clone(),
        cluster: cluster.id.name.clone(),
        env: cluster.id.env.clone(),
        manual: false,
        // Only reads are made of it, so what a sync would need is left out.
        source: AppSource::Foreign,
        manifest: serde_json::Value::Null,
        parent: None,
        needs: Vec::new(),
        revision: None,
    }
}
