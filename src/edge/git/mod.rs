//! Git: reads the branch that is delivered to, writes one commit, moves the branch.
//!
//! There is no work tree and no index: blobs and only the changed trees are written, then a
//! commit that no branch names yet, then the branch moves if it still is where it was. A
//! crash at any point leaves at most objects that nobody refers to.
//!
//! * [`Remote`]: where a repository is.
//! * [`Repository`]: fetch, tree, commit, push.
//! * [`settle_branch`]: what others committed since our last commit.
//! * [`publish`]: the loop around them that survives lost races.

mod ancestry;
mod clock;
mod credentials;
mod history;
mod local;
mod loose;
mod mirror;
mod pack;
mod publish;
mod queue;
mod reference;
mod remote;
mod repository;
mod server;
mod settings;
mod smart;
mod store;
mod write;

pub use ancestry::{Ancestry, ancestry};
pub use clock::{Clock, SystemClock};
pub use credentials::Credentials;
pub use history::{FLEET_TRAILER, Ownership, Settlements, settle_branch};
pub use publish::{Landed, Proposal, Publication, Revision, publish};
pub use remote::Remote;
pub use repository::{GitTree, Pushed, Repository, Tip};
pub use settings::GitSettings;
pub use store::Commit;
pub use write::Signature;
