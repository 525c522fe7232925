//! The one test binary: a file per stage or command.

mod common;
mod yaml;
