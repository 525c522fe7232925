//! kustomize's behaviour in process: overlays without the kustomize binary.
//!
//! ```text
//! Files → Kustomization → Program (compiled once) → Run (on many sets of objects)
//! ```
//!
//! * [`build`] prints what `kubectl kustomize DIR` prints (kubectl 1.32, kustomize 5.5).
//! * [`Overlay`] is one kustomization compiled once and applied to many units, whose
//!   objects stand where `resources` would.
//!
//! Behaviour is checked against `kubectl kustomize`: `fixtures/overlays` and
//! `docs/overlays.md` hold what is the same, what is refused and what differs.

mod absorb;
mod build;
mod compile;
mod config;
mod crds;
mod fieldspec;
mod files;
mod generate;
mod gvk;
mod hash;
mod kustomization;
mod labels;
mod loader;
mod manifest;
mod merge;
mod order;
mod overlay;
mod program;
mod provenance;
mod resource;
mod resources;
pub mod schema;
mod selector;
mod shared;
mod text;
mod threads;
mod transform;

pub use build::{BuildOptions, Built, build};
pub use files::{Disk, Files, MAX_FILE, Memory, is_below};
pub use overlay::{Level, Overlay, OverlayEntry};
pub use program::Matched;
