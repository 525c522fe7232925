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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Keeps the last wait.
    #[derive(Default)]
    struct Waited(Cell<Duration>);

    impl Clock for Waited {
        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, time: Duration) {
            self.0.set(time);
        }

        fn jitter(&self) -> f64 {
            0.5
        }
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for_within_bounds() {
        let waited = |wait: Option<u64>, tried| {
            let clock = Waited::default();
            let wait = wait.map(Duration::from_secs);
            pause(&Failure::Status { code: 503, text: String::new(), wait }, tried, &clock);
            clock.0.get()
        };
        assert_eq!(waited(Some(7), 1), Duration::from_secs(7));
        assert_eq!(waited(Some(u64::MAX), 1), MAX_RETRY_AFTER);
        // Without a word of its own, and where it asks for less than we would wait.
        assert_eq!(waited(None, 1), Duration::from_millis(150));
        assert_eq!(waited(Some(0), 2), Duration::from_millis(600));
    }
}
