//! A forge on loopback: the merge request calls of GitHub, GitLab and Gitea with their field
//! names, status codes and paging, over a real bare repository. What a person does on the
//! forge's pages (merge, squash, rebase, close) is done by the real `git`.

use super::git::{git, git_command};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Whose API it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    GitHub,
    GitLab,
    Gitea,
}

pub const ALL: [Speaks; 3] = [Speaks::GitHub, Speaks::GitLab, Speaks::Gitea];

impl Speaks {
    /// Returns its name in the settings.
    pub fn name(self) -> &'static str {
        ["github", "gitlab", "gitea"][self as usize]
    }

    fn prefix(self) -> &'static str {
        ["/api/v3", "/api/v4", "/api/v1"][self as usize]
    }
}

/// One merge request there.
#[derive(Clone, Debug)]
pub struct Request {
    pub number: u64,
    pub title: String,
    pub body: String,
    pub open: bool,
    pub merged: bool,
    pub source: String,
    pub target: String,
    pub fork: bool,
    pub comments: Vec<String>,
}

/// An answer that a test wants instead of the right one.
#[derive(Clone)]
pub enum Trouble {
    /// This status, header lines and body; nothing is done.
    Says(u16, Vec<String>, String),
    /// It is done, and the connection ends without an answer.
    DoneAndCut,
    /// This body with status 200.
    Body(String),
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    token: String,
    hidden: bool,
    down: bool,
    troubles: VecDeque<(String, Trouble)>,
    seen: Vec<String>,
    headers: Vec<String>,
}

/// A running forge.
pub struct Forge {
    pub speaks: Speaks,
    pub address: SocketAddr,
    repo: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Forge {
    /// Starts one for the repository `acme/gitops`; it ends with the test process.
    pub fn start(speaks: Speaks, repo: &Path, token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { token: token.to_owned(), ..State::default() }));
        let (shared, bare) = (Arc::clone(&state), repo.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, speaks, &shared, &bare);
            }
        });
        Self { speaks, address, repo: repo.to_owned(), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock")
    }

    /// Returns the base of its API.
    pub fn api(&self) -> String {
        format!("http://{}{}", self.address, self.speaks.prefix())
    }

    /// Returns all requests.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Returns the only request.
    #[track_caller]
    pub fn only(&self) -> Request {
        let all = self.requests();
        assert_eq!(all.len(), 1, "{all:#?}");
        all[0].clone()
    }

    /// Returns what was asked, as `METHOD path`, without queries.
    pub fn seen(&self) -> Vec<String> {
        self.state().seen.clone()
    }

    /// Returns how many calls changed something, and forgets all.
    pub fn writes(&self) -> usize {
        let mut state = self.state();
        let seen = std::mem::take(&mut state.seen);
        seen.iter().filter(|line| !line.starts_with("GET")).count()
    }

    /// Returns all header lines that arrived.
    pub fn headers(&self) -> Vec<String> {
        self.state().headers.clone()
    }

    /// Lets the next call whose line contains `at` go wrong.
    pub fn trouble(&self, at: &str, trouble: Trouble) {
        self.state().troubles.push_back((at.to_owned(), trouble));
    }

    /// Ends every connection without an answer, or no longer.
    pub fn down(&self, down: bool) {
        self.state().down = down;
    }

    /// Takes the token's rights away: the repository is not found.
    pub fn hide(&self) {
        self.state().hidden = true;
    }

    /// Plants a request of a stranger, from a fork with a branch of the same name.
    pub fn fork(&self, source: &str, target: &str) {
        let mut state = self.state();
        let number = state.requests.len() as u64 + 1;
        state.requests.push(Request {
            number,
            title: "mine".into(),
            body: String::new(),
            open: true,
            merged: false,
            source: source.into(),
            target: target.into(),
            fork: true,
            comments: Vec::new(),
        });
    }

    /// Closes a request without merging it.
    pub fn close(&self, number: u64) {
        self.change(number, |r| r.open = false);
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Request)) {
        let mut state = self.state();
        let found = state.requests.iter_mut().find(|r| r.number == number).expect("a request");
        change(found);
    }

    /// Merges a request as a person who presses the button would.
    #[track_caller]
    pub fn merge(&self, number: u64, how: &How) -> String {
        let request = self.requests().into_iter().find(|r| r.number == number).expect("a request");
        let temp = tempfile::tempdir().expect("a folder");
        let work = temp.path().join("work");
        git(temp.path(), &["clone", "-q", &self.repo.display().to_string(), "work"]);
        git(&work, &["checkout", "-q", &request.target]);
        let source = format!("origin/{}", request.source);
        match how {
            How::Merge => {
                git(&work, &["merge", "-q", "--no-ff", "-m", &format!("Merge {}", request.source), &source]);
            }
            How::Squash(message) => {
                git(&work, &["merge", "-q", "--squash", &source]);
                git(&work, &["commit", "-q", "-m", message]);
            }
            How::Rebase => {
                let range = format!("{}..{source}", request.target);
                let commits = git(&work, &["rev-list", "--reverse", "--no-merges", &range]);
                for commit in commits.lines() {
                    git(&work, &["cherry-pick", commit]);
                }
            }
        }
        git(&work, &["push", "-q", "origin", &request.target]);
        self.change(number, |r| (r.open, r.merged) = (false, true));
        git(&work, &["rev-parse", "HEAD"])
    }

    /// Deletes a branch, as forges offer after a merge.
    pub fn delete_branch(&self, branch: &str) {
        git(&self.repo, &["branch", "-q", "-D", branch]);
    }
}

