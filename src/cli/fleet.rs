//! What is rendered and how repositories are reached: flags that most commands share.

use clap::Args;
use std::path::PathBuf;

/// What to render.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fleet")]
pub struct FleetArgs {
    /// The fleet: the folder that holds clusters/, or a repository as URL[//FOLDER][?ref=REVISION]
    #[arg(long, value_name = "DIR|URL", default_value = ".", env = "HYDRANT_FLEET")]
    pub fleet: String,
    /// Only these environments
    #[arg(long, value_name = "ENV", value_delimiter = ',', env = "HYDRANT_ENV")]
    pub env: Vec<String>,
    /// Only these clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "HYDRANT_CLUSTER")]
    pub cluster: Vec<String>,
    /// Only the units of these organizations and of their tenants
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "HYDRANT_ORGANIZATION")]
    pub organization: Vec<String>,
    /// The folder of all output inside the repository, instead of `path` in hydrant.yaml
    #[arg(long, value_name = "PATH", env = "HYDRANT_PATH", value_parser = inner_folder)]
    pub path: Option<String>,
    /// Check cluster.yaml by the schema of the clusters repository alone
    #[arg(long, env = "HYDRANT_STRICT_COMPAT", value_parser = clap::builder::FalseyValueParser::new())]
    pub strict_compat: bool,
    /// How repositories are reached
    #[command(flatten)]
    pub git: GitArgs,
}

/// How repositories are reached, that of the fleet too.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Git")]
pub struct GitArgs {
    /// A file of certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE", env = "HYDRANT_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// The private key for SSH remotes; without one the agent of SSH_AUTH_SOCK is asked
    #[arg(long, value_name = "FILE", env = "HYDRANT_GIT_SSH_KEY_FILE")]
    pub ssh_key: Option<PathBuf>,
    /// The host keys to trust, instead of ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts
    #[arg(long, value_name = "FILE", env = "HYDRANT_GIT_KNOWN_HOSTS_FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Ask Git's credential helpers where no credentials are set; nobody is asked to type
    #[arg(long, env = "HYDRANT_CREDENTIAL_HELPER", value_parser = clap::builder::FalseyValueParser::new())]
    pub credential_helper: bool,
    /// The folder of caches; safe to delete
    #[arg(long, value_name = "DIR", env = "HYDRANT_CACHE")]
    pub cache: Option<PathBuf>,
}

/// Reads a folder inside the repository.
fn inner_folder(text: &str) -> Result<String, String> {
    let sound = crate::definition::settings::is_inner_folder(text);
    sound
        .then(|| text.to_owned())
        .ok_or_else(|| "write a relative folder without `.`, `..` or empty parts".to_owned())
}
