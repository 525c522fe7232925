//! A fleet that lies in a repository, and which of two of its commits is newer.

use crate::support::git::{git, person_commits};
use crate::support::server::GitServer;
use hydrant::edge::git::{Ancestry, GitSettings, Remote, Repository, ancestry, export};
use hydrant::error::ErrorKind;

#[test]
fn a_fleet_is_read_from_a_branch_a_tag_or_a_commit_of_a_server_or_a_path() {
    let server = GitServer::start();
    let old = person_commits(&server.repo, "main", &[("fleet/clusters/a/cluster.yaml", Some("old"))], "old");
    git(&server.repo, &["-c", "user.name=A", "-c", "user.email=a@b", "tag", "-a", "v1", "-m", "v1", "main"]);
    git(&server.repo, &["tag", "light", "main"]);
    let new = person_commits(&server.repo, "main", &[("fleet/clusters/a/cluster.yaml", Some("new"))], "new");
    for remote in [server.url(), server.repo.display().to_string()] {
        let settings = GitSettings::default();
        let mut repo = Repository::open(&Remote::parse(&remote).unwrap(), &settings).unwrap();
        for (revision, commit, text) in
            [("main", &new, "new"), ("v1", &old, "old"), ("light", &old, "old"), (new.as_str(), &new, "new")]
        {
            let found = repo.fetch_revision(revision).unwrap();
            assert_eq!(found.id.to_string(), *commit, "{remote} {revision}");
            let to = tempfile::tempdir().unwrap();
            let exported = export(&repo, found.id, "fleet", to.path()).unwrap();
            assert_eq!(exported.files, 1);
            let read = std::fs::read_to_string(to.path().join("clusters/a/cluster.yaml")).unwrap();
            assert_eq!(read, text);
        }
        for unknown in ["nope", "a..b", "-x", ""] {
            let error = repo.fetch_revision(unknown).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Input, "{unknown}: {error}");
        }
        assert!(repo.fetch_revision(&"1".repeat(40)).is_err());
        let head = repo.fetch_revision("main").unwrap().id;
        let to = tempfile::tempdir().unwrap();
        assert!(export(&repo, head, "no/such/folder", to.path()).is_err());
    }
}

#[test]
fn links_of_a_fleet_are_told_and_not_followed() {
    let server = GitServer::start();
    person_commits(&server.repo, "main", &[("a.yaml", Some("1"))], "start");
    let temp = tempfile::tempdir().unwrap();
    git(temp.path(), &["clone", "-q", &server.repo.display().to_string(), "w"]);
    let work = temp.path().join("w");
    std::os::unix::fs::symlink("/etc", work.join("link")).unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "a link"]);
    git(&work, &["push", "-q"]);
    let mut repo = Repository::open(&Remote::parse(&server.url()).unwrap(), &GitSettings::default()).unwrap();
    let head = repo.fetch_revision("main").unwrap().id;
    let to = tempfile::tempdir().unwrap();
    let exported = export(&repo, head, "", to.path()).unwrap();
    assert_eq!((exported.files, exported.skipped), (1, vec!["link".to_owned()]));
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn an_older_source_commit_is_told_from_a_newer_and_an_unknown_one() {
    let temp = tempfile::tempdir().unwrap();
    git(temp.path(), &["init", "-q", "-b", "main", "fleet"]);
    let fleet = temp.path().join("fleet");
    let commit = |message: &str| {
        git(&fleet, &["commit", "-q", "--allow-empty", "-m", message]);
        git(&fleet, &["rev-parse", "HEAD"])
    };
    let first = commit("first");
    let second = commit("second");
    git(&fleet, &["checkout", "-q", "-b", "side", &first]);
    let side = commit("side");
    assert_eq!(ancestry(&fleet, &first, &first), Ancestry::Same);
    assert_eq!(ancestry(&fleet, &first, &second), Ancestry::Older);
    assert_eq!(ancestry(&fleet, &second, &first), Ancestry::Newer);
    assert_eq!(ancestry(&fleet, &side, &second), Ancestry::Apart);
    assert_eq!(ancestry(&fleet, &"1".repeat(40), &second), Ancestry::Unknown);
    assert_eq!(ancestry(temp.path(), &first, &second), Ancestry::Unknown);
    // A shallow checkout, as CI makes it, cannot tell.
    git(&fleet, &["checkout", "-q", "main"]);
    git(temp.path(), &["clone", "-q", "--depth", "1", &format!("file://{}", fleet.display()), "shallow"]);
    assert_eq!(ancestry(&temp.path().join("shallow"), &first, &second), Ancestry::Unknown);
}
