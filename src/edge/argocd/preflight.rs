//! Before the first request: is the token good, for how long, and is the right there.

use super::fault::Class;
use super::session::Session;
use crate::model::sync::{AppRef, Failure, SyncResult};

/// What was found out about a server.
#[derive(Debug, Default)]
pub struct Preflight {
    /// Set when no Application of this server can be synced in this run.
    pub refused: Option<SyncResult>,
    /// What somebody should know (a token that expires soon).
    pub notices: Vec<String>,
    /// True when a notice is worth an alert.
    pub urgent: bool,
}

/// Checks a server's token.
pub async fn server(session: &Session, run_id: &str) -> Preflight {
    let mut found = Preflight { refused: token(session, run_id).await, ..Preflight::default() };
    // Last: the token may have been read anew meanwhile.
    expiry(session, &mut found);
    found
}

/// Asks who we are; returns why nothing can be synced, if so.
async fn token(session: &Session, run_id: &str) -> Option<SyncResult> {
    let mut failures = 0;
    loop {
        match session.client.userinfo().await {
            Ok(user) if user.logged_in => return None,
            // A bad token is no error here, so the rotation has to be looked for on purpose.
            Ok(_) if session.client.read_token_again() => continue,
            Ok(_) => return Some(refused_token(session)),
            Err(fault) if fault.class == Class::Transient => {
                failures += 1;
                match session.backoff.wait(failures, run_id, fault.retry_after) {
                    Some(wait) => session.clock.sleep(wait).await,
                    None => {
                        let reason = format!("Argo CD at {} does not answer: {fault}", session.client.id);
                        return Some(fault.failure(false, reason).into());
                    }
                }
            }
            Err(fault) => {
                let reason = format!("Argo CD at {}: {fault}", session.client.id);
                return Some(fault.failure(true, reason).into());
            }
        }
    }
}

/// Checks the rights on one Application; `None` when nothing speaks against it.
pub async fn rights(session: &Session, app: &AppRef) -> Option<SyncResult> {
    for action in ["get", "sync"] {
        match session.may(action, app).await {
            Ok(true) => {}
            Ok(false) => return Some(session.missing_right(action, app).into()),
            // The sync itself will tell, with its own tries.
            Err(fault) => {
                tracing::debug!(app = %app.name, %fault, "can-i did not answer");
                return None;
            }
        }
    }
    None
}

fn expiry(session: &Session, found: &mut Preflight) {
    let Some(claims) = session.client.claims() else { return };
    let id = claims.id.as_deref().unwrap_or("without id");
    let Some(days) = claims.days_left(session.clock.wall()) else { return };
    if days <= 14 {
        found.urgent = days <= 3;
        let account = claims.account().unwrap_or("unknown");
        let when = if days < 0 { "has expired".to_owned() } else { format!("expires in {days} days") };
        found.notices.push(format!(
            "the token `{id}` of account `{account}` for {} {when}; create a second one, put it in place, then revoke this one",
            session.client.id
        ));
    }
}

fn refused_token(session: &Session) -> SyncResult {
    let claims = session.client.claims().unwrap_or_default();
    let expired = claims.days_left(session.clock.wall()).is_some_and(|d| d < 0);
    let account = claims.account().unwrap_or("<name>").to_owned();
    Failure::permanent(format!(
        "Argo CD at {} does not accept the token of account `{account}`{}",
        session.client.id,
        if expired { ": it has expired" } else { "" }
    ))
    .mend(format!(
        "`argocd account generate-token --account {account}`, put it into {}, then `argocd account delete-token` for the old one",
        session.client.settings().token.place()
    ))
    .outside()
    .into()
}
