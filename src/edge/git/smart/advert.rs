//! The list of references with which a server opens the conversation.

use super::pkt::{self, Packet, broken};
use crate::model::tree::ObjectId;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

/// What a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Advert {
    /// Every reference by its full name.
    pub(in super::super) references: BTreeMap<String, ObjectId>,
    capabilities: BTreeSet<String>,
}

impl Advert {
    /// Returns true if the server can do something.
    pub(in super::super) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// Returns the names of the branches without `refs/heads/`.
    pub(in super::super) fn branches(&self) -> Vec<String> {
        self.references
            .keys()
            .filter_map(|name| name.strip_prefix("refs/heads/"))
            .map(str::to_owned)
            .collect()
    }
}

/// The longest list of references that is read, in bytes.
pub(in super::super) const MAX_ADVERT: u64 = 64 << 20;

/// Reads the answer to `info/refs?service=…`.
pub(in super::super) fn read_over_http(reader: &mut dyn Read, service: &str) -> io::Result<Advert> {
    match pkt::read(reader)? {
        Some(Packet::Data(line)) if pkt::text(&line) == format!("# service={service}") => {}
        _ => return Err(broken("it does not name its service")),
    }
    if pkt::read(reader)? != Some(Packet::Flush) {
        return Err(broken("the service line is not closed"));
    }
    read(reader)
}

/// Reads the list with which a service begins.
pub(in super::super) fn read(reader: &mut dyn Read) -> io::Result<Advert> {
    let mut advert = Advert::default();
    let mut first = true;
    loop {
        let line = match pkt::read(reader)? {
            Some(Packet::Data(line)) => pkt::text(&line),
            Some(Packet::Flush) => return Ok(advert),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        if let Some(why) = line.strip_prefix("ERR ") {
            return Err(io::Error::other(format!("the server says: {why}")));
        }
        let (row, capabilities) = line.split_once('\0').unwrap_or((&line, ""));
        if first {
            advert.capabilities = capabilities.split(' ').map(str::to_owned).collect();
            let format = advert.capabilities.iter().find_map(|c| c.strip_prefix("object-format="));
            if let Some(format) = format.filter(|format| *format != "sha1") {
                return Err(io::Error::other(format!(
                    "the repository uses {format} ids; only sha1 is supported"
                )));
            }
            first = false;
        }
        let Some((id, name)) = row.split_once(' ') else { return Err(broken("a line without a name")) };
        if id == "shallow" || name == "capabilities^{}" || name == ".have" || name.ends_with("^{}") {
            continue;
        }
        let id = id.parse().map_err(|_| broken("a reference without an id"))?;
        advert.references.insert(name.to_owned(), id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        pkt::write(&mut out, b"# service=git-upload-pack\n");
        pkt::flush(&mut out);
        lines.iter().for_each(|line| pkt::write(&mut out, line.as_bytes()));
        pkt::flush(&mut out);
        out
    }

    #[test]
    fn branches_and_capabilities_are_read() {
        let id = "1".repeat(40);
        let lines = [
            format!("{id} HEAD\0shallow ofs-delta symref=HEAD:refs/heads/main"),
            format!("{id} refs/heads/main\n"),
            format!("{id} refs/tags/v1^{{}}\n"),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let advert = read_over_http(&mut answer(&lines).as_slice(), "git-upload-pack").unwrap();
        assert!(advert.can("shallow") && !advert.can("atomic"));
        assert_eq!(advert.branches(), ["main"]);
        assert_eq!(advert.references.len(), 2);
    }

    #[test]
    fn an_empty_repository_a_foreign_format_and_a_web_page_are_told_apart() {
        let none = format!("{} capabilities^{{}}\0shallow", "0".repeat(40));
        assert!(
            read_over_http(&mut answer(&[&none]).as_slice(), "git-upload-pack")
                .unwrap()
                .references
                .is_empty()
        );
        assert!(
            read_over_http(&mut answer(&[]).as_slice(), "git-upload-pack").unwrap().references.is_empty()
        );
        let sha256 = format!("{} HEAD\0object-format=sha256", "0".repeat(64));
        let error = read_over_http(&mut answer(&[&sha256]).as_slice(), "git-upload-pack").unwrap_err();
        assert!(error.to_string().contains("sha256"), "{error}");
        assert!(read_over_http(&mut b"<html>login</html>".as_slice(), "git-upload-pack").is_err());
    }
}
