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
use tempfile::NamedTempFile;

/// How many files are synced at a time: the file system's journal takes them together.
const SYNCS: usize = 16;

/// Writes objects as single files below `objects/`.
pub(super) struct LooseWriter {
    objects: PathBuf,
    written: Vec<(NamedTempFile, PathBuf)>,
    /// Folders whose names have to be made durable.
    touched: BTreeSet<PathBuf>,
}

impl LooseWriter {
    /// Starts writing into the `objects` folder of a repository.
    pub(super) fn new(git_dir: &Path) -> Self {
        Self { objects: git_dir.join("objects"), written: Vec::new(), touched: BTreeSet::new() }
    }

    /// Writes one object. It is there, and durable, after [`LooseWriter::finish`].
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
        self.written.push((temporary, target));
        self.touched.insert(folder);
        Ok(())
    }

    /// Makes everything written durable and visible.
    pub(super) fn finish(self) -> Result<()> {
        all_at_once(&self.written, |(file, target)| {
            file.as_file().sync_all().map_err(|e| Error::external(cannot_write(target)).because(e))
        })?;
        for (file, target) in self.written {
            file.persist(&target).map_err(|e| Error::external(cannot_write(&target)).because(e.error))?;
        }
        if self.touched.is_empty() {
            return Ok(());
        }
        let mut folders: Vec<PathBuf> = self.touched.into_iter().collect();
        folders.push(self.objects);
        all_at_once(&folders, |folder| sync_folder(folder))
    }
}

/// Does one thing to many items on a few threads that mostly wait.
fn all_at_once<T: Sync>(items: &[T], each: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let share = items.len().div_ceil(SYNCS).max(1);
    std::thread::scope(|scope| {
        let each = &each;
        let running: Vec<_> =
            items.chunks(share).map(|part| scope.spawn(move || part.iter().try_for_each(each))).collect();
        running.into_iter().try_for_each(|one| {
            one.join().unwrap_or_else(|_| Err(Error::internal("a thread that writes objects broke off")))
        })
    })
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
