//! Ends a run at a safe point: SIGTERM and SIGINT set a flag that long work looks at.

use crate::edge::git::{Clock, SystemClock};
use crate::edge::net::block_on;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// A flag that is set once and can be waited for.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Returns a flag that nobody sets.
    pub fn never() -> Self {
        Self::default()
    }

    /// Returns a flag that SIGTERM and SIGINT set. A second signal changes nothing: every wait
    /// ends at the first.
    pub fn on_signals() -> Self {
        let stop = Self::default();
        let setter = stop.clone();
        std::thread::spawn(move || {
            // Without a runtime the signals end the process as they always do.
            let _ = block_on(async {
                let (Ok(mut terminate), Ok(mut interrupt)) =
                    (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
                else {
                    return;
                };
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::warn!("told to stop: ending at the next safe point");
                setter.set();
            });
        });
        stop
    }

    /// Sets the flag.
    pub fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Returns true once it is set.
    pub fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time, or until it is set; returns true if it is.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut set = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                break;
            };
            let (guard, _) = self.0.1.wait_timeout(set, left).unwrap_or_else(PoisonError::into_inner);
            set = guard;
        }
        *set
    }
}

/// The machine's clock, which wakes and says so when the run is to stop.
#[derive(Debug)]
pub struct StoppingClock {
    clock: SystemClock,
    stop: Stop,
}

impl StoppingClock {
    /// Returns a clock that follows a flag.
    pub fn new(stop: Stop) -> Self {
        Self { clock: SystemClock::new(), stop }
    }
}

impl Clock for StoppingClock {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn sleep(&self, time: Duration) {
        self.stop.wait(time);
    }

    fn jitter(&self) -> f64 {
        self.clock.jitter()
    }

    fn stopping(&self) -> bool {
        self.stop.is_set()
    }
}
