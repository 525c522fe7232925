//! The world: all I/O, one service a file.

pub mod embedded;
pub mod git;
pub mod load;
pub mod source;
