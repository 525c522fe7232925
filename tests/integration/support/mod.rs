//! Helpers for several tests.
#![allow(dead_code)]

pub mod crds;
pub mod git;
pub mod proxy;
pub mod server;
