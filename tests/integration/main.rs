//! The one test binary: a file per stage or command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod argocd;
mod catalog;
mod commit;
mod common;
mod deploy;
mod determinism;
mod firewall;
mod git_crash;
mod git_fleet;
mod git_http;
mod git_local;
mod git_settle;
mod kustomize;
mod load;
mod overlay_corpus;
mod overlay_fields;
mod overlay_objects;
mod overlay_property;
mod overlay_scene;
mod readme;
mod resolve;
mod rollback;
mod run_sync;
mod schema;
mod support;
mod templates;
mod tenants;
mod tenants_commands;
mod tenants_defects;
mod tenants_fleet;
mod tenants_rendered;
mod tenants_types;
mod types;
mod yaml;
mod yaml_out;
