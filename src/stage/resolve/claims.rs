//! What clusters, and the subjects on them, claim outside their own folders: Vault mounts,
//! policies and roles, namespaces, Applications and AppProjects. Two holders of one thing: both
//! are held, and neither is first.

use crate::error::Origin;
use crate::model::fleet::{Cluster, Fleet};
use crate::model::id::{Domain, Layer, SubjectId};
use crate::stage::applications;
use crate::stage::bindings::{Subject, Subjects};
use crate::stage::claims::{Claim, ClaimScope, Table};
use crate::stage::gather::rank;

/// The component that gives an organization a policy and a role of its own.
const ORGANIZATION_VAULT: &str = "org-vault";

/// Holds every domain whose claim clashes with another's.
pub fn check(fleet: &mut Fleet<'_>) {
    let mut table: Table<Domain> = Table::new();
    for cluster in &fleet.clusters {
        of_vault(cluster, &mut table);
        of_argocd(cluster, &mut table);
        for id in cluster.subjects.keys() {
            if let Some(subject) = subject(&fleet.subjects, id) {
                of_subject(cluster, subject, &mut table);
            }
        }
    }
    // A team's binding must not stop what others depend on.
    for (domain, v) in table.clashes(|domain| rank(&domain.subject)) {
        fleet.held.entry(domain).or_default().push(v);
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

fn of_vault(cluster: &Cluster<'_>, table: &mut Table<Domain>) {
    let Some(address) = shared_vault(cluster) else { return };
    let vault = &cluster.vault;
    let (domain, by) = (Domain::cluster(cluster.id.clone()), cluster.id.to_string());
    let values = format!("{}/values.yaml", folder(&cluster.at));
    let mut claim = |what: String, key: &str, mend: String| {
        table.add(domain.clone(), Claim::new(what, ClaimScope::Fleet, &by, &place(cluster, key), &mend));
    };
    let mend = format!("in {values} set\n  vault:\n    kubernetesMount: kubernetes-{}", cluster.id.name);
    let mount = format!("the Vault auth mount `{}` at {address}", vault.kubernetes_mount);
    claim(mount, "vault.kubernetesMount", mend);
    let mend = format!("in {values} set\n  vault:\n    policyName: gitops-{}", cluster.id.name);
    claim(policy(&vault.policy_name, &address), "vault.policyName", mend);
    let mend = format!("in {values} set\n  vault:\n    roleName: gitops-{}", cluster.id.name);
    claim(role(cluster, &vault.role_name, &address), "vault.roleName", mend);
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

fn of_argocd(cluster: &Cluster<'_>, table: &mut Table<Domain>) {
    let (domain, by, of) = (Domain::cluster(cluster.id.clone()), cluster.id.to_string(), argocd(cluster));
    let at = place(cluster, "argocd.applicationName");
    let mend = "set argocd.applicationName patterns that hold {cluster}";
    let components = cluster.components.iter();
    let names = components
        .map(|p| applications::component_name(cluster, &p.component.key.id))
        .chain(Layer::ALL.into_iter().map(|layer| applications::layer_name(cluster, layer)))
        .chain([applications::root_name(cluster)]);
    for name in names {
        let what = format!("the Application `{name}` of {of}");
        table.add(domain.clone(), Claim::new(what, ClaimScope::Fleet, &by, &at, mend));
    }
    let own = cluster.id.to_string();
    // Projects stand beside Argo CD, and two clusters of one hub would each write their destination.
    let beside = if cluster.argocd.remote { &of } else { &own };
    for (what, name, key, place_of) in [
        ("namespace", &cluster.argocd.namespace, "argocd.namespace", &own),
        ("AppProject", &cluster.argocd.project, "argocd.project", beside),
    ] {
        let what = format!("{what} `{name}` on {place_of}");
        let mend = format!("set another {key}");
        table.add(domain.clone(), Claim::new(what, ClaimScope::Fleet, &by, &place(cluster, key), &mend));
    }
}

fn of_subject(cluster: &Cluster<'_>, subject: &Subject, table: &mut Table<Domain>) {
    let domain = Domain { cluster: cluster.id.clone(), subject: subject.id.clone() };
    let by = format!("{} on {}", subject.id, cluster.id);
    let mut claim = |what: String, mend: &str| {
        table.add(domain.clone(), Claim::new(what, ClaimScope::Fleet, &by, &subject.at, mend));
    };
    for own in &subject.claims {
        match own.scope {
            // Checked among all bindings, failed ones too.
            ClaimScope::Fleet => {}
            ClaimScope::Cluster => claim(format!("{} on {}", own.what, cluster.id), &own.mend),
        }
    }
    let name = applications::subject_name(cluster, &subject.id);
    let mend = if cluster.argocd.instance.is_empty() {
        "set argocd.applicationName patterns that give each kind names of its own"
    } else {
        "set argocd.applicationName patterns that hold {cluster}"
    };
    claim(format!("the Application `{name}` of {}", argocd(cluster)), mend);
    let own_way = cluster.subject_components.iter().any(|p| p.component.key.id == ORGANIZATION_VAULT);
    if let (SubjectId::Organization(org), Some(address), true) = (&subject.id, shared_vault(cluster), own_way)
    {
        let mend = "choose another organization name, or another vault.policyName and vault.roleName";
        let vault = &cluster.vault;
        claim(policy(&format!("{}-org-{org}", vault.policy_name), &address), mend);
        claim(role(cluster, &format!("{}-org-{org}", vault.role_name), &address), mend);
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
