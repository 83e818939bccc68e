//! Turns the batches of one input into chunks.
//!
//! ```text
//!  Reader ─▶ Batch ═▶ encoder ─▶ compressor ─▶ Chunk ─▶ (dispatcher)
//!  thread 1   queue    thread 2   ╰─ rows that CSV cannot carry ─▶ JSON ─▶ side Chunk
//! ```
//!
//! Every row is in exactly one chunk or one reject, in the order it was read, and no chunk crosses an input. Chunks close
//! on encoded bytes, never on time: reading the input again cuts the same ones, which is what lets a label stand for the
//! same rows after a crash (LABEL-1). A chunk takes its room in the budget before its first row is encoded; a full budget
//! stops the encoder, the full queue behind it stops the reader, and that is all the back-pressure there is (MEM-1).
//!
//! When the input turns out to be unreadable half-way, the chunk being filled is dropped and never handed on.
//!
//! Sending, labels and retries are not here: a chunk that has left is the dispatcher's.

mod chunker;
mod cutter;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::clock::Clock;
use crate::governor::{Budget, Closed, Permit};
use crate::model::{Batch, Chunk, Codec, Column, Origin, Reject, WireFormat};
use crate::reader::{self, Reader};
use crate::telemetry::{Progress, Stage};
use cutter::Cutter;

/// Batches that wait between reader and encoder. Two keep both threads busy; more would only hold memory.
const QUEUE_BATCHES: usize = 2;

/// How an input is cut and encoded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of text at which a chunk closes, after the row that reaches them.
    pub load_bytes: u64,
    /// The text format of ordinary chunks.
    pub wire: WireFormat,
    /// How bodies are compressed.
    pub codec: Codec,
    /// Index of the input in the job's list.
    pub input: usize,
    /// The columns of the batches under their wire names for CSV, and for JSON.
    pub columns: Vec<Column>,
    /// The same columns, named as JSON objects name them.
    pub columns_json: Vec<Column>,
}

/// A chunk on its way out.
#[derive(Debug)]
pub struct Cut {
    /// The chunk.
    pub chunk: Chunk,
    /// Its number among the ordinary or the side chunks of its input, from 1.
    pub sequence: u32,
    /// Whether it is a side chunk: rows that the ordinary format cannot carry.
    pub side: bool,
    /// The first row that stands in a chunk which is not full yet, although it was read before the last one of this.
    pub waiting: Option<Origin>,
    /// Its room in the budget.
    pub permit: Permit,
}

/// Takes what a pipeline makes. Called on the encoder's thread, and may block it.
pub trait Sink {
    /// Takes a chunk.
    ///
    /// # Errors
    /// When the job wants no more.
    fn chunk(&mut self, cut: Cut) -> Result<(), Stopped>;

    /// Takes rejected rows, in the order they stand in the input.
    ///
    /// # Errors
    /// When the job wants no more: the limit is reached, or they cannot be written.
    fn rejects(&mut self, rejects: Vec<Reject>) -> Result<(), Stopped>;
}

/// The job wants no more of this input. Why is known to whoever said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self
    }
}

/// Why a pipeline ended before its input did.
#[derive(Debug)]
pub enum Failure {
    /// The input cannot be read to its end.
    Reading(reader::Error),
    /// The sink or the budget wanted no more.
    Stopped,
}

impl From<Stopped> for Failure {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// What the stages share.
#[derive(Clone)]
pub struct Context {
    /// Bytes in flight.
    pub budget: Budget,
    /// Where the counts go.
    pub progress: Arc<Progress>,
    /// For the waiting times.
    pub clock: Arc<dyn Clock>,
}

enum Read {
    Rows(Batch, Vec<Reject>),
    Failed(reader::Error),
    End(Vec<Reject>),
}

/// Runs one input through the pipeline, on this thread and one more.
///
/// # Errors
/// When the input cannot be read, or the sink wants no more.
pub fn run(reader: Box<dyn Reader>, options: Options, context: &Context, sink: &mut dyn Sink) -> Result<(), Failure> {
    let (sender, receiver) = bounded(QUEUE_BATCHES);
    thread::scope(|scope| {
        scope.spawn(move || read(reader, &sender, context));
        let mut cutter = Cutter::new(options, context.budget.clone());
        // Taking the receiver by value matters: when encoding ends early, dropping it is what ends the reader.
        encode(receiver, &mut cutter, context, sink)
    })
}

fn read(mut reader: Box<dyn Reader>, sender: &Sender<Read>, context: &Context) {
    loop {
        let mut rejects = Vec::new();
        let message = match reader.next(&mut rejects) {
            Ok(Some(batch)) => Read::Rows(batch, rejects),
            Ok(None) => Read::End(rejects),
            Err(error) => Read::Failed(error),
        };
        let last = !matches!(message, Read::Rows(..));
        let start = context.clock.instant();
        let sent = sender.send(message);
        context.progress.waited_for(Stage::Encoder, context.clock.instant() - start);
        if last || sent.is_err() {
            return;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the receiver is dropped here, which ends the reader")]
fn encode(
    receiver: Receiver<Read>,
    cutter: &mut Cutter,
    context: &Context,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    loop {
        if context.budget.is_closed() {
            return Err(Failure::Stopped);
        }
        let start = context.clock.instant();
        let message = receiver.recv();
        context.progress.waited_for(Stage::Reader, context.clock.instant() - start);
        match message {
            Ok(Read::Rows(batch, rejects)) => {
                count(context, batch.origins.len() + rejects.len(), rejects.len());
                hand_over(rejects, sink)?;
                cutter.cut(&batch, context, sink)?;
            }
            Ok(Read::End(rejects)) => {
                count(context, rejects.len(), rejects.len());
                hand_over(rejects, sink)?;
                return Ok(cutter.finish(context, sink)?);
            }
            Ok(Read::Failed(error)) => return Err(Failure::Reading(error)),
            // The reader's thread panicked; the scope passes that on as soon as this returns.
            Err(_) => return Err(Failure::Stopped),
        }
    }
}

fn hand_over(rejects: Vec<Reject>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    if rejects.is_empty() { Ok(()) } else { sink.rejects(rejects) }
}

fn count(context: &Context, rows: usize, rejected: usize) {
    Progress::add(&context.progress.rows_read, rows as u64);
    Progress::add(&context.progress.rows_rejected, rejected as u64);
}
