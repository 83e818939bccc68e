//! [`Store`]: the files of one run, and which of them wait for what.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use super::Error;
use super::record::{self, End, Head};
use crate::failure::chain;
use crate::model::{Chunk, Label};
use crate::telemetry::Progress;

/// The ending of a file that is whole, and that of one which is being written.
const WHOLE: &str = "chunk";
const TORN: &str = "part";

/// The file that says that the input's end was reached.
const END: &str = "end";

/// What the store knows of a chunk without opening its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Spooled {
    /// The label under which it travels.
    pub label: Label,
    /// Rows in it.
    pub rows: u64,
    /// XXH64 of its text.
    pub digest: u64,
}

/// What a chunk waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// An earlier try left it, and nobody has asked for it yet.
    Left,
    /// To be taken.
    Waiting,
    /// To be settled.
    Taken,
    /// To be committed with the rest of its job; safe at the server until then.
    Prepared,
    /// For the next one to come: it is settled, and the newest.
    Settled,
}

impl Stage {
    /// Whether its room comes back by itself.
    fn is_under_way(self) -> bool {
        matches!(self, Self::Waiting | Self::Taken)
    }
}

#[derive(Debug)]
struct Slot {
    spooled: Spooled,
    bytes: u64,
    stage: Stage,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<u64, Slot>,
    numbers: HashMap<Label, u64>,
    newest: u64,
    finished: bool,
    closed: bool,
}

impl State {
    /// Bytes that nobody may touch: settled ones are only left lying about.
    fn used(&self) -> u64 {
        self.slots.values().filter(|slot| slot.stage != Stage::Settled).map(|slot| slot.bytes).sum()
    }

    /// Bytes on the disk.
    fn there(&self) -> u64 {
        self.slots.values().map(|slot| slot.bytes).sum()
    }

    fn oldest(&self, stage: Stage) -> Option<u64> {
        self.slots.iter().find(|(_, slot)| slot.stage == stage).map(|(number, _)| *number)
    }

    fn is_under_way(&self) -> bool {
        self.slots.values().any(|slot| slot.stage.is_under_way())
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    /// What was waited for has come about.
    Come,
    /// It will not: nothing is under way.
    InVain,
    /// The store was closed.
    Closed,
}

/// The chunks of one run of a job, on the disk.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    limit: u64,
    progress: Arc<Progress>,
    /// Written by whoever adds, takes or settles; waited on by those who add and take.
    state: Mutex<State>,
    changed: Condvar,
}

impl Store {
    /// Opens a folder, making it where it does not exist, for as many bytes as `limit` says. What an earlier try left is
    /// [`left`](Self::left) in it; what that one had not written to its end is removed.
    ///
    /// # Errors
    /// When the folder cannot be used, or a file in it is damaged.
    pub fn open(folder: &Path, limit: u64, progress: Arc<Progress>) -> Result<Self, Error> {
        let failed = |source| Error::Unusable { path: folder.to_owned(), source };
        // Rows are for nobody else's eyes.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        // Its own name has to be on the disk as well, and that of the folder of all jobs.
        for above in folder.ancestors().skip(1).take(2) {
            sync_folder(above).map_err(failed)?;
        }
        let mut state = State::default();
        for path in files(folder)? {
            if path.extension().is_some_and(|ending| ending == TORN) {
                fs::remove_file(&path).map_err(|source| Error::Unusable { path, source })?;
                continue;
            }
            let Some(number) = number_of(&path) else { continue };
            let Some((head, bytes)) = read_head(&path)? else { continue };
            state.newest = state.newest.max(number);
            state.numbers.insert(head.label.clone(), number);
            let spooled = Spooled { label: head.label, rows: head.rows, digest: head.digest };
            state.slots.insert(number, Slot { spooled, bytes, stage: Stage::Left });
        }
        let store =
            Self { folder: folder.to_owned(), limit, progress, state: Mutex::new(state), changed: Condvar::new() };
        store.show(&store.lock());
        Ok(store)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What an earlier try left and nobody has [asked for](Self::ask_for), oldest first.
    #[must_use]
    pub fn left(&self) -> Vec<Spooled> {
        let state = self.lock();
        state.slots.values().filter(|slot| slot.stage == Stage::Left).map(|slot| slot.spooled.clone()).collect()
    }

    /// Lets a chunk that an earlier try left be taken. None where there is none of this label.
    pub fn ask_for(&self, label: &Label) -> Option<Spooled> {
        let mut state = self.lock();
        let number = *state.numbers.get(label)?;
        let slot = state.slots.get_mut(&number)?;
        if slot.stage == Stage::Left {
            slot.stage = Stage::Waiting;
        }
        let spooled = slot.spooled.clone();
        self.tell(&state);
        Some(spooled)
    }

    /// Adds a chunk; it can be taken once this has returned, and survives whatever happens to this process. Waits for room,
    /// and calls `full` when it has to. False where the store was closed, and nothing was added.
    ///
    /// # Errors
    /// When it cannot be written, and nothing in the store gives its room back soon. Nothing was added then.
    pub fn append(&self, head: &Head, body: &[Bytes], full: impl FnOnce()) -> Result<bool, Error> {
        let framed = record::framed(head);
        let bytes = framed.len() as u64 + head.body_bytes;
        let mut full = Some(full);
        // What nothing under way will make room for is let in whatever its size: one chunk passes the limit, and no two.
        if self.wait_until(&mut full, |state| state.used().saturating_add(bytes) <= self.limit) == Waited::Closed {
            return Ok(false);
        }
        self.unseal()?;
        let number = loop {
            let (number, there) = {
                let mut state = self.lock();
                state.newest += 1;
                (state.newest, state.there())
            };
            let Err(source) = self.write(number, &framed, body) else { break number };
            let short = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            // A full disk is a full spool, as long as something in it will go.
            let waited = if short { self.wait_until(&mut full, |state| state.there() < there) } else { Waited::InVain };
            match waited {
                Waited::Come => {}
                Waited::InVain => return Err(Error::Unwritable { path: self.path(number, TORN), bytes, source }),
                Waited::Closed => return Ok(false),
            }
        };
        let mut state = self.lock();
        let spooled = Spooled { label: head.label.clone(), rows: head.rows, digest: head.digest };
        state.slots.insert(number, Slot { spooled, bytes, stage: Stage::Waiting });
        state.numbers.insert(head.label.clone(), number);
        while let Some(before) = state.oldest(Stage::Settled) {
            self.forget_or_warn(&mut state, before);
        }
        self.tell(&state);
        Ok(true)
    }

    /// Waits until something has come about, and makes room meanwhile as far as that is the store's to do. Calls `full` when
    /// it has to wait for others.
    fn wait_until(&self, full: &mut Option<impl FnOnce()>, has_come: impl Fn(&State) -> bool) -> Waited {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Waited::Closed;
            }
            if has_come(&state) {
                return Waited::Come;
            }
            if let Some(prepared) = state.oldest(Stage::Prepared) {
                self.forget_or_warn(&mut state, prepared);
                continue;
            }
            if !state.is_under_way() {
                return Waited::InVain;
            }
            if let Some(full) = full.take() {
                // Whoever is told may look into the store.
                drop(state);
                full();
                state = self.lock();
                continue;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What comes behind the end makes it another one.
    fn unseal(&self) -> Result<(), Error> {
        let path = self.folder.join(END);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Unusable { path, source }),
            _ => Ok(()),
        }
    }

