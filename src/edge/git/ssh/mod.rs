//! Git's services over SSH.
//!
//! The protocol inside is that of [`super::smart`], version 0, which every server speaks
//! without being asked. One connection serves the list of branches and the request after it.
//!
//! * [`address`]: where the server is, as it is written.
//! * [`settings`], [`key`], [`agent`]: who we are.
//! * [`known_hosts`], [`guard`]: who the server is.
//! * [`session`]: one connection and one command.
//! * [`conversation`]: the same for callers that block.

mod address;
pub(super) mod agent;
mod conversation;
mod guard;
pub(super) mod key;
mod known_hosts;
mod session;
mod settings;

pub use address::SshAddress;
pub use settings::{KeySource, SshSettings};

use super::settings::GitSettings;
use super::smart::advert::{self, Advert, MAX_ADVERT};
use super::smart::failure::{Failure, Mender};
use crate::error::{Error, Result};
use conversation::Conversation;
use known_hosts::{KnownHosts, usual_files};
use session::{Login, Plan};
use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

/// The variables of the key, for messages.
const NAMES: key::Names = key::Names { key: "HYDRANT_GIT_SSH_KEY", passphrase: "HYDRANT_GIT_SSH_PASSPHRASE" };

/// An SSH server's one repository.
pub(in super::super) struct Ssh {
    plan: Arc<Plan>,
    deadline: Duration,
    max_pack: u64,
    /// A command that has listed its references and waits for what is wanted.
    begun: RefCell<Option<Conversation>>,
}

impl Ssh {
    /// Prepares to speak to a repository; nothing is sent yet.
    ///
    /// # Errors
    /// A key or a known_hosts file that cannot be used.
    pub(in super::super) fn new(address: &SshAddress, settings: &GitSettings) -> Result<Self> {
        let ssh = &settings.ssh;
        let mut known = if ssh.names_known_hosts() {
            KnownHosts::read(&ssh.known_hosts, true)?
        } else {
            KnownHosts::read(&usual_files(), false)?
        };
        if let Some(text) = &ssh.known_hosts_text {
            known.add(
                "the lines that were given (HYDRANT_GIT_KNOWN_HOSTS, or git.knownHosts in hydrant.yaml)",
                text,
            );
        }
        let login = match (&ssh.key, &ssh.agent) {
            (Some(source), _) => Login::Key(key::load(source, ssh.passphrase.as_ref(), &NAMES)?),
            (None, Some(socket)) => Login::Agent(socket.clone()),
            (None, None) => Login::Nothing,
        };
        let plan = Plan {
            address: address.clone(),
            known: Arc::new(known),
            login,
            connect: settings.connect_deadline,
            silence: settings.silence,
        };
        Ok(Self {
            plan: Arc::new(plan),
            deadline: settings.call_deadline,
            max_pack: settings.max_pack,
            begun: RefCell::new(None),
        })
    }

    /// Asks for the references. The command waits for a call afterwards, or for [`Ssh::rest`].
    pub(in super::super) fn advert(&self, service: &str) -> Result<Advert, Failure> {
        self.rest();
        let (conversation, advert) = self.begin(service)?;
        self.begun.replace(Some(conversation));
        Ok(advert)
    }

    fn begin(&self, service: &str) -> Result<(Conversation, Advert), Failure> {
        let mut conversation = Conversation::begin(Arc::clone(&self.plan), service, self.deadline);
        let advert = conversation.hear(MAX_ADVERT, |reader| advert::read(reader))?;
        Ok((conversation, advert))
    }

    /// Sends a request of a service and reads its answer while it arrives.
    pub(in super::super) fn call<T>(
        &self,
        service: &str,
        body: Vec<u8>,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, Failure> {
        let begun = self.begun.take().filter(|begun| begun.waits_for(service));
        let mut conversation = match begun {
            Some(begun) => begun,
            None => self.begin(service)?.0,
        };
        conversation.order(body);
        conversation.hear(self.max_pack, read)
    }

    /// Ends a conversation that was begun and is not gone on with.
    pub(in super::super) fn rest(&self) {
        self.begun.take();
    }

    /// Returns the error that says what did not happen and why.
    pub(in super::super) fn error(&self, what: &str, failure: &Failure) -> Error {
        let text = format!("{what} {}: {}", self.plan.address, failure.words());
        let Failure::Denied(denial) = failure else { return Error::external(text) };
        let error = match denial.by {
            Mender::Caller => Error::input(text),
            Mender::Person => Error::guard(text),
            Mender::Server => Error::external(text),
        };
        denial.hints.iter().fold(error, |error, hint| error.hint(hint.clone()))
    }
}
