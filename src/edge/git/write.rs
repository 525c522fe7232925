//! Turns edits into a commit: blobs and only the trees that change, without work tree,
//! index or ref.

use super::loose::LooseWriter;
use super::pack::{Kind, PackWriter, Packed};
use super::signing::Signer;
use super::store::{Store, TreeRow};
use crate::error::{Error, Result, Violation};
use crate::model::tree::{Edit, EntryKind, Graft, ObjectId, folder_trees, join};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who writes a commit, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name, such as `Hydrant`.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// The author's offset from UTC in minutes.
    pub offset: i32,
}

impl Signature {
    /// Returns the line of a commit. Characters that would end it early are left out.
    fn line(&self, seconds: i64) -> String {
        let clean = |text: &str| -> String {
            text.chars().filter(|c| !c.is_control() && *c != '<' && *c != '>').collect::<String>()
        };
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs().min(24 * 60 - 1);
        format!(
            "{} <{}> {} {sign}{:02}{:02}",
            clean(&self.name).trim(),
            clean(&self.email).trim(),
            seconds,
            minutes / 60,
            minutes % 60
        )
    }
}

/// Where new objects go.
pub(super) enum Sink {
    /// Each in a file of its own: cheap for few.
    Loose(LooseWriter),
    /// All in one pack: cheap for many, and what a push sends.
    Pack(Box<PackWriter>),
}

/// Blobs are compressed this many at a time, so that memory stays bounded.
const BATCH: usize = 512;
/// The same for grafts, each of which holds some tens of objects.
const GRAFTS: usize = 64;

impl Sink {
    fn add(&mut self, kind: Kind, content: &[u8]) -> Result<ObjectId> {
        let id = ObjectId::of(kind.word(), content);
        match self {
            Sink::Loose(writer) => writer.add(&id, kind.word(), content)?,
            Sink::Pack(writer) => writer.add(&packed(id, kind, content)?)?,
        }
        Ok(id)
    }

    fn add_blobs(&mut self, blobs: &[(ObjectId, Arc<[u8]>)]) -> Result<()> {
        for batch in blobs.chunks(BATCH) {
            match self {
                Sink::Loose(writer) => {
                    batch.iter().try_for_each(|(id, bytes)| writer.add(id, Kind::Blob.word(), bytes))?;
                }
                Sink::Pack(writer) => {
                    let ready: Result<Vec<Packed>> =
                        batch.par_iter().map(|(id, bytes)| packed(*id, Kind::Blob, bytes)).collect();
                    ready?.iter().try_for_each(|object| writer.add(object))?;
                }
            }
        }
        Ok(())
    }

    /// Adds all that grafts hold, a few at a time.
    fn add_grafts(&mut self, grafts: &[&Graft]) -> Result<()> {
        for batch in grafts.chunks(GRAFTS) {
            match self {
                Sink::Loose(_) => {
                    for graft in batch {
                        each_object(graft, &mut |id, kind, content| match self {
                            Sink::Loose(writer) => writer.add(&id, kind.word(), content),
                            Sink::Pack(_) => Ok(()),
                        })?;
                    }
                }
                Sink::Pack(writer) => {
                    let ready: Result<Vec<Vec<Packed>>> = batch
                        .par_iter()
                        .map(|graft| {
                            let mut objects = Vec::new();
                            each_object(graft, &mut |id, kind, content| {
                                objects.push(packed(id, kind, content)?);
                                Ok(())
                            })?;
                            Ok(objects)
                        })
                        .collect();
                    ready?.iter().flatten().try_for_each(|object| writer.add(object))?;
                }
            }
        }
        Ok(())
    }

    /// Makes everything durable; returns the pack if there is one.
    pub(super) fn finish(self) -> Result<Option<std::path::PathBuf>> {
        match self {
            Sink::Loose(writer) => writer.finish().map(|()| None),
            Sink::Pack(writer) => writer.finish().map(Some),
        }
    }
}

