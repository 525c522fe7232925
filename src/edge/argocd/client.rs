//! The calls of Argo CD's REST API that the agent makes. One call here is one request (two,
//! when a token was rotated); repeating, waiting and judging are the callers' business.

use super::application::Application;
use super::clock::{Clock, within};
use super::fault::{Fault, FaultKind};
use super::http::{Http, Request};
use super::settings::{ServerSettings, Timing};
use super::stream::{self, Watch};
use super::token::Claims;
use super::webhook::{Push, WebhookForm};
use crate::model::sync::{AppRef, ServerId};
use crate::redact::Secret;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Ordinary calls on the wire at a time, so that 500 Applications do not open 500 connections.
const CALLS_AT_A_TIME: usize = 32;

/// A client of one Argo CD server.
pub struct Client {
    /// The server's name in messages.
    pub id: ServerId,
    http: Http,
    settings: ServerSettings,
    token: RwLock<Secret>,
    clock: Arc<dyn Clock>,
    timing: Timing,
    trace: String,
    spans: AtomicU64,
    calls: Semaphore,
    refreshes: Semaphore,
}

/// Who the server thinks we are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UserInfo {
    /// True for a good token. A bad one gives 200 with no key at all, never a 401.
    pub logged_in: bool,
    /// `hydrant`, or `proj:<project>:<role>`.
    pub username: String,
}

/// The sync windows of one Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Windows {
    /// Whether a manual sync is allowed now.
    pub can_sync: bool,
    /// The windows that are open now, whatever they say.
    pub active_windows: Option<Vec<Window>>,
    /// All windows that apply.
    pub assigned_windows: Option<Vec<Window>>,
}

/// One sync window.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Window {
    pub kind: String,
    pub schedule: String,
    pub duration: String,
    pub manual_sync: bool,
}

impl Windows {
    /// Says which window keeps a sync back.
    pub fn explain(&self) -> String {
        let active = self.active_windows.iter().flatten();
        let deny =
            active.filter(|w| w.kind == "deny").map(|w| format!("deny `{}` for {}", w.schedule, w.duration));
        let deny: Vec<String> = deny.collect();
        if !deny.is_empty() {
            return format!("sync window is closed: {}", deny.join(", "));
        }
        let allow = self.assigned_windows.iter().flatten().filter(|w| w.kind == "allow");
        let allow: Vec<String> = allow.map(|w| format!("`{}` for {}", w.schedule, w.duration)).collect();
        if allow.is_empty() {
            "sync window is closed".into()
        } else {
            format!("outside the sync window: allowed {}", allow.join(", "))
        }
    }
}

#[derive(Deserialize)]
struct CanI {
    value: String,
}

impl Client {
    /// Returns a client with its token read.
    ///
    /// # Errors
    /// A fault when certificates or token cannot be read.
    pub fn new(
        settings: &ServerSettings,
        timing: &Timing,
        clock: Arc<dyn Clock>,
        run_id: &str,
    ) -> Result<Self, Fault> {
        let token = settings.token.read().map_err(|e| Fault::local(FaultKind::Local, e))?;
        if settings.insecure_skip_tls_verify {
            tracing::warn!(server = %settings.id, "TLS certificates are NOT verified (insecureSkipTlsVerify)");
        }
        // W3C trace context: the run is the trace, so Argo CD's own spans join it.
        let trace = blake3::hash(run_id.as_bytes()).to_hex().as_str().chars().take(32).collect();
        Ok(Self {
            id: settings.id.clone(),
            http: Http::new(settings, clock.clone())?,
            settings: settings.clone(),
            token: RwLock::new(token),
            clock,
            timing: timing.clone(),
            trace,
            spans: AtomicU64::new(1),
            calls: Semaphore::new(CALLS_AT_A_TIME),
            refreshes: Semaphore::new(settings.concurrency),
        })
    }

    /// Returns what the token in use says about itself.
    pub fn claims(&self) -> Option<Claims> {
        Claims::of(&self.current_token())
    }

