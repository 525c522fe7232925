//! Any bytes as YAML, by both readers; see `bodies.rs`.
#![no_main]
#![allow(dead_code)]

mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::yaml(bytes));
