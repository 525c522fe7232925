//! The whole line through the built binary, from cluster.yaml to a synced Application: the
//! Applications that the fake Argo CD has are those in the delivered repository.

use crate::argocd::background::Background;
use crate::common::{Hydrant, hydrant, project};
use std::path::Path;

fn run(dir: &Path, server: &Background, more: &[&str]) -> Hydrant {
    let (fleet, repo, cache) =
        (project("fixtures/fleets/quickstart"), dir.join("gitops.git"), dir.join("cache"));
    let mut args =
        vec!["run", "--once", "--fleet", fleet.to_str().unwrap(), "--repo", repo.to_str().unwrap()];
    args.extend(["--cache", cache.to_str().unwrap(), "--cluster", "harbor"]);
    args.extend(more);
    hydrant(&args).env("ARGOCD_API_URL", &server.url).env("ARGOCD_API_TOKEN_FILE", &server.token_file)
}

#[test]
fn a_run_ends_when_the_pushed_commit_is_synced_and_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("gitops.git");
    let server = Background::beside(&repo, "main");
    let audit = dir.path().join("audit.jsonl");
    let ran = run(dir.path(), &server, &["--audit", audit.to_str().unwrap()]).run().exits(0);
    let head =
        std::process::Command::new("git").arg("-C").arg(&repo).args(["rev-parse", "main"]).output().unwrap();
    let head = String::from_utf8(head.stdout).unwrap();
    let short = &head[..10];
    for app in
        ["vault-runtime-prod", "vault-config-prod", "root-prod", "platform-apps-prod", "namespaces-prod"]
    {
        let line = ran
            .stdout
            .lines()
            .find(|l| l.contains(&format!("  {app} ")))
            .unwrap_or_else(|| panic!("no {app} in\n{}", ran.stdout));
        assert!(line.contains(short), "{line}");
    }
    let trail = std::fs::read_to_string(&audit).unwrap();
    assert!(trail.lines().count() > 5 && trail.contains(head.trim()));
    let token = std::fs::read_to_string(&server.token_file).unwrap();
    assert!(
        !trail.contains(token.trim())
            && !ran.stdout.contains(token.trim())
            && !ran.stderr.contains(token.trim())
    );
    // Nothing changed: nothing is owed.
    run(dir.path(), &server, &[]).run().exits(0).shows("nothing to commit");
}

#[test]
fn an_argo_cd_that_is_down_costs_the_sync_and_not_the_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("gitops.git");
    let server = Background::beside(&repo, "main");
    // Nobody listens there.
    let ran =
        run(dir.path(), &server, &["--timeout", "2s"]).env("ARGOCD_API_URL", "http://127.0.0.1:9").run();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("committed"), "{}", ran.stdout);
    // The next run delivers nothing and catches up.
    run(dir.path(), &server, &[]).run().exits(0).shows("nothing to commit").shows("vault-runtime-prod");
}
