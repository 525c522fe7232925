//! The stage after a commit: which Applications it touched, and asking Argo CD to follow it.
//!
//! What is owed is found by trees: an Application is synced when its manifest or its folder
//! differs between the commit that was last followed to its end (kept in the cache folder,
//! one a destination) and the head. A crash or an outage leaves that commit where it was, so
//! the next run catches up.

use crate::commands::sync::{SyncContext, SyncReport, sync};
use crate::config::DeliveryRequest;
use crate::edge::argocd::settings::{ArgoSettings, RawArgoSettings};
use crate::edge::argocd::verdict::Ancestry;
use crate::edge::git::Repository;
use crate::error::{Error, Result, Violations};
use crate::model::fleet::{Destination, Fleet};
use crate::model::sync::{AppRef, ServerId, SyncOptions, SyncRequest, WaitFor};
use crate::model::target::TargetState;
use crate::model::tree::{BaseTree, ObjectId};
use crate::stage::apps::{self, Applied};
use crate::stage::diff::folder_of;
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
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
    pub fn applications(&self, to: &Destination, found: &mut Violations) -> Vec<Applied> {
        let server = |api: &str| -> Option<ServerId> {
            self.settings.server_of(Some(api).filter(|a| !a.is_empty())).map(|s| s.id.clone())
        };
        let mut all = apps::list(self.fleet, self.target, &server, found);
        all.retain(|a| self.target.homes.get(&a.cluster) == Some(to));
        all
    }

    /// Returns the Applications that differ between two trees.
    ///
    /// # Errors
    /// A tree that cannot be read.
    pub fn owed(&self, all: &[Applied], since: &dyn BaseTree, head: &dyn BaseTree) -> Result<Vec<AppRef>> {
        let mut owed = Vec::new();
        for applied in all {
            let root = folder_of(&self.fleet.path, &applied.cluster);
            let mut places = vec![format!("{root}/{}", applied.manifest)];
            places.extend(applied.folder.iter().map(|f| format!("{root}/{f}")));
            for place in places {
                if since.entry(&place)?.map(|e| e.id) != head.entry(&place)?.map(|e| e.id) {
                    owed.push(applied.app.clone());
                    break;
                }
            }
        }
        Ok(owed)
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
        repository: Repository,
        branch: &str,
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
        let ancestry = BranchAncestry { repository: Mutex::new(repository), branch: branch.to_owned() };
        let context = SyncContext {
            settings: self.settings.clone(),
            ancestry: Arc::new(ancestry),
            audit: self.request.audit.clone().map(|path| (path, Default::default())),
            quiet: self.quiet,
            stop: self.stop.clone(),
        };
        sync(&request, &context)
    }
}

/// Names a run in Argo CD's operations: unique enough, and without a secret.
pub(crate) fn run_id(commit: &ObjectId, seconds: i64) -> String {
    format!("hydrant-{seconds}-{}-{}", std::process::id(), commit.short())
}

/// Knows which commit came after which by the branch that was pushed to.
struct BranchAncestry {
    repository: Mutex<Repository>,
    branch: String,
}

impl Ancestry for BranchAncestry {
    fn is_ancestor(&self, older: &str, newer: &str) -> Option<bool> {
        let (older, newer): (ObjectId, ObjectId) = (older.parse().ok()?, newer.parse().ok()?);
        let mut repository = self.repository.lock().unwrap_or_else(PoisonError::into_inner);
        if repository.read_commit(&newer).is_err() {
            // Somebody pushed after us.
            repository.fetch(&self.branch).ok()?;
        }
        repository.descends(&newer, &older).ok()
    }
}

/// The commit that was last followed to its end, one a destination.
pub struct Followed {
    path: Option<PathBuf>,
}

impl Followed {
    /// Opens the record of a destination.
    pub fn of(request: &DeliveryRequest, fleet: &str, to: &Destination) -> Self {
        // An environment with merge requests has a record of its own beside what is pushed.
        let way = to.proposes.as_deref().map(|env| format!("\n{env}")).unwrap_or_default();
        let name = blake3::hash(format!("{fleet}\n{}\n{}{way}", to.repo, to.branch).as_bytes()).to_hex();
        let partial = request.render.pick != Default::default();
        // A run of a part of the fleet cannot say that all was followed.
        let path = request.cache.as_ref().filter(|_| !partial).map(|c| c.join("followed").join(&name[..32]));
        Self { path }
    }

    /// Returns the commit, if one is known.
    pub fn commit(&self) -> Option<ObjectId> {
        fs::read_to_string(self.path.as_ref()?).ok()?.trim().parse().ok()
    }

    /// Keeps a commit.
    ///
    /// # Errors
    /// A cache folder that cannot be written.
    pub fn keep(&self, commit: &ObjectId) -> std::io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, format!("{commit}\n"))
    }
}
