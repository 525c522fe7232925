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
//! * [`propose`]: the same for the branch of a merge request.
//! * [`Along`]: the note and the reference that go along with a commit.

mod ancestry;
mod beside;
mod clock;
pub(in crate::edge) mod credentials;
mod helper;
mod history;
mod local;
mod loose;
mod mirror;
mod pack;
mod proposal;
mod publish;
mod queue;
mod reference;
mod remote;
mod repository;
mod server;
mod settings;
mod signing;
mod since;
pub(in crate::edge) mod smart;
mod ssh;
mod store;
mod write;

pub use ancestry::{Ancestry, ancestry};
pub use beside::{Along, Made, NOTES, Note, Noted, reference_of};
pub use clock::{Clock, SystemClock};
pub use credentials::{Credentials, passphrase};
pub use history::{ENVIRONMENTS_TRAILER, FLEET_TRAILER, Ownership, Settlements, last_of_ours, settle_branch};
pub use proposal::{PROPOSAL_TRAILER, ProposalBranch, Proposed, changed, digest, propose};
pub use publish::{Landed, Proposal, Publication, Revision, publish, publish_along};
pub use remote::Remote;
pub use repository::{GitTree, Glance, Pushed, Repository, Tip};
pub use settings::GitSettings;
pub use signing::Signer;
pub use since::states_since;
pub use ssh::{KeySource, SshAddress, SshSettings};
pub use store::Commit;
pub use write::Signature;
