//! The API of Gitea and Forgejo, which is one: <https://docs.gitea.com/api/>.
//!
//! As its source says (go-gitea/gitea, routers/api/v1/repo/pull.go): a list cannot be asked for
//! one source branch, older versions ignore `base_branch` too, and a second open request
//! answers 409. A description is a LONGTEXT without a limit of its own; ours is GitLab's.

use super::http::Call;
use super::{Branches, Dialect, MergeRequest, PAGE, State, pulls, text};
use crate::redact::Secret;
use serde_json::Value;

pub(super) struct Gitea;

impl Dialect for Gitea {
    fn login(&self, token: &Secret) -> (&'static str, String) {
        ("authorization", format!("token {}", token.expose()))
    }

    fn list(&self, project: &str, between: Branches<'_>, page: u32) -> Call {
        pulls::list(project)
            // Ours was touched not long ago, also if others open many.
            .query("sort", "recentupdate")
            .query("base_branch", between.target)
            .query("limit", PAGE.to_string())
            .query("page", page.to_string())
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
        if same && own { pulls::read(value, state) } else { None }
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