/// Takes an object with its id.
type Take<'t> = dyn FnMut(ObjectId, Kind, &[u8]) -> Result<()> + 't;

/// Gives every blob and tree of a graft, with its id.
fn each_object(graft: &Graft, each: &mut Take<'_>) -> Result<()> {
    let files = graft.files()?;
    let mut ids = Vec::with_capacity(files.len());
    for (path, bytes) in &files {
        let id = ObjectId::of_blob(bytes);
        each(id, Kind::Blob, bytes)?;
        ids.push((path.as_str(), id));
    }
    let mut failed = Ok(());
    let made = match (graft.kind, ids.as_slice()) {
        (EntryKind::Tree, _) => folder_trees(ids, &mut |id, content| {
            if failed.is_ok() {
                failed = each(id, Kind::Tree, content);
            }
        }),
        (_, [(_, id)]) => Some(*id),
        _ => None,
    };
    failed?;
    if made == Some(graft.id) {
        return Ok(());
    }
    Err(Error::internal(format!("{graft:?} was to be written, and its files give another id")))
}

fn packed(id: ObjectId, kind: Kind, content: &[u8]) -> Result<Packed> {
    Packed::new(id, kind, content).map_err(|e| Error::internal("cannot compress an object").because(e))
}

/// What the edits ask of one name and of the names below it.
#[derive(Default)]
struct Wish {
    own: Option<Leaf>,
    below: BTreeMap<String, Wish>,
}

#[derive(Clone, Copy)]
enum Leaf {
    Put(ObjectId),
    Delete,
    /// What stands there afterwards, and the number of its edit.
    Graft(TreeRow, usize),
}

/// The tree that the edits lead to.
pub(super) struct Written {
    /// Its id.
    pub(super) tree: ObjectId,
    /// True if it differs from the one it started from.
    pub(super) changed: bool,
}

/// Writes the blobs and trees that `edits` need on top of a tree.
pub(super) fn write_tree(
    store: &Store,
    sink: &mut Sink,
    base: Option<ObjectId>,
    edits: &[Edit],
) -> Result<Written> {
    let (wish, blobs) = plan(edits)?;
    let mut writing =
        Writing { store, sink, blobs, fresh: Vec::new(), grafted: Vec::new(), problems: Vec::new() };
    let tree = writing.folder("", base, &wish)?;
    if !writing.problems.is_empty() {
        return Err(Error::guard(
            "nothing was committed: the branch holds something else where our files belong",
        )
        .with(writing.problems));
    }
    let Writing { sink, blobs, fresh, grafted, .. } = writing;
    let fresh: Vec<_> =
        fresh.iter().filter_map(|id| blobs.get(id).map(|bytes| (*id, Arc::clone(bytes)))).collect();
    sink.add_blobs(&fresh)?;
    let grafts: Vec<&Graft> = grafted
        .iter()
        .filter_map(|n| match edits.get(*n) {
            Some(Edit::Graft { graft, .. }) => Some(graft),
            _ => None,
        })
        .collect();
    sink.add_grafts(&grafts)?;
    let tree = match tree {
        Some(id) => id,
        None => sink.add(Kind::Tree, b"")?,
    };
    Ok(Written { tree, changed: base != Some(tree) })
}

/// A commit that is to be written.
pub(super) struct Draft<'a> {
    pub(super) tree: ObjectId,
    pub(super) parents: &'a [ObjectId],
    pub(super) author: &'a Signature,
    /// Name and address, where it is not the author.
    pub(super) committer: Option<&'a (String, String)>,
    /// No commit is older than this, in seconds since 1970.
    pub(super) not_before: i64,
    pub(super) message: &'a str,
}

