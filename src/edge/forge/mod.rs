//! The forge: the server that holds merge requests. GitHub, GitLab, and Gitea with Forgejo.
//!
//! Four calls are enough: list, create, edit, close. Each forge is a table of them
//! ([`github`], [`gitlab`], [`gitea`]; [`pulls`] is what two of them share) without any I/O;
//! [`http`] sends them, with the client and the rules of the Git side: deadlines, bounds, no
//! redirects, a token for one host.
//!
//! What Git can tell is never asked here: whether a proposal was merged, and what is on its
//! branch. The forge knows which request is open, and which one a person closed.

mod address;
mod gitea;
mod github;
mod gitlab;
mod http;
mod pulls;
mod token;

pub use address::Address;
pub use token::Tokens;

use crate::edge::git::{Clock, GitSettings};
use crate::error::{Error, Result};
use crate::model::settings::ForgeKind;
use crate::redact::{Secret, redact};
use http::{Call, Fault, Http};
use serde_json::Value;
use std::sync::Arc;

/// How far a list of requests is read; ours are among the newest.
const PAGES: u32 = 5;
/// Requests on one page.
const PAGE: usize = 20;
/// The longest address of a request that is believed, in bytes.
const LONGEST_URL: usize = 1024;

/// Where a merge request is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Open,
    /// It was merged, in whatever way.
    Merged,
    /// It was closed without merging.
    Closed,
}

/// One merge request (or pull request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Its address for people.
    pub url: String,
    /// Where it is in its life.
    pub state: State,
    /// Its description.
    pub body: String,
}

/// What a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The title.
    pub title: String,
    /// The description.
    pub body: String,
}

/// The two branches of a request.
#[derive(Clone, Copy, Debug)]
pub struct Branches<'b> {
    /// The branch with the change.
    pub source: &'b str,
    /// The branch that it is to be merged into.
    pub target: &'b str,
}

