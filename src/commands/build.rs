//! `hydrant build`: a thin door to the overlay engine.

use super::show;
use crate::cli::BuildArgs;
use crate::error::{Error, Result};
use crate::kustomize::{BuildOptions, Disk, build};
use crate::report::Said;
use crate::yaml::write_documents;

/// Prints what a kustomization builds.
///
/// # Errors
/// A kustomization that cannot be built.
pub fn run(args: &BuildArgs, quiet: bool) -> Result<u8> {
    let (files, dir) = Disk::around(&args.dir)?;
    let options = BuildOptions { strict: args.strict, threads: Some(threads), ..BuildOptions::default() };
    let built = build(&files, &dir, &options)
        .map_err(|why| Error::input(format!("{} was not built", args.dir.display())).with(why))?;
    if !quiet {
        let said: Vec<Said> = built.warnings.iter().map(Said::from).collect();
        show::messages(&said);
    }
    super::print(&write_documents(&built.objects))?;
    // The process ends here; taking the objects apart first would be time for nothing.
    std::mem::forget(built);
    Ok(0)
}

/// Makes the threads of a large build ready. This thread works too: one less to start. A pool
/// that is there already will do as well.
fn threads() {
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}
