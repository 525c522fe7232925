//! Reads a KnowledgeBase and checks it alone.

use super::fields::{Fields, Placed};
use super::metadata::Head;
use super::{BindingDocument, BindingRules, names, organization};
use crate::error::{Origin, Violation, Violations};
use crate::model::binding::{KnowledgeBaseSpec, McpServer, TrackedRepository, docs_folder, main_branch};
use crate::model::id::ClusterId;
use crate::redact::redact;
use crate::yaml::Node;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The folder that every tracked path must lie in.
const DOCS: &str = ".kiro/docs";

/// A KnowledgeBase as read.
pub struct KnowledgeBase {
    /// Its name, if it has a usable one.
    pub name: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// Where it stands.
    pub at: Origin,
    /// Its annotations.
    pub annotations: BTreeMap<String, Placed>,
    /// Its spec, as far as it could be read.
    pub spec: KnowledgeBaseSpec,
    /// All that is wrong or worth saying.
    pub found: Violations,
    /// The clusters it is placed on.
    pub placed_on: Vec<ClusterId>,
}

/// Reads one KnowledgeBase.
pub fn read(
    document: &BindingDocument,
    head: Head,
    rules: &BindingRules,
    mut found: Violations,
) -> KnowledgeBase {
    let name = check_name(&head, &mut found);
    let namespace = check_namespace(&head, rules, &mut found);
    let spec = read_spec(document, &head, rules, &mut found);
    KnowledgeBase {
        name,
        namespace,
        at: head.at,
        annotations: head.annotations,
        spec,
        found,
        placed_on: Vec::new(),
    }
}

fn check_name(head: &Head, found: &mut Violations) -> Option<String> {
    let name = head.name.as_ref()?;
    if !names::is_dns_label(&name.text) {
        found.push(name.error(
            "a knowledge base's name must be a DNS label: lowercase letters, digits and hyphens, at most 63",
        ));
        return None;
    }
    if name.text.len() > names::KNOWLEDGE_BASE {
        found.push(
            name.error(format!(
                "a knowledge base's name is longer than {} characters",
                names::KNOWLEDGE_BASE
            ))
            .hint("its Service is `mcp-server-` and the name, and a Service has at most 63"),
        );
    }
    Some(name.text.clone())
}

/// A knowledge base brings a Deployment, so it must not land among the platform's own.
fn check_namespace(head: &Head, rules: &BindingRules, found: &mut Violations) -> String {
    let Some(namespace) = &head.namespace else { return rules.platform_namespace.clone() };
    let shown = redact(&namespace.text);
    if !names::is_dns_label(&namespace.text) {
        found.push(namespace.error(format!("`{shown}` is not a namespace name")));
    } else if namespace.text != rules.platform_namespace && rules.is_reserved(&namespace.text) {
        found.push(
            namespace
                .error(format!("a knowledge base cannot stand in the privileged namespace '{shown}'"))
                .hint(format!("use `{}` or one of its own", rules.platform_namespace)),
        );
    }
    namespace.text.clone()
}

fn read_spec(
    document: &BindingDocument,
    head: &Head,
    rules: &BindingRules,
    found: &mut Violations,
) -> KnowledgeBaseSpec {
    let mut spec = KnowledgeBaseSpec::default();
    let Some(node) = document.node.get("spec") else {
        found.push(Violation::error("spec is required").at(head.at.clone()).key("spec"));
        return spec;
    };
    let Some(mut fields) = Fields::open(node, &document.file, "spec", found) else { return spec };
    if fields.has("sources") || fields.has("agent") {
        found.push(
            fields
                .error(
                    "sources",
                    "this is the KnowledgeBase of another controller (sources, agent), not of this API",
                )
                .hint("write `displayName` and `repositories` with `url`, `branch` and `paths`"),
        );
        return spec;
    }
    spec.display_name = organization::display_name(&mut fields, found);
    spec.description = fields.text("description", found).map(|d| d.text);
    let before = found.len();
    let items = fields.items("repositories", found).unwrap_or_default();
    if items.is_empty() && found.len() == before {
        found.push(fields.error("repositories", "repositories array cannot be empty"));
    }
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        spec.repositories.extend(read_repository(item, i, document, rules, &mut seen, found));
    }
    if let Some(node) = fields.node("mcp") {
        spec.mcp = read_mcp(node, document, found);
    }
    fields.finish(found);
    spec
}

fn read_repository(
    item: &Node,
    i: usize,
    document: &BindingDocument,
    rules: &BindingRules,
    seen: &mut BTreeSet<String>,
    found: &mut Violations,
) -> Option<TrackedRepository> {
    let mut fields = Fields::open(item, &document.file, &format!("spec.repositories[{i}]"), found)?;
    let url = fields.required("url", found);
    if let Some(url) = &url {
        check_url(url, i, rules, seen, found);
    }
    let branch = fields.text("branch", found);
    if let Some(branch) = &branch
        && !names::is_branch(&branch.text)
    {
        found.push(branch.error(format!("repository[{i}]: invalid branch name '{}'", redact(&branch.text))));
    }
    let paths = fields.texts("paths", found).filter(|p| !p.is_empty());
    for (j, path) in paths.iter().flatten().enumerate() {
        check_path(path, i, j, found);
    }
    fields.finish(found);
    Some(TrackedRepository {
        url: url?.text,
        branch: branch.map_or_else(main_branch, |b| b.text),
        paths: paths.map_or_else(docs_folder, |p| p.into_iter().map(|p| p.text).collect()),
    })
}

