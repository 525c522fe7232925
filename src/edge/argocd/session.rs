//! One server during one run: its client, its bounds, and reads that are repeated until
//! they say something.

use super::application::Application;
use super::client::Client;
use super::clock::Clock;
use super::fault::{Class, Fault, FaultKind};
use super::retry::Backoff;
use super::settings::Timing;
use crate::model::sync::{AppRef, Failure, SyncResult, policy};
use crate::suggest::did_you_mean;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// One server during one run.
pub struct Session {
    /// Makes the calls.
    pub client: Client,
    /// Gives the time.
    pub clock: Arc<dyn Clock>,
    /// How calls are repeated.
    pub backoff: Backoff,
    /// Every wait.
    pub timing: Timing,
    /// Operations at a time.
    pub operations: Arc<Semaphore>,
    /// Event streams at a time; who gets none polls.
    pub streams: Arc<Semaphore>,
    rights: Mutex<BTreeMap<(String, String), bool>>,
    /// Held while a project is asked about: hundreds of Applications start at once, and one
    /// answer serves them all.
    asking: tokio::sync::Mutex<()>,
}

/// What a refused call means for its Application.
#[derive(Debug)]
pub enum Refused {
    /// Try again after a wait.
    Again(Fault),
    /// The Application is not there.
    Absent(Fault),
    /// Nothing to be done in this run; the answer that said so, for the audit trail.
    Final(SyncResult, Box<Fault>),
}

impl Refused {
    /// Returns the answer behind it.
    pub fn fault(&self) -> &Fault {
        match self {
            Refused::Again(fault) | Refused::Absent(fault) => fault,
            Refused::Final(_, fault) => fault,
        }
    }
}

impl Session {
    /// Returns the session of a client.
    pub fn new(client: Client, clock: Arc<dyn Clock>, backoff: Backoff, timing: Timing) -> Self {
        let operations = client.settings().concurrency;
        Self {
            client,
            clock,
            backoff,
            timing,
            operations: Arc::new(Semaphore::new(operations)),
            // Each holds a connection; more than this is for polling.
            streams: Arc::new(Semaphore::new(operations.saturating_mul(2))),
            rights: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Reads an Application once.
    ///
    /// # Errors
    /// What the refusal means, told apart by can-i where the answer alone cannot.
    pub async fn read(&self, app: &AppRef, refresh: bool) -> Result<Application, Refused> {
        match self.client.application(app, refresh).await {
            Ok(application) => Ok(application),
            Err(fault) => Err(self.weigh(fault, app).await),
        }
    }

    /// Decides what a fault means for an Application.
    pub async fn weigh(&self, fault: Fault, app: &AppRef) -> Refused {
        match fault.class {
            Class::Transient | Class::Busy | Class::Window | Class::Refresh => Refused::Again(fault),
            Class::Ask => self.ask_why(fault, app).await,
            Class::Permanent if fault.kind == FaultKind::NotFound => Refused::Absent(fault),
            Class::Permanent => Refused::Final(self.permanent(&fault, app), Box::new(fault)),
        }
    }

    /// A bare 403: no right, or a fault of the server that looks like one.
    async fn ask_why(&self, fault: Fault, app: &AppRef) -> Refused {
        for action in ["get", "sync"] {
            match self.may(action, app).await {
                Ok(true) => {}
                Ok(false) => {
                    return Refused::Final(self.missing_right(action, app).into(), Box::new(fault));
                }
                // Then can-i itself is out of order: nothing is known, so it is a fault.
                Err(other) if other.class == Class::Permanent => {
                    return Refused::Final(self.permanent(&other, app), Box::new(other));
                }
                Err(_) => break,
            }
        }
        let mut fault = fault;
        fault.class = Class::Transient;
        fault.text = format!(
            "`permission denied`, although the policy allows it: Argo CD cannot reach Kubernetes, or does not watch namespace `{}`",
            app.namespace
        );
        Refused::Again(fault)
    }

    /// Asks whether the policy allows an action, once for a project and once for each
    /// Application where the project as a whole is not allowed.
    ///
    /// # Errors
    /// A fault of the question itself.
    pub async fn may(&self, action: &str, app: &AppRef) -> Result<bool, Fault> {
        // `project/*` asks for all of a project: a policy for some of it does not match.
        // Outside of Argo CD's own namespace the object has three parts; we cannot know
        // which that is, so both forms are asked.
        let objects = [
            format!("{}/*", app.project),
            format!("{}/{}", app.project, app.name),
            format!("{}/{}/{}", app.project, app.namespace, app.name),
        ];
        for (place, object) in objects.into_iter().enumerate() {
            let key = (action.to_owned(), object);
            let _alone = if place == 0 { Some(self.asking.lock().await) } else { None };
            let known = self.rights.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
            let allowed = match known {
                Some(allowed) => allowed,
                None => {
                    let allowed = self.client.can_i(action, &key.1).await?;
                    self.rights.lock().unwrap_or_else(PoisonError::into_inner).insert(key, allowed);
                    allowed
                }
            };
            if allowed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the failure for a right that is missing, with the policy lines that grant it.
    pub fn missing_right(&self, action: &str, app: &AppRef) -> Failure {
        let claims = self.client.claims().unwrap_or_default();
        let account = claims.account().unwrap_or("<account>").to_owned();
        Failure::permanent(format!(
            "account `{account}` has no right to `{action}` Application {}/{}",
            app.project, app.name
        ))
        .mend(policy::mend(&account, &app.project, &app.name))
        .outside()
    }

    /// Returns the failure for a permanent fault, with its mend.
    pub fn permanent(&self, fault: &Fault, app: &AppRef) -> SyncResult {
        if fault.kind == FaultKind::MissingRight {
            let action = if fault.text.contains(", override,") { "override" } else { "sync" };
            return Failure { reason: fault.to_string(), ..self.missing_right(action, app) }.into();
        }
        fault.failure(true, fault.to_string()).into()
    }

    /// Returns the failure for an Application that is not there, with the near misses.
    pub async fn absent(&self, fault: &Fault, app: &AppRef) -> SyncResult {
        let names = self.client.names(&app.project).await.unwrap_or_default();
        let near = did_you_mean(&app.name, names.iter().map(String::as_str));
        let mend = near.unwrap_or_else(|| format!("project `{}` has no Applications", app.project));
        let mend =
            format!("{mend}; `kubectl apply -f …/bootstrap/root-app.yaml` creates what the repository has");
        Failure::permanent(fault.text.clone()).mend(mend).into()
    }
}
