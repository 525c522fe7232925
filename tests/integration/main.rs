//! The one test binary: a file per stage or command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod argocd;
mod catalog;
mod common;
mod firewall;
mod git_http;
mod git_local;
mod git_settle;
mod support;
mod templates;
mod tenants;
mod yaml;
