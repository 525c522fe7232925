//! Helpers for the tests of the Git side.
#![allow(dead_code)]

pub mod git;
pub mod proxy;
pub mod server;
