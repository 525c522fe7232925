//! Delivers to one destination: settles what others did there, diffs, publishes, and says
//! what became of it.

mod ahead;
mod allowed;
mod asking;
mod commit;
mod follow;
mod propose;
mod record;
mod request;
mod settle;

pub use ahead::fetch_ahead;
pub use commit::signature;
pub use propose::forge_of;
pub use record::blank;

use crate::config::DeliveryRequest;
use crate::definition::Definitions;
use crate::edge::clean::CleanCluster;
use crate::edge::embedded::builtin;
use crate::edge::git::{
    Along, ENVIRONMENTS_TRAILER, GitSettings, Landed, Made, Note, Proposal, Publication, Remote, Repository,
    Revision, publish_along,
};
use crate::error::{Error, ErrorKind, Origin, Result, Violation, Violations};
use crate::follow::{Follower, Wish};
use crate::message::{self, Trailers};
use crate::model::fleet::{Destination, Fleet};
use crate::model::id::{ClusterId, SubjectId};
use crate::model::target::{ChangeSet, RolledBack, TargetState};
use crate::model::tree::BaseTree;
use crate::owed;
use crate::reconcile::{known_ids, rules};
use crate::report::{DestinationReport, Report, RequestReport, RequestState, Said, Status};
use crate::stage::diff::{Drift, Rules, folder_of};
use crate::stop::{Stop, StoppingClock};
use settle::by;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What all destinations of a run share.
pub struct Run<'a> {
    /// What the fleet's files say.
    pub definitions: &'a Definitions,
    /// The fleet, resolved.
    pub fleet: &'a Fleet<'a>,
    /// What should stand everywhere.
    pub target: &'a TargetState,
    /// What the run was told.
    pub request: &'a DeliveryRequest,
    /// Asks Argo CD afterwards, where one is configured.
    pub follower: Option<(&'a Follower<'a>, &'a Wish)>,
}

/// One destination after its turn.
struct Delivered {
    changes: ChangeSet,
    notices: Violations,
    revision: Revision,
    created: bool,
    trees: Vec<CleanCluster>,
    /// What the notes said of the head that the change was made on.
    known: Option<owed::Known>,
    repository: Repository,
    /// What became of the merge request, where changes are proposed.
    request: Option<RequestReport>,
    /// Why the forge did not do its part; what was merged before is synced all the same.
    trouble: Option<Error>,
}

impl Delivered {
    /// Returns what became of a place where nothing is.
    fn nothing(repository: Repository) -> Self {
        Self {
            changes: ChangeSet::default(),
            notices: Violations::new(),
            revision: Revision { commit: None, base: None, landed: Landed::Unchanged, tries: 1 },
            created: false,
            trees: Vec::new(),
            known: None,
            repository,
            request: None,
            trouble: None,
        }
    }
}

