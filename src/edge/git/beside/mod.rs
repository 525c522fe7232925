//! What goes along with a commit of ours: its note (`refs/notes/hydrant`), and the reference
//! that names our last commit on a branch (`refs/hydrant/<fleet>/<branch>`).
//!
//! Neither is needed for a delivery, so neither may hold one up: what the server refuses or
//! what cannot be read is told and left out. Both move by comparing with the place where
//! they were read, never by force.

mod note_tree;
mod server;

pub(super) use server::Shown;

use super::local;
use super::loose::LooseWriter;
use super::pack::PackWriter;
use super::reference::{self, move_branch};
use super::repository::{Pushed, Repository, full_name};
use super::server::Swap;
use super::smart::push::Command;
use super::write::{Draft, Signature, Sink, write_tree};
use crate::error::{Error, Result};
use crate::model::tree::{Edit, ObjectId};
use note_tree::NoteTree;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The reference of our notes; `git notes --ref=hydrant show <commit>` reads it.
pub const NOTES: &str = "refs/notes/hydrant";

/// Where the references of fleets are.
const OURS: &str = "refs/hydrant/";

/// The longest note that is read, in bytes.
const MOST_NOTE: usize = 1 << 20;

/// With fewer notes than this nobody looks whether some have served their time.
const WORTH_A_LOOK: usize = 250;

/// How often and how long a note is written again after others were faster.
const TRIES: u32 = 40;
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_millis(30);
const LONGEST_WAIT: Duration = Duration::from_millis(1500);

/// How often an answer that says neither yes nor no is asked for again.
const UNCLEAR: u32 = 3;

/// A commit of ours for which a note is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The commit.
    pub commit: ObjectId,
    /// The head it was made on.
    pub base: Option<ObjectId>,
    /// How many times the change was made, this one included.
    pub tries: u32,
}

/// The note of a commit, by the commit.
pub type Note = (ObjectId, Arc<[u8]>);

/// Returns the next note of a commit from the one that is there; none if that may stay.
pub type Update<'a> = dyn Fn(Option<&[u8]>) -> Option<Vec<u8>> + 'a;

/// What goes along with a commit.
pub struct Along<'a> {
    /// The fleet, whose reference names the commit.
    pub fleet: &'a str,
    /// Returns the commit's note; none if there shall be none.
    pub note: &'a dyn Fn(&Made) -> Option<Vec<u8>>,
    /// Picks the commits whose notes have served their time.
    pub outlived: &'a dyn Fn(&[Note]) -> Vec<ObjectId>,
}

/// What became of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// There was nothing to write.
    Nothing,
    /// It stands there.
    Written,
    /// It could not be written, and why. The delivery stands all the same.
    Failed(String),
}

/// A reference beside the branches that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    name: String,
    old: Option<ObjectId>,
    new: ObjectId,
}

impl Move {
    /// Returns true for the reference of our notes.
    pub(super) fn is_note(&self) -> bool {
        self.name == NOTES
    }

    fn command(&self) -> Command<'_> {
        Command { old: self.old, new: self.new, name: &self.name }
    }
}

/// What became of such a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Moved {
    Yes,
    Raced,
    Refused(String),
    Unclear(String),
}

/// What is known of them in one run.
#[derive(Default)]
pub(super) struct Beside {
    /// The branch that was read last.
    pub(super) branch: String,
    /// Why notes are neither read nor written any more in this run.
    notes_out: RefCell<Option<String>>,
    /// True once the server refused the fleet's reference.
    reference_out: RefCell<bool>,
}

