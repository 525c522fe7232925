//! The last step of a delivery: asks Argo CD for what is owed, and notes what came of it.

use super::{Delivered, Run};
use crate::edge::git::{Landed, Note, Noted, Repository};
use crate::error::{Result, Violations};
use crate::follow::{PushedBranch, Wish};
use crate::model::fleet::Destination;
use crate::model::id::ClusterId;
use crate::model::sync::WaitFor;
use crate::model::tree::ObjectId;
use crate::owed::{self, Branch, Kept, Known, Outcome, Reach, all_at, known, line_of};
use crate::report::{Report, Said};
use crate::stage::apps::Applied;

impl Run<'_> {
    /// Asks Argo CD for what is owed: everything that was touched since it was last followed
    /// to its end, by whichever agent.
    pub(super) fn follow(&self, to: &Destination, delivered: Delivered, report: &mut Report) -> Result<()> {
        let Some((follower, wish)) = self.follower else { return Ok(()) };
        let Some(commit) = delivered.revision.commit else { return Ok(()) };
        let mut found = Violations::new();
        let all = follower.applications(to, &mut found)?;
        let kept = Kept::of(self.request, &self.fleet.name, to);
        let from_here = kept.read();
        if from_here.as_ref().is_some_and(|followed| all_at(followed, &all, &commit)) {
            report.notices.extend(found.iter().map(Said::from));
            return Ok(());
        }
        let pushed = delivered.revision.landed == Landed::Pushed;
        let reach = self.reach(&all, to, delivered.changes.left_alone);
        let repository = delivered.repository;
        let known = match delivered.known {
            Some(known) => known,
            None if pushed => Known { last: Some(commit), followed: None },
            None => {
                let head = repository.read_commit(&commit)?;
                known(&repository, &head, &self.fleet.name, to, &mut found)
            }
        };
        let followed = known.followed.clone().or(from_here);
        let branch = Branch { repository: &repository, head: commit, path: &self.fleet.path, all: &all };
        let owed = match pushed && delivered.revision.base.is_none() {
            true => all.iter().map(|applied| applied.app.clone()).collect(),
            false => branch.owed(followed.as_ref(), follower.settings)?,
        };
        let pushed_to = PushedBranch::new(repository, &to.branch);
        let synced = match owed.is_empty() {
            true => None,
            false => Some(follower.sync(owed, &all, commit, &pushed_to, wish)?),
        };
        if says_something(wish) {
            let (before, report) = (followed.as_ref(), synced.as_ref());
            let outcome = Outcome { line: &line_of(to), commit, reach: &reach, before, report };
            let mut followed = followed.clone().unwrap_or_default();
            outcome.add_to(&mut followed);
            kept.write(&followed);
            // A run that neither changed nor followed anything leaves the notes alone.
            if pushed || synced.is_some() || known.followed.is_none() {
                let noted = pushed_to.with(|repository| self.note(repository, to, known.last, &outcome));
                owed::tell(&noted?, &mut found);
            }
        }
        // The push may have said the same of the notes already.
        let fresh = |said: &Said| !report.notices.contains(said);
        let said: Vec<Said> = found.iter().map(Said::from).filter(fresh).collect();
        report.notices.extend(said);
        report.syncs.extend(synced);
        Ok(())
    }

    fn note(
        &self,
        repository: &mut Repository,
        to: &Destination,
        on: Option<ObjectId>,
        outcome: &Outcome<'_>,
    ) -> Result<Noted> {
        // Without a commit of ours there is nothing to note on.
        let Some(on) = on else { return Ok(Noted::Nothing) };
        let outlived = |notes: &[Note]| self.outlived(notes, to);
        let blank = super::blank(&self.fleet.name, to, &on, self.request.seconds);
        Ok(outcome.write(repository, on, &self.signature()?, &blank, &outlived))
    }

    /// Returns how much of a branch this run looks at.
    fn reach(&self, all: &[Applied], to: &Destination, left_alone: bool) -> Reach {
        let pick = &self.request.render.pick;
        // What is held has Applications that this run does not know.
        let whole = |cluster: &ClusterId| {
            let held = self.target.held.keys().chain(self.fleet.held.keys()).any(|d| d.cluster == *cluster);
            pick.organizations.is_empty() && !held && !left_alone
        };
        let mut reach = Reach::over(all, whole, false);
        let mut here = self.target.homes.iter().filter(|(_, home)| *home == to).map(|(id, _)| id);
        reach.all = *pick == Default::default()
            && self.fleet.held.is_empty()
            && self.fleet.failed.is_empty()
            && here.all(|id| reach.clusters.contains_key(id));
        reach
    }
}

/// Returns true if a sync is followed far enough to tell that nothing is owed any more.
fn says_something(wish: &Wish) -> bool {
    wish.wait == WaitFor::Health && !wish.dry_run
}