impl Run<'_> {
    /// Delivers to one destination and records what became of it.
    pub fn deliver(&self, to: &Destination, stop: &Stop, report: &mut Report) {
        let delivered = match &to.proposes {
            Some(env) => self.propose(to, env, stop),
            None => self.publish(to, stop),
        };
        match delivered {
            Ok(delivered) => {
                self.record(to, &delivered, report);
                if let Err(error) = self.follow(to, delivered, report) {
                    report.error(&error);
                    report.hold(None, &as_violations(&error));
                }
            }
            Err(error) => self.record_failure(to, &error, report),
        }
    }

    fn publish(&self, to: &Destination, stop: &Stop) -> Result<Delivered> {
        let request = self.request;
        let remote = Remote::parse(&to.repo)?;
        let settings = GitSettings { create: request.repo.is_some(), ..self.git_settings()? };
        let clock = Arc::new(StoppingClock::new(stop.clone()));
        let mut repository = Repository::open_with(&remote, &settings, clock)?;
        let created = repository.created();
        let allow = request.allowed(&self.definitions.settings.allow_delete);
        let known = known_ids(self.definitions);
        let base_rules = Rules {
            grafts: true,
            ..rules(self.fleet, &request.render.pick, self.fleet.scope(to), &allow, &known, request)
        };
        let mut publication = Publication::new(to.branch.clone(), self.signature()?);
        publication.create_branch = request.create_branch;
        let mut trailers = Trailers::of(self.definitions, self.fleet, builtin());
        if !self.fleet.proposing.is_empty() {
            let scope = self.fleet.scope(to);
            let envs: BTreeSet<&str> =
                known.iter().map(|id| id.env.as_str()).filter(|env| scope.takes(env)).collect();
            trailers = trailers.with(ENVIRONMENTS_TRAILER, &envs.into_iter().collect::<Vec<_>>().join(" "));
        }
        let last = RefCell::new((ChangeSet::default(), Violations::new(), None));
        let note = |made: &Made| {
            let (changes, _, known) = &*last.borrow();
            Some(self.record_of(to, changes, &trailers, known.as_ref(), made).bytes())
        };
        let outlived = |notes: &[Note]| self.outlived(notes, to);
        let along = Along { fleet: &self.fleet.name, note: &note, outlived: &outlived };
        let (revision, noted) =
            publish_along(&mut repository, &publication, Some(&along), |repository, head| {
                let (changes, mut notices) = self.on_head(repository, head, to, &base_rules)?;
                let proposal = (!changes.edits.is_empty()).then(|| Proposal {
                    edits: changes.edits.clone(),
                    message: message::of(&changes, &trailers),
                });
                let known = head
                    .filter(|_| proposal.is_some())
                    .map(|head| owed::known(repository, head, &self.fleet.name, to, &mut notices));
                last.replace((changes, notices, known));
                Ok(proposal)
            })?;
        let (changes, mut notices, known) = last.into_inner();
        owed::tell(&noted, &mut notices);
        let known = known.map(|known| owed::Known { last: revision.commit, ..known });
        let trees = self.trees(&repository, &revision, &changes, to)?;
        Ok(Delivered {
            changes,
            notices,
            revision,
            created,
            trees,
            known,
            repository,
            request: None,
            trouble: None,
        })
    }

    /// Returns the trees that the delivered clusters have now.
    fn trees(
        &self,
        repository: &Repository,
        revision: &Revision,
        changes: &ChangeSet,
        to: &Destination,
    ) -> Result<Vec<CleanCluster>> {
        let tree = repository.tree(revision.commit)?;
        let mut trees = Vec::new();
        for id in changes.clusters.keys() {
            let folder = folder_of(&self.fleet.path, id);
            let Some(entry) = tree.entry(&folder)? else { continue };
            trees.push(CleanCluster {
                env: id.env.clone(),
                cluster: id.name.clone(),
                repo: to.repo.clone(),
                branch: to.branch.clone(),
                folder,
                tree: entry.id.to_string(),
                proposes: to.proposes.clone(),
            });
        }
        Ok(trees)
    }

    fn record(&self, to: &Destination, delivered: &Delivered, report: &mut Report) {
        let pushed = delivered.revision.landed == Landed::Pushed;
        report.notices.extend(delivered.notices.iter().map(Said::from));
        for refusal in &delivered.changes.refused {
            report.hold(Some(&refusal.domain), &refusal.why);
            let whole = refusal.domain.subject == SubjectId::Cluster;
            if whole && !delivered.changes.clusters.contains_key(&refusal.domain.cluster) {
                report.cluster(&refusal.domain.cluster, Status::Refused, &Default::default());
            }
        }
        for (id, change) in &delivered.changes.clusters {
            let status = match (change.is_empty(), &delivered.request) {
                (true, _) => Status::Unchanged,
                (false, None) => Status::Delivered,
                (false, Some(request)) => status_of(request.state),
            };
            report.cluster(id, status, change);
        }
        report.trees.extend(delivered.trees.iter().cloned());
        report.unfinished |= delivered.changes.left_alone || !delivered.changes.rolled_back.is_empty();
        if delivered.changes.left_alone {
            for (id, _) in self.target.homes.iter().filter(|(_, home)| *home == to) {
                report.cluster(id, Status::Newer, &Default::default());
            }
        }
        tell_rolled_back(&delivered.changes.rolled_back, self.request.drift, report);
        report.destinations.push(DestinationReport {
            repo: to.repo.clone(),
            branch: to.branch.clone(),
            commit: delivered.revision.commit.map(|c| c.to_string()),
            pushed,
            tries: delivered.revision.tries,
            created: delivered.created,
            request: delivered.request.clone(),
        });
        if let Some(request) = &delivered.request {
            tell_request(to, request, report);
        }
        if let Some(error) = &delivered.trouble {
            report.error(error);
            report.hold(None, &as_violations(error));
        }
    }

    fn record_failure(&self, to: &Destination, error: &Error, report: &mut Report) {
        let status = if error.kind == ErrorKind::Guard { Status::Refused } else { Status::Held };
        for (id, _) in self.target.homes.iter().filter(|(_, home)| *home == to) {
            report.cluster(id, status, &Default::default());
        }
        report.error(error);
        report.hold(None, &as_violations(error));
    }
}

