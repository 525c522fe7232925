//! The nouns of the line, one a file.

pub mod binding;
pub mod cluster;
pub mod component;
pub mod fleet;
pub mod form;
pub mod id;
pub mod lot;
pub mod mark;
pub mod overlay;
pub mod platform;
pub mod settings;
pub mod sync;
pub mod target;
pub mod tree;
pub mod unit;
pub mod values;
