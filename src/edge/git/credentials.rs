//! Who we are to a Git server, from the environment or from mounted files.

use crate::error::{Error, Result};
use crate::redact::Secret;
use std::path::Path;
use url::{Host, Url};

/// A user and a password (or token), and the host that may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user; servers that take a token alone ignore it.
    pub username: String,
    /// The password or token.
    pub password: Secret,
    /// The only host they are for; `None`: the host of the repository they are opened with.
    pub host: Option<String>,
}

/// The user that is sent with a token when none is given.
const TOKEN_USER: &str = "git";

/// The largest credential file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The names of one source of credentials: user, then passwords in order of preference.
const SOURCES: [(&str, &[&str]); 2] = [
    ("HYDRANT_GIT_USERNAME", &["HYDRANT_GIT_PASSWORD"]),
    ("GITOPS_REPO_USERNAME", &["GITOPS_REPO_PAT", "GITOPS_REPO_PASSWORD"]),
];

/// The names for the repository that a fleet lies in.
const FLEET_SOURCE: (&str, &[&str]) = ("HYDRANT_FLEET_USERNAME", &["HYDRANT_FLEET_PASSWORD"]);

impl Credentials {
    /// Reads `HYDRANT_GIT_USERNAME` and `HYDRANT_GIT_PASSWORD`, or else
    /// `GITOPS_REPO_USERNAME` and `GITOPS_REPO_PAT` or `GITOPS_REPO_PASSWORD`.
    ///
    /// Each name may end in `_FILE` and name a file then; `HYDRANT_GIT_HOST` binds them to a
    /// host. `None`: nothing is set. `variable` looks a name up.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let host = variable("HYDRANT_GIT_HOST").filter(|host| !host.is_empty());
        for source in SOURCES {
            if let Some(found) = Self::from_source(&variable, source, host.clone())? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads those for the repository that a fleet lies in: `HYDRANT_FLEET_USERNAME` and
    /// `HYDRANT_FLEET_PASSWORD` (or `_FILE`), else those of the other repositories.
    pub fn of_fleet(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        match Self::from_source(&variable, FLEET_SOURCE, None)? {
            Some(found) => Ok(Some(found)),
            None => Self::from_environment(variable),
        }
    }

    fn from_source(
        variable: &impl Fn(&str) -> Option<String>,
        (user, passwords): (&str, &[&str]),
        host: Option<String>,
    ) -> Result<Option<Self>> {
        let username = value(variable, user)?;
        let mut password = None;
        for name in passwords {
            if password.is_none() {
                password = value(variable, name)?;
            }
        }
        match (username, password) {
            (None, None) => Ok(None),
            (Some(_), None) => {
                let names = passwords.join(" or ");
                Err(Error::input(format!("{user} is set, but {names} is not"))
                    .hint("set it, or name a file that holds it (…_FILE)"))
            }
            (username, Some(password)) => {
                let username = username.unwrap_or_else(|| TOKEN_USER.to_owned());
                Ok(Some(Self { username, password: Secret::new(password), host }))
            }
        }
    }

    /// Returns the credentials if this server may see them.
    ///
    /// Over plain HTTP only this machine may, unless `over_plain_http`.
    pub(in crate::edge) fn for_server(&self, url: &Url, over_plain_http: bool) -> Result<Option<&Self>> {
        if self
            .host
            .as_deref()
            .is_some_and(|host| !url.host_str().is_some_and(|h| h.eq_ignore_ascii_case(host)))
        {
            return Ok(None);
        }
        let here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() != "https" && !here && !over_plain_http {
            return Err(Error::input(format!(
                "credentials are not sent to {} over plain HTTP, where anybody on the way reads them",
                url.host_str().unwrap_or_default()
            ))
            .hint("use the https:// address"));
        }
        Ok(Some(self))
    }
}

/// Reads what a key is encrypted with from a variable or its `_FILE` form.
///
/// # Errors
/// Both forms at once, and a file that cannot be read.
pub fn passphrase(name: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Secret>> {
    Ok(value(&variable, name)?.map(Secret::new))
}

/// Reads a variable, or the file that its `_FILE` form names.
pub(in crate::edge) fn value(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<String>> {
    let direct = variable(name).filter(|text| !text.is_empty());
    let file_name = format!("{name}_FILE");
    let file = variable(&file_name).filter(|text| !text.is_empty());
    match (direct, file) {
        (Some(_), Some(_)) => Err(both_set(name)),
        (Some(text), None) => Ok(Some(text)),
        (None, Some(path)) => read(&file_name, Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns the error of a variable that is set in both forms.
pub(super) fn both_set(name: &str) -> Error {
    Error::input(format!("both {name} and {name}_FILE are set")).hint("unset one of them")
}

fn read(name: &str, path: &Path) -> Result<String> {
    let failed = || format!("cannot read {}, which {name} names", path.display());
    let length = std::fs::metadata(path).map_err(|e| Error::input(failed()).because(e))?;
    if !length.is_file() || length.len() > MAX_FILE {
        return Err(Error::input(format!("{}, which {name} names, is no small file", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::input(failed()).because(e))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Error::input(format!("{}, which {name} names, is empty", path.display())));
    }
    Ok(text.to_owned())
}
