//! Argo CD's webhook handler as its source has it: which header is which form, what proves
//! the sender, which repository and branch are meant. And the settings for it.

use hydrant::edge::argocd::settings::{ArgoSettings, RawArgoSettings};
use hydrant::edge::argocd::webhook::{Push, WebhookForm};
use hydrant::redact::Secret;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What the handler understood.
pub struct Understood {
    host: String,
    path: String,
    branch: String,
    touched_default: bool,
}

impl Understood {
    /// Whether an Application with this source is refreshed.
    pub fn is_of(&self, repo_url: &str, target: &str) -> bool {
        let rest = repo_url.split_once("://").map_or(repo_url, |(_, rest)| rest).to_lowercase();
        let rest = rest.rsplit_once('@').map_or(rest.as_str(), |(_, rest)| rest);
        let rest = rest.strip_suffix(".git").unwrap_or(rest);
        let Some(tail) = rest.strip_prefix(&self.host) else { return false };
        let tail = tail.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
        let same = tail.trim_start_matches(['/', ':']) == self.path;
        same && match target {
            "" | "HEAD" => self.touched_default,
            target => target.strip_prefix("refs/heads/").unwrap_or(target) == self.branch,
        }
    }
}

/// Reads a post; the error is what Argo CD answers with 400.
pub fn read(headers: &BTreeMap<String, String>, body: &[u8], secret: &str) -> Result<Understood, String> {
    let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
    let signed = hmac(secret.as_bytes(), body);
    let proves = |given: &str, wanted: &str| secret.is_empty() || given == wanted;
    let value: Value = serde_json::from_slice(body).map_err(|_| "Webhook processing failed".to_owned())?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    // In the handler's order: Gogs sends GitHub's headers too.
    let short = |reference: String| reference.splitn(3, '/').last().unwrap().to_owned();
    let (event, is_proven, web, branch, default) = if headers.contains_key("x-gogs-event") {
        let proven = proves(header("x-gogs-signature"), &signed);
        (
            "push",
            proven,
            text("/repository/html_url"),
            short(text("/ref")),
            text("/repository/default_branch"),
        )
    } else if headers.contains_key("x-github-event") {
        let proven = proves(header("x-hub-signature-256").trim_start_matches("sha256="), &signed);
        (
            "push",
            proven,
            text("/repository/html_url"),
            short(text("/ref")),
            text("/repository/default_branch"),
        )
    } else if headers.contains_key("x-gitlab-event") {
        let proven = proves(header("x-gitlab-token"), secret);
        ("Push Hook", proven, text("/project/web_url"), short(text("/ref")), text("/project/default_branch"))
    } else if headers.contains_key("x-hook-uuid") {
        let proven = proves(header("x-hook-uuid"), secret);
        let branch = text("/push/changes/0/new/name");
        ("repo:push", proven, text("/repository/links/html/href"), branch.clone(), branch)
    } else if headers.contains_key("x-event-key") {
        let proven = proves(header("x-hub-signature").get(7..).unwrap_or_default(), &signed);
        // Neither form of Bitbucket says which branch is the default one: it might be this.
        let branch = short(text("/changes/0/ref/id"));
        ("repo:refs_changed", proven, text("/repository/links/clone/0/href"), branch.clone(), branch)
    } else {
        return Err("Unknown webhook event".into());
    };
    let names = ["x-gogs-event", "x-github-event", "x-gitlab-event", "x-event-key"];
    if !names.iter().any(|name| header(name) == event) {
        return Err("event not defined to be parsed".into());
    }
    if !is_proven {
        return Err("HMAC verification failed".into());
    }
    let url = url::Url::parse(&web).map_err(|e| format!("failed to parse URL: {e}"))?;
    Ok(Understood {
        host: url.host_str().unwrap().to_lowercase(),
        path: url.path().trim_start_matches('/').to_lowercase(),
        touched_default: default == branch,
        branch,
    })
}

/// HMAC-SHA256 by its definition (RFC 2104), so that it is not the code under test.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|b| b ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|b| format!("{b:02x}")).collect()
}

const FORMS: [WebhookForm; 5] = [
    WebhookForm::Github,
    WebhookForm::Gitlab,
    WebhookForm::Gogs,
    WebhookForm::Bitbucket,
    WebhookForm::BitbucketServer,
];

fn sent(push: &Push<'_>, form: WebhookForm, secret: Option<&str>) -> (BTreeMap<String, String>, Vec<u8>) {
    let post = push.post(form, secret.map(Secret::new).as_ref());
    (post.headers.iter().map(|(k, v)| ((*k).to_owned(), v.expose().to_owned())).collect(), post.body)
}

