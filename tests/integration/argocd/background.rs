//! The fake Argo CD in real time on a thread of its own, for whole programs.

use super::clock::TestClock;
use super::fake;
use super::play::token;
use super::scenario::{Scenario, load};
use super::world::ArgoCd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A server that lives as long as the test.
pub struct Background {
    /// `ARGOCD_API_URL`.
    pub url: String,
    /// `ARGOCD_API_TOKEN_FILE`.
    pub token_file: PathBuf,
    /// What it knows.
    pub argocd: ArgoCd,
    _folder: tempfile::TempDir,
}

impl Background {
    /// Starts the server of a scenario of `fixtures/argocd`.
    pub fn of(scenario: &str) -> Self {
        Self::start(load(scenario), None)
    }

    /// Starts a server whose Applications are those on a branch of a repository, from the
    /// moment they are pushed.
    pub fn beside(repository: &Path, branch: &str) -> Self {
        let mut scenario = load("manual-sync-goes-live");
        scenario.apps.clear();
        Self::start(scenario, Some((repository.to_owned(), branch.to_owned())))
    }

    /// Starts the server of a scenario.
    pub fn start(scenario: Scenario, repository: Option<(PathBuf, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        let good = token("good", None);
        std::fs::write(&token_file, &good).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let clock = TestClock::default();
                let argocd = ArgoCd::new(&scenario, clock.clone());
                if let Some((dir, branch)) = repository {
                    argocd.read_from(&dir, &branch);
                }
                let url = fake::start(argocd.clone(), &scenario, &good).await;
                send.send((url, argocd)).unwrap();
                let begun = Instant::now();
                loop {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    clock.reach(begun.elapsed());
                }
            });
        });
        let (url, argocd) = receive.recv().unwrap();
        Self { url, token_file, argocd, _folder: folder }
    }
}
