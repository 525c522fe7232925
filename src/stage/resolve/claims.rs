//! What clusters, and the subjects on them, claim outside their own folders: Vault mounts,
//! policies and roles, namespaces, Applications and AppProjects. Two holders of one thing: both
//! are held, and neither is first.

use crate::error::Origin;
use crate::model::fleet::{Cluster, Fleet};
use crate::model::id::{ClusterId, Domain, Layer, SubjectId};
use crate::stage::applications;
use crate::stage::bindings::{Subject, Subjects};
use crate::stage::claims::{Claim, ClaimScope, Table, number, repeated};
use crate::stage::gather::rank;
use rayon::prelude::*;
use std::fmt::{self, Write as _};

/// The component that gives an organization a policy and a role of its own.
const ORGANIZATION_VAULT: &str = "org-vault";

/// Who claims something on a cluster: the cluster, or a subject there.
#[derive(Clone, Copy)]
struct Holder<'h> {
    cluster: &'h ClusterId,
    subject: Option<&'h SubjectId>,
}

impl Holder<'_> {
    fn domain(self) -> Domain {
        let subject = self.subject.cloned().unwrap_or(SubjectId::Cluster);
        Domain { cluster: self.cluster.clone(), subject }
    }

    /// Returns it in words.
    fn by(self) -> String {
        self.subject.map_or_else(|| self.cluster.to_string(), |s| format!("{s} on {}", self.cluster))
    }
}

/// Is told of a claim: what is claimed, by whom, where that stands, and the edit that ends a clash.
type Tell<'t> = dyn FnMut(fmt::Arguments<'_>, Holder<'_>, &Origin, &str) + 't;

/// Holds every domain whose claim clashes with another's.
pub fn check(fleet: &mut Fleet<'_>) {
    let numbers = fleet.clusters.par_iter().flat_map_iter(|cluster| {
        let mut numbers = Vec::new();
        let mut text = String::new();
        on_cluster(cluster, &fleet.subjects, &mut |what, _, _, _| {
            numbers.push(number(written(what, &mut text)));
        });
        numbers
    });
    let doubtful = repeated(numbers.collect());
    if doubtful.is_empty() {
        return;
    }
    let mut table: Table<Domain> = Table::new();
    let mut text = String::new();
    for cluster in &fleet.clusters {
        on_cluster(cluster, &fleet.subjects, &mut |what, holder, at, mend| {
            let what = written(what, &mut text);
            if doubtful.contains(&number(what)) {
                let claim = Claim::new(what.to_owned(), ClaimScope::Fleet, &holder.by(), at, mend);
                table.add(holder.domain(), claim);
            }
        });
    }
    // A team's binding must not stop what others depend on.
    for (domain, v) in table.clashes(|domain| rank(&domain.subject)) {
        fleet.held.entry(domain).or_default().push(v);
    }
}

/// Writes into a text that is used again: most claims are only counted.
fn written<'t>(what: fmt::Arguments<'_>, text: &'t mut String) -> &'t str {
    text.clear();
    // A string takes whatever is written.
    let _ = text.write_fmt(what);
    text
}

/// Tells all claims of a cluster and of what stands on it.
fn on_cluster(cluster: &Cluster<'_>, subjects: &Subjects, tell: &mut Tell<'_>) {
    of_vault(cluster, tell);
    let argocd = argocd(cluster);
    of_argocd(cluster, &argocd, tell);
    let vault = shared_vault(cluster)
        .filter(|_| cluster.subject_components.iter().any(|p| p.component.key.id == ORGANIZATION_VAULT));
    for id in cluster.subjects.keys() {
        if let Some(subject) = subject(subjects, id) {
            of_subject(cluster, subject, (&argocd, vault.as_deref()), tell);
        }
    }
}

fn subject<'s>(all: &'s Subjects, id: &SubjectId) -> Option<&'s Subject> {
    match id {
        SubjectId::Cluster => None,
        SubjectId::Organization(name) => all.organizations.get(name),
        SubjectId::Tenant { tenant, .. } => all.tenants.get(tenant),
        SubjectId::KnowledgeBase(name) => all.knowledge_bases.get(name),
    }
}

/// Returns the Vault that others reach too; a Service address is the cluster's own.
fn shared_vault(cluster: &Cluster<'_>) -> Option<String> {
    let vault = &cluster.vault;
    (!vault.address.is_empty() && !vault.in_cluster).then(|| normal(&vault.address))
}

