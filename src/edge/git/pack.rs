//! Writes many objects as one pack with its index, both durable.
//!
//! There are no deltas: content is compressed at zlib's fastest level, which the
//! measurements in `docs/delivery.md` found several times faster than single files.

use super::loose::{cannot_write, read_only_file, sync_folder};
use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use sha1::{Digest, Sha1};
use std::collections::HashSet;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The four kinds of object, by their number in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
        }
    }
}

/// One object, ready for a pack. Made on any thread.
pub(super) struct Packed {
    id: ObjectId,
    header: Vec<u8>,
    compressed: Vec<u8>,
}

impl Packed {
    /// Compresses an object.
    pub(super) fn new(id: ObjectId, kind: Kind, content: &[u8]) -> std::io::Result<Self> {
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(content.len() / 2 + 32), Compression::fast());
        encoder.write_all(content)?;
        Ok(Self { id, header: entry_header(kind, content.len()), compressed: encoder.finish()? })
    }
}

/// The first bytes of an entry: its kind and length, seven bits a byte.
fn entry_header(kind: Kind, length: usize) -> Vec<u8> {
    let low = u8::try_from(length & 0x0f).unwrap_or(0);
    let mut byte = (kind as u8) << 4 | low;
    let mut rest = length >> 4;
    let mut header = Vec::with_capacity(4);
    while rest > 0 {
        header.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
    }
    header.push(byte);
    header
}

struct Place {
    id: ObjectId,
    crc: u32,
    offset: u64,
}

/// Writes a pack into a repository.
pub(super) struct PackWriter {
    folder: PathBuf,
    file: BufWriter<NamedTempFile>,
    length: u64,
    places: Vec<Place>,
    seen: HashSet<ObjectId>,
    durable: bool,
}

impl PackWriter {
    /// Starts a pack in a folder, such as `objects/pack` of a repository. Nothing of it is
    /// seen before [`PackWriter::finish`]. What can be fetched again need not be `durable`.
    pub(super) fn new(folder: &Path, durable: bool) -> Result<Self> {
        let folder = folder.to_owned();
        let failed = |e: std::io::Error| Error::external(cannot_write(&folder)).because(e);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let temporary = read_only_file().prefix("tmp_pack_").tempfile_in(&folder).map_err(failed)?;
        let mut file = BufWriter::with_capacity(1 << 18, temporary);
        // The number of objects is filled in at the end.
        file.write_all(&[0; 12]).map_err(failed)?;
        Ok(Self { folder, file, length: 12, places: Vec::new(), seen: HashSet::new(), durable })
    }

    /// Adds an object; one that is there already is left out.
    pub(super) fn add(&mut self, object: &Packed) -> Result<()> {
        if !self.seen.insert(object.id) {
            return Ok(());
        }
        let mut crc = Crc::new();
        crc.update(&object.header);
        crc.update(&object.compressed);
        self.places.push(Place { id: object.id, crc: crc.sum(), offset: self.length });
        self.write(&object.header)?;
        self.write(&object.compressed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| Error::external(cannot_write(&self.folder)).because(e))
    }

    /// Closes the pack, writes its index and makes both visible, the index last.
    ///
    /// Returns the path of the pack.
    pub(super) fn finish(mut self) -> Result<PathBuf> {
        let folder = self.folder.clone();
        let failed = |e: std::io::Error| Error::external(cannot_write(&folder)).because(e);
        self.file.flush().map_err(failed)?;
        let mut file = self.file.into_inner().map_err(|e| failed(e.into_error()))?;
        let count = u32::try_from(self.places.len())
            .map_err(|_| Error::internal("a pack of more than four thousand million objects"))?;
        let mut head = *b"PACK\0\0\0\x02\0\0\0\0";
        for (place, byte) in head.iter_mut().skip(8).zip(count.to_be_bytes()) {
            *place = byte;
        }
        let checksum = seal(&mut file, &head).map_err(failed)?;
        if self.durable {
            file.as_file().sync_all().map_err(failed)?;
        }
        let name = ObjectId::from_bytes(checksum).to_string();
        let target = folder.join(format!("pack-{name}.pack"));
        let mut index = read_only_file().prefix("tmp_idx_").tempfile_in(&folder).map_err(failed)?;
        let content = index_of(&mut self.places, &checksum)?;
        index.write_all(&content).map_err(failed)?;
        if self.durable {
            index.as_file().sync_all().map_err(failed)?;
        }
        file.persist(&target).map_err(|e| failed(e.error))?;
        index.persist(target.with_extension("idx")).map_err(|e| failed(e.error))?;
        if self.durable {
            sync_folder(&folder)?;
        }
        Ok(target)
    }
}

/// Fills in the head of a pack, and appends and returns the checksum of it all.
fn seal(file: &mut NamedTempFile, head: &[u8]) -> std::io::Result<[u8; 20]> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(head)?;
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha1::new();
    let mut reader = BufReader::with_capacity(1 << 18, file.as_file_mut());
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = reader.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if read > 0 => hash.update(bytes),
            _ => break,
        }
    }
    let checksum: [u8; 20] = hash.finalize().into();
    file.seek(SeekFrom::End(0))?;
    file.write_all(&checksum)?;
    Ok(checksum)
}

/// Returns a pack index, version 2 (`gitformat-pack`).
fn index_of(places: &mut [Place], checksum: &[u8; 20]) -> Result<Vec<u8>> {
    places.sort_by_key(|place| place.id);
    let mut index = Vec::with_capacity(1032 + places.len() * 28 + 40);
    index.extend_from_slice(b"\xfftOc\0\0\0\x02");
    let mut upto = 0u32;
    let mut rest = places.iter().peekable();
    for first in 0..=255u8 {
        while rest.next_if(|p| p.id.as_bytes()[0] == first).is_some() {
            upto += 1;
        }
        index.extend_from_slice(&upto.to_be_bytes());
    }
    places.iter().for_each(|p| index.extend_from_slice(p.id.as_bytes()));
    places.iter().for_each(|p| index.extend_from_slice(&p.crc.to_be_bytes()));
    // Offsets beyond 31 bits stand in a table of their own.
    let mut large = Vec::new();
    for place in places.iter() {
        let short = match u32::try_from(place.offset) {
            Ok(offset) if offset < 0x8000_0000 => offset,
            _ => {
                let row = u32::try_from(large.len() / 8)
                    .map_err(|_| Error::internal("a pack index with too many rows"))?;
                large.extend_from_slice(&place.offset.to_be_bytes());
                0x8000_0000 | row
            }
        };
        index.extend_from_slice(&short.to_be_bytes());
    }
    index.extend_from_slice(&large);
    index.extend_from_slice(checksum);
    let own: [u8; 20] = Sha1::digest(&index).into();
    index.extend_from_slice(&own);
    Ok(index)
}
