//! An SSH address: `ssh://user@host:port/path` or `user@host:path`.

use crate::error::{Error, Result};
use std::fmt;
use url::{Host, Url};

/// The user of an address that names none: what the known Git hosts call it.
const DEFAULT_USER: &str = "git";

/// Where SSH listens unless the address says otherwise.
const DEFAULT_PORT: u16 = 22;

/// A parsed SSH address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAddress {
    /// The user to log in as.
    pub user: String,
    /// The host, without the brackets of an IPv6 address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The repository's path as the server is told.
    pub path: String,
}

impl SshAddress {
    /// Reads `ssh://[user@]host[:port]/path`.
    pub(in super::super) fn from_url(url: &Url) -> Result<Self> {
        let host = match url.host() {
            // For this scheme the URL crate leaves host names as they are written.
            Some(Host::Domain(name)) => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(Error::input("the repository address names no host")),
        };
        if url.password().is_some() {
            return Err(Error::input(format!(
                "the repository address for {host} holds a password; credentials never stand in a URL"
            ))
            .hint("remove it; SSH uses a key (HYDRANT_GIT_SSH_KEY_FILE) or an agent (SSH_AUTH_SOCK)"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::input(
                "the repository address has a `?` or `#` part, which Git does not know",
            ));
        }
        let user = decoded(url.username())?;
        let path = decoded(url.path())?;
        // As Git does: `/~user/x` is a path in that user's home.
        let path = match path.strip_prefix("/~") {
            Some(rest) => format!("~{rest}"),
            None => path,
        };
        Self::checked(&user, &host, url.port().unwrap_or(DEFAULT_PORT), &path)
    }

    /// Reads `[user@]host:path`; `None` if it has not that form.
    pub(in super::super) fn from_short(text: &str) -> Option<Result<Self>> {
        let (before, path) = match text.split_once("]:") {
            // `[::1]:path`, an IPv6 address.
            Some((before, path)) if before.contains('[') => (before, path),
            _ => text.split_once(':')?,
        };
        // A path such as `./a:b`, or a drive letter, is no host.
        if before.contains('/') || before.len() < 2 {
            return None;
        }
        let (user, host) = before.rsplit_once('@').unwrap_or(("", before));
        // `user:password@host:path`: no address, but what somebody may try. Nothing of it is shown.
        let first = path.split('/').next().unwrap_or_default();
        if user.is_empty() && first.split_once('@').is_some_and(|(_, rest)| rest.contains(':')) {
            return Some(Err(Error::input(
                "the SSH address of the repository holds a password; credentials never stand in an address",
            )));
        }
        let host = host.trim_start_matches('[').to_ascii_lowercase();
        Some(Self::checked(user, &host, DEFAULT_PORT, path))
    }

    fn checked(user: &str, host: &str, port: u16, path: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::input(format!("the SSH address of the repository {what}")));
        let user = if user.is_empty() { DEFAULT_USER } else { user };
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:%".contains(c)) {
            return wrong("names no host");
        }
        if user.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return wrong("has a user with white space in it");
        }
        if path.is_empty() || path == "/" {
            return wrong("names no path on the server");
        }
        // Git refuses such a path too: the server's command could take it for an option.
        if path.starts_with('-') || path.chars().any(char::is_control) {
            return wrong("has a path that begins with `-` or holds a control character");
        }
        Ok(Self { user: user.into(), host: host.into(), port, path: path.into() })
    }

    /// Returns the command that starts a service on the server.
    pub(super) fn command(&self, service: &str) -> String {
        format!("{service} {}", quoted(&self.path))
    }

    /// Returns the command that lists the host's keys of the types that are understood.
    pub(super) fn keyscan(&self) -> String {
        let port = if self.port == DEFAULT_PORT { String::new() } else { format!(" -p {}", self.port) };
        format!("ssh-keyscan{port} -t ed25519,ecdsa {}", self.host)
    }

    /// Returns the name under which known_hosts files list the host.
    pub(super) fn known_as(&self) -> String {
        if self.port == DEFAULT_PORT { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, path } = self;
        if *port == DEFAULT_PORT && !host.contains(':') {
            return write!(f, "{user}@{host}:{path}");
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port = if *port == DEFAULT_PORT { String::new() } else { format!(":{port}") };
        let slash = if path.starts_with('/') { "" } else { "/" };
        write!(f, "ssh://{user}@{host}{port}{slash}{path}")
    }
}

/// Quotes a path as Git does: a server's shell, or what stands for one, must give it back whole.
fn quoted(path: &str) -> String {
    let mut text = String::from("'");
    for c in path.chars() {
        match c {
            '\'' | '!' => text.extend(["'\\", c.to_string().as_str(), "'"]),
            c => text.push(c),
        }
    }
    text.push('\'');
    text
}

/// Undoes the `%20` of a URL.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
        let value = std::str::from_utf8(&digits)
            .ok()
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|d| u8::from_str_radix(d, 16).ok());
        match value {
            Some(value) => bytes.push(value),
            None => return Err(Error::input("the repository address has a `%` without two hex digits")),
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::input("the repository address is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<SshAddress> {
        SshAddress::from_url(&Url::parse(text).unwrap())
    }

    #[test]
    fn both_forms_of_an_address_are_read() {
        let long = url("ssh://me@Git.Example:2222/srv/a%20b's.git").unwrap();
        assert_eq!((long.user.as_str(), long.host.as_str(), long.port), ("me", "git.example", 2222));
        assert_eq!(long.command("git-upload-pack"), "git-upload-pack '/srv/a b'\\''s.git'");
        assert_eq!(long.known_as(), "[git.example]:2222");
        assert_eq!(url("ssh://git.example/~ann/x").unwrap().path, "~ann/x");
        let short = SshAddress::from_short("git.example:team/x.git").unwrap().unwrap();
        assert_eq!(
            (short.user.as_str(), short.path.as_str(), short.known_as().as_str()),
            ("git", "team/x.git", "git.example")
        );
        assert_eq!(short.to_string(), "git@git.example:team/x.git");
        let six = SshAddress::from_short("me@[::1]:x").unwrap().unwrap();
        assert_eq!((six.host.as_str(), six.path.as_str()), ("::1", "x"));
        assert_eq!(url("ssh://[::1]:22/x").unwrap().to_string(), "ssh://git@[::1]/x");
        assert!(SshAddress::from_short("./a:b").is_none() && SshAddress::from_short("c:x").is_none());
    }

    #[test]
    fn a_path_cannot_break_out_of_its_quotes_or_be_an_option() {
        let address = SshAddress::from_short("h.x:a'; rm -rf '!$(x)`y`").unwrap().unwrap();
        assert_eq!(address.command("git-upload-pack"), "git-upload-pack 'a'\\''; rm -rf '\\'''\\!'$(x)`y`'");
        for wrong in ["h.x:-x", "h.x:", "h.x:a\nb", "me:pw@h.x:y@z", "a b@h.x:y"] {
            let read = SshAddress::from_short(wrong);
            assert!(read.is_none_or(|r| r.is_err()), "{wrong}");
        }
        for wrong in ["ssh://me:hunter2@h/x", "ssh://h/", "ssh://h/%2dx%0a", "ssh://h/x?y", "ssh://h/%zz"] {
            let error = url(wrong).unwrap_err();
            assert!(!format!("{error} {:?}", error.hints).contains("hunter2"), "{wrong}");
        }
    }
}
