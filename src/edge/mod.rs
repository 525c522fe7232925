//! The world: all I/O, one service a folder.

pub mod argocd;
