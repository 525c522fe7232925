//! When a build is shared among threads.

/// Whether work may be shared among the threads of rayon's global pool.
#[derive(Clone, Copy, Debug, Default)]
pub enum Threads {
    /// It may not: this is a part of something that is shared already.
    #[default]
    One,
    /// It may. The function makes the pool ready; it is called before work is shared, maybe
    /// several times, and not at all in a small build, which is done before a thread starts.
    Several(fn()),
}

impl Threads {
    /// Returns true if so many pieces of work are to be shared.
    pub fn share(self, pieces: usize, least: usize) -> bool {
        match self {
            Threads::Several(make_ready) if pieces >= least => {
                make_ready();
                true
            }
            _ => false,
        }
    }
}
