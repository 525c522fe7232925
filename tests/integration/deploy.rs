//! deploy/: what `kubectl apply -k deploy/` would send.

use super::common::{kubectl_kustomize, program, project};
use super::support::fleet::Fleet;
use hydrant::yaml;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

fn objects(text: &str) -> Vec<Value> {
    yaml::read(text.as_bytes(), &yaml::Limits::manifests())
        .unwrap()
        .iter()
        .map(|node| node.to_value(yaml::Schema::Kubectl).unwrap())
        .collect()
}

/// Returns the objects of deploy/ as kubectl builds them, or none where it is not installed.
fn built() -> Option<Vec<Value>> {
    let text = kubectl_kustomize(&project("deploy"))?.expect("deploy/ builds");
    Some(objects(&text))
}

fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|o| o["kind"] == kind).unwrap_or_else(|| panic!("deploy/ has no {kind}"))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"].into_iter().filter_map(|key| pod[key].as_array()).flatten()
}

#[test]
fn the_cron_job_runs_once_at_a_time_within_deadlines_and_leaves_retries_to_the_next_run() {
    let Some(objects) = built() else { return };
    let spec = &the(&objects, "CronJob")["spec"];
    assert_eq!(spec["concurrencyPolicy"], "Forbid");
    assert!(spec["startingDeadlineSeconds"].as_u64().unwrap() > 0);
    let job = &spec["jobTemplate"]["spec"];
    assert_eq!(job["backoffLimit"], 0);
    assert!(job["activeDeadlineSeconds"].as_u64().unwrap() > 0);
    let pod = &job["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    // SIGTERM ends a run within 10 s; the kill must come later.
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 10);
}

