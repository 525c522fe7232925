//! Where a repository is: a folder, a URL, or an SSH address.

use super::ssh::SshAddress;
use crate::error::{Error, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use url::Url;

/// A parsed repository address. It never holds a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A repository in a folder on this machine.
    Local(PathBuf),
    /// A repository behind the smart HTTP protocol.
    Http(Url),
    /// A repository behind SSH.
    Ssh(SshAddress),
}

impl Remote {
    /// Reads an address as a user writes it: a path, `file://…`, `https://…`, `http://…`,
    /// `ssh://[user@]host[:port]/path` or `[user@]host:path`.
    ///
    /// A user or password in a URL is refused: it would end up in process lists and logs.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::input("the repository address is empty"));
        }
        if !text.contains("://") {
            return match SshAddress::from_short(text) {
                Some(address) => address.map(Remote::Ssh),
                None => Ok(Remote::Local(PathBuf::from(text))),
            };
        }
        let url = Url::parse(text)
            .map_err(|e| Error::input("the repository address is not a valid URL").because(e))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.scheme() {
            "https" | "http" => Self::http(url, &host),
            "file" => url
                .to_file_path()
                .map(Remote::Local)
                .map_err(|()| Error::input("a file:// address needs an absolute path and no host")),
            "ssh" | "git+ssh" | "ssh+git" => SshAddress::from_url(&url).map(Remote::Ssh),
            other => Err(Error::input(format!("the repository address has the unknown scheme `{other}`"))
                .hint("known: https, ssh, http, file, or a path")),
        }
    }

    fn http(mut url: Url, host: &str) -> Result<Self> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::input(format!(
                "the repository address for {host} holds a user or password; credentials never stand in a URL"
            ))
            .hint("remove them, and set HYDRANT_GIT_USERNAME and HYDRANT_GIT_PASSWORD (or HYDRANT_GIT_PASSWORD_FILE)"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::input(
                "the repository address has a `?` or `#` part, which Git does not know",
            ));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Remote::Http(url))
    }

    /// Returns the host, empty for a folder on this machine.
    pub(super) fn host(&self) -> &str {
        match self {
            Remote::Local(_) => "",
            Remote::Http(url) => url.host_str().unwrap_or_default(),
            Remote::Ssh(address) => &address.host,
        }
    }

    /// Returns how people name it in messages that are kept: a local one by its folder's name.
    pub fn name(&self) -> String {
        match self {
            Remote::Local(path) => {
                path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
            Remote::Http(_) | Remote::Ssh(_) => self.to_string(),
        }
    }

    /// Returns the folder of a local repository.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Remote::Local(path) => Some(path),
            Remote::Http(_) | Remote::Ssh(_) => None,
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Local(path) => write!(f, "{}", path.display()),
            Remote::Http(url) => write!(f, "{url}"),
            Remote::Ssh(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_refused_and_not_shown() {
        for text in ["https://me:hunter2@git.example/x.git", "https://hunter2@git.example/x.git"] {
            let error = Remote::parse(text).unwrap_err();
            let shown = format!("{error} {:?}", error.hints);
            assert!(shown.contains("git.example") && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn paths_and_urls_are_told_apart() {
        assert_eq!(Remote::parse("/srv/x.git").unwrap(), Remote::Local("/srv/x.git".into()));
        assert_eq!(Remote::parse("file:///srv/x.git").unwrap(), Remote::Local("/srv/x.git".into()));
        assert_eq!(Remote::parse("./a:b").unwrap(), Remote::Local("./a:b".into()));
        assert_eq!(
            Remote::parse("https://git.example/x.git/").unwrap().to_string(),
            "https://git.example/x.git"
        );
        for ssh in ["git@git.example:x.git", "git.example:x.git", "ssh://git.example/x.git"] {
            let Remote::Ssh(address) = Remote::parse(ssh).unwrap() else { panic!("{ssh}") };
            assert_eq!((address.user.as_str(), address.host.as_str()), ("git", "git.example"), "{ssh}");
        }
        assert!(Remote::parse("ftp://git.example/x").is_err());
    }
}
