//! Runs the line again and again until a signal says stop.

use crate::stop::Stop;
use std::time::Duration;

/// How much of the interval a run may come late, so that many agents do not come at once.
const JITTER: f64 = 0.1;

/// Repeats a run until the flag is set, and returns the last run's exit code.
pub fn repeat(interval: Duration, stop: &Stop, jitter: f64, mut once: impl FnMut() -> u8) -> u8 {
    loop {
        let code = once();
        let wait = interval.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0));
        tracing::info!(exit = code, "next run in {} s", wait.as_secs());
        if stop.wait(wait) {
            return code;
        }
    }
}
