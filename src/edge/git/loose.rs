//! Writes single objects so that a crash or a power cut leaves either all of one or none.
//!
//! libgit2 does not sync its files unless a setting in the repository says so, and that
//! setting is not ours to change in somebody's repository.

use crate::error::{Error, Result};
use crate::model::tree::ObjectId;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes objects as single files below `objects/`.
pub(super) struct LooseWriter {
    objects: PathBuf,
    touched: BTreeSet<PathBuf>,
}

impl LooseWriter {
    /// Starts writing into the `objects` folder of a repository.
    pub(super) fn new(git_dir: &Path) -> Self {
        Self { objects: git_dir.join("objects"), touched: BTreeSet::new() }
    }

    /// Writes one object. It is durable after [`LooseWriter::finish`].
    pub(super) fn add(&mut self, id: &ObjectId, kind: &str, content: &[u8]) -> Result<()> {
        let name = id.to_string();
        let (folder, file) = name.split_at(2);
        let folder = self.objects.join(folder);
        let target = folder.join(file);
        if target.is_file() {
            // Perhaps by a run that died before it could make the name durable.
            self.touched.insert(folder);
            return Ok(());
        }
        let failed = |e: std::io::Error| Error::external(cannot_write(&target)).because(e);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        // Git's own name for unfinished objects: its garbage collection removes old ones.
        let mut temporary = read_only_file().prefix("tmp_obj_").tempfile_in(&folder).map_err(failed)?;
        let mut encoder = ZlibEncoder::new(temporary.as_file_mut(), Compression::fast());
        encoder.write_all(format!("{kind} {}\0", content.len()).as_bytes()).map_err(failed)?;
        encoder.write_all(content).map_err(failed)?;
        encoder.finish().map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist(&target).map_err(|e| failed(e.error))?;
        self.touched.insert(folder);
        Ok(())
    }

    /// Makes everything written durable.
    pub(super) fn finish(self) -> Result<()> {
        self.touched.iter().try_for_each(|folder| sync_folder(folder))?;
        if self.touched.is_empty() { Ok(()) } else { sync_folder(&self.objects) }
    }
}

/// Returns a builder of files that nobody writes to again, as Git makes its objects.
pub(super) fn read_only_file<'a, 'b>() -> tempfile::Builder<'a, 'b> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o444));
    }
    builder
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| Error::external(cannot_write(folder)).because(e))
}

pub(super) fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
