//! One live line for each Application that is under way. Elsewhere than on a terminal, a log
//! line for each change, and now and then one that sums up, so that a long wait is no silence.

use crate::edge::argocd::task::{Progress, ProgressLine};
use crate::model::sync::AppKey;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// More lines than this push the first ones off a screen; a last one counts the rest.
const MOST: usize = 20;
/// How often a log line sums up.
const EVERY: Duration = Duration::from_secs(30);

/// The live lines of a sync.
pub struct LiveLines {
    terminal: bool,
    quiet: bool,
    lines: MultiProgress,
    shown: Mutex<Shown>,
}

struct Shown {
    under_way: BTreeMap<AppKey, Option<ProgressBar>>,
    more: Option<ProgressBar>,
    done: usize,
    summed_up: Instant,
}

impl LiveLines {
    /// Prepares the lines; none are shown if `quiet`, or if stderr is no terminal.
    pub fn new(quiet: bool) -> Self {
        let shown = Shown { under_way: BTreeMap::new(), more: None, done: 0, summed_up: Instant::now() };
        let terminal = !quiet && std::io::stderr().is_terminal();
        Self { terminal, quiet, lines: MultiProgress::new(), shown: Mutex::new(shown) }
    }

    /// Takes the lines off the screen.
    pub fn clear(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in shown.under_way.values().flatten().chain(&shown.more) {
            bar.finish_and_clear();
        }
    }

    fn line(&self, template: &str) -> ProgressBar {
        let bar = self.lines.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    fn draw(&self, shown: &mut Shown, line: &ProgressLine<'_>) {
        let drawn = shown.under_way.values().flatten().count();
        let slot = shown.under_way.entry(line.key.clone()).or_default();
        if slot.is_none() && drawn < MOST {
            let bar = self.line("{spinner} {prefix}  {wide_msg} {elapsed}");
            bar.set_prefix(line.key.name.clone());
            *slot = Some(bar);
        }
        if let Some(bar) = slot {
            bar.set_message(format!("wave {}  {}  {}", line.wave, health(line), line.phase));
        }
    }

    fn sum_up(&self, shown: &mut Shown) {
        let hidden = shown.under_way.values().filter(|bar| bar.is_none()).count();
        if hidden == 0 {
            if let Some(more) = shown.more.take() {
                more.finish_and_clear();
            }
            return;
        }
        let done = shown.done;
        let more = shown.more.get_or_insert_with(|| self.line("{spinner} {wide_msg}"));
        more.set_message(format!("and {hidden} more under way; {done} done"));
    }

    fn log(&self, shown: &mut Shown, line: &ProgressLine<'_>) {
        let (wave, seconds) = (line.wave, line.took.as_secs());
        tracing::info!(app = %line.key, wave, health = health(line), seconds, "{}", line.phase);
        if shown.summed_up.elapsed() >= EVERY && !self.quiet {
            shown.summed_up = Instant::now();
            let (under_way, done) = (shown.under_way.len(), shown.done);
            tracing::warn!(
                "syncing: {done} Applications done, {under_way} under way; {} ({}): {}",
                line.key,
                health(line),
                line.phase
            );
        }
    }
}

fn health<'l>(line: &ProgressLine<'l>) -> &'l str {
    if line.health.is_empty() { "-" } else { line.health }
}

impl Progress for LiveLines {
    fn update(&self, line: &ProgressLine<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = &mut *shown;
        if line.done {
            shown.done += 1;
            if let Some(Some(bar)) = shown.under_way.remove(line.key) {
                bar.finish_and_clear();
            }
        } else if self.terminal {
            self.draw(shown, line);
        } else {
            shown.under_way.insert(line.key.clone(), None);
        }
        if self.terminal {
            self.sum_up(shown);
        } else {
            self.log(shown, line);
        }
    }
}
