//! The index files: they belong to no unit and list what is there in the final tree.

use super::Files;
use crate::model::id::{Layer, UnitId};
use crate::model::mark::{self, Mark};
use crate::model::target::ClusterTarget;
use crate::model::tree::ObjectId;
use crate::stage::validate::kustomization;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Adds the index files of a cluster to the files of its units.
pub fn add(mut files: Files, cluster: &ClusterTarget, mark: &Mark) -> Files {
    list_components(&mut files);
    put(&mut files, mark::FILE.into(), mark.print());
    put(&mut files, "bootstrap/root-app.yaml".into(), cluster.root.clone());
    for (name, bytes) in &cluster.layers {
        put(&mut files, format!("apps/{name}"), bytes.clone());
    }
    for layer in Layer::ALL {
        put(&mut files, format!("apps/{layer}/.keep"), Vec::new());
    }
    files
}

/// Adds the kustomization.yaml files that list the components of each subject, and those that
/// serve the cluster.
pub fn list_components(files: &mut Files) {
    let mut subjects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut own: BTreeSet<String> = BTreeSet::new();
    for folder in component_folders(files) {
        match subject_folder(&folder) {
            Some((subject, component)) => {
                subjects.entry(subject).or_default().insert(component);
            }
            None => {
                own.insert(folder);
            }
        }
    }
    for (subject, components) in subjects {
        let listed: Vec<String> = components.into_iter().collect();
        put(files, format!("{subject}/kustomization.yaml"), kustomization(&listed).into_bytes());
    }
    if !own.is_empty() {
        let listed: Vec<String> = own.into_iter().collect();
        put(files, "kustomization.yaml".into(), kustomization(&listed).into_bytes());
    }
}

fn put(files: &mut Files, path: String, bytes: Vec<u8>) {
    files.insert(path, (ObjectId::of_blob(&bytes), Some(Arc::from(bytes))));
}

/// Returns the folders of components: each holds a kustomization.yaml of its unit.
fn component_folders(files: &Files) -> BTreeSet<String> {
    let kustomized: BTreeSet<&str> =
        files.keys().filter_map(|p| p.strip_suffix("/kustomization.yaml")).collect();
    let outermost = |folder: &str| UnitId::place_of(&format!("{folder}/x"), |f| kustomized.contains(f));
    kustomized.iter().filter_map(|folder| outermost(folder)).collect()
}

/// Divides the folder of a subject's component into the subject's folder and the rest.
fn subject_folder(folder: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = folder.split('/').collect();
    let depth = match parts.first()? {
        &"organizations" | &"knowledgebases" => 2,
        &"tenants" => 3,
        _ => return None,
    };
    (parts.len() > depth).then(|| (parts[..depth].join("/"), parts[depth..].join("/")))
}

/// Returns the place that a path has in a set of final files, or the path itself.
pub fn place_in(files: &Files, path: &str) -> String {
    UnitId::place_of(path, |f| files.contains_key(&format!("{f}/kustomization.yaml")))
        .unwrap_or_else(|| path.to_owned())
}
