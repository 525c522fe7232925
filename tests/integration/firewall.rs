//! No secret reaches Git or anybody's screen: the domain is held, exit 4, and the value shows nowhere.

use crate::common::Ran;
use crate::support::fleet::Fleet;
use crate::support::git::person_commits;

/// Each shape, put together here so that no scanner takes this file for a leak.
fn tokens() -> Vec<(&'static str, String)> {
    let jwt = format!("eyJ{0}.eyJ{0}.{0}", "A1b2C3d4".repeat(2));
    let pem = |kind: &str| {
        format!("-----BEGIN {kind}PRIVATE {0}-----\\nMIIC4n4ry\\n-----END {kind}PRIVATE {0}-----", "KEY")
    };
    vec![
        ("PEM private key", pem("")),
        ("PEM private key", pem("RSA ")),
        ("PEM private key", pem("OPENSSH ")),
        ("Vault token", format!("hvs.{}", "A1b2C3d4".repeat(4))),
        ("Vault token", format!("hvb.{}", "A1b2C3d4".repeat(4))),
        ("GitHub token", format!("ghp_{}", "A1b2C3d4".repeat(5))),
        ("GitHub token", format!("github_pat_{}", "A1b2C3d4".repeat(8))),
        ("GitLab token", format!("glpat-{}", "A1b2C3d4".repeat(3))),
        ("AWS access key", format!("AKIA{}", "A1B2".repeat(4))),
        ("AWS secret key", format!("aws_secret_access_key = {}", "A1b2C3d4".repeat(5))),
        ("JWT", jwt),
        ("password in a URL", format!("https://me:{}@git.example.com/x", "c4n4ry-pass")),
    ]
}

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\ndata:\n";

/// Runs everything that prints on a fleet, and asserts that no output holds a needle.
#[track_caller]
fn never_shown(fleet: &Fleet, needles: &[&str]) -> Ran {
    let report = fleet.beside("report.json").display().to_string();
    let ran = fleet.run(&["-vvv", "--report", &report]);
    let out = fleet.beside("out").display().to_string();
    let calls = [
        fleet.call(&["validate"], &["-vvv", "--log-format", "json"]).run(),
        fleet.render(&["-vv", "--dry-run"]),
        fleet.render(&["--format", "json"]),
        fleet.render(&["--format", "names"]),
        fleet.call(&["render"], &["--out", &out]).run(),
        fleet.call(&["explain", "values"], &[]).run(),
        fleet.call(&["explain", "components"], &[]).run(),
    ];
    let mut all = std::fs::read_to_string(&report).unwrap_or_default();
    for said in calls.iter().chain([&ran]) {
        all.push_str(&said.stdout);
        all.push_str(&said.stderr);
    }
    for needle in needles {
        assert!(!all.contains(needle), "{needle} is shown:\n{all}");
        assert!(!any_file_holds(&fleet.beside("out"), needle), "{needle} was written to --out");
    }
    ran
}

fn any_file_holds(folder: &std::path::Path, needle: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.map(|e| e.expect("entry").path()).any(|path| {
        if path.is_dir() {
            return any_file_holds(&path, needle);
        }
        let bytes = std::fs::read(&path).expect("file");
        bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
    })
}

