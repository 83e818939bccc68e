//! A stream's chunks on their way over the disk: from the pipeline into the spool, and from there to the dispatcher.
//!
//! ```text
//!  pipeline ─▶ Way ─┬─ left by an earlier try: that one is sent ─┐
//!                   ├─ new: written, synced ─────────────────────┴▶ store ─▶ Feeder ─▶ dispatcher ─▶ settled: removed
//!                   └─ in the table already, or of a file ─────────────────────────────▶
//! ```
//!
//! The budget is divided in two: what is filled has its own, so that a target that stands still does not keep the reader from
//! going on until the spool is full.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};
use tokio::sync::{mpsc, watch};

use super::error::Error;
use super::identity::Identity;
use super::job::Started;
use super::spec::JobSpec;
use crate::clock::{Clock, SystemClock};
use crate::dispatcher::{self, Delivery};
use crate::governor::{Budget, Permit};
use crate::journal::Journal;
use crate::model::{ByteCount, Chunk, InputReport, JobId, Label};
use crate::pipeline::Cut;
use crate::spool::{self, End, Head, Reached, Store};
use crate::target::LoadSettings;
use crate::telemetry::{Activity, Laps, Part, Progress, Stage};

/// Hex digits of the digest with which a stream's labels end; what stands before them is the place.
const DIGEST_DIGITS: usize = 8;

/// Chunks that are filled at one time: an ordinary one and a side one.
const CHUNKS_FILLING: u64 = 2;

/// The spool of a run that reads a stream; none where it goes without one.
pub(super) fn open(spec: &JobSpec, started: &Started, progress: Arc<Progress>) -> Result<Option<Arc<Store>>, Error> {
    let (Some(journal), Identity { job, stream: true, .. }) = (&started.journal, &started.identity) else {
        return Ok(None);
    };
    // What an earlier try left is where that one put it, whatever was said since.
    let noted = journal.spools(job)?.into_iter().find(|(run, _)| *run == started.run).map(|(_, folder)| folder);
    let noted = noted.filter(|folder| folder.exists());
    if noted.is_none() && spec.spool_max.0 == 0 {
        return Ok(None);
    }
    let folder = noted.unwrap_or_else(|| folder(spec, job, started.run));
    journal.spools_into(job, started.run, &folder)?;
    Ok(Some(Arc::new(Store::open(&folder, spec.spool_max.0, progress)?)))
}