    /// Returns the settings it was made with.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Reads one Application; with `refresh`, Argo CD compares it with Git first.
    ///
    /// # Errors
    /// A fault; a refresh has a deadline of its own, because without a controller it never answers.
    pub async fn application(&self, app: &AppRef, refresh: bool) -> Result<Application, Fault> {
        let mut request = Request::get(["api", "v1", "applications", &app.name]);
        request = scoped(request, app);
        let deadline = if refresh { self.timing.refresh } else { self.timing.call };
        if !refresh {
            return self.json(&request, deadline).await;
        }
        // Each refresh holds a connection for a whole comparison, so they have their own
        // bound; waiting for a place is not part of the deadline.
        let _place = self.refreshes.acquire().await;
        self.json(&request.query("refresh", "normal"), deadline).await
    }

    /// Asks for a sync. 200 means queued: the status in the answer is the old one.
    ///
    /// # Errors
    /// A fault; if `lost` is set, the request may have been accepted all the same.
    pub async fn sync(&self, app: &AppRef, body: &Value) -> Result<Application, Fault> {
        let bytes = body.to_string().into_bytes();
        let request =
            Request::new(Method::POST, ["api", "v1", "applications", &app.name, "sync"]).bytes(&bytes);
        self.json(&request, self.timing.call).await
    }

    /// Asks the running operation to stop; its end has to be waited for.
    ///
    /// # Errors
    /// A fault; `NothingToTerminate` also for an operation the controller has not begun.
    pub async fn terminate(&self, app: &AppRef) -> Result<(), Fault> {
        let request = Request::new(Method::DELETE, ["api", "v1", "applications", &app.name, "operation"]);
        let _: Value = self.json(&scoped(request, app), self.timing.call).await?;
        Ok(())
    }

    /// Reads the sync windows of an Application, for a manual sync.
    ///
    /// # Errors
    /// A fault.
    pub async fn windows(&self, app: &AppRef) -> Result<Windows, Fault> {
        let request = Request::get(["api", "v1", "applications", &app.name, "syncwindows"]);
        self.json(&scoped(request, app), self.timing.call).await
    }

    /// Asks whether the policy allows an action on `project/app` (or `project/*`).
    ///
    /// # Errors
    /// A fault; 401 for a bad token.
    pub async fn can_i(&self, action: &str, object: &str) -> Result<bool, Fault> {
        let mut segments = vec!["api", "v1", "account", "can-i", "applications", action];
        // Slashes inside are part of the path: one segment each.
        segments.extend(object.split('/'));
        let answer: CanI = self.json(&Request::get(segments), self.timing.call).await?;
        Ok(answer.value == "yes")
    }

    /// Asks who we are.
    ///
    /// # Errors
    /// A fault, but never for a bad token: then nobody is logged in.
    pub async fn userinfo(&self) -> Result<UserInfo, Fault> {
        self.json(&Request::get(["api", "v1", "session", "userinfo"]), self.timing.call).await
    }

    /// Lists the names of a project's Applications, for near misses.
    ///
    /// # Errors
    /// A fault.
    pub async fn names(&self, project: &str) -> Result<Vec<String>, Fault> {
        let request = Request::get(["api", "v1", "applications"])
            .query("projects", project)
            .query("fields", "items.metadata.name");
        let list: Value = self.json(&request, self.timing.call).await?;
        let items = list.get("items").and_then(Value::as_array);
        let name = |v: &Value| v.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        Ok(items.into_iter().flatten().filter_map(name).collect())
    }

    /// Opens the event stream of an Application that is known to exist.
    ///
    /// # Errors
    /// A fault; also when no header came in time, as for an Application that is gone.
    pub async fn watch(&self, app: &AppRef) -> Result<Watch, Fault> {
        let mut request = Request::get(["api", "v1", "stream", "applications"])
            .query("name", app.name.as_str())
            .query("appNamespace", app.namespace.as_str())
            .query("projects", app.project.as_str());
        request.headers.push(("traceparent", self.traceparent()));
        let token = self.current_token();
        let call = self.http.stream(request, &token);
        stream::open(self.clock.clone(), self.timing.stream_header, self.timing.stream_silence, call).await
    }

