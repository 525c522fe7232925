//! Delivers to a destination by a merge request: the change goes to a branch of its own, and
//! one request asks to merge it. Git decides what has to be proposed, the forge is asked what
//! became of the request before.

use super::allowed::Allowed;
use super::compare::{known_ids, rules};
use super::request::{WITHDRAWN, marked};
use super::settle::Past;
use super::{Delivered, Run};
use crate::edge::embedded::builtin;
use crate::edge::forge::{Address, Branches, Forge, MergeRequest, State};
use crate::edge::git::{
    Commit, ENVIRONMENTS_TRAILER, GitSettings, Made, PROPOSAL_TRAILER, Proposal, ProposalBranch, Publication,
    Remote, Repository, Tip, changed, digest, propose,
};
use crate::error::{Error, Result, Violation, Violations};
use crate::message::{self, Trailers};
use crate::model::fleet::Destination;
use crate::model::id::ClusterId;
use crate::model::settings::Settings;
use crate::model::target::ChangeSet;
use crate::model::tree::{BaseTree, Edit, EntryKind, ObjectId, join};
use crate::report::proposal_branch;
use crate::stage::diff::{AllowDelete, Rules, folder_of, wanted};
use crate::stop::{Stop, StoppingClock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns the forge that takes the merge requests of an environment.
///
/// # Errors
/// What is missing or wrong in the settings.
pub fn forge_of(settings: &Settings, env: &str, repo: &str) -> Result<Address, Violation> {
    let own = settings.environments.get(env);
    let (kind, api) = (own.and_then(|e| e.forge), own.and_then(|e| e.forge_api.as_deref()));
    Address::of(repo, kind, api).map_err(|v| {
        let key = v.key.clone().unwrap_or_default();
        v.key(format!("environments.{env}.{key}"))
    })
}

/// What is to become of the request.
pub(super) enum Wish {
    /// Nothing differs, and nothing waits.
    Nothing,
    /// Nothing differs any more: what waits is withdrawn.
    Withdraw,
    /// A newer commit of the fleet is at work, or a part of the fleet cannot tell.
    LeaveAlone,
    /// It is to propose these edits, under this digest.
    Ask(Vec<Edit>, String),
    /// A person closed the request for just that.
    Closed,
    /// Somebody else works on the branch.
    Foreign(Box<Commit>),
    /// The forge could not be asked, and without it nothing can be decided.
    Unasked(Error),
}

/// What one look at both heads gave.
pub(super) struct Turn {
    pub(super) changes: ChangeSet,
    pub(super) notices: Violations,
    pub(super) wish: Wish,
    /// The newest commit on the proposal's branch.
    pub(super) standing: Option<ObjectId>,
}

/// One destination with merge requests, while a run is at it.
pub(super) struct Proposer<'r> {
    pub(super) run: &'r Run<'r>,
    pub(super) to: &'r Destination,
    pub(super) env: &'r str,
    pub(super) branch: String,
    clock: Arc<StoppingClock>,
    settings: GitSettings,
    /// Opened when it is needed: an environment without a change needs no forge.
    forge: Option<Forge>,
    /// What the forge knows of our requests, once it was asked.
    requests: Option<Vec<MergeRequest>>,
    /// Why it could not be asked.
    trouble: Option<Error>,
}

