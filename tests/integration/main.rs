//! The one test binary: a file per stage or command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod argocd;
mod catalog;
mod commit;
mod common;
mod determinism;
mod firewall;
mod git_http;
mod git_local;
mod git_settle;
mod load;
mod resolve;
mod schema;
mod support;
mod templates;
mod tenants;
mod yaml;
mod yaml_out;
