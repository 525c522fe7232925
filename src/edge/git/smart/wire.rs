//! The way to a server's repository: HTTP or SSH, with one set of calls.

use super::super::clock::Clock;
use super::super::remote::Remote;
use super::super::settings::GitSettings;
use super::super::ssh::Ssh;
use super::advert::Advert;
use super::failure::{Failure, TRIES, pause};
use super::http::Http;
use crate::error::{Error, Result};
use std::io::{self, Read};

/// The way to one repository.
pub(in super::super) enum Wire {
    Http(Box<Http>),
    Ssh(Box<Ssh>),
}

impl Wire {
    /// Prepares to speak to a repository behind an address; `None`: it is a local one.
    pub(in super::super) fn new(remote: &Remote, settings: &GitSettings) -> Result<Option<Self>> {
        Ok(match remote {
            Remote::Local(_) => None,
            Remote::Http(url) => Some(Wire::Http(Box::new(Http::new(url, settings)?))),
            Remote::Ssh(address) => Some(Wire::Ssh(Box::new(Ssh::new(address, settings)?))),
        })
    }

    /// Asks for the references, again if the server is only unwell.
    pub(in super::super) fn advert(&self, service: &str, clock: &dyn Clock) -> Result<Advert> {
        match self {
            Wire::Http(http) => http.advert(service, clock),
            Wire::Ssh(ssh) => {
                let mut tried = 0;
                loop {
                    tried += 1;
                    match ssh.advert(service) {
                        Ok(advert) => return Ok(advert),
                        Err(failure) if failure.may_pass() && tried < TRIES => pause(&failure, tried, clock),
                        Err(failure) => {
                            let what = match service {
                                "git-receive-pack" => "cannot push to",
                                _ => "cannot read the branches of",
                            };
                            return Err(self.error(what, &failure));
                        }
                    }
                }
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
        match self {
            Wire::Http(http) => http.call(service, body, read),
            Wire::Ssh(ssh) => ssh.call(service, body, read),
        }
    }

    /// As [`Wire::call`], but again if the server is only unwell. For requests that change nothing.
    pub(in super::super) fn ask<T>(
        &self,
        service: &str,
        body: &[u8],
        clock: &dyn Clock,
        mut read: impl FnMut(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.call(service, body.to_vec(), &mut read) {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.may_pass() && tried < TRIES => pause(&failure, tried, clock),
                Err(failure) => return Err(self.error("cannot fetch from", &failure)),
            }
        }
    }

    /// Returns true if the server may refuse a commit that no reference is at, although one
    /// contains it: Git's own does so over SSH, and not over HTTP.
    pub(in super::super) fn gives_references_only(&self) -> bool {
        matches!(self, Wire::Ssh(_))
    }

    /// Ends what was begun and is not gone on with, when the returned value goes.
    pub(in super::super) fn rest_at_end(&self) -> Rest<'_> {
        Rest(self)
    }

    /// Returns the error that says what did not happen and why.
    pub(in super::super) fn error(&self, what: &str, failure: &Failure) -> Error {
        match self {
            Wire::Http(http) => http.error(what, failure),
            Wire::Ssh(ssh) => ssh.error(what, failure),
        }
    }
}

/// Ends a conversation that waits for what is wanted.
pub(in super::super) struct Rest<'a>(&'a Wire);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if let Wire::Ssh(ssh) = self.0 {
            ssh.rest();
        }
    }
}
