//! One call to a forge's API and its answer: bounded in time and size, tried again where that
//! is safe, its token on no other host.

use crate::edge::git::smart::answer::clean;
use crate::edge::git::smart::http::client;
use crate::edge::git::{Clock, GitSettings};
use crate::edge::net::{Halted, causes, in_runtime, retry_after};
use crate::error::{Error, Result};
use crate::redact::{Secret, redact};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, Response};
use serde_json::Value;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How often a call is made in all.
const TRIES: u32 = 3;
/// The longest that a forge may tell us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long one call may take in all.
const DEADLINE: Duration = Duration::from_secs(60);
/// The longest answer that is read, in bytes: a page of requests with long descriptions.
const MOST_BYTES: usize = 32 << 20;
/// The longest text of a refusal that is shown, in characters.
const SHOWN: usize = 300;

/// One call, before it is sent.
pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    pub(super) fn new(method: Method, path: Vec<String>) -> Self {
        Self { method, path, query: Vec::new(), body: None }
    }

    pub(super) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// Why a call has no good answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nothing was sent.
    Connect(String),
    /// The answer is no success.
    Refused { status: u16, text: String, wait: Option<Duration> },
    /// It sent us elsewhere.
    Redirect(String),
    /// The connection ended, or nothing came in time.
    Cut(String),
    /// The answer is not what the API promises.
    Strange(String),
}

impl Fault {
    /// Returns true if the same call may be made again: it may pass, and does nothing twice.
    fn may_repeat(&self, method: &Method) -> bool {
        // Setting a title twice is setting it once; opening and commenting is not.
        let harmless = *method != Method::POST;
        match self {
            Fault::Connect(why) => !why.contains("certificate"),
            Fault::Cut(_) => harmless,
            // The limit on many requests at once comes as 403 with a time to wait (GitHub).
            Fault::Refused { status: 429, .. } | Fault::Refused { status: 403, wait: Some(_), .. } => true,
            Fault::Refused { status, .. } => harmless && matches!(status, 500 | 502 | 503 | 504),
            Fault::Redirect(_) | Fault::Strange(_) => false,
        }
    }

    /// Returns what happened, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Fault::Connect(why) | Fault::Cut(why) | Fault::Strange(why) => why.clone(),
            Fault::Redirect(to) => format!("it redirects to {to}, and a token never follows there"),
            Fault::Refused { status, text, .. } => {
                let meaning = match status {
                    401 => "the token is refused",
                    403 => "the token may not do that",
                    404 => "there is no such repository, or the token may not see it",
                    409 | 422 => "the request is refused",
                    429 => "too many requests",
                    500..=599 => "the server failed",
                    _ => "the server did not agree",
                };
                if text.is_empty() {
                    format!("{meaning} ({status})")
                } else {
                    format!("{meaning} ({status}): {text}")
                }
            }
        }
    }
}

impl From<Halted> for Fault {
    fn from(halted: Halted) -> Self {
        match halted {
            Halted::Unable(why) => Fault::Connect(why),
            Halted::Late(why) => Fault::Cut(why),
        }
    }
}

/// A forge's API.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    login: (&'static str, HeaderValue),
    token: Secret,
    clock: Arc<dyn Clock + Send + Sync>,
    deadline: Duration,
}

