//! The rights that Hydrant's account needs in Argo CD: one source for the component that hands
//! them out (`argocd-access`) and for the messages about a missing right.

use std::collections::BTreeSet;

/// The account that the component makes.
pub const ACCOUNT: &str = "hydrant";
/// The role that holds the rights.
const ROLE: &str = "role:hydrant";
/// What the agent does; `sync` includes the right to terminate.
const ACTIONS: [&str; 2] = ["get", "sync"];
/// The AppProject that every Argo CD has, and that others use too.
const EVERYBODYS: &str = "default";

/// Returns the policy lines that let an account get and sync Applications, given by project and
/// name: no `delete`, no `override`. A project is taken as a whole, but of `default` only what is
/// named. A token of a project (`proj:<project>:<role>`) is its own subject and needs no group.
pub fn lines<'a>(account: &str, applications: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let objects: BTreeSet<String> =
        applications.into_iter().map(|(project, name)| object(project, name)).collect();
    let of_project = account.starts_with("proj:");
    let subject = if of_project { account } else { ROLE };
    let mut lines: Vec<String> = objects
        .iter()
        .flat_map(|object| {
            ACTIONS.map(|action| format!("p, {subject}, applications, {action}, {object}, allow"))
        })
        .collect();
    if !of_project {
        lines.push(format!("g, {account}, {ROLE}"));
    }
    lines
}

fn object(project: &str, name: &str) -> String {
    if project == EVERYBODYS { format!("{project}/{name}") } else { format!("{project}/*") }
}

/// Returns where to add which lines, for a message about one Application.
pub fn mend(account: &str, project: &str, name: &str) -> String {
    let place = if account.starts_with("proj:") {
        format!("in AppProject `{project}`, role of the token:")
    } else {
        "in ConfigMap argocd-rbac-cm, key policy.csv (the component argocd-access has these lines):"
            .to_owned()
    };
    format!("{place}\n{}", lines(account, [(project, name)]).join("\n"))
}
