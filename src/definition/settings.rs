//! Reads `hydrant.yaml`.

use super::checked::Checker;
use super::tree::Tree;
use crate::error::{Origin, Violation, Violations};
use crate::model::cluster::schema_of;
use crate::model::settings::Settings;
use crate::yaml::{Limits, read};

/// Reads the fleet's settings; without the file, the defaults.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_settings(fleet: &Tree) -> Result<Settings, Violations> {
    const FILE: &str = "hydrant.yaml";
    if let Some(v) = fleet.unreadable.get(FILE) {
        return Err(vec![v.clone()]);
    }
    let Some(bytes) = fleet.get(FILE) else { return Ok(Settings::default()) };
    let file = fleet.shown(FILE);
    let documents = read(bytes, &Limits::inputs()).map_err(|e| vec![e.in_file(&file)])?;
    let checker = Checker::new(schema_of::<Settings>()).map_err(|v| vec![v])?;
    match documents.as_slice() {
        [] => Ok(Settings::default()),
        [node] => {
            let settings: Settings = checker.read(node, &file)?;
            check(&settings, node, &file)?;
            Ok(settings)
        }
        [_, second, ..] => {
            Err(vec![Violation::error("a second document; settings take one").at(Origin::at(
                file,
                second.at.line,
                second.at.column,
            ))])
        }
    }
}

/// Returns true for a relative folder without `.`, `..` or empty parts.
pub fn is_inner_folder(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']))
}

/// Checks what a schema cannot say.
fn check(
    settings: &Settings,
    node: &crate::yaml::Node,
    file: &std::sync::Arc<str>,
) -> Result<(), Violations> {
    let mut found = Violations::new();
    if settings.path.as_ref().is_some_and(|path| !is_inner_folder(path)) {
        let at = node.nearest("/path").at;
        found.push(
            Violation::error("must be a relative folder without `.`, `..` or empty parts")
                .at(Origin::at(file.clone(), at.line, at.column))
                .key("path"),
        );
    }
    for (i, name) in settings.allow_delete.iter().enumerate() {
        let parts: Vec<&str> = name.split('/').collect();
        let known = matches!(
            parts.as_slice(),
            ["cluster" | "objects", _, _]
                | ["organization" | "tenant" | "namespace", _]
                | ["application", _, _, _]
        ) && parts.iter().all(|p| !p.is_empty());
        if !known {
            let at = node.nearest(&format!("/allowDelete/{i}")).at;
            found.push(
                Violation::error("this names nothing that can be deleted")
                    .at(Origin::at(file.clone(), at.line, at.column))
                    .key(format!("allowDelete.{i}"))
                    .hint("write cluster/<env>/<c>, organization/<o>, tenant/<t>, namespace/<ns>, application/<env>/<c>/<name> or objects/<env>/<c>"),
            );
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}
