//! One HTTP request and its answer: bounded in time and size, with credentials for one
//! host, and no redirect to another.
//!
//! Each request is waited for on a thread of its own, so that it can be called from anywhere; its
//! answer comes back through a bounded channel and is read like a file. The runtime lives as long
//! as the repository is open: the next request finds the connection that the last one made.

use super::super::clock::Clock;
use super::super::credentials::Credentials;
use super::super::helper::{self, Given};
use super::super::settings::GitSettings;
use super::advert::{self, Advert, MAX_ADVERT};
use super::answer::clean;
use super::failure::{Failure, TRIES, pause};
use super::incoming::Incoming;
use crate::edge::net::{causes, in_time, install_tls_provider, retry_after};
use crate::error::{Error, Result};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::runtime::Runtime;
use url::Url;

/// How many redirects inside one server are followed.
const HOPS: usize = 3;
/// The longest error page that is read, in bytes.
const MAX_ERROR_PAGE: usize = 16 << 10;

/// A smart HTTP server's one repository.
pub(in super::super) struct Http {
    client: reqwest::Client,
    /// Taken when it goes.
    runtime: Option<Runtime>,
    /// Moves when the server redirects inside itself.
    base: RefCell<Url>,
    shown: String,
    credentials: Option<Credentials>,
    /// What a credential helper gave, until it is told what became of it.
    given: RefCell<Option<Given>>,
    deadline: Duration,
    max_pack: u64,
}

/// Returns a client for one server with our rules: no redirects, no proxy but a configured one,
/// deadlines for connecting, for silence and for the whole.
pub(in crate::edge) fn client(url: &Url, settings: &GitSettings) -> Result<reqwest::Client> {
    install_tls_provider();
    let failed = |e: reqwest::Error| Error::input("cannot set up HTTP").because(e);
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // A proxy of the environment would see every request: only a configured one is used.
        .no_proxy()
        .connect_timeout(settings.connect_deadline)
        .read_timeout(settings.silence)
        .timeout(settings.call_deadline);
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(
            reqwest::Proxy::all(proxy.expose())
                .map_err(|_| Error::input("the proxy's address is not a valid URL"))?,
        );
    }
    if let Some(path) = &settings.ca_file {
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|e| Error::input(format!("cannot read the CA file {shown}")).because(e))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| Error::input(format!("{shown} holds no PEM certificates")).because(e))?;
        if certificates.is_empty() {
            return Err(Error::input(format!("{shown} holds no PEM certificates")));
        }
        builder = builder.tls_certs_merge(certificates);
    } else if url.scheme() == "http" {
        // No trust store is needed, and a machine without one is no reason to fail.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(failed)
}

/// A request that is about to be sent.
struct Request {
    builder: reqwest::RequestBuilder,
    limit: u64,
    /// The media type that the answer must have.
    expect: String,
}

impl Http {
    /// Prepares to speak to a repository; nothing is sent yet.
    pub(in super::super) fn new(url: &Url, settings: &GitSettings) -> Result<Self> {
        let credentials = match &settings.credentials {
            Some(credentials) => credentials.for_server(url, settings.plain_http_credentials)?.cloned(),
            None => None,
        };
        let given = match &settings.credential_helper {
            Some(git) if credentials.is_none() => helper::fill(git, url, settings.silence)?,
            _ => None,
        };
        let credentials = match &given {
            Some(given) => given.credentials.for_server(url, settings.plain_http_credentials)?.cloned(),
            None => credentials,
        };
        // One thread keeps the connections, whoever waits for an answer.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| Error::external("cannot start a thread for HTTP").because(e))?;
        Ok(Self {
            client: client(url, settings)?,
            runtime: Some(runtime),
            base: RefCell::new(url.clone()),
            shown: url.to_string(),
            credentials,
            given: RefCell::new(given),
            deadline: settings.call_deadline,
            max_pack: settings.max_pack,
        })
    }

    /// Asks for the references, again if the server is only unwell.
    pub(in super::super) fn advert(&self, service: &str, clock: &dyn Clock) -> Result<Advert> {
        let mut hops = 0;
        let mut tried = 0;
        loop {
            tried += 1;
            let mut url = self.below("info/refs");
            url.set_query(Some(&format!("service={service}")));
            let request = Request {
                builder: self.authorised(self.client.get(url.clone())),
                limit: MAX_ADVERT,
                expect: format!("application/x-{service}-advertisement"),
            };
            match self.exchange(request, |reader| advert::read_over_http(reader, service)) {
                Ok(advert) => return Ok(advert),
                Err(Failure::Redirect(to)) if hops < HOPS => {
                    hops += 1;
                    tried -= 1;
                    let base = self.moved(&url, &to)?;
                    self.base.replace(base);
                }
                Err(failure) if failure.may_pass() && tried < TRIES => pause(&failure, tried, clock),
                Err(failure) => return Err(self.error("cannot read the branches of", &failure)),
            }
        }
    }

    /// Sends a request of a service and reads its answer while it arrives.
    pub(in super::super) fn call<T>(
        &self,
        service: &str,
        body: Vec<u8>,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let builder = self
            .authorised(self.client.post(self.below(service)))
            .header(CONTENT_TYPE, format!("application/x-{service}-request"))
            .body(body);
        let expect = format!("application/x-{service}-result");
        self.exchange(Request { builder, limit: self.max_pack, expect }, read)
    }

