//! The one place that reads and writes YAML; no other module names a YAML crate.
//!
//! * [`read`] turns bytes into [`Node`]s: a tree that knows the line and column of every
//!   scalar, with bounds on size, depth, nodes and aliases ([`Limits`]).
//! * [`Node::to_value`] gives a sorted [`serde_json::Value`] by one of two readers'
//!   rules ([`Schema`]): kubectl's (YAML 1.1 booleans) or kustomize's (YAML 1.2's).
//! * [`write`] prints a value as kustomize prints it: sorted keys, no comments, and
//!   strings quoted so that YAML 1.1 and 1.2 readers see a string.
//! * [`Gapped`] is a document that was printed once, with gaps for the values that differ.

mod emit;
mod gaps;
mod node;
mod order;
mod parse;
mod scalar;
mod simple;
mod style;
mod timestamp;

pub use emit::{write, write_documents, write_json_string};
pub use gaps::Gapped;
pub use node::{Data, Entry, Mark, Node, Scalar};
pub use parse::{Limits, YamlError, is_simple, read, read_in_full, read_one};
pub use scalar::{Schema, is_text};
pub use style::is_plain;
