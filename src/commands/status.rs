//! `hydrant status`: the phase of every binding, from the inputs, the GitOps repository and,
//! when somebody can ask it, Argo CD.

use crate::cli::StatusArgs;
use crate::config::DeliveryRequest;
use crate::edge::git::{Remote, Repository, Tip};
use crate::error::Result;
use crate::model::fleet::{Destination, Fleet};
use crate::model::id::{ClusterId, Domain, SubjectId};
use crate::model::target::{ClusterTarget, TargetState};
use crate::model::tree::{BaseTree, NoTree, ObjectId};
use crate::reconcile::{self, Tools};
use crate::stage::applications::{repository_path, subject_name};
use crate::stage::bindings::status::{self, BindingStatus, LiveApplication, Seen, Sight};
use crate::stop::Stop;
use crate::telemetry::Shown;
use std::collections::BTreeMap;

/// Whoever can say how an Application stands. The command asks nobody until Argo CD is wired in.
pub trait AskArgocd {
    /// Returns the state of an Application; none if it cannot be had.
    fn application(&self, cluster: &ClusterId, name: &str) -> Option<LiveApplication>;
}

/// Asks nobody.
pub struct AskNobody;

impl AskArgocd for AskNobody {
    fn application(&self, _: &ClusterId, _: &str) -> Option<LiveApplication> {
        None
    }
}

/// Prints the status of every binding.
///
/// # Errors
/// A fleet that cannot be read.
pub fn run(args: &StatusArgs, quiet: bool) -> Result<u8> {
    let request = super::delivery(&args.fleet, &args.destination, None)?;
    let memo = super::memo(&request);
    let progress = Shown::new(quiet);
    let tools = Tools { memo: &memo, progress: &progress, stop: &Stop::never() };
    let all = statuses(&request, &tools, &AskNobody)?;
    super::print_list(&all, &status::table(&all), args.format)?;
    Ok(0)
}

/// Returns the status of every binding of the fleet. A branch that cannot be read makes its
/// bindings Pending and is no error.
///
/// # Errors
/// A fleet that cannot be read.
pub fn statuses(
    request: &DeliveryRequest,
    tools: &Tools<'_>,
    argocd: &dyn AskArgocd,
) -> Result<Vec<BindingStatus>> {
    let definitions = reconcile::definitions(&request.render)?;
    let fleet = reconcile::fleet(&definitions, &request.render.pick)?;
    let mut target = reconcile::hydrate(&fleet, &request.render.pick, tools)?;
    let mut sight = Sight::new();
    for to in reconcile::destinations(&fleet, &mut target, request) {
        let opened = open(&to, request);
        let tree = match &opened {
            Some((repository, Some(head))) => {
                Some(Box::new(repository.tree(Some(*head))?) as Box<dyn BaseTree>)
            }
            Some((_, None)) => Some(Box::new(NoTree) as Box<dyn BaseTree>),
            None => None,
        };
        let here = target.homes.iter().filter(|(_, home)| **home == to).map(|(id, _)| id.clone());
        for id in here.collect::<Vec<_>>() {
            look(&fleet, &target, &id, tree.as_deref(), argocd, &mut sight)?;
        }
    }
    Ok(status::of_all(&fleet.subjects, &sight))
}

fn open(to: &Destination, request: &DeliveryRequest) -> Option<(Repository, Option<ObjectId>)> {
    let remote = Remote::parse(&to.repo).ok()?;
    let mut repository = Repository::open(&remote, &request.git).ok()?;
    let head = match repository.fetch(&to.branch).ok()? {
        Tip::Head(commit) => Some(commit.id),
        _ => None,
    };
    Some((repository, head))
}

/// Compares what should stand for each subject of a cluster with what does.
fn look(
    fleet: &Fleet<'_>,
    target: &TargetState,
    id: &ClusterId,
    tree: Option<&dyn BaseTree>,
    argocd: &dyn AskArgocd,
    sight: &mut Sight,
) -> Result<()> {
    let Some(cluster) = fleet.clusters.iter().find(|c| c.id == *id) else { return Ok(()) };
    let nothing = ClusterTarget::default();
    let wanted = target.clusters.get(id).unwrap_or(&nothing);
    for subject in cluster.subjects.keys() {
        let mut seen = Seen {
            files: tree.map(|_| BTreeMap::new()),
            live: argocd.application(id, &subject_name(cluster, subject)),
            held: target.held.get(&domain(id, subject)).cloned().unwrap_or_default(),
        };
        if let (Some(tree), Some(files)) = (tree, &mut seen.files) {
            for (unit, hydrated) in wanted.units.values().filter(|(u, _)| u.subject == *subject) {
                debug_assert_eq!(unit.cluster, *id);
                for file in &hydrated.files {
                    let path = repository_path(&fleet.path, cluster, &file.path);
                    let there = tree.entry(&path)?.is_some_and(|e| e.id == ObjectId::of_blob(&file.bytes));
                    files.insert(file.path.clone(), there);
                }
            }
        }
        sight.insert((id.clone(), subject.clone()), seen);
    }
    Ok(())
}

fn domain(cluster: &ClusterId, subject: &SubjectId) -> Domain {
    Domain { cluster: cluster.clone(), subject: subject.clone() }
}