#[test]
fn hmac_of_the_fake_is_the_one_of_rfc_4231() {
    let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hmac(b"Jefe", b"what do ya want for nothing?"), wanted);
}

#[test]
fn every_form_names_the_repository_and_branch_however_they_are_written() {
    let written = [
        "https://git.example/team/fleet.git",
        "https://git.example/team/fleet",
        "https://robot@git.example:8443/team/fleet.git",
        "ssh://git@git.example:2222/team/fleet.git",
        "git@git.example:team/fleet.git",
    ];
    for form in FORMS {
        for repo_url in written {
            for branch in ["main", "refs/heads/main", "feature/one", "HEAD", ""] {
                let push = Push { repo_url, branch, after: "0123456789012345678901234567890123456789" };
                let (headers, body) = sent(&push, form, None);
                let read = read(&headers, &body, "").unwrap_or_else(|e| panic!("{form:?} {repo_url}: {e}"));
                assert!(read.is_of(repo_url, branch), "{form:?} {repo_url} {branch}");
                assert!(!read.is_of(repo_url, "other"), "{form:?} {repo_url} {branch}");
                assert!(!read.is_of("https://git.example/team/another.git", branch), "{form:?} {repo_url}");
            }
        }
    }
}

#[test]
fn every_form_proves_itself_with_the_secret_and_with_no_other() {
    let push = Push { repo_url: "https://git.example/fleet.git", branch: "main", after: "0123" };
    for form in FORMS {
        let (headers, body) = sent(&push, form, Some("shared"));
        assert!(read(&headers, &body, "shared").is_ok(), "{form:?}");
        assert!(read(&headers, &body, "other").is_err(), "{form:?}");
        let (unsigned, body) = sent(&push, form, None);
        assert!(read(&unsigned, &body, "shared").is_err(), "{form:?}");
        let signs = !matches!(form, WebhookForm::Gitlab | WebhookForm::Bitbucket);
        assert_eq!(headers.values().any(|v| v.contains("shared")), !signs, "{form:?}: {headers:?}");
    }
}

#[test]
fn the_form_follows_the_repositorys_host() {
    for (repo_url, form) in [
        ("https://github.com/team/fleet.git", WebhookForm::Github),
        ("git@github.com:team/fleet.git", WebhookForm::Github),
        ("https://github.example/team/fleet.git", WebhookForm::Github),
        ("https://gitlab.com/team/fleet.git", WebhookForm::Gitlab),
        ("https://git.example/team/github.git", WebhookForm::Gitlab),
        ("https://gitea.example:3000/team/fleet.git", WebhookForm::Gogs),
        ("ssh://git@codeberg.org/team/fleet.git", WebhookForm::Gogs),
        ("https://bitbucket.org/team/fleet.git", WebhookForm::Bitbucket),
        ("https://bitbucket.example/scm/team/fleet.git", WebhookForm::BitbucketServer),
        ("https://[::1]:3000/team/fleet.git", WebhookForm::Gitlab),
        ("", WebhookForm::Gitlab),
    ] {
        assert_eq!(WebhookForm::of_repository(repo_url), form, "{repo_url}");
    }
}

#[test]
fn a_webhook_secret_that_is_not_there_is_said_and_never_shown() {
    let server = |text: Value| -> RawArgoSettings {
        serde_json::from_value(serde_json::json!({"default": text})).unwrap()
    };
    let env = |name: &str| match name {
        "ARGOCD_API_TOKEN" => Some("a.b.c".to_owned()),
        "SHARED" => Some("hunter2".to_owned()),
        _ => None,
    };
    let resolve = |raw: &RawArgoSettings| ArgoSettings::resolve(raw, &BTreeMap::new(), &env);
    let url = "https://argo.example";
    let set = |name: &str| {
        server(
            serde_json::json!({"url": url, "webhook": true, "webhookForm": "github", "webhookSecretEnv": name}),
        )
    };
    let settings = resolve(&set("SHARED")).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    let webhook = settings.default.unwrap().webhook.unwrap();
    assert_eq!(
        (webhook.form, webhook.secret.unwrap().read().unwrap().expose()),
        (Some(WebhookForm::Github), "hunter2")
    );
    let why = resolve(&set("UNSET")).unwrap_err();
    assert!(why[0].message.contains("the variable `UNSET` is not set"), "{why:?}");
}
