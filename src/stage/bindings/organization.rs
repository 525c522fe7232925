//! Reads an Organization and checks what can be checked on it alone.

use super::fields::{Fields, Placed};
use super::metadata::{Head, PREFIX};
use super::{BindingDocument, BindingRules, names};
use crate::error::{Origin, Violation, Violations};
use crate::model::binding::{OrganizationSpec, PlainSecret};
use crate::model::id::ClusterId;
use crate::redact::redact;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Folders of the output that an organization's name must not take.
const FOLDERS: [&str; 2] = ["organizations", "knowledgebases"];

/// An Organization as read.
pub struct Organization {
    /// Its name, if it has a usable one.
    pub name: Option<String>,
    /// Where it stands.
    pub at: Origin,
    /// Its annotations.
    pub annotations: BTreeMap<String, Placed>,
    /// Its spec, as far as it could be read.
    pub spec: OrganizationSpec,
    /// Its tunnel.
    pub tunnel: Option<Tunnel>,
    /// All that is wrong or worth saying.
    pub found: Violations,
    /// The clusters it is placed on.
    pub placed_on: Vec<ClusterId>,
}

/// A Cloudflare tunnel that exists already: Hydrant makes none.
pub struct Tunnel {
    /// Its id.
    pub id: Placed,
    /// The account that owns it.
    pub account: String,
    /// The cluster that runs it, if the organization names one.
    pub cluster: Option<Placed>,
    /// The host that leads to it.
    pub host: String,
}

/// Reads one Organization.
pub fn read(
    document: &BindingDocument,
    head: Head,
    rules: &BindingRules,
    mut found: Violations,
) -> Organization {
    let name = organization_name(&head, rules, &mut found);
    let spec = read_spec(document, &head, rules, &mut found);
    let tunnel = read_tunnel(&head, name.as_deref(), rules, &mut found);
    Organization {
        name,
        at: head.at,
        annotations: head.annotations,
        spec,
        tunnel,
        found,
        placed_on: Vec::new(),
    }
}

fn organization_name(head: &Head, rules: &BindingRules, found: &mut Violations) -> Option<String> {
    let name = head.name.as_ref()?;
    let shown = redact(&name.text);
    if !names::is_dns_label(&name.text) {
        found.push(
            name.error(
                "organization name must be a valid Kubernetes name (lowercase alphanumeric and hyphens)",
            )
            .hint(format!("`{shown}` must also begin and end with a letter or digit")),
        );
        return None;
    }
    if name.text.len() > names::ORGANIZATION {
        found.push(
            name.error(format!("organization name is longer than {} characters", names::ORGANIZATION))
                .hint("its namespace is `org-` and the name, and a namespace has at most 63"),
        );
    }
    if rules.is_reserved_exactly(&name.text) || FOLDERS.contains(&name.text.as_str()) {
        found.push(
            name.error(format!("organization name \"{shown}\" conflicts with a privileged namespace"))
                .hint("choose another name"),
        );
    }
    Some(name.text.clone())
}

fn read_spec(
    document: &BindingDocument,
    head: &Head,
    rules: &BindingRules,
    found: &mut Violations,
) -> OrganizationSpec {
    let mut spec = OrganizationSpec::default();
    let Some(node) = document.node.get("spec") else {
        found.push(Violation::error("spec is required").at(head.at.clone()).key("spec"));
        return spec;
    };
    let Some(mut fields) = Fields::open(node, &document.file, "spec", found) else { return spec };
    spec.display_name = display_name(&mut fields, found);
    spec.admin_users = admin_users(&mut fields, found);
    webhook_secret(&mut fields, rules, found);
    fields.finish(found);
    spec
}

/// Reads `displayName`, which organizations and knowledge bases share.
pub fn display_name(fields: &mut Fields<'_>, found: &mut Violations) -> String {
    let Some(name) = fields.required("displayName", found) else { return String::new() };
    if name.text.len() > 256 {
        found.push(name.error("displayName must be 256 characters or less"));
    }
    if name.text.chars().any(char::is_control) {
        found.push(name.error("displayName must be one line of plain text"));
    }
    name.text
}

fn admin_users(fields: &mut Fields<'_>, found: &mut Violations) -> Vec<String> {
    let before = found.len();
    let users = fields.texts("adminUsers", found).unwrap_or_default();
    if users.is_empty() && found.len() == before {
        found.push(
            fields
                .error("adminUsers", "at least one admin user is required")
                .hint("list the email addresses of the people who run this organization"),
        );
    }
    let mut seen = BTreeSet::new();
    for user in &users {
        let shown = redact(&user.text);
        if user.text.trim().is_empty() {
            found.push(user.error("email address cannot be empty"));
        } else if !names::is_email(&user.text) {
            found.push(
                user.error(format!("invalid email format \"{shown}\": not of the form name@domain"))
                    .hint("write the bare address, without a name beside it"),
            );
        } else if !seen.insert(user.text.to_lowercase()) {
            found.push(user.error(format!("duplicate admin user \"{shown}\"")));
        }
    }
    users.into_iter().map(|u| u.text).collect()
}

