//! Any two texts as an object and a patch of it; see `bodies.rs`.
#![no_main]
#![allow(dead_code)]

mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::merge(bytes));
