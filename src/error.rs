//! What went wrong, for people: the place, the fault, the reason and the mend.
//!
//! A [`Violation`] is one failed check on an input, with its place. An [`Error`] is
//! why a whole command could not do its work; it carries the violations it found and
//! knows its exit code. Nothing in here may hold a secret: values from inputs enter a
//! message only through [`crate::redact`].

use std::fmt;
use std::sync::Arc;

/// A place in an input: the file as the user would name it, and where in it.
///
/// `line` and `column` count from 1; 0 means "the file as a whole".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The path relative to the fleet (or the path that was given on the command line).
    pub file: Arc<str>,
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// The column in characters, from 1; 0 for the whole line.
    pub column: u32,
}

impl Origin {
    /// Returns the place of a whole file.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }

    /// Returns a place inside a file.
    pub fn at(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// How much a violation weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What it concerns is not delivered.
    Error,
    /// Delivered, but somebody should look.
    Warning,
    /// Said once, nothing to do.
    Notice,
}

impl Severity {
    /// Returns the word that opens the message.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        }
    }
}

/// One failed check: where, what, why, and the edit that mends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// How much it weighs.
    pub severity: Severity,
    /// Where, if it has a place.
    pub at: Option<Origin>,
    /// The key it concerns, as a dotted path (`platform.account_id`).
    pub key: Option<String>,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// The command or edit that mends it.
    pub hint: Option<String>,
    /// True when a person has to decide (exit 4) rather than edit an input (exit 2).
    pub guard: bool,
}

impl Violation {
    /// Returns an error with a message and no place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            at: None,
            key: None,
            message: message.into(),
            hint: None,
            guard: false,
        }
    }

    /// Returns a warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Returns a notice.
    pub fn notice(message: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, ..Self::error(message) }
    }

    /// Sets the place.
    pub fn at(mut self, origin: Origin) -> Self {
        self.at = Some(origin);
        self
    }

    /// Sets the key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the mend.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks it as the refusal of a guard.
    pub fn guard(mut self) -> Self {
        self.guard = true;
        self
    }

    /// Returns true if it stops what it concerns.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            for (i, line) in hint.lines().enumerate() {
                write!(f, "\n{}{line}", if i == 0 { "  hint: " } else { "        " })?;
            }
        }
        Ok(())
    }
}

/// Violations of one thing, at least one of them an error.
pub type Violations = Vec<Violation>;

/// Who has to act, and with it the exit code (`DESIGN.md`, Commands).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input or the call is wrong; the user mends it.
    Input,
    /// Something outside failed after retries.
    External,
    /// A guard refused; a person decides.
    Guard,
    /// Delivered in part.
    Partial,
    /// A bug in Hydrant.
    Internal,
}

impl ErrorKind {
    /// Returns the exit code of a command that ends with this.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Input => 2,
            ErrorKind::External => 3,
            ErrorKind::Guard => 4,
            ErrorKind::Partial => 5,
            ErrorKind::Internal => 70,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Error {
    /// Who has to act.
    pub kind: ErrorKind,
    /// What did not happen, lower case, without a full stop.
    pub message: String,
    /// The checks that failed, if that is why.
    pub violations: Violations,
    /// Commands or edits that mend it.
    pub hints: Vec<String>,
    /// The cause, if another error is.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Returns an error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), violations: Vec::new(), hints: Vec::new(), source: None }
    }

    /// The input or the call is wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// Something outside failed.
    pub fn external(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::External, message)
    }

    /// A guard refused.
    pub fn guard(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Guard, message)
    }

    /// A bug in Hydrant.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds a mend.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds failed checks.
    pub fn with(mut self, violations: Violations) -> Self {
        self.violations.extend(violations);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as _)
    }
}

/// The result of anything that can stop a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;
