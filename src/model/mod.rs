//! The nouns of the line, one a file.

pub mod cluster;
pub mod component;
pub mod fleet;
pub mod id;
pub mod overlay;
pub mod platform;
pub mod settings;
pub mod tree;
pub mod unit;
pub mod values;
