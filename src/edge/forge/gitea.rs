//! The API of Gitea and Forgejo, which is one: <https://docs.gitea.com/api/>.
//!
//! As its source says (go-gitea/gitea, routers/api/v1/repo/pull.go): a list cannot be asked for
//! one source branch, older versions ignore `base_branch` too, and a second open request
//! answers 409. A description is a LONGTEXT without a limit of its own; ours is GitLab's.

use super::http::Call;
use super::{Branches, Dialect, Draft, MergeRequest, PAGE, State, text, web_address};
use crate::redact::Secret;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) struct Gitea;

fn below(project: &str, kind: &str) -> Vec<String> {
    let mut path = vec!["repos".to_owned()];
    path.extend(project.split('/').map(str::to_owned));
    path.push(kind.to_owned());
    path
}

fn pull(project: &str, number: u64) -> Vec<String> {
    let mut path = below(project, "pulls");
    path.push(number.to_string());
    path
}

impl Dialect for Gitea {
    fn login(&self, token: &Secret) -> (&'static str, String) {
        ("authorization", format!("token {}", token.expose()))
    }

    fn list(&self, project: &str, between: Branches<'_>, page: u32) -> Call {
        Call::new(Method::GET, below(project, "pulls"))
            .query("state", "all")
            // Ours was touched not long ago, also if others open many.
            .query("sort", "recentupdate")
            .query("base_branch", between.target)
            .query("limit", PAGE.to_string())
            .query("page", page.to_string())
    }

    fn create(&self, project: &str, between: Branches<'_>, draft: &Draft) -> Call {
        Call::new(Method::POST, below(project, "pulls")).body(json!({
            "title": draft.title, "body": draft.body, "head": between.source, "base": between.target,
        }))
    }

    fn edit(&self, project: &str, number: u64, draft: &Draft) -> Call {
        Call::new(Method::PATCH, pull(project, number))
            .body(json!({"title": draft.title, "body": draft.body}))
    }

    fn close(&self, project: &str, number: u64, draft: &Draft) -> Call {
        Call::new(Method::PATCH, pull(project, number))
            .body(json!({"title": draft.title, "body": draft.body, "state": "closed"}))
    }

    fn comment(&self, project: &str, number: u64, text: &str) -> Call {
        let mut path = below(project, "issues");
        path.extend([number.to_string(), "comments".to_owned()]);
        Call::new(Method::POST, path).body(json!({"body": text}))
    }

    fn read(&self, value: &Value, between: Branches<'_>) -> Option<MergeRequest> {
        // The branch's name stays in the label when the branch is gone.
        let source = text(value, "/head/label").or_else(|| text(value, "/head/ref"));
        let same = source == Some(between.source) && text(value, "/base/ref") == Some(between.target);
        let own = value.pointer("/head/repo_id")?.as_u64()? == value.pointer("/base/repo_id")?.as_u64()?;
        let merged = value.get("merged").and_then(Value::as_bool).unwrap_or(false);
        let state = match text(value, "/state")? {
            _ if merged => State::Merged,
            "open" => State::Open,
            _ => State::Closed,
        };
        (same && own).then_some(MergeRequest {
            number: value.get("number")?.as_u64()?,
            url: web_address(text(value, "/html_url")?)?,
            state,
            body: text(value, "/body").unwrap_or_default().to_owned(),
        })
    }

    fn is_duplicate(&self, status: u16, _: &str) -> bool {
        status == 409
    }

    fn rights(&self) -> &'static str {
        "the scopes `write:repository` and `write:issue`"
    }

    fn longest(&self) -> usize {
        120_000
    }
}
