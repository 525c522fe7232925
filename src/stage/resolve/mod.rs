//! Definitions → [`Fleet`]: checks what refers to what, derives what follows, and decides who
//! is held. The only stage that sees the whole fleet.

mod claims;
mod components;
mod overlays;
mod subjects;
mod values;

pub use components::base_context;
pub use subjects::resolve as resolve_subjects;

use crate::definition::Definitions;
use crate::definition::clusters::ClusterDefinition;
use crate::error::{Origin, Violation, Violations};
use crate::model::cluster::ClusterFile;
use crate::model::fleet::{Cluster, Destination, Fleet, MayDelete};
use crate::model::id::{ClusterId, Domain};
use crate::model::platform::{Argocd, Vault};
use crate::model::settings::{Deliver, Settings};
use crate::stage::bindings::Subjects;
use crate::stage::lint::lint_platform;
use crate::suggest::did_you_mean;
use crate::template::Part;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Resolves a fleet.
pub fn resolve<'d>(definitions: &'d Definitions, builtin: &crate::definition::tree::Tree) -> Fleet<'d> {
    resolve_with(definitions, builtin, resolve_subjects(definitions, Arc::default()))
}

/// Resolves a fleet whose bindings are resolved already: their documents are not needed any more.
pub fn resolve_with<'d>(
    definitions: &'d Definitions,
    builtin: &crate::definition::tree::Tree,
    subjects: Subjects,
) -> Fleet<'d> {
    let mut fleet = Fleet {
        name: definitions.settings.fleet_name().to_owned(),
        path: definitions.settings.path.clone().unwrap_or_default(),
        clusters: Vec::new(),
        held: BTreeMap::new(),
        failed: definitions.catalog.failed.clone(),
        notices: definitions.notices.clone(),
        may_delete: MayDelete::default(),
        known_clusters: Vec::new(),
        proposing: proposing(&definitions.settings),
        listed: listed(&definitions.settings),
        subjects,
    };
    fleet.notices.extend(definitions.catalog.notices.iter().cloned());
    for failed in &definitions.failed_clusters {
        match &failed.who {
            Some(name) => fleet.known_clusters.push(name.clone()),
            None => fleet.may_delete.clusters = false,
        }
        fleet.failed.extend(failed.why.iter().cloned());
    }
    let twice = names_that_stand_twice(&definitions.clusters);
    let mut overlays = overlays::Compiler::new(builtin, &definitions.fleet, &definitions.catalog);
    for definition in &definitions.clusters {
        fleet.known_clusters.push(definition.file.name.clone());
        let id = definition.file.id();
        if let Some(others) = twice.get(definition.file.name.as_str()) {
            let why = clash_of_names(definition, others);
            hold(&mut fleet, Domain::cluster(id), vec![why]);
            continue;
        }
        match resolve_cluster(definition, definitions, &mut overlays, &mut fleet) {
            Ok(cluster) => fleet.clusters.push(cluster),
            Err(why) => hold(&mut fleet, Domain::cluster(id), why),
        }
    }
    fleet.clusters.sort_by(|a, b| a.id.cmp(&b.id));
    subjects::place(definitions, &mut fleet);
    let everyone_held = !definitions.catalog.failed.is_empty();
    if everyone_held {
        for cluster in &fleet.clusters {
            fleet.held.entry(Domain::cluster(cluster.id.clone())).or_default();
        }
    }
    claims::check(&mut fleet);
    fleet.known_clusters.sort();
    fleet
}

fn hold(fleet: &mut Fleet<'_>, domain: Domain, why: Violations) {
    fleet.held.entry(domain).or_default().extend(why);
}

/// Returns the names that more than one document claims, with all their places.
fn names_that_stand_twice(clusters: &[ClusterDefinition]) -> BTreeMap<&str, Vec<Origin>> {
    let mut places: BTreeMap<&str, Vec<Origin>> = BTreeMap::new();
    for c in clusters {
        places.entry(&c.file.name).or_default().push(c.at.clone());
    }
    places.retain(|_, at| at.len() > 1);
    places
}

fn clash_of_names(definition: &ClusterDefinition, places: &[Origin]) -> Violation {
    let others: Vec<String> =
        places.iter().filter(|at| **at != definition.at).map(ToString::to_string).collect();
    Violation::error(format!(
        "the cluster name `{}` stands twice; the other is {}",
        definition.file.name,
        others.join(", ")
    ))
    .at(definition.at.clone())
    .key("name")
    .hint("a name is a cluster's identity: give each its own; both are held until then")
}

