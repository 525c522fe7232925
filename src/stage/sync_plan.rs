//! Which Applications a run syncs, and in which order along the edges. Pure.
//!
//! An Application waits for what its component needs, and for nothing else: a failure stops
//! its dependents only. A parent (the layer's Application) is no such edge: it may wait for
//! its children, so a child that waited for it would wait for ever.

use crate::model::sync::{AppKey, AppRef, AppSource};
use std::collections::{BTreeMap, BTreeSet};

/// What is done with an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Synced to the commit.
    Sync,
    /// Not touched, but others wait until it is healthy.
    Watch,
}

/// One Application of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Which.
    pub app: AppRef,
    /// What is done with it.
    pub role: Role,
    /// The places in the plan of those it waits for.
    pub waits_for: Vec<usize>,
    /// Its depth in the graph, from 0.
    pub wave: usize,
}

/// An Application that is not synced, because of a guard.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which.
    pub app: AppRef,
    /// Why, with the mend.
    pub because: String,
}

/// What a run does, in an order in which everything comes after what it waits for.
#[derive(Clone, Debug, Default)]
pub struct SyncPlan {
    /// The Applications.
    pub nodes: Vec<Planned>,
    /// What is left out.
    pub refused: Vec<Refusal>,
}

/// Plans a run: `apps` are to be synced, `known` are looked up for needs and parents.
pub fn plan(apps: &[AppRef], known: &[AppRef]) -> SyncPlan {
    let (chosen, mut refused) = claimed(apps);
    let mut graph = Graph::default();
    for app in &chosen {
        graph.add(app, Role::Sync);
    }
    // A chart gets our commit only through its parent, so the parent is synced too.
    for app in &chosen {
        if !matches!(app.source, AppSource::OurPath { .. })
            && let Some(parent) = app.parent.as_ref().and_then(|p| find(known, app, p))
        {
            graph.add(parent, Role::Sync);
        }
    }
    let refused_keys: BTreeSet<AppKey> = refused.iter().map(|r| r.app.key()).collect();
    for app in &chosen {
        for need in &app.needs {
            if refused_keys.contains(&app.sibling(need)) {
                continue;
            }
            match find(known, app, need) {
                Some(needed) => graph.add(needed, Role::Watch),
                None => graph.add(&stranger(app, need), Role::Watch),
            }
        }
    }
    graph.into_plan(&mut refused, &refused_keys)
}

/// Refuses Applications of two clusters with one name on one server.
fn claimed(apps: &[AppRef]) -> (Vec<AppRef>, Vec<Refusal>) {
    let mut clusters: BTreeMap<AppKey, BTreeSet<&str>> = BTreeMap::new();
    for app in apps {
        clusters.entry(app.key()).or_default().insert(&app.cluster);
    }
    let (mut chosen, mut refused) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for app in apps {
        let names = &clusters[&app.key()];
        if names.len() > 1 {
            let all: Vec<&str> = names.iter().copied().collect();
            refused.push(Refusal { app: app.clone(), because: two_claims(app, &all) });
        } else if seen.insert(app.key()) {
            chosen.push(app.clone());
        }
    }
    (chosen, refused)
}

fn two_claims(app: &AppRef, clusters: &[&str]) -> String {
    format!(
        "clusters {} both have an Application {} on {}; put `{{cluster}}` into the value `argocd.applicationName` of each, or give each its own `argocd.api`",
        clusters.join(" and "),
        app.key(),
        app.server
    )
}

fn find<'k>(known: &'k [AppRef], near: &AppRef, name: &str) -> Option<&'k AppRef> {
    known.iter().find(|k| k.name == name && k.cluster == near.cluster && k.server == near.server)
}

/// A need that nobody described: it is looked for where the one who needs it lives.
fn stranger(near: &AppRef, name: &str) -> AppRef {
    AppRef {
        name: name.to_owned(),
        manifest: serde_json::Value::Null,
        parent: None,
        needs: Vec::new(),
        revision: None,
        ..near.clone()
    }
}

#[derive(Default)]
struct Graph {
    nodes: Vec<(AppRef, Role)>,
    places: BTreeMap<AppKey, usize>,
}

impl Graph {
    fn add(&mut self, app: &AppRef, role: Role) {
        if !self.places.contains_key(&app.key()) {
            self.places.insert(app.key(), self.nodes.len());
            self.nodes.push((app.clone(), role));
        }
    }

    fn edges(&self) -> Vec<Vec<usize>> {
        let of = |(app, role): &(AppRef, Role)| {
            // Who is only watched is taken as it is.
            let needs = if *role == Role::Sync { app.needs.as_slice() } else { &[] };
            let places: BTreeSet<usize> =
                needs.iter().filter_map(|n| self.places.get(&app.sibling(n)).copied()).collect();
            places.into_iter().collect()
        };
        self.nodes.iter().map(of).collect()
    }

    fn into_plan(self, refused: &mut Vec<Refusal>, refused_keys: &BTreeSet<AppKey>) -> SyncPlan {
        let edges = self.edges();
        let waves = waves(&edges);
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|n| waves[*n].is_some()).collect();
        order.sort_by_key(|n| (waves[*n], self.nodes[*n].0.cluster.clone(), self.nodes[*n].0.key()));
        let new_place: BTreeMap<usize, usize> =
            order.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        for (place, (app, _)) in self.nodes.iter().enumerate() {
            if waves[place].is_none() {
                refused
                    .push(Refusal { app: app.clone(), because: self.explain_cycle(place, &edges, &waves) });
            }
        }
        let mut plan = SyncPlan { nodes: Vec::new(), refused: Vec::new() };
        for old in order {
            let (app, role) = self.nodes[old].clone();
            if let Some(need) =
                app.needs.iter().find(|n| role == Role::Sync && refused_keys.contains(&app.sibling(n)))
            {
                refused.push(Refusal {
                    because: format!("it needs `{need}`, which is not synced"),
                    app: app.clone(),
                });
            }
            let waits_for = edges[old].iter().filter_map(|e| new_place.get(e).copied()).collect();
            plan.nodes.push(Planned { app, role, waits_for, wave: waves[old].unwrap_or(0) });
        }
        plan.refused = std::mem::take(refused);
        plan
    }

    fn explain_cycle(&self, from: usize, edges: &[Vec<usize>], waves: &[Option<usize>]) -> String {
        // Every node without a wave waits for another one without: walk until one comes back.
        let (mut walk, mut at) = (vec![from], from);
        while let Some(next) = edges[at].iter().copied().find(|e| waves[*e].is_none()) {
            if let Some(start) = walk.iter().position(|w| *w == next) {
                let names: Vec<&str> =
                    walk[start..].iter().chain([&next]).map(|n| self.nodes[*n].0.name.as_str()).collect();
                return format!("these Applications need each other: {}", names.join(" → "));
            }
            walk.push(next);
            at = next;
        }
        "it needs Applications that need each other".into()
    }
}

/// The depth of each node, `None` for what is on a cycle or behind one.
fn waves(edges: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut missing: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (node, needs) in edges.iter().enumerate() {
        for need in needs {
            dependents[*need].push(node);
        }
    }
    let mut depth = vec![None; edges.len()];
    let mut ready: Vec<usize> = (0..edges.len()).filter(|n| missing[*n] == 0).collect();
    while let Some(node) = ready.pop() {
        let wave = edges[node].iter().filter_map(|e| depth[*e]).map(|d: usize| d + 1).max().unwrap_or(0);
        depth[node] = Some(wave);
        for dependent in &dependents[node] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                ready.push(*dependent);
            }
        }
    }
    depth
}
