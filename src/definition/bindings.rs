//! Reads `bindings/**/*.yaml` into documents; what they mean is `stage::bindings`' business.

use super::tree::Tree;
use crate::error::{Origin, Violation, Violations};
use crate::stage::bindings::{BindingDocument, Unreadable};
use crate::yaml::{Limits, read};
use rayon::prelude::*;

/// The documents of a fleet's bindings.
#[derive(Debug, Default)]
pub struct BindingFiles {
    /// Every document that could be read.
    pub documents: Vec<BindingDocument>,
    /// Every file that could not.
    pub unreadable: Vec<Unreadable>,
}

const ROOT: &str = "bindings";

/// Reads all binding files of a fleet.
pub fn read_bindings(fleet: &Tree, notices: &mut Violations) -> BindingFiles {
    let mut found = BindingFiles::default();
    for (path, why) in fleet.unreadable_below(ROOT) {
        found.unreadable.push(Unreadable { file: fleet.shown(path), why: why.clone() });
    }
    let mut files = Vec::new();
    for (path, bytes) in fleet.below(ROOT) {
        let file = fleet.shown(path);
        if path.ends_with(".yml") {
            let v = Violation::warning("this file is not read: only *.yaml is").at(Origin::file(file));
            notices.push(v.hint(format!("rename it to {}yaml", path.trim_end_matches("yml"))));
        } else if path.ends_with(".yaml") {
            files.push((file, bytes));
        }
    }
    let read: Vec<_> = files.par_iter().map(|(_, bytes)| read(bytes, &Limits::inputs())).collect();
    for ((file, _), read) in files.into_iter().zip(read) {
        match read {
            Ok(nodes) => found
                .documents
                .extend(nodes.into_iter().map(|node| BindingDocument { node, file: file.clone() })),
            Err(e) => found.unreadable.push(Unreadable { why: e.in_file(&file), file }),
        }
    }
    found
}
