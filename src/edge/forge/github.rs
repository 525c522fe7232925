//! GitHub's REST API, version 2022-11-28: <https://docs.github.com/rest/pulls/pulls>.
//!
//! A second open request answers 422 with "A pull request already exists for …" and no code of
//! its own (google/go-github#1441). A description may have 65,536 characters
//! (peter-evans/create-issue-from-file#1049); bytes are counted here, which is never more.

use super::http::Call;
use super::{Branches, Dialect, Draft, MergeRequest, PAGE, State, text, web_address};
use crate::redact::Secret;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) struct Github;

fn pulls(project: &str) -> Vec<String> {
    let mut path = vec!["repos".to_owned()];
    path.extend(project.split('/').map(str::to_owned));
    path.push("pulls".to_owned());
    path
}

fn pull(project: &str, number: u64) -> Vec<String> {
    let mut path = pulls(project);
    path.push(number.to_string());
    path
}

impl Dialect for Github {
    fn login(&self, token: &Secret) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", token.expose()))
    }

    fn list(&self, project: &str, between: Branches<'_>, page: u32) -> Call {
        let owner = project.split('/').next().unwrap_or_default();
        Call::new(Method::GET, pulls(project))
            .query("state", "all")
            .query("head", format!("{owner}:{}", between.source))
            .query("base", between.target)
            .query("sort", "created")
            .query("direction", "desc")
            .query("per_page", PAGE.to_string())
            .query("page", page.to_string())
    }

    fn create(&self, project: &str, between: Branches<'_>, draft: &Draft) -> Call {
        Call::new(Method::POST, pulls(project)).body(json!({
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
        let mut path = pull(project, number);
        if let Some(kind) = path.iter_mut().rev().nth(1) {
            // What is not about code is said to the issue that every pull request is.
            *kind = "issues".to_owned();
        }
        path.push("comments".to_owned());
        Call::new(Method::POST, path).body(json!({"body": text}))
    }

    fn read(&self, value: &Value, between: Branches<'_>) -> Option<MergeRequest> {
        let same = text(value, "/head/ref") == Some(between.source)
            && text(value, "/base/ref") == Some(between.target);
        // A deleted fork is null.
        let own = value.pointer("/head/repo/id")? == value.pointer("/base/repo/id")?;
        let state = match text(value, "/state")? {
            "open" => State::Open,
            _ if text(value, "/merged_at").is_some() => State::Merged,
            _ => State::Closed,
        };
        (same && own).then_some(MergeRequest {
            number: value.get("number")?.as_u64()?,
            url: web_address(text(value, "/html_url")?)?,
            state,
            body: text(value, "/body").unwrap_or_default().to_owned(),
        })
    }

    fn is_duplicate(&self, status: u16, text: &str) -> bool {
        status == 422 && text.contains("already exists")
    }

    fn rights(&self) -> &'static str {
        "the rights `Pull requests: read and write` and `Metadata: read` (classic: scope `repo`)"
    }

    fn longest(&self) -> usize {
        65_536
    }
}
