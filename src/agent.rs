//! Runs the line again and again until a signal says stop.

use crate::error::{Error, Result};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How much of the interval a run may come late, so that many agents do not come at once.
const JITTER: f64 = 0.1;

/// Repeats a run; a signal ends the agent after the run in hand.
///
/// # Errors
/// A system that takes no signal handlers.
pub fn repeat(interval: Duration, mut once: impl FnMut() -> u8) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::external("the agent could not start").because(e))?;
    runtime.block_on(async {
        let listen = |kind| signal(kind).map_err(|e| Error::external("signals cannot be heard").because(e));
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut code;
        loop {
            code = once();
            let wait = interval.mul_f64(1.0 + JITTER * spread());
            tracing::info!(exit = code, "next run in {} s", wait.as_secs());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        Ok(code)
    })
}

/// Returns a number between 0 and 1 that differs between processes.
fn spread() -> f64 {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.subsec_nanos().wrapping_add(std::process::id().wrapping_mul(7919)));
    f64::from(nanos % 1000) / 1000.0
}