#[test]
fn every_shape_of_a_token_is_held_in_a_template_a_value_a_key_and_a_name() {
    let fleet = Fleet::of(&["sound"]);
    let mut cases = Vec::new();
    for (shape, token) in tokens() {
        let quoted = format!("\"{token}\"");
        for place in ["template", "value", "key", "name"] {
            // A name that long, or with a line break, is refused for what it is.
            if place == "name" && (token.len() > 60 || token.contains(['\\', ' ', '/'])) {
                continue;
            }
            let id = format!("c{}", cases.len());
            let template = match place {
                "template" => format!("{CONFIG_MAP}  a: {quoted}\n"),
                "value" => format!("{CONFIG_MAP}  a: {{{{ values.token }}}}\n"),
                "key" => format!("{CONFIG_MAP}  {quoted}: a\n"),
                _ => CONFIG_MAP.replace("notes", &quoted),
            };
            fleet.component(&id, &template);
            fleet.write(&format!("templates/platform/{id}/values.yaml"), &format!("token: {quoted}\n"));
            let only = format!("namespace: lab\nenabled: cluster.name == \"{id}\"\n");
            fleet.write(&format!("templates/platform/{id}/component.yaml"), &only);
            fleet.write(
                &format!("clusters/{id}/cluster.yaml"),
                &crate::support::fleet::cluster_yaml(&id, "lab"),
            );
            cases.push((id, shape, place));
        }
    }
    let ran = never_shown(&fleet, &["A1b2C3d4", "A1B2A1B2", "MIIC4n4ry", "c4n4ry-pass"])
        .exits(4)
        .shows("lab/sound");
    for (id, shape, place) in cases {
        let said = ran.stderr.lines().any(|l| {
            l.contains(&format!("templates/platform/{id}/objects.yaml"))
                && l.contains(&format!("carries a {shape}, and must"))
        });
        assert!(said, "{place} of a {shape} ({id}) is not named:\n{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("refused: cluster lab/{id} ")), "{place} of a {shape}");
        assert!(fleet.files(&format!("lab/{id}/")).is_empty(), "{place} of a {shape}");
    }
    assert!(!fleet.files("lab/sound").is_empty());
}

const CANARY: &str = "hunter2-c4n4ry";

fn secret(body: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n{body}\n")
}

#[test]
fn a_secret_with_data_is_held_in_every_form() {
    let encoded = "aHVudGVyMi1jNG40cnk=";
    let forms = [
        secret(&format!("stringData:\n  password: {CANARY}")),
        secret(&format!("data:\n  password: {encoded}")),
        secret("data:\n  empty: \"\""),
        secret(&format!("data: {CANARY}")),
        secret(&format!("stringData: [{CANARY}]")),
        secret(&format!("{{% if true %}}\nstringData: {{password: {CANARY}}}\n{{% endif %}}")),
        format!(
            "apiVersion: v1\nkind: List\nmetadata: {{name: l}}\nitems:\n  - {{apiVersion: v1, kind: Secret, metadata: {{name: s}}, stringData: {{password: {CANARY}}}}}\n"
        ),
        format!(
            "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {{name: t}}\nobjects:\n  - {{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{password: {encoded}}}}}\n"
        ),
    ];
    for form in forms {
        let fleet = Fleet::of(&["a"]);
        fleet.component("notes", &form);
        let ran = never_shown(&fleet, &[CANARY]);
        assert_eq!(ran.code, 4, "{form}\n{}", ran.stderr);
        assert!(ran.stderr.contains("carries secret data"), "{form}\n{}", ran.stderr);
        assert!(!ran.stderr.contains(encoded), "{}", ran.stderr);
        assert!(!fleet.repo().join("refs/heads/main").exists());
    }
}

#[test]
fn a_key_in_base64_is_found_in_a_secret_and_in_binary_data() {
    use base64::Engine as _;
    let key = format!("-----BEGIN PRIVATE {0}-----\nMIIC4n4ry\n-----END PRIVATE {0}-----\n", "KEY");
    let encoded = base64::engine::general_purpose::STANDARD.encode(key);
    for field in ["binaryData", "data"] {
        let fleet = Fleet::of(&["a"]);
        fleet.component(
            "notes",
            &format!("{}  a: {encoded}\n", CONFIG_MAP.replace("\ndata:", &format!("\n{field}:"))),
        );
        never_shown(&fleet, &[&encoded[30..50]]).exits(4).says(&format!("{field}.a: ConfigMap/notes"));
    }
}

#[test]
fn what_only_looks_like_a_secret_passes() {
    let fleet = Fleet::of(&["a"]);
    let certificate = "-----BEGIN CERTIFICATE-----\\nMIIC\\n-----END CERTIFICATE-----";
    let reviewer = secret("type: kubernetes.io/service-account-token")
        .replace("metadata:", "metadata:\n  annotations: {kubernetes.io/service-account.name: x}");
    let text = format!(
        "{CONFIG_MAP}  ca: \"{certificate}\"\n  url: https://vault.example.com:8200/v1\n  image: registry.example.com/team/app@sha256:{}\n---\n{reviewer}",
        "a1b2c3d4".repeat(8)
    );
    fleet.component("notes", &text);
    fleet.run(&[]).exits(0);
}

#[test]
fn keys_that_a_component_declares_public_pass_and_no_others() {
    let fleet = Fleet::of(&["a"]);
    fleet.component("notes", &secret("stringData:\n  url: https://git.example.com\n  type: git"));
    fleet.write("templates/platform/notes/component.yaml", "namespace: lab\npublicSecretKeys: [url, type]\n");
    fleet.run(&[]).exits(0);
    // A token under a public key is still one.
    let token = format!("ghp_{}", "A1b2C3d4".repeat(5));
    fleet.component("notes", &secret(&format!("stringData:\n  url: {token}")));
    fleet.write("templates/platform/notes/component.yaml", "namespace: lab\npublicSecretKeys: [url, type]\n");
    never_shown(&fleet, &[&token[4..]]).exits(4).says("stringData.url: Secret/s carries a GitHub token");
}

#[test]
fn the_diff_of_a_secret_that_a_person_committed_shows_nothing_of_it() {
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Secret\n    stringData:\n      password: {CANARY}\n"
    );
    let forms = [
        secret(&format!("stringData:\n  password: {CANARY}")),
        secret(&format!("stringData:\n  password: |\n    first\n    {CANARY}")),
        secret(&format!("stringData: {{password: {CANARY}}}")),
        secret(&format!("stringData:\n  password: {CANARY}")).replace("kind: Secret", "kind: \"Secret\""),
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {{\"name\": \"s\"}}, \"stringData\": {{\"password\": \"{CANARY}\"}}}}\n"
        ),
        list,
        secret(&format!("\"stringData\":\n  password: {CANARY}")),
        secret(&format!("stringData:\n  ? password\n  : {CANARY}")),
    ];
    for form in forms {
        let fleet = Fleet::of(&["a"]);
        fleet.component("notes", &format!("{CONFIG_MAP}  a: b\n"));
        fleet.run(&[]).exits(0);
        person_commits(&fleet.repo(), "main", &[("lab/a/platform/notes/secret-s.yaml", Some(&form))], "oops");
        let ran = fleet.render(&["--dry-run"]).exits(0).shows("lab/a/platform/notes/secret-s.yaml");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(CANARY), "{form}\nis shown as\n{said}");
    }
}
