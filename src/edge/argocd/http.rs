//! One HTTP connection pool to one server: TLS, headers, bounds. It knows nothing of
//! Applications.
//!
//! The token is set on the request and nowhere else, redirects are never followed, and no
//! body is read past its bound.

use super::clock::Clock;
use super::fault::{Fault, FaultKind, classify};
use super::settings::ServerSettings;
use crate::edge::net::{causes, install_tls_provider, retry_after};
use crate::redact::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Identity, Method, Response, StatusCode};
use std::error::Error as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The longest body of one answer; a list of a thousand Applications is about half of it.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// One request, before a token is put on it.
pub(super) struct Request<'r> {
    pub method: Method,
    pub segments: Vec<&'r str>,
    pub query: Vec<(&'r str, String)>,
    pub body: Option<&'r [u8]>,
    pub headers: Vec<(&'static str, String)>,
}

impl<'r> Request<'r> {
    pub fn new(method: Method, segments: impl IntoIterator<Item = &'r str>) -> Self {
        Self {
            method,
            segments: segments.into_iter().collect(),
            query: Vec::new(),
            body: None,
            headers: Vec::new(),
        }
    }

    pub fn get(segments: impl IntoIterator<Item = &'r str>) -> Self {
        Self::new(Method::GET, segments)
    }

    pub fn query(mut self, key: &'r str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub fn bytes(mut self, body: &'r [u8]) -> Self {
        self.body = Some(body);
        self
    }
}

/// A pool of connections to one server.
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    extra: HeaderMap,
    clock: Arc<dyn Clock>,
}

impl Http {
    pub fn new(settings: &ServerSettings, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        install_tls_provider();
        let mut base = settings.base.clone();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("hydrant/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // The environment is read by the settings alone.
            .no_proxy()
            .http1_only()
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(30))
            .tls_danger_accept_invalid_certs(settings.insecure_skip_tls_verify);
        if let Some(file) = &settings.ca_file {
            let pem = read(file)?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|e| local(format!("{} holds no PEM certificates: {e}", file.display())))?;
            builder = builder.tls_certs_only(certificates);
        } else if base.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        if let Some(file) = &settings.client_cert_file {
            let identity = Identity::from_pem(&read(file)?)
                .map_err(|_| local(format!("{} needs a PEM certificate and its key", file.display())))?;
            builder = builder.identity(identity);
        }
        if let (Some(name), Some(address)) = (&settings.server_name, address(&base)) {
            builder = builder.resolve(name, address);
            base.set_host(Some(name)).map_err(|e| local(format!("`serverName: {name}`: {e}")))?;
        }
        let client = builder
            .build()
            .map_err(|e| local(format!("no HTTP client could be made: {}", causes(e.source()))))?;
        Ok(Self { client, base, extra: extra_headers(settings)?, clock })
    }

    /// Sends a request and returns the answer with its header read, whatever its status.
    pub async fn open(&self, request: &Request<'_>, token: Option<&Secret>) -> Result<Response, Fault> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(&request.segments);
            }
            Err(()) => return Err(local("the base URL cannot have a path".into())),
        }
        let mut call = self.client.request(request.method.clone(), url).headers(self.extra.clone());
        if !request.query.is_empty() {
            call = call.query(&request.query);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| local("the token is no header value".into()))?;
            value.set_sensitive(true);
            call = call.header(AUTHORIZATION, value);
        }
        for (name, value) in &request.headers {
            call = call.header(*name, value);
        }
        if request.method != Method::GET {
            // Compared as a whole by Argo CD, on every method but GET, before the token.
            call = call.header(CONTENT_TYPE, "application/json");
        }
        if let Some(body) = request.body {
            call = call.body(body.to_vec());
        }
        call.send().await.map_err(|e| lost(&e))
    }

    /// Sends a request and reads its whole answer; anything but 200 is a fault.
    pub async fn send(&self, request: &Request<'_>, token: Option<&Secret>) -> Result<Vec<u8>, Fault> {
        let mut response = self.open(request, token).await?;
        let status = response.status();
        let retry_after = retry_after(response.headers(), self.clock.wall());
        let body = read_all(&mut response).await;
        if status == StatusCode::OK {
            body
        } else {
            Err(classify(status.as_u16(), retry_after, &body.unwrap_or_default()))
        }
    }

    /// Opens an event stream; the header deadline is the caller's.
    pub async fn stream(&self, mut request: Request<'_>, token: &Secret) -> Result<Response, Fault> {
        request.headers.push(("accept", "text/event-stream".into()));
        let mut response = self.open(&request, Some(token)).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (status, wait) = (response.status().as_u16(), retry_after(response.headers(), self.clock.wall()));
        let body = read_all(&mut response).await.unwrap_or_default();
        // In this mode even an error body is framed as an event.
        let json = body.strip_prefix(b"data: ").unwrap_or(&body);
        Err(classify(status, wait, json.trim_ascii()))
    }
}

async fn read_all(response: &mut Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| lost(&e))? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Fault::local(
                FaultKind::TooLarge,
                format!("the answer is longer than {MOST_BYTES} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn extra_headers(settings: &ServerSettings) -> Result<HeaderMap, Fault> {
    let mut map = HeaderMap::new();
    for (name, value) in &settings.headers {
        let key: HeaderName = name.parse().map_err(|_| local(format!("`{name}` is no header name")))?;
        let mut value: HeaderValue =
            value.expose().parse().map_err(|_| local(format!("the value of header `{name}` is none")))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn address(base: &Url) -> Option<SocketAddr> {
    let host = base.host_str()?.trim_matches(['[', ']']);
    Some(SocketAddr::new(host.parse().ok()?, base.port_or_known_default()?))
}

fn read(file: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(file).map_err(|e| local(format!("{} cannot be read: {e}", file.display())))
}

fn local(text: String) -> Fault {
    Fault::local(FaultKind::Local, text)
}

/// Tells what a failed exchange means. The URL is left out: it is in the server's id.
fn lost(error: &reqwest::Error) -> Fault {
    let text = causes(error.source());
    let low = text.to_lowercase();
    // A fatal alert is how a server refuses our certificate, or that there is none.
    let tls = ["certificate", "invalidcontenttype", "corrupt message", "fatal alert"];
    if tls.iter().any(|t| low.contains(t)) {
        return Fault::local(FaultKind::Tls, format!("TLS: {text}"));
    }
    let mut fault = Fault::local(FaultKind::ConnectionLost, text);
    // Nothing was sent if there was no connection.
    fault.lost = !error.is_connect() && !error.is_builder();
    fault
}