impl Run<'_> {
    /// Proposes to one destination.
    pub(super) fn propose(&self, to: &Destination, env: &str, stop: &Stop) -> Result<Delivered> {
        let remote = Remote::parse(&to.repo)?;
        let settings = GitSettings { create: false, ..self.git_settings()? };
        let clock = Arc::new(StoppingClock::new(stop.clone()));
        let mut repository = Repository::open_with(&remote, &settings, clock.clone())?;
        if !self.target.homes.values().any(|home| home == to)
            && !matches!(repository.fetch(&to.branch)?, Tip::Head(_))
        {
            return Ok(Delivered::nothing(repository));
        }
        let publication = Publication::new(to.branch.clone(), self.signature()?);
        let branch = proposal_branch(env);
        let mut proposer = Proposer {
            run: self,
            to,
            env,
            branch: branch.clone(),
            clock,
            settings,
            forge: None,
            requests: None,
            trouble: None,
        };
        let mut turn = None;
        let proposed =
            propose(&mut repository, &publication, &branch, &self.fleet.name, |repo, head, there| {
                let (found, proposal) = proposer.look(repo, head, there)?;
                turn = Some(found);
                Ok(proposal)
            })?;
        let Some(mut turn) = turn else {
            return Err(Error::internal("a proposal was pushed that nobody made"));
        };
        let pushed = proposed.pushed;
        let (told, trouble) =
            proposer.settle_request(&repository, &mut turn, proposed.target.commit, pushed)?;
        if let Some(commit) = pushed {
            let made = Made { commit, base: proposed.target.base, tries: proposed.target.tries };
            self.note_pushed(&mut repository, to, &turn.changes, &made, &mut turn.notices)?;
        }
        let trees = self.trees(&repository, &proposed.target, &turn.changes, to)?;
        Ok(Delivered {
            changes: turn.changes,
            notices: turn.notices,
            revision: proposed.target,
            created: false,
            trees,
            known: None,
            repository,
            request: Some(told),
            trouble,
        })
    }
}

