//! How refused and lost calls are repeated: the seed's policy, 5 tries from 5 s to 3 min.

use std::time::Duration;

/// Waits between tries: exponential, capped, with jitter that a seed decides.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// Tries in all, the first included.
    pub tries: u32,
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait, also for a server's Retry-After.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { tries: 5, first: Duration::from_secs(5), longest: Duration::from_secs(180) }
    }
}

impl Backoff {
    /// Returns the wait after failure number `failures` (from 1), or `None` when that was
    /// the last try. A server's Retry-After counts when it is longer, up to the cap.
    pub fn wait(&self, failures: u32, seed: &str, retry_after: Option<Duration>) -> Option<Duration> {
        if failures >= self.tries {
            return None;
        }
        let doubled =
            self.first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let own = doubled.min(self.longest).mul_f64(jitter(seed, failures));
        Some(own.max(retry_after.unwrap_or_default()).min(self.longest))
    }
}

/// A factor in 0.8..1.2. No random source: the seed (run and Application) spreads agents
/// and Applications apart, and the same run waits the same.
fn jitter(seed: &str, failures: u32) -> f64 {
    let hash = blake3::hash(format!("{seed}/{failures}").as_bytes());
    let [a, b, ..] = *hash.as_bytes();
    0.8 + 0.4 * f64::from(u16::from_be_bytes([a, b])) / f64::from(u16::MAX)
}
