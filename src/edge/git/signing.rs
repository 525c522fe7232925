//! Signatures of commits with an SSH key, as Git makes them with `gpg.format=ssh`: SHA-512 in
//! the namespace `git`, in the commit's `gpgsig` header.

use super::ssh::KeySource;
use super::ssh::agent::Agent;
use super::ssh::key::{Key, Names, load, name_of};
use crate::edge::net::block_on;
use crate::error::{Error, Result};
use crate::redact::Secret;
use russh::keys::ssh_key::{HashAlg, LineEnding, PublicKey, SshSig};
use std::fmt;
use std::path::{Path, PathBuf};

/// What such signatures are for; keeps them apart from those of logins and files.
const NAMESPACE: &str = "git";

/// The largest public key file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The variables of the key, for messages.
const NAMES: Names = Names { key: "HYDRANT_SIGNING_KEY", passphrase: "HYDRANT_SIGNING_PASSPHRASE" };

/// Signs commits.
pub struct Signer {
    how: How,
}

enum How {
    Key(Key),
    /// The agent at this socket has the private half.
    Agent(PathBuf, Box<PublicKey>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", name_of(self.public_key()))
    }
}

impl Signer {
    /// Takes a key as Git's `user.signingKey` names it: a file with a private key, a file with a
    /// public key, or a public key itself (`key::ssh-ed25519 …`); for these two the agent signs.
    ///
    /// # Errors
    /// A key that cannot be read or used; a public key and no agent.
    pub fn new(key: &str, passphrase: Option<&Secret>, agent: Option<&Path>) -> Result<Self> {
        let literal = key.strip_prefix("key::").or_else(|| key.starts_with("ssh-").then_some(key));
        let public = match literal {
            Some(text) => Some((text.to_owned(), "the signing key".to_owned())),
            None => public_half(&at_home(key))?,
        };
        let Some((text, from)) = public else {
            let key = load(&KeySource::File(at_home(key)), passphrase, &NAMES)?;
            return Ok(Self { how: How::Key(key) });
        };
        let public = PublicKey::from_openssh(text.trim()).map_err(|e| {
            Error::input(format!("{from} is no SSH public key"))
                .hint("it looks like this: ssh-ed25519 AAAA… (with `key::` before it, or a file's path)")
                .because(e)
        })?;
        let Some(socket) = agent else {
            return Err(Error::input(format!(
                "commits cannot be signed: {from} is a public key, and there is no SSH agent that has the private one"
            ))
            .hint("start an agent (SSH_AUTH_SOCK), or name the file of the private key"));
        };
        Ok(Self { how: How::Agent(socket.to_owned(), Box::new(public)) })
    }

    /// Returns the public half of the key.
    pub fn public_key(&self) -> &PublicKey {
        match &self.how {
            How::Key(key) => key.key.public_key(),
            How::Agent(_, public) => public,
        }
    }

    /// Makes a signature and throws it away, so that a missing agent is found before anything
    /// is written.
    pub(super) fn check(&self) -> Result<()> {
        self.sign(b"hydrant").map(drop)
    }

    /// Returns the armored signature of a commit's text.
    pub(super) fn sign(&self, text: &[u8]) -> Result<String> {
        let failed = |why: String| {
            Error::input(format!(
                "nothing was delivered: the commit cannot be signed with {}: {why}",
                name_of(self.public_key())
            ))
            .hint("look with `ssh-add -l` whether the agent has the key")
        };
        let signature = match &self.how {
            How::Key(key) => {
                key.key.sign(NAMESPACE, HashAlg::Sha512, text).map_err(|e| failed(e.to_string()))?
            }
            How::Agent(socket, public) => by_agent(socket, public, text).map_err(failed)?,
        };
        signature.to_pem(LineEnding::LF).map_err(|e| failed(e.to_string()))
    }
}

/// Asks the agent on a thread of its own, so that callers may be anywhere.
fn by_agent(socket: &Path, public: &PublicKey, text: &[u8]) -> std::result::Result<SshSig, String> {
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, text).map_err(|e| e.to_string())?;
    let asking = || {
        let signing = async {
            let mut agent = Agent::connect(socket).await?;
            agent.sign(public, &data).await
        };
        block_on(signing).map_err(|e| e.to_string())?
    };
    let signature = std::thread::scope(|scope| scope.spawn(asking).join())
        .unwrap_or_else(|_| Err("the SSH agent could not be asked".to_owned()))?;
    SshSig::new(public.key_data().clone(), NAMESPACE, HashAlg::Sha512, signature).map_err(|e| e.to_string())
}

/// Returns the text of a file that holds a public key, and its name; `None`: it holds a private one.
fn public_half(path: &Path) -> Result<Option<(String, String)>> {
    let shown = path.display();
    let failed = || format!("cannot read the signing key {shown}");
    let metadata = std::fs::metadata(path).map_err(|e| Error::input(failed()).because(e))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(Error::input(format!("the signing key {shown} is no small file")));
    }
    let text = Secret::new(std::fs::read_to_string(path).map_err(|e| Error::input(failed()).because(e))?);
    let private = text.expose().contains("PRIVATE KEY");
    Ok((!private).then(|| (text.expose().to_owned(), shown.to_string())))
}

/// Resolves `~/`, as Git does.
fn at_home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}
