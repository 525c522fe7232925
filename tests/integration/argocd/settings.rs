//! Which server, which token, which transport; and what is refused.

use hydrant::edge::argocd::settings::{ArgoSettings, RawArgoSettings, RawServer};
use hydrant::edge::argocd::token::{Claims, TokenSource};
use hydrant::error::Violation;
use hydrant::redact::Secret;
use std::collections::BTreeMap;

fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
}

fn with(server: RawServer) -> RawArgoSettings {
    RawArgoSettings { default: server, ..Default::default() }
}

fn url(url: &str) -> RawServer {
    RawServer { url: Some(url.into()), ..Default::default() }
}

fn refused(raw: &RawArgoSettings) -> Vec<Violation> {
    ArgoSettings::resolve(raw, &BTreeMap::new(), &env(&[("ARGOCD_API_TOKEN", "a.b.c")])).unwrap_err()
}

#[test]
fn both_families_of_variables_are_known() {
    for (place, token) in [("ARGOCD_API_URL", "ARGOCD_API_TOKEN"), ("ARGOCD_SERVER", "ARGOCD_AUTH_TOKEN")] {
        let env = |name: &str| match name {
            n if n == place => Some("argocd.example:4243/".to_owned()),
            n if n == token => Some(" a.b.c\n".to_owned()),
            _ => None,
        };
        let settings = ArgoSettings::resolve(&RawArgoSettings::default(), &BTreeMap::new(), &env).unwrap();
        let server = settings.server_of(None).unwrap();
        assert_eq!(server.id.0, "https://argocd.example:4243");
        assert_eq!(server.token.read().unwrap().expose(), "a.b.c");
    }
}

#[test]
fn the_value_of_a_cluster_wins_over_the_server_for_all() {
    let clusters = BTreeMap::from([("east".to_owned(), "https://east.example/argo/".to_owned())]);
    let given = env(&[("ARGOCD_API_URL", "https://all.example"), ("ARGOCD_API_TOKEN", "a.b.c")]);
    let settings = ArgoSettings::resolve(&RawArgoSettings::default(), &clusters, &given).unwrap();
    let east = settings.server_of(Some("https://east.example/argo")).unwrap();
    assert_eq!(east.id.0, "https://east.example/argo");
    assert_eq!(settings.server_of(None).unwrap().id.0, "https://all.example");
    assert!(settings.server_of(Some("https://west.example")).is_none());
}

#[test]
fn any_certificate_is_refused_unless_the_host_is_loopback_or_named_again() {
    let skip = |host: &str, again: Option<&str>| {
        with(RawServer {
            insecure_skip_tls_verify: true,
            insecure_skip_tls_verify_for: again.map(str::to_owned),
            ..url(&format!("https://{host}"))
        })
    };
    let given = env(&[("ARGOCD_API_TOKEN", "a.b.c")]);
    for fine in [
        skip("localhost:4243", None),
        skip("127.0.0.1", None),
        skip("[::1]:8443", None),
        skip("argo.example", Some("argo.example")),
    ] {
        assert!(ArgoSettings::resolve(&fine, &BTreeMap::new(), &given).is_ok(), "{fine:?}");
    }
    let why = refused(&skip("argo.example", Some("other.example")));
    assert!(why[0].message.contains("refused for argo.example"), "{why:?}");
    assert!(why[0].hint.as_ref().unwrap().contains("insecureSkipTlsVerifyFor: argo.example"));
    // No host is taken for loopback because of how it begins.
    refused(&skip("127.0.0.1.example", None));
    refused(&skip("localhost.example", None));
}

#[test]
fn what_weakens_a_connection_is_not_inherited() {
    let mut raw = with(RawServer { insecure_skip_tls_verify: true, ..url("https://localhost:4243") });
    raw.servers.insert("https://east.example".into(), RawServer::default());
    let clusters = BTreeMap::from([("east".to_owned(), "https://east.example".to_owned())]);
    let given = env(&[("ARGOCD_API_TOKEN", "a.b.c")]);
    let settings = ArgoSettings::resolve(&raw, &clusters, &given).unwrap();
    assert!(settings.server_of(None).unwrap().insecure_skip_tls_verify);
    assert!(!settings.server_of(Some("https://east.example")).unwrap().insecure_skip_tls_verify);
}

