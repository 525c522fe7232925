//! Runs the line over a fleet's folder, as far as a unit's final files.

use super::{Output, read_below};
use std::collections::BTreeMap;
use std::path::Path;

/// Renders a fleet's folder with the library.
pub fn render_folder(fleet: &Path) -> Result<Output, String> {
    use hydrant::stage::{overlay::overlay, render::render, resolve::resolve, units, validate::validate};
    let (tree, source) = hydrant::edge::load::load(fleet).map_err(|e| e.to_string())?;
    let say =
        |v: Vec<hydrant::error::Violation>| v.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let builtin = hydrant::edge::embedded::builtin();
    let defs = hydrant::definition::define(tree, builtin, source, Default::default()).map_err(say)?;
    let fleet = resolve(&defs, builtin);
    let mut why: Vec<_> =
        fleet.held.values().flatten().chain(&fleet.failed).chain(&fleet.notices).cloned().collect();
    let pick = units::Selection::default();
    let folder = tempfile::tempdir().expect("folder");
    for unit in units::units(&fleet, &pick, "r") {
        match unit {
            Ok(unit) => {
                match render(&unit).and_then(|r| overlay(r, &unit)).and_then(|o| validate(o, &unit)) {
                    Ok(h) => {
                        for f in h.files {
                            let path = folder.path().join(unit.id.cluster.to_string()).join(&f.path);
                            std::fs::create_dir_all(path.parent().expect("parent")).expect("dir");
                            std::fs::write(path, &f.bytes).expect("file");
                        }
                    }
                    Err(v) => why.extend(v),
                }
            }
            Err((_, v)) => why.extend(v),
        }
    }
    if !why.is_empty() {
        return Err(say(why));
    }
    let mut files = BTreeMap::new();
    read_below(folder.path(), folder.path(), &mut files);
    Ok(Output { folder, files })
}
