//! Private keys: read from a file or a variable, never shown.

use super::settings::KeySource;
use crate::error::{Error, Result};
use crate::redact::Secret;
use russh::keys::ssh_key::{HashAlg, PrivateKey, PublicKey};
use std::path::Path;
use std::sync::Arc;

/// The largest key file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// A private key and where it is from, for messages.
#[derive(Clone)]
pub(in super::super) struct Key {
    pub(in super::super) key: Arc<PrivateKey>,
    pub(in super::super) from: String,
}

/// Returns how a key is named to people: its type and fingerprint.
pub(in super::super) fn name_of(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// The variables that a key and its passphrase come from, for messages.
pub(in super::super) struct Names {
    pub(in super::super) key: &'static str,
    pub(in super::super) passphrase: &'static str,
}

/// Reads a private key.
///
/// # Errors
/// A file that cannot be read, that others may read, or that holds no usable key; a passphrase
/// that is missing or wrong.
pub(in super::super) fn load(source: &KeySource, passphrase: Option<&Secret>, names: &Names) -> Result<Key> {
    let (text, from) = match source {
        KeySource::Text(text) => (text.clone(), names.key.to_owned()),
        KeySource::File(path) => (read(path)?, path.display().to_string()),
    };
    // A key that went through an environment variable may have lost its last line end, or
    // carry the line ends of another system.
    let plain = text.expose().trim().replace("\r\n", "\n") + "\n";
    let plain = Secret::new(plain);
    let failed = |what: &str| Error::input(format!("the SSH key in {from} {what}"));
    let key = match russh::keys::decode_secret_key(plain.expose(), None) {
        Ok(key) if key.is_encrypted() => None,
        Ok(key) => Some(key),
        Err(russh::keys::Error::KeyIsEncrypted) => None,
        Err(_) if plain.expose().contains("ENCRYPTED") => None,
        Err(e) => {
            return Err(failed("cannot be used")
                .hint("it must be a private Ed25519 or ECDSA key, as `ssh-keygen -t ed25519` writes it")
                .because(e));
        }
    };
    let key = match (key, passphrase) {
        (Some(key), _) => key,
        (None, None) => {
            return Err(failed("is encrypted, and no passphrase is given")
                .hint(format!("set {0}, or name a file that holds it ({0}_FILE)", names.passphrase)));
        }
        (None, Some(passphrase)) => russh::keys::decode_secret_key(plain.expose(), Some(passphrase.expose()))
            .map_err(|_| {
                failed("cannot be decrypted with the passphrase that is given")
                    .hint(format!("look at {0} or {0}_FILE", names.passphrase))
            })?,
    };
    Ok(Key { key: Arc::new(key), from })
}

fn read(path: &Path) -> Result<Secret> {
    let shown = path.display();
    let failed = || format!("cannot read the SSH key {shown}");
    let metadata = std::fs::metadata(path).map_err(|e| Error::input(failed()).because(e))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(Error::input(format!("the SSH key {shown} is no small file")));
    }
    private(path, &metadata)?;
    let text = std::fs::read_to_string(path).map_err(|e| Error::input(failed()).because(e))?;
    Ok(Secret::new(text))
}

/// Refuses a key file of ours that others may read, as ssh does.
///
/// A file of somebody else's (a mounted Secret belongs to root) is theirs to guard.
#[cfg(unix)]
fn private(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    // Without unsafe code this is where a process finds its user; elsewhere the file counts as ours.
    let me = std::fs::metadata("/proc/self").ok().map(|me| me.uid());
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 && me.is_none_or(|me| me == metadata.uid()) {
        return Err(Error::input(format!(
            "the SSH key {} may be read by others (mode {mode:03o}), so it is not used",
            path.display()
        ))
        .hint(format!("chmod 600 '{}'", path.display())));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &Path, _: &std::fs::Metadata) -> Result<()> {
    Ok(())
}