impl Repository {
    /// Returns the note of a commit; the newest notes are fetched if they are not here.
    ///
    /// # Errors
    /// Notes that cannot be fetched or read. A note that is too large is none.
    pub fn note(&self, commit: &ObjectId) -> Result<Option<Arc<[u8]>>> {
        let tree = self.note_tree()?;
        for (_, blob) in tree.of(commit)? {
            if let Some(text) = self.store.small_blob(&blob, MOST_NOTE)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Returns all notes by their commits, without those that are too large.
    ///
    /// # Errors
    /// Notes that cannot be fetched or read.
    pub fn notes(&self) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        for (commit, blob) in self.note_tree()?.all()? {
            notes.extend(self.store.small_blob(&blob, MOST_NOTE)?.map(|text| (commit, text)));
        }
        Ok(notes)
    }

    /// Asks where the references beside the branches are now.
    ///
    /// # Errors
    /// A server that does not answer.
    pub fn look_beside(&self) -> Result<()> {
        match &self.server {
            Some(server) => server.look(self.clock.as_ref()),
            None => self.store.refresh(),
        }
    }

    /// Writes a commit and, in the same pack, its note. What moves along with the branch is
    /// returned; whatever is wrong with notes is kept for [`Repository::note_later`].
    pub(super) fn commit_along(
        &self,
        on: Option<ObjectId>,
        edits: &[Edit],
        message: &str,
        who: &Signature,
        along: Option<(&Along<'_>, u32)>,
    ) -> Result<(ObjectId, Vec<Move>)> {
        let mut moves = Vec::new();
        let parents: Vec<ObjectId> = on.into_iter().collect();
        let commit = self.commit_with(&parents, on, edits, message, who, &mut |sink, commit| {
            let Some((along, tries)) = along else { return Ok(()) };
            moves.extend(self.fleet_move(along.fleet, commit));
            let text = (along.note)(&Made { commit, base: on, tries });
            if let Some(text) = text.filter(|_| self.beside.notes_out.borrow().is_none()) {
                match self.write_note(sink, &commit, &text, who, along.outlived) {
                    Ok(note) => moves.push(note),
                    Err(error) => self.leave_notes(&error),
                }
            }
            Ok(())
        })?;
        Ok((commit, moves))
    }

    /// Pushes a commit and what goes along; true if all of it moved.
    pub(super) fn push_along(
        &mut self,
        commit: ObjectId,
        branch: &str,
        expected: Option<ObjectId>,
        along: &[Move],
    ) -> Result<(Pushed, bool)> {
        let Some(server) = &self.server else {
            let pushed = self.push(commit, branch, expected)?;
            let all =
                pushed == Pushed::Landed && self.move_here(along)?.iter().all(|moved| *moved == Moved::Yes);
            return Ok((pushed, all));
        };
        let name = full_name(branch)?;
        let swap = Swap { branch, name: &name, commit, expected };
        server.push_along(&self.store, &swap, along, self.clock.as_ref())
    }

    /// Writes the note of a commit that stands on its branch, again while others are faster.
    ///
    /// `update` is given the note that is there and returns the next; none if it may stay.
    /// Never an error: a note that cannot be written costs nobody a delivery.
    pub fn note_later(
        &mut self,
        commit: ObjectId,
        who: &Signature,
        outlived: &dyn Fn(&[Note]) -> Vec<ObjectId>,
        update: &Update<'_>,
    ) -> Noted {
        let deadline = self.clock.now() + PATIENCE;
        let (mut wait, mut unclear, mut why) = (FIRST_WAIT, 0, String::new());
        for _ in 0..TRIES {
            if let Some(out) = self.beside.notes_out.borrow().clone() {
                return Noted::Failed(out);
            }
            let moved = match self.note_once(commit, who, outlived, update) {
                Ok(None) => return Noted::Nothing,
                Ok(Some(moved)) => moved,
                // Also an outage: the branch has moved, and this is worth no more waiting.
                Err(error) => return Noted::Failed(words(&error)),
            };
            match moved {
                Moved::Yes => return Noted::Written,
                Moved::Raced => why = "others were faster each time".into(),
                Moved::Refused(text) => {
                    self.beside.notes_out.replace(Some(text.clone()));
                    return Noted::Failed(text);
                }
                Moved::Unclear(text) => {
                    unclear += 1;
                    why = text;
                }
            }
            if unclear >= UNCLEAR || self.clock.now() >= deadline || self.clock.stopping() {
                break;
            }
            self.clock.sleep(wait.mul_f64(self.clock.jitter().clamp(0.0, 1.0)));
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Noted::Failed(why)
    }

    fn note_once(
        &mut self,
        commit: ObjectId,
        who: &Signature,
        outlived: &dyn Fn(&[Note]) -> Vec<ObjectId>,
        update: &Update<'_>,
    ) -> Result<Option<Moved>> {
        self.look_beside()?;
        let there = self.note(&commit)?;
        let Some(text) = update(there.as_deref()) else { return Ok(None) };
        let mut sink = match &self.server {
            Some(server) => Sink::Pack(Box::new(PackWriter::new(server.outgoing(), false)?)),
            None => Sink::Loose(LooseWriter::new(self.store.git_dir())),
        };
        let note = self.write_note(&mut sink, &commit, &text, who, outlived)?;
        let pack = sink.finish()?;
        self.store.refresh()?;
        self.move_beside(&[note], pack).map(|moved| moved.into_iter().next())
    }

    /// Moves the fleet's reference, which did not go along with the branch.
    pub(super) fn move_reference(&self, moves: &[Move]) {
        let due: Vec<Move> = moves.iter().filter(|beside| !beside.is_note()).cloned().collect();
        if due.is_empty() {
            return;
        }
        match self.move_beside(&due, None) {
            Ok(moved) if moved.iter().any(|m| matches!(m, Moved::Refused(_))) => {
                self.beside.reference_out.replace(true);
            }
            Ok(_) => {}
            // Silently: it is a shortcut and nothing else.
            Err(error) => tracing::debug!("the fleet's reference was not moved: {error}"),
        }
    }

    fn move_beside(&self, moves: &[Move], pack: Option<PathBuf>) -> Result<Vec<Moved>> {
        match &self.server {
            Some(server) => server.push_beside(&self.store, moves, pack, self.clock.as_ref()),
            None => self.move_here(moves),
        }
    }

    /// Writes the commit that adds a note, and takes away those that have served their time.
    fn write_note(
        &self,
        sink: &mut Sink,
        commit: &ObjectId,
        text: &[u8],
        who: &Signature,
        outlived: &dyn Fn(&[Note]) -> Vec<ObjectId>,
    ) -> Result<Move> {
        let old = self.notes_tip()?;
        let base = old.map(|tip| self.store.commit(&tip)).transpose()?;
        let root = base.as_ref().map(|base| base.tree);
        let tree = NoteTree { store: &self.store, root };
        let gone = match tree.all()?.len() {
            few if few < WORTH_A_LOOK => Vec::new(),
            _ => outlived(&self.notes()?),
        };
        let edits = tree.edits(commit, text, &gone)?;
        let written = write_tree(&self.store, sink, root, &edits)?;
        let parents: Vec<ObjectId> = old.into_iter().collect();
        let not_before = base.map_or(i64::MIN, |base| base.seconds);
        let message = "Notes added by Hydrant\n";
        let tree = written.tree;
        // Signed is what stands on a branch; a note is a remark of ours beside it.
        let draft = Draft { tree, parents: &parents, author: who, committer: None, not_before, message };
        let new = draft.write(sink, None)?;
        Ok(Move { name: NOTES.into(), old, new })
    }

    fn note_tree(&self) -> Result<NoteTree<'_>> {
        if let Some(why) = self.beside.notes_out.borrow().as_ref() {
            return Err(Error::external(why.clone()));
        }
        let tip = self.notes_tip().inspect_err(|error| self.leave_notes(error))?;
        let root = tip.map(|tip| self.store.commit(&tip)).transpose()?.map(|commit| commit.tree);
        Ok(NoteTree { store: &self.store, root })
    }

    fn notes_tip(&self) -> Result<Option<ObjectId>> {
        match &self.server {
            Some(server) => server.notes_tip(&self.store, self.clock.as_ref()),
            None => local::branch_id(&self.store, NOTES),
        }
    }

    /// Does without notes for the rest of the run.
    fn leave_notes(&self, error: &Error) {
        self.beside.notes_out.replace(Some(words(error)));
    }

    /// Returns the move of the fleet's reference to a commit, unless the server refused it.
    fn fleet_move(&self, fleet: &str, commit: ObjectId) -> Option<Move> {
        let name = reference_of(fleet, &self.beside.branch)?;
        if *self.beside.reference_out.borrow() {
            return None;
        }
        let old = match &self.server {
            Some(server) => server.shown(&name),
            None => local::branch_id(&self.store, &name).ok()?,
        };
        (old != Some(commit)).then_some(Move { name, old, new: commit })
    }

    /// Moves references of a repository on this machine.
    fn move_here(&self, moves: &[Move]) -> Result<Vec<Moved>> {
        let mut all = Vec::new();
        for beside in moves {
            let holds = || Ok(local::branch_id(&self.store, &beside.name)? == beside.old);
            let git_dir = self.store.git_dir();
            all.push(match move_branch(git_dir, &beside.name, &beside.new, self.clock.as_ref(), holds) {
                Ok(reference::Moved::Yes) => Moved::Yes,
                Ok(reference::Moved::Raced) => Moved::Raced,
                Err(error) => Moved::Refused(words(&error)),
            });
        }
        Ok(all)
    }

    /// Gets the history between a head and our last commit on its branch, as the fleet's
    /// reference names it. It is a shortcut: nothing is believed and failing costs nothing.
    pub(super) fn bridge(&self, head: &ObjectId, fleet: &str) {
        let (Some(server), Some(name)) = (&self.server, reference_of(fleet, &self.beside.branch)) else {
            return;
        };
        let Some(ours) = server.shown(&name).filter(|ours| ours != head) else { return };
        let reached = self.store.reachable(head).is_ok_and(|known| known.contains(&ours));
        if reached {
            return;
        }
        if let Err(error) = server.bridge(&self.store, head, ours, self.clock.as_ref()) {
            tracing::debug!("{name} was of no use: {error}");
        }
    }
}

/// Returns `refs/hydrant/<fleet>/<branch>`; none for a name that Git does not take.
pub fn reference_of(fleet: &str, branch: &str) -> Option<String> {
    let name = format!("{OURS}{fleet}/{branch}");
    (!branch.is_empty() && git2::Reference::is_valid_name(&name)).then_some(name)
}

fn words(error: &Error) -> String {
    match &error.source {
        Some(source) => format!("{}: {source}", error.message),
        None => error.message.clone(),
    }
}
