//! The only code that talks to Argo CD.
//!
//! * [`settings`]: which server, which token, which waits.
//! * [`client`] over `http`: one call is one request; [`fault`] names every way it fails.
//! * [`verdict`]: the one predicate of success, pure.
//! * [`follow`]: one Application from the request to its outcome.
//! * [`run`]: all of a run, along the edges.

pub mod alert;
pub mod application;
mod ask;
pub mod client;
pub mod clock;
pub mod compared;
mod drive;
pub mod fault;
mod follow;
mod http;
pub mod preflight;
mod remembered;
pub mod retry;
pub mod run;
pub mod session;
pub mod settings;
pub mod stream;
pub mod task;
pub mod token;
pub mod verdict;
pub mod webhook;

pub use drive::Done;
