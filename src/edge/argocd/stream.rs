//! Argo CD's event stream of one Application. Only ever a hint: it is fed from a cache, may
//! lag, outlives its token, and ends without a word. A slow plain GET beside it is the truth.

use super::application::Application;
use super::clock::{Clock, within};
use super::fault::{Fault, FaultKind, classify_stream};
use reqwest::Response;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The longest event; Kubernetes bounds an object at about 1.5 MB.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What a stream said.
#[derive(Debug)]
pub enum Event {
    /// The Application as it is now.
    Seen(Box<Application>),
    /// It was deleted.
    Deleted,
}

/// An open stream.
pub struct Watch {
    response: Response,
    lines: Lines,
    clock: Arc<dyn Clock>,
    silence: Duration,
    heard: Duration,
}

impl Watch {
    pub(super) fn new(response: Response, clock: Arc<dyn Clock>, silence: Duration) -> Self {
        let heard = clock.now();
        Self { response, lines: Lines::default(), clock, silence, heard }
    }

    /// Returns the next event. May be dropped and called again; nothing is lost.
    ///
    /// # Errors
    /// A fault when the stream ended, fell silent for three keepalives, or carried an error.
    pub async fn next(&mut self) -> Result<Event, Fault> {
        loop {
            while let Some(line) = self.lines.next_line() {
                if let Some(event) = event(&line)? {
                    return Ok(event);
                }
            }
            let left = (self.heard + self.silence).saturating_sub(self.clock.now());
            let clock = self.clock.clone();
            // Not a deadline of a call: silence is what a stream mostly has to say.
            let chunk = tokio::select! {
                biased;
                chunk = self.response.chunk() => chunk,
                () = clock.sleep(left) => return Err(Fault::local(FaultKind::TimedOut, "the event stream fell silent")),
            };
            let end = |text: String| Fault::local(FaultKind::ConnectionLost, text);
            let bytes = chunk.map_err(|_| end("the event stream broke".into()))?;
            let Some(bytes) = bytes else { return Err(end("the event stream ended".into())) };
            self.heard = self.clock.now();
            self.lines.push(&bytes)?;
        }
    }
}

/// Opens a stream under a deadline for its header.
pub(super) async fn open(
    clock: Arc<dyn Clock>,
    header: Duration,
    silence: Duration,
    call: impl Future<Output = Result<Response, Fault>>,
) -> Result<Watch, Fault> {
    match within(&*clock, header, call).await {
        Some(response) => Ok(Watch::new(response?, clock, silence)),
        None => Err(Fault::local(FaultKind::TimedOut, "the event stream did not start")),
    }
}

/// Reads one line: `data: {json}`, bare JSON (the other mode), a keepalive or nothing.
fn event(line: &[u8]) -> Result<Option<Event>, Fault> {
    let line = line.strip_prefix(b"data:").unwrap_or(line).trim_ascii();
    if line.first() != Some(&b'{') {
        return Ok(None);
    }
    let unreadable =
        |e: serde_json::Error| Fault::local(FaultKind::NotArgoCd, format!("an event is unreadable: {e}"));
    let mut value: Value = serde_json::from_slice(line).map_err(unreadable)?;
    if let Some(error) = value.get("error") {
        return Err(classify_stream(error));
    }
    let Some(result) = value.get_mut("result").map(Value::take) else { return Ok(None) };
    if result.get("type").and_then(Value::as_str) == Some("DELETED") {
        return Ok(Some(Event::Deleted));
    }
    let Some(application) = result.get("application") else { return Ok(None) };
    let application: Application = serde::Deserialize::deserialize(application).map_err(unreadable)?;
    Ok(Some(Event::Seen(Box::new(application))))
}

/// Bytes into lines, with a bound.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    searched: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.bytes.len() + bytes.len() > MOST_BYTES {
            return Err(Fault::local(
                FaultKind::TooLarge,
                format!("an event is longer than {MOST_BYTES} bytes"),
            ));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.get(self.searched..)?;
        match rest.iter().position(|b| *b == b'\n') {
            Some(at) => {
                let end = self.searched + at;
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                self.searched = 0;
                Some(line)
            }
            None => {
                self.searched = self.bytes.len();
                None
            }
        }
    }
}
