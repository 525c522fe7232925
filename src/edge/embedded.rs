//! The built-in set: the project's own `templates/` and `overlays/`, embedded in the binary.

use crate::definition::tree::Tree;
use include_dir::{Dir, include_dir};
use std::sync::{Arc, LazyLock};

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static OVERLAYS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/overlays");

/// What stands before a built-in file in messages.
pub const SHOWN_BEFORE: &str = "builtin:";

static BUILTIN: LazyLock<Tree> = LazyLock::new(|| {
    let mut tree = Tree { shown_before: SHOWN_BEFORE.into(), ..Tree::default() };
    add(&mut tree, "templates", &TEMPLATES);
    add(&mut tree, "overlays", &OVERLAYS);
    tree
});

static DIGEST: LazyLock<blake3::Hash> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for (path, bytes) in &BUILTIN.files {
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    hasher.finalize()
});

/// Returns the built-in set.
pub fn builtin() -> &'static Tree {
    &BUILTIN
}

/// Returns what names this renderer in a unit's key: the crate's version and the digest of
/// what is embedded.
pub fn renderer() -> String {
    format!("hydrant {} {}", env!("CARGO_PKG_VERSION"), DIGEST.to_hex())
}

fn add(tree: &mut Tree, root: &str, dir: &'static Dir<'static>) {
    for file in dir.files() {
        let path = format!("{root}/{}", file.path().to_string_lossy().replace('\\', "/"));
        tree.files.insert(path, Arc::from(file.contents()));
    }
    for inner in dir.dirs() {
        add(tree, root, inner);
    }
}
