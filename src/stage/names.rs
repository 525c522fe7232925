//! Names: which ones objects can have, and what their files are called.

use crate::model::unit::ObjectRef;
use std::collections::{BTreeMap, BTreeSet};

/// Returns true for a DNS label (RFC 1123): at most 63 of `[a-z0-9-]`, no `-` at an end.
pub fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Returns true for a name that some kind of object can have. RBAC names may hold `:` and
/// upper case; what no kind takes is `/`, `%`, `.`, `..` and control characters.
pub fn is_object_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name != "."
        && name != ".."
        && !name.chars().any(|c| c == '/' || c == '%' || c.is_control() || c.is_whitespace())
}

/// Returns the file of each object inside its component's folder.
pub fn file_names(objects: &[&ObjectRef], own_namespace: Option<&str>) -> Vec<String> {
    let mut groups: BTreeMap<(String, &str, &str), BTreeSet<&str>> = BTreeMap::new();
    for o in objects {
        groups.entry((o.kind.to_lowercase(), &o.namespace, &o.name)).or_default().insert(&o.group);
    }
    objects
        .iter()
        .map(|o| {
            let kind = o.kind.to_lowercase();
            let shared = groups
                .get(&(kind.clone(), o.namespace.as_str(), o.name.as_str()))
                .is_some_and(|g| g.len() > 1);
            let group = match (shared, o.group.is_empty()) {
                (true, true) => ".core".to_owned(),
                (true, false) => format!(".{}", o.group),
                (false, _) => String::new(),
            };
            let stem = safe(&format!("{kind}{group}-{}", o.name), &o.to_string());
            let folder = match own_namespace {
                _ if o.namespace.is_empty() => String::new(),
                Some(own) if own == o.namespace => String::new(),
                _ => format!("{}/", o.namespace),
            };
            format!("{folder}{stem}.yaml")
        })
        .collect()
}

/// Returns a file name of plain characters; one that loses any gets 8 digits of the id.
fn safe(name: &str, id: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-') { c } else { '_' })
        .collect();
    // 255 bytes is the limit of common file systems.
    let short: String = clean.chars().take(200).collect();
    if short == name {
        return short;
    }
    let digest = blake3::hash(id.as_bytes()).to_hex();
    format!("{short}~{}", &digest.as_str()[..8])
}
