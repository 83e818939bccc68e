//! Turns one input into chunks.
//!
//! ```text
//!            ┌▶ encoder | relay ─┐                            ┌▶ compressor ─┐
//!  reader ───┼▶ encoder | relay ─┼▶ rows, in order ─▶ cutter ─┴──────────────┴▶ Chunk, in order ─▶ (dispatcher)
//!  1 thread  └▶ as many as cores ┘   1 thread         ╰─ rows that CSV cannot carry ─▶ JSON ─▶ side Chunk
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

mod ahead;
mod canonical;
mod chunker;
mod cutter;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod kind;
mod outlet;
mod press;
mod relay;
mod relay_json;
mod rows;
mod stages;

#[cfg(test)]
mod relay_json_tests;
#[cfg(test)]
mod relay_tests;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;

use crate::buffers::{BUFFER_BYTES, Buffers};
use crate::clock::Clock;
use crate::encoder;
use crate::governor::{Budget, Closed, Permit};
use crate::model::{Chunk, Column, Origin, Reject, WireFormat};
use crate::reader::csv::CsvText;
use crate::reader::json::JsonText;
use crate::reader::{self, Reader};
use crate::telemetry::{Laps, Part, Progress};
use cutter::Cutter;
use outlet::Outlet;
use relay::Courier;
use relay_json::JsonRelay;
use stages::{Assembly, Feed, Hands};

pub use press::Press;
pub use relay::Plan;

/// How an input is cut and encoded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of text at which a chunk closes, after the row that reaches them.
    pub load_bytes: u64,
    /// The text format of ordinary chunks.
    pub wire: WireFormat,
    /// How bodies are compressed.
    pub press: Press,
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
    /// How much of the input may be worked on at one time, in bytes as read.
    pub pieces_bytes: u64,
}

/// What a pipeline reads.
pub enum Source {
    /// Any input, as batches.
    Batches(Box<dyn Reader>),
    /// A CSV text whose records may travel as they are.
    Csv(CsvText, Plan),
    /// A text of JSON records, whose values may travel as they are.
    Json(JsonText),
}

/// Runs one input through the pipeline, on this thread and a few more. `tick` is called whenever something was read.
///
/// # Errors
/// When the input cannot be read, or the sink wants no more.
pub fn run(
    source: Source,
    tick: impl FnMut() + Send,
    options: Options,
    context: &Context,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let workers = workers();
    let (order, done) = bounded(workers * PIECES_PER_WORKER);
    let (work, pieces) = bounded(workers * PIECES_PER_WORKER);
    let columns = match options.wire {
        WireFormat::Csv => options.columns.clone(),
        WireFormat::Json => options.columns_json.clone(),
    };
    let (press, buffers) = (options.press.clone(), Buffers::default());
    let (feed, hands): (Feed, Box<dyn Fn() -> Hands + '_>) = match source {
        Source::Batches(reader) => {
            let wire = options.wire;
            (Feed::Batches(reader), Box::new(move || Hands::Encoder(encoder::new(wire, &columns), BUFFER_BYTES)))
        }
        Source::Csv(text, plan) => {
            let CsvText { mut blocks, line, caster } = text;
            blocks.use_buffers(buffers.clone());
            (Feed::Blocks(blocks, line), Box::new(move || Hands::Relay(Box::new(Courier::new(&plan, &caster)))))
        }
        Source::Json(text) => {
            let (JsonText { mut blocks, line, keys }, wire) = (text, options.wire);
            blocks.use_buffers(buffers.clone());
            let hands = move || Hands::JsonRelay(Box::new(JsonRelay::new(&keys, wire, &columns)));
            (Feed::Blocks(blocks, line), Box::new(hands))
        }
    };
    let room = Budget::new(context.pieces_bytes);
    let laps = |part| Laps::start(&context.progress, context.clock.as_ref(), part);
    for (part, threads) in [(Part::Reader, 1), (Part::Workers, workers), (Part::Assembly, 1)] {
        context.progress.employ(part, threads as u64);
    }
    thread::scope(|scope| {
        let mut assembly = Assembly::new(&feed, hands(), Cutter::new(options), buffers.clone());
        for _ in 0..workers {
            let (mut hands, pieces, buffers) = (hands(), pieces.clone(), buffers.clone());
            scope.spawn(move || stages::work(&mut hands, &buffers, &pieces, laps(Part::Workers)));
        }
        drop(pieces);
        let outlet = Outlet::new(context, sink, press, work.clone());
        let of_pieces = room.clone();
        scope.spawn(move || stages::read(feed, tick, &of_pieces, &order, &work, laps(Part::Reader)));
        // Taking the receiver and the outlet by value matters: when this ends early, dropping them is what ends the others.
        let result = assembly.run(done, outlet);
        room.close();
        result
    })
}

/// How many threads make rows: as many as the machine has cores. More than this wait for the one that puts chunks together.
const WORKERS_MAX: usize = 8;

/// Pieces in hand and waiting, for each of them.
const PIECES_PER_WORKER: usize = 2;

fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS_MAX)
}
