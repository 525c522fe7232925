//! Helpers for several tests.
#![allow(dead_code)]

pub mod crds;
pub mod fleet;
pub mod forge;
pub mod git;
pub mod measure;
pub mod odd;
pub mod proxy;
pub mod server;
pub mod sshd;
