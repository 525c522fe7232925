//! Hydrant turns a *dry* description of a fleet into *hydrated* Kubernetes manifests in a
//! Git repository, and asks Argo CD to sync what changed.
//!
//! ```text
//! load → resolve → ( render → overlay → validate ) per unit → gather → diff → commit → sync → report
//! ```
//!
//! * [`definition`]: what the files of a fleet say, checked one by one.
//! * [`model`]: the nouns, one a file.
//! * [`stage`]: the pure verbs between them, no I/O.
//! * [`edge`]: the world: files, Git, Argo CD.
//! * [`reconcile`]: the line itself, top to bottom.
//! * [`template`] and [`kustomize`]: the two engines, which know nothing of fleets.
//! * [`yaml`]: the one place that reads and writes YAML.

pub mod agent;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod config;
pub mod definition;
pub mod delivery;
pub mod edge;
pub mod error;
pub mod follow;
pub mod kustomize;
pub mod message;
pub mod model;
pub mod owed;
pub mod patch;
pub mod reconcile;
pub mod record;
pub mod redact;
pub mod report;
pub mod shortcut;
pub mod stage;
pub mod stop;
pub mod suggest;
pub mod telemetry;
pub mod template;
pub mod yaml;
