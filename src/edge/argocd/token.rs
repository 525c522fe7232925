//! The bearer token: where it comes from, what it says about itself, never what it is.

use super::settings::Env;
use crate::redact::Secret;
use base64::Engine as _;
use std::path::{Path, PathBuf};

/// Where a token is read from, so that it can be read again after a rotation.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// A file that holds it; a rotation replaces the file.
    File(PathBuf),
    /// Given in the environment; a rotation needs a restart.
    Given(Secret),
}

impl TokenSource {
    /// Chooses: the server's own file or variable, else the environment's files and
    /// variables, files first because they can be rotated.
    pub fn choose(file: Option<&Path>, variable: Option<&str>, env: Env) -> Option<Self> {
        let given = |name: &str| env(name).filter(|v| !v.trim().is_empty());
        if let Some(file) = file {
            return Some(TokenSource::File(file.to_owned()));
        }
        if let Some(name) = variable {
            return given(name).map(|t| TokenSource::Given(Secret::new(t.trim())));
        }
        for name in ["ARGOCD_API_TOKEN_FILE", "ARGOCD_AUTH_TOKEN_FILE"] {
            if let Some(file) = given(name) {
                return Some(TokenSource::File(file.into()));
            }
        }
        ["ARGOCD_API_TOKEN", "ARGOCD_AUTH_TOKEN"]
            .into_iter()
            .find_map(given)
            .map(|t| TokenSource::Given(Secret::new(t.trim())))
    }

    /// Reads the token.
    ///
    /// # Errors
    /// Says why the file cannot be read, or that it holds no token; never what it holds.
    pub fn read(&self) -> Result<Secret, String> {
        let token = match self {
            TokenSource::Given(token) => token.clone(),
            TokenSource::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| format!("the token file {} cannot be read: {e}", path.display()))?;
                Secret::new(text.trim())
            }
        };
        // A header value with a line break or a blank would be refused far from here.
        if token.expose().is_empty() || !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("{} holds no token", self.place()));
        }
        Ok(token)
    }

    /// Returns where it is, for messages.
    pub fn place(&self) -> String {
        match self {
            TokenSource::File(path) => format!("the token file {}", path.display()),
            TokenSource::Given(_) => "the environment".into(),
        }
    }
}

/// What a token says about itself; nothing of it is verified here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `jti`, the id under which it can be revoked.
    pub id: Option<String>,
    /// `sub`, the account or project role.
    pub subject: Option<String>,
    /// `exp`, seconds since 1970.
    pub expires: Option<i64>,
}

impl Claims {
    /// Reads the middle part of a JWT; `None` if it is none.
    pub fn of(token: &Secret) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (_, middle, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let bytes =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let text = |key: &str| value.get(key).and_then(|v| v.as_str()).map(str::to_owned);
        Some(Self {
            id: text("jti"),
            subject: text("sub"),
            expires: value.get("exp").and_then(|v| v.as_f64()).map(|f| f as i64),
        })
    }

    /// Returns the account's name (`hydrant` of `hydrant:apiKey`) as policies name it.
    pub fn account(&self) -> Option<&str> {
        let subject = self.subject.as_deref()?;
        Some(subject.strip_suffix(":apiKey").or_else(|| subject.strip_suffix(":login")).unwrap_or(subject))
    }

    /// Returns the whole days until it expires, negative when it has.
    pub fn days_left(&self, now: jiff::Timestamp) -> Option<i64> {
        Some(self.expires?.saturating_sub(now.as_second()).div_euclid(86_400))
    }
}