    fn write(&self, number: u64, framed: &[u8], body: &[Bytes]) -> io::Result<()> {
        let (torn, whole) = (self.path(number, TORN), self.path(number, WHOLE));
        let written = write_synced(&torn, std::iter::once(framed).chain(body.iter().map(|piece| &piece[..])));
        let done = written.and_then(|()| fs::rename(&torn, &whole)).and_then(|()| sync_folder(&self.folder));
        if done.is_err() {
            // Nothing of it may be taken for whole later.
            let _ = fs::remove_file(&torn);
            let _ = fs::remove_file(&whole);
        }
        done
    }

    /// Waits for the oldest chunk that is to be sent. None once the store is finished and all are taken, or is closed.
    pub fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((number, slot)) = state.slots.iter_mut().find(|(_, slot)| slot.stage == Stage::Waiting) {
                slot.stage = Stage::Taken;
                return Some(*number);
            }
            if state.finished {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Bytes of a chunk that was taken.
    #[must_use]
    pub fn bytes_of(&self, number: u64) -> u64 {
        self.lock().slots.get(&number).map_or(0, |slot| slot.bytes)
    }

    /// Reads a chunk, and checks every byte of it.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn read(&self, number: u64) -> Result<(Head, Chunk), Error> {
        let path = self.path(number, WHOLE);
        let opened = File::open(&path).and_then(|file| file.metadata().map(|about| (file, about.len())));
        let (file, bytes) = opened.map_err(|source| Error::Unusable { path: path.clone(), source })?;
        record::chunk(file, bytes).map_err(|reason| Error::Damaged { path, reason })
    }

    /// Notes that a chunk is settled for good, or prepared. What is settled is removed, but for the newest.
    pub fn settled(&self, label: &Label, prepared: bool) {
        let mut state = self.lock();
        let Some(number) = state.numbers.get(label).copied() else { return };
        let newest = state.slots.keys().next_back() == Some(&number);
        let Some(slot) = state.slots.get_mut(&number) else { return };
        slot.stage = if prepared { Stage::Prepared } else { Stage::Settled };
        if !prepared && !newest {
            self.forget_or_warn(&mut state, number);
        }
        self.tell(&state);
    }