#[test]
fn the_pod_has_no_rights_no_root_and_no_writable_root_file_system() {
    let Some(objects) = built() else { return };
    let pod = &the(&objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(the(&objects, "ServiceAccount")["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}));
    assert_eq!(containers(pod).count(), 1);
    for container in containers(pod) {
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{}", container["name"]);
        assert_eq!(security["allowPrivilegeEscalation"], false, "{}", container["name"]);
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{}", container["name"]);
    }
    let kinds: Vec<&str> = objects.iter().filter_map(|o| o["kind"].as_str()).collect();
    assert!(!kinds.iter().any(|kind| kind.contains("Role")), "it needs no role: {kinds:?}");
}

#[test]
fn credentials_come_as_mounted_files_and_the_cache_is_a_folder_of_its_own() {
    let Some(objects) = built() else { return };
    let pod = &the(&objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let volume = |name: &str| {
        let all = pod["volumes"].as_array().unwrap();
        all.iter().find(|v| v["name"] == name).unwrap_or_else(|| panic!("no volume {name}"))
    };
    assert!(volume("cache")["emptyDir"]["sizeLimit"].is_string());
    assert_eq!(volume("git-credentials")["secret"]["secretName"], "hydrant-git");
    for container in containers(pod) {
        let from_secret = |env: &&Value| env.pointer("/valueFrom/secretKeyRef").is_some();
        let env = container["env"].as_array().unwrap();
        assert_eq!(env.iter().find(from_secret), None, "a secret in the environment shows in /proc");
        let mounts = container["volumeMounts"].as_array().unwrap();
        let secret = mounts.iter().find(|m| m["name"] == "git-credentials").unwrap();
        assert_eq!(secret["readOnly"], true);
    }
    let hydrant = &pod["containers"][0];
    let mounts = hydrant["volumeMounts"].as_array().unwrap();
    let mounted = |path: &str| mounts.iter().any(|m| path.starts_with(m["mountPath"].as_str().unwrap()));
    for variable in ["HYDRANT_GIT_USERNAME_FILE", "HYDRANT_GIT_PASSWORD_FILE", "ARGOCD_API_TOKEN_FILE"] {
        let env = hydrant["env"].as_array().unwrap();
        let set = env.iter().find(|e| e["name"] == variable).unwrap_or_else(|| panic!("no {variable}"));
        assert!(mounted(set["value"].as_str().unwrap()), "{variable} names a file that is mounted");
    }
    assert!(!objects.iter().any(|o| o["kind"] == "Secret"), "deploy/ holds no secret");
}

#[test]
fn the_cron_job_calls_hydrant_with_flags_that_it_has() {
    let Some(objects) = built() else { return };
    let pod = &the(&objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_array().unwrap();
    let call = ["hydrant"].into_iter().chain(args.iter().map(|a| a.as_str().unwrap()));
    <hydrant::cli::Cli as clap::Parser>::try_parse_from(call).unwrap();
    let place = &the(&objects, "ConfigMap")["data"]["fleet"];
    let settings = || Ok(hydrant::edge::git::GitSettings::default());
    let fleet = hydrant::edge::fleet::FleetPlace::parse(place.as_str().unwrap(), settings).unwrap();
    assert_eq!(place, &fleet.to_string(), "a repository and a revision, read without a checkout");
}

/// kubectl reads an object into the type of its kind, and drops what the type does not have:
/// what comes back must hold everything that we wrote.
#[test]
fn every_field_of_the_cron_job_is_one_that_kubernetes_knows() {
    let Some(objects) = built() else { return };
    let mut ours = the(&objects, "CronJob").clone();
    // kubectl prints nothing when it has nothing to set.
    ours["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] = json!(OTHER_IMAGE);
    let lost = missing("", &ours, &typed(the(&objects, "CronJob")));
    assert!(lost.is_empty(), "Kubernetes does not know {lost:?}");
    let mut misspelt = the(&objects, "CronJob").clone();
    misspelt["spec"]["concurencyPolicy"] = json!("Forbid");
    let theirs = typed(&misspelt);
    ours["spec"]["concurencyPolicy"] = json!("Forbid");
    let lost = missing("", &ours, &theirs);
    assert_eq!(lost, ["/spec/concurencyPolicy"], "the check must see a misspelt field");
}

const OTHER_IMAGE: &str = "registry.example.org/other:1";

/// Returns the object as kubectl has it in the Go type of its kind, with another image.
fn typed(object: &Value) -> Value {
    let kubectl = program("kubectl").expect("it built deploy/");
    let image = format!("hydrant={OTHER_IMAGE}");
    let mut child = Command::new(kubectl)
        .args(["set", "image", "--local", "-f", "-", &image, "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Returns the paths of `ours` that `theirs` lacks or has otherwise.
fn missing(path: &str, ours: &Value, theirs: &Value) -> Vec<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => a
            .iter()
            .flat_map(|(key, value)| {
                missing(&format!("{path}/{key}"), value, b.get(key).unwrap_or(&Value::Null))
            })
            .collect(),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .flat_map(|(n, (x, y))| missing(&format!("{path}/{n}"), x, y))
            .collect(),
        _ if ours == theirs => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

/// Returns the objects of deploy/ as a user has them who switches something on: the line is
/// there, behind a comment sign.
fn built_with(line: &str) -> Option<Vec<Value>> {
    let deploy = Fleet::copy_of(&project("deploy"));
    let text = std::fs::read_to_string(deploy.path().join("kustomization.yaml")).unwrap();
    let off = format!("# {line}\n");
    assert!(text.contains(&off), "deploy/kustomization.yaml has no {off}");
    deploy.write("kustomization.yaml", &text.replace(&off, &format!("{line}\n")));
    let built = kubectl_kustomize(&deploy.path())?;
    Some(objects(&built.unwrap_or_else(|e| panic!("deploy/ with {line}: {e}"))))
}

#[test]
fn the_form_for_merge_requests_mounts_the_token_of_the_forge_and_nothing_else_has_it() {
    let Some(without) = built() else { return };
    assert!(!the(&without, "CronJob").to_string().contains("FORGE"), "a file that is not there is an error");
    for line in ["components: [merge-requests]", "components: [ssh, merge-requests]"] {
        let objects = built_with(line).expect("kubectl was there a moment ago");
        let job = the(&objects, "CronJob");
        let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let container = containers(pod).next().unwrap();
        let env = container["env"].as_array().unwrap();
        let file = env.iter().find(|e| e["name"] == "HYDRANT_FORGE_TOKEN_FILE").unwrap();
        assert_eq!(file["value"], "/credentials/forge/token");
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = json!({"name": "forge-credentials", "mountPath": "/credentials/forge", "readOnly": true});
        assert!(mounts.contains(&mount), "{mounts:?}");
        let volumes = pod["volumes"].as_array().unwrap();
        let secret = &volumes.iter().find(|v| v["name"] == "forge-credentials").unwrap()["secret"];
        assert_eq!(secret["secretName"], "hydrant-forge");
        assert_eq!(secret["defaultMode"], 0o440);
        assert_eq!(secret["items"], json!([{"key": "token", "path": "token"}]));
        // What was mounted without it still is.
        for name in ["git-credentials", "argocd-credentials", "cache"] {
            assert!(mounts.iter().any(|m| m["name"] == name), "{line}: {name}");
        }
        let mut ours = job.clone();
        ours["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!(OTHER_IMAGE);
        let lost = missing("", &ours, &typed(job));
        assert!(lost.is_empty(), "Kubernetes does not know {lost:?}");
    }
}

#[test]
fn the_form_for_ssh_mounts_key_and_known_hosts_and_lets_port_22_out() {
    let Some(objects) = built_with("components: [ssh]") else { return };
    let pod = &the(&objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = containers(pod).next().unwrap();
    let env: Vec<&str> =
        container["env"].as_array().unwrap().iter().filter_map(|e| e["name"].as_str()).collect();
    assert!(
        env.contains(&"HYDRANT_GIT_SSH_KEY_FILE") && env.contains(&"HYDRANT_GIT_KNOWN_HOSTS_FILE"),
        "{env:?}"
    );
    assert!(!env.iter().any(|name| name.starts_with("HYDRANT_GIT_PASSWORD")), "{env:?}");
    let volumes = pod["volumes"].as_array().unwrap();
    let secret = &volumes.iter().find(|v| v["name"] == "git-credentials").unwrap()["secret"];
    assert_eq!(secret["secretName"], "hydrant-git-ssh");
    assert_eq!(secret["defaultMode"], 0o440);
    let items = json!([{"key": "key", "path": "key"}, {"key": "known_hosts", "path": "known_hosts"}]);
    assert_eq!(secret["items"], items);
    let ports = the(&objects, "NetworkPolicy")["spec"]["egress"].to_string();
    assert!(ports.contains("22") && ports.contains("443"), "{ports}");
}
