//! A clock that jumps: when everybody waits, it goes to the next moment somebody waits for.
//!
//! Real sockets are in play, so "everybody waits" has to be known, not guessed: a call on
//! the wire counts as work until the fake server holds it back on purpose.

use hydrant::edge::argocd::clock::{Clock, Wait};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Virtual time, shared by the client and the fake server.
#[derive(Clone, Default)]
pub struct TestClock(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: Duration,
    next: u64,
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    calls: usize,
    held: usize,
    activity: u64,
}

/// Counts one call on the wire, or one that the server holds back, until it is dropped.
struct Counted(TestClock, fn(&mut Inner) -> &mut usize);

impl Drop for Counted {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock().unwrap();
        *(self.1)(&mut inner) -= 1;
        inner.activity += 1;
    }
}

struct Registered(TestClock, (Duration, u64));

impl Drop for Registered {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock().unwrap();
        inner.sleepers.remove(&self.1);
        inner.activity += 1;
    }
}

impl TestClock {
    fn count(&self, which: fn(&mut Inner) -> &mut usize) -> Counted {
        let mut inner = self.0.lock().unwrap();
        *which(&mut inner) += 1;
        inner.activity += 1;
        Counted(self.clone(), which)
    }

    /// Says that something happened.
    pub fn touch(&self) {
        self.0.lock().unwrap().activity += 1;
    }

    /// Waits on the server's side, holding the client's call back meanwhile.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        let _held = self.count(|i| &mut i.held);
        work.await
    }

    /// Returns the time in milliseconds.
    pub fn millis(&self) -> u64 {
        self.now().as_millis() as u64
    }

    /// Runs something to its end, jumping over every wait.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            () = self.jump() => unreachable!("the clock never ends"),
        }
    }

    /// Goes to a moment and wakes whoever waited for it or for an earlier one.
    pub fn reach(&self, now: Duration) {
        let mut inner = self.0.lock().unwrap();
        inner.now = inner.now.max(now);
        let later = inner.sleepers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        for wake in due.into_values() {
            let _ = wake.send(());
        }
    }

    async fn jump(&self) {
        loop {
            self.quiet().await;
            match self.next_sleeper() {
                Some(wake) => {
                    let _ = wake.send(());
                }
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Goes to the next moment somebody waits for.
    fn next_sleeper(&self) -> Option<oneshot::Sender<()>> {
        let mut inner = self.0.lock().unwrap();
        let ((at, _), wake) = inner.sleepers.pop_first()?;
        inner.now = inner.now.max(at);
        inner.activity += 1;
        Some(wake)
    }

    /// Returns when nothing has happened for many looks at the sockets, and no call is
    /// on its way.
    async fn quiet(&self) {
        let (mut quiet, mut spins, mut seen) = (0, 0u32, 0);
        while quiet < 24 {
            tokio::task::yield_now().await;
            let (activity, busy) = {
                let inner = self.0.lock().unwrap();
                (inner.activity, inner.calls > inner.held)
            };
            if busy || activity != seen {
                (quiet, seen) = (0, activity);
                spins += 1;
                if spins > 2_000 {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            } else {
                quiet += 1;
            }
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    fn wall(&self) -> jiff::Timestamp {
        let start: jiff::Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
        start + jiff::SignedDuration::try_from(self.now()).unwrap()
    }

    fn sleep(&self, time: Duration) -> Wait {
        let (wake, woken) = oneshot::channel();
        let key = {
            let mut inner = self.0.lock().unwrap();
            inner.next += 1;
            inner.activity += 1;
            let key = (inner.now + time, inner.next);
            inner.sleepers.insert(key, wake);
            key
        };
        let registered = Registered(self.clone(), key);
        Box::pin(async move {
            let _ = woken.await;
            drop(registered);
        })
    }

    fn deadline(&self, time: Duration) -> Wait {
        let call = self.count(|i| &mut i.calls);
        let wait = self.sleep(time);
        Box::pin(async move {
            let _call = call;
            wait.await;
        })
    }
}
