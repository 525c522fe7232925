//! Who commits and who signs: flags stand above `commit:` in hydrant.yaml.

use super::Run;
use crate::config::{DeliveryRequest, author};
use crate::definition::Definitions;
use crate::edge::git::{GitSettings, Signature, Signer};
use crate::error::Result;
use std::sync::Arc;

impl Run<'_> {
    /// Returns the author and the time of commits.
    pub(super) fn signature(&self) -> Result<Signature> {
        signature(self.definitions, self.request)
    }

    /// Returns how the repository is reached and what its commits are like.
    pub(super) fn git_settings(&self) -> Result<GitSettings> {
        let request = self.request;
        let commit = self.definitions.settings.commit.clone().unwrap_or_default();
        let committer = match (&request.committer, commit.committer) {
            (Some(text), _) => Some(author(text)?),
            (None, Some(person)) => Some((person.name, person.email)),
            (None, None) => None,
        };
        let signer = match request.signing_key.as_ref().or(commit.signing_key.as_ref()) {
            Some(key) => {
                let agent = request.git.ssh.agent.as_deref();
                Some(Arc::new(Signer::new(key, request.signing_passphrase.as_ref(), agent)?))
            }
            None => None,
        };
        Ok(GitSettings { committer, signer, ..request.git_with(&self.definitions.settings.git) })
    }
}

/// Returns the author and the time of commits.
///
/// # Errors
/// An author that is none.
pub fn signature(definitions: &Definitions, request: &DeliveryRequest) -> Result<Signature> {
    let commit = definitions.settings.commit.clone().unwrap_or_default();
    let (name, email) = match &request.author {
        Some(text) => author(text)?,
        None => (
            commit.name.unwrap_or_else(|| "Hydrant".into()),
            commit.email.unwrap_or_else(|| "hydrant@localhost".into()),
        ),
    };
    Ok(Signature { name, email, seconds: request.seconds, offset: request.offset })
}
