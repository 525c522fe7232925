//! What the Git side may be told, each with its default.

use super::credentials::Credentials;
use super::signing::Signer;
use super::ssh::SshSettings;
use crate::model::settings::RepositorySettings;
use crate::redact::Secret;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The largest file that is read from a repository, in bytes.
///
/// Manifests are far smaller; GitHub itself refuses files above 100 MB.
pub(super) const MAX_BLOB: usize = 32 << 20;

/// How a repository is opened and spoken to.
#[derive(Clone, Debug)]
pub struct GitSettings {
    /// Create a local repository (bare) where the folder is missing or empty.
    pub create: bool,
    /// The folder for mirrors of repositories behind a URL; `None`: a temporary one.
    pub cache: Option<PathBuf>,
    /// Who we are to the server.
    pub credentials: Option<Credentials>,
    /// The `git` program whose credential helpers are asked; `None`: they are not.
    pub credential_helper: Option<PathBuf>,
    /// How servers are reached over SSH.
    pub ssh: SshSettings,
    /// Send credentials over plain HTTP to other machines too.
    pub plain_http_credentials: bool,
    /// A file of PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy's URL. That of the environment is never used.
    pub proxy: Option<Secret>,
    /// How long a connection may take to be made.
    pub connect_deadline: Duration,
    /// How long a server may send nothing in the middle of an answer.
    pub silence: Duration,
    /// How long one request may take in all.
    pub call_deadline: Duration,
    /// The largest pack that is taken from a server, in bytes.
    pub max_pack: u64,
    /// The size on disk above which an unused mirror is made anew, in bytes.
    pub max_mirror: u64,
    /// The committer's name and address, where it is not the author.
    pub committer: Option<(String, String)>,
    /// Signs the commits.
    pub signer: Option<Arc<Signer>>,
    /// Go on although the branch was rewritten or deleted since the last run.
    pub accept_rewritten: bool,
}

impl Default for GitSettings {
    fn default() -> Self {
        Self {
            create: false,
            cache: None,
            credentials: None,
            credential_helper: None,
            ssh: SshSettings::default(),
            plain_http_credentials: false,
            ca_file: None,
            proxy: None,
            connect_deadline: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            call_deadline: Duration::from_secs(300),
            max_pack: 2 << 30,
            max_mirror: 1 << 30,
            committer: None,
            signer: None,
            accept_rewritten: false,
        }
    }
}

impl GitSettings {
    /// Returns these settings with what the fleet's `git:` adds. What was set already stands.
    pub fn and(&self, of_fleet: &RepositorySettings) -> Self {
        let mut all = self.clone();
        if of_fleet.credential_helper && all.credential_helper.is_none() {
            all.credential_helper = Some(PathBuf::from("git"));
        }
        if !all.ssh.names_known_hosts() && !of_fleet.known_hosts.is_empty() {
            all.ssh.known_hosts_text = Some(of_fleet.known_hosts.join("\n"));
        }
        all
    }
}
