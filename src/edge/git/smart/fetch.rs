//! Gets a pack with what is missing here.

use super::super::clock::Clock;
use super::incoming::Bounded;
use super::pkt::{self, Bands, Packet, broken};
use super::wire::Wire;
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use std::io::{self, Read, Write};
use std::path::Path;

/// What is asked for.
pub(in super::super) struct Ask {
    /// The commit to get.
    pub(in super::super) want: ObjectId,
    /// Commits that are here, with all that they hold.
    pub(in super::super) haves: Vec<ObjectId>,
    /// Commits that are here without their parents.
    pub(in super::super) shallow: Vec<ObjectId>,
    /// How many commits deep from `want`; `None`: down to what is here.
    pub(in super::super) depth: Option<u32>,
    /// The most bytes that are worth it, besides the server's own limit.
    pub(in super::super) most: u64,
}

/// How the edge of the known history moved.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Edge {
    pub(in super::super) shallow: Vec<ObjectId>,
    pub(in super::super) unshallow: Vec<ObjectId>,
}

/// Fetches into a repository's object folder; the pack is visible afterwards.
pub(in super::super) fn fetch(
    wire: &Wire,
    repo: &git2::Repository,
    ask: &Ask,
    clock: &dyn Clock,
) -> Result<Edge> {
    let body = request(ask);
    let folder = repo.path().join("objects/pack");
    wire.ask("git-upload-pack", &body, clock, |reader| {
        let reader = &mut Bounded::new(reader, ask.most, "it sends more than this is worth");
        let edge = if ask.depth.is_some() { read_edge(reader)? } else { Edge::default() };
        let first = skip_acknowledgements(reader)?;
        let mut bands = Bands::new(reader, Some(first))?;
        index(&mut bands, repo, &folder)?;
        Ok(edge)
    })
    .map_err(|e| match std::fs::metadata(&folder) {
        Ok(_) => e,
        Err(io) => Error::external(format!("cannot write {}", folder.display())).because(io),
    })
}

fn request(ask: &Ask) -> Vec<u8> {
    let mut body = Vec::new();
    let agent = concat!("hydrant/", env!("CARGO_PKG_VERSION"));
    let first = format!("want {} side-band-64k ofs-delta no-progress shallow agent={agent}\n", ask.want);
    pkt::write(&mut body, first.as_bytes());
    for id in &ask.shallow {
        pkt::write(&mut body, format!("shallow {id}\n").as_bytes());
    }
    if let Some(depth) = ask.depth {
        pkt::write(&mut body, format!("deepen {depth}\n").as_bytes());
    }
    pkt::flush(&mut body);
    for id in &ask.haves {
        pkt::write(&mut body, format!("have {id}\n").as_bytes());
    }
    pkt::write(&mut body, b"done\n");
    body
}

/// Reads how deep the answer goes.
fn read_edge(reader: &mut dyn Read) -> io::Result<Edge> {
    let mut edge = Edge::default();
    loop {
        let line = match pkt::read(reader)? {
            Some(Packet::Data(line)) => pkt::text(&line),
            Some(Packet::Flush) => return Ok(edge),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let id = |text: &str| text.parse().map_err(|_| broken("the edge of the history has no id"));
        if let Some(text) = line.strip_prefix("shallow ") {
            edge.shallow.push(id(text)?);
        } else if let Some(text) = line.strip_prefix("unshallow ") {
            edge.unshallow.push(id(text)?);
        } else {
            return Err(said(&line));
        }
    }
}

/// Skips `ACK` and `NAK`; returns the first packet of the pack.
fn skip_acknowledgements(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    loop {
        match pkt::read(reader)? {
            Some(Packet::Data(line)) if line.starts_with(b"ACK ") || line.starts_with(b"NAK") => {}
            Some(Packet::Data(line)) if line.first().is_some_and(|band| *band <= 3) => return Ok(line),
            Some(Packet::Data(line)) => return Err(said(&pkt::text(&line))),
            Some(Packet::Flush) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn said(line: &str) -> io::Error {
    match line.strip_prefix("ERR ") {
        Some(why) => io::Error::other(format!("the server says: {why}")),
        None => broken("an unexpected line"),
    }
}

/// Checks and indexes a pack while it arrives. Nothing is visible unless all of it came.
fn index(pack: &mut dyn Read, repo: &git2::Repository, folder: &Path) -> io::Result<()> {
    let odb = repo.odb().map_err(io::Error::other)?;
    // The check of links is not ours to make: the edge of a shallow history has none.
    let mut indexer = git2::Indexer::new(Some(&odb), folder, 0o444, false).map_err(io::Error::other)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = pack.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if read > 0 => indexer.write_all(bytes)?,
            _ => break,
        }
    }
    indexer.commit().map_err(io::Error::other)?;
    Ok(())
}