fn folder(spec: &JobSpec, job: &JobId, run: u32) -> PathBuf {
    let parent = spec.spool_folder.clone().unwrap_or_else(|| spec.state_folder.join("spool"));
    let folder = parent.join(format!("{job}-{run}"));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Refuses other work under a name whose rows nobody has but the spool.
pub(super) fn refuse_other_work(journal: &Journal, identity: &Identity) -> Result<(), Error> {
    let Some(entry) = journal.job(&identity.job)? else { return Ok(()) };
    let other = !entry.finished && entry.fingerprint != identity.fingerprint;
    let Some(folder) = entry.spool.filter(|_| other) else { return Ok(()) };
    match spool::look(&folder)? {
        Some(summary) if summary.loads > 0 => Err(spool::Error::Left { job: identity.job.to_string(), folder }.into()),
        _ => Ok(()),
    }
}

/// Removes what lies in the spool of a job's runs, of which `of` tells whose.
pub(super) fn clear(journal: &Journal, job: &JobId, of: impl Fn(u32) -> bool) -> Result<(), Error> {
    for (_, folder) in journal.spools(job)?.into_iter().filter(|(run, _)| of(*run)) {
        spool::remove(&folder)?;
    }
    Ok(())
}

/// The budgets of what is filled and of what is sent.
pub(super) fn budgets(bytes: u64, load_bytes: u64, spooled: bool) -> (Budget, Budget) {
    if !spooled {
        let one = Budget::new(bytes);
        return (one.clone(), one);
    }
    let filling = load_bytes * CHUNKS_FILLING;
    (Budget::new(filling), Budget::new(bytes - filling))
}

/// Everything that somebody may wait for when a job ends early.
#[derive(Clone)]
pub(super) struct Brakes {
    pub(super) budgets: [Budget; 2],
    pub(super) store: Option<Arc<Store>>,
}

impl Brakes {
    /// Ends every wait.
    pub(super) fn pull(&self) {
        self.budgets.iter().for_each(Budget::close);
        if let Some(store) = &self.store {
            store.close();
        }
    }
}

/// Where the pipeline's chunks go. Dropping it says that there will be no more.
pub(super) struct Way {
    pub(super) store: Arc<Store>,
    pub(super) queue: mpsc::Sender<Delivery>,
    pub(super) journal: Arc<Journal>,
    pub(super) job: JobId,
    pub(super) run: u32,
    /// How much may lie in the spool; with 0 only what an earlier try left does.
    pub(super) limit: ByteCount,
    pub(super) writer: Writer,
    pub(super) progress: Arc<Progress>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What a chunk comes with.
pub(super) struct Parcel {
    pub(super) label: Label,
    pub(super) cut: Cut,
    pub(super) settings: Arc<LoadSettings>,
    pub(super) path: PathBuf,
    /// Whether its input can be read only once.
    pub(super) stream: bool,
}

impl Way {
    /// Takes a chunk. An error without content is a stop that somebody else asked for.
    pub(super) fn take(&self, parcel: Parcel) -> Result<(), Option<Error>> {
        let Parcel { label, cut: Cut { chunk, waiting, permit, .. }, settings, path, stream } = parcel;
        if stream && let Some(left) = self.store.ask_for(&label) {
            if (left.rows, left.digest) != (chunk.rows, chunk.digest) {
                return Err(Some(other_rows(&label, left.rows, chunk.rows)));
            }
            return Ok(());
        }
        // A stream that is not the one of before adds nothing to the table.
        if let Some(left) = self.store.left().iter().find(|left| stream && place(&left.label) == place(&label)) {
            return Err(Some(other_rows(&left.label, left.rows, chunk.rows)));
        }
        let landed =
            stream && self.journal.has_landed(&self.job, self.run, &label).map_err(|error| Some(error.into()))?;
        if !stream || landed || self.limit.0 == 0 {
            return self.queue.blocking_send(Delivery { label, chunk, settings, permit }).map_err(|_| None);
        }
        // Looked at before it is kept: what is not the stream of before must not stand in the way of that one.
        let before = self.journal.other_rows(&self.job, self.run, &label, chunk.digest);
        if let Some(before) = before.map_err(|error| Some(error.into()))? {
            return Err(Some(other_rows(&label, before, chunk.rows)));
        }
        let reached = match waiting {
            Some(row) => Reached { row, included: false },
            None => Reached { row: chunk.to, included: true },
        };
        let started = self.clock.instant();
        let written = self.writer.write(Written { label, chunk, path, reached, settings, permit });
        if !self.writer.waited.load(Ordering::Relaxed) {
            self.progress.waited_for(Stage::Spool, self.clock.instant() - started);
        }
        written
    }

    /// Says that everything was read.
    pub(super) fn seal(&mut self, inputs: &[InputReport], rejects: Option<String>) -> Result<(), Error> {
        match self.writer.finish() {
            Ok(()) => {}
            // The store was closed: whoever did so says why.
            Err(None) => return Ok(()),
            Err(Some(error)) => return Err(error),
        }
        if let Some(left) = self.store.left().first() {
            return Err(other_rows(&left.label, left.rows, 0));
        }
        let progress = &self.progress;
        let end = End {
            rows_read: Progress::read(&progress.rows_read),
            rows_rejected: Progress::read(&progress.rows_rejected),
            bytes_read: Progress::read(&progress.bytes_read),
            inputs: inputs.to_vec(),
            rejects,
        };
        Ok(self.store.seal(&end)?)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        // What went wrong is known to whoever asked, or to whoever stopped the job.
        let _ = self.writer.finish();
        self.store.finish();
    }
}

/// A chunk on its way onto the disk.
struct Written {
    label: Label,
    chunk: Chunk,
    path: PathBuf,
    reached: Reached,
    settings: Arc<LoadSettings>,
    /// Given back when it is written: what is to be sent is read again.
    permit: Permit,
}

/// Writes one chunk while the next one is filled: a disk that is faster than the encoder costs no time.
pub(super) struct Writer {
    /// None once there will be no more.
    queue: Option<Sender<Written>>,
    /// Says at its end whether everything was written.
    thread: Option<JoinHandle<bool>>,
    failure: Arc<Mutex<Option<Error>>>,
    /// Whether the chunk before had to wait for room.
    waited: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn new(store: Arc<Store>, limit: ByteCount, progress: Arc<Progress>) -> Self {
        // One is taken when the one before is on the disk: nothing waits in between.
        let (queue, written) = bounded::<Written>(0);
        let (failure, waited) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (failure, waited) = (Arc::clone(&failure), Arc::clone(&waited));
            move || {
                for one in written {
                    let full = AtomicBool::new(false);
                    let mut laps = Laps::start(&progress, &SystemClock, Part::Spool);
                    progress.employ(Part::Spool, 1);
                    let added = one.append(&store, || {
                        full.store(true, Ordering::Relaxed);
                        tell_full(&store, limit, &progress);
                    });
                    let full = full.into_inner();
                    laps.then(if full { Activity::Blocked } else { Activity::Busy });
                    waited.store(full, Ordering::Relaxed);
                    match added {
                        Ok(true) => {}
                        Ok(false) => return false,
                        Err(error) => {
                            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
                            return false;
                        }
                    }
                }
                true
            }
        });
        Self { queue: Some(queue), thread: Some(thread), failure, waited }
    }

    /// Waits until the one before is written, and hands this one over. An error without content: the store was closed.
    fn write(&self, one: Written) -> Result<(), Option<Error>> {
        let queue = self.queue.as_ref().expect("nothing is written after the end");
        queue.send(one).map_err(|_| self.failed())
    }

    /// Waits until everything is written. An error without content: the store was closed before.
    fn finish(&mut self) -> Result<(), Option<Error>> {
        let Some(queue) = self.queue.take() else { return Ok(()) };
        drop(queue);
        match (self.thread.take().map_or(Ok(true), JoinHandle::join), self.failed()) {
            (_, Some(error)) => Err(Some(error)),
            (Ok(true), None) => Ok(()),
            (Ok(false), None) => Err(None),
            (Err(_), None) => Err(Some(Error::Broken)),
        }
    }

    fn failed(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Written {
    fn append(self, store: &Store, full: impl FnOnce()) -> Result<bool, spool::Error> {
        let settings = serde_json::to_value(self.settings.as_ref()).expect("plain values");
        let head = Head::new(&self.chunk, self.label, self.path.display().to_string(), self.reached, settings);
        let added = store.append(&head, &self.chunk.body, full);
        drop(self.permit);
        added
    }
}

fn tell_full(store: &Store, limit: ByteCount, progress: &Progress) {
    let folder = store.folder().display().to_string();
    tracing::warn!("the spool is full ({limit} in {folder}): the reader waits for loads to be settled");
    progress.slowed_by("the spool is full", &folder);
}

fn other_rows(label: &Label, before: u64, now: u64) -> Error {
    dispatcher::Error::OtherRows { label: label.clone(), before, now }.into()
}

fn place(label: &Label) -> &str {
    let text = label.as_str();
    &text[..text.len().saturating_sub(DIGEST_DIGITS)]
}

/// Hands what lies in the spool to the dispatcher, as far as the memory goes.
pub(super) struct Feeder {
    pub(super) store: Arc<Store>,
    pub(super) budget: Budget,
    pub(super) load_bytes: u64,
    pub(super) queue: mpsc::Sender<Delivery>,
    /// Said where a chunk cannot be read: nothing more is begun then.
    pub(super) halt: Arc<watch::Sender<bool>>,
    pub(super) brakes: Brakes,
}

impl Feeder {
    /// Feeds until the store is finished, or nobody wants more. Blocks its thread.
    pub(super) fn run(self) -> Option<Error> {
        let failure = self.feed().err();
        if failure.is_some() {
            self.halt.send_replace(true);
            self.brakes.pull();
        }
        failure
    }

    fn feed(&self) -> Result<(), Error> {
        while let Some(number) = self.store.next() {
            let bytes = self.store.bytes_of(number);
            // As in the pipeline: a load's room is waited for, and what a wide row takes beyond it is missing to the next one.
            let Ok(mut permit) = self.budget.take(bytes.min(self.load_bytes)) else { return Ok(()) };
            permit.resize(bytes);
            let (head, chunk) = self.store.read(number)?;
            let settings = settings(&head, self.store.folder())?;
            if self.queue.blocking_send(Delivery { label: head.label, chunk, settings, permit }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn settings(head: &Head, folder: &Path) -> Result<Arc<LoadSettings>, Error> {
    let read = serde_json::from_value(head.settings.clone());
    let damaged = |error: serde_json::Error| spool::Error::Damaged {
        path: folder.to_owned(),
        reason: format!("what {} is sent with cannot be understood: {error}", head.label),
    };
    Ok(Arc::new(read.map_err(damaged)?))
}