fn check_url(
    url: &Placed,
    i: usize,
    rules: &BindingRules,
    seen: &mut BTreeSet<String>,
    found: &mut Violations,
) {
    let repository = names::repository_of_url(&url.text);
    match repository.filter(|(host, _)| rules.repository_hosts.contains(host)) {
        None => {
            let hosts: Vec<String> = rules.repository_hosts.iter().map(|h| format!("https://{h}/")).collect();
            found
                .push(url.error(format!("repository[{i}]: URL must start with {}", hosts.join(" or "))).hint(
                "write `https://<host>/<organization>/<repository>`, without user, port, query or fragment",
            ));
        }
        Some((_, repository)) => {
            if !seen.insert(repository.clone()) {
                found.push(url.error(format!("duplicate repository URL \"https://{repository}\"")));
            }
        }
    }
}

/// Compares by path components: the prefix `.kiro/docs` alone would let `.kiro/docs-x` pass.
fn check_path(path: &Placed, i: usize, j: usize, found: &mut Violations) {
    let clean = path.text.strip_suffix('/').unwrap_or(&path.text);
    if clean.split('/').any(|c| c == "..") {
        found.push(path.error("path cannot contain path traversal (..) sequences"));
    } else if !names::lies_under(clean, DOCS) {
        found.push(path.error(format!("repository[{i}].paths[{j}]: path must start with {DOCS}")));
    } else if !names::is_inside_path(clean) {
        found.push(path.error(format!("repository[{i}].paths[{j}]: the path has an empty or odd component")));
    }
    if path.text.contains(',') {
        found.push(
            path.error(format!("repository[{i}].paths[{j}]: a comma cannot stand in a path"))
                .hint("the list of paths is kept as one text with commas between"),
        );
    }
}

fn read_mcp(node: &Node, document: &BindingDocument, found: &mut Violations) -> Option<McpServer> {
    let mut fields = Fields::open(node, &document.file, "spec.mcp", found)?;
    let image = fields.required("image", found);
    if let Some(image) = &image {
        if image.text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            found.push(image.error("an image has no white space"));
        } else if !image.text.contains('@')
            && image.text.rsplit('/').next().is_none_or(|l| !l.contains(':') || l.ends_with(":latest"))
        {
            found.push(image.warning("the image has no fixed tag: what runs can change without a commit"));
        }
    }
    let before = found.len();
    let port = fields.integer("port", found);
    match port {
        None if found.len() == before => found.push(fields.error("port", "port is required")),
        Some(port) if !(1024..=65535).contains(&port) => {
            found.push(fields.error("port", "port must be between 1024 and 65535"));
        }
        _ => {}
    }
    let replicas = fields.integer("replicas", found).unwrap_or(1);
    if replicas < 1 {
        found.push(fields.error("replicas", "replicas must be at least 1"));
    }
    let query = fields.text("queryServiceURL", found).filter(|u| !u.text.is_empty());
    if let Some(query) = &query {
        let good = url::Url::parse(&query.text)
            .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.password().is_none() && u.has_host());
        if !good {
            found.push(query.error("queryServiceURL must be an http or https URL without a password"));
        }
    }
    fields.finish(found);
    Some(McpServer { image: image?.text, port: port?, query_service_url: query.map(|q| q.text), replicas })
}

impl KnowledgeBase {
    /// Returns what templates see as `knowledgeBase`.
    pub fn context(&self) -> Value {
        let repositories: Vec<Value> = self
            .spec
            .repositories
            .iter()
            .map(|r| json!({"url": r.url, "branch": r.branch, "paths": r.paths}))
            .collect();
        let mcp = self.spec.mcp.as_ref().map(|m| {
            let own = format!("http://query.{}:8080", self.namespace);
            json!({
                "image": m.image,
                "port": m.port,
                "replicas": m.replicas,
                "queryServiceURL": m.query_service_url.clone().unwrap_or(own),
            })
        });
        json!({
            "name": self.name,
            "namespace": self.namespace,
            "displayName": self.spec.display_name,
            "description": self.spec.description,
            "repositories": repositories,
            "mcp": mcp,
        })
    }
}

/// Returns the violation of a knowledge base that stands in another subject's namespace.
pub fn stands_in(base: &KnowledgeBase, owner: &str) -> Violation {
    Violation::error(format!("the namespace `{}` belongs to {owner}", base.namespace))
        .at(base.at.clone())
        .key("metadata.namespace")
        .hint("give the knowledge base a namespace of its own")
}
