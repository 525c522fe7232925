//! Every way in which Argo CD says no, and what to do about it.
//!
//! One pure function, [`classify`], turns an answer into a [`Fault`]. Status and gRPC code
//! are not enough: 400/9 alone stands for five different situations, so the text decides
//! (observed on a running server; docs/argocd.md has the table).

use crate::model::sync::Failure;
use crate::redact::redact;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// What the agent does about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Try again after a wait.
    Transient,
    /// Somebody has to change something; trying again changes nothing.
    Permanent,
    /// A sync window is closed: wait for it, and do not call it a failure.
    Window,
    /// An operation runs: wait for its end, then see whether ours is still needed.
    Busy,
    /// Auto-sync is on and wants no revision: refresh and follow.
    Refresh,
    /// No right, no such Application, or Kubernetes unreachable: can-i tells them apart.
    Ask,
}

/// Which row of the catalogue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum FaultKind {
    NoToken,
    BadToken,
    BareForbidden,
    MissingRight,
    WindowClosed,
    WindowInvalid,
    NotFound,
    WrongProject,
    OperationRunning,
    Deleting,
    AutoSyncOn,
    RevisionUnresolved,
    ReplaceRefused,
    LocalManifestsRefused,
    NothingToTerminate,
    BadRequest,
    Conflict,
    ContentType,
    Redirect,
    NotArgoCd,
    Throttled,
    Unavailable,
    ServerFault,
    ConnectionLost,
    TimedOut,
    TooLarge,
    Tls,
    Local,
}

/// One refused, lost or unreadable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What to do about it.
    pub class: Class,
    /// Which row of the catalogue it is.
    pub kind: FaultKind,
    /// The HTTP status, if there was an answer.
    pub http: Option<u16>,
    /// Argo CD's gRPC code, if the body had one.
    pub code: Option<i64>,
    /// Argo CD's words or ours, redacted and bounded.
    pub text: String,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// True if the request may have been carried out although no answer came.
    pub lost: bool,
}

impl Fault {
    /// Returns a fault that had no answer.
    pub fn local(kind: FaultKind, text: impl fmt::Display) -> Self {
        use FaultKind::{ConnectionLost, TimedOut};
        let lost = matches!(kind, ConnectionLost | TimedOut);
        Self {
            class: if lost { Class::Transient } else { Class::Permanent },
            kind,
            http: None,
            code: None,
            text: short(&text.to_string()),
            retry_after: None,
            lost,
        }
    }

    /// Returns true if Argo CD itself is the obstacle, whatever the Application is like.
    pub fn is_outside(&self) -> bool {
        use FaultKind::*;
        !matches!(
            self.kind,
            WindowClosed
                | WindowInvalid
                | NotFound
                | WrongProject
                | OperationRunning
                | Deleting
                | AutoSyncOn
                | RevisionUnresolved
                | ReplaceRefused
                | LocalManifestsRefused
                | NothingToTerminate
                | Conflict
        )
    }

    /// Returns the failure it makes of an Application.
    pub fn failure(&self, permanent: bool, reason: String) -> Failure {
        Failure { reason, mend: self.mend().map(str::to_owned), permanent, outside: self.is_outside() }
    }

    /// Returns the mend, if it does not depend on the Application.
    pub fn mend(&self) -> Option<&'static str> {
        use FaultKind::*;
        Some(match self.kind {
            NoToken | BadToken => {
                "create a token (`argocd account generate-token --account <name>`), put it where the agent reads it, and revoke the old one"
            }
            WindowInvalid => "mend `spec.syncWindows` of the AppProject: Argo CD cannot read it",
            WrongProject => {
                "the AppProject must exist in Argo CD and allow this Application; deliver the project first"
            }
            Deleting => "the Application is being deleted; wait for it, or remove its finalizer if it hangs",
            ReplaceRefused => {
                "remove `Replace=true` from the sync options (also the Application's own), or allow it on the server"
            }
            LocalManifestsRefused => {
                "local manifests need the right `override` and no auto-sync; sync from Git instead"
            }
            ContentType | BadRequest => {
                "this is a bug in Hydrant or a proxy that rewrites requests; please report it"
            }
            Redirect => {
                "use the https URL with Argo CD's path prefix; the token is never sent after a redirect"
            }
            NotArgoCd => "the URL does not lead to Argo CD's API; check host, port and path prefix",
            Tls => {
                "trust the certificate with `caFile:`; for an IP address set `serverName: argocd-server`; where a certificate of ours is asked for, set `clientCertFile:`"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.http, self.code) {
            (Some(http), Some(code)) => write!(f, "{} (HTTP {http}, code {code})", self.text),
            (Some(http), None) => write!(f, "{} (HTTP {http})", self.text),
            _ => f.write_str(&self.text),
        }
    }
}

/// Classifies an answer whose status is not 200, by status, code and text.
pub fn classify(http: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let (code, text) = words(body);
    let (kind, class) = row(http, code, &text);
    let lost = http >= 500 || http == 408;
    let text = if text.is_empty() { format!("an empty answer with status {http}") } else { short(&text) };
    Fault { class, kind, http: Some(http), code, text, retry_after, lost }
}

/// Classifies an error inside a stream, which nests its members.
pub fn classify_stream(error: &Value) -> Fault {
    let http =
        error.get("http_code").and_then(Value::as_u64).and_then(|c| u16::try_from(c).ok()).unwrap_or(500);
    let code = error.get("grpc_code").and_then(Value::as_i64);
    let text = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, class) = row(http, code, &text);
    Fault { class, kind, http: Some(http), code, text: short(&text), retry_after: None, lost: false }
}

