//! What is left behind: the audit trail, the report, the exit code, the alerts.

use super::play::{Played, play, request};
use super::scenario::load;
use hydrant::audit::{Audit, AuditFilter, AuditRecord, Rotation, read};
use hydrant::commands::sync::{SyncReport, SyncSelection, audit_table, pick};
use hydrant::edge::argocd::alert::{self, Alert, RawAlert};
use hydrant::edge::argocd::clock::SystemClock;
use hydrant::model::sync::{ServerId, SyncResult};
use std::io::{Read as _, Write as _};

fn report(name: &str) -> (SyncReport, Vec<AuditRecord>) {
    let scenario = load(name);
    let Played { result, audit, .. } = play(&scenario);
    let request = request(&scenario, &ServerId("http://argo.example".into()));
    (SyncReport::new(&request, result, audit.clone()), audit)
}

#[test]
fn the_exit_code_says_whether_something_is_owed_and_whose_fault_it_is() {
    for (name, code) in [
        ("manual-sync-goes-live", 0),
        ("a-newer-commit-arrives", 0),
        ("dry-run", 0),
        ("wait-for-nothing", 0),
        ("degraded", 5),
        ("a-failure-stops-its-dependents", 5),
        ("window-stays-closed", 5),
        ("progressing-for-ever", 5),
        ("two-clusters-one-name", 5),
        ("token-refused", 3),
        ("no-right-to-sync", 3),
        ("unknown-error", 3),
        ("not-argo-cd", 3),
    ] {
        let (report, _) = report(name);
        assert_eq!(report.exit, code, "{name}:\n{}", report.text());
    }
}

#[test]
fn a_report_names_objects_as_kubectl_takes_them_and_the_mend() {
    let (failed, _) = report("an-object-is-refused");
    assert!(
        failed.text().contains("deployment.apps/web -n demo (SyncFailed): web is at fault"),
        "{}",
        failed.text()
    );
    let (denied, _) = report("no-right-to-sync");
    assert!(
        denied.text().contains("hint: p, role:hydrant, applications, sync, default/one, allow"),
        "{}",
        denied.text()
    );
    let json: serde_json::Value = serde_json::from_str(&failed.json()).unwrap();
    assert_eq!(json["outcomes"][0]["result"], "failed");
    assert_eq!(json["exit"], 5);
    let (stopped, _) = report("interrupted");
    assert!(stopped.text().contains("Argo CD goes on"), "{}", stopped.text());
}

#[test]
fn every_request_and_every_outcome_is_a_line_that_joins_the_commits() {
    let (report, audit) = report("a-failure-stops-its-dependents");
    let outcomes: Vec<&AuditRecord> = audit.iter().filter(|r| r.event == "outcome").collect();
    assert_eq!(outcomes.len(), report.outcomes.len(), "also for those that never started");
    let requests: Vec<&str> =
        audit.iter().filter(|r| r.action == "sync").map(|r| r.application.as_str()).collect();
    assert_eq!(requests.len(), 4, "{requests:?}");
    let base = outcomes.iter().find(|r| r.application == "base").unwrap();
    assert_eq!(
        (base.result.as_str(), base.phase.as_str(), base.sync.as_str(), base.health.as_str()),
        ("live", "Succeeded", "Synced", "Healthy")
    );
    assert!(base.source_commit.is_some() && base.revision == base.synced_revision && base.millis > 0);
    let settled = report.outcomes.iter().filter(|o| o.result.is_settled());
    assert_eq!(settled.map(|o| o.app.as_str()).collect::<Vec<_>>(), ["base", "org", "well"]);
}

#[test]
fn a_lost_answer_leaves_its_status_in_the_trail() {
    let (_, audit) = report("throttled");
    let sync: Vec<(Option<u16>, Option<i64>)> =
        audit.iter().filter(|r| r.action == "sync").map(|r| (r.http, r.code)).collect();
    assert_eq!(sync, [(Some(429), Some(8)), (Some(200), None)]);
}

#[test]
fn a_token_that_expires_soon_is_said_and_within_three_days_urgent() {
    for (days, urgent) in [(2, true), (10, false)] {
        let mut scenario = load("manual-sync-goes-live");
        scenario.server.token_days = Some(days);
        let played = play(&scenario);
        let notice = &played.result.notices[0];
        assert!(
            notice.contains("`good` of account `hydrant`")
                && notice.contains(&format!("expires in {days} days")),
            "{notice}"
        );
        assert_eq!(played.result.urgent, urgent);
        assert_eq!(played.result.outcomes[0].result, SyncResult::Live);
    }
}

#[test]
fn a_dry_run_keeps_what_it_overwrites_in_argo_cd() {
    let (_, audit) = report("dry-run");
    let before = audit.iter().find(|r| r.event == "before").unwrap();
    assert_eq!((before.phase.as_str(), before.message.as_str()), ("Succeeded", "an older sync"));
    assert_eq!(before.synced_revision, super::scenario::sha("old"));
}

fn line(n: u32, application: &str) -> AuditRecord {
    AuditRecord {
        time: format!("2026-11-21T06:00:{n:02}Z"),
        event: "outcome".into(),
        run: "r".into(),
        application: application.into(),
        revision: format!("{n:040x}"),
        result: "live".into(),
        ..AuditRecord::default()
    }
}

