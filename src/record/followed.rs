//! Up to which commit the Applications of each cluster were followed to their end. Pure.
//!
//! A cluster stands at one commit: all its Applications were live and healthy there. Those
//! of which something else is known are named beside it, so a record is as long as what
//! went wrong, not as the fleet.

use crate::model::tree::ObjectId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many Applications of a cluster are named before nothing is said of it at all.
const NAMED: usize = 300;

/// What came of the Applications of one cluster, by `namespace/name`: true if it is settled.
pub type Outcomes = BTreeMap<String, bool>;

/// Up to where the clusters of a branch were followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Followed {
    /// The commit of all clusters that are not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// By `env/cluster`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clusters: BTreeMap<String, Standing>,
}

/// Where one cluster stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Standing {
    /// The commit at which every Application that is not named was settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// By `namespace/name`: the commit it was followed to, or `null` if it is owed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    applications: BTreeMap<String, Option<String>>,
}

/// What is known of an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// It was followed to this commit.
    At(ObjectId),
    /// It was asked for and did not get there.
    Owed,
    /// Nothing.
    Unknown,
}

impl Followed {
    /// Returns the record of a branch all of whose Applications were followed to a commit.
    pub fn to(commit: &ObjectId) -> Self {
        Self { since: Some(commit.to_string()), clusters: BTreeMap::new() }
    }

    /// Returns what is known of an Application.
    pub fn base(&self, cluster: &str, application: &str) -> Base {
        let standing = self.clusters.get(cluster);
        let since = match standing {
            Some(standing) => match standing.applications.get(application) {
                Some(Some(commit)) => Some(commit),
                Some(None) => return Base::Owed,
                None => standing.since.as_ref(),
            },
            None => self.since.as_ref(),
        };
        since.and_then(|text| text.parse().ok()).map_or(Base::Unknown, Base::At)
    }

    /// Returns true if all is known to be followed to a commit.
    pub fn is_all_at(&self, commit: &ObjectId) -> bool {
        *self == Self::to(commit)
    }

    /// Notes what came of a cluster's Applications at a commit. With `whole`, all of them were
    /// looked at, and those that have no outcome needed none.
    pub fn note(&mut self, cluster: &str, commit: &ObjectId, whole: bool, outcomes: &Outcomes) {
        let mut standing = match self.clusters.remove(cluster) {
            Some(standing) => standing,
            None => Standing { since: self.since.clone(), ..Standing::default() },
        };
        if whole {
            standing = Standing { since: Some(commit.to_string()), ..Standing::default() };
        }
        for (application, settled) in outcomes {
            match (settled, whole) {
                (true, true) => {}
                (true, false) => {
                    standing.applications.insert(application.clone(), Some(commit.to_string()));
                }
                (false, _) => {
                    standing.applications.insert(application.clone(), None);
                }
            }
        }
        if standing.applications.len() > NAMED {
            // Forgetting where one was followed to costs a look at more commits, no more.
            standing.applications.retain(|_, at| at.is_none());
        }
        if standing.applications.len() > NAMED {
            standing = Standing::default();
        }
        self.clusters.insert(cluster.to_owned(), standing);
    }

    /// Shortens it after all clusters of the branch were noted: those that are not `all` left
    /// the fleet, and those that stand at one commit need no name.
    pub fn compact(&mut self, all: &[String], commit: &ObjectId) {
        let whole = Standing { since: Some(commit.to_string()), ..Standing::default() };
        for cluster in all {
            if !self.clusters.contains_key(cluster) {
                let standing = Standing { since: self.since.clone(), ..Standing::default() };
                self.clusters.insert(cluster.clone(), standing);
            }
        }
        self.clusters.retain(|cluster, standing| all.contains(cluster) && *standing != whole);
        self.since = whole.since;
    }
}
