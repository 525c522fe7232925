//! Delivers to a destination by a merge request: the change goes to a branch of its own, and
//! one request asks to merge it. Git decides what has to be proposed, the forge is asked what
//! became of the request before.

use super::request::{Told, WITHDRAWN, marked};
use super::settle::{Past, by_commit};
use super::{Delivered, Run};
use crate::config::DeliveryRequest;
use crate::edge::embedded::builtin;
use crate::edge::forge::{Address, Branches, Forge, MergeRequest, State};
use crate::edge::git::{
    Commit, ENVIRONMENTS_TRAILER, GitSettings, PROPOSAL_TRAILER, Proposal, ProposalBranch, Publication,
    Remote, Repository, changed, digest, propose,
};
use crate::error::{Result, Violation, Violations};
use crate::follow::run_id;
use crate::message::{self, Trailers};
use crate::model::fleet::Destination;
use crate::model::settings::Settings;
use crate::model::target::ChangeSet;
use crate::model::tree::{BaseTree, Edit, EntryKind, ObjectId, join};
use crate::reconcile::{known_ids, rules};
use crate::report::{RequestReport, RequestState, proposal_branch};
use crate::stage::diff::{AllowDelete, Rules, folder_of, wanted};
use crate::stop::{Stop, StoppingClock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a person allowed once, and holds for as long as the proposal made with it waits.
const ALLOWED: [&str; 3] = ["Hydrant-Allow-Delete", "Hydrant-Adopt", "Hydrant-Release"];

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
enum Wish {
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
}

/// What one look at both heads gave.
struct Turn {
    changes: ChangeSet,
    notices: Violations,
    wish: Wish,
    /// The newest commit on the proposal's branch.
    standing: Option<ObjectId>,
}

/// One destination with merge requests, while a run is at it.
struct Proposer<'r> {
    run: &'r Run<'r>,
    to: &'r Destination,
    env: &'r str,
    branch: String,
    forge: Forge,
    /// What the forge knows of our requests, once it was asked.
    requests: Option<Vec<MergeRequest>>,
}

impl Run<'_> {
    /// Proposes to one destination.
    pub(super) fn propose(&self, to: &Destination, env: &str, stop: &Stop) -> Result<Delivered> {
        let request = self.request;
        let remote = Remote::parse(&to.repo)?;
        let address = forge_of(&self.definitions.settings, env, &to.repo)
            .map_err(|v| crate::error::Error::input("nothing was proposed").with(vec![v]))?;
        let settings = GitSettings { create: false, ..self.git_settings()? };
        let clock = Arc::new(StoppingClock::new(stop.clone()));
        let forge = Forge::open(&address, &request.forge, &settings, clock.clone())?;
        let mut repository = Repository::open_with(&remote, &settings, clock)?;
        let publication = Publication::new(to.branch.clone(), self.signature()?);
        let branch = proposal_branch(env);
        let mut proposer = Proposer { run: self, to, env, branch: branch.clone(), forge, requests: None };
        let mut turn = None;
        let proposed =
            propose(&mut repository, &publication, &branch, &self.fleet.name, |repo, head, there| {
                let (found, proposal) = proposer.look(repo, head, there)?;
                turn = Some(found);
                Ok(proposal)
            })?;
        let Some(mut turn) = turn else {
            return Err(crate::error::Error::internal("a proposal was pushed that nobody made"));
        };
        let pushed = proposed.pushed;
        let told = proposer.settle_request(&repository, &mut turn, proposed.target.commit, pushed)?;
        let trees = self.trees(&repository, &proposed.target, &turn.changes, to)?;
        Ok(Delivered {
            changes: turn.changes,
            notices: turn.notices,
            revision: proposed.target,
            created: false,
            trees,
            repository,
            request: Some(told),
        })
    }
}

