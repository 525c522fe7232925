//! One SSH session: connect, prove the server, log in, run one command, pass its bytes on.
//!
//! Everything in here is asynchronous and runs on a thread of its own (see
//! [`super::conversation`]); each step has its own deadline.

use super::address::SshAddress;
use super::agent::{Agent, offered};
use super::guard::{Guard, Trouble};
use super::key::{Key, name_of};
use super::known_hosts::KnownHosts;
use crate::edge::git::smart::answer::clean;
use crate::edge::git::smart::failure::{Failure, Mender};
use russh::client::{AuthResult, Config, Handle, Msg};
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::ssh_key::HashAlg;
use russh::{AlgorithmKind, ChannelMsg, ChannelWriteHalf, Disconnect, Preferred, SshId};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// What a command's messages for people are cut at, in bytes.
const MAX_STDERR: usize = 16 << 10;

/// How long a server may take to end a conversation that is over.
const FAREWELL: Duration = Duration::from_secs(2);

/// How we prove who we are.
#[derive(Clone)]
pub(super) enum Login {
    Key(Key),
    Agent(PathBuf),
    /// Neither a key nor an agent is configured.
    Nothing,
}

/// All that a session is told.
pub(super) struct Plan {
    pub(super) address: SshAddress,
    pub(super) known: Arc<KnownHosts>,
    pub(super) login: Login,
    /// How long the connection may take to be made.
    pub(super) connect: Duration,
    /// How long the server may say nothing, and each step of the opening may take.
    pub(super) silence: Duration,
}

type Session = Handle<Guard>;

/// Runs a command; its output goes to `out`. The first order is what it is sent; if there is
/// none, it is told that nothing is wanted.
pub(super) async fn converse(
    plan: &Plan,
    command: &str,
    orders: UnboundedReceiver<Vec<u8>>,
    out: SyncSender<Vec<u8>>,
) -> Result<(), Failure> {
    let mut session = open(plan).await?;
    in_time(plan, "the login", log_in(&mut session, plan)).await??;
    let outcome = run(plan, &mut session, command, orders, out).await;
    let _ = timeout(FAREWELL, session.disconnect(Disconnect::ByApplication, "", "")).await;
    outcome
}

async fn in_time<T>(plan: &Plan, what: &str, step: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(plan.silence, step)
        .await
        .map_err(|_| Failure::Connect(format!("{what} was not done within {} s", plan.silence.as_secs_f32())))
}

/// Connects and judges the server's key.
async fn open(plan: &Plan) -> Result<Session, Failure> {
    let SshAddress { host, port, .. } = &plan.address;
    let connecting = tokio::net::TcpStream::connect((host.as_str(), *port));
    let stream = match timeout(plan.connect, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return Err(Failure::Connect(format!("no connection to {host} port {port}: {e}"))),
        Err(_) => {
            return Err(Failure::Connect(format!(
                "no connection to {host} port {port} within {} s",
                plan.connect.as_secs_f32()
            )));
        }
    };
    // Small packets are waited for on both sides; a socket that refuses this is only slower.
    let _ = stream.set_nodelay(true);
    let guard = Guard { known: Arc::clone(&plan.known), address: plan.address.clone() };
    let config = Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-hydrant_", env!("CARGO_PKG_VERSION")))),
        preferred: Preferred { key: Cow::Owned(guard.key_types()), ..Preferred::DEFAULT },
        // A dead peer is found although nobody sends: after three of these without an answer.
        keepalive_interval: Some((plan.silence / 4).max(Duration::from_millis(100))),
        keepalive_max: 3,
        ..Config::default()
    };
    let shaking = russh::client::connect_stream(Arc::new(config), stream, guard);
    in_time(plan, "the SSH handshake", shaking).await?.map_err(not_opened)
}

/// Returns why a session was not opened.
fn not_opened(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Refused(failure) => *failure,
        Trouble::Ssh(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. }) => Failure::denied(
            Mender::Server,
            format!(
                "the server has host keys of type {} only, and Ed25519 and ECDSA are understood",
                clean(&theirs.join(", "))
            ),
            "use the https:// address of the repository with a token, or give the server an Ed25519 host key",
        ),
        Trouble::Ssh(russh::Error::NoCommonAlgo { kind, theirs, .. }) => Failure::denied(
            Mender::Server,
            format!(
                "the server and we have no {kind:?} algorithm in common; it offers {}",
                clean(&theirs.join(", "))
            ),
            "a newer server, or the https:// address of the repository",
        ),
        Trouble::Ssh(russh::Error::Disconnect | russh::Error::HUP) => {
            Failure::Connect("the server closed the connection during the SSH handshake".into())
        }
        Trouble::Ssh(russh::Error::Version) => Failure::Protocol("no SSH server answers there".into()),
        Trouble::Ssh(e) => Failure::Connect(format!("the SSH handshake failed: {}", clean(&e.to_string()))),
    }
}

