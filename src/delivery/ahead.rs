//! Gets branches that no mirror has yet while the units are rendered: with an empty cache the one
//! takes about as long as the other, and neither needs the other.

use crate::config::DeliveryRequest;
use crate::edge::git::{GitSettings, Remote, Repository};
use crate::error::Result;
use crate::model::fleet::Fleet;
use crate::model::settings::RepositorySettings;
use crate::stop::{Stop, StoppingClock};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Gets the branches of the selected clusters, as far as their mirrors are empty. What goes wrong
/// here is met again, and said, when the branch is delivered to.
pub fn fetch_ahead(fleet: &Fleet<'_>, of_fleet: &RepositorySettings, request: &DeliveryRequest, stop: &Stop) {
    let git = GitSettings { create: false, ..request.git_with(of_fleet) };
    if git.cache.is_none() {
        // What is fetched would go with the repository.
        return;
    }
    let selected = fleet.clusters.iter().filter(|c| request.render.pick.takes_cluster(&c.id));
    let places: BTreeSet<(&str, &str)> = selected
        .map(|cluster| {
            let to = &cluster.destination;
            let repo = request.repo.as_deref().unwrap_or(&to.repo);
            (repo, request.branch.as_deref().unwrap_or(&to.branch))
        })
        .collect();
    for (repo, branch) in places {
        if let Err(error) = fetch_if_new(repo, branch, &git, stop) {
            tracing::debug!("{branch} of {repo} was not fetched ahead: {error}");
        }
    }
}

fn fetch_if_new(repo: &str, branch: &str, git: &GitSettings, stop: &Stop) -> Result<()> {
    let remote = Remote::parse(repo)?;
    if Repository::has_seen(&remote, git, branch) {
        return Ok(());
    }
    let clock = Arc::new(StoppingClock::new(stop.clone()));
    Repository::open_with(&remote, git, clock)?.fetch(branch).map(|_| ())
}