fn of_vault(cluster: &Cluster<'_>, tell: &mut Tell<'_>) {
    let Some(address) = shared_vault(cluster) else { return };
    let vault = &cluster.vault;
    let holder = Holder { cluster: &cluster.id, subject: None };
    let values = format!("{}/values.yaml", folder(&cluster.at));
    let mut claim = |what: fmt::Arguments<'_>, key: &str, setting: &str| {
        let name = &cluster.id.name;
        let mend = format!("in {values} set\n  vault:\n    {setting}-{name}");
        tell(what, holder, &place(cluster, key), &mend);
    };
    let mount = &vault.kubernetes_mount;
    let what = format_args!("the Vault auth mount `{mount}` at {address}");
    claim(what, "vault.kubernetesMount", "kubernetesMount: kubernetes");
    let policy = policy(&vault.policy_name, &address);
    claim(format_args!("{policy}"), "vault.policyName", "policyName: gitops");
    let role = role(cluster, &vault.role_name, &address);
    claim(format_args!("{role}"), "vault.roleName", "roleName: gitops");
}

fn policy(name: &str, address: &str) -> String {
    format!("the Vault policy `{name}` at {address}")
}

fn role(cluster: &Cluster<'_>, name: &str, address: &str) -> String {
    format!("the Vault role `{name}` of mount `{}` at {address}", cluster.vault.kubernetes_mount)
}

/// Returns what keeps the objects of one Argo CD apart from another's.
fn argocd(cluster: &Cluster<'_>) -> String {
    match cluster.argocd.instance.as_str() {
        "" => format!("the Argo CD of {}", cluster.id),
        instance => format!("the Argo CD instance `{instance}`"),
    }
}

fn of_argocd(cluster: &Cluster<'_>, argocd: &str, tell: &mut Tell<'_>) {
    let holder = Holder { cluster: &cluster.id, subject: None };
    let at = place(cluster, "argocd.applicationName");
    let mend = "set argocd.applicationName patterns that hold {cluster}";
    let components = cluster.components.iter();
    let names = components
        .map(|p| applications::component_name(cluster, &p.component.key.id))
        .chain(Layer::ALL.into_iter().map(|layer| applications::layer_name(cluster, layer)))
        .chain([applications::root_name(cluster)]);
    for name in names {
        tell(format_args!("the Application `{name}` of {argocd}"), holder, &at, mend);
    }
    let own = cluster.id.to_string();
    // Projects stand beside Argo CD, and two clusters of one hub would each write their destination.
    let beside = if cluster.argocd.remote { argocd } else { own.as_str() };
    for (what, name, key, place_of) in [
        ("namespace", &cluster.argocd.namespace, "argocd.namespace", own.as_str()),
        ("AppProject", &cluster.argocd.project, "argocd.project", beside),
    ] {
        let mend = format!("set another {key}");
        tell(format_args!("{what} `{name}` on {place_of}"), holder, &place(cluster, key), &mend);
    }
}

/// Tells the claims of a subject, with what keeps its Argo CD apart and the Vault that others
/// reach, where organizations have policies of their own there.
fn of_subject(
    cluster: &Cluster<'_>,
    subject: &Subject,
    (argocd, vault): (&str, Option<&str>),
    tell: &mut Tell<'_>,
) {
    let holder = Holder { cluster: &cluster.id, subject: Some(&subject.id) };
    for own in &subject.claims {
        match own.scope {
            // Checked among all bindings, failed ones too.
            ClaimScope::Fleet => {}
            ClaimScope::Cluster => {
                tell(format_args!("{} on {}", own.what, cluster.id), holder, &subject.at, &own.mend);
            }
        }
    }
    let name = applications::subject_name(cluster, &subject.id);
    let mend = if cluster.argocd.instance.is_empty() {
        "set argocd.applicationName patterns that give each kind names of its own"
    } else {
        "set argocd.applicationName patterns that hold {cluster}"
    };
    tell(format_args!("the Application `{name}` of {argocd}"), holder, &subject.at, mend);
    if let (SubjectId::Organization(org), Some(address)) = (&subject.id, vault) {
        let mend = "choose another organization name, or another vault.policyName and vault.roleName";
        let vault = &cluster.vault;
        let policy = policy(&format!("{}-org-{org}", vault.policy_name), address);
        tell(format_args!("{policy}"), holder, &subject.at, mend);
        let role = role(cluster, &format!("{}-org-{org}", vault.role_name), address);
        tell(format_args!("{role}"), holder, &subject.at, mend);
    }
}

/// Returns where a setting was set, or else the cluster's own file.
pub fn place(cluster: &Cluster<'_>, dotted: &str) -> Origin {
    let mut here = Some(&cluster.values);
    for part in dotted.split('.') {
        here = here.and_then(|tree| tree.get(part));
    }
    here.map_or_else(|| cluster.at.clone(), |tree| tree.origin().clone())
}

fn folder(at: &Origin) -> &str {
    at.file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns an address in one form: lower-case host, the port always, no closing `/`.
fn normal(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(url) => format!(
            "{}://{}:{}{}",
            url.scheme(),
            url.host_str().unwrap_or_default().to_ascii_lowercase(),
            url.port_or_known_default().unwrap_or(0),
            url.path().trim_end_matches('/')
        ),
        Err(_) => address.to_owned(),
    }
}