/// How a forge is spoken to.
trait Dialect: Sync {
    /// Returns the header that carries the token.
    fn login(&self, token: &Secret) -> (&'static str, String);
    /// Returns the call for one page (from 1) of requests between two branches, the newest first.
    fn list(&self, project: &str, between: Branches<'_>, page: u32) -> Call;
    // These four are the same on GitHub and on those that follow it.
    fn create(&self, project: &str, between: Branches<'_>, draft: &Draft) -> Call {
        pulls::create(project, between, draft)
    }
    fn edit(&self, project: &str, number: u64, draft: &Draft) -> Call {
        pulls::edit(project, number, draft)
    }
    /// Closes a request and gives it a last description.
    fn close(&self, project: &str, number: u64, draft: &Draft) -> Call {
        pulls::close(project, number, draft)
    }
    fn comment(&self, project: &str, number: u64, text: &str) -> Call {
        pulls::comment(project, number, text)
    }
    /// Reads a request, if it is one between these branches of the repository itself: a fork
    /// may have a branch of the same name.
    fn read(&self, value: &Value, between: Branches<'_>) -> Option<MergeRequest>;
    /// Returns true if a refusal means that there is an open request already.
    fn is_duplicate(&self, status: u16, text: &str) -> bool;
    /// Says which rights a token needs.
    fn rights(&self) -> &'static str;
    /// The longest description, in bytes.
    fn longest(&self) -> usize;
}

fn dialect(kind: ForgeKind) -> &'static dyn Dialect {
    match kind {
        ForgeKind::Github => &github::Github,
        ForgeKind::Gitlab => &gitlab::Gitlab,
        ForgeKind::Gitea => &gitea::Gitea,
    }
}

/// One repository on a forge.
pub struct Forge {
    http: Http,
    project: String,
    dialect: &'static dyn Dialect,
}

impl Forge {
    /// Prepares to speak to a forge; nothing is sent yet.
    ///
    /// # Errors
    /// No token for it, or one that must not go there.
    pub fn open(
        address: &Address,
        tokens: &Tokens,
        settings: &GitSettings,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Result<Self> {
        let dialect = dialect(address.kind);
        let token = tokens.of(address, settings.plain_http_credentials)?;
        let http = Http::new(&address.api, dialect.login(&token), token.clone(), settings, clock)?;
        Ok(Self { http, project: address.project.clone(), dialect })
    }

    /// Returns the length of the longest description, in bytes.
    pub fn longest(&self) -> usize {
        self.dialect.longest()
    }

    /// Returns the requests between two branches, the newest first.
    ///
    /// # Errors
    /// A forge that does not answer, or refuses.
    pub fn find(&self, between: Branches<'_>) -> Result<Vec<MergeRequest>> {
        let mut found: Vec<MergeRequest> = Vec::new();
        for page in 1..=PAGES {
            let call = self.dialect.list(&self.project, between, page);
            let answer =
                self.http.send(&call).map_err(|f| self.error("its merge requests were not read", &f))?;
            let rows = answer.as_array().map(Vec::as_slice).ok_or_else(|| {
                let fault = Fault::Strange("its answer is no list".into());
                self.error("its merge requests were not read", &fault)
            })?;
            found.extend(rows.iter().filter_map(|row| self.dialect.read(row, between)));
            if rows.len() < PAGE || found.iter().any(|r| r.state == State::Open) {
                break;
            }
        }
        found.sort_by_key(|request| std::cmp::Reverse(request.number));
        Ok(found)
    }

    /// Opens a request. If another agent was faster, or the answer is lost, returns the one
    /// that is open then.
    ///
    /// # Errors
    /// A forge that does not answer, or refuses.
    pub fn create(&self, between: Branches<'_>, draft: &Draft) -> Result<MergeRequest> {
        const WHAT: &str = "the merge request was not opened";
        let fault = match self.http.send(&self.dialect.create(&self.project, between, draft)) {
            Ok(answer) => match self.dialect.read(&answer, between) {
                Some(request) => return Ok(request),
                None => Fault::Strange("its answer names no merge request".into()),
            },
            Err(fault) => fault,
        };
        let there = match &fault {
            Fault::Refused { status, text, .. } => *status >= 500 || self.dialect.is_duplicate(*status, text),
            Fault::Cut(_) | Fault::Strange(_) => true,
            Fault::Connect(_) | Fault::Redirect(_) => false,
        };
        if there && let Some(open) = self.find(between)?.into_iter().find(|r| r.state == State::Open) {
            return Ok(open);
        }
        Err(self.error(WHAT, &fault))
    }

    /// Gives a request another title and description.
    ///
    /// # Errors
    /// A forge that does not answer, or refuses.
    pub fn edit(&self, number: u64, draft: &Draft) -> Result<()> {
        self.http
            .send(&self.dialect.edit(&self.project, number, draft))
            .map(drop)
            .map_err(|f| self.error(&format!("merge request {number} was not updated"), &f))
    }

    /// Closes a request, with a last description and a comment that says why.
    ///
    /// # Errors
    /// A forge that does not answer, or refuses.
    pub fn close(&self, number: u64, draft: &Draft, why: &str) -> Result<()> {
        self.http
            .send(&self.dialect.close(&self.project, number, draft))
            .map_err(|f| self.error(&format!("merge request {number} was not closed"), &f))?;
        if let Err(fault) = self.http.send(&self.dialect.comment(&self.project, number, why)) {
            // The description says it too.
            tracing::warn!("no comment on merge request {number}: {}", fault.words());
        }
        Ok(())
    }

    fn error(&self, what: &str, fault: &Fault) -> Error {
        let error = Error::external(format!("{what} on {}: {}", self.http.shown(), fault.words()));
        match fault {
            Fault::Refused { status: 401 | 403 | 404, .. } => error.hint(format!(
                "look at the address, and whether the token is valid and has {}",
                self.dialect.rights()
            )),
            Fault::Redirect(to) => {
                error.hint(format!("if {to} is right, set its API as environments.<env>.forgeApi"))
            }
            Fault::Connect(why) if why.contains("certificate") => {
                error.hint("if the server's certificate is from a CA of your own, name its file: --ca-file")
            }
            _ => error.hint("the next run tries again"),
        }
    }
}

/// Returns the text at a path of keys.
fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Returns an address for people if it is one: it goes to a terminal and into reports.
fn web_address(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let web = matches!(url.scheme(), "http" | "https") && text.len() <= LONGEST_URL;
    let plain = url.username().is_empty() && url.password().is_none();
    (web && plain).then(|| redact(url.as_str()).into_owned())
}
