//! Raw settings (flags, environment, hydrant.yaml) resolved once into what a run is told.

use crate::edge::fleet::FleetPlace;
use crate::edge::forge::Tokens;
use crate::edge::git::GitSettings;
use crate::error::{Error, Result};
use crate::model::settings::RepositorySettings;
use crate::redact::Secret;
use crate::stage::diff::{AllowDelete, Drift};
use crate::stage::units::Selection;
use std::path::PathBuf;

/// What every command that renders is told.
#[derive(Clone, Debug, Default)]
pub struct RenderRequest {
    /// Where the fleet lies.
    pub fleet: FleetPlace,
    /// What the run is about.
    pub pick: Selection,
    /// Check cluster.yaml by the original schema alone.
    pub strict_compat: bool,
    /// A folder inside the repository, instead of the one in hydrant.yaml.
    pub path: Option<String>,
}

/// What a delivery is told besides.
#[derive(Clone, Debug, Default)]
pub struct DeliveryRequest {
    /// What to render.
    pub render: RenderRequest,
    /// Push here instead of to each cluster's own repository.
    pub repo: Option<String>,
    /// Push to this branch instead of each cluster's own.
    pub branch: Option<String>,
    /// Create the branch where it is missing.
    pub create_branch: bool,
    /// Deletions a person allowed, besides those of hydrant.yaml.
    pub allow_delete: Vec<String>,
    /// Folders without our mark that are given to us.
    pub adopt: Vec<String>,
    /// What becomes of drift.
    pub drift: Drift,
    /// Rollbacks that are ended.
    pub release: Vec<String>,
    /// Deliver although what was delivered came from a newer source commit.
    pub allow_older: bool,
    /// The author, instead of the one in hydrant.yaml.
    pub author: Option<String>,
    /// The committer, instead of the one in hydrant.yaml.
    pub committer: Option<String>,
    /// The time of commits, in seconds since 1970.
    pub seconds: i64,
    /// Its offset from UTC, in minutes.
    pub offset: i32,
    /// The key that signs commits, instead of the one in hydrant.yaml.
    pub signing_key: Option<String>,
    /// What that key is encrypted with.
    pub signing_passphrase: Option<Secret>,
    /// How repositories are reached, as far as flags and the environment say; see
    /// [`DeliveryRequest::git_with`].
    pub git: GitSettings,
    /// Who we are to the servers that hold merge requests.
    pub forge: Tokens,
    /// The Argo CD server that the environment names, if any.
    pub argocd_server: Option<String>,
    /// The file of the audit trail.
    pub audit: Option<PathBuf>,
    /// The folder of caches.
    pub cache: Option<PathBuf>,
}

impl DeliveryRequest {
    /// Returns how the fleet's destinations are reached: as flags and the environment say, with
    /// what the `git:` of hydrant.yaml adds. Every command goes through here.
    pub fn git_with(&self, of_fleet: &RepositorySettings) -> GitSettings {
        self.git.and(of_fleet)
    }

    /// Returns the deletions that are allowed, with those of hydrant.yaml.
    pub fn allowed(&self, listed: &[String]) -> AllowDelete {
        AllowDelete::new(self.allow_delete.iter().chain(listed).cloned())
    }
}

/// When a commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTime {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Minutes from UTC.
    pub offset: i32,
}

/// Reads a time: seconds since 1970, or as RFC 3339 writes it.
///
/// # Errors
/// Anything else, in words for the command line.
pub fn commit_time(text: &str) -> std::result::Result<CommitTime, String> {
    if let Ok(seconds) = text.trim_start_matches('@').parse() {
        return Ok(CommitTime { seconds, offset: 0 });
    }
    let wrong = || format!("`{text}` is no time; write 1763700000 or 2025-11-21T05:40:00+01:00");
    let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text).map_err(|_| wrong())?;
    let offset = pieces.to_numeric_offset().ok_or_else(wrong)?;
    let at = jiff::civil::DateTime::from_parts(pieces.date(), pieces.time().ok_or_else(wrong)?);
    let seconds = offset.to_timestamp(at).map_err(|_| wrong())?.as_second();
    Ok(CommitTime { seconds, offset: offset.seconds() / 60 })
}

/// Reads `Name <address>`.
///
/// # Errors
/// Anything else.
pub fn author(text: &str) -> Result<(String, String)> {
    let wrong = || {
        Error::input(format!("`{text}` is no name with an address"))
            .hint("write it as Git does: 'Name <address@example.org>'")
    };
    let (name, rest) = text.split_once('<').ok_or_else(wrong)?;
    let email = rest.strip_suffix('>').ok_or_else(wrong)?;
    let clean = |s: &str| !s.trim().is_empty() && !s.contains(['<', '>', '\n', '\0']);
    if !clean(name) || !clean(email) {
        return Err(wrong());
    }
    Ok((name.trim().to_owned(), email.trim().to_owned()))
}
