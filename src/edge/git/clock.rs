//! Time as the Git side sees it, passed in so that tests own it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

/// A clock that only moves forward, waiting, and the randomness of a backoff.
pub trait Clock {
    /// Returns the time since some fixed moment.
    fn now(&self) -> Duration;

    /// Waits. A clock may wake early when the run is to stop.
    fn sleep(&self, time: Duration);

    /// Returns a number from 0 to 1 that differs between processes.
    fn jitter(&self) -> f64;

    /// Returns true when the run is to end at the next safe point (SIGTERM).
    fn stopping(&self) -> bool {
        false
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Returns a clock that counts from now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn jitter(&self) -> f64 {
        // The standard library seeds each hasher at random; no crate is needed for a backoff.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        let bits = u32::try_from(hasher.finish() >> 32).unwrap_or(0);
        f64::from(bits) / f64::from(u32::MAX)
    }
}