    /// Tells Argo CD's webhook about a push, in the form that is set or the repository's
    /// host suggests.
    ///
    /// # Errors
    /// A fault, also for a secret that cannot be read; success means queued.
    pub async fn webhook(&self, push: &Push<'_>) -> Result<(), Fault> {
        let settings = self.settings.webhook.as_ref();
        let form = settings.and_then(|w| w.form).unwrap_or_else(|| WebhookForm::of_repository(push.repo_url));
        let secret = settings.and_then(|w| w.secret.as_ref()).map(|s| s.read()).transpose();
        let secret = secret.map_err(|e| Fault::local(FaultKind::Local, e))?;
        let post = push.post(form, secret.as_ref());
        let mut request = Request::new(Method::POST, ["api", "webhook"]).bytes(&post.body);
        request.headers.extend(post.headers.iter().map(|(name, value)| (*name, value.expose().to_owned())));
        // No login there, so no token goes there.
        match self.bytes(&request, self.timing.call, None).await {
            Ok(_) => Ok(()),
            Err(mut fault) => {
                if fault.http == Some(400) {
                    fault.text =
                        format!("{} (it has to match `{}` of Argo CD)", fault.text, form.secret_key());
                }
                Err(fault)
            }
        }
    }

    /// Reads the token again; true if it is another one.
    pub fn read_token_again(&self) -> bool {
        self.rotated(&self.current_token()).is_some()
    }

    async fn json<T: DeserializeOwned>(&self, request: &Request<'_>, deadline: Duration) -> Result<T, Fault> {
        let token = self.current_token();
        let mut answer = self.bytes(request, deadline, Some(&token)).await;
        if let Err(fault) = &answer
            && matches!(fault.kind, FaultKind::BadToken | FaultKind::NoToken)
            && let Some(new) = self.rotated(&token)
        {
            answer = self.bytes(request, deadline, Some(&new)).await;
        }
        let bytes = answer?;
        serde_json::from_slice(&bytes).map_err(|_| {
            let mut fault = Fault::local(FaultKind::NotArgoCd, "the answer is not Argo CD's JSON");
            // A half-read answer of a proxy is no proof that nothing happened.
            fault.lost = true;
            fault.http = Some(200);
            fault
        })
    }

    async fn bytes(
        &self,
        request: &Request<'_>,
        deadline: Duration,
        token: Option<&Secret>,
    ) -> Result<Vec<u8>, Fault> {
        let mut traced = Request::new(request.method.clone(), request.segments.iter().copied());
        traced.query.clone_from(&request.query);
        traced.body = request.body;
        traced.headers.clone_from(&request.headers);
        traced.headers.push(("traceparent", self.traceparent()));
        let is_refresh = traced.query.iter().any(|(key, _)| *key == "refresh");
        let _place = if is_refresh { None } else { self.calls.acquire().await.ok() };
        match within(&*self.clock, deadline, self.http.send(&traced, token)).await {
            Some(answer) => answer,
            None => {
                Err(Fault::local(FaultKind::TimedOut, format!("no answer within {} s", deadline.as_secs())))
            }
        }
    }

    fn traceparent(&self) -> String {
        let span = self.spans.fetch_add(1, Ordering::Relaxed);
        format!("00-{}-{span:016x}-01", self.trace)
    }

    fn current_token(&self) -> Secret {
        self.token.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Reads the token again and returns it if it is another one.
    fn rotated(&self, refused: &Secret) -> Option<Secret> {
        let new = self.settings.token.read().ok().filter(|t| t != refused)?;
        tracing::info!(server = %self.id, "the token was refused and has been read again");
        *self.token.write().unwrap_or_else(std::sync::PoisonError::into_inner) = new.clone();
        Some(new)
    }
}

fn scoped<'r>(request: Request<'r>, app: &'r AppRef) -> Request<'r> {
    request.query("project", app.project.as_str()).query("appNamespace", app.namespace.as_str())
}