impl Proposer<'_> {
    /// Returns the forge.
    pub(super) fn forge(&mut self) -> Result<&Forge> {
        let forge = match self.forge.take() {
            Some(forge) => forge,
            None => {
                let address = forge_of(&self.run.definitions.settings, self.env, &self.to.repo)
                    .map_err(|v| Error::input("nothing was proposed").with(vec![v]))?;
                Forge::open(&address, &self.run.request.forge, &self.settings, self.clock.clone())?
            }
        };
        Ok(self.forge.insert(forge))
    }

    /// Returns the newest request; the forge is asked once a run.
    pub(super) fn newest(&mut self) -> Result<Option<&MergeRequest>> {
        if self.requests.is_none() {
            let (source, target) = (self.branch.clone(), self.to.branch.clone());
            let found = self.forge()?.find(Branches { source: &source, target: &target })?;
            self.requests = Some(found);
        }
        let all = self.requests.as_deref().unwrap_or_default();
        Ok(all.iter().find(|r| r.state == State::Open).or(all.first()))
    }

    /// As [`Proposer::newest`]; a forge that cannot be asked is noted, and nothing is known then.
    fn newest_if_known(&mut self) -> Option<&MergeRequest> {
        if self.trouble.is_none()
            && let Err(error) = self.newest().map(drop)
        {
            self.trouble = Some(error);
        }
        if self.trouble.is_some() { None } else { self.newest().ok().flatten() }
    }

    /// Settles, diffs and decides on one pair of heads.
    fn look(
        &mut self,
        repo: &Repository,
        head: &Commit,
        there: &ProposalBranch,
    ) -> Result<(Turn, Option<Proposal>)> {
        let run = self.run;
        let base = repo.tree(Some(head.id))?;
        let known = known_ids(run.definitions);
        let listed = &run.definitions.settings.allow_delete;
        let own = Allowed::of(run.request);
        let allow = own.deletions(listed);
        let past = run.settle(repo, head, &base, &self.rules(&own, &allow, &known), &there.ours)?;
        let waits = waiting(repo, head, there, &past)?;
        let refused = waits.is_some() && self.was_closed();
        let allowed = own.with(waits.filter(|_| !refused));
        let allow = allowed.deletions(listed);
        let rules = self.rules(&allowed, &allow, &known);

        let mut turn = Turn {
            changes: ChangeSet::default(),
            notices: Violations::new(),
            wish: Wish::LeaveAlone,
            standing: there.head.as_ref().map(|c| c.id),
        };
        let older = |p: &Commit, notices: &mut _| run.is_older(p, "the open merge request", notices);
        if run.is_stale(&past, &mut turn.notices) || waits.is_some_and(|p| older(p, &mut turn.notices)) {
            turn.changes.left_alone = true;
            return Ok((turn, None));
        }
        run.judge_drift(&past, &|unit| self.has_wanted(&base, &rules, unit), &mut turn.notices)?;
        turn.changes = run.diff_on(repo, &base, self.to, &rules, &past)?;
        let lacks = match waits {
            Some(waiting) => self.lacks(repo, &base, waiting, &rules, &past)?,
            None => None,
        };
        let (edits, same) = match (waits, lacks) {
            (Some(waiting), Some(lacks)) if lacks.is_empty() => (self.carried(repo, &base, waiting)?, true),
            (Some(waiting), Some(lacks)) if self.keeps() => {
                (self.carried(repo, &base, waiting)?.into_iter().chain(lacks).collect(), false)
            }
            (Some(_), None) if self.is_partial() => {
                turn.notices.push(self.moved());
                return Ok((turn, None));
            }
            _ => (turn.changes.edits.clone(), false),
        };
        turn.wish = self.decide(effective(edits, &base)?, same, waits.is_some(), there);
        let proposal = match &turn.wish {
            Wish::Ask(edits, content) if !same => {
                let message = message::of(&turn.changes, &allowed.keep(self.trailers(content)));
                Some(Proposal { edits: edits.clone(), message })
            }
            _ => None,
        };
        Ok((turn, proposal))
    }

    fn rules<'a>(
        &'a self,
        allowed: &'a Allowed,
        allow: &'a AllowDelete,
        known: &'a [ClusterId],
    ) -> Rules<'a> {
        let run = self.run;
        let own =
            rules(run.fleet, &run.request.render.pick, run.fleet.scope(self.to), allow, known, run.request);
        Rules { adopt: &allowed.adopt, release: &allowed.release, ..own }
    }

    /// Returns true if a person closed the request that waited.
    fn was_closed(&mut self) -> bool {
        self.newest_if_known().is_some_and(|r| r.state == State::Closed && marked(&r.body) != Some(WITHDRAWN))
    }

    /// Decides what becomes of the request, from the edits that would be proposed.
    fn decide(&mut self, edits: Vec<Edit>, same: bool, waits: bool, there: &ProposalBranch) -> Wish {
        if edits.is_empty() {
            return match waits {
                // What is held may only be broken for a moment; it takes no request away.
                true if self.keeps() => Wish::LeaveAlone,
                true => Wish::Withdraw,
                false => Wish::Nothing,
            };
        }
        if let Some(foreign) = &there.foreign {
            return Wish::Foreign(Box::new(foreign.clone()));
        }
        let content = digest(&edits);
        let refused = self.newest_if_known().is_some_and(|r| {
            r.state == State::Closed
                && match marked(&r.body) {
                    Some(text) => text == content,
                    // Somebody edited the description; the branch still has what was closed.
                    None => same,
                }
        });
        match self.trouble.take() {
            Some(error) => Wish::Unasked(error),
            None if refused => Wish::Closed,
            None => Wish::Ask(edits, content),
        }
    }

    fn trailers(&self, content: &str) -> Trailers {
        Trailers::of(self.run.definitions, self.run.fleet, builtin())
            .with(ENVIRONMENTS_TRAILER, self.env)
            .with(PROPOSAL_TRAILER, content)
    }

    fn moved(&self) -> Violation {
        Violation::warning(format!(
            "the open proposal on `{}` is left alone: `{}` changed under it, and this run is only about a part of {}",
            self.branch, self.to.branch, self.env
        ))
        .hint("a run about the whole environment brings it up to date")
    }

    /// Returns true if the run is only about a part of the environment.
    fn is_partial(&self) -> bool {
        let pick = &self.run.request.render.pick;
        !pick.clusters.is_empty() || !pick.organizations.is_empty()
    }

    /// Returns true if the proposal keeps what this run says nothing about.
    fn keeps(&self) -> bool {
        self.is_partial() || self.run.target.held.keys().any(|d| d.cluster.env == self.env)
    }

    /// Returns what the waiting proposal lacks; none if the target changed under it, so that it
    /// has to be made anew to merge as it should.
    fn lacks(
        &self,
        repo: &Repository,
        base: &dyn BaseTree,
        waiting: &Commit,
        rules: &Rules<'_>,
        past: &Past,
    ) -> Result<Option<Vec<Edit>>> {
        let folder = join(rules.path, self.env);
        let Some(onto) = waiting.parents.last().filter(|id| repo.read_commit(id).is_ok()) else {
            return Ok(None);
        };
        if repo.tree(Some(*onto))?.entry(&folder)? != base.entry(&folder)? {
            return Ok(None);
        }
        let there = repo.tree(Some(waiting.id))?;
        let lacks = self.run.diff_on(repo, &there, self.to, rules, past)?;
        effective(lacks.edits, &there).map(Some)
    }

    /// Returns the edits that make the waiting proposal of the target.
    fn carried(&self, repo: &Repository, base: &dyn BaseTree, waiting: &Commit) -> Result<Vec<Edit>> {
        let there = repo.tree(Some(waiting.id))?;
        let folder = join(&self.run.fleet.path, self.env);
        let mut edits = Vec::new();
        for (path, entry) in changed(base, &there)? {
            if !crate::kustomize::is_below(&path, &folder) {
                continue;
            }
            edits.push(match entry {
                Some(entry) => Edit::Put { path, bytes: there.blob(&entry.id)? },
                None => Edit::Delete { path },
            });
        }
        Ok(edits)
    }

    /// Returns true if a unit stands on the target as the fleet wants it: merged by somebody, from
    /// a branch that is gone.
    fn has_wanted(&self, base: &dyn BaseTree, rules: &Rules<'_>, unit: &str) -> Result<bool> {
        for (id, cluster) in &self.run.target.clusters {
            let folder = folder_of(rules.path, id);
            if let Some(place) = unit.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/')) {
                return Ok(wanted(cluster, place)? == base.entry(unit)?.map(|e| e.id));
            }
        }
        Ok(false)
    }
}

