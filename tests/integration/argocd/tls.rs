//! TLS as Argo CD has it out of the box: a self-signed leaf with DNS names only.

use super::super::common::program;
use hydrant::edge::argocd::client::Client;
use hydrant::edge::argocd::clock::SystemClock;
use hydrant::edge::argocd::fault::FaultKind;
use hydrant::edge::argocd::settings::{ArgoSettings, RawArgoSettings, RawServer};
use hydrant::edge::net::install_tls_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes `<name>-key.pem` and `<name>.pem`, a self-signed leaf.
fn certificate(openssl: &Path, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (key, cert) = (folder.join(format!("{name}-key.pem")), folder.join(format!("{name}.pem")));
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .arg(format!("/O={name}"))
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,DNS:argocd-server",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (key, cert)
}

/// Serves userinfo over TLS, to `only` who shows that certificate; counts the requests it
/// could read.
fn serve(folder: &Path, openssl: &Path, only: Option<&Path>) -> (u16, Arc<AtomicUsize>) {
    let (key, cert) = certificate(openssl, folder, "cert");
    install_tls_provider();
    let chain = vec![CertificateDer::from_pem_file(&cert).unwrap()];
    let verifier = match only {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(client) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(client).unwrap()).unwrap();
            WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap()
        }
    };
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut socket);
            let mut bytes = [0u8; 4096];
            if stream.read(&mut bytes).is_ok_and(|n| n > 0) {
                count.fetch_add(1, Ordering::SeqCst);
                let body = r#"{"loggedIn":true,"username":"hydrant"}"#;
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.flush();
            }
        }
    });
    (port, requests)
}

fn ask(server: RawServer) -> Result<bool, FaultKind> {
    let raw = RawArgoSettings { default: server, ..Default::default() };
    let token = |name: &str| (name == "ARGOCD_API_TOKEN").then(|| "a.b.c".to_owned());
    let settings = ArgoSettings::resolve(&raw, &BTreeMap::new(), &token).unwrap();
    let clock = Arc::new(SystemClock::default());
    let client = Client::new(settings.default.as_ref().unwrap(), &settings.timing, clock, "r-1").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client.userinfo()).map(|user| user.logged_in).map_err(|fault| fault.kind)
}

#[test]
fn a_self_signed_certificate_is_trusted_when_named_and_never_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let Some(openssl) = program("openssl") else { return };
    let (port, requests) = serve(folder.path(), &openssl, None);
    let ca_file = Some(folder.path().join("cert.pem"));
    let by_name = Some(format!("https://localhost:{port}"));
    let by_address = Some(format!("https://127.0.0.1:{port}"));
    assert_eq!(ask(RawServer { url: by_name.clone(), ..Default::default() }), Err(FaultKind::Tls));
    // The certificate has no IP address in it.
    assert_eq!(
        ask(RawServer { url: by_address.clone(), ca_file: ca_file.clone(), ..Default::default() }),
        Err(FaultKind::Tls)
    );
    assert_eq!(requests.load(Ordering::SeqCst), 0, "the token was sent to a server that is not trusted");
    assert_eq!(
        ask(RawServer { url: by_name.clone(), ca_file: ca_file.clone(), ..Default::default() }),
        Ok(true)
    );
    let server_name = Some("argocd-server".to_owned());
    assert_eq!(ask(RawServer { url: by_address, ca_file, server_name, ..Default::default() }), Ok(true));
    assert_eq!(
        ask(RawServer { url: by_name, insecure_skip_tls_verify: true, ..Default::default() }),
        Ok(true)
    );
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_ours_and_no_request_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(openssl) = program("openssl") else { return };
    let show = |name: &str| {
        let (key, cert) = certificate(&openssl, folder.path(), name);
        let both = folder.path().join(format!("{name}-both.pem"));
        let text = |file: &Path| std::fs::read_to_string(file).unwrap();
        std::fs::write(&both, format!("{}{}", text(&cert), text(&key))).unwrap();
        (cert, both)
    };
    let (known, ours) = show("hydrant");
    let (_, strangers) = show("stranger");
    let (port, requests) = serve(folder.path(), &openssl, Some(&known));
    let with = |client: Option<PathBuf>| RawServer {
        url: Some(format!("https://localhost:{port}")),
        ca_file: Some(folder.path().join("cert.pem")),
        client_cert_file: client,
        ..Default::default()
    };
    assert_eq!(ask(with(None)), Err(FaultKind::Tls));
    assert_eq!(ask(with(Some(strangers))), Err(FaultKind::Tls));
    assert_eq!(requests.load(Ordering::SeqCst), 0, "nobody got through without the certificate");
    assert_eq!(ask(with(Some(ours))), Ok(true));
}

#[test]
fn a_client_certificate_without_its_key_is_said_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let Some(openssl) = program("openssl") else { return };
    let (_, cert) = certificate(&openssl, folder.path(), "hydrant");
    let raw = RawServer {
        url: Some("https://localhost:1".into()),
        client_cert_file: Some(cert),
        ..Default::default()
    };
    let raw = RawArgoSettings { default: raw, ..Default::default() };
    let token = |name: &str| (name == "ARGOCD_API_TOKEN").then(|| "a.b.c".to_owned());
    let settings = ArgoSettings::resolve(&raw, &BTreeMap::new(), &token).unwrap();
    let clock = Arc::new(SystemClock::default());
    let client = Client::new(settings.default.as_ref().unwrap(), &settings.timing, clock, "r-1");
    let why = client.err().unwrap().text;
    assert!(why.contains("hydrant.pem needs a PEM certificate and its key"), "{why}");
}
