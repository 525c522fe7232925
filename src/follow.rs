//! The stage after a commit: the Applications of a branch, and asking Argo CD to follow it.
//!
//! Which of them are owed a sync is told by [`crate::owed`].

use crate::commands::sync::{SyncContext, SyncReport, sync};
use crate::config::DeliveryRequest;
use crate::edge::argocd::settings::{ArgoSettings, RawArgoSettings};
use crate::edge::argocd::verdict::Ancestry;
use crate::edge::git::Repository;
use crate::error::{Error, Result, Violations};
use crate::model::fleet::{Destination, Fleet};
use crate::model::sync::{AppRef, ServerId, SyncOptions, SyncRequest, WaitFor};
use crate::model::target::TargetState;
use crate::model::tree::ObjectId;
use crate::stage::apps::{self, Applied};
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The servers of a fleet's clusters.
///
/// # Errors
/// Servers without a token, URLs that are none, unsafe transports.
pub fn settings(
    raw: &RawArgoSettings,
    fleet: &Fleet<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ArgoSettings> {
    let clusters: BTreeMap<String, String> = fleet
        .clusters
        .iter()
        .filter(|c| !c.argocd.api.is_empty())
        .map(|c| (c.id.name.clone(), c.argocd.api.clone()))
        .collect();
    ArgoSettings::resolve(raw, &clusters, env)
        .map_err(|why| Error::input("nothing was delivered: Argo CD could not be asked afterwards").with(why))
}

/// Returns true if any server is configured.
pub fn is_configured(settings: &ArgoSettings) -> bool {
    settings.default.is_some() || !settings.servers.is_empty()
}

/// How far a sync goes.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// How far it is followed.
    pub wait: WaitFor,
    /// The longest time for one Application, if another than the settings'.
    pub timeout: Option<Duration>,
    /// Ask Argo CD what it would do.
    pub dry_run: bool,
    /// Sync automated Applications explicitly too.
    pub explicit: bool,
    /// The optional parts of the request.
    pub options: SyncOptions,
}

/// What a sync of one destination works with.
pub struct Follower<'a> {
    /// The fleet, resolved.
    pub fleet: &'a Fleet<'a>,
    /// What stands in the repositories.
    pub target: &'a TargetState,
    /// The servers.
    pub settings: &'a ArgoSettings,
    /// What the run was told.
    pub request: &'a DeliveryRequest,
    /// The fleet's commit, for the audit trail.
    pub source: Option<String>,
    /// Show no live lines.
    pub quiet: bool,
    /// Ends the following; Argo CD goes on alone.
    pub stop: &'a Stop,
}

impl Follower<'_> {
    /// Lists the Applications of one destination.
    ///
    /// # Errors
    /// A memo that is damaged.
    pub fn applications(&self, to: &Destination, found: &mut Violations) -> Result<Vec<Applied>> {
        let server = |api: &str| -> Option<ServerId> {
            self.settings.server_of(Some(api).filter(|a| !a.is_empty())).map(|s| s.id.clone())
        };
        let mut all = apps::list(self.fleet, self.target, &server, found)?;
        all.retain(|a| self.target.homes.get(&a.cluster) == Some(to));
        Ok(all)
    }

    /// Asks Argo CD for Applications at a commit, and follows them.
    ///
    /// # Errors
    /// What stops the sync as a whole; failures of Applications are in the report.
    pub fn sync(
        &self,
        apps: Vec<AppRef>,
        known: &[Applied],
        commit: ObjectId,
        branch: &Arc<PushedBranch>,
        wish: &Wish,
    ) -> Result<SyncReport> {
        let request = SyncRequest {
            apps,
            known: known.iter().map(|k| k.app.clone()).collect(),
            revision: commit.to_string(),
            source_commit: self.source.clone(),
            run_id: run_id(&commit, self.request.seconds),
            wait: wish.wait,
            timeout: wish.timeout.unwrap_or(self.settings.timeout),
            dry_run: wish.dry_run,
            explicit: wish.explicit,
            options: wish.options.clone(),
        };
        let context = SyncContext {
            settings: self.settings.clone(),
            ancestry: branch.clone(),
            audit: self.request.audit.clone().map(|path| (path, Default::default())),
            quiet: self.quiet,
            stop: self.stop.clone(),
        };
        sync(&request, &context)
    }
}

/// Names a run in Argo CD's operations: unique enough, and without a secret.
pub fn run_id(commit: &ObjectId, seconds: i64) -> String {
    format!("hydrant-{seconds}-{}-{}", std::process::id(), commit.short())
}

/// The branch that was pushed to: knows which commit came after which.
pub struct PushedBranch {
    repository: Mutex<Repository>,
    branch: String,
}

impl PushedBranch {
    /// Returns a branch of a repository.
    pub fn new(repository: Repository, branch: &str) -> Arc<Self> {
        Arc::new(Self { repository: Mutex::new(repository), branch: branch.to_owned() })
    }

    /// Lends the repository out.
    pub fn with<T>(&self, work: impl FnOnce(&mut Repository) -> T) -> T {
        work(&mut self.repository.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ancestry for PushedBranch {
    fn is_ancestor(&self, older: &str, newer: &str) -> Option<bool> {
        let (older, newer): (ObjectId, ObjectId) = (older.parse().ok()?, newer.parse().ok()?);
        self.with(|repository| {
            if repository.read_commit(&newer).is_err() {
                // Somebody pushed after us.
                repository.fetch(&self.branch).ok()?;
            }
            repository.descends(&newer, &older).ok()
        })
    }
}