/// Returns our proposal on the branch, if the target has it neither as a commit nor squashed.
fn waiting<'t>(
    repo: &Repository,
    head: &Commit,
    there: &'t ProposalBranch,
    past: &Past,
) -> Result<Option<&'t Commit>> {
    match there.standing().filter(|p| !past.ends_with(p)) {
        Some(p) if repo.descends(&head.id, &p.id)? => Ok(None),
        other => Ok(other),
    }
}

/// Returns the edits that change a tree, each path once, sorted.
fn effective(edits: Vec<Edit>, base: &dyn BaseTree) -> Result<Vec<Edit>> {
    let mut last: BTreeMap<String, Edit> = BTreeMap::new();
    for edit in edits {
        let makes_room = matches!(edit, Edit::Delete { .. }) && last.contains_key(edit.path());
        if !makes_room {
            last.insert(edit.path().to_owned(), edit);
        }
    }
    let mut kept = Vec::new();
    for (path, edit) in last {
        let before = base.entry(&path)?;
        let changes = match &edit {
            Edit::Put { bytes, .. } => {
                before.is_none_or(|e| e.kind != EntryKind::File || e.id != ObjectId::of_blob(bytes))
            }
            Edit::Delete { .. } => before.is_some(),
            Edit::Graft { graft, .. } => before.is_none_or(|e| e.id != graft.id),
        };
        if changes {
            kept.push(edit);
        }
    }
    Ok(kept)
}