    /// Returns the error that says what did not happen and why.
    pub(in super::super) fn error(&self, what: &str, failure: &Failure) -> Error {
        let error = Error::external(format!("{what} {}: {}", self.shown, failure.words()));
        match failure {
            Failure::Status { code: 401, .. } if self.credentials.is_none() => {
                error.hint("set HYDRANT_GIT_USERNAME and HYDRANT_GIT_PASSWORD_FILE, or --credential-helper")
            }
            Failure::Status { code: 401 | 403, .. } => {
                error.hint("look whether the token is still valid and may write to this repository")
            }
            Failure::Status { code: 404, .. } => {
                error.hint("look at the address, and at what the token may see")
            }
            Failure::Redirect(to) => error.hint(format!("if {to} is right, set that address")),
            Failure::Connect(why) if why.contains("certificate") => {
                error.hint("if the server's certificate is from a CA of your own, name its file (ca_file)")
            }
            _ => error,
        }
    }

    fn below(&self, name: &str) -> Url {
        let mut url = self.base.borrow().clone();
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    fn authorised(&self, builder: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        // Some servers look for this beginning before they speak the smart protocol.
        let agent = concat!("git/2 (hydrant ", env!("CARGO_PKG_VERSION"), ")");
        let builder = builder.header(USER_AGENT, agent);
        match &self.credentials {
            // reqwest marks the header as sensitive.
            Some(who) => builder.basic_auth(&who.username, Some(who.password.expose())),
            None => builder,
        }
    }

    /// Returns the new base after a redirect, if it stays on this server.
    fn moved(&self, from: &Url, to: &str) -> Result<Url> {
        let elsewhere =
            |to: &str| self.error("cannot read the branches of", &Failure::Redirect(to.to_owned()));
        let mut to = from.join(to).map_err(|_| elsewhere("an address that is none"))?;
        if to.origin() != from.origin() || !to.username().is_empty() || to.password().is_some() {
            let host = to.host_str().unwrap_or("nowhere").to_owned();
            return Err(elsewhere(&format!("{}://{host}", to.scheme())));
        }
        let Some(path) = to.path().strip_suffix("/info/refs").map(str::to_owned) else {
            return Err(elsewhere(&clean(to.path())));
        };
        to.set_path(&path);
        to.set_query(None);
        to.set_fragment(None);
        Ok(to)
    }

    /// Sends a request on its own thread and lets `read` have the answer's bytes.
    fn exchange<T>(
        &self,
        request: Request,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let (sender, receiver) = sync_channel(16);
        let deadline = self.deadline;
        let runtime = self.runtime.as_ref();
        let outcome = std::thread::scope(|scope| {
            let sending = scope.spawn(move || match runtime {
                Some(runtime) => runtime.block_on(in_time(deadline, send(request, sender))),
                None => Err(Failure::Connect("the repository is closed".into())),
            });
            let answer = read(&mut Incoming::new(receiver));
            let sent = sending.join().unwrap_or_else(|_| Err(Failure::Cut("the request broke off".into())));
            match (answer, sent) {
                // All that was asked for arrived; what came after does not matter.
                (Ok(answer), Ok(()) | Err(Failure::Cut(_))) => Ok(answer),
                (_, Err(failure)) => Err(failure),
                (Err(e), Ok(())) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    Err(Failure::Cut("the answer ended too early".into()))
                }
                (Err(e), Ok(())) => Err(Failure::Protocol(clean(&e.to_string()))),
            }
        });
        let taken = match &outcome {
            Ok(_) => Some(true),
            Err(Failure::Status { code: 401, .. }) => Some(false),
            Err(_) => None,
        };
        if let Some(taken) = taken
            && let Some(given) = self.given.take()
        {
            given.judged(taken);
        }
        outcome
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // Whoever drops it may be in a runtime of his own, where waiting is a panic.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn send(request: Request, sender: SyncSender<Vec<u8>>) -> Result<(), Failure> {
    let Request { builder, limit, expect } = request;
    let mut response = builder.header(ACCEPT, &expect).send().await.map_err(lost)?;
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if status.is_redirection() {
        return Err(Failure::Redirect(header(LOCATION).unwrap_or_default().to_owned()));
    }
    if status.as_u16() != 200 {
        let wait = retry_after(response.headers(), jiff::Timestamp::now());
        // Web pages are for browsers; plain text is what servers mean for people at a terminal.
        let plain = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/plain"));
        let text = if plain { error_page(&mut response).await } else { String::new() };
        return Err(Failure::Status { code: status.as_u16(), text, wait });
    }
    let kind = header(CONTENT_TYPE).unwrap_or_default();
    if !kind.starts_with(&expect) {
        let kind = clean(kind);
        return Err(Failure::Protocol(format!(
            "no Git server answers there, but something that sends `{kind}` (a login page, perhaps)"
        )));
    }
    let mut length = 0u64;
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        length += chunk.len() as u64;
        if length > limit {
            return Err(Failure::Protocol(format!("the answer is longer than {limit} bytes")));
        }
        if sender.send(chunk.to_vec()).is_err() {
            // The reader has all it wants, or cannot go on; it knows which.
            return Ok(());
        }
    }
    Ok(())
}

async fn error_page(response: &mut reqwest::Response) -> String {
    let mut page = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        page.extend_from_slice(&chunk);
        if page.len() > MAX_ERROR_PAGE {
            break;
        }
    }
    clean(&String::from_utf8_lossy(&page))
}

/// Tells a connection that never was from one that ended.
fn lost(error: reqwest::Error) -> Failure {
    let connect = error.is_connect() || error.is_builder();
    let timeout = error.is_timeout();
    let error = error.without_url();
    let words = clean(&causes(Some(&error)));
    match (connect, timeout) {
        (true, _) => Failure::Connect(words),
        (false, true) => Failure::Cut(format!("the server fell silent: {words}")),
        (false, false) => Failure::Cut(words),
    }
}
