//! The nouns of the line, one a file.

pub mod binding;
pub mod cluster;
pub mod component;
pub mod id;
pub mod platform;
pub mod settings;
pub mod unit;
pub mod values;