/// The ways of merging.
pub enum How {
    Merge,
    /// With this message.
    Squash(String),
    Rebase,
}

fn serve(stream: TcpStream, speaks: Speaks, state: &Mutex<State>, repo: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((key, value)) = header.trim().split_once(':') {
            headers.insert(key.to_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut state = state.lock().expect("a lock");
    state.seen.push(format!("{method} {path}"));
    state.headers.extend(headers.iter().map(|(k, v)| format!("{k}: {v}")));
    if state.down {
        return Ok(());
    }
    let at = state.troubles.iter().position(|(at, _)| line.contains(at.as_str()));
    let trouble = at.and_then(|n| state.troubles.remove(n)).map(|(_, trouble)| trouble);
    let out = reader.get_mut();
    match &trouble {
        Some(Trouble::Says(status, extra, text)) => return answer(out, *status, extra, text),
        Some(Trouble::Body(text)) => return answer(out, 200, &[], text),
        _ => {}
    }
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (status, said) = call(speaks, &mut state, repo, method, path, &query, &headers, &body);
    if matches!(trouble, Some(Trouble::DoneAndCut)) {
        return Ok(());
    }
    answer(out, status, &[], &said.to_string())
}

fn answer(out: &mut TcpStream, status: u16, extra: &[String], text: &str) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n",
        text.len()
    );
    extra.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    out.write_all(format!("{head}\r\n{text}").as_bytes())
}

#[allow(clippy::too_many_arguments)]
fn call(
    speaks: Speaks,
    state: &mut State,
    repo: &Path,
    method: &str,
    path: &str,
    query: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
    body: &Value,
) -> (u16, Value) {
    let login = match speaks {
        Speaks::GitHub => headers.get("authorization").and_then(|h| h.strip_prefix("Bearer ")),
        Speaks::GitLab => headers.get("private-token").map(String::as_str),
        Speaks::Gitea => headers.get("authorization").and_then(|h| h.strip_prefix("token ")),
    };
    if login != Some(state.token.as_str()) {
        return (401, json!({"message": "Bad credentials"}));
    }
    let not_found = (404, json!({"message": "Not Found"}));
    let (root, comments) = match speaks {
        Speaks::GitHub | Speaks::Gitea => {
            ("/repos/acme/gitops/pulls", ("/repos/acme/gitops/issues/", "/comments"))
        }
        Speaks::GitLab => {
            ("/projects/acme%2Fgitops/merge_requests", ("/projects/acme%2Fgitops/merge_requests/", "/notes"))
        }
    };
    let Some(path) = path.strip_prefix(speaks.prefix()).filter(|_| !state.hidden) else { return not_found };
    let noted = path.strip_prefix(comments.0).and_then(|rest| rest.strip_suffix(comments.1));
    if let (Some(number), "POST") = (noted, method) {
        let Some(request) = state.requests.iter_mut().find(|r| r.number.to_string() == number) else {
            return not_found;
        };
        request.comments.push(body["body"].as_str().unwrap_or_default().to_owned());
        return (201, json!({"id": 1}));
    }
    let Some(rest) = path.strip_prefix(root) else { return not_found };
    match (method, rest.strip_prefix('/')) {
        ("GET", None) => (200, Value::Array(list(speaks, state, query))),
        ("POST", None) => create(speaks, state, repo, body),
        (verb, Some(number)) if verb == if speaks == Speaks::GitLab { "PUT" } else { "PATCH" } => {
            let Some(request) = state.requests.iter_mut().find(|r| r.number.to_string() == number) else {
                return not_found;
            };
            edit(speaks, request, body)
        }
        _ => not_found,
    }
}

