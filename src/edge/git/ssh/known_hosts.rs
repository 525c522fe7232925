//! Which host keys are trusted: OpenSSH's `known_hosts` files, read only.
//!
//! Nothing is ever added to them: a host that is not listed is refused, because on its first
//! contact nobody can tell it from somebody between. Host certificates are not spoken, so a
//! line `@cert-authority` trusts nothing here; the refusal says so.

use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The files that OpenSSH reads too, used where none is named.
pub(in super::super) fn usual_files() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let mut files: Vec<PathBuf> = home.into_iter().map(|home| home.join(".ssh/known_hosts")).collect();
    files.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
    files
}

/// The lines of some `known_hosts` files.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownHosts {
    lines: Vec<Line>,
    /// What was read, for messages.
    pub(super) files: Vec<String>,
}

/// One line that is no comment.
#[derive(Clone, Debug)]
struct Line {
    /// File and number.
    at: String,
    marker: Marker,
    hosts: String,
    /// The key's type, such as `ssh-ed25519`.
    kind: String,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

/// What the files say of a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    /// Listed as stolen, on this line.
    Revoked(String),
    /// The host is listed, on these lines, with other keys.
    Changed(Vec<String>),
    /// The host is not listed; these lines name a certificate authority for it.
    Unknown {
        authorities: Vec<String>,
    },
}

impl KnownHosts {
    /// Reads files; with `required`, each must be there.
    pub(super) fn read(files: &[PathBuf], required: bool) -> Result<Self> {
        let mut known = Self::default();
        for file in files {
            match text_of(file) {
                Ok(text) => known.add(&file.display().to_string(), &text),
                Err(e) if !required && e.kind() == std::io::ErrorKind::NotFound => {
                    known.files.push(format!("{} (missing)", file.display()));
                }
                Err(e) => {
                    return Err(Error::input(format!("cannot read the known hosts in {}", file.display()))
                        .hint("it is a file such as `ssh-keyscan HOST` writes; look at each key before you trust it")
                        .because(e));
                }
            }
        }
        Ok(known)
    }

    /// Adds the lines of a text. As OpenSSH does, a line that cannot be read trusts nothing.
    pub(super) fn add(&mut self, name: &str, text: &str) {
        self.files.push(name.to_owned());
        let lines = text.lines().enumerate();
        self.lines.extend(lines.filter_map(|(n, line)| Line::parse(format!("{name}:{}", n + 1), line)));
    }

    /// Returns the types of key that a host is listed with, each once, in order.
    pub(super) fn kinds(&self, host: &str) -> Vec<&str> {
        let mut kinds: Vec<&str> = Vec::new();
        for line in self.lines.iter().filter(|l| l.marker == Marker::None && l.names(host)) {
            if !kinds.contains(&line.kind.as_str()) {
                kinds.push(&line.kind);
            }
        }
        kinds
    }

    /// Judges a host's key, given as it is written in the files (decoded).
    pub(super) fn judge(&self, host: &str, key: &[u8]) -> Verdict {
        let of_host: Vec<&Line> = self.lines.iter().filter(|line| line.names(host)).collect();
        let places = |marker| {
            of_host.iter().filter(move |l| l.marker == marker).map(|l| l.at.clone()).collect::<Vec<_>>()
        };
        let with_key = |marker| of_host.iter().find(|l| l.marker == marker && l.key == key);
        if let Some(line) = with_key(Marker::Revoked) {
            return Verdict::Revoked(line.at.clone());
        }
        if with_key(Marker::None).is_some() {
            return Verdict::Trusted;
        }
        match places(Marker::None) {
            lines if lines.is_empty() => Verdict::Unknown { authorities: places(Marker::Authority) },
            lines => Verdict::Changed(lines),
        }
    }
}

impl Line {
    fn parse(at: String, line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (marker, hosts) = match first {
            "@revoked" => (Marker::Revoked, words.next()?),
            "@cert-authority" => (Marker::Authority, words.next()?),
            // A marker of a later OpenSSH may mean anything.
            other if other.starts_with('@') => return None,
            hosts => (Marker::None, hosts),
        };
        let kind = words.next()?.to_owned();
        let key = STANDARD.decode(words.next()?).ok()?;
        Some(Self { at, marker, hosts: hosts.to_owned(), kind, key })
    }

    /// Returns true if the line is about a host (`name`, or `[name]:port` off port 22).
    fn names(&self, host: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return hashed_names(hashed, host).unwrap_or(false);
        }
        let mut named = false;
        for pattern in self.hosts.split(',') {
            match pattern.strip_prefix('!') {
                // Excluded, whatever else the line names.
                Some(pattern) if matches(pattern, host) => return false,
                Some(_) => {}
                None => named |= matches(pattern, host),
            }
        }
        named
    }
}

/// Compares `SALT|HASH`, both in base64.
fn hashed_names(hashed: &str, host: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    mac.update(host.to_ascii_lowercase().as_bytes());
    Some(mac.verify_slice(&hash).is_ok())
}

/// Matches `*` and `?`, without regard to case.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == b'*')
}

fn text_of(file: &Path) -> std::io::Result<String> {
    let metadata = std::fs::metadata(file)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(std::io::Error::other("it is no file of a sensible size"));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.add("k", text);
        known
    }

    #[test]
    fn a_host_is_known_by_name_port_pattern_or_hash() {
        let text = "# a comment\n\
             git.example,10.0.0.1 ssh-ed25519 AAAA someone\n\
             [git.example]:2222 ssh-ed25519 AAAB\n\
             *.lab.example,!bad.lab.example ecdsa-sha2-nistp256 AAAC\n";
        let known = known(text);
        assert_eq!(known.judge("git.example", &[0, 0, 0]), Verdict::Trusted);
        assert_eq!(known.judge("GIT.example", &[0, 0, 0]), Verdict::Trusted);
        assert_eq!(known.judge("[git.example]:2222", &[0, 0, 1]), Verdict::Trusted);
        assert_eq!(known.judge("[git.example]:2222", &[0, 0, 0]), Verdict::Changed(vec!["k:3".into()]));
        assert_eq!(known.judge("a.lab.example", &[0, 0, 2]), Verdict::Trusted);
        let unknown = Verdict::Unknown { authorities: vec![] };
        assert_eq!(known.judge("bad.lab.example", &[0, 0, 2]), unknown);
        assert_eq!(known.judge("other.example", &[0, 0, 0]), unknown);
        assert_eq!(known.kinds("a.lab.example"), ["ecdsa-sha2-nistp256"]);
    }

    #[test]
    fn markers_refuse_and_never_trust() {
        let known = known(
            "@revoked * ssh-ed25519 AAAA\nh ssh-ed25519 AAAA\n@cert-authority *.ca ssh-ed25519 AAAB\n\
             @later h ssh-ed25519 AAAC\nh ssh-ed25519 not-base64\nh\n",
        );
        assert_eq!(known.judge("h", &[0, 0, 0]), Verdict::Revoked("k:1".into()));
        assert_eq!(known.judge("x.ca", &[0, 0, 1]), Verdict::Unknown { authorities: vec!["k:3".into()] });
        assert_eq!(known.judge("h", &[0, 0, 2]), Verdict::Changed(vec!["k:2".into()]));
    }

    #[test]
    fn patterns_with_many_stars_end() {
        assert!(matches("*a*?c", "xxabc") && !matches("*a*?c", "xxac") && matches("**", ""));
        assert!(!matches(&"*a".repeat(30), &"b".repeat(5000)));
    }
}
