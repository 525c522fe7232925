//! The audit trail of syncs: one JSON line for every request and every outcome.
//!
//! It joins the chain source commit → delivered commit → sync → health. A line holds no
//! token and no header; texts of Argo CD have passed the redactor. The file is rotated by
//! size, and the lines of one run also go into the run's git note.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One line. Empty parts are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuditRecord {
    /// When, RFC 3339.
    pub time: String,
    /// `request`, `outcome`, `delivered` (of a note), or `before`: the last operation, which a dry run replaces.
    pub event: String,
    /// `sync`, `refresh`, `terminate`, `webhook`, `preflight`; empty for an outcome.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The run's id.
    pub run: String,
    /// The Argo CD server.
    pub server: String,
    /// The Application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its project.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The environment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env: String,
    /// The fleet's commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_commit: Option<String>,
    /// The delivered commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// `manual`, `auto`, `hydrator` or `dry-run`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<u16>,
    /// Argo CD's gRPC code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The operation's phase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// The sync status.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sync: String,
    /// The revision that Argo CD compared with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub synced_revision: String,
    /// The health.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health: String,
    /// `live`, `failed`, …; empty for a request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
    /// Why, in Argo CD's words or ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The objects at fault, as `kubectl` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// How an audit file grows.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// A file longer than this is put aside, in bytes.
    pub most_bytes: u64,
    /// How many files that were put aside are kept.
    pub keep: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { most_bytes: 10 * 1024 * 1024, keep: 5 }
    }
}

/// Where audit lines go: a file, if there is one, and the run's own list.
#[derive(Debug, Default)]
pub struct Audit {
    file: Option<Mutex<AuditFile>>,
    lines: Mutex<Vec<AuditRecord>>,
}

#[derive(Debug)]
struct AuditFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    size: u64,
}

impl Audit {
    /// Opens an audit file for appending; folders are made.
    ///
    /// # Errors
    /// The I/O error with the path in it.
    pub fn open(path: &Path, rotation: Rotation) -> std::io::Result<Self> {
        let (file, size) = append(path)?;
        let file = AuditFile { path: path.to_owned(), rotation, file, size };
        Ok(Self { file: Some(Mutex::new(file)), lines: Mutex::default() })
    }

    /// Writes a line. A full disk is logged and does not stop a sync.
    pub fn record(&self, record: AuditRecord) {
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = file.write(&record) {
                tracing::error!(%error, path = %file.path.display(), "an audit line could not be written");
            }
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Takes the lines of this run, for its git note.
    pub fn take(&self) -> Vec<AuditRecord> {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AuditFile {
    fn write(&mut self, record: &AuditRecord) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if self.size > 0 && self.size + line.len() as u64 > self.rotation.most_bytes {
            self.rotate()?;
        }
        // One write a line: readers and other agents see whole lines.
        self.file.write_all(&line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        for n in (1..self.rotation.keep).rev() {
            let from = numbered(&self.path, n);
            if from.exists() {
                std::fs::rename(&from, numbered(&self.path, n + 1))?;
            }
        }
        if self.rotation.keep == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            std::fs::rename(&self.path, numbered(&self.path, 1))?;
        }
        (self.file, self.size) = append(&self.path)?;
        Ok(())
    }
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn append(path: &Path) -> std::io::Result<(File, u64)> {
    let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(named)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    let file = options.open(path).map_err(named)?;
    let size = file.metadata().map_err(named)?.len();
    Ok((file, size))
}

/// Which lines to show.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only this Application.
    pub application: Option<String>,
    /// Only this delivered or source commit, or what starts with it.
    pub commit: Option<String>,
    /// Only this run.
    pub run: Option<String>,
    /// At most so many, the newest.
    pub last: Option<usize>,
}

impl AuditFilter {
    /// Returns true for a line that is to be shown.
    pub fn takes(&self, record: &AuditRecord) -> bool {
        let commit = self.commit.as_ref().is_none_or(|c| {
            let source = record.source_commit.as_deref().unwrap_or_default();
            record.revision.starts_with(c.as_str()) || source.starts_with(c.as_str())
        });
        let application = self.application.as_ref().is_none_or(|a| *a == record.application);
        commit && application && self.run.as_ref().is_none_or(|r| *r == record.run)
    }
}

/// What was read from an audit file and its older parts, oldest first.
#[derive(Debug, Default)]
pub struct AuditTrail {
    /// The lines that the filter takes.
    pub records: Vec<AuditRecord>,
    /// How many lines were no audit lines (cut off by a crash, edited by hand).
    pub unreadable: usize,
}

/// Reads an audit file and those that were put aside.
///
/// # Errors
/// The I/O error with the path in it. A missing file is an empty trail.
pub fn read(path: &Path, filter: &AuditFilter) -> std::io::Result<AuditTrail> {
    let mut older: Vec<PathBuf> = (1..).map(|n| numbered(path, n)).take_while(|p| p.exists()).collect();
    older.reverse();
    older.extend(path.exists().then(|| path.to_owned()));
    let (mut kept, mut unreadable) = (VecDeque::new(), 0);
    for file in older {
        let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("{}: {e}", file.display()));
        for line in BufReader::new(File::open(&file).map_err(named)?).split(b'\n') {
            let line = line.map_err(named)?;
            match serde_json::from_slice::<AuditRecord>(&line) {
                Ok(record) if filter.takes(&record) => kept.push_back(record),
                Ok(_) => {}
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => unreadable += 1,
            }
            if filter.last.is_some_and(|most| kept.len() > most) {
                kept.pop_front();
            }
        }
    }
    Ok(AuditTrail { records: kept.into(), unreadable })
}

/// Returns the trail as a table for people.
pub fn table(records: &[AuditRecord]) -> String {
    let head = ["TIME", "APPLICATION", "EVENT", "COMMIT", "HTTP", "SYNC", "HEALTH", "TOOK", "WHAT"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(records.iter().map(row));
    let width = |column: usize| rows.iter().map(|r| r.get(column).map_or(0, |c| c.chars().count())).max();
    let widths: Vec<usize> = (0..head.len()).map(|c| width(c).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, w)| format!("{cell:w$}", w = *w)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn row(r: &AuditRecord) -> [String; 9] {
    let short = |commit: &str| commit.chars().take(10).collect::<String>();
    let what = match (r.result.is_empty(), r.message.is_empty()) {
        (true, _) => r.message.clone(),
        (false, true) => r.result.clone(),
        (false, false) => format!("{}: {}", r.result, r.message),
    };
    let event = if r.action.is_empty() { r.event.clone() } else { r.action.clone() };
    [
        r.time.clone(),
        if r.application.is_empty() { r.server.clone() } else { r.application.clone() },
        event,
        short(&r.revision),
        r.http.map(|h| h.to_string()).unwrap_or_default(),
        [r.phase.as_str(), r.sync.as_str()]
            .into_iter()
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join("/"),
        r.health.clone(),
        format!("{:.1}s", r.millis as f64 / 1000.0),
        what.chars().take(160).collect(),
    ]
}