async fn log_in(session: &mut Session, plan: &Plan) -> Result<(), Failure> {
    let user = plan.address.user.as_str();
    let lost = |e: russh::Error| Failure::Connect(format!("the login failed: {}", clean(&e.to_string())));
    match &plan.login {
        Login::Nothing => Err(Failure::denied(
            Mender::Caller,
            "there is no SSH key to log in with",
            "name a key file (--ssh-key FILE, HYDRANT_GIT_SSH_KEY_FILE), or start an agent (SSH_AUTH_SOCK)",
        )),
        Login::Key(key) => {
            let tried = format!("{} from {}", name_of(key.key.public_key()), key.from);
            let offer = PrivateKeyWithHashAlg::new(Arc::clone(&key.key), None);
            match session.authenticate_publickey(user, offer).await.map_err(lost)? {
                AuthResult::Success => Ok(()),
                refusal => Err(refused(session, user, &refusal, &[tried]).await),
            }
        }
        Login::Agent(socket) => {
            let stopped = |why: String| {
                Failure::denied(
                    Mender::Caller,
                    why,
                    "look with `ssh-add -l`, or name a key file (--ssh-key FILE)",
                )
            };
            let mut agent = Agent::connect(socket).await.map_err(stopped)?;
            let keys = offered(agent.keys().await.map_err(stopped)?);
            if keys.is_empty() {
                return Err(stopped(format!("the SSH agent at {} holds no key", socket.display())));
            }
            let mut tried = Vec::new();
            let mut last = None;
            for key in keys {
                tried.push(format!("{} from the agent", name_of(&key)));
                // SHA-1 signatures of RSA keys are refused everywhere by now.
                let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
                match session.authenticate_publickey_with(user, key, hash, &mut agent.client).await {
                    Ok(AuthResult::Success) => return Ok(()),
                    Ok(refusal) => last = Some(refusal),
                    // An agent may decline one key and sign with the next.
                    Err(e) => tried.push(format!("(the agent did not sign: {})", clean(&e.to_string()))),
                }
                if session.is_closed() {
                    break;
                }
            }
            let refusal = last.unwrap_or(AuthResult::Failure {
                remaining_methods: russh::MethodSet::empty(),
                partial_success: false,
            });
            Err(refused(session, user, &refusal, &tried).await)
        }
    }
}

/// Tells a refused key from a connection that ended.
async fn refused(session: &mut Session, user: &str, refusal: &AuthResult, tried: &[String]) -> Failure {
    let tried = tried.join(", ");
    match refusal {
        AuthResult::Failure { remaining_methods, .. }
            if remaining_methods.is_empty() && session.is_closed() =>
        {
            match timeout(FAREWELL, session).await {
                Ok(Err(Trouble::Refused(failure))) => *failure,
                _ => Failure::Connect(format!(
                    "the server closed the connection during the login (tried {tried})"
                )),
            }
        }
        AuthResult::Failure { partial_success: true, .. } => Failure::denied(
            Mender::Server,
            format!("the server wants more than a key of user `{user}` (tried {tried})"),
            "use an account that needs a key alone",
        ),
        _ => Failure::denied(
            Mender::Server,
            format!("the server refuses every key of user `{user}`; tried {tried}"),
            "add the public key to the server (a deploy key that may write), or name another (--ssh-key FILE)",
        ),
    }
}

/// What a command has said so far.
#[derive(Default)]
struct Said {
    bytes: u64,
    stderr: Vec<u8>,
    status: Option<u32>,
}

