//! Any bytes as a kustomization; see `bodies.rs`.
#![no_main]
#![allow(dead_code)]

mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::kustomization(bytes));
