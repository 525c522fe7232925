//! Helpers for several tests.
#![allow(dead_code)]

pub mod crds;
pub mod git;