#[test]
fn plain_http_is_for_loopback_only_unless_said() {
    let why = refused(&with(url("http://argo.example")));
    assert!(why[0].message.contains("plain HTTP"), "{why:?}");
    let said = with(RawServer { plain_http_for: Some("argo.example".into()), ..url("http://argo.example") });
    let given = env(&[("ARGOCD_API_TOKEN", "a.b.c")]);
    assert!(ArgoSettings::resolve(&said, &BTreeMap::new(), &given).is_ok());
}

#[test]
fn every_bad_url_is_named_and_never_shown() {
    for (text, why) in [
        ("ftp://argo.example", "scheme `ftp`"),
        ("https://user:hunter2@argo.example", "user or password"),
        ("https://argo.example?x=1", "query"),
        ("https://argo.example/api/v1", "/api/v1"),
        ("https://", "no URL"),
    ] {
        let found = refused(&with(url(text)));
        assert!(found[0].message.contains(why), "{text}: {found:?}");
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}

#[test]
fn all_violations_come_at_once() {
    let mut raw = with(url("http://argo.example"));
    raw.servers.insert(
        "https://one.example".into(),
        RawServer { insecure_skip_tls_verify: true, ..Default::default() },
    );
    let clusters = BTreeMap::from([("east".to_owned(), "https://one.example".to_owned())]);
    let found = ArgoSettings::resolve(&raw, &clusters, &|_| None).unwrap_err();
    let said: Vec<&str> = found.iter().map(|v| v.message.as_str()).collect();
    assert!(said.iter().any(|m| m.contains("plain HTTP")), "{said:?}");
    assert!(said.iter().any(|m| m.contains("insecureSkipTlsVerify")), "{said:?}");
    assert_eq!(said.iter().filter(|m| m.contains("no token")).count(), 2, "{said:?}");
}

#[test]
fn a_token_file_is_read_anew_and_must_hold_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let source = TokenSource::File(file.clone());
    assert!(source.read().unwrap_err().contains("cannot be read"));
    std::fs::write(&file, "one.two.three\n").unwrap();
    assert_eq!(source.read().unwrap().expose(), "one.two.three");
    std::fs::write(&file, "four.five.six\nseven").unwrap();
    let why = source.read().unwrap_err();
    assert!(why.contains("holds no token") && !why.contains("four"), "{why}");
}

#[test]
fn a_token_says_when_it_expires() {
    let claims = Claims::of(&Secret::new(super::play::token("id-1", Some(9)))).unwrap();
    assert_eq!((claims.id.as_deref(), claims.account()), (Some("id-1"), Some("hydrant")));
    assert_eq!(claims.days_left("2026-11-21T06:00:00Z".parse().unwrap()), Some(9));
    assert_eq!(Claims::of(&Secret::new("no token")), None);
    assert_eq!(Claims::of(&Secret::new("a.b.c.d")), None);
}

#[test]
fn a_header_takes_its_value_from_the_environment() {
    let raw = with(RawServer {
        headers: BTreeMap::from([("X-Proxy-Key".to_owned(), "PROXY_KEY".to_owned())]),
        ..url("https://argo.example")
    });
    let given = env(&[("ARGOCD_API_TOKEN", "a.b.c"), ("PROXY_KEY", "hunter2")]);
    let settings = ArgoSettings::resolve(&raw, &BTreeMap::new(), &given).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(refused(&raw)[0].message.contains("`PROXY_KEY` is not set"));
}

#[test]
fn an_alert_webhook_needs_its_variable_and_https() {
    let raw: RawArgoSettings = serde_json::from_value(serde_json::json!({
        "alerts": [{"urlEnv": "A"}, {"urlEnv": "B", "format": "slack"}, {"urlEnv": "C"}]
    }))
    .unwrap();
    let given = env(&[("A", "http://alerts.example/secret-path"), ("B", "https://hooks.example/x")]);
    let found = ArgoSettings::resolve(&raw, &BTreeMap::new(), &given).unwrap_err();
    let keys: Vec<&str> = found.iter().filter_map(|v| v.key.as_deref()).collect();
    assert_eq!(keys, ["argocd.alerts[0].urlEnv", "argocd.alerts[2].urlEnv"]);
    assert!(!format!("{found:?}").contains("secret-path"));
}
