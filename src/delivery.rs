//! Delivers to one destination: settles what others did there, diffs, publishes, and says
//! what became of it.

use crate::config::{DeliveryRequest, author};
use crate::definition::Definitions;
use crate::edge::clean::CleanCluster;
use crate::edge::embedded::builtin;
use crate::edge::git::{
    Ancestry, Commit, GitSettings, Landed, Ownership, Proposal, Publication, Remote, Repository, Revision,
    Settlements, Signature, ancestry, publish, settle_branch,
};
use crate::error::{Error, ErrorKind, Origin, Result, Violation, Violations};
use crate::follow::{Followed, Follower, Wish};
use crate::message::{self, Trailers};
use crate::model::fleet::{Destination, Fleet};
use crate::model::id::{ClusterId, SubjectId, UnitId};
use crate::model::mark::{self, Mark};
use crate::model::sync::WaitFor;
use crate::model::target::{ChangeSet, RolledBack, TargetState};
use crate::model::tree::BaseTree;
use crate::reconcile::{known_ids, rules};
use crate::report::{DestinationReport, Report, Said, Status};
use crate::stage::diff::{Drift, Rules, Settlement, diff, folder_of};
use crate::stage::settle::{By, Held, Verdict};
use crate::stop::{Stop, StoppingClock};
use std::cell::RefCell;
use std::collections::BTreeMap;
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
    repository: Repository,
}

