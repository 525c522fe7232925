//! The nouns, one a file.

pub mod sync;
