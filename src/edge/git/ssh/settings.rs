//! What the SSH side may be told: key, agent, known hosts.

use super::super::credentials::value;
use crate::error::Result;
use crate::redact::Secret;
use std::path::PathBuf;

/// A private key, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The key itself, in the text form of OpenSSH or PKCS#8.
    Text(Secret),
    /// A file that holds it.
    File(PathBuf),
}

/// How a server is reached over SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshSettings {
    /// The private key; without one the agent is asked.
    pub key: Option<KeySource>,
    /// What the key is encrypted with.
    pub passphrase: Option<Secret>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Files of host keys to trust; empty: those of OpenSSH.
    pub known_hosts: Vec<PathBuf>,
    /// Host keys to trust, as lines of such a file.
    pub known_hosts_text: Option<String>,
}

impl SshSettings {
    /// Reads `HYDRANT_GIT_SSH_KEY`, `HYDRANT_GIT_SSH_PASSPHRASE` and `HYDRANT_GIT_KNOWN_HOSTS`,
    /// each also as `…_FILE`, and `SSH_AUTH_SOCK`. `variable` looks a name up.
    ///
    /// # Errors
    /// A name that is set in both forms, and a passphrase file that cannot be read.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let path = |name: &str| variable(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let key = either(&variable, "HYDRANT_GIT_SSH_KEY")?.map(Given::key);
        let mut settings = Self {
            key,
            passphrase: value(&variable, "HYDRANT_GIT_SSH_PASSPHRASE")?.map(Secret::new),
            agent: path("SSH_AUTH_SOCK"),
            ..Self::default()
        };
        match either(&variable, "HYDRANT_GIT_KNOWN_HOSTS")? {
            Some(Given::Text(text)) => settings.known_hosts_text = Some(text),
            Some(Given::File(file)) => settings.known_hosts = vec![file],
            None => {}
        }
        Ok(settings)
    }

    /// Returns these settings for the repository that a fleet lies in: with its own key
    /// (`HYDRANT_FLEET_SSH_KEY`, `HYDRANT_FLEET_SSH_PASSPHRASE`, each also as `…_FILE`) if it has
    /// one. A deploy key of the known Git hosts is good for one repository.
    ///
    /// # Errors
    /// As [`SshSettings::from_environment`].
    pub fn of_fleet(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let Some(given) = either(&variable, "HYDRANT_FLEET_SSH_KEY")? else { return Ok(self) };
        self.key = Some(given.key());
        self.passphrase = value(&variable, "HYDRANT_FLEET_SSH_PASSPHRASE")?.map(Secret::new);
        Ok(self)
    }

    /// Returns true if somebody said which hosts to trust.
    pub fn names_known_hosts(&self) -> bool {
        !self.known_hosts.is_empty() || self.known_hosts_text.is_some()
    }
}

enum Given {
    Text(String),
    File(PathBuf),
}

impl Given {
    fn key(self) -> KeySource {
        match self {
            Given::Text(text) => KeySource::Text(Secret::new(text)),
            Given::File(file) => KeySource::File(file),
        }
    }
}

/// Reads a variable or its `_FILE` form, whose file is read later.
fn either(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Option<Given>> {
    let set = |name: &str| variable(name).filter(|text| !text.is_empty());
    match (set(name), set(&format!("{name}_FILE"))) {
        (Some(_), Some(_)) => Err(super::super::credentials::both_set(name)),
        (Some(text), None) => Ok(Some(Given::Text(text))),
        (None, Some(file)) => Ok(Some(Given::File(file.into()))),
        (None, None) => Ok(None),
    }
}
