//! `hydrant build` against `kubectl kustomize`: whole processes, in one run, on trees made here.
//!
//! `cargo bench --bench overlay-vs-kubectl`; `HYDRANT_BIN` names another binary. The outputs
//! are compared first: a fast wrong answer is no result. Wall times are medians of pairs that
//! alternate (A B A B), because the speed of a machine drifts; the peak memory comes from
//! one more run of each under `/usr/bin/time`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/measure.rs"]
mod measure;

use measure::{Took, median};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Manifests of one tenant: what a small team has.
const KINDS: [(&str, &str, &str); 14] = [
    ("v1", "ServiceAccount", "{}"),
    ("v1", "ConfigMap", "data: {colour: amber, app.conf: \"one\\ntwo\\n\"}"),
    ("v1", "Secret", "stringData: {user: keeper}"),
    ("v1", "Service", "spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}"),
    ("apps/v1", "Deployment", ""),
    ("apps/v1", "StatefulSet", ""),
    (
        "batch/v1",
        "CronJob",
        "spec: {schedule: '@daily', jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: b}]}}}}}",
    ),
    (
        "networking.k8s.io/v1",
        "Ingress",
        "spec: {rules: [{host: a.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: x, port: {number: 80}}}}]}}]}",
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}",
    ),
    ("policy/v1", "PodDisruptionBudget", "spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}"),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "spec: {minReplicas: 1, maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: x}}",
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "Role",
        "rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]",
    ),
    ("v1", "ResourceQuota", "spec: {hard: {pods: '20'}}"),
    ("v1", "LimitRange", "spec: {limits: [{type: Container, default: {memory: 256Mi}}]}"),
];

const WORKLOAD: &str = "spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1.4.0
        ports: [{name: http, containerPort: 8080}]
        env: [{name: LOG_LEVEL, value: info}, {name: REGION, value: north}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
      - name: proxy
        image: registry.example.com/proxy:2
";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folder");
    fs::write(path, text).expect("file");
}

/// One tenant: 14 manifests, labels, and a patch of each form.
fn tenant(dir: &Path, name: &str) {
    let mut kustomization =
        format!("labels:\n- pairs: {{tenant: {name}}}\n  includeTemplates: true\nresources:\n");
    for (n, (version, kind, body)) in KINDS.iter().enumerate() {
        let body = match *body {
            "" => WORKLOAD,
            "{}" => "automountServiceAccountToken: false",
            body => body,
        };
        let text = format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}-{n}, namespace: {name}}}\n{body}\n"
        );
        write(&dir.join(format!("{n}.yaml")), &text);
        writeln!(kustomization, "- {n}.yaml").expect("text");
    }
    kustomization.push_str("patches:\n- path: patch.yaml\n- target: {kind: Service}\n  path: ops.yaml\n");
    write(&dir.join("kustomization.yaml"), &kustomization);
    let patch = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}-4, namespace: {name}}}\nspec:\n  replicas: 3\n  template:\n    spec:\n      containers:\n      - {{name: web, resources: {{limits: {{memory: 512Mi}}}}}}\n"
    );
    write(&dir.join("patch.yaml"), &patch);
    write(&dir.join("ops.yaml"), "- {op: add, path: /metadata/annotations, value: {exposed: 'true'}}\n");
}

/// A kustomization over many tenants.
fn fleet(dir: &Path, tenants: usize) -> PathBuf {
    let mut kustomization = "resources:\n".to_owned();
    for n in 0..tenants {
        let name = format!("t{n:05}");
        tenant(&dir.join(&name), &name);
        writeln!(kustomization, "- {name}").expect("text");
    }
    write(&dir.join("kustomization.yaml"), &kustomization);
    dir.to_owned()
}

struct Tool {
    name: &'static str,
    program: PathBuf,
    verb: &'static str,
}

impl Tool {
    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(self.verb).arg(dir).stdin(Stdio::null());
        command
    }

    fn output(&self, dir: &Path) -> Vec<u8> {
        let out = self.command(dir).output().unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        assert!(out.status.success(), "{} failed: {}", self.name, String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    fn wall(&self, dir: &Path) -> f64 {
        let mut command = self.command(dir);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        let took = start.elapsed().as_secs_f64();
        assert!(status.success(), "{} failed", self.name);
        took
    }
}

fn mib(peak: Option<f64>) -> String {
    peak.map_or_else(|| "n/a".to_owned(), |m| format!("{m:.1} MiB"))
}

/// Times both on one tree and prints one line.
fn compare(what: &str, ours: &Tool, theirs: &Tool, dir: &Path, pairs: usize) {
    let same = if ours.output(dir) == theirs.output(dir) { "same bytes" } else { "OTHER BYTES" };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        a.push(ours.wall(dir));
        b.push(theirs.wall(dir));
    }
    let (a, b) = (median(a), median(b));
    println!(
        "{what}: hydrant {:.1} ms, {}; kubectl {:.1} ms, {}; {:.1} times faster ({pairs} pairs, {same})",
        a * 1e3,
        mib(Took::by(&ours.command(dir)).peak),
        b * 1e3,
        mib(Took::by(&theirs.command(dir)).peak),
        b / a,
    );
}

fn alone(what: &str, ours: &Tool, dir: &Path, runs: usize) -> f64 {
    let took = median((0..runs).map(|_| ours.wall(dir)).collect());
    println!(
        "{what}: hydrant {:.1} ms, {} ({runs} runs)",
        took * 1e3,
        mib(Took::by(&ours.command(dir)).peak)
    );
    took
}

fn main() {
    // `cargo test --all-targets` starts benches too, without this flag
    if !std::env::args().any(|a| a == "--bench") {
        println!("skipped: run with `cargo bench --bench overlay-vs-kubectl`");
        return;
    }
    let ours = Tool { name: "hydrant", program: measure::hydrant(), verb: "build" };
    let theirs = Tool { name: "kubectl", program: "kubectl".into(), verb: "kustomize" };
    let dir = tempfile::tempdir().expect("folder");
    let at = |name: &str| dir.path().join(name);

    tenant(&at("one"), "t00000");
    compare("one tenant (14 manifests)", &ours, &theirs, &at("one"), 11);
    compare("100 tenants (1,400 manifests)", &ours, &theirs, &fleet(&at("hundred"), 100), 1);
    alone("1,000 tenants (14,000 manifests)", &ours, &fleet(&at("thousand"), 1000), 3);
    let small = alone("72 tenants (1,008 manifests)", &ours, &fleet(&at("small"), 72), 7);
    let large = alone("715 tenants (10,010 manifests)", &ours, &fleet(&at("large"), 715), 7);
    println!("ten times the manifests take {:.1} times as long", large / small);
}