impl Http {
    pub(super) fn new(
        base: &Url,
        (name, login): (&'static str, String),
        token: Secret,
        settings: &GitSettings,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Result<Self> {
        let mut login = HeaderValue::from_str(&login)
            .map_err(|_| Error::input("the forge's token cannot stand in a header"))?;
        login.set_sensitive(true);
        Ok(Self {
            client: client(base, settings)?,
            base: base.clone(),
            login: (name, login),
            token,
            clock,
            deadline: settings.call_deadline.min(DEADLINE),
        })
    }

    /// Returns the server's name for messages.
    pub(super) fn shown(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Makes a call and returns its answer.
    pub(super) fn send(&self, call: &Call) -> Result<Value, Fault> {
        let mut tried = 0;
        loop {
            tried += 1;
            let fault = match self.once(call) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            if tried >= TRIES || self.clock.stopping() || !fault.may_repeat(&call.method) {
                return Err(fault);
            }
            let asked = match &fault {
                Fault::Refused { wait: Some(wait), .. } => (*wait).min(LONGEST_WAIT),
                _ => Duration::ZERO,
            };
            let backoff = Duration::from_millis(300) * 4u32.saturating_pow(tried - 1);
            let jitter = 0.5 + self.clock.jitter().clamp(0.0, 1.0) / 2.0;
            self.clock.sleep(asked.max(backoff.mul_f64(jitter)));
        }
    }

    /// Makes a call once, on a thread of its own, so that it can be made from anywhere.
    fn once(&self, call: &Call) -> Result<Value, Fault> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(&call.path);
            }
            Err(()) => return Err(Fault::Connect("the API's URL cannot have a path".into())),
        }
        let path = url.path().to_owned();
        let mut builder = self
            .client
            .request(call.method.clone(), url)
            .header(self.login.0, self.login.1.clone())
            .header(USER_AGENT, concat!("hydrant/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if !call.query.is_empty() {
            builder = builder.query(&call.query);
        }
        if let Some(body) = &call.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let (deadline, token) = (self.deadline, self.token.expose());
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || in_runtime(deadline, exchange(builder, token)));
            let answer = sent.join().unwrap_or_else(|_| Err(Fault::Cut("the call broke off".into())));
            let said = answer.as_ref().map_or_else(Fault::words, |_| "done".into());
            tracing::debug!(method = %call.method, server = self.shown(), path, "forge: {said}");
            answer
        })
    }
}

async fn exchange(builder: reqwest::RequestBuilder, token: &str) -> Result<Value, Fault> {
    let mut response = builder.send().await.map_err(|e| lost(&e))?;
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let to = response.url().join(to).ok();
        let host = to.as_ref().and_then(Url::host_str).unwrap_or("nowhere").to_owned();
        return Err(Fault::Redirect(host));
    }
    let wait = retry_after(response.headers(), jiff::Timestamp::now());
    // A server that repeats the token to us is not quoted.
    let body = read(&mut response).await.map(|body| without(body, token));
    if !status.is_success() {
        let text = refusal(&body.unwrap_or_default());
        return Err(Fault::Refused { status: status.as_u16(), text, wait });
    }
    let body = body?;
    serde_json::from_slice(&body).map_err(|_| {
        Fault::Strange(
            "no API answers there, but something that sends no JSON (a login page, perhaps)".into(),
        )
    })
}

fn without(body: Vec<u8>, token: &str) -> Vec<u8> {
    let text = token.as_bytes();
    if text.is_empty() || !body.windows(text.len()).any(|window| window == text) {
        return body;
    }
    String::from_utf8_lossy(&body).replace(token, "[REDACTED]").into_bytes()
}

async fn read(response: &mut Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| lost(&e))? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Fault::Strange(format!("its answer is longer than {MOST_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns what a refusal says: `message`, which GitLab makes a list, and GitHub's `errors`.
fn refusal(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let mut said = Vec::new();
    let errors = value.get("errors").and_then(Value::as_array).into_iter().flatten();
    let inner = errors.map(|e| e.get("message").unwrap_or(e));
    let message = value.get("message").or_else(|| value.get("error"));
    for part in message.into_iter().chain(inner) {
        match part {
            Value::String(text) => said.push(text.clone()),
            Value::Array(texts) => said.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned)),
            other => said.push(other.to_string()),
        }
    }
    let text = clean(&said.join("; ")).replace('\n', " ");
    redact(&text).chars().take(SHOWN).collect()
}

/// Tells what a failed exchange means, without the URL.
fn lost(error: &reqwest::Error) -> Fault {
    let text = clean(&causes(error.source()));
    if error.is_connect() || error.is_builder() { Fault::Connect(text) } else { Fault::Cut(text) }
}
