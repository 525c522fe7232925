//! Where a benchmark of whole processes happens: a throw-away folder with a fleet in it, and
//! Hydrant called on that fleet.
#![allow(dead_code)] // Each benchmark uses its own part of this.

use crate::fleet::{self, Size};
use crate::measure;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A folder that goes when it does. The fleet is in `fleet`; what comes of it stands beside.
pub struct Place(TempDir);

impl Place {
    /// Writes the fleet of so many tenants on three clusters.
    pub fn with_tenants(tenants: usize) -> Self {
        let root = TempDir::new().unwrap();
        fleet::write(&root.path().join("fleet"), Size::tenants(tenants)).unwrap();
        Self(root)
    }

    /// Returns the folder of all.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Returns a path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns a call of Hydrant on the fleet.
    pub fn hydrant(&self, args: &[&str]) -> Command {
        let mut command = Command::new(measure::hydrant());
        command.args(args).arg("--quiet").arg("--fleet").arg(self.path("fleet"));
        command
    }
}
