//! The one test binary: a file per stage or command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod argocd;
mod catalog;
mod common;
mod git_http;
mod git_local;
mod git_settle;
mod kustomize;
mod overlay_corpus;
mod overlay_fields;
mod overlay_objects;
mod overlay_property;
mod overlay_scene;
mod support;
mod tenants;
mod yaml;