fn list(speaks: Speaks, state: &State, query: &BTreeMap<String, String>) -> Vec<Value> {
    let get = |key: &str| query.get(key).map(String::as_str);
    let mut found: Vec<&Request> = state
        .requests
        .iter()
        .filter(|r| match speaks {
            // An owner's own branch; a fork has another owner.
            Speaks::GitHub => {
                get("head").is_none_or(|head| head == format!("acme:{}", r.source) && !r.fork)
                    && get("base").is_none_or(|base| base == r.target)
            }
            Speaks::GitLab => {
                get("source_branch").is_none_or(|s| s == r.source)
                    && get("target_branch").is_none_or(|t| t == r.target)
            }
            // Older versions ignore the base.
            Speaks::Gitea => true,
        })
        .filter(|r| match get("state").unwrap_or("open") {
            "all" => true,
            "open" | "opened" => r.open,
            _ => !r.open,
        })
        .collect();
    found.reverse();
    let size = get(if speaks == Speaks::Gitea { "limit" } else { "per_page" })
        .and_then(|n| n.parse().ok())
        .unwrap_or(30);
    let page: usize = get("page").and_then(|n| n.parse().ok()).unwrap_or(1);
    found.into_iter().skip((page - 1) * size).take(size).map(|r| shown(speaks, r)).collect()
}

fn create(speaks: Speaks, state: &mut State, repo: &Path, body: &Value) -> (u16, Value) {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (source, target, words) = match speaks {
        Speaks::GitLab => (text("source_branch"), text("target_branch"), text("description")),
        _ => (text("head"), text("base"), text("body")),
    };
    if let Some((status, said)) = too_long(speaks, &text("title"), &words) {
        return (status, said);
    }
    if state.requests.iter().any(|r| r.open && !r.fork && r.source == source && r.target == target) {
        return match speaks {
            Speaks::GitHub => (
                422,
                json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom",
                    "message": format!("A pull request already exists for acme:{source}.")}]}),
            ),
            Speaks::GitLab => (
                409,
                json!({"message": ["Another open merge request already exists for this source branch: !1"]}),
            ),
            Speaks::Gitea => (409, json!({"message": "pull request already exists for these targets"})),
        };
    }
    let ahead = git_command(repo)
        .args(["rev-list", "--count", &format!("{target}..{source}")])
        .output()
        .expect("git starts");
    let ahead = String::from_utf8_lossy(&ahead.stdout).trim().to_owned();
    if ahead.is_empty() || ahead == "0" && speaks == Speaks::GitHub {
        return (
            422,
            json!({"message": "Validation Failed", "errors": [{"message": "No commits between the branches"}]}),
        );
    }
    let number = state.requests.len() as u64 + 1;
    let request = Request {
        number,
        title: text("title"),
        body: words,
        open: true,
        merged: false,
        source,
        target,
        fork: false,
        comments: Vec::new(),
    };
    let said = shown(speaks, &request);
    state.requests.push(request);
    (201, said)
}

fn edit(speaks: Speaks, request: &mut Request, body: &Value) -> (u16, Value) {
    let key = if speaks == Speaks::GitLab { "description" } else { "body" };
    if let Some(said) =
        too_long(speaks, body["title"].as_str().unwrap_or_default(), body[key].as_str().unwrap_or_default())
    {
        return said;
    }
    if let Some(title) = body["title"].as_str() {
        request.title = title.to_owned();
    }
    if let Some(words) = body[key].as_str() {
        request.body = words.to_owned();
    }
    if body["state"] == "closed" || body["state_event"] == "close" {
        request.open = false;
    }
    (200, shown(speaks, request))
}

fn too_long(speaks: Speaks, title: &str, body: &str) -> Option<(u16, Value)> {
    let most = if speaks == Speaks::GitHub { 65_536 } else { 1_048_576 };
    let long = body.chars().count() > most || title.chars().count() > 255;
    long.then(|| (422, json!({"message": "Validation Failed", "errors": [{"message": "body is too long"}]})))
}

fn shown(speaks: Speaks, r: &Request) -> Value {
    let n = r.number;
    let home = if r.fork { 2 } else { 1 };
    match speaks {
        Speaks::GitHub => json!({
            "number": n, "html_url": format!("https://forge.example/acme/gitops/pull/{n}"), "title": r.title,
            "body": r.body, "state": if r.open { "open" } else { "closed" },
            "merged_at": r.merged.then_some("2026-01-01T00:00:00Z"),
            "head": {"ref": r.source, "repo": {"id": home}}, "base": {"ref": r.target, "repo": {"id": 1}},
        }),
        Speaks::GitLab => json!({
            "id": 9000 + n, "iid": n, "web_url": format!("https://forge.example/acme/gitops/-/merge_requests/{n}"),
            "title": r.title, "description": r.body,
            "state": if r.open { "opened" } else if r.merged { "merged" } else { "closed" },
            "source_branch": r.source, "target_branch": r.target,
            "source_project_id": home, "target_project_id": 1,
        }),
        Speaks::Gitea => json!({
            "id": 9000 + n, "number": n, "html_url": format!("https://forge.example/acme/gitops/pulls/{n}"),
            "title": r.title, "body": r.body, "state": if r.open { "open" } else { "closed" }, "merged": r.merged,
            "head": {"label": r.source, "ref": r.source, "repo_id": home},
            "base": {"label": r.target, "ref": r.target, "repo_id": 1},
        }),
    }
}