#[test]
fn the_file_is_rotated_by_size_and_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/audit.jsonl");
    let audit = Audit::open(&path, Rotation { most_bytes: 600, keep: 3 }).unwrap();
    for n in 0..12 {
        audit.record(line(n, if n % 2 == 0 { "even" } else { "odd" }));
    }
    let files: Vec<u64> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|f| f.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(files.len(), 4);
    assert!(files.iter().all(|size| *size <= 600), "{files:?}");
    let all = read(&path, &AuditFilter::default()).unwrap().records;
    assert_eq!(all.last().unwrap(), &line(11, "odd"));
    assert!(all.windows(2).all(|w| w[0].time < w[1].time), "oldest first");
    let odd = AuditFilter { application: Some("odd".into()), last: Some(2), ..AuditFilter::default() };
    let times: Vec<String> = read(&path, &odd).unwrap().records.into_iter().map(|r| r.time).collect();
    assert_eq!(times, ["2026-11-21T06:00:09Z", "2026-11-21T06:00:11Z"]);
    let one = AuditFilter { commit: Some(format!("{:040x}", 10)), ..AuditFilter::default() };
    assert_eq!(read(&path, &one).unwrap().records.len(), 1);
}

#[test]
fn a_line_that_a_crash_cut_off_is_counted_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    Audit::open(&path, Rotation::default()).unwrap().record(line(1, "one"));
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"time\":\"20").unwrap();
    let text = audit_table(&path, &AuditFilter::default()).unwrap();
    assert!(
        text.starts_with("TIME") && text.contains("one") && text.contains("1 lines are no audit lines"),
        "{text}"
    );
    assert_eq!(audit_table(&folder.path().join("none"), &AuditFilter::default()).unwrap().lines().count(), 1);
}

#[test]
fn a_name_that_nothing_is_called_is_told_with_its_near_miss() {
    let scenario = load("a-failure-stops-its-dependents");
    let all = request(&scenario, &ServerId("http://argo.example".into())).apps;
    let named = |app: &str, env: &str| SyncSelection {
        apps: vec![app.into()],
        envs: vec![env.into()],
        ..Default::default()
    };
    assert_eq!(pick(&all, &named("sick", "prod")).unwrap().len(), 1);
    let wrong = pick(&all, &named("sikc", "prd")).unwrap_err();
    assert_eq!(wrong.violations.len(), 2, "all at once");
    assert_eq!(wrong.violations[0].hint.as_deref(), Some("did you mean `sick`?"));
}

/// Takes one POST and returns its body.
fn listener() -> (String, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let taken = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        let mut chunk = [0u8; 4096];
        loop {
            let n = socket.read(&mut chunk).unwrap();
            bytes.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|l| {
                l.to_lowercase().strip_prefix("content-length: ").and_then(|l| l.parse::<usize>().ok())
            });
            if n == 0 || length.is_some_and(|l| body.len() >= l) {
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
                return body.to_owned();
            }
        }
    });
    (url, taken)
}

#[test]
fn failures_go_to_every_webhook_in_its_form_and_a_dead_one_changes_nothing() {
    let (plain_url, plain) = listener();
    let (slack_url, slack) = listener();
    let raw: Vec<RawAlert> = serde_json::from_value(
        serde_json::json!([{"urlEnv": "A"}, {"urlEnv": "B", "format": "slack"}, {"urlEnv": "C"}]),
    )
    .unwrap();
    let hooks = alert::resolve(&raw, &|name| match name {
        "A" => Some(plain_url.clone()),
        "B" => Some(slack_url.clone()),
        _ => Some("http://127.0.0.1:9/nobody".into()),
    })
    .unwrap();
    let (report, _) = report("degraded");
    let about = Alert { run: "r-1", revision: &report.revision, outcomes: &report.outcomes, notices: &[] };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = runtime.block_on(alert::send(&hooks, &about, &SystemClock::default()));
    assert_eq!(taken, 2);
    let body: serde_json::Value = serde_json::from_str(&plain.join().unwrap()).unwrap();
    assert_eq!(body["failures"][0]["application"], "one");
    assert_eq!(body["failures"][0]["failing"][0], "configmap/one -n demo");
    let body: serde_json::Value = serde_json::from_str(&slack.join().unwrap()).unwrap();
    assert!(body["text"].as_str().unwrap().contains("prod/east `one`: Synced, and Degraded"), "{body}");
}

#[test]
fn a_window_and_a_good_run_are_no_alarm() {
    let raw: Vec<RawAlert> = serde_json::from_value(serde_json::json!([{"urlEnv": "A"}])).unwrap();
    let hooks = alert::resolve(&raw, &|_| Some("http://127.0.0.1:9/nobody".into())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for name in ["window-stays-closed", "manual-sync-goes-live", "interrupted"] {
        let (report, _) = report(name);
        let about =
            Alert { run: "r-1", revision: &report.revision, outcomes: &report.outcomes, notices: &[] };
        let begun = std::time::Instant::now();
        assert_eq!(runtime.block_on(alert::send(&hooks, &about, &SystemClock::default())), 0);
        assert!(begun.elapsed().as_millis() < 500, "nothing was sent");
    }
}
