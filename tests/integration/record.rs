//! The record itself: what is known of each Application, and the bounds of the document.

use hydrant::audit::AuditRecord;
use hydrant::model::tree::ObjectId;
use hydrant::record::{Base, Changes, Followed, Found, KEPT, Outcomes, Record, SCHEMA, outlived};
use std::collections::BTreeMap;
use std::sync::Arc;

fn commit(n: u32) -> ObjectId {
    format!("{n:040x}").parse().unwrap()
}

/// A small generator of numbers, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[test]
fn what_is_known_of_each_application_is_what_a_list_of_all_of_them_would_say() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let (mut followed, mut model) = (Followed::default(), BTreeMap::new());
        let clusters: Vec<String> = (0..3).map(|n| format!("lab/c{n}")).collect();
        for step in 1..40 {
            let at = commit(step);
            let every = dice.below(3) == 0;
            for cluster in &clusters {
                if !every && dice.below(2) == 0 {
                    continue;
                }
                let whole = every || dice.below(2) == 0;
                let mut outcomes = Outcomes::new();
                for app in 0..5 {
                    let name = format!("argocd/{app}");
                    let known = model.entry((cluster.clone(), name.clone())).or_insert(Base::Unknown);
                    // Who is owed is always among those that are asked for.
                    let asked = dice.below(3) == 0 || (whole && *known == Base::Owed);
                    let settled = dice.below(3) > 0;
                    if asked {
                        outcomes.insert(name, settled);
                        *known = if settled { Base::At(at) } else { Base::Owed };
                    } else if whole {
                        *known = Base::At(at);
                    }
                }
                followed.note(cluster, &at, whole, &outcomes);
            }
            if every {
                followed.compact(&clusters, &at);
            }
            let text = serde_json::to_string(&followed).unwrap();
            followed = serde_json::from_str(&text).unwrap();
            for ((cluster, name), known) in &model {
                assert_eq!(followed.base(cluster, name), *known, "seed {seed}, step {step}: {name}: {text}");
            }
        }
    }
}

#[test]
fn a_cluster_with_too_much_to_name_is_not_known_at_all() {
    let mut followed = Followed::to(&commit(1));
    let failed: Outcomes = (0..2000).map(|n| (format!("argocd/{n}"), false)).collect();
    followed.note("lab/east", &commit(2), true, &failed);
    assert_eq!(followed.base("lab/east", "argocd/7"), Base::Unknown, "Argo CD is asked");
    assert_eq!(followed.base("lab/west", "argocd/7"), Base::At(commit(1)));
    // Of many that got there one by one, the older word stands.
    let mut followed = Followed::to(&commit(1));
    let fine: Outcomes = (0..2000).map(|n| (format!("argocd/{n}"), true)).collect();
    followed.note("lab/east", &commit(2), false, &fine);
    assert_eq!(followed.base("lab/east", "argocd/7"), Base::At(commit(1)));
    // What is no commit says nothing.
    let wild: Followed = serde_json::from_str("{\"since\": \"../../etc/passwd\"}").unwrap();
    assert_eq!(wild.base("lab/east", "argocd/7"), Base::Unknown);
}

fn big() -> Record {
    let line = |n: usize| AuditRecord {
        time: format!("2026-11-21T06:00:00.{n:06}Z"),
        event: if n.is_multiple_of(3) { "outcome" } else { "request" }.into(),
        application: format!("application-{n}"),
        result: if n.is_multiple_of(30) { "failed" } else { "live" }.into(),
        message: "m".repeat(5000),
        ..AuditRecord::default()
    };
    let changes = Changes {
        units: 9000,
        listed: (0..9000).map(|n| format!("tenants/org/tenant-{n}/component")).collect(),
        ..Changes::default()
    };
    Record {
        schema: SCHEMA,
        fleet: "default".into(),
        clusters: (0..300).map(|n| (format!("prod/cluster-{n}"), changes.clone())).collect(),
        trail: (0..9000).map(line).collect(),
        ..Record::default()
    }
}

