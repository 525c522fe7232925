//! Time as an argument: waits of minutes take milliseconds under a test's clock.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// A wait that is under way.
pub type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where everything that talks to Argo CD takes its time from.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time since some fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// Returns the time of day, for the audit trail only.
    fn wall(&self) -> jiff::Timestamp;
    /// Waits.
    fn sleep(&self, time: Duration) -> Wait;
    /// Waits as the deadline of a call that is on the wire. A test's clock must not jump
    /// over an answer that is only a moment away, so it treats these apart.
    fn deadline(&self, time: Duration) -> Wait {
        self.sleep(time)
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep(&self, time: Duration) -> Wait {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Runs a call under a deadline; `None` when the time was up first.
pub(super) async fn within<T>(clock: &dyn Clock, time: Duration, call: impl Future<Output = T>) -> Option<T> {
    let deadline = clock.deadline(time);
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = deadline => None,
    }
}
