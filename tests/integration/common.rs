//! Builders and helpers that every test may use.
#![allow(dead_code, clippy::expect_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a path inside the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the folder of real CRDs and input files, or says why the test is skipped.
///
/// It lies beside the checkout on the machines that have it (`HYDRANT_SHARED`, default
/// `../shared`), and is no part of the project.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HYDRANT_SHARED").map_or_else(|| project("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("skipped: no shared data ({} is missing)", found.display());
    None
}

/// Returns the path of a program, or says why the test is skipped.
///
/// In CI (`CI=true`) a missing program is a failure: these tests must run there.
pub fn program(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH")
        .and_then(|paths| std::env::split_paths(&paths).map(|p| p.join(name)).find(|p| p.is_file()));
    if found.is_none() {
        assert!(
            std::env::var_os("HYDRANT_REQUIRE_TOOLS").is_none(),
            "{name} is missing, and here it must be there"
        );
        eprintln!("skipped: no {name} on this machine");
    }
    found
}

/// Runs `kubectl kustomize DIR` and returns what it printed, or its error.
pub fn kubectl_kustomize(dir: &Path) -> Option<Result<String, String>> {
    let kubectl = program("kubectl")?;
    let out = Command::new(kubectl).arg("kustomize").arg(dir).output().expect("kubectl starts");
    Some(if out.status.success() {
        Ok(String::from_utf8(out.stdout).expect("kubectl prints UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    })
}

/// What one run of the built binary gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Asserts the exit code and returns itself.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr says something.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr does not say {text:?}:\n{}", self.stderr);
        self
    }

    /// Asserts that stdout shows something.
    #[track_caller]
    pub fn shows(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout does not show {text:?}:\n{}", self.stdout);
        self
    }
}

/// A call of the built binary with a clean environment.
#[must_use = "a call does nothing until `run`"]
pub struct Hydrant {
    command: Command,
}

/// Starts a call: `hydrant(&["validate", "--fleet", dir]).run().exits(0)`.
pub fn hydrant<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Hydrant {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hydrant"));
    command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", "/nonexistent").env("NO_COLOR", "1").env("HYDRANT_CACHE", cache_dir());
    Hydrant { command }
}

/// Returns the folder of caches of the running test; it goes when the test's thread does.
fn cache_dir() -> PathBuf {
    thread_local! {
        static CACHE: tempfile::TempDir = tempfile::tempdir().expect("a folder for caches");
    }
    CACHE.with(|folder| folder.path().to_owned())
}

impl Hydrant {
    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets the working directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Starts it, and returns while it runs.
    pub fn start(mut self) -> std::process::Child {
        let piped = std::process::Stdio::piped;
        self.command.stdin(std::process::Stdio::null()).stdout(piped()).stderr(piped());
        self.command.spawn().expect("the binary starts")
    }

    /// Returns another program that starts it, with the same environment.
    pub fn within(self, around: impl FnOnce(&Command) -> Command) -> Command {
        let mut outer = around(&self.command);
        outer.env_clear();
        for (name, value) in self.command.get_envs() {
            outer.envs(value.map(|value| (name, value)));
        }
        outer
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ran {
        let out = self.command.output().expect("the binary starts");
        Ran {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
}

/// Writes files into a folder, creating the folders between.
pub fn write_files(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let full = dir.join(path);
        std::fs::create_dir_all(full.parent().expect("a file has a folder")).expect("folder");
        std::fs::write(full, text).expect("file");
    }
}
