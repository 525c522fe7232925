//! GitHub's REST API, version 2022-11-28: <https://docs.github.com/rest/pulls/pulls>.
//!
//! A second open request answers 422 with "A pull request already exists for …" and no code of
//! its own (google/go-github#1441). A description may have 65,536 characters
//! (peter-evans/create-issue-from-file#1049); bytes are counted here, which is never more.

use super::http::Call;
use super::{Branches, Dialect, MergeRequest, PAGE, State, pulls, text};
use crate::redact::Secret;
use serde_json::Value;

pub(super) struct Github;

impl Dialect for Github {
    fn login(&self, token: &Secret) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", token.expose()))
    }

    fn list(&self, project: &str, between: Branches<'_>, page: u32) -> Call {
        let owner = project.split('/').next().unwrap_or_default();
        pulls::list(project)
            .query("head", format!("{owner}:{}", between.source))
            .query("base", between.target)
            .query("sort", "created")
            .query("direction", "desc")
            .query("per_page", PAGE.to_string())
            .query("page", page.to_string())
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
        if same && own { pulls::read(value, state) } else { None }
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
