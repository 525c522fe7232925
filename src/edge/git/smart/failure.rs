//! Why a request has no answer, and whether asking again may help.

use super::super::clock::Clock;
use crate::edge::net::Halted;
use std::time::Duration;

/// How often a request that asks only is made in all.
pub(in super::super) const TRIES: u32 = 3;
/// The longest that a server may tell us to wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub(in super::super) enum Failure {
    /// Nothing was sent: no address, no connection, no trust.
    Connect(String),
    /// The server answered with another status than 200.
    Status { code: u16, text: String, wait: Option<Duration> },
    /// It sent us elsewhere.
    Redirect(String),
    /// The connection ended or nothing came in time.
    Cut(String),
    /// The answer is not what the protocol allows.
    Protocol(String),
    /// Somebody has to mend something before it is worth asking again.
    Denied(Denial),
}

/// Why a connection is of no use, with the mend.
#[derive(Clone, Debug)]
pub(in super::super) struct Denial {
    /// Who mends it.
    pub(in super::super) by: Mender,
    /// What is wrong.
    pub(in super::super) why: String,
    /// The mends, one a line.
    pub(in super::super) hints: Vec<String>,
}

/// Who mends a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mender {
    /// Whoever calls: a key or a file is missing (exit 2).
    Caller,
    /// Whoever may decide whom to trust (exit 4).
    Person,
    /// Whoever runs the server (exit 3).
    Server,
}

impl From<Halted> for Failure {
    fn from(halted: Halted) -> Self {
        match halted {
            Halted::Unable(why) => Failure::Connect(why),
            Halted::Late(why) => Failure::Cut(why),
        }
    }
}

impl Failure {
    /// Returns a denial with one hint.
    pub(in super::super) fn denied(by: Mender, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::Denied(Denial { by, why: why.into(), hints: vec![hint.into()] })
    }

    /// Returns true if asking again may help.
    pub(in super::super) fn may_pass(&self) -> bool {
        match self {
            // A certificate does not become right by asking again.
            Failure::Connect(why) => !why.contains("certificate"),
            Failure::Cut(_) => true,
            Failure::Status { code, .. } => matches!(code, 429 | 500 | 502 | 503 | 504),
            Failure::Redirect(_) | Failure::Protocol(_) | Failure::Denied(_) => false,
        }
    }

    /// Returns what happened, in words.
    pub(in super::super) fn words(&self) -> String {
        match self {
            Failure::Connect(why) | Failure::Cut(why) | Failure::Protocol(why) => why.clone(),
            Failure::Denied(denial) => denial.why.clone(),
            Failure::Redirect(to) => format!("it redirects to {to}, and credentials never follow there"),
            Failure::Status { code, text, .. } => {
                let meaning = match code {
                    401 => "the credentials are missing or refused",
                    403 => "access is forbidden",
                    404 => "there is no such repository, or the credentials may not see it",
                    413 => "the request is too large",
                    429 => "too many requests",
                    500..=599 => "the server failed",
                    _ => "the server did not agree",
                };
                if text.is_empty() {
                    format!("{meaning} ({code})")
                } else {
                    format!("{meaning} ({code}): {text}")
                }
            }
        }
    }
}

/// Waits before the next try: as long as the server asks, and longer each time.
pub(in super::super) fn pause(failure: &Failure, tried: u32, clock: &dyn Clock) {
    let backoff = Duration::from_millis(200) * 4u32.saturating_pow(tried - 1);
    let asked = match failure {
        Failure::Status { wait: Some(wait), .. } => (*wait).min(MAX_RETRY_AFTER),
        _ => Duration::ZERO,
    };
    clock.sleep(asked.max(backoff.mul_f64(0.5 + clock.jitter().clamp(0.0, 1.0) / 2.0)));
}
