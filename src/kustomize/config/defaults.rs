//! Reads `data/field-specs.txt`.

use super::{Config, NameReference};
use crate::kustomize::fieldspec::FieldSpec;
use crate::kustomize::gvk::Gvk;

/// The kinds that ConfigMaps and Secrets are looked for in, and where their pods' spec lies.
const PODS: [(&str, &str); 8] = [
    ("Pod:v1", "spec"),
    ("PodTemplate", "template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// The kinds that claims, service accounts and priority classes are looked for in.
const WORKLOADS: [(&str, &str); 7] = [
    ("Pod", "spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
];

/// The kinds that variables are put into.
const VARS: [(&str, &str); 7] = [
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("Pod", "spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
];

/// Reads the table; lines that do not fit are left out, which a test would notice.
pub(super) fn read() -> Config {
    let mut config = Config::default();
    let lines = include_str!("../data/field-specs.txt").lines();
    for line in lines.filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut parts = line.splitn(4, ' ');
        let mut next = || parts.next().unwrap_or_default();
        match [next(), next(), next(), next()] {
            ["nameReference", target, kind, path] => {
                // No line names what another names already, so there is nothing to merge.
                let (target, referrers) = (gvk(target), specs(kind, path, false));
                match config.name_reference.iter_mut().rfind(|there| there.target == target) {
                    Some(there) => there.referrers.extend(referrers),
                    None => config.name_reference.push(NameReference { target, referrers }),
                }
            }
            [sections, kind, path, create] => {
                add(&mut config, sections, specs(kind, path, create == "create"))
            }
        }
    }
    config.sort();
    config
}

fn add(config: &mut Config, sections: &str, specs: Vec<FieldSpec>) {
    match sections.split_once('+') {
        Some((first, others)) => {
            config.section(first).into_iter().for_each(|list| list.extend_from_slice(&specs));
            add(config, others, specs);
        }
        None => {
            if let Some(list) = config.section(sections) {
                list.extend(specs);
            }
        }
    }
}

fn specs(kind: &str, path: &str, create: bool) -> Vec<FieldSpec> {
    let group: &[(&str, &str)] = match kind {
        "@pods" => &PODS,
        "@workloads" => &WORKLOADS,
        "@vars" => &VARS,
        _ => return vec![FieldSpec::new(gvk(kind), path, create)],
    };
    group.iter().map(|(kind, pod)| FieldSpec::new(gvk(kind), path.replacen('~', pod, 1), create)).collect()
}

/// Reads `Kind:version:group`.
fn gvk(text: &str) -> Gvk {
    let mut parts = text.splitn(3, ':').map(|p| if p == "*" { "" } else { p }.to_owned());
    let mut next = || parts.next().unwrap_or_default();
    let (kind, version, group) = (next(), next(), next());
    Gvk { group, version, kind }
}
