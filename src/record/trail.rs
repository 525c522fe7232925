//! The audit trail as the notes of a repository tell it.

use super::{Found, Record};
use crate::audit::{AuditFilter, AuditRecord, AuditTrail};
use crate::model::tree::ObjectId;
use std::sync::Arc;

/// The most lines that are shown, the newest.
const MOST: usize = 10_000;

/// Returns the trail of all records among the notes of a repository, oldest first: one line
/// for each delivery, and what came of it in Argo CD.
pub fn trail(notes: &[(ObjectId, Arc<[u8]>)], filter: &AuditFilter) -> AuditTrail {
    let mut found = AuditTrail::default();
    for (commit, text) in notes {
        let Found::Record(record) = Record::read(text) else {
            found.unreadable += 1;
            continue;
        };
        found.records.push(delivered(commit, &record));
        found.records.extend(record.trail);
    }
    found.records.retain(|line| filter.takes(line));
    found.records.sort_by(|a, b| (&a.time, &a.application).cmp(&(&b.time, &b.application)));
    let more = found.records.len().saturating_sub(filter.last.unwrap_or(MOST));
    found.records.drain(..more);
    found
}

fn delivered(commit: &ObjectId, record: &Record) -> AuditRecord {
    let units: usize = record.clusters.values().map(|changes| changes.units).sum();
    let clusters: Vec<&str> = record.clusters.keys().take(5).map(String::as_str).collect();
    let more = record.clusters.len() - clusters.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let source = record.source.commit.as_deref().map_or("-", |commit| commit.get(..10).unwrap_or(commit));
    AuditRecord {
        time: record.time.clone(),
        event: "delivered".into(),
        run: record.run.clone(),
        server: record.destination.branch.clone(),
        source_commit: record.source.commit.clone(),
        revision: commit.to_string(),
        message: format!("{units} unit(s) of {}{rest} from {source}", clusters.join(", ")),
        ..AuditRecord::default()
    }
}
