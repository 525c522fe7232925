//! Pull requests as GitHub's API has them, and that of Gitea and Forgejo after it: the calls
//! and the parts of an answer that are the same. What differs is in `github` and `gitea`.

use super::http::Call;
use super::{Branches, Draft, MergeRequest, State, text, web_address};
use reqwest::Method;
use serde_json::{Value, json};

/// Returns `repos/OWNER/NAME/KIND`.
fn below(project: &str, kind: &str) -> Vec<String> {
    let mut path = vec!["repos".to_owned()];
    path.extend(project.split('/').map(str::to_owned));
    path.push(kind.to_owned());
    path
}

fn one(project: &str, kind: &str, number: u64) -> Vec<String> {
    let mut path = below(project, kind);
    path.push(number.to_string());
    path
}

/// Asks for all requests, open or not.
pub(super) fn list(project: &str) -> Call {
    Call::new(Method::GET, below(project, "pulls")).query("state", "all")
}

pub(super) fn create(project: &str, between: Branches<'_>, draft: &Draft) -> Call {
    Call::new(Method::POST, below(project, "pulls")).body(json!({
        "title": draft.title, "body": draft.body, "head": between.source, "base": between.target,
    }))
}

pub(super) fn edit(project: &str, number: u64, draft: &Draft) -> Call {
    Call::new(Method::PATCH, one(project, "pulls", number))
        .body(json!({"title": draft.title, "body": draft.body}))
}

pub(super) fn close(project: &str, number: u64, draft: &Draft) -> Call {
    Call::new(Method::PATCH, one(project, "pulls", number))
        .body(json!({"title": draft.title, "body": draft.body, "state": "closed"}))
}

/// What is not about code is said to the issue that every pull request is.
pub(super) fn comment(project: &str, number: u64, text: &str) -> Call {
    let mut path = one(project, "issues", number);
    path.push("comments".to_owned());
    Call::new(Method::POST, path).body(json!({"body": text}))
}

/// Reads a request whose branches and state are known.
pub(super) fn read(value: &Value, state: State) -> Option<MergeRequest> {
    Some(MergeRequest {
        number: value.get("number")?.as_u64()?,
        url: web_address(text(value, "/html_url")?)?,
        state,
        body: text(value, "/body").unwrap_or_default().to_owned(),
    })
}