impl Proposer<'_> {
    fn between(&self) -> Branches<'_> {
        Branches { source: &self.branch, target: &self.to.branch }
    }

    /// Returns the newest request; the forge is asked once a run.
    fn newest(&mut self) -> Result<Option<&MergeRequest>> {
        if self.requests.is_none() {
            self.requests = Some(self.forge.find(self.between())?);
        }
        let all = self.requests.as_deref().unwrap_or_default();
        Ok(all.iter().find(|r| r.state == State::Open).or(all.first()))
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
        let own = Allowed::of(run.request);
        let listed = &run.definitions.settings.allow_delete;
        let allow = own.delete(listed);
        let mut first =
            rules(run.fleet, &run.request.render.pick, run.fleet.scope(self.to), &allow, &known, run.request);
        let past = run.settle(repo, head, &base, &first, &there.ours)?;
        let standing = there.standing().filter(|p| !past.ends_with(p));
        let waits = match standing {
            Some(p) if repo.descends(&head.id, &p.id)? => None,
            other => other,
        };
        let closed = match waits {
            Some(_) => {
                self.newest()?.is_some_and(|r| r.state == State::Closed && marked(&r.body) != Some(WITHDRAWN))
            }
            None => false,
        };
        let allowed = own.with(waits.filter(|_| !closed));
        let allow = allowed.delete(listed);
        first.allow_delete = &allow;
        let rules = Rules { adopt: &allowed.0[1], release: &allowed.0[2], ..first };
        let mut notices = Violations::new();
        let turn = |changes, wish, notices| Turn {
            changes,
            notices,
            wish,
            standing: there.head.as_ref().map(|c| c.id),
        };
        let stale = run.is_stale(&past, &mut notices)
            || waits.is_some_and(|p| run.is_older(p, "the open merge request", &mut notices));
        if stale {
            let changes = ChangeSet { left_alone: true, ..ChangeSet::default() };
            return Ok((turn(changes, Wish::LeaveAlone, notices), None));
        }
        run.judge_drift(&past, &|unit| self.has_wanted(&base, &rules, unit), &mut notices)?;
        let changes = run.diff_on(repo, &base, self.to, &rules, &past)?;
        let mut same = false;
        let mut edits = changes.edits.clone();
        if let Some(waiting) = waits {
            match self.against(repo, &base, waiting, &rules, &past)? {
                Some(more) if more.is_empty() => {
                    edits = self.carried(repo, &base, waiting)?;
                    same = true;
                }
                Some(more) if self.keeps() => {
                    edits = self.carried(repo, &base, waiting)?;
                    edits.extend(more);
                }
                None if self.is_partial() => {
                    notices.push(Violation::warning(format!(
                        "the open proposal on `{}` is left alone: `{}` changed under it, and this run is only about a part of {}",
                        self.branch, self.to.branch, self.env
                    )).hint("a run about the whole environment brings it up to date"));
                    return Ok((turn(changes, Wish::LeaveAlone, notices), None));
                }
                _ => {}
            }
        }
        let edits = effective(edits, &base)?;
        if edits.is_empty() {
            // What is held may only be broken for a moment; it takes no request away.
            let wish = if waits.is_some() && !self.keeps() { Wish::Withdraw } else { Wish::Nothing };
            return Ok((turn(changes, wish, notices), None));
        }
        if let Some(foreign) = &there.foreign {
            return Ok((turn(changes, Wish::Foreign(Box::new(foreign.clone())), notices), None));
        }
        let content = digest(&edits);
        if self.newest()?.is_some_and(|r| {
            r.state == State::Closed
                && match marked(&r.body) {
                    Some(text) => text == content,
                    // Somebody edited the description; the branch still has what was closed.
                    None => same,
                }
        }) {
            return Ok((turn(changes, Wish::Closed, notices), None));
        }
        let proposal = (!same).then(|| Proposal {
            edits: edits.clone(),
            message: message::of(&changes, &self.trailers(&content, &allowed)),
        });
        Ok((turn(changes, Wish::Ask(edits, content), notices), proposal))
    }

    fn trailers(&self, content: &str, allowed: &Allowed) -> Trailers {
        let own = Trailers::of(self.run.definitions, self.run.fleet, builtin())
            .with(ENVIRONMENTS_TRAILER, self.env)
            .with(PROPOSAL_TRAILER, content);
        let given = ALLOWED.iter().zip(&allowed.0);
        given
            .flat_map(|(key, values)| values.iter().map(move |v| (*key, v)))
            .fold(own, |t, (k, v)| t.with(k, v))
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
    fn against(
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
                return Ok(wanted(cluster, place) == base.entry(unit)?.map(|e| e.id));
            }
        }
        Ok(false)
    }

    /// Opens, updates, closes or leaves the request, and says what became of it.
    fn settle_request(
        &mut self,
        repo: &Repository,
        turn: &mut Turn,
        target: Option<ObjectId>,
        pushed: Option<ObjectId>,
    ) -> Result<RequestReport> {
        let commit = pushed.or(turn.standing);
        let (state, request) = match &turn.wish {
            Wish::Nothing => (RequestState::None, None),
            Wish::LeaveAlone => {
                (RequestState::Open, self.newest()?.filter(|r| r.state == State::Open).cloned())
            }
            Wish::Closed => (RequestState::Closed, self.newest()?.cloned()),
            Wish::Foreign(by) => {
                let request = self.newest()?.cloned();
                turn.notices.push(Violation::warning(format!(
                    "nothing was proposed: somebody else works on `{}`{}",
                    self.branch,
                    by_commit(by)
                )));
                (RequestState::Foreign, request)
            }
            Wish::Withdraw => self.withdraw(commit)?,
            Wish::Ask(edits, content) => {
                let mut told = self.told(content, commit, &turn.changes);
                told.count(edits, &self.run.fleet.path, &repo.tree(target)?)?;
                let (state, request) = self.ask(&told).map_err(|e| match pushed {
                    Some(_) => e.hint(format!("the change is on the branch `{}` already", self.branch)),
                    None => e,
                })?;
                (
                    if pushed.is_some() && state == RequestState::Open {
                        RequestState::Updated
                    } else {
                        state
                    },
                    Some(request),
                )
            }
        };
        Ok(RequestReport {
            state,
            url: request.as_ref().map(|r| r.url.clone()),
            number: request.map(|r| r.number),
            branch: self.branch.clone(),
            commit: commit.map(|c| c.to_string()),
        })
    }

    /// Makes sure that one request asks for the proposal.
    fn ask(&mut self, told: &Told) -> Result<(RequestState, MergeRequest)> {
        let draft = told.draft(self.forge.longest());
        let open = self.newest()?.filter(|r| r.state == State::Open).cloned();
        let (state, request) = match open {
            Some(open) => (RequestState::Open, open),
            None => (RequestState::Opened, self.forge.create(self.between(), &draft)?),
        };
        // Another agent may have opened it with less.
        if marked(&request.body) == Some(told.digest.as_str()) {
            return Ok((state, request));
        }
        self.forge.edit(request.number, &draft)?;
        Ok((if state == RequestState::Open { RequestState::Updated } else { state }, request))
    }

    /// Closes the request that has nothing left to ask for.
    fn withdraw(&mut self, commit: Option<ObjectId>) -> Result<(RequestState, Option<MergeRequest>)> {
        let Some(open) = self.newest()?.filter(|r| r.state == State::Open).cloned() else {
            return Ok((RequestState::None, None));
        };
        let told = self.told(WITHDRAWN, commit, &ChangeSet::default());
        let mut draft = told.draft(self.forge.longest());
        draft.title = format!("hydrant: {}: nothing to change", self.env);
        let why =
            "Closed by Hydrant: nothing is left to change here. It opens another request when there is.";
        self.forge.close(open.number, &draft, why)?;
        Ok((RequestState::Withdrawn, Some(open)))
    }

    fn told(&self, content: &str, commit: Option<ObjectId>, changes: &ChangeSet) -> Told {
        let run = self.run;
        let held = run.target.held.iter().filter(|(d, why)| d.cluster.env == self.env && !why.is_empty());
        let reason = |why: &Violations| why.first().map(|v| v.message.clone()).unwrap_or_default();
        Told {
            target: self.to.branch.clone(),
            env: self.env.to_owned(),
            held: held
                .chain(changes.refused.iter().map(|r| (&r.domain, &r.why)))
                .map(|(domain, why)| (domain.to_string(), reason(why)))
                .collect(),
            source: run.definitions.source.name.clone(),
            source_commit: run.definitions.source.commit.clone(),
            run: commit.map(|c| run_id(&c, run.request.seconds)).unwrap_or_default(),
            digest: content.to_owned(),
            ..Told::default()
        }
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
        };
        if changes {
            kept.push(edit);
        }
    }
    Ok(kept)
}

/// What persons allowed: deletions, folders given to us, rollbacks ended. By their trailers.
#[derive(Clone, Default)]
struct Allowed([Vec<String>; 3]);

impl Allowed {
    fn of(request: &DeliveryRequest) -> Self {
        Self([request.allow_delete.clone(), request.adopt.clone(), request.release.clone()])
    }

    /// Adds what the waiting proposal was made with: else the next run would take it back.
    fn with(mut self, waiting: Option<&Commit>) -> Self {
        for line in waiting.iter().flat_map(|commit| commit.message.lines()) {
            let Some((key, value)) = line.split_once(": ") else { continue };
            if let Some(n) = ALLOWED.iter().position(|known| *known == key)
                && let Some(all) = self.0.get_mut(n)
                && !all.iter().any(|known| known == value)
            {
                all.push(value.to_owned());
            }
        }
        self
    }

    fn delete(&self, listed: &[String]) -> AllowDelete {
        AllowDelete::new(self.0[0].iter().chain(listed).cloned())
    }
}
