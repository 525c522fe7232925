//! Packet lines: four hex digits of length, then the bytes; and the bands multiplexed in them.

use std::io::{self, Read};

/// The largest packet that Git allows, its length included.
const MAX_PACKET: usize = 65_520;

/// What the other side wrote for people while it worked; more than this is dropped.
const MAX_PROGRESS: usize = 64 << 10;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Packet {
    /// The end of a section.
    Flush,
    Data(Vec<u8>),
}

/// Reads one packet; `None` where the stream ends between two.
pub(in super::super) fn read(reader: &mut dyn Read) -> io::Result<Option<Packet>> {
    let mut digits = [0; 4];
    let mut got = 0;
    while let Some(rest) = digits.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 if got == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => got += more,
        }
    }
    let length = std::str::from_utf8(&digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|text| usize::from_str_radix(text, 16).ok())
        .ok_or_else(|| broken("a packet does not begin with its length"))?;
    match length {
        0 => Ok(Some(Packet::Flush)),
        4..=MAX_PACKET => {
            let mut data = vec![0; length - 4];
            reader.read_exact(&mut data)?;
            Ok(Some(Packet::Data(data)))
        }
        _ => Err(broken("a packet has an impossible length")),
    }
}

/// Appends one packet.
pub(in super::super) fn write(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:04x}", data.len() + 4).as_bytes());
    out.extend_from_slice(data);
}

/// Appends the end of a section.
pub(in super::super) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Returns the packet as text without its line end.
pub(in super::super) fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).trim_end_matches('\n').to_owned()
}

/// Reads the first band; collects what the second says; fails with what the third says.
pub(in super::super) struct Bands<'r> {
    reader: &'r mut dyn Read,
    waiting: Vec<u8>,
    at: usize,
    ended: bool,
    /// The other side's words for people.
    pub(in super::super) progress: Vec<u8>,
}

impl<'r> Bands<'r> {
    /// Starts with a packet that was read already, if one was.
    pub(in super::super) fn new(reader: &'r mut dyn Read, first: Option<Vec<u8>>) -> io::Result<Self> {
        let mut bands = Self { reader, waiting: Vec::new(), at: 0, ended: false, progress: Vec::new() };
        if let Some(first) = first {
            bands.sort(first)?;
        }
        Ok(bands)
    }

    fn sort(&mut self, mut packet: Vec<u8>) -> io::Result<()> {
        match packet.first() {
            Some(1) => {
                packet.remove(0);
                self.waiting = packet;
                self.at = 0;
            }
            Some(2) => {
                let room = MAX_PROGRESS.saturating_sub(self.progress.len());
                self.progress.extend(packet.iter().skip(1).take(room));
            }
            Some(3) => {
                packet.remove(0);
                return Err(io::Error::other(format!("the server stopped: {}", text(&packet))));
            }
            _ => return Err(broken("a packet belongs to no band")),
        }
        Ok(())
    }
}

impl Read for Bands<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.waiting.len() {
            if self.ended {
                return Ok(0);
            }
            match read(self.reader)? {
                Some(Packet::Data(packet)) => self.sort(packet)?,
                Some(Packet::Flush) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let ready = self.waiting.get(self.at..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(ready) {
            *to = *from;
        }
        self.at += count;
        Ok(count)
    }
}

pub(in super::super) fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server's answer is no Git protocol: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were_written() {
        let mut out = Vec::new();
        write(&mut out, b"want x\n");
        flush(&mut out);
        let mut reader = out.as_slice();
        assert_eq!(read(&mut reader).unwrap(), Some(Packet::Data(b"want x\n".to_vec())));
        assert_eq!(read(&mut reader).unwrap(), Some(Packet::Flush));
        assert_eq!(read(&mut reader).unwrap(), None);
    }

    #[test]
    fn broken_packets_are_errors_and_never_a_panic() {
        for wrong in ["0", "000", "0003", "zzzz", "+123", "ffff", "0009ab", "-001", "\u{e9}\u{e9}"] {
            assert!(read(&mut wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bands_are_told_apart() {
        let mut out = Vec::new();
        for (band, words) in [(2, "counting"), (1, "PA"), (1, "CK"), (2, ", done")] {
            write(&mut out, &[&[band], words.as_bytes()].concat());
        }
        flush(&mut out);
        let mut reader = out.as_slice();
        let mut bands = Bands::new(&mut reader, None).unwrap();
        let mut got = String::new();
        bands.read_to_string(&mut got).unwrap();
        assert_eq!((got.as_str(), bands.progress.as_slice()), ("PACK", b"counting, done".as_slice()));
        let mut out = Vec::new();
        write(&mut out, b"\x03no space left");
        let mut reader = out.as_slice();
        let error = Bands::new(&mut reader, None).unwrap().read(&mut [0; 8]).unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
    }
}
