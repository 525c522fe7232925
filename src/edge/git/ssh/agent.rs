//! The SSH agent: which keys it has, and signatures made with them.

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::ssh_key::{PublicKey, Signature};
use std::path::Path;
use std::time::Duration;

/// How long the agent may take to answer. It may ask its user, who needs a moment.
pub(in super::super) const PATIENCE: Duration = Duration::from_secs(30);

/// How many keys of an agent are tried: a server closes the connection after six.
const MAX_KEYS: usize = 5;

/// An open connection to an agent.
pub(in super::super) struct Agent {
    pub(in super::super) client: AgentClient<Box<dyn AgentStream + Send + Unpin>>,
}

impl Agent {
    /// Connects to the agent at a socket.
    ///
    /// # Errors
    /// What the agent or the socket says, in words.
    pub(in super::super) async fn connect(socket: &Path) -> Result<Self, String> {
        let gone = |e: &dyn std::fmt::Display| {
            format!("the SSH agent at {} (SSH_AUTH_SOCK) does not answer: {e}", socket.display())
        };
        #[cfg(unix)]
        {
            let connecting = tokio::time::timeout(PATIENCE, AgentClient::connect_uds(socket));
            match connecting.await {
                Ok(Ok(client)) => Ok(Self { client: client.dynamic() }),
                Ok(Err(e)) => Err(gone(&e)),
                Err(_) => Err(gone(&"time is up")),
            }
        }
        #[cfg(not(unix))]
        Err(gone(&"agents are spoken to on Unix only"))
    }

    /// Returns the agent's plain keys, the first few.
    pub(in super::super) async fn keys(&mut self) -> Result<Vec<PublicKey>, String> {
        let asking = tokio::time::timeout(PATIENCE, self.client.request_identities());
        let identities = match asking.await {
            Ok(Ok(identities)) => identities,
            Ok(Err(e)) => return Err(format!("the SSH agent did not list its keys: {e}")),
            Err(_) => return Err("the SSH agent did not list its keys in time".to_owned()),
        };
        let plain = identities.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(plain.collect())
    }

    /// Signs with one of the agent's keys.
    pub(in super::super) async fn sign(&mut self, key: &PublicKey, data: &[u8]) -> Result<Signature, String> {
        let signing = tokio::time::timeout(PATIENCE, self.client.sign_request_signature(key, None, data));
        match signing.await {
            Ok(Ok(signature)) => Ok(signature),
            Ok(Err(e)) => Err(format!("the SSH agent did not sign: {e}")),
            Err(_) => Err("the SSH agent did not sign in time".to_owned()),
        }
    }
}

/// Returns the keys that are offered to a server.
pub(super) fn offered(keys: Vec<PublicKey>) -> Vec<PublicKey> {
    keys.into_iter().take(MAX_KEYS).collect()
}
