//! Logs and progress on stderr. Results never go through here.

use crate::cli::LogFormat;
use crate::reconcile::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Starts logging to stderr. A second call does nothing.
pub fn start(verbose: u8, quiet: bool, format: LogFormat) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // Only our own lines: those of libraries may hold what they were given.
    let ours = tracing_subscriber::filter::Targets::new().with_target("hydrant", level);
    let registry = tracing_subscriber::registry().with(ours);
    let _ = match format {
        LogFormat::Text => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .without_time()
                    .with_target(false)
                    .with_ansi(colours()),
            )
            .try_init(),
        LogFormat::Json => {
            registry.with(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)).try_init()
        }
    };
}

/// Returns true if stderr takes colours and nobody asked for none (no-color.org).
pub fn colours() -> bool {
    std::io::stderr().is_terminal() && !no_color()
}

/// Returns true if stdout takes colours and nobody asked for none.
pub fn colours_on_stdout() -> bool {
    std::io::stdout().is_terminal() && !no_color()
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
}

/// Shows progress: a bar on a terminal, else a line now and then for long work.
pub struct Shown {
    quiet: bool,
    bar: Mutex<Option<ProgressBar>>,
    line: Mutex<Line>,
    steps: AtomicU64,
}

struct Line {
    stage: String,
    last: Instant,
}

/// How often a long stage says a line.
const EVERY: Duration = Duration::from_secs(10);

impl Shown {
    /// Prepares to show progress.
    pub fn new(quiet: bool) -> Self {
        let line = Line { stage: String::new(), last: Instant::now() };
        Self { quiet, bar: Mutex::new(None), line: Mutex::new(line), steps: AtomicU64::new(0) }
    }
}

impl Progress for Shown {
    fn stage(&self, name: &str, steps: Option<u64>) {
        self.steps.store(0, Ordering::Relaxed);
        if let Ok(mut line) = self.line.lock() {
            *line = Line { stage: name.to_owned(), last: Instant::now() };
        }
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = match steps {
            Some(n) => ProgressBar::new(n),
            None => ProgressBar::new_spinner(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}") {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        if let Ok(mut slot) = self.bar.lock() {
            *slot = Some(bar);
        }
    }

    fn step(&self) {
        let done = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        // Looking at the clock for each unit would cost more than some units do.
        if !done.is_multiple_of(64) {
            return;
        }
        if let Ok(bar) = self.bar.lock()
            && let Some(bar) = bar.as_ref()
        {
            bar.set_position(done);
            return;
        }
        if let Ok(mut line) = self.line.lock()
            && line.last.elapsed() >= EVERY
        {
            line.last = Instant::now();
            tracing::warn!("{}: {done} done", line.stage);
        }
    }

    fn done(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}
