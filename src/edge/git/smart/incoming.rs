//! An answer's bytes as they arrive from the thread that speaks to the server, read like a
//! file; and the bound on how many of them are read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

/// What a server says, piece by piece. It ends when the thread that sends the pieces does.
pub(in super::super) struct Incoming {
    receiver: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Incoming {
    /// Returns the bytes that come out of a channel.
    pub(in super::super) fn new(receiver: Receiver<Vec<u8>>) -> Self {
        Self { receiver, chunk: Vec::new(), at: 0 }
    }

    /// Throws away what still comes; returns true if it ends before a moment.
    pub(in super::super) fn ends_by(&self, moment: Instant) -> bool {
        loop {
            match self.receiver.recv_timeout(moment.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.chunk.len() {
            match self.receiver.recv() {
                Ok(chunk) => {
                    self.chunk = chunk;
                    self.at = 0;
                }
                Err(_) => return Ok(0),
            }
        }
        let ready = self.chunk.get(self.at..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

/// Reads no more than so many bytes; beyond them is an error, as an end would look like a cut.
pub(in super::super) struct Bounded<'r> {
    reader: &'r mut dyn Read,
    left: u64,
    beyond: String,
}

impl<'r> Bounded<'r> {
    /// Bounds a reader to `most` bytes; `beyond` is what the error says of more.
    pub(in super::super) fn new(reader: &'r mut dyn Read, most: u64, beyond: impl Into<String>) -> Self {
        Self { reader, left: most, beyond: beyond.into() }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(self.beyond.clone())),
        }
        Ok(count)
    }
}
