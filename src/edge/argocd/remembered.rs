//! Remembers which commit came after which: the question is asked on every look at every
//! Application, and answering it may cost a fetch.

use super::clock::Clock;
use super::verdict::Ancestry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long "unknown" is believed before it is asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);

type Pair = (String, String);

/// An [`Ancestry`] that is asked once for what cannot change.
pub(super) struct Remembered {
    inner: Arc<dyn Ancestry>,
    clock: Arc<dyn Clock>,
    /// Known pairs, and unknown ones with the time they were asked for.
    answers: Mutex<BTreeMap<Pair, Result<bool, Duration>>>,
}

impl Remembered {
    /// Returns the same knowledge, remembered.
    pub fn new(inner: Arc<dyn Ancestry>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, answers: Mutex::default() }
    }
}

impl Ancestry for Remembered {
    fn is_ancestor(&self, older: &str, newer: &str) -> Option<bool> {
        let pair = (older.to_owned(), newer.to_owned());
        let now = self.clock.now();
        // Held while asking: a hundred Applications that meet one new commit cause one fetch.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.get(&pair) {
            Some(Ok(known)) => return Some(*known),
            Some(Err(asked)) if now < *asked + UNKNOWN_FOR => return None,
            _ => {}
        }
        let answer = self.inner.is_ancestor(older, newer);
        answers.insert(pair, answer.ok_or(now));
        answer
    }
}
