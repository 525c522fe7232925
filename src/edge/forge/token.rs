//! Who we are to a forge, from the environment or from mounted files.

use super::Address;
use crate::edge::git::Credentials;
use crate::edge::git::credentials::value;
use crate::error::{Error, Result};
use crate::model::settings::ForgeKind;
use crate::redact::Secret;

/// The tokens that the environment gives.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    own: Option<Secret>,
    github: Option<Secret>,
    gitlab: Option<Secret>,
    gitea: Option<Secret>,
    host: Option<String>,
}

impl Tokens {
    /// Reads `HYDRANT_FORGE_TOKEN`, or else what each kind of forge is usually given:
    /// `GITHUB_TOKEN`, `GITLAB_TOKEN`, `GITEA_TOKEN`. Each name may end in `_FILE` and name a
    /// file then; `HYDRANT_FORGE_HOST` binds them all to the host of one API.
    ///
    /// # Errors
    /// A name that is set in both ways, or a file that cannot be read.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let read = |name: &str| Ok::<_, Error>(value(&variable, name)?.map(|text| Secret::new(text.trim())));
        Ok(Self {
            own: read("HYDRANT_FORGE_TOKEN")?,
            github: read("GITHUB_TOKEN")?,
            gitlab: read("GITLAB_TOKEN")?,
            gitea: read("GITEA_TOKEN")?,
            host: variable("HYDRANT_FORGE_HOST").filter(|host| !host.is_empty()),
        })
    }

    /// Returns the token for a forge.
    pub(super) fn of(&self, address: &Address, over_plain_http: bool) -> Result<Secret> {
        let (usual, name) = match address.kind {
            ForgeKind::Github => (&self.github, "GITHUB_TOKEN"),
            ForgeKind::Gitlab => (&self.gitlab, "GITLAB_TOKEN"),
            ForgeKind::Gitea => (&self.gitea, "GITEA_TOKEN"),
        };
        let shown = address.api.host_str().unwrap_or_default();
        let missing = || {
            Error::external(format!("there is no token for the merge requests on {shown}")).hint(format!(
                "set HYDRANT_FORGE_TOKEN_FILE or {name}_FILE (HYDRANT_FORGE_TOKEN or {name} work too)"
            ))
        };
        let token = self.own.as_ref().or(usual.as_ref()).ok_or_else(missing)?;
        let printable = |b: u8| b.is_ascii_graphic();
        if token.expose().is_empty() || !token.expose().bytes().all(printable) {
            return Err(Error::input(format!(
                "the token for {shown} is none: it holds blanks or control characters"
            )));
        }
        // The rules for who may see a password hold for a token.
        let bound = Credentials { username: String::new(), password: token.clone(), host: self.host.clone() };
        match bound.for_server(&address.api, over_plain_http)? {
            Some(_) => Ok(token.clone()),
            None => Err(Error::input(format!(
                "the forge's token is for {}, and the merge requests are on {shown}",
                self.host.as_deref().unwrap_or_default()
            ))
            .hint("set HYDRANT_FORGE_HOST to the host of the API")),
        }
    }
}
