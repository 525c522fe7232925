//! Which Applications are owed a sync: those whose last followed commit is older than the
//! last one that touched their paths.
//!
//! Where an Application was followed to is told by the record in our last commit's note;
//! where no record tells, Argo CD itself is asked. What is unknown is owed: a sync too many
//! does no harm, one too few leaves a cluster behind.

mod kept;
mod known;
mod outcome;

pub use kept::Kept;
pub use known::{Known, known, tell};
pub use outcome::{Outcome, Reach, all_at};

use crate::edge::argocd::compared::{Standing, compared};
use crate::edge::argocd::settings::ArgoSettings;
use crate::edge::git::{Repository, states_since};
use crate::error::Result;
use crate::model::fleet::Destination;
use crate::model::id::ClusterId;
use crate::model::sync::AppRef;
use crate::model::tree::{BaseTree, ObjectId};
use crate::record::{Base, Followed};
use crate::stage::apps::Applied;
use crate::stage::diff::folder_of;
use std::collections::{BTreeMap, BTreeSet};

/// From more commits than this on, a base is looked up from Argo CD's answers no further.
const BASES: usize = 64;

/// One branch, and the Applications that it may owe a sync.
pub struct Branch<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Its head.
    pub head: ObjectId,
    /// The fleet's folder in it.
    pub path: &'a str,
    /// The Applications of the selected clusters.
    pub all: &'a [Applied],
}

/// Names what is followed apart on one repository: a branch, and each environment whose changes
/// are proposed to it.
pub fn line_of(to: &Destination) -> String {
    match &to.proposes {
        // No branch has a colon in its name.
        Some(env) => format!("{}:{env}", to.branch),
        None => to.branch.clone(),
    }
}

/// Names an Application inside its cluster.
pub fn name_of(app: &AppRef) -> String {
    format!("{}/{}", app.namespace, app.name)
}

impl Branch<'_> {
    /// Returns the Applications that are owed. `followed` is what the record says; without
    /// one, and for what it does not tell, Argo CD is asked.
    ///
    /// # Errors
    /// History or trees that cannot be read.
    pub fn owed(&self, followed: Option<&Followed>, settings: &ArgoSettings) -> Result<Vec<AppRef>> {
        let now = self.repository.tree(Some(self.head))?;
        let base = |applied: &Applied| match followed {
            // What is only proposed, or held from the start, is nothing that Argo CD could sync.
            _ if !stands(&now, &folder_of(self.path, &applied.cluster), applied)? => Ok(Base::At(self.head)),
            Some(followed) => Ok(followed.base(&applied.cluster.to_string(), &name_of(&applied.app))),
            None => Ok(Base::Unknown),
        };
        let mut bases: Vec<Base> = self.all.iter().map(base).collect::<Result<_>>()?;
        let mut owed = self.owed_since(&bases)?;
        let open: Vec<usize> = (0..self.all.len()).filter(|n| owed.get(n) == Some(&None)).collect();
        let asked: Vec<AppRef> = open.iter().map(|n| self.all[*n].app.clone()).collect();
        let standing = compared(&asked, settings, "hydrant-owed");
        for n in &open {
            bases[*n] = match standing.get(&self.all[*n].app.key()) {
                Some(Standing::At(commit)) => commit.parse().map_or(Base::Owed, Base::At),
                Some(Standing::OurSpec) => Base::At(self.head),
                None => Base::Owed,
            };
        }
        if !open.is_empty() {
            owed = self.owed_since(&bases)?;
        }
        // Still unknown: Argo CD names a commit that this branch does not have.
        let is_owed = |n: &usize| owed.get(n).is_some_and(|owed| *owed != Some(false));
        Ok((0..self.all.len()).filter(is_owed).map(|n| self.all[n].app.clone()).collect())
    }

    /// Returns true for each Application that was touched since its base; none where the
    /// base tells nothing.
    fn owed_since(&self, bases: &[Base]) -> Result<BTreeMap<usize, Option<bool>>> {
        let mut owed = BTreeMap::new();
        let mut groups: BTreeMap<ObjectId, Vec<usize>> = BTreeMap::new();
        for (n, base) in bases.iter().enumerate() {
            match base {
                Base::At(commit) => groups.entry(*commit).or_default().push(n),
                Base::Owed => {
                    owed.insert(n, Some(true));
                }
                Base::Unknown => {
                    owed.insert(n, None);
                }
            }
        }
        for (looked, (base, members)) in groups.into_iter().enumerate() {
            let touched = if looked < BASES { self.touched(base, &members)? } else { None };
            for n in members {
                owed.insert(n, touched.as_ref().map(|touched| touched.contains(&n)));
            }
        }
        Ok(owed)
    }

    /// Returns which Applications differ from what they were at a commit, in any state that
    /// the branch had since; none if it does not have that commit.
    fn touched(&self, base: ObjectId, members: &[usize]) -> Result<Option<BTreeSet<usize>>> {
        let Some(states) = states_since(self.repository, self.head, base)? else { return Ok(None) };
        let before = self.repository.tree(Some(base))?;
        let mut clusters: BTreeMap<&ClusterId, Vec<usize>> = BTreeMap::new();
        for n in members {
            clusters.entry(&self.all[*n].cluster).or_default().push(*n);
        }
        let mut touched = BTreeSet::new();
        for state in states {
            let now = self.repository.tree(Some(state))?;
            for (cluster, members) in &clusters {
                let root = folder_of(self.path, cluster);
                if before.entry(&root)? == now.entry(&root)? {
                    continue;
                }
                for n in members.iter().filter(|n| !touched.contains(*n)).copied().collect::<Vec<_>>() {
                    if differs(&before, &now, &root, &self.all[n])? {
                        touched.insert(n);
                    }
                }
            }
        }
        Ok(Some(touched))
    }
}

/// Returns true if an Application's manifest is in a tree.
fn stands(tree: &dyn BaseTree, root: &str, applied: &Applied) -> Result<bool> {
    Ok(tree.entry(&format!("{root}/{}", applied.manifest))?.is_some())
}

/// Returns true if an Application's manifest or folder differs between two trees.
fn differs(before: &dyn BaseTree, now: &dyn BaseTree, root: &str, applied: &Applied) -> Result<bool> {
    for place in [Some(&applied.manifest), applied.folder.as_ref()].into_iter().flatten() {
        let place = format!("{root}/{place}");
        if before.entry(&place)?.map(|e| e.id) != now.entry(&place)?.map(|e| e.id) {
            return Ok(true);
        }
    }
    Ok(false)
}