    /// Lets go of chunks that were never sent.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn drop_unsent(&self, was_sent: impl Fn(&Label) -> bool) -> Result<(), Error> {
        let mut state = self.lock();
        let unsent = state.slots.iter().filter(|(_, slot)| !was_sent(&slot.spooled.label)).map(|(number, _)| *number);
        for number in unsent.collect::<Vec<_>>() {
            self.forget(&mut state, number)?;
        }
        self.tell(&state);
        Ok(())
    }

    /// Chunks that are not settled, and their rows.
    #[must_use]
    pub fn unsettled(&self) -> (u64, u64) {
        let state = self.lock();
        let slots = state.slots.values().filter(|slot| slot.stage != Stage::Settled);
        slots.fold((0, 0), |(loads, rows), slot| (loads + 1, rows + slot.spooled.rows))
    }

    /// Says that there will be no more.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Ends every wait, now and later. What is there stays there.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Notes that the input's end was reached, and that all of it is in here or settled.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn seal(&self, end: &End) -> Result<(), Error> {
        let (torn, whole) = (self.folder.join(END).with_extension(TORN), self.folder.join(END));
        let framed = record::framed(end);
        let written = write_synced(&torn, std::iter::once(&framed[..]));
        let sealed = written.and_then(|()| fs::rename(&torn, &whole)).and_then(|()| sync_folder(&self.folder));
        let bytes = framed.len() as u64;
        sealed.map_err(|source| Error::Unwritable { path: whole, bytes, source })
    }

    /// What was said at the input's end; none where that was not reached.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn end(&self) -> Result<Option<End>, Error> {
        end(&self.folder)
    }

    /// The head of the newest chunk: it says how far the stream was read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn newest(&self) -> Result<Option<Head>, Error> {
        let Some(number) = self.lock().slots.keys().next_back().copied() else { return Ok(None) };
        Ok(read_head(&self.path(number, WHOLE))?.map(|(head, _)| head))
    }

    fn forget(&self, state: &mut State, number: u64) -> Result<(), Error> {
        let Some(slot) = state.slots.remove(&number) else { return Ok(()) };
        state.numbers.remove(&slot.spooled.label);
        let path = self.path(number, WHOLE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Unusable { path, source }),
            _ => Ok(()),
        }
    }

    /// What cannot be removed is found again by the next run, which learns from the journal how it stands.
    fn forget_or_warn(&self, state: &mut State, number: u64) {
        if let Err(error) = self.forget(state, number) {
            tracing::warn!("what is settled cannot be removed: {}", chain(&error));
        }
    }

    fn tell(&self, state: &State) {
        self.show(state);
        self.changed.notify_all();
    }

    fn show(&self, state: &State) {
        self.progress.bytes_spooled.store(state.used(), Ordering::Relaxed);
    }

    fn path(&self, number: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("{number:08}.{ending}"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is in memory follows the disk; a panic between the two leaves a file that the next run finds.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What lies in a folder, for those who only look.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The folder.
    pub folder: PathBuf,
    /// Chunks in it.
    pub loads: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the input's end was reached.
    pub whole: bool,
}

/// What lies in a folder; none where there is no such folder. A process may be at work in it.
///
/// # Errors
/// When it cannot be read, or a file in it is damaged.
pub fn look(folder: &Path) -> Result<Option<Summary>, Error> {
    if !folder.exists() {
        return Ok(None);
    }
    let mut summary = Summary { folder: folder.to_owned(), loads: 0, rows: 0, bytes: 0, whole: end(folder)?.is_some() };
    for path in files(folder)?.into_iter().filter(|path| number_of(path).is_some()) {
        let Some((head, bytes)) = read_head(&path)? else { continue };
        summary.loads += 1;
        summary.rows += head.rows;
        summary.bytes += bytes;
    }
    Ok(Some(summary))
}

/// Removes a folder with what the spool has put there, if it is there.
///
/// # Errors
/// When a file cannot be removed. A folder with somebody else's files stays, with them.
pub fn remove(folder: &Path) -> Result<(), Error> {
    if !folder.exists() {
        return Ok(());
    }
    for path in files(folder)? {
        let ours = path.extension().is_some_and(|ending| ending == WHOLE || ending == TORN);
        if ours || path.file_name().is_some_and(|name| name == END) {
            fs::remove_file(&path).map_err(|source| Error::Unusable { path, source })?;
        }
    }
    // The folder of all jobs goes with the last of them.
    let _ = fs::remove_dir(folder).and_then(|()| folder.parent().map_or(Ok(()), fs::remove_dir));
    Ok(())
}

/// The files of a folder, in the order of their names; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Unusable { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(WHOLE)?.strip_suffix('.')?;
    name.parse().ok()
}

/// A file's head and length; none where it has gone meanwhile.
fn read_head(path: &Path) -> Result<Option<(Head, u64)>, Error> {
    let opened = File::open(path).and_then(|file| file.metadata().map(|about| (file, about.len())));
    match opened {
        Ok((file, bytes)) => {
            let head = record::head(io::BufReader::new(file), bytes);
            head.map(|head| Some((head, bytes))).map_err(|reason| Error::Damaged { path: path.to_owned(), reason })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Unusable { path: path.to_owned(), source }),
    }
}

fn end(folder: &Path) -> Result<Option<End>, Error> {
    let path = folder.join(END);
    match File::open(&path) {
        Ok(file) => record::unframed(io::BufReader::new(file))
            .map(|(end, _)| Some(end))
            .map_err(|reason| Error::Damaged { path, reason }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Unusable { path, source }),
    }
}

fn write_synced<'a>(path: &Path, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    for piece in pieces {
        file.write_all(piece)?;
    }
    file.sync_data()
}

/// A new name is on the disk once its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