impl Draft<'_> {
    /// Writes the commit object, signed if somebody signs.
    pub(super) fn write(&self, sink: &mut Sink, signer: Option<&Signer>) -> Result<ObjectId> {
        let (head, body) = self.text();
        let signature = signer.map(|signer| signer.sign(format!("{head}\n{body}").as_bytes())).transpose()?;
        // A header of several lines: each but the first begins with a space.
        let header = signature.map(|armor| format!("gpgsig {}\n", armor.trim_end().replace('\n', "\n ")));
        let text = format!("{head}{}\n{body}", header.unwrap_or_default());
        sink.add(Kind::Commit, text.as_bytes())
    }

    /// Returns the headers and the message.
    fn text(&self) -> (String, String) {
        // A clock that was set back must not make a commit older than its parent: tools that
        // walk history by date would stop early.
        let seconds = self.author.seconds.max(self.not_before);
        let author = self.author.line(seconds);
        let committer = match self.committer {
            Some((name, email)) => {
                Signature { name: name.clone(), email: email.clone(), ..self.author.clone() }.line(seconds)
            }
            None => author.clone(),
        };
        let mut head = format!("tree {}\n", self.tree);
        for parent in self.parents {
            head.push_str(&format!("parent {parent}\n"));
        }
        head.push_str(&format!("author {author}\ncommitter {committer}\n"));
        let mut body = self.message.replace('\0', "");
        if !body.ends_with('\n') {
            body.push('\n');
        }
        (head, body)
    }
}

type Blobs = BTreeMap<ObjectId, Arc<[u8]>>;

/// Sorts the edits into folders and hashes what is to be put.
fn plan(edits: &[Edit]) -> Result<(Wish, Blobs)> {
    let leaves: Vec<(&Edit, Leaf)> = edits
        .par_iter()
        .enumerate()
        .map(|(n, edit)| match edit {
            Edit::Put { bytes, .. } => (edit, Leaf::Put(ObjectId::of_blob(bytes))),
            Edit::Delete { .. } => (edit, Leaf::Delete),
            Edit::Graft { graft, .. } => {
                let row = match graft.kind {
                    EntryKind::Tree => TreeRow::tree(graft.id),
                    _ => TreeRow::file(graft.id),
                };
                (edit, Leaf::Graft(row, n))
            }
        })
        .collect();
    let mut root = Wish::default();
    let mut blobs = BTreeMap::new();
    for (edit, leaf) in leaves {
        check_path(edit.path())?;
        let mut at = &mut root;
        for name in edit.path().split('/') {
            at = at.below.entry(name.to_owned()).or_default();
        }
        at.own = Some(leaf);
        if let (Leaf::Put(id), Edit::Put { bytes, .. }) = (leaf, edit) {
            blobs.insert(id, Arc::clone(bytes));
        }
    }
    Ok((root, blobs))
}

/// The deepest path we write; it bounds the recursion.
const MAX_DEPTH: usize = 64;

/// Refuses paths that Git would refuse or that some checkout would take for its own.
fn check_path(path: &str) -> Result<()> {
    let bad =
        |why: &str| Err(Error::internal(format!("`{}` is no path for a file: {why}", path.escape_debug())));
    if path.len() > 4000 || path.split('/').count() > MAX_DEPTH {
        return bad("it is too long");
    }
    for name in path.split('/') {
        if name.is_empty() || name == "." || name == ".." {
            return bad("it has an empty, `.` or `..` part");
        }
        if name.len() > 255 || name.chars().any(|c| c.is_control() || c == '\\') {
            return bad("a part is too long or has a control character or backslash");
        }
        // `.git` in any case, and the short name that Windows gives it.
        if name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1") {
            return bad("`.git` is Git's own");
        }
    }
    Ok(())
}

struct Writing<'a> {
    store: &'a Store,
    sink: &'a mut Sink,
    blobs: Blobs,
    fresh: Vec<ObjectId>,
    /// The numbers of the edits whose grafts are new.
    grafted: Vec<usize>,
    problems: Vec<Violation>,
}

