//! Rules for single texts: DNS labels, GitHub names, branches, paths, addresses, hosts.
//!
//! Each function answers yes or no, or gives a safe form; the message is the caller's.

use sha2::{Digest, Sha256};

/// The longest DNS label.
pub const LABEL: usize = 63;
/// The longest organization name: its namespace is `org-<name>`.
pub const ORGANIZATION: usize = LABEL - 4;
/// The longest name of a knowledge base: its Service is `mcp-server-<name>`.
pub const KNOWLEDGE_BASE: usize = LABEL - 11;

/// Returns true for lower case letters, digits and hyphens (the pattern of the original).
pub fn is_lower_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Returns true for such a name that also begins and ends with a letter or digit.
pub fn is_dns_label(text: &str) -> bool {
    is_lower_name(text) && !text.starts_with('-') && !text.ends_with('-') && text.len() <= LABEL
}

/// Returns true for a host name: DNS labels with dots between, no port.
pub fn is_host(text: &str) -> bool {
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_dns_label)
}

/// Returns true for a GitHub organization or user name.
pub fn is_github_organization(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 39
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns true for a GitHub repository name.
pub fn is_github_repository(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !matches!(text, "." | "..")
        && !text.ends_with(".git")
}

/// Returns true for a branch name by Git's rules (`git check-ref-format --branch`).
pub fn is_branch(text: &str) -> bool {
    let component = |c: &str| !c.is_empty() && !c.starts_with('.') && !c.ends_with(".lock");
    !text.is_empty()
        && text != "@"
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text.split('/').all(component)
        && !text
            .chars()
            .any(|c| c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\'))
}

/// Returns true for a path inside a repository: relative, no step up, no odd component.
pub fn is_inside_path(text: &str) -> bool {
    !text.is_empty()
        && text.split('/').all(|c| !c.is_empty() && c != "." && c != "..")
        && !text.chars().any(|c| c.is_control() || c == '\\')
}

/// Returns true if a path is a folder or lies below it, component by component.
pub fn lies_under(path: &str, folder: &str) -> bool {
    let mut parts = path.split('/');
    folder.split('/').all(|f| parts.next() == Some(f))
}

/// Returns true for an email address as GitHub and identity providers hand them out: the dot
/// and atom form of RFC 5322, without quotes and comments. It cannot hold the colon of
/// `system:masters`.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |a: &str| {
        !a.is_empty() && a.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= LABEL
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 254
        && local.len() <= 64
        && local.split('.').all(atom)
        && domain.contains('.')
        && domain.split('.').all(label)
}

/// Returns 8 hex digits that stand for a text.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect()
}

/// Returns a name for an RBAC object that stands for an email address. RBAC names are path
/// segments: everything but `/`, `%`, `.` and `..` is taken; what else would need escaping in
/// a shell or a URL is replaced, and a digest keeps two addresses apart.
pub fn object_name_of(email: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+');
    if email.chars().all(plain) {
        return email.to_owned();
    }
    let safe: String = email.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("{safe}-{}", digest(email))
}

/// Returns a label value that names a repository and no other: `<organization>.<name>`. GitHub
/// organizations hold no dot, so the first one parts the two, where the original's
/// `a-b` + `c` and `a` + `b-c` gave one label. What is too long or ends badly is cut and gets
/// a digest.
pub fn repository_label(organization: &str, name: &str) -> String {
    label_value(&format!("{organization}.{name}"))
}

/// Returns a text as a label value: itself where it is one, else cut, cleaned and with a digest.
pub fn label_value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    if text.len() <= LABEL && ends && text.chars().all(plain) {
        return text.to_owned();
    }
    let kept: String = text.chars().filter(|c| plain(*c)).take(LABEL - 9).collect();
    let kept = kept.trim_matches(['.', '-', '_']);
    let digest = digest(text);
    if kept.is_empty() { digest } else { format!("{kept}-{digest}") }
}

/// Returns the repository of a URL as `host/organization/name` in lower case, without `.git`
/// and a last slash; none if it is no such URL. The text is parsed, so that
/// `https://github.com@evil.example/` and `https://github.com.evil.example/` do not pass.
pub fn repository_of_url(text: &str) -> Option<(String, String)> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\' || !c.is_ascii();
    if text.contains(odd) {
        return None;
    }
    let url = url::Url::parse(text).ok().filter(|u| u.scheme() == "https")?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && !text.contains('@');
    let host = url.host_str()?.to_ascii_lowercase();
    let path = url.path().trim_start_matches('/');
    let path = path.strip_suffix('/').unwrap_or(path);
    let (organization, name) = path.split_once('/')?;
    let bare = name.strip_suffix(".git").unwrap_or(name);
    let named = |s: &str| {
        !s.is_empty()
            && s != "."
            && s != ".."
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    };
    (plain && named(organization) && named(bare))
        .then(|| (host.clone(), format!("{host}/{organization}/{bare}").to_ascii_lowercase()))
}
