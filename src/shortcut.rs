//! Ends a run early when nothing can have changed since the last clean one.

use crate::config::DeliveryRequest;
use crate::definition::tree::Tree;
use crate::edge::clean::{CleanCluster, CleanRun};
use crate::edge::embedded::renderer;
use crate::edge::git::{GitSettings, Remote, Repository, Tip};
use crate::error::Result;
use crate::follow::Wish;
use crate::model::id::ClusterId;
use crate::model::settings::RepositorySettings;
use crate::model::tree::BaseTree as _;
use crate::report::{DestinationReport, Report, RequestReport, Status};
use crate::stop::{Stop, StoppingClock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns the key of a run: everything that it read (`inputs` is the digest of that) and was
/// told. None if something could not be read, or if it was told something that a second run would
/// not repeat.
pub fn key(tree: &Tree, inputs: &str, request: &DeliveryRequest, sync: Option<&Wish>) -> Option<String> {
    let once = request.adopt.is_empty()
        && request.release.is_empty()
        && request.allow_delete.is_empty()
        && !request.allow_older;
    if !once || !tree.unreadable.is_empty() {
        return None;
    }
    let told = (
        &request.render.pick,
        request.render.strict_compat,
        &request.render.path,
        &request.repo,
        &request.branch,
        &request.argocd_server,
        // A run that did not follow says nothing to one that does.
        sync.map(|wish| (wish.wait, wish.dry_run)),
    );
    let mut hasher = blake3::Hasher::new();
    for part in [&renderer(), inputs, &format!("{told:?}"), &format!("{:?}", request.drift)] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// Returns the report of a run that changes nothing, if the last clean run says so and every
/// folder still has the tree that it left.
pub fn unchanged(key: &str, request: &DeliveryRequest, stop: &Stop) -> Option<Report> {
    let record = CleanRun::find(request.cache.as_deref()?, key)?;
    let mut by_destination: BTreeMap<(&str, &str, Option<&str>), Vec<&CleanCluster>> = BTreeMap::new();
    for cluster in &record.clusters {
        by_destination
            .entry((&cluster.repo, &cluster.branch, cluster.proposes.as_deref()))
            .or_default()
            .push(cluster);
    }
    let mut report = Report::new(&record.fleet);
    report.units = record.units;
    report.notices.clone_from(&record.notices);
    let git = GitSettings { create: false, ..request.git_with(&record.git) };
    for ((repo, branch, proposes), clusters) in by_destination {
        // Whatever goes wrong here, the whole line says it better.
        let commit = same_trees(repo, branch, &clusters, &git, stop).ok()??;
        for cluster in &clusters {
            let id = ClusterId { env: cluster.env.clone(), name: cluster.cluster.clone() };
            report.cluster(&id, Status::Unchanged, &Default::default());
        }
        report.destinations.push(DestinationReport {
            repo: repo.to_owned(),
            branch: branch.to_owned(),
            commit: Some(commit),
            pushed: false,
            tries: 1,
            created: false,
            request: proposes.map(RequestReport::none),
        });
    }
    report.clusters.sort_by(|a, b| (&a.env, &a.cluster).cmp(&(&b.env, &b.cluster)));
    Some(report)
}

/// Returns the head of a branch if every folder still has its tree there.
fn same_trees(
    repo: &str,
    branch: &str,
    clusters: &[&CleanCluster],
    git: &GitSettings,
    stop: &Stop,
) -> Result<Option<String>> {
    let clock = Arc::new(StoppingClock::new(stop.clone()));
    let mut repository = Repository::open_with(&Remote::parse(repo)?, git, clock)?;
    let Tip::Head(head) = repository.fetch(branch)? else { return Ok(None) };
    let tree = repository.tree(Some(head.id))?;
    for cluster in clusters {
        let now = tree.entry(&cluster.folder)?.map(|e| e.id);
        if now.is_none() || now != CleanRun::tree_of(cluster) {
            return Ok(None);
        }
    }
    Ok(Some(head.id.to_string()))
}

/// Keeps a run as the last clean one, if it was: delivered as a whole, nothing held.
pub fn keep(
    key: &str,
    report: &Report,
    trees: Vec<CleanCluster>,
    request: &DeliveryRequest,
    git: &RepositorySettings,
) {
    let Some(cache) = request.cache.as_deref() else { return };
    let whole = !trees.is_empty() && trees.len() == report.clusters.len();
    if report.exit != 0 || report.unfinished || !report.held.is_empty() || !whole {
        return;
    }
    // A drift or a departure that was said once is no part of a clean run.
    let record = CleanRun {
        key: key.to_owned(),
        fleet: report.fleet.clone(),
        units: report.units,
        clusters: trees,
        notices: report.lasting.clone(),
        git: git.clone(),
    };
    if let Err(e) = record.keep(cache) {
        tracing::warn!("the cache was not written: {e}");
    }
}
