//! The record of a run, as it stands in the git note of a commit of ours: where the commit
//! came from, what it changed, and what became of it in Argo CD.
//!
//! One JSON document, keys sorted, bounded in size, cleaned by the redactor. Notes can be
//! written by anybody who may push: what is read is checked, cleaned and never trusted with
//! more than which Applications need a look.

mod followed;
mod trail;

pub use followed::{Base, Followed, Outcomes};
pub use trail::trail;

use crate::audit::AuditRecord;
use crate::model::tree::ObjectId;
use crate::redact::plain;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of this form.
pub const SCHEMA: u32 = 1;

/// The longest record that is written, in bytes.
const MOST_BYTES: usize = 128 << 10;
/// The longest record that is read, in bytes.
const MOST_READ: usize = 1 << 20;
/// How many changed units are listed of one cluster, and of all.
const LISTED: usize = 50;
const LISTED_IN_ALL: usize = 500;
/// How many lines of the trail are kept.
const LINES: usize = 400;
/// The longest message of a line, in characters.
const MESSAGE: usize = 300;

/// How many notes of a fleet on one branch are kept; older ones go with the next that is written.
pub const KEPT: usize = 300;

/// The record of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Record {
    /// The version of this form.
    pub schema: u32,
    /// The run's id, as Argo CD's operations carry it.
    pub run: String,
    /// When the commit was made, RFC 3339.
    pub time: String,
    /// Hydrant's version.
    pub version: String,
    /// The digest of the built-in templates and overlays.
    pub templates: String,
    /// The digest of every input byte, as in the trailer.
    pub inputs: String,
    /// The fleet's name.
    pub fleet: String,
    /// Where the fleet came from.
    pub source: Source,
    /// Where the change was delivered to.
    pub destination: Target,
    /// What changed, by `env/cluster`.
    pub clusters: BTreeMap<String, Changes>,
    /// Up to where each cluster's Applications were followed, by branch: people merge and
    /// fast-forward, so one commit may stand on several.
    pub followed: BTreeMap<String, Followed>,
    /// The requests to Argo CD and their outcomes, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<AuditRecord>,
    /// How many lines of the trail were left out for their number.
    #[serde(skip_serializing_if = "is_zero")]
    pub trail_left_out: usize,
}

/// Where a fleet came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    /// Its repository or folder.
    pub name: String,
    /// Its commit, if it lies in Git without changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// Where a change was delivered to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Target {
    /// The repository; the last part of the path for one on this machine.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The head it was made on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// How many times it was made, the last one included.
    pub tries: u32,
}

/// What changed in one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Changes {
    /// Files that are new.
    pub added: usize,
    /// Files whose content changed.
    pub changed: usize,
    /// Files that went.
    pub removed: usize,
    /// How many units changed.
    pub units: usize,
    /// The first of them, by place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What was found where a record belongs.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A record of ours.
    Record(Box<Record>),
    /// A record in the form of a newer Hydrant, which is not to be written over.
    Newer,
    /// Something else, or a record that is damaged.
    Foreign,
}

impl Record {
    /// Reads a note. It never fails: what is no record is [`Found::Foreign`].
    pub fn read(text: &[u8]) -> Found {
        if text.len() > MOST_READ {
            return Found::Foreign;
        }
        let Ok(value) = serde_json::from_slice::<Value>(text) else { return Found::Foreign };
        match value.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(schema) if schema > u64::from(SCHEMA) => return Found::Newer,
            _ => return Found::Foreign,
        }
        match serde_json::from_value::<Record>(cleaned(value)) {
            Ok(mut record) => {
                let more = record.trail.len().saturating_sub(LINES);
                record.trail.drain(..more);
                Found::Record(Box::new(record))
            }
            Err(_) => Found::Foreign,
        }
    }

    /// Returns the note: what is too long is left out until it fits, the least useful first.
    pub fn bytes(&self) -> Vec<u8> {
        let mut record = self.clone();
        record.shorten();
        let mut text = record.text();
        // Requests say less than outcomes, lists less than counts.
        for cut in [cut_requests, cut_lists, cut_trail, cut_clusters, cut_followed] {
            if text.len() <= MOST_BYTES {
                break;
            }
            cut(&mut record);
            text = record.text();
        }
        text
    }

    fn text(&self) -> Vec<u8> {
        // Through a value: its keys are sorted, and every text in it passes the redactor.
        let value = cleaned(serde_json::to_value(self).unwrap_or_default());
        let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
        text.push(b'\n');
        text
    }

    fn shorten(&mut self) {
        let mut room = LISTED_IN_ALL;
        for changes in self.clusters.values_mut() {
            changes.listed.truncate(LISTED.min(room));
            room -= changes.listed.len();
        }
        for line in &mut self.trail {
            line.message = line.message.chars().take(MESSAGE).collect();
            line.failing.truncate(10);
        }
        if self.trail.len() > LINES {
            cut_requests(self);
        }
        let more = self.trail.len().saturating_sub(LINES);
        self.trail.drain(..more);
        self.trail_left_out += more;
    }
}

fn cut_requests(record: &mut Record) {
    let before = record.trail.len();
    record.trail.retain(|line| line.event == "outcome");
    record.trail_left_out += before - record.trail.len();
}

fn cut_lists(record: &mut Record) {
    record.clusters.values_mut().for_each(|changes| changes.listed.clear());
}

fn cut_trail(record: &mut Record) {
    // The failures are what somebody will look for.
    let before = record.trail.len();
    record.trail.retain(|line| line.result != "live");
    record.trail.truncate(LINES / 4);
    record.trail_left_out += before - record.trail.len();
}

fn cut_clusters(record: &mut Record) {
    record.clusters.clear();
}

fn cut_followed(record: &mut Record) {
    // Nothing known is safe: Argo CD is asked.
    record.followed.clear();
}

/// Returns a value without secrets and control characters, which could steer a terminal.
fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&text)),
        // The parser bounds the depth.
        Value::Array(items) => items.into_iter().map(cleaned).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (plain(&key), cleaned(value))).collect(),
        other => other,
    }
}

/// Returns the commits whose records have served their time: of one fleet on one branch, all
/// but the newest [`KEPT`]. What is no record of ours is never among them.
pub fn outlived(notes: &[(ObjectId, std::sync::Arc<[u8]>)], fleet: &str, branch: &str) -> Vec<ObjectId> {
    let mut ours: Vec<(String, ObjectId)> = Vec::new();
    for (commit, text) in notes {
        if let Found::Record(record) = Record::read(text)
            && record.fleet == fleet
            && record.destination.branch == branch
        {
            ours.push((record.time, *commit));
        }
    }
    ours.sort();
    let more = ours.len().saturating_sub(KEPT);
    ours.into_iter().take(more).map(|(_, commit)| commit).collect()
}
