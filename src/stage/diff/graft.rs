//! Subjects that are new as a whole: one edit for the folder and one for the Application, with
//! their ids alone. Their files are read from the memo when they are written, a few at a time.

use super::{Files, index};
use crate::error::Result;
use crate::model::lot::Lot;
use crate::model::target::ClusterChange;
use crate::model::tree::{Edit, EntryKind, Graft, GraftSource};
use std::sync::Arc;

/// Adds the edits of a lot of which the base has nothing.
pub(super) fn add(lot: &Lot, cluster_folder: &str, change: &mut ClusterChange, edits: &mut Vec<Edit>) {
    let shared = Arc::new(lot.clone());
    if let (Some(id), Some(folder)) = (lot.summary.folder, lot.subject.folder()) {
        let graft =
            Graft::new(id, EntryKind::Tree, Arc::new(Folder { lot: shared.clone(), folder: folder.clone() }));
        edits.push(Edit::Graft { path: format!("{cluster_folder}/{folder}"), graft });
        change.units.push(format!("{folder}/kustomization.yaml"));
    }
    if let (Some(id), Some(file)) = (lot.summary.application, lot.subject.application_file()) {
        let graft = Graft::new(id, EntryKind::File, Arc::new(Application(shared)));
        edits.push(Edit::Graft { path: format!("{cluster_folder}/{file}"), graft });
    }
    // The folder's own kustomization.yaml is no unit's.
    change.added += lot.summary.files + 1;
    change.units.extend(lot.ids().map(|id| id.place()));
}

struct Folder {
    lot: Arc<Lot>,
    folder: String,
}

impl GraftSource for Folder {
    fn files(&self) -> Result<Vec<(String, Arc<[u8]>)>> {
        let units = self.lot.units()?;
        let mut files = Files::new();
        for file in units.iter().flat_map(|(_, hydrated)| &hydrated.files) {
            files.insert(file.path.clone(), (file.id, Some(file.bytes.clone())));
        }
        index::list_components(&mut files);
        let inside = |path: &str| Some(path.strip_prefix(&self.folder)?.strip_prefix('/')?.to_owned());
        Ok(files.into_iter().filter_map(|(path, (_, bytes))| Some((inside(&path)?, bytes?))).collect())
    }
}

struct Application(Arc<Lot>);

impl GraftSource for Application {
    fn files(&self) -> Result<Vec<(String, Arc<[u8]>)>> {
        let hydrated = self.0.application()?;
        let file = hydrated.as_ref().and_then(|hydrated| hydrated.files.first());
        Ok(file.map(|file| (String::new(), file.bytes.clone())).into_iter().collect())
    }
}