/// Runs the command on a channel of its own.
async fn run(
    plan: &Plan,
    session: &mut Session,
    command: &str,
    orders: UnboundedReceiver<Vec<u8>>,
    out: SyncSender<Vec<u8>>,
) -> Result<(), Failure> {
    let lost = |e: russh::Error| Failure::Cut(format!("the connection ended: {}", clean(&e.to_string())));
    let channel =
        in_time(plan, "the opening of a channel", session.channel_open_session()).await?.map_err(lost)?;
    in_time(plan, "the start of the command", channel.exec(true, command)).await?.map_err(lost)?;
    let (mut from, to) = channel.split();
    let (over, mut is_over) = tokio::sync::oneshot::channel();
    let writer = tokio::spawn(write(to, orders, over));
    let mut said = Said::default();
    let mut ending_now = false;
    let outcome = loop {
        let patience = if ending_now { FAREWELL } else { plan.silence };
        tokio::select! {
            message = timeout(patience, from.wait()) => match message {
                Ok(message) => match heard(message, &mut said, &out) {
                    Next::More => {}
                    Next::Done(outcome) => break outcome,
                },
                Err(_) if ending_now => break Ok(()),
                Err(_) => break Err(Failure::Cut(format!(
                    "the server fell silent for {} s{}", patience.as_secs_f32(), words(&said)
                ))),
            },
            // Nothing more is wanted of it: it may end, but it is not waited for as long.
            Ok(()) = &mut is_over, if !ending_now => ending_now = true,
        }
    };
    writer.abort();
    match outcome {
        Err(Failure::Cut(why)) if session.is_closed() => {
            Err(Failure::Cut(format!("{why}{}", ending(session).await)))
        }
        outcome => outcome,
    }
}

/// Returns what ended a session, in words.
async fn ending(session: &mut Session) -> String {
    match timeout(FAREWELL, session).await {
        Ok(Err(Trouble::Ssh(e))) => format!(": {}", clean(&e.to_string())),
        _ => String::new(),
    }
}

/// Sends what the command is to read. `over` fires once nobody waits for an answer any more.
async fn write(
    to: ChannelWriteHalf<Msg>,
    mut orders: UnboundedReceiver<Vec<u8>>,
    over: tokio::sync::oneshot::Sender<()>,
) {
    // A flush says that nothing is wanted, or that no branch shall move.
    let body = orders.recv().await.unwrap_or_else(|| b"0000".to_vec());
    let sent = to.data_bytes(body).await.is_ok() && to.eof().await.is_ok();
    if sent {
        let _ = orders.recv().await;
    }
    let _ = over.send(());
    // Dropped any earlier, this half would close the channel.
    std::future::pending::<()>().await;
}

enum Next {
    More,
    Done(Result<(), Failure>),
}

/// Takes in one message of the server.
fn heard(message: Option<ChannelMsg>, said: &mut Said, out: &SyncSender<Vec<u8>>) -> Next {
    match message {
        Some(ChannelMsg::Data { data }) => {
            said.bytes += data.len() as u64;
            match out.send(data.to_vec()) {
                Ok(()) => Next::More,
                // The reader has all it wants, or cannot go on; it knows which.
                Err(_) => Next::Done(Ok(())),
            }
        }
        Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
            let room = MAX_STDERR.saturating_sub(said.stderr.len());
            said.stderr.extend(data.iter().take(room));
            Next::More
        }
        Some(ChannelMsg::Failure) => Next::Done(Err(Failure::denied(
            Mender::Server,
            "the server does not let this user run Git's commands",
            "look whether the account is one for Git, and whether the key is bound to another command",
        ))),
        Some(ChannelMsg::ExitStatus { exit_status }) => {
            said.status = Some(exit_status);
            Next::More
        }
        // Messages for people and the status may still follow the end of the output.
        Some(_) => Next::More,
        None => Next::Done(verdict(said)),
    }
}

/// Returns what a command's end means.
fn verdict(said: &Said) -> Result<(), Failure> {
    match said.status {
        Some(0) => Ok(()),
        None => Err(Failure::Cut(format!("the connection ended{}", words(said)))),
        Some(_) if said.bytes == 0 => Err(no_service(said)),
        Some(status) => {
            Err(Failure::Cut(format!("the server's command ended with status {status}{}", words(said))))
        }
    }
}

fn words(said: &Said) -> String {
    match clean(&String::from_utf8_lossy(&said.stderr)) {
        text if text.is_empty() => text,
        text => format!(": {text}"),
    }
}

/// Returns why a command ended before it said anything: no such repository, or no right to it.
fn no_service(said: &Said) -> Failure {
    let text = clean(&String::from_utf8_lossy(&said.stderr));
    let lower = text.to_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // The words of Git, GitHub, GitLab, Gitea and Bitbucket.
    let hint = if about(&["not found", "does not appear to be", "could not be found", "does not exist"]) {
        "look at the path in the address, and at what the key may see"
    } else if about(&["denied", "not allowed", "read only", "read-only", "write access", "unauthorized"]) {
        "the key needs the right to write (of a deploy key too)"
    } else {
        "look at the address, and at what the key may do"
    };
    let why = if text.is_empty() { "it ended at once and did not say why".to_owned() } else { text };
    Failure::denied(Mender::Server, format!("the server says: {why}"), hint)
}
