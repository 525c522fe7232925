//! The blocking side of a session: bytes are read like a file, orders are given by a call.

use super::session::{Plan, converse};
use crate::edge::git::smart::answer::clean;
use crate::edge::git::smart::failure::Failure;
use crate::edge::git::smart::incoming::{Bounded, Incoming};
use crate::edge::net::in_runtime;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// How long we wait for a session to end in good order.
const FAREWELL: Duration = Duration::from_secs(3);

/// A command that runs on the server, and the thread that speaks to it.
pub(super) struct Conversation {
    service: String,
    /// What the command is sent; dropped once nothing more is wanted.
    orders: Option<UnboundedSender<Vec<u8>>>,
    incoming: Incoming,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Conversation {
    /// Starts a service; nothing is waited for yet. All of it may take `deadline`.
    pub(super) fn begin(plan: Arc<Plan>, service: &str, deadline: Duration) -> Self {
        let (orders, ordered) = unbounded_channel();
        let (out, receiver) = sync_channel(16);
        let command = plan.address.command(service);
        let thread =
            std::thread::spawn(move || in_runtime(deadline, converse(&plan, &command, ordered, out)));
        Self {
            service: service.to_owned(),
            orders: Some(orders),
            incoming: Incoming::new(receiver),
            thread: Some(thread),
        }
    }

    /// Returns true if it is one with this service that has not been sent its order.
    pub(super) fn waits_for(&self, service: &str) -> bool {
        self.service == service && self.thread.is_some()
    }

    /// Sends the command what it is to read.
    pub(super) fn order(&self, body: Vec<u8>) {
        if let Some(orders) = &self.orders {
            // A session that is gone says why when its answer is read.
            let _ = orders.send(body);
        }
    }

    /// Reads a part of what the command says, of `limit` bytes at most.
    pub(super) fn hear<T>(
        &mut self,
        limit: u64,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let beyond = format!("the answer is longer than {limit} bytes");
        let error = match read(&mut Bounded::new(&mut self.incoming, limit, beyond)) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return Err(Failure::Protocol(clean(&error.to_string())));
        }
        // The thread is at its end, or nothing would have told us so.
        self.orders = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(failure))) => Err(failure),
            Some(Err(_)) => Err(Failure::Cut("the SSH session broke off".into())),
            _ => Err(Failure::Cut("the answer ended too early".into())),
        }
    }
}

impl Drop for Conversation {
    /// Ends in good order, but not at any price: the server's last hooks may still be running.
    fn drop(&mut self) {
        self.orders = None;
        let Some(thread) = self.thread.take() else { return };
        if self.incoming.ends_by(Instant::now() + FAREWELL) {
            let _ = thread.join();
        }
    }
}
