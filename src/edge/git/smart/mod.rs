//! Git's smart protocol (version 0) over HTTP and SSH, spoken in safe Rust.
//!
//! libgit2 could do this too, but only with OpenSSL and libssh2 in the build, without
//! deadlines in its safe interface, and it says "Ok" to a push that was refused. Here one
//! client a transport, with deadlines, limits and credentials bound to a host, does it all;
//! libgit2 only indexes the packs that arrive.
//!
//! * [`wire`]: the way to a repository, HTTP or SSH.
//! * [`http`]: one request and its bounded answer.
//! * [`incoming`]: its bytes as they arrive.
//! * [`failure`]: why there is none.
//! * [`pkt`]: the framing inside.
//! * [`advert`]: which branches there are.
//! * [`fetch`]: gets a pack.
//! * [`push`]: sends one and reads the report.
//! * [`answer`]: what the many servers mean by their refusals.

pub(super) mod advert;
pub(in crate::edge) mod answer;
pub(in crate::edge) mod failure;
pub(super) mod fetch;
pub(in crate::edge) mod http;
pub(super) mod incoming;
pub(super) mod pkt;
pub(super) mod push;
pub(super) mod wire;
