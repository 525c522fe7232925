//! What a sync did: as text for people, as JSON, as an exit code.

use crate::audit::AuditRecord;
use crate::edge::argocd::run::RunResult;
use crate::error::ErrorKind;
use crate::model::sync::{Failure, SyncOutcome, SyncRequest, SyncResult};
use serde::Serialize;

/// What a sync did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncReport {
    /// The version of this form.
    pub schema: u32,
    /// The run's id.
    pub run: String,
    /// The delivered commit.
    pub revision: String,
    /// The exit code.
    pub exit: u8,
    /// One for each Application.
    pub outcomes: Vec<SyncOutcome>,
    /// What somebody should know.
    pub notices: Vec<String>,
    /// For the run's git note: every request and outcome.
    #[serde(skip)]
    pub audit: Vec<AuditRecord>,
}

impl SyncReport {
    /// Puts a report together.
    pub fn new(request: &SyncRequest, result: RunResult, audit: Vec<AuditRecord>) -> Self {
        let asked_is_enough = request.dry_run || request.wait != crate::model::sync::WaitFor::Health;
        Self {
            schema: 1,
            run: request.run_id.clone(),
            revision: request.revision.clone(),
            exit: exit_code(&result.outcomes, asked_is_enough),
            outcomes: result.outcomes,
            notices: result.notices,
            audit,
        }
    }

    /// Prints it as JSON.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Prints it for people: a table, then what is wrong.
    pub fn text(&self) -> String {
        let mut out = self.table();
        for outcome in &self.outcomes {
            out.push_str(&explained(outcome));
        }
        for notice in &self.notices {
            out.push_str(&format!("notice: {notice}\n"));
        }
        if self.outcomes.iter().any(|o| matches!(o.result, SyncResult::Interrupted { .. })) {
            out.push_str(
                "stopped: Argo CD goes on with what it was asked; `hydrant sync` follows it again\n",
            );
        }
        out
    }

    fn table(&self) -> String {
        if self.outcomes.is_empty() {
            return "nothing to sync\n".into();
        }
        let name = |o: &SyncOutcome| format!("{}/{}  {}", o.env, o.cluster, o.app);
        let width = self.outcomes.iter().map(|o| name(o).chars().count()).max().unwrap_or(0);
        let line = |o: &SyncOutcome| {
            let at: String = o.revision.as_deref().unwrap_or("-").chars().take(10).collect();
            let row = format!(
                "{:width$}  {:<11}  {at:<10}  {:.1}s",
                name(o),
                o.result.word(),
                o.took.as_secs_f64()
            );
            format!("{}\n", row.trim_end())
        };
        self.outcomes.iter().map(line).collect()
    }
}

fn explained(o: &SyncOutcome) -> String {
    let Some(reason) = o.result.reason() else { return String::new() };
    let severity = match o.result {
        SyncResult::Superseded { .. } | SyncResult::Parked { .. } | SyncResult::Interrupted { .. } => {
            "notice"
        }
        _ => "error",
    };
    let mut out = format!("{severity}: {}/{} {}: {}: {reason}\n", o.env, o.cluster, o.app, o.result.word());
    for object in &o.failing {
        out.push_str(&format!("  {object}\n"));
    }
    if let SyncResult::Failed(Failure { mend: Some(mend), .. }) = &o.result {
        for line in mend.lines() {
            out.push_str(&format!("  hint: {line}\n"));
        }
    }
    out
}

/// 0 when nothing is owed, 3 when Argo CD itself was the obstacle somewhere, else 5.
fn exit_code(outcomes: &[SyncOutcome], asked_is_enough: bool) -> u8 {
    let outside = |o: &SyncOutcome| matches!(&o.result, SyncResult::Failed(f) if f.outside);
    let fine = |o: &SyncOutcome| o.result.is_settled() || asked_is_enough && o.result == SyncResult::Asked;
    if outcomes.iter().any(outside) {
        ErrorKind::External.exit_code()
    } else if outcomes.iter().all(fine) {
        0
    } else {
        ErrorKind::Partial.exit_code()
    }
}
