//! The address of a fleet in a repository, as kustomize writes remote folders:
//! `URL[//FOLDER][?ref=REVISION]`.

use crate::edge::git::Remote;
use crate::error::{Error, Result};
use crate::suggest;

/// The parts of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) remote: Remote,
    /// The folder inside the repository; `""`: its root.
    pub(super) folder: String,
    /// A branch, a tag or a commit; none: what the server's HEAD names.
    pub(super) revision: Option<String>,
}

/// Returns true if a text names a repository and not a folder of this machine.
pub(super) fn is_address(text: &str) -> bool {
    text.contains("://") || (is_short_ssh(text) && !std::path::Path::new(text).exists())
}

/// Returns true for `user@host:path`.
fn is_short_ssh(text: &str) -> bool {
    text.split_once(':').is_some_and(|(before, _)| before.contains('@') && !before.contains('/'))
}

impl Address {
    /// Takes an address apart.
    ///
    /// # Errors
    /// A part that cannot be understood. No message shows more than the host.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (place, query) = match text.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (text, None),
        };
        let revision = query.map(revision).transpose()?;
        let after_scheme = place.find("://").map_or(0, |at| at + 3);
        let (repository, folder) = match place.get(after_scheme..).and_then(|rest| rest.find("//")) {
            Some(at) => (
                place.get(..after_scheme + at).unwrap_or(place),
                place.get(after_scheme + at + 2..).unwrap_or_default(),
            ),
            None => (place, ""),
        };
        let folder = folder.trim_end_matches('/');
        if !folder.is_empty() && folder.split('/').any(|part| matches!(part, "" | "." | ".." | ".git")) {
            return Err(Error::input(format!("`{folder}` is no folder of a repository"))
                .hint("write it as URL//FOLDER?ref=REVISION, the folder without `.` and `..`"));
        }
        Ok(Self { remote: Remote::parse(repository)?, folder: folder.to_owned(), revision })
    }
}

fn revision(query: &str) -> Result<String> {
    let mut found = None;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != "ref" {
            let mut error = Error::input("the fleet's address has an unknown part behind `?`");
            error.hints.extend(suggest::did_you_mean(name, ["ref"]));
            return Err(error.hint("known is ?ref=REVISION: a branch, a tag or a commit"));
        }
        if value.is_empty() || found.replace(value.to_owned()).is_some() {
            return Err(Error::input("the fleet's address needs one revision behind `?ref=`"));
        }
    }
    found.ok_or_else(|| Error::input("the fleet's address has nothing behind `?`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_as_kustomize_writes_it() {
        for (text, remote, folder, revision) in [
            ("https://git.example/fleet.git", "https://git.example/fleet.git", "", None),
            (
                "https://git.example/a/fleet//dry/eu?ref=v1",
                "https://git.example/a/fleet",
                "dry/eu",
                Some("v1"),
            ),
            (
                "https://git.example/fleet.git?ref=feature/x",
                "https://git.example/fleet.git",
                "",
                Some("feature/x"),
            ),
            ("file:///srv/fleet.git//dry/", "/srv/fleet.git", "dry", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.remote.to_string(), remote, "{text}");
            assert_eq!((address.folder.as_str(), address.revision.as_deref()), (folder, revision), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_a_secret() {
        for text in [
            "https://git.example/x?token=hunter2",
            "https://me:hunter2@git.example/x",
            "https://git.example/x?ref=",
            "https://git.example/x?",
            "https://git.example/x?ref=a&ref=b",
            "https://git.example/x//../y",
            "https://git.example/x//a/.git",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(!format!("{error} {:?}", error.hints).contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn folders_and_addresses_are_told_apart() {
        assert!(is_address("https://git.example/x") && is_address("git@git.example:x.git"));
        assert!(
            !is_address("./fleet")
                && !is_address("/srv/fleet")
                && !is_address("a:b")
                && !is_address("./a@b:c")
        );
    }
}