impl Writing<'_> {
    /// Writes one folder; returns `None` if nothing is left in it.
    fn folder(&mut self, path: &str, base: Option<ObjectId>, wish: &Wish) -> Result<Option<ObjectId>> {
        let mut rows = match base {
            Some(id) => self.store.tree_rows(&id)?,
            None => BTreeMap::new(),
        };
        let mut changed = false;
        for (name, wish) in &wish.below {
            let before = rows.remove(name.as_bytes());
            let after = self.name(&join(path, name), before, wish)?;
            changed |= before != after;
            if let Some(row) = after {
                rows.insert(name.clone().into_bytes(), row);
            }
        }
        match base {
            Some(id) if !changed => Ok(Some(id)),
            _ if rows.is_empty() => Ok(None),
            _ => self.sink.add(Kind::Tree, &tree_bytes(&rows)).map(Some),
        }
    }

    /// Decides what stands at one name afterwards.
    fn name(&mut self, path: &str, before: Option<TreeRow>, wish: &Wish) -> Result<Option<TreeRow>> {
        let mut now = before;
        if matches!(wish.own, Some(Leaf::Delete)) && now.is_some_and(|row| row.kind() != EntryKind::Tree) {
            now = None;
        }
        if !wish.below.is_empty() {
            // Deletions below a file that is no folder find nothing to delete.
            let puts_below = wish.below.values().any(has_put);
            match now {
                None => now = self.folder(path, None, wish)?.map(TreeRow::tree),
                Some(row) if row.kind() == EntryKind::Tree => {
                    now = self.folder(path, Some(row.id), wish)?.map(TreeRow::tree);
                }
                Some(row) if puts_below => self.refuse(path, row.kind(), "a folder of ours"),
                Some(_) => {}
            }
        }
        if let Some(Leaf::Graft(row, n)) = wish.own {
            return match now {
                Some(there) if there == row => Ok(Some(row)),
                None => {
                    self.grafted.push(n);
                    Ok(Some(row))
                }
                Some(there) => {
                    self.refuse(path, there.kind(), &format!("{} of ours", row.kind().words()));
                    Ok(now)
                }
            };
        }
        let Some(Leaf::Put(id)) = wish.own else { return Ok(now) };
        match now.map(|row| row.kind()) {
            None | Some(EntryKind::File | EntryKind::Executable) => {
                if now.is_none_or(|row| row.id != id) {
                    self.fresh.push(id);
                }
                Ok(Some(TreeRow::file(id)))
            }
            Some(kind) => {
                self.refuse(path, kind, "a file of ours");
                Ok(now)
            }
        }
    }

    fn refuse(&mut self, path: &str, found: EntryKind, wanted: &str) {
        self.problems.push(
            Violation::error(format!(
                "`{path}` is {} on the branch, and {wanted} belongs there",
                found.words()
            ))
            .hint(format!("look who put it there (`git log -- '{path}'`), then remove it"))
            .guard(),
        );
    }
}

fn has_put(wish: &Wish) -> bool {
    matches!(wish.own, Some(Leaf::Put(_) | Leaf::Graft(..))) || wish.below.values().any(has_put)
}

/// Returns the content of a tree object.
fn tree_bytes(rows: &BTreeMap<Vec<u8>, TreeRow>) -> Vec<u8> {
    // Git sorts a folder as if its name ended in `/`.
    let mut sorted: Vec<(Vec<u8>, &Vec<u8>, &TreeRow)> = rows
        .iter()
        .map(|(name, row)| {
            let mut key = name.clone();
            if row.kind() == EntryKind::Tree {
                key.push(b'/');
            }
            (key, name, row)
        })
        .collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut bytes = Vec::with_capacity(rows.len() * 48);
    for (_, name, row) in sorted {
        bytes.extend_from_slice(format!("{:o} ", row.mode).as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(row.id.as_bytes());
    }
    bytes
}
