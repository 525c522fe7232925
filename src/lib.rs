//! Hydrant turns a *dry* description of a fleet into *hydrated* Kubernetes manifests in a
//! Git repository, and asks Argo CD to sync what changed.
//!
//! ```text
//! load → resolve → ( render → overlay → validate ) per unit → gather → diff → commit → sync → report
//! ```
//!
//! * [`model`]: the nouns, one a file.
//! * [`stage`]: the pure verbs between them, no I/O.
//! * [`edge`]: the world: files, Git, Argo CD.
//! * [`kustomize`]: the overlay engine, which knows nothing of fleets.
//! * [`yaml`]: the one place that reads and writes YAML.

pub mod audit;
pub mod edge;
pub mod error;
pub mod kustomize;
pub mod model;
pub mod redact;
pub mod stage;
pub mod suggest;
pub mod yaml;
