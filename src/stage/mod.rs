//! Filled in by the steps that follow.

pub mod bindings;
