//! Rebuilds when the embedded templates or overlays change: new files are not seen otherwise.

fn main() {
    for folder in ["templates", "overlays"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