fn resolve_cluster<'d>(
    definition: &'d ClusterDefinition,
    definitions: &'d Definitions,
    overlays: &mut overlays::Compiler<'_>,
    fleet: &mut Fleet<'d>,
) -> Result<Cluster<'d>, Violations> {
    let file = &definition.file;
    let id = file.id();
    if !definitions.environments.failed.is_empty() {
        return Err(definitions.environments.failed.clone());
    }
    let environment = definitions.environments.by_name.get(&id.env).ok_or_else(|| {
        let known = definitions.environments.by_name.keys().map(String::as_str);
        let mut v = Violation::error(format!("there is no overlay for the environment `{}`", id.env))
            .at(definition.env_at.clone())
            .key("gitops.env");
        let there: Vec<&str> = known.clone().collect();
        let near = did_you_mean(&id.env, known).filter(|h| h.starts_with("did")).map(|h| format!("{h}\n"));
        v.hint = Some(format!(
            "{}there are {}; a folder overlays/{}/ adds it",
            near.unwrap_or_default(),
            there.join(", "),
            id.env
        ));
        vec![v]
    })?;
    let mut found = environment.failed.clone();
    found.extend(definition.values_failed.iter().cloned());
    let tree = values::merge(definition, environment, &definitions.catalog, &mut found);
    let (vault, argocd) = values::platform(&tree, file, &mut found);
    let chain = overlays.chain(&id.env, &mut found, &mut fleet.notices);
    if !found.is_empty() {
        return Err(found);
    }
    let destination = destination(file, definitions);
    let global = tree.get("global").map_or_else(|| json!({}), |g| g.to_value());
    let view =
        [("cluster", view(file, &destination, &vault, &argocd)), ("env", json!(id.env)), ("global", global)];
    let mut cluster = Cluster {
        id: id.clone(),
        file,
        at: definition.at.clone(),
        values: tree,
        vault,
        argocd,
        view: view.into_iter().map(|(name, data)| (name, Part::new(data))).collect(),
        enabled: Part::new(json!([])),
        access: Part::new(json!({})),
        components: Vec::new(),
        subject_components: Vec::new(),
        subjects: BTreeMap::new(),
        destination,
        overlays: chain,
    };
    let held = components::place(&mut cluster, &definitions.catalog);
    for (domain, why) in held {
        hold(fleet, domain, why);
    }
    lint_cluster(&cluster, fleet);
    Ok(cluster)
}

/// Checks settings that no schema can: what they mean together.
fn lint_cluster(cluster: &Cluster<'_>, fleet: &mut Fleet<'_>) {
    let enabled = |id: &str| cluster.components.iter().any(|p| p.component.key.id == id);
    let found = lint_platform(cluster.file, &cluster.vault, enabled, |key| claims::place(cluster, key));
    let (errors, warnings): (Violations, Violations) = found.into_iter().partition(Violation::is_error);
    fleet.notices.extend(warnings);
    if !errors.is_empty() {
        hold(fleet, Domain::cluster(cluster.id.clone()), errors);
    }
}

fn destination(file: &ClusterFile, definitions: &Definitions) -> Destination {
    let env = &file.gitops.env;
    let own = definitions.settings.environments.get(env).and_then(|e| e.branch.clone());
    Destination {
        repo: file.gitops.repo_url.clone(),
        branch: own.unwrap_or_else(|| file.gitops.repo_ref.clone()),
        proposes: proposing(&definitions.settings).contains(env).then(|| env.clone()),
    }
}

/// Returns the environments whose changes are proposed by merge requests.
fn proposing(settings: &Settings) -> BTreeSet<String> {
    let asked = settings.environments.iter().filter(|(_, e)| e.deliver == Some(Deliver::MergeRequest));
    asked.map(|(env, _)| env.clone()).collect()
}

/// Returns the destinations of `hydrant.yaml`: for pushes, and for the merge requests of each
/// environment that has them.
fn listed(settings: &Settings) -> Vec<Destination> {
    let ways: Vec<Option<String>> =
        [None].into_iter().chain(proposing(settings).into_iter().map(Some)).collect();
    let all = settings.destinations.iter().flat_map(|to| {
        let of = |proposes: &Option<String>| Destination {
            repo: to.repo.clone(),
            branch: to.branch.clone(),
            proposes: proposes.clone(),
        };
        ways.iter().map(of).collect::<Vec<_>>()
    });
    all.collect()
}

/// Returns what templates see as `cluster`: cluster.yaml, and what derives from it.
fn view(file: &ClusterFile, destination: &Destination, vault: &Vault, argocd: &Argocd) -> Value {
    let mut view = serde_json::to_value(file).unwrap_or_default();
    // What Applications track is where we deliver.
    view["gitops"]["repo_ref"] = json!(destination.branch);
    view["appsDomain"] = json!(file.apps_domain());
    view["apiUrl"] = json!(file.api_url());
    view["isOpenshift"] = json!(file.is_openshift());
    view["vault"] = serde_json::to_value(vault).unwrap_or_default();
    view["argocd"] = serde_json::to_value(argocd).unwrap_or_default();
    view
}

/// Returns why a branch name cannot be delivered to: it is no branch.
pub fn not_a_branch(reference: &str) -> Option<String> {
    let hex = reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit());
    if hex {
        return Some(format!("`{reference}` is a commit, not a branch"));
    }
    reference.starts_with("refs/tags/").then(|| format!("`{reference}` is a tag, not a branch"))
}

/// Returns the ids of clusters for a selection error.
pub fn ids(fleet: &Fleet<'_>) -> Vec<ClusterId> {
    fleet.clusters.iter().map(|c| c.id.clone()).collect()
}