/// The catalogue. Order matters: texts before codes, codes before statuses.
fn row(http: u16, code: Option<i64>, text: &str) -> (FaultKind, Class) {
    use FaultKind::*;
    match http {
        300..=399 => (Redirect, Class::Permanent),
        401 if text.starts_with("no session information") => (NoToken, Class::Permanent),
        401 => (BadToken, Class::Permanent),
        // A proxy's 403 has no code: nothing that can-i could explain.
        403 if code.is_none() => (NotArgoCd, Class::Permanent),
        403 if text == "permission denied" => (BareForbidden, Class::Ask),
        403 if text.starts_with("cannot sync: invalid sync window") => (WindowInvalid, Class::Permanent),
        403 if text.starts_with("cannot sync: blocked by sync window") => (WindowClosed, Class::Window),
        403 => (MissingRight, Class::Permanent),
        404 if code.is_some() => (NotFound, Class::Permanent),
        404 | 405 | 501 => (NotArgoCd, Class::Permanent),
        408 | 504 => (TimedOut, Class::Transient),
        409 => (Conflict, Class::Transient),
        413 | 431 => (TooLarge, Class::Permanent),
        415 => (ContentType, Class::Permanent),
        429 => (Throttled, Class::Transient),
        502 | 503 => (Unavailable, Class::Transient),
        400 => bad_request(code, text),
        500..=599 => (ServerFault, Class::Transient),
        _ => (NotArgoCd, Class::Permanent),
    }
}

fn bad_request(code: Option<i64>, text: &str) -> (FaultKind, Class) {
    use FaultKind::*;
    let has = |part: &str| text.contains(part);
    if has("another operation is already in progress") {
        (OperationRunning, Class::Busy)
    } else if has("auto-sync currently set to") {
        (AutoSyncOn, Class::Refresh)
    } else if has("application is deleting") {
        (Deleting, Class::Permanent)
    } else if has("sync with replace was disabled") {
        (ReplaceRefused, Class::Permanent)
    } else if has("cannot use local sync") || has("Cannot use local manifests") {
        (LocalManifestsRefused, Class::Permanent)
    } else if has("No operation is in progress") {
        (NothingToTerminate, Class::Permanent)
    } else if has("is not allowed in project") {
        // Also said while the server's own view of the projects is not warm yet.
        (WrongProject, Class::Permanent)
    } else if code == Some(9) {
        // Git and repo-server trouble arrives as FailedPrecondition, whatever it was.
        (RevisionUnresolved, Class::Transient)
    } else {
        (BadRequest, Class::Permanent)
    }
}

/// Reads `{"error","code","message"}`; anything else is taken as text.
fn words(body: &[u8]) -> (Option<i64>, String) {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let nested = value.get("error").filter(|e| e.is_object()).unwrap_or(&value);
        let code = nested.get("code").or_else(|| nested.get("grpc_code")).and_then(Value::as_i64);
        let text = nested.get("message").or_else(|| nested.get("error")).and_then(Value::as_str);
        if let Some(text) = text {
            return (code, text.trim().to_owned());
        }
    }
    // Routing, 415 and proxies answer with text or HTML; the first line of text is enough.
    let text = String::from_utf8_lossy(body.get(..1024).unwrap_or(body));
    (None, text.trim().lines().next().unwrap_or_default().to_owned())
}

/// Redacts and bounds a text that comes from outside.
pub(super) fn short(text: &str) -> String {
    let clean = redact(text);
    let mut chars = clean.chars();
    let mut out: String = chars.by_ref().take(600).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}
