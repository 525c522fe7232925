//! The world: all I/O, one service a file; [`net`] is what they share.

pub mod argocd;
pub mod clean;
pub mod embedded;
pub mod fleet;
pub mod folder;
pub mod forge;
pub mod git;
pub mod memo;
pub mod net;