/// A secret has no place in Git: refused, or dropped on the way. Its value is never shown.
fn webhook_secret(fields: &mut Fields<'_>, rules: &BindingRules, found: &mut Violations) {
    let Some(secret) = fields.text("webhookSecret", found).filter(|s| !s.text.is_empty()) else { return };
    let hint = "remove it, take it for leaked and make a new one; store that under key `github-webhook-secret` of the organization's Secret `org-secrets`\n`hydrant explain secrets` lists where each secret is read";
    found.push(match rules.plain_webhook_secret {
        PlainSecret::Refuse => secret.error("a webhook secret stands here in plain text").hint(hint),
        PlainSecret::Drop => {
            secret.warning("a webhook secret stands here in plain text; it is dropped").hint(hint)
        }
    });
    if secret.text.len() < 16 {
        found.push(secret.warning("webhookSecret must be at least 16 characters for security"));
    }
}

fn read_tunnel(
    head: &Head,
    name: Option<&str>,
    rules: &BindingRules,
    found: &mut Violations,
) -> Option<Tunnel> {
    let of = |key: &str| head.annotations.get(key);
    let token = |p: &Placed| {
        !p.text.is_empty()
            && p.text.len() <= 64
            && p.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    for part in [of("tunnel-id"), of("tunnel-account")].into_iter().flatten() {
        if !token(part) {
            found.push(part.error("letters, digits and hyphens are expected here"));
        }
    }
    let (id, account) = match (of("tunnel-id"), of("tunnel-account")) {
        (Some(id), Some(account)) => (id.clone(), account.text.clone()),
        (Some(one), None) | (None, Some(one)) => {
            found.push(
                one.error("a tunnel needs its id and its account")
                    .hint(format!("set `{PREFIX}tunnel-id` and `{PREFIX}tunnel-account`")),
            );
            return None;
        }
        (None, None) => {
            for key in ["tunnel-cluster", "webhook-host"] {
                if let Some(idle) = of(key) {
                    found.push(idle.warning("without a tunnel nothing reads this annotation"));
                }
            }
            return None;
        }
    };
    let host =
        match (of("webhook-host"), &rules.webhook_zone) {
            (Some(host), _) => host.text.to_ascii_lowercase(),
            (None, Some(zone)) => format!("{}.{zone}", name.unwrap_or_default()),
            (None, None) => {
                found.push(id.error("the tunnel's webhook host is not known").hint(format!(
                    "set `tenants.webhookZone` in hydrant.yaml, or `{PREFIX}webhook-host` here"
                )));
                return None;
            }
        };
    check_host(of("webhook-host").unwrap_or(&id), &host, rules, found);
    Some(Tunnel { id, account, cluster: of("tunnel-cluster").cloned(), host })
}

/// Checks a webhook host: its form, and its zone.
pub fn check_host(at: &Placed, host: &str, rules: &BindingRules, found: &mut Violations) {
    let shown = redact(host);
    if !names::is_host(host) {
        found.push(
            at.error(format!("`{shown}` is not a host name"))
                .hint("write the bare name, as in `webhooks.example.com`, without `https://`, port or path"),
        );
    } else if !rules.allows_host(host) {
        let zones = rules.approved_zones.clone().unwrap_or_default().join(", ");
        found.push(
            at.error(format!("webhook host `{shown}` lies in no approved zone"))
                .hint(format!("approved: {zones} (`tenants.approvedZones` in hydrant.yaml)")),
        );
    }
}

impl Organization {
    /// Returns the cluster that runs the tunnel, once placed; an error where it would stand on
    /// several.
    pub fn tunnel_cluster(&self) -> Result<Option<ClusterId>, Violation> {
        let Some(tunnel) = &self.tunnel else { return Ok(None) };
        if let Some(named) = &tunnel.cluster {
            let matches = |c: &&ClusterId| c.name == named.text || c.to_string() == named.text;
            return match self.placed_on.iter().find(matches) {
                Some(cluster) => Ok(Some(cluster.clone())),
                None => Err(named
                    .error("the tunnel's cluster is none of those that the organization is placed on")
                    .hint(format!("placed on: {}", list(&self.placed_on)))),
            };
        }
        match self.placed_on.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            several => Err(tunnel
                .id
                .error(format!(
                    "tunnel id `{}` and webhook host `{}` would stand on {} clusters: {}",
                    tunnel.id.text,
                    tunnel.host,
                    several.len(),
                    list(several)
                ))
                .hint(format!(
                    "name the one that runs the tunnel: `{PREFIX}tunnel-cluster: {}`",
                    several[0].name
                ))),
        }
    }

    /// Returns what templates see as `organization`.
    pub fn context(&self) -> Value {
        let name = self.name.clone().unwrap_or_default();
        let tunnel = self.tunnel.as_ref().map(|t| {
            let cluster = self.tunnel_cluster().ok().flatten().map(|c| c.name);
            json!({"id": t.id.text, "account": t.account, "host": t.host, "cluster": cluster})
        });
        let admins: Vec<Value> = self
            .spec
            .admin_users
            .iter()
            .map(|user| json!({"user": user, "objectName": names::object_name_of(user)}))
            .collect();
        let webhook_url = self.tunnel.as_ref().map_or_else(String::new, |t| format!("https://{}", t.host));
        json!({
            "name": name,
            "namespace": format!("org-{name}"),
            "displayName": self.spec.display_name,
            "admins": admins,
            "tunnel": tunnel,
            "webhookUrl": webhook_url,
            "secretStore": format!("org-{name}-store"),
        })
    }
}

/// Returns clusters as people read them.
pub fn list(clusters: &[ClusterId]) -> String {
    let names: Vec<String> = clusters.iter().map(ToString::to_string).collect();
    names.join(", ")
}
