//! The pure verbs of the line: no I/O in here.

pub mod applications;
pub mod apps;
pub mod bindings;
pub mod claims;
pub mod diff;
pub mod extras;
pub mod firewall;
pub mod form;
pub mod gather;
pub mod lint;
pub mod lot;
pub mod names;
pub mod overlay;
pub mod render;
pub mod resolve;
pub mod settle;
pub mod sync_plan;
pub mod types;
pub mod units;
pub mod validate;
