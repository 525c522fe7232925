//! What every call over the network shares, whatever it speaks: trust, a runtime with a
//! deadline, what a server asks us to wait, and what ended a call, in words.

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::error::Error;
use std::io;
use std::sync::Once;
use std::time::Duration;

/// Installs the process-wide TLS provider. May be called any number of times.
pub fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error only says that somebody installed one before; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Returns an error and its causes in one line; what an outer one says already is left out.
/// `None`, and no words at all: the connection failed.
pub(super) fn causes(first: Option<&(dyn Error + 'static)>) -> String {
    let mut words = String::new();
    let mut next = first;
    while let Some(cause) = next {
        let text = cause.to_string();
        if !words.contains(&text) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
        next = cause.source();
    }
    if words.is_empty() { "the connection failed".into() } else { words }
}

/// Reads `Retry-After`: seconds, or a date, which is compared with the server's own clock
/// where its answer says the time, so that ours need not agree with it. Whoever waits sets
/// the bound: a server may ask for years.
pub(super) fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|z| z.timestamp());
    let theirs = headers.get(DATE).and_then(|d| d.to_str().ok()).and_then(date);
    let wait = date(text)?.duration_since(theirs.unwrap_or(now));
    // A date that is over means now.
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// Why a call did not come to an end of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Halted {
    /// There was no runtime to make it in; nothing was sent. The system's words.
    Unable(String),
    /// Its time was up. In words.
    Late(String),
}

/// Does something in a small runtime of its own. It blocks, so it is for a thread that is in
/// no runtime.
///
/// # Errors
/// A system that gives no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What the work owns ends here, which tells its readers that there is no more.
    let done = runtime.block_on(work);
    // Not waited for: a name server may take its time to answer a question nobody asks any more.
    runtime.shutdown_background();
    Ok(done)
}

/// Makes a call, for `deadline` at most.
pub(super) async fn in_time<T, E: From<Halted>>(
    deadline: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(deadline, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Halted::Late(format!("no complete answer within {} s", deadline.as_secs_f32())).into()),
    }
}

/// Makes a call as [`block_on`] does, for `deadline` at most.
pub(super) fn in_runtime<T, E: From<Halted>>(
    deadline: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    block_on(in_time(deadline, call)).map_err(|e| Halted::Unable(e.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Nine in the morning, by our own clock.
    fn now() -> jiff::Timestamp {
        "2026-03-02T09:00:00Z".parse().unwrap()
    }

    fn asked(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        retry_after(&map, now())
    }

    #[test]
    fn a_server_may_ask_for_seconds_or_name_a_moment() {
        let moment = ("retry-after", "Mon, 02 Mar 2026 09:00:20 GMT");
        assert_eq!(asked(&[("retry-after", " 7 ")]), Some(Duration::from_secs(7)));
        assert_eq!(asked(&[moment]), Some(Duration::from_secs(20)));
        // Its clock is an hour behind ours: its own word counts.
        let behind = ("date", "Mon, 02 Mar 2026 08:00:05 GMT");
        assert_eq!(
            asked(&[behind, ("retry-after", "Mon, 02 Mar 2026 08:00:20 GMT")]),
            Some(Duration::from_secs(15))
        );
        // A moment that is over means now.
        assert_eq!(asked(&[("retry-after", "Mon, 02 Mar 2026 08:59:00 GMT")]), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_neither_seconds_nor_a_moment_asks_for_nothing() {
        for text in ["", "soon", "-1", "1.5", "2026-03-02", "Mon, 31 Feb 2026 09:00:00 GMT"] {
            assert_eq!(asked(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(asked(&[]), None);
        // Too long is read as it stands; the bound is set where it is waited for.
        let most = u64::MAX.to_string();
        assert_eq!(asked(&[("retry-after", most.as_str())]), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn a_call_that_never_ends_is_given_up_although_a_thread_of_it_hangs() {
        let started = Instant::now();
        let outcome: Result<(), Halted> = in_runtime(Duration::from_millis(50), async {
            // As the system's resolver does with a name server that says nothing.
            let _ = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(5))).await;
            Ok(())
        });
        assert_eq!(outcome, Err(Halted::Late("no complete answer within 0.05 s".into())));
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }

    #[test]
    fn causes_are_said_once() {
        #[derive(Debug)]
        struct Outer(&'static str, Option<Box<Outer>>);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.1.as_ref().map(|inner| &**inner as _)
            }
        }
        let inner = Outer("refused", None);
        let again = Outer("connect: refused", Some(Box::new(inner)));
        let error = Outer("no answer", Some(Box::new(again)));
        assert_eq!(causes(Some(&error)), "no answer: connect: refused");
        assert_eq!(causes(error.source()), "connect: refused");
        assert_eq!(causes(None), "the connection failed");
    }
}
