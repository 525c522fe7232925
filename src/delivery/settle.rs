//! Settles what others did on a destination since our last commit, and diffs on top of it.

use super::Run;
use crate::edge::git::{Ancestry, Commit, Ownership, Repository, Settlements, settle_branch};
use crate::error::{Error, Origin, Result, Violation, Violations};
use crate::model::fleet::Destination;
use crate::model::id::{ClusterId, UnitId};
use crate::model::mark::{self, Mark};
use crate::model::target::ChangeSet;
use crate::model::tree::BaseTree;
use crate::stage::diff::{Drift, Rules, Settlement, diff, folder_of};
use crate::stage::settle::{By, Held, Settled, Verdict};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What others did on a branch since our last commit, settled. Environments that are delivered
/// apart are settled apart: each has a last commit of its own.
#[derive(Default)]
pub(super) struct Past {
    groups: Vec<Settlements>,
    settled: Settled,
    /// What the marks held at our last commits, or hold now where none is in reach.
    held: Held,
}

impl Past {
    /// Returns true if a commit of ours is the last one of an environment, or was merged as it.
    pub(super) fn ends_with(&self, commit: &Commit) -> bool {
        self.groups.iter().any(|group| group.made.id == commit.id)
    }
}

impl Run<'_> {
    /// Settles and diffs on one head. Called again for each head that a lost race brings.
    pub(super) fn on_head(
        &self,
        repository: &Repository,
        head: Option<&Commit>,
        to: &Destination,
        rules: &Rules<'_>,
    ) -> Result<(ChangeSet, Violations)> {
        let base = repository.tree(head.map(|c| c.id))?;
        let past = match head {
            Some(head) => self.settle(repository, head, &base, rules, &[])?,
            None => Past::default(),
        };
        let mut notices = Violations::new();
        if self.is_stale(&past, &mut notices) {
            return Ok((ChangeSet { left_alone: true, ..ChangeSet::default() }, notices));
        }
        self.judge_drift(&past, &|_| Ok(false), &mut notices)?;
        Ok((self.diff_on(repository, &base, to, rules, &past)?, notices))
    }

    /// Compares the target with a tree, as a settled past allows.
    pub(super) fn diff_on(
        &self,
        repository: &Repository,
        base: &dyn BaseTree,
        to: &Destination,
        rules: &Rules<'_>,
        past: &Past,
    ) -> Result<ChangeSet> {
        let Some(first) = past.groups.first() else { return diff(self.target, to, base, rules) };
        // Only blobs are read there, which any tree of the repository gives.
        let ours = repository.tree(Some(first.last.id))?;
        let held = past.settled.held_after(&past.held, self.request.drift == Drift::Report);
        let settlement = Settlement { held, settled: &past.settled, ours: &ours };
        diff(self.target, to, base, &Rules { settlement: Some(&settlement), ..*rules })
    }

    /// Settles a branch, for the environments that the destination is about.
    pub(super) fn settle(
        &self,
        repository: &Repository,
        head: &Commit,
        base: &dyn BaseTree,
        rules: &Rules<'_>,
        proposals: &[Commit],
    ) -> Result<Past> {
        let apart = !self.fleet.proposing.is_empty();
        let past = self.settle_all(repository, head, base, rules, proposals, apart)?;
        // Environments that are delivered alike now may not have been until now.
        if !apart && past.groups.iter().any(Settlements::is_about_some) {
            return self.settle_all(repository, head, base, rules, proposals, true);
        }
        Ok(past)
    }

    fn settle_all(
        &self,
        repository: &Repository,
        head: &Commit,
        base: &dyn BaseTree,
        rules: &Rules<'_>,
        proposals: &[Commit],
        apart: bool,
    ) -> Result<Past> {
        let here = rules.known_ids.iter().filter(|id| rules.scope.takes(&id.env));
        let mut groups: BTreeMap<Option<&str>, Vec<&ClusterId>> = BTreeMap::new();
        for id in here {
            groups.entry(apart.then_some(id.env.as_str())).or_default().push(id);
        }
        let mut past = Past::default();
        for (env, ids) in groups {
            let folders: Vec<String> = ids.iter().map(|id| folder_of(rules.path, id)).collect();
            match self.settle_group(repository, head, base, rules, (env, &ids), proposals)? {
                Some(settlements) => {
                    past.settled.units.extend(settlements.settled.units.clone());
                    past.settled.others.extend(settlements.settled.others.clone());
                    past.held.extend(settlements.held.clone());
                    past.groups.push(settlements);
                }
                None => past.held.extend(held_in(base, &folders)?),
            }
        }
        Ok(past)
    }

    fn settle_group(
        &self,
        repository: &Repository,
        head: &Commit,
        base: &dyn BaseTree,
        rules: &Rules<'_>,
        (env, ids): (Option<&str>, &[&ClusterId]),
        proposals: &[Commit],
    ) -> Result<Option<Settlements>> {
        let roots: Vec<(String, &ClusterId)> =
            ids.iter().map(|id| (folder_of(rules.path, id), *id)).collect();
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
        let us =
            Ownership { fleet: rules.fleet, roots: &folders, unit_of: &unit_of, held: &held, env, proposals };
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
    /// What stands as the fleet wants it now is no drift if `wanted` says so.
    pub(super) fn judge_drift(
        &self,
        past: &Past,
        wanted: &dyn Fn(&str) -> Result<bool>,
        notices: &mut Violations,
    ) -> Result<()> {
        let fate = match self.request.drift {
            Drift::Restore => "it is put back to what was delivered",
            Drift::Report => "it stays as it is",
            Drift::Fail => "the run is refused (--drift=fail)",
        };
        let mut settled = Vec::new();
        for (path, one) in past.settled.units.iter().chain(&past.settled.others) {
            if matches!(one.verdict, Verdict::Drift { .. }) && !wanted(path)? {
                settled.push((path, one));
            }
        }
        let index = |path: &str| {
            path.ends_with("/kustomization.yaml")
                || path.ends_with("/.hydrant")
                || path.ends_with("-apps.yaml")
                || path.ends_with("/root-app.yaml")
        };
        let drifted: Violations = settled
            .into_iter()
            .filter(|(path, _)| !index(path))
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
    pub(super) fn is_stale(&self, past: &Past, notices: &mut Violations) -> bool {
        let mut asked = BTreeSet::new();
        past.groups.iter().any(|group| {
            // Environments mostly share their last commit; it is asked about once.
            asked.insert(group.made.id) && self.is_older(&group.made, "the branch", notices)
        })
    }

    /// Returns true if a commit of ours has what a newer commit of the fleet gave.
    pub(super) fn is_older(&self, made: &Commit, what: &str, notices: &mut Violations) -> bool {
        let Some(ours) = self.definitions.source.commit.as_deref() else { return false };
        let Some(delivered) = made.trailer("Hydrant-Source-Commit") else { return false };
        if delivered == ours || self.request.allow_older {
            return false;
        }
        match self.request.render.fleet.ancestry(ours, delivered) {
            Ancestry::Older => {
                notices.push(
                    Violation::warning(format!(
                        "left alone: {what} has what the fleet's commit {} gave, which is newer than this {}",
                        short(delivered),
                        short(ours)
                    ))
                    .hint("if the older state is meant: --allow-older"),
                );
                true
            }
            Ancestry::Same | Ancestry::Newer | Ancestry::Apart => false,
            Ancestry::Unknown => {
                notices.push(Violation::warning(format!(
                    "whether the fleet's commit {}, which was delivered last, is newer than this {} cannot be told here",
                    short(delivered),
                    short(ours)
                )));
                false
            }
        }
    }
}

fn changed(files: &[&str], rest: &str) -> String {
    format!("{}{rest} changed", files.join(", "))
}

/// Says who did it, after a blank; nothing if that is not known.
pub(super) fn by(by: Option<&By>) -> String {
    by.map(|b| format!(" by {} in {} ({})", b.author, b.commit.short(), b.subject)).unwrap_or_default()
}

/// Says who made a commit, after a blank.
pub(super) fn by_commit(commit: &Commit) -> String {
    let who = By { commit: commit.id, author: commit.author.clone(), subject: commit.subject().to_owned() };
    by(Some(&who))
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
