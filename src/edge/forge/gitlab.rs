//! GitLab's REST API v4: <https://docs.gitlab.com/api/merge_requests/>.
//!
//! A request is named by its `iid`, never by its `id`. A second open one answers 409 with
//! "Another open merge request already exists for this source branch". A description may have
//! 1,048,576 characters, but each pipeline gets it as one environment variable, and runners
//! failed with long ones (gitlab-org/gitlab#432846): Linux takes 128 KiB, so ours stays below.

use super::http::Call;
use super::{Branches, Dialect, Draft, MergeRequest, PAGE, State, text, web_address};
use crate::redact::Secret;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) struct Gitlab;

fn requests(project: &str) -> Vec<String> {
    // The whole path is one segment; its slashes are encoded.
    vec!["projects".to_owned(), project.to_owned(), "merge_requests".to_owned()]
}

fn request(project: &str, number: u64) -> Vec<String> {
    let mut path = requests(project);
    path.push(number.to_string());
    path
}

impl Dialect for Gitlab {
    fn login(&self, token: &Secret) -> (&'static str, String) {
        ("private-token", token.expose().to_owned())
    }

    fn list(&self, project: &str, between: Branches<'_>, page: u32) -> Call {
        Call::new(Method::GET, requests(project))
            .query("state", "all")
            .query("source_branch", between.source)
            .query("target_branch", between.target)
            .query("order_by", "created_at")
            .query("sort", "desc")
            .query("per_page", PAGE.to_string())
            .query("page", page.to_string())
    }

    fn create(&self, project: &str, between: Branches<'_>, draft: &Draft) -> Call {
        Call::new(Method::POST, requests(project)).body(json!({
            "title": draft.title, "description": draft.body,
            "source_branch": between.source, "target_branch": between.target,
            // The branch tells later runs what was merged.
            "remove_source_branch": false,
        }))
    }

    fn edit(&self, project: &str, number: u64, draft: &Draft) -> Call {
        Call::new(Method::PUT, request(project, number))
            .body(json!({"title": draft.title, "description": draft.body}))
    }

    fn close(&self, project: &str, number: u64, draft: &Draft) -> Call {
        Call::new(Method::PUT, request(project, number))
            .body(json!({"title": draft.title, "description": draft.body, "state_event": "close"}))
    }

    fn comment(&self, project: &str, number: u64, text: &str) -> Call {
        let mut path = request(project, number);
        path.push("notes".to_owned());
        Call::new(Method::POST, path).body(json!({"body": text}))
    }

    fn read(&self, value: &Value, between: Branches<'_>) -> Option<MergeRequest> {
        let same = text(value, "/source_branch") == Some(between.source)
            && text(value, "/target_branch") == Some(between.target);
        let own = value.get("source_project_id")?.as_u64()? == value.get("target_project_id")?.as_u64()?;
        let state = match text(value, "/state")? {
            // Locked is a merge under way.
            "opened" | "locked" => State::Open,
            "merged" => State::Merged,
            _ => State::Closed,
        };
        (same && own).then_some(MergeRequest {
            number: value.get("iid")?.as_u64()?,
            url: web_address(text(value, "/web_url")?)?,
            state,
            body: text(value, "/description").unwrap_or_default().to_owned(),
        })
    }

    fn is_duplicate(&self, status: u16, text: &str) -> bool {
        status == 409 || (status == 422 && text.contains("already exists"))
    }

    fn rights(&self) -> &'static str {
        "the scope `api` and the role Developer or higher in the project"
    }

    fn longest(&self) -> usize {
        120_000
    }
}
