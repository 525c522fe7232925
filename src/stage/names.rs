//! Names: which ones objects can have, and what their files are called.

use crate::model::unit::ObjectRef;

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
    let kinds: Vec<String> = objects.iter().map(|o| o.kind.to_lowercase()).collect();
    let shared = of_two_groups(objects, &kinds);
    let name = |((o, kind), shared): ((&&ObjectRef, &String), bool)| {
        let group = match (shared, o.group.as_str()) {
            (true, "") => ".core",
            (true, group) => &format!(".{group}"),
            (false, _) => "",
        };
        let stem = safe(format!("{kind}{group}-{}", o.name), o);
        match own_namespace {
            _ if o.namespace.is_empty() => format!("{stem}.yaml"),
            Some(own) if own == o.namespace => format!("{stem}.yaml"),
            _ => format!("{}/{stem}.yaml", o.namespace),
        }
    };
    objects.iter().zip(&kinds).zip(shared).map(name).collect()
}

/// Tells of each object whether another has its kind and name, and is of another API group.
fn of_two_groups(objects: &[&ObjectRef], kinds: &[String]) -> Vec<bool> {
    let key = |i: &usize| (kinds[*i].as_str(), objects[*i].namespace.as_str(), objects[*i].name.as_str());
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    let mut shared = vec![false; objects.len()];
    for alike in order.chunk_by(|a, b| key(a) == key(b)) {
        let two = alike.windows(2).any(|pair| objects[pair[0]].group != objects[pair[1]].group);
        alike.iter().for_each(|i| shared[*i] = two);
    }
    shared
}

/// Returns a file name of plain characters; one that loses any gets 8 digits of the id.
fn safe(name: String, id: &ObjectRef) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    // 255 bytes is the limit of common file systems.
    const MOST: usize = 200;
    if name.len() <= MOST && name.chars().all(plain) {
        return name;
    }
    let short: String = name.chars().map(|c| if plain(c) { c } else { '_' }).take(MOST).collect();
    if short == name {
        return short;
    }
    let digest = blake3::hash(id.to_string().as_bytes()).to_hex();
    format!("{short}~{}", &digest.as_str()[..8])
}
