//! Where a repository's merge requests are: the forge's kind, its API, the project's path.

use crate::error::Violation;
use crate::model::settings::ForgeKind;
use url::Url;

/// One repository on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What kind of forge.
    pub kind: ForgeKind,
    /// The base of its API, without a slash at the end.
    pub api: Url,
    /// The repository's path there, as `owner/name`.
    pub project: String,
}

/// Hosts whose kind is known.
const KNOWN: [(&str, ForgeKind); 4] = [
    ("github.com", ForgeKind::Github),
    ("www.github.com", ForgeKind::Github),
    ("gitlab.com", ForgeKind::Gitlab),
    ("codeberg.org", ForgeKind::Gitea),
];

impl Address {
    /// Finds the forge of a repository, from its address and what the settings say.
    ///
    /// # Errors
    /// What is missing or wrong, with the setting that mends it as its key.
    pub fn of(repo: &str, kind: Option<ForgeKind>, api: Option<&str>) -> Result<Self, Violation> {
        let (base, path) = place(repo).ok_or_else(|| {
            Violation::error(format!("a merge request needs a forge, and `{}` is on none", shown(repo)))
                .key("deliver")
                .hint("give the address of a repository on GitHub, GitLab or Gitea, or deliver: push")
        })?;
        let host = base.host_str().unwrap_or_default().to_ascii_lowercase();
        let known = KNOWN.iter().find(|(name, _)| *name == host).map(|(_, kind)| *kind);
        let kind = kind.or(known).ok_or_else(|| {
            Violation::error(format!("what kind of forge {host} is cannot be told by its name"))
                .key("forge")
                .hint("set it to github, gitlab or gitea (Forgejo too)")
        })?;
        let api = match api {
            Some(text) => given(text)?,
            None => usual(&base, &host, kind)?,
        };
        let project = inside(&api, &base, path);
        let parts = project.split('/').count();
        let fits = project.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && (if kind == ForgeKind::Gitlab { parts >= 2 } else { parts == 2 });
        if !fits {
            let form = if kind == ForgeKind::Gitlab { "group/name" } else { "owner/name" };
            return Err(Violation::error(format!("`{project}` on {host} is no {form}"))
                .key("forgeApi")
                .hint("if the forge lies below a path, set forgeApi to the whole URL of its API"));
        }
        Ok(Self { kind, api, project })
    }
}

/// Returns the server of a repository and its path there, without `.git`.
fn place(repo: &str) -> Option<(Url, String)> {
    let (base, path) = if repo.contains("://") {
        let url = Url::parse(repo).ok()?;
        let path = url.path().to_owned();
        let base = match url.scheme() {
            "https" | "http" => url,
            // A port of SSH says nothing about the API's.
            "ssh" | "git+ssh" | "ssh+git" => Url::parse(&format!("https://{}/", url.host_str()?)).ok()?,
            _ => return None,
        };
        (base, path)
    } else {
        // `git@host:owner/name.git`, the short form of an SSH address.
        let (before, path) = repo.split_once(':')?;
        if before.contains('/') || before.len() < 2 {
            return None;
        }
        let host = before.rsplit_once('@').map_or(before, |(_, host)| host);
        (Url::parse(&format!("https://{host}/")).ok()?, path.to_owned())
    };
    base.host_str()?;
    let path = path.trim_matches('/');
    Some((base, path.strip_suffix(".git").unwrap_or(path).to_owned()))
}

/// Returns the API where each kind of forge has it.
fn usual(base: &Url, host: &str, kind: ForgeKind) -> Result<Url, Violation> {
    let path = match kind {
        // The token follows the API: `ourgithub.com` is a server of its own.
        ForgeKind::Github if host == "github.com" || host.ends_with(".github.com") => {
            return given("https://api.github.com");
        }
        ForgeKind::Github => "api/v3",
        ForgeKind::Gitlab => "api/v4",
        ForgeKind::Gitea => "api/v1",
    };
    let port = base.port().map(|p| format!(":{p}")).unwrap_or_default();
    given(&format!("{}://{}{port}/{path}", base.scheme(), base.host_str().unwrap_or_default()))
}

fn given(text: &str) -> Result<Url, Violation> {
    let wrong = |why: &str| {
        Violation::error(format!("`{}` {why}", shown(text)))
            .key("forgeApi")
            .hint("write it as https://git.example.com/api/v4")
    };
    let mut url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(wrong("is no address of a web server"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user or password; the token is set apart: HYDRANT_FORGE_TOKEN_FILE"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a `?` or `#` part"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Returns the project's path: where the forge lies below a path of its host, without that.
fn inside(api: &Url, base: &Url, path: String) -> String {
    let prefix = api.path().rsplit_once("/api/").map(|(before, _)| before.trim_matches('/'));
    match prefix {
        Some(prefix) if !prefix.is_empty() && api.host_str() == base.host_str() => {
            path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&path).to_owned()
        }
        _ => path,
    }
}

/// Returns a text without what might be a password in it.
fn shown(text: &str) -> String {
    crate::redact::redact(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(repo: &str, kind: Option<ForgeKind>, api: Option<&str>) -> (String, String) {
        let found = Address::of(repo, kind, api).unwrap();
        (found.api.to_string(), found.project)
    }

    #[test]
    fn the_forge_and_its_api_are_told_by_the_host_or_by_the_settings() {
        use ForgeKind::{Gitea, Github, Gitlab};
        let own = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            of("https://github.com/acme/gitops.git", None, None),
            own("https://api.github.com/", "acme/gitops")
        );
        assert_eq!(
            of("git@gitlab.com:a/b/gitops.git", None, None),
            own("https://gitlab.com/api/v4", "a/b/gitops")
        );
        assert_eq!(
            of("ssh://git@codeberg.org:22/a/b", None, None),
            own("https://codeberg.org/api/v1", "a/b")
        );
        assert_eq!(
            of("ssh://git@ssh.github.com:443/a/b.git", Some(Github), None),
            own("https://api.github.com/", "a/b")
        );
        assert_eq!(
            of("https://ourgithub.com/a/b.git", Some(Github), None),
            own("https://ourgithub.com/api/v3", "a/b")
        );
        assert_eq!(
            of("https://git.example.com:8443/a/b.git", Some(Github), None),
            own("https://git.example.com:8443/api/v3", "a/b")
        );
        assert_eq!(
            of("https://x.example/gitlab/a/b", Some(Gitlab), Some("https://x.example/gitlab/api/v4/")),
            own("https://x.example/gitlab/api/v4", "a/b")
        );
        assert_eq!(
            of("https://git.example/a/b", Some(Gitea), Some("https://api.example/v1")),
            own("https://api.example/v1", "a/b")
        );
    }

    #[test]
    fn what_cannot_be_told_names_the_setting() {
        let key = |repo: &str, kind, api| Address::of(repo, kind, api).unwrap_err().key.unwrap();
        assert_eq!(key("https://git.example.com/a/b", None, None), "forge");
        assert_eq!(key("/srv/gitops.git", None, None), "deliver");
        assert_eq!(key("https://github.com/a/b/c", None, None), "forgeApi");
        assert_eq!(key("https://github.com/a/..", None, None), "forgeApi");
        let secret =
            Address::of("https://github.com/a/b", None, Some("https://me:hunter2@x.example/")).unwrap_err();
        assert!(!secret.to_string().contains("hunter2"), "{secret}");
    }
}
