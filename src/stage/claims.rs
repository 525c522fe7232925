//! Who holds what only one may hold: one table, for clusters as for bindings.
//!
//! Bindings are checked among each other before it is known who of them holds (a binding with
//! another fault still has its last files on the clusters), clusters and what stands on them
//! when the fleet is resolved. Objects of one identity are a matter of rendered bytes: `gather`.

use crate::error::{Origin, Violation};
use crate::model::id::ClusterId;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How many other holders a message names: a fleet of thousands may share one mistake.
const NAMED: usize = 3;

/// How far a claim reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimScope {
    /// One holder on each cluster.
    Cluster,
    /// One holder in the fleet.
    Fleet,
}

/// Something that only one may hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// In words: "tunnel id `y`", "namespace `z`".
    pub what: String,
    /// How far it reaches.
    pub scope: ClaimScope,
    /// Who claims it, in words: "RepoBinding `ferry`", "prod/harbour".
    pub by: String,
    /// Where that was written.
    pub at: Origin,
    /// The edit that ends a clash.
    pub mend: String,
    /// Where it leads to, for what must not lead to two clusters: a host.
    pub leads_to: Vec<ClusterId>,
    /// Whether others may hold it too, as long as it leads to the same cluster.
    pub shared: bool,
}

impl Claim {
    /// Returns a claim that nobody else may have.
    pub fn new(what: String, scope: ClaimScope, by: &str, at: &Origin, mend: &str) -> Self {
        let (by, at, mend) = (by.to_owned(), at.clone(), mend.to_owned());
        Self { what, scope, by, at, mend, leads_to: Vec::new(), shared: false }
    }
}

/// All claims on all things.
#[derive(Debug)]
pub struct Table<H> {
    claims: BTreeMap<String, Vec<(H, Claim)>>,
}

impl<H: Clone + Ord> Table<H> {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self { claims: BTreeMap::new() }
    }

    /// Enters a claim; `holder` is who fails if another has it too.
    pub fn add(&mut self, holder: H, claim: Claim) {
        self.claims.entry(claim.what.clone()).or_default().push((holder, claim));
    }

    /// Returns a violation for each holder of something that two hold.
    ///
    /// Between equals neither is first. A holder that many depend on is not stopped by one of
    /// lower rank: only those of the highest number fail.
    pub fn clashes(self, rank: impl Fn(&H) -> u8) -> Vec<(H, Violation)> {
        let mut found = Vec::new();
        for (what, claims) in self.claims {
            let clusters: BTreeSet<&ClusterId> = claims.iter().flat_map(|(_, c)| &c.leads_to).collect();
            let holders: BTreeSet<&H> = claims.iter().map(|(h, _)| h).collect();
            let alone = claims.iter().any(|(_, c)| !c.shared);
            if clusters.len() < 2 && !(holders.len() > 1 && alone) {
                continue;
            }
            let lowest = holders.iter().map(|h| rank(h)).max();
            for (i, (holder, claim)) in claims.iter().enumerate() {
                if Some(rank(holder)) != lowest {
                    continue;
                }
                let message = match clusters.len() {
                    0 | 1 => format!("{what} is claimed by {} and by {}", claim.by, others(&claims, i)),
                    n => format!("{what} would stand on {n} clusters: {}", words(&clusters)),
                };
                let v = Violation::error(message).at(claim.at.clone()).hint(claim.mend.clone());
                found.push((holder.clone(), v));
            }
        }
        found
    }
}

impl<H: Clone + Ord> Default for Table<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns a number for what is claimed: things with different numbers differ. A table of words
/// is made for those alone whose number stands there twice.
pub fn number(what: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Returns the numbers that stand there more than once.
pub fn repeated(mut numbers: Vec<u64>) -> BTreeSet<u64> {
    numbers.sort_unstable();
    numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}

/// Names the other holders; a thousand copies of one binding must not give a million names.
fn others<H>(claims: &[(H, Claim)], own: usize) -> String {
    let others = claims.iter().enumerate().filter(|(j, _)| *j != own);
    let mut named: Vec<String> =
        others.take(NAMED).map(|(_, (_, c))| format!("{} ({})", c.by, c.at)).collect();
    if claims.len() > NAMED + 1 {
        named.push(format!("{} more", claims.len() - NAMED - 1));
    }
    named.join(" and by ")
}

fn words(clusters: &BTreeSet<&ClusterId>) -> String {
    let names: Vec<String> = clusters.iter().map(ToString::to_string).collect();
    names.join(", ")
}
