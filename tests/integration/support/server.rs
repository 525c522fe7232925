//! A real Git server on loopback: `git http-backend` behind a small HTTP server, with the
//! faults that a test asks for.

use super::git::{bare, git, git_command};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What goes wrong with the next request whose path and query contain a text.
#[derive(Clone)]
pub enum Fault {
    /// Answer this status and text, with these header lines, and do nothing.
    Status(u16, &'static str, Vec<String>),
    /// Do it, but cut the answer after so many bytes, with a promised length or without.
    Cut { after: usize, with_length: bool },
    /// Do it, and answer this status.
    DoneBut(u16),
    /// Call this first, then go on as usual.
    First(Arc<dyn Fn() + Send + Sync>),
    /// Answer this body with status 200 and this content type.
    Body(&'static str, Vec<u8>),
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub headers: Vec<String>,
    pub body: usize,
}

#[derive(Default)]
struct State {
    faults: Mutex<VecDeque<(String, Fault)>>,
    seen: Mutex<Vec<Seen>>,
    login: Mutex<Option<String>>,
}

/// A server with one bare repository, `gitops.git`.
pub struct GitServer {
    pub temp: TempDir,
    pub repo: PathBuf,
    pub address: SocketAddr,
    state: Arc<State>,
}

impl GitServer {
    /// Starts one; it ends with the test process.
    pub fn start() -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        let repo = temp.path().join("gitops.git");
        bare(&repo);
        git(&repo, &["config", "http.receivepack", "true"]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State::default());
        let (shared, root) = (Arc::clone(&state), temp.path().to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, root) = (Arc::clone(&shared), root.clone());
                std::thread::spawn(move || {
                    let _ = serve(stream, &state, &root);
                });
            }
        });
        Self { temp, repo, address, state }
    }

    /// Serves the same over TLS on another port, with a certificate for 127.0.0.1.
    pub fn serve_tls(&self, certificate: &Path, key: &Path) -> String {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(certificate).expect("a file").map(|c| c.expect("PEM")).collect();
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shared, root) = (Arc::clone(&self.state), self.temp.path().to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, root, config) = (Arc::clone(&shared), root.clone(), Arc::clone(&config));
                std::thread::spawn(move || {
                    let connection = rustls::ServerConnection::new(config).expect("a connection");
                    let mut stream = rustls::StreamOwned::new(connection, stream);
                    let _ = serve(&mut stream, &state, &root);
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                });
            }
        });
        format!("https://{address}/gitops.git")
    }

    /// Returns the repository's address.
    pub fn url(&self) -> String {
        format!("http://{}/gitops.git", self.address)
    }

    /// Demands this user and password from now on.
    pub fn demand(&self, user: &str, password: &str) {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        *self.state.login.lock().expect("a lock") = Some(format!("Basic {text}"));
    }

    /// Lets the next request that contains `at` fail.
    pub fn fail(&self, at: &str, fault: Fault) {
        self.state.faults.lock().expect("a lock").push_back((at.to_owned(), fault));
    }

    /// Returns what arrived.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().expect("a lock").clone()
    }

    /// Installs a hook.
    pub fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.repo.join("hooks").join(name);
        std::fs::create_dir_all(self.repo.join("hooks")).expect("a folder");
        std::fs::write(&path, script).expect("a hook");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

fn serve<S: Read + Write>(stream: S, state: &State, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        headers.push(header.trim().to_owned());
    }
    let header = |name: &str| {
        headers.iter().find_map(|h| {
            let (key, value) = h.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let seen = Seen { line: line.trim().to_owned(), headers: headers.clone(), body: length };
    state.seen.lock().expect("a lock").push(seen);

    let fault = {
        let mut faults = state.faults.lock().expect("a lock");
        let found = faults.iter().position(|(at, _)| line.contains(at.as_str()));
        found.and_then(|n| faults.remove(n)).map(|(_, fault)| fault)
    };
    let out = reader.get_mut();
    match &fault {
        Some(Fault::Status(code, text, extra)) => {
            return answer(out, *code, "text/plain", extra, text.as_bytes(), text.len(), true);
        }
        Some(Fault::Body(kind, bytes)) => return answer(out, 200, kind, &[], bytes, bytes.len(), true),
        Some(Fault::First(call)) => call(),
        _ => {}
    }
    if let Some(login) = state.login.lock().expect("a lock").as_ref()
        && header("authorization").as_ref() != Some(login)
    {
        let extra = ["WWW-Authenticate: Basic realm=\"git\"".to_owned()];
        return answer(out, 401, "text/html", &extra, b"<p>no</p>", 9, true);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (code, kind, content) = backend(root, method, path, query, header("content-type"), &body);
    match fault {
        Some(Fault::Cut { after, with_length }) => {
            answer(out, code, &kind, &[], &content[..after.min(content.len())], content.len(), with_length)
        }
        Some(Fault::DoneBut(code)) => answer(out, code, "text/plain", &[], b"", 0, true),
        _ => answer(out, code, &kind, &[], &content, content.len(), true),
    }
}

fn answer(
    out: &mut impl Write,
    code: u16,
    kind: &str,
    extra: &[String],
    content: &[u8],
    length: usize,
    with_length: bool,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nConnection: close\r\n");
    extra.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    if with_length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    out.write_all(head.as_bytes())?;
    out.write_all(content)?;
    out.flush()
}

fn backend(
    root: &Path,
    method: &str,
    path: &str,
    query: &str,
    kind: Option<String>,
    body: &[u8],
) -> (u16, String, Vec<u8>) {
    let mut command = git_command(root);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(kind) = kind {
        command.env("CONTENT_TYPE", kind);
    }
    let mut child = command.spawn().expect("git http-backend starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let body = body.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&body);
    });
    let out = child.wait_with_output().expect("an answer").stdout;
    let _ = writer.join();
    let end = out.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(out.len());
    let head = String::from_utf8_lossy(&out[..end]).into_owned();
    let value = |name: &str| {
        head.lines().find_map(|l| l.strip_prefix(name).map(|v| v.trim_start_matches(':').trim().to_owned()))
    };
    let code = value("Status").and_then(|s| s.split(' ').next().and_then(|c| c.parse().ok())).unwrap_or(200);
    let kind = value("Content-Type").unwrap_or_default();
    (code, kind, out.get(end + 4..).unwrap_or_default().to_vec())
}

/// A server on another port that only notes what it is sent.
pub struct Recorder {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let got = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&got);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).unwrap_or(0);
                shared.lock().expect("a lock").extend_from_slice(&buffer[..read]);
                let _ = stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { address, got }
    }

    pub fn got(&self) -> String {
        String::from_utf8_lossy(&self.got.lock().expect("a lock")).into_owned()
    }
}

/// Sends nothing back, ever.
pub fn black_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        held.extend(listener.incoming().flatten());
    });
    address
}