impl Run<'_> {
    /// Delivers to one destination and records what became of it.
    pub fn deliver(&self, to: &Destination, stop: &Stop, report: &mut Report) {
        match self.publish(to, stop) {
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

    /// Asks Argo CD for what is owed: everything that changed since the commit that was last
    /// followed to its end.
    fn follow(&self, to: &Destination, delivered: Delivered, report: &mut Report) -> Result<()> {
        let Some((follower, wish)) = self.follower else { return Ok(()) };
        let Some(commit) = delivered.revision.commit else { return Ok(()) };
        let followed = Followed::of(self.request, &self.fleet.name, to);
        let repository = delivered.repository;
        let known = followed.commit().filter(|c| repository.read_commit(c).is_ok());
        let before = || match delivered.revision.landed {
            Landed::Pushed => delivered.revision.base,
            Landed::Unchanged => {
                repository.read_commit(&commit).ok().and_then(|c| c.parents.first().copied())
            }
        };
        let since = known.or_else(before).filter(|c| repository.read_commit(c).is_ok());
        let mut found = Violations::new();
        let all = follower.applications(to, &mut found)?;
        report.notices.extend(found.iter().map(Said::from));
        let owed = follower.owed(&all, &repository.tree(since)?, &repository.tree(Some(commit))?)?;
        let outcome = match owed.is_empty() {
            true => true,
            false => {
                let synced = follower.sync(owed, &all, commit, repository, &to.branch, wish)?;
                let done = synced.exit == 0;
                report.syncs.push(synced);
                done
            }
        };
        if outcome
            && wish.wait == WaitFor::Health
            && let Err(e) = followed.keep(&commit)
        {
            tracing::warn!("the cache was not written: {e}");
        }
        Ok(())
    }

    fn publish(&self, to: &Destination, stop: &Stop) -> Result<Delivered> {
        let request = self.request;
        let remote = Remote::parse(&to.repo)?;
        let settings = GitSettings { create: request.repo.is_some(), ..request.git.clone() };
        let clock = Arc::new(StoppingClock::new(stop.clone()));
        let mut repository = Repository::open_with(&remote, &settings, clock)?;
        let created = repository.created();
        let allow = request.allowed(&self.definitions.settings.allow_delete);
        let known = known_ids(self.definitions);
        let base_rules = rules(self.fleet, &request.render.pick, &allow, &known, request);
        let mut publication = Publication::new(to.branch.clone(), self.signature()?);
        publication.create_branch = request.create_branch;
        let trailers = Trailers::of(self.definitions, self.fleet, builtin());
        let mut last = (ChangeSet::default(), Violations::new());
        let revision = publish(&mut repository, &publication, |repository, head| {
            last = self.on_head(repository, head, to, &base_rules)?;
            Ok((!last.0.edits.is_empty())
                .then(|| Proposal { edits: last.0.edits.clone(), message: message::of(&last.0, &trailers) }))
        })?;
        let (changes, notices) = last;
        let trees = self.trees(&repository, &revision, &changes, to)?;
        Ok(Delivered { changes, notices, revision, created, trees, repository })
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
            });
        }
        Ok(trees)
    }

    /// Settles and diffs on one head. Called again for each head that a lost race brings.
    fn on_head(
        &self,
        repository: &Repository,
        head: Option<&Commit>,
        to: &Destination,
        rules: &Rules<'_>,
    ) -> Result<(ChangeSet, Violations)> {
        let base = repository.tree(head.map(|c| c.id))?;
        let settlements = match head {
            Some(head) => self.settle(repository, head, &base, rules)?,
            None => None,
        };
        let mut notices = Violations::new();
        let Some(settlements) = settlements else {
            return Ok((diff(self.target, to, &base, rules)?, notices));
        };
        if self.is_older(&settlements, &mut notices)? {
            return Ok((ChangeSet { left_alone: true, ..ChangeSet::default() }, notices));
        }
        self.judge_drift(&settlements, &mut notices)?;
        let ours = repository.tree(Some(settlements.last.id))?;
        let keep = self.request.drift == Drift::Report;
        let held = settlements.settled.held_after(&settlements.held, keep);
        let settlement = Settlement { held, settled: &settlements.settled, ours: &ours };
        let rules = Rules { settlement: Some(&settlement), ..*rules };
        Ok((diff(self.target, to, &base, &rules)?, notices))
    }

    fn settle(
        &self,
        repository: &Repository,
        head: &Commit,
        base: &dyn BaseTree,
        rules: &Rules<'_>,
    ) -> Result<Option<Settlements>> {
        let roots: Vec<(String, &ClusterId)> =
            rules.known_ids.iter().map(|id| (folder_of(rules.path, id), id)).collect();
        let folders: Vec<String> = roots.iter().map(|(folder, _)| folder.clone()).collect();
        let failed: RefCell<Option<Error>> = RefCell::new(None);
        let unit_of = |path: &str| {
            let (root, id) = roots.iter().find(|(root, _)| crate::kustomize::is_below(path, root))?;
            let inside = path.strip_prefix(root.as_str())?.strip_prefix('/')?;
            let place = self.place(id, inside, |folder| {
                let file = format!("{root}/{folder}/kustomization.yaml");
                base.entry(&file).map(|e| e.is_some()).unwrap_or_else(|error| {
                    failed.borrow_mut().get_or_insert(error);
                    false
                })
            })?;
            Some(format!("{root}/{place}"))
        };
        let held = |tree: &dyn BaseTree| held_in(tree, &folders);
        let us = Ownership { fleet: rules.fleet, roots: &folders, unit_of: &unit_of, held: &held };
        let settled = settle_branch(repository, head, &us)?;
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(settled),
        }
    }

    /// Returns the place of the unit that a file belongs to. A component's folder is known
    /// from the target or from the base; where neither has it, the shortest id is meant.
    fn place(&self, id: &ClusterId, inside: &str, in_base: impl Fn(&str) -> bool) -> Option<String> {
        let cluster = self.target.clusters.get(id);
        let known = |folder: &str| cluster.is_some_and(|c| c.has_place(folder)) || in_base(folder);
        UnitId::place_of(inside, known).or_else(|| UnitId::place_of(inside, |_| true))
    }

    /// Refuses drift, or says what becomes of it.
    fn judge_drift(&self, settlements: &Settlements, notices: &mut Violations) -> Result<()> {
        let fate = match self.request.drift {
            Drift::Restore => "it is put back to what was delivered",
            Drift::Report => "it stays as it is",
            Drift::Fail => "the run is refused (--drift=fail)",
        };
        let settled = settlements.settled.units.iter().chain(&settlements.settled.others);
        let index = |path: &str| {
            path.ends_with("/kustomization.yaml")
                || path.ends_with("/.hydrant")
                || path.ends_with("-apps.yaml")
                || path.ends_with("/root-app.yaml")
        };
        let drifted: Violations = settled
            .filter(|(path, _)| !index(path))
            .filter(|(_, s)| matches!(s.verdict, Verdict::Drift { .. }))
            .map(|(path, s)| {
                let files: Vec<&str> = s.files.iter().map(|f| f.path.as_str()).take(5).collect();
                let more = s.files.len().saturating_sub(files.len());
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                Violation::warning(format!("{} by hand{}; {fate}", changed(&files, &rest), by(s.by.as_ref())))
                    .at(Origin::file(path.as_str()))
            })
            .collect();
        if self.request.drift == Drift::Fail && !drifted.is_empty() {
            return Err(Error::guard("nothing was delivered: the branch has edits that are not ours")
                .with(drifted)
                .hint("bring them into the fleet, or run with --drift=restore or --drift=report"));
        }
        notices.extend(drifted);
        Ok(())
    }

    /// Returns true if the branch has what a newer commit of the fleet gave.
    fn is_older(&self, settlements: &Settlements, notices: &mut Violations) -> Result<bool> {
        let Some(ours) = self.definitions.source.commit.as_deref() else { return Ok(false) };
        let Some(delivered) = settlements.last.trailer("Hydrant-Source-Commit") else { return Ok(false) };
        if delivered == ours || self.request.allow_older {
            return Ok(false);
        }
        match ancestry(&self.request.render.fleet, ours, delivered) {
            Ancestry::Older => {
                notices.push(
                    Violation::warning(format!(
                        "left alone: the branch has what the fleet's commit {} gave, which is newer than this {}",
                        short(delivered),
                        short(ours)
                    ))
                    .hint("if the older state is meant: --allow-older"),
                );
                Ok(true)
            }
            Ancestry::Same | Ancestry::Newer | Ancestry::Apart => Ok(false),
            Ancestry::Unknown => {
                notices.push(Violation::warning(format!(
                    "whether the fleet's commit {}, which was delivered last, is newer than this {} cannot be told here",
                    short(delivered),
                    short(ours)
                )));
                Ok(false)
            }
        }
    }

    fn signature(&self) -> Result<Signature> {
        let commit = self.definitions.settings.commit.clone().unwrap_or_default();
        let (name, email) = match &self.request.author {
            Some(text) => author(text)?,
            None => (
                commit.name.unwrap_or_else(|| "Hydrant".into()),
                commit.email.unwrap_or_else(|| "hydrant@localhost".into()),
            ),
        };
        Ok(Signature { name, email, seconds: self.request.seconds, offset: 0 })
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
            let status = if change.is_empty() { Status::Unchanged } else { Status::Delivered };
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
        });
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

fn changed(files: &[&str], rest: &str) -> String {
    format!("{}{rest} changed", files.join(", "))
}

fn by(by: Option<&By>) -> String {
    by.map(|b| format!(" by {} in {} ({})", b.author, b.commit.short(), b.subject)).unwrap_or_default()
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// Reads what the marks of a tree hold, by unit path from the repository's root.
fn held_in(tree: &dyn BaseTree, folders: &[String]) -> Result<Held> {
    let mut held = BTreeMap::new();
    for folder in folders {
        let Some(entry) = tree.entry(&format!("{folder}/{}", mark::FILE))? else { continue };
        if !entry.kind.is_file() {
            continue;
        }
        let Some(mark) = Mark::read(&tree.blob(&entry.id)?) else { continue };
        for (place, id) in mark.held {
            held.insert(format!("{folder}/{place}"), id.and_then(|text| text.parse().ok()));
        }
    }
    Ok(held)
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
