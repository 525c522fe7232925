//! A TCP proxy that breaks a connection at a chosen byte of the server's answers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What happens at the chosen byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection is closed in good order.
    Cut,
    /// The connection is torn down while data waits.
    Reset,
    /// Nothing more is sent, and nothing is closed.
    Stall,
    /// From here on one byte at a time, slowly.
    Drip,
}

/// Breaks the `nth` connection (from 0) at byte `at`; the others pass.
pub struct Proxy {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn start(to: SocketAddr, nth: usize, at: usize, how: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let limit = (number == nth).then_some(at);
                std::thread::spawn(move || {
                    let _ = pass(client, to, limit, how);
                });
            }
        });
        Self { address, connections }
    }
}

fn pass(mut client: TcpStream, to: SocketAddr, limit: Option<usize>, how: Break) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(read @ 1..) = from_client.read(&mut buffer) {
            if to_server.write_all(&buffer[..read]).is_err() {
                break;
            }
            // A reset needs unread data on our side: leave the rest of the request alone.
            if limit.is_some() && how == Break::Reset {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let mut sent = 0;
    let mut buffer = [0; 16 << 10];
    loop {
        let read = server.read(&mut buffer)?;
        if read == 0 {
            return client.shutdown(Shutdown::Both);
        }
        let rest = limit.map_or(read, |limit| limit.saturating_sub(sent).min(read));
        client.write_all(&buffer[..rest])?;
        sent += rest;
        if rest == read {
            continue;
        }
        match how {
            Break::Cut | Break::Reset => return client.shutdown(Shutdown::Both),
            Break::Stall => {
                std::thread::sleep(Duration::from_secs(30));
                return Ok(());
            }
            Break::Drip => {
                for byte in &buffer[rest..read] {
                    std::thread::sleep(Duration::from_millis(40));
                    client.write_all(&[*byte])?;
                }
                sent = read;
            }
        }
    }
}
