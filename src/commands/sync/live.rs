//! One live line for each Application that is under way; elsewhere than on a terminal, a
//! log line for each change.

use crate::edge::argocd::task::{Progress, ProgressLine};
use crate::model::sync::AppKey;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

/// More lines than this push the first ones off a screen; the rest is counted in the logs.
const MOST: usize = 24;

/// The live lines of a sync.
pub struct LiveLines {
    terminal: bool,
    lines: MultiProgress,
    bars: Mutex<BTreeMap<AppKey, ProgressBar>>,
}

impl LiveLines {
    /// Prepares the lines; none are shown if `quiet`, or if stderr is no terminal.
    pub fn new(quiet: bool) -> Self {
        let terminal = !quiet && std::io::stderr().is_terminal();
        Self { terminal, lines: MultiProgress::new(), bars: Mutex::default() }
    }

    /// Takes the lines off the screen.
    pub fn clear(&self) {
        for bar in self.bars.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for LiveLines {
    fn update(&self, line: &ProgressLine<'_>) {
        let health = if line.health.is_empty() { "-" } else { line.health };
        let seconds = line.took.as_secs();
        if !self.terminal {
            tracing::info!(app = %line.key, wave = line.wave, health, seconds, "{}", line.phase);
            return;
        }
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if line.done {
            if let Some(bar) = bars.remove(line.key) {
                bar.finish_and_clear();
            }
            return;
        }
        if bars.len() >= MOST && !bars.contains_key(line.key) {
            return;
        }
        let bar = bars.entry(line.key.clone()).or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_prefix(line.key.name.clone());
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
            bar
        });
        bar.set_message(format!("wave {}  {health}  {}", line.wave, line.phase));
    }
}
