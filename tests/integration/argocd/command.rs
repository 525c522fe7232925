//! The library function behind `hydrant sync`, in real time.

use super::background::Background;
use super::play::request;
use super::scenario::{load, sha};
use super::world::Branch;
use hydrant::audit::{AuditFilter, Rotation, read};
use hydrant::commands::sync::{SyncContext, sync};
use hydrant::edge::argocd::settings::{ArgoSettings, RawArgoSettings};
use hydrant::edge::argocd::verdict::NoAncestry;
use hydrant::model::sync::{AppRef, Place, SyncRequest, SyncResult};
use hydrant::stop::Stop;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn context(argocd: &Background, audit: &Path) -> SyncContext {
    let raw = RawArgoSettings { settle: Some(0), ..Default::default() };
    let env = |name: &str| match name {
        "ARGOCD_API_URL" => Some(argocd.url.clone()),
        "ARGOCD_API_TOKEN_FILE" => Some(argocd.token_file.display().to_string()),
        _ => None,
    };
    SyncContext {
        settings: ArgoSettings::resolve(&raw, &BTreeMap::new(), &env).unwrap(),
        ancestry: Arc::new(Branch(vec!["old".into(), "new".into()])),
        audit: Some((audit.to_owned(), Rotation::default())),
        quiet: true,
        stop: Stop::never(),
    }
}

#[test]
fn a_sync_goes_live_in_real_time_and_leaves_its_trail() {
    let argocd = Background::of("manual-sync-goes-live");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let context = context(&argocd, &file);
    let request = request(&load("manual-sync-goes-live"), &context.settings.default.as_ref().unwrap().id);
    let report = sync(&request, &context).unwrap();
    assert_eq!((report.exit, &report.outcomes[0].result), (0, &SyncResult::Live), "{}", report.text());
    assert_eq!(report.outcomes[0].revision, Some(sha("new")));
    let trail = read(&file, &AuditFilter::default()).unwrap().records;
    assert_eq!(trail.iter().map(|r| r.event.as_str()).collect::<Vec<_>>(), ["request", "request", "outcome"]);
}

#[test]
fn a_sync_inside_a_runtime_does_not_fall_over() {
    let argocd = Background::of("manual-sync-goes-live");
    let folder = tempfile::tempdir().unwrap();
    let context = context(&argocd, &folder.path().join("audit.jsonl"));
    let request = request(&load("manual-sync-goes-live"), &context.settings.default.as_ref().unwrap().id);
    // As in the agent, whose loop is inside a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(async { sync(&request, &context).unwrap().exit }), 0);
}

#[test]
fn a_request_without_a_whole_commit_is_refused() {
    let argocd = Background::of("manual-sync-goes-live");
    let folder = tempfile::tempdir().unwrap();
    let context = context(&argocd, &folder.path().join("audit.jsonl"));
    let mut request = request(&load("manual-sync-goes-live"), &context.settings.default.as_ref().unwrap().id);
    request.revision = "00a4b1c".into();
    let error = sync(&request, &context).unwrap_err();
    assert_eq!(error.kind.exit_code(), 2);
    assert!(error.violations[0].message.contains("00a4b1c"));
}

/// A bare repository with two Applications, one of them automated, as a delivery writes them.
fn delivered(dir: &Path) -> (std::path::PathBuf, String) {
    let work = dir.join("work");
    let app = |name: &str, policy: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\nspec:\n  project: default\n  source: {{repoURL: https://git.example/fleet.git, path: prod/east/{name}, targetRevision: main}}\n{policy}"
        )
    };
    let automated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";
    super::super::common::write_files(
        &work,
        &[
            ("prod/east/apps/platform/one.yaml", &app("one", "")),
            ("prod/east/apps/platform/two.yaml", &app("two", automated)),
            ("prod/east/one/x.yaml", "a: 1\n"),
            ("prod/east/two/x.yaml", "a: 2\n"),
        ],
    );
    let git = |args: &[&str]| {
        let out = Command::new("git").arg("-C").arg(&work).args(args).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["-c", "user.name=t", "-c", "user.email=t@example", "commit", "-q", "-m", "delivered"]);
    (work.clone(), git(&["rev-parse", "HEAD"]))
}

#[test]
fn what_stands_in_a_delivered_repository_goes_live_at_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (repository, commit) = delivered(folder.path());
    let argocd = Background::beside(&repository, "main");
    let mut context = context(&argocd, &folder.path().join("audit.jsonl"));
    context.ancestry = Arc::new(NoAncestry);
    let server = context.settings.default.as_ref().unwrap().id.clone();
    let at = Place { server, cluster: "east".into(), env: "prod".into() };
    let names: Vec<String> = argocd.argocd.lock().apps.keys().cloned().collect();
    assert_eq!(names, ["one", "two"]);
    let read = |name: &String| {
        let mut manifest = argocd.argocd.object(name).unwrap();
        manifest["metadata"]["namespace"] = "argocd".into();
        AppRef::from_manifest(manifest, &at, "https://git.example/fleet.git").unwrap()
    };
    let request =
        SyncRequest { apps: names.iter().map(read).collect(), ..SyncRequest::new(commit.clone(), "r-1") };
    let report = sync(&request, &context).unwrap();
    assert_eq!(report.exit, 0, "{}", report.text());
    assert!(report.outcomes.iter().all(|o| o.revision.as_ref() == Some(&commit)));
}
