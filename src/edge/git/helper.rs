//! Git's credential helpers, asked only where somebody says so: `git credential fill`, and
//! `approve` or `reject` once the server has judged what it gave.
//!
//! This is the one place where the `git` program is run. It never asks a person: there is no
//! terminal, no window, and a time limit.

use super::credentials::Credentials;
use crate::error::{Error, Result};
use crate::redact::Secret;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use url::Url;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// What a helper gave, and the place it is for.
pub(super) struct Given {
    pub(super) credentials: Credentials,
    git: PathBuf,
    place: String,
    patience: Duration,
}

/// Asks for a user and a password for an address; `None`: no helper has any.
///
/// # Errors
/// A `git` that cannot be run or does not end in time.
pub(super) fn fill(git: &Path, url: &Url, patience: Duration) -> Result<Option<Given>> {
    let place = place(url);
    let Some(answer) = call(git, "fill", &place, patience)? else { return Ok(None) };
    let value = |name: &str| {
        let found = answer.expose().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (Some(username), Some(password)) = (value("username"), value("password")) else { return Ok(None) };
    let credentials = Credentials { username, password: Secret::new(password), host: None };
    Ok(Some(Given { credentials, git: git.to_owned(), place, patience }))
}

impl Given {
    /// Tells the helpers whether the server took what they gave. A helper that cannot keep it
    /// is no failure of ours.
    pub(super) fn judged(&self, taken: bool) {
        let who = &self.credentials;
        let told = Secret::new(format!(
            "{}username={}\npassword={}\n",
            self.place,
            who.username,
            who.password.expose()
        ));
        let verb = if taken { "approve" } else { "reject" };
        if let Err(error) = call(&self.git, verb, told.expose(), self.patience) {
            tracing::warn!("`git credential {verb}` was not told: {error}");
        }
    }
}

/// Returns the lines that name an address. A URL holds no line ends, so nothing can be slipped in.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("protocol={}\nhost={host}{port}\npath={}\n", url.scheme(), url.path().trim_start_matches('/'))
}

/// Runs `git credential VERB`; `None` if it ends with a failure, as it does without credentials.
fn call(git: &Path, verb: &str, input: &str, patience: Duration) -> Result<Option<Secret>> {
    let failed = |why: &str| Error::external(format!("`{} credential {verb}` {why}", git.display()));
    let mut child = Command::new(git)
        .args(["credential", verb])
        .env("GIT_TERMINAL_PROMPT", "0")
        // Set and empty: no program asks in a window, whatever the configuration says.
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS", "")
        .env("GCM_INTERACTIVE", "never")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| {
            Error::input(format!("the program `{}` for credential helpers cannot be run", git.display()))
                .hint("install Git, or leave --credential-helper away")
                .because(e)
        })?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("has no input and output"));
    };
    let (sender, receiver) = channel();
    let input = Secret::new(format!("{input}\n"));
    // On a thread that may be left behind: a helper's helper can hold the pipe open for ever.
    std::thread::spawn(move || {
        let mut answer = String::new();
        let written = stdin.write_all(input.expose().as_bytes());
        drop(stdin);
        let read = stdout.take(MAX_ANSWER + 1).read_to_string(&mut answer);
        // A program that needs no input may be gone before it is written.
        let written = written.or_else(|e| match e.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(e),
        });
        let _ = sender.send((written.and(read).map(drop), Secret::new(answer)));
    });
    let received = receiver.recv_timeout(patience);
    let status = end(&mut child, received.is_ok());
    match received {
        Err(_) => Err(failed(&format!("did not answer within {} s", patience.as_secs_f32()))),
        Ok((_, answer)) if answer.expose().len() as u64 > MAX_ANSWER => {
            Err(failed("answers with more than fits"))
        }
        Ok(_) if !status => Ok(None),
        Ok((Err(e), _)) => Err(failed("cannot be spoken with").because(e)),
        Ok((Ok(()), answer)) => Ok(Some(answer)),
    }
}

/// Waits for a program that has closed its output, or ends it; returns whether it was content.
fn end(child: &mut Child, closed: bool) -> bool {
    for _ in 0..100 {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if closed => std::thread::sleep(Duration::from_millis(10)),
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}
