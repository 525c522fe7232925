//! What becomes of the request itself: opened, updated, closed, or left as it is.

use super::propose::{Proposer, Turn, Wish};
use super::request::{Told, WITHDRAWN, marked};
use super::settle::by_commit;
use crate::edge::forge::{Branches, MergeRequest, State};
use crate::edge::git::Repository;
use crate::error::{Error, Result, Violation, Violations};
use crate::follow::run_id;
use crate::model::target::ChangeSet;
use crate::model::tree::{BaseTree, ObjectId};
use crate::report::{RequestReport, RequestState};

impl Proposer<'_> {
    /// Settles the request, and says what became of it; also why the forge did not do its part.
    pub(super) fn settle_request(
        &mut self,
        repo: &Repository,
        turn: &mut Turn,
        target: Option<ObjectId>,
        pushed: Option<ObjectId>,
    ) -> Result<(RequestReport, Option<Error>)> {
        let commit = pushed.or(turn.standing);
        let base = repo.tree(target)?;
        let (state, request, trouble) = match self.act(&base, turn, commit) {
            Ok((RequestState::Open, request)) if pushed.is_some() => (RequestState::Updated, request, None),
            Ok((state, request)) => (state, request, None),
            Err(e) if pushed.is_some() => {
                let e = e.hint(format!("the change is on the branch `{}` already", self.branch));
                (RequestState::Unknown, None, Some(e))
            }
            Err(e) => (RequestState::Unknown, None, Some(e)),
        };
        let told = RequestReport {
            state,
            url: request.as_ref().map(|r| r.url.clone()),
            number: request.map(|r| r.number),
            branch: self.branch.clone(),
            commit: commit.map(|c| c.to_string()),
        };
        Ok((told, trouble))
    }

    /// Opens, updates, closes or leaves the request.
    fn act(
        &mut self,
        base: &dyn BaseTree,
        turn: &mut Turn,
        commit: Option<ObjectId>,
    ) -> Result<(RequestState, Option<MergeRequest>)> {
        match std::mem::replace(&mut turn.wish, Wish::Nothing) {
            Wish::Nothing => Ok((RequestState::None, None)),
            Wish::LeaveAlone => {
                let open = self.newest()?.filter(|r| r.state == State::Open).cloned();
                Ok((open.as_ref().map_or(RequestState::None, |_| RequestState::Open), open))
            }
            Wish::Closed => Ok((RequestState::Closed, self.newest()?.cloned())),
            Wish::Foreign(by) => {
                turn.notices.push(Violation::warning(format!(
                    "nothing was proposed: somebody else works on `{}`{}",
                    self.branch,
                    by_commit(&by)
                )));
                Ok((RequestState::Foreign, self.newest()?.cloned()))
            }
            Wish::Withdraw => self.withdraw(commit),
            Wish::Ask(edits, content) => {
                let mut told = self.told(&content, commit, &turn.changes);
                told.count(&edits, &self.run.fleet.path, base)?;
                self.ask(&told).map(|(state, request)| (state, Some(request)))
            }
            Wish::Unasked(error) => Err(error),
        }
    }

    /// Makes sure that one request asks for the proposal.
    fn ask(&mut self, told: &Told) -> Result<(RequestState, MergeRequest)> {
        let draft = told.draft(self.forge()?.longest());
        let open = self.newest()?.filter(|r| r.state == State::Open).cloned();
        let (state, request) = match open {
            Some(open) => (RequestState::Open, open),
            None => {
                let (source, target) = (self.branch.clone(), self.to.branch.clone());
                let between = Branches { source: &source, target: &target };
                (RequestState::Opened, self.forge()?.create(between, &draft)?)
            }
        };
        // Another agent may have opened it with less.
        if marked(&request.body) == Some(told.digest.as_str()) {
            return Ok((state, request));
        }
        self.forge()?.edit(request.number, &draft)?;
        Ok((if state == RequestState::Open { RequestState::Updated } else { state }, request))
    }

    /// Closes the request that has nothing left to ask for.
    fn withdraw(&mut self, commit: Option<ObjectId>) -> Result<(RequestState, Option<MergeRequest>)> {
        let Some(open) = self.newest()?.filter(|r| r.state == State::Open).cloned() else {
            return Ok((RequestState::None, None));
        };
        let told = self.told(WITHDRAWN, commit, &ChangeSet::default());
        let mut draft = told.draft(self.forge()?.longest());
        draft.title = format!("hydrant: {}: nothing to change", self.env);
        let why =
            "Closed by Hydrant: nothing is left to change here. It opens another request when there is.";
        self.forge()?.close(open.number, &draft, why)?;
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