/// Returns what became of a cluster whose change is proposed.
fn status_of(state: RequestState) -> Status {
    match state {
        RequestState::Closed | RequestState::Foreign | RequestState::Unknown => Status::Held,
        _ => Status::Proposed,
    }
}

/// Says what a person has to know of a merge request.
fn tell_request(to: &Destination, request: &RequestReport, report: &mut Report) {
    let waits = !matches!(request.state, RequestState::None | RequestState::Withdrawn);
    report.unfinished |= waits;
    let url = request.url.as_deref().unwrap_or("its merge request");
    let v = match request.state {
        RequestState::Closed => Violation::warning(format!("{url} was closed without a merge: its change is not proposed again"))
            .hint("it is proposed again when the fleet gives something else; to ask for just this again, reopen it"),
        RequestState::Foreign => Violation::warning(format!("the proposal is left alone: the branch `{}` has commits of others", request.branch))
            .hint(format!("merge or close {url}; or take those commits off, or delete the branch, and the next run proposes anew")),
        _ => return,
    };
    report.hold_unit(&format!("the proposal to {to}"), &[v]);
    report.kinds.push(ErrorKind::Partial);
}

/// Says which units keep what a person put on the branch: one message a cluster and commit.
fn tell_rolled_back(all: &[RolledBack], drift: Drift, report: &mut Report) {
    let mut groups: BTreeMap<(&ClusterId, String, bool, bool), Vec<&str>> = BTreeMap::new();
    for kept in all {
        // Drift that is only to be reported is no failure; a rollback is one until somebody ends it.
        let quiet = kept.drift || (drift == Drift::Report && !kept.fresh);
        let group = (&kept.cluster, by(kept.by.as_ref()), kept.drift, quiet);
        groups.entry(group).or_default().push(&kept.place);
    }
    for ((cluster, by, is_drift, quiet), places) in groups {
        let what = match (is_drift, quiet) {
            (true, _) => "edits by hand stay",
            // The mark does not tell which of the two it was.
            (false, true) => "what others put there stays",
            (false, false) => "a rollback is honoured",
        };
        let units: Vec<&str> = places.iter().copied().take(5).collect();
        let more = places.len() - units.len();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let v = Violation::warning(format!("{what}{by}: {}{rest}", units.join(", ")))
            .at(Origin::file(cluster.to_string()))
            .hint(format!("it ends when the fleet gives something else, or with --release {cluster} (or {cluster}/<unit path>)"));
        if quiet {
            report.notices.push(Said::from(&v));
        } else {
            report.hold_unit(&format!("{} unit(s) of {cluster}", places.len()), &[v]);
        }
    }
}

/// Returns an error of a destination as something that the report holds.
fn as_violations(error: &Error) -> Violations {
    let mut v = Violation::error(error.message.clone());
    v.guard = error.kind == ErrorKind::Guard;
    if !error.hints.is_empty() {
        v.hint = Some(error.hints.join("\n"));
    }
    let cause = std::error::Error::source(error).map(|s| Violation::notice(format!("because: {s}")));
    [v].into_iter().chain(cause).chain(error.violations.iter().cloned()).collect()
}