#[test]
fn a_record_has_a_longest_length_and_says_what_it_left_out() {
    let record = big();
    let text = record.bytes();
    assert!(text.len() <= 128 << 10, "{}", text.len());
    let Found::Record(read) = Record::read(&text) else { panic!("it reads itself") };
    assert_eq!(read.clusters.len(), 300);
    assert_eq!(read.clusters["prod/cluster-7"].units, 9000);
    assert_eq!(read.trail.len() + read.trail_left_out, 9000);
    assert!(read.trail.iter().any(|line| line.result == "failed"));
    assert_eq!(text, record.bytes(), "the same record has the same bytes");
    // However much it is.
    let endless = Record { run: "r".repeat(60), ..big() };
    let clusters = (0..20_000).map(|n| (format!("prod/cluster-{n}"), Changes::default())).collect();
    assert!(Record { clusters, ..endless }.bytes().len() <= 128 << 10);
}

#[test]
fn secrets_and_control_characters_enter_a_record_by_no_field() {
    let token = format!("ghp_{}", "A1b2".repeat(9));
    let vault = format!("hvs.{}", "A1b2".repeat(6));
    let record = Record {
        schema: SCHEMA,
        fleet: "default".into(),
        run: token.clone(),
        clusters: BTreeMap::from([(
            token.clone(),
            Changes { listed: vec![vault.clone()], ..Changes::default() },
        )]),
        trail: vec![AuditRecord {
            event: "outcome".into(),
            message: format!("refused: {token}\u{1b}[31m{vault}"),
            failing: vec![format!("secret/{vault}")],
            ..AuditRecord::default()
        }],
        ..Record::default()
    };
    let text = String::from_utf8(record.bytes()).unwrap();
    assert!(!text.contains("A1b2") && text.contains("REDACTED") && !text.contains("u001b"), "{text}");
    // Nor by a note that somebody else wrote.
    let wild = format!("{{\"schema\": 1, \"fleet\": \"a\\u001b]8;;x\\u0007\", \"run\": \"{token}\"}}");
    let Found::Record(read) = Record::read(wild.as_bytes()) else { panic!("a record") };
    assert!(!read.fleet.contains('\u{1b}') && !read.run.contains("A1b2"));
}

#[test]
fn only_the_oldest_records_of_one_fleet_on_one_branch_go() {
    let record = |fleet: &str, branch: &str, n: usize| {
        let mut record = Record {
            schema: SCHEMA,
            fleet: fleet.into(),
            time: format!("2026-11-21T06:{:02}:{:02}Z", n / 60, n % 60),
            ..Record::default()
        };
        record.destination.branch = branch.into();
        Arc::<[u8]>::from(record.bytes())
    };
    let mut notes: Vec<(ObjectId, Arc<[u8]>)> = Vec::new();
    for n in 0..KEPT + 20 {
        notes.push((commit(u32::try_from(9000 - n).unwrap()), record("default", "main", n)));
    }
    notes.push((commit(1), record("default", "other", 0)));
    notes.push((commit(2), record("theirs", "main", 0)));
    notes.push((commit(3), Arc::from(&b"by hand"[..])));
    let gone = outlived(&notes, "default", "main");
    let oldest: Vec<ObjectId> = (0..20).map(|n| commit(9000 - n)).collect();
    assert_eq!(gone, oldest);
    assert_eq!(outlived(&notes, "theirs", "main"), []);
}

#[test]
fn whatever_stands_in_a_note_it_is_read_without_a_panic() {
    let good = big().bytes();
    let mut dice = Dice(7);
    for _ in 0..400 {
        let mut text = good[..good.len().min(4000)].to_vec();
        for _ in 0..dice.below(8) {
            let at = usize::try_from(dice.below(text.len() as u64)).unwrap();
            text[at] = u8::try_from(dice.below(256)).unwrap();
        }
        text.truncate(usize::try_from(dice.below(text.len() as u64 + 1)).unwrap());
        let _ = Record::read(&text);
    }
    for text in
        ["", "null", "[]", "{}", "{\"schema\": -1}", "{\"schema\": 1e99}", "{\"schema\": 1, \"trail\": {}}"]
    {
        assert_eq!(Record::read(text.as_bytes()), Found::Foreign, "{text}");
    }
    assert_eq!(Record::read(b"{\"schema\": 2}"), Found::Newer);
}
