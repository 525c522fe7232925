//! Judges the server's host key before anything else is said.

use super::address::SshAddress;
use super::key::name_of;
use super::known_hosts::{KnownHosts, Verdict};
use crate::edge::git::smart::failure::{Denial, Failure, Mender};
use russh::client::Handler;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, PublicKey};
use std::sync::Arc;

/// The types of host key that are understood, most wanted first. RSA is not: the one crate
/// for it has an open advisory (RUSTSEC-2023-0071).
const UNDERSTOOD: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Why a session ended: an error of the protocol, or our refusal.
#[derive(Debug)]
pub(super) enum Trouble {
    Ssh(russh::Error),
    Refused(Box<Failure>),
}

impl From<russh::Error> for Trouble {
    fn from(error: russh::Error) -> Self {
        Trouble::Ssh(error)
    }
}

/// Knows the host that is called, and whom to trust.
pub(super) struct Guard {
    pub(super) known: Arc<KnownHosts>,
    pub(super) address: SshAddress,
}

impl Handler for Guard {
    type Error = Trouble;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Trouble> {
        // No certificate is asked for, so none comes; its key alone would be judged.
        match self.judge(&presented.public_key()) {
            Ok(()) => Ok(true),
            Err(failure) => Err(Trouble::Refused(Box::new(failure))),
        }
    }
}

impl Guard {
    /// Returns the host key types to ask for: those that are known of the host come first, so
    /// that a server with several keys shows one that can be compared.
    pub(super) fn key_types(&self) -> Vec<Algorithm> {
        let kinds = self.known.kinds(&self.address.known_as());
        let known = |algorithm: &Algorithm| kinds.contains(&algorithm.as_str());
        let mut types: Vec<Algorithm> = UNDERSTOOD.to_vec();
        types.sort_by_key(|algorithm| !known(algorithm));
        types
    }

    fn judge(&self, key: &PublicKey) -> Result<(), Failure> {
        let host = self.address.known_as();
        let name = name_of(key);
        let bytes = key.to_bytes().map_err(|e| Failure::Protocol(e.to_string()))?;
        let line = format!("{host} {}", key.to_openssh().unwrap_or_default().trim());
        let refused =
            |why: String, hints: Vec<String>| Err(Failure::Denied(Denial { by: Mender::Person, why, hints }));
        match self.known.judge(&host, &bytes) {
            Verdict::Trusted => Ok(()),
            Verdict::Revoked(at) => refused(
                format!("the server shows the host key {name}, which {at} lists as revoked"),
                vec!["do not trust it; ask the server's operator for its new key".into()],
            ),
            Verdict::Changed(lines) if !self.is_comparable(&host) => refused(
                format!(
                    "the server shows the host key {name}, and {} lists {host} with keys of type {} only, \
                     which are not understood",
                    lines.join(", "),
                    self.known.kinds(&host).join(", ")
                ),
                vec![
                    format!(
                        "compare {name} with what the server's operator publishes; `{}` lists its keys that are understood",
                        self.address.keyscan()
                    ),
                    format!("if it is the same, add this line beside the old one: {line}"),
                ],
            ),
            Verdict::Changed(lines) => refused(
                format!(
                    "the host key of {host} is another one: the server shows {name}, and {} lists others",
                    lines.join(", ")
                ),
                vec![
                    format!(
                        "ask the server's operator whether {name} is its key; if not, somebody stands in between"
                    ),
                    format!("if it is, replace the old line by: {line}"),
                ],
            ),
            Verdict::Unknown { authorities } => {
                let mut why = format!(
                    "the host key {name} of {host} is not known; looked in {}",
                    self.known.files.join(", ")
                );
                if !authorities.is_empty() {
                    why.push_str(&format!(
                        " ({} names a certificate authority for it, but host certificates are not understood)",
                        authorities.join(", ")
                    ));
                }
                refused(
                    why,
                    vec![
                        format!("compare {name} with what the server's operator publishes"),
                        format!(
                            "if it is the same, add this line to a known_hosts file (--known-hosts FILE): {line}"
                        ),
                    ],
                )
            }
        }
    }

    /// Returns true if the host is listed with a key of a type that is understood.
    fn is_comparable(&self, host: &str) -> bool {
        self.known.kinds(host).iter().any(|kind| UNDERSTOOD.iter().any(|a| a.as_str() == *kind))
    }
}
