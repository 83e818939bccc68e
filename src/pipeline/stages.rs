//! The stages of a pipeline: one thread reads pieces of the input, several make rows of them, one puts the rows together.
//!
//! Each piece travels with the place where its rows are awaited, so that they are taken in the order of the input whoever is
//! done first: what becomes of a piece depends on its bytes alone, never on the number of threads (LABEL-1).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::chunker::Filled;
use super::cutter::{Cutter, after};
use super::outlet::Outlet;
use super::relay::Courier;
use super::relay_json::JsonRelay;
use super::rows::Rows;
use super::{Failure, Stopped};
use crate::buffers::{BUFFER_BYTES, Buffers};
use crate::encoder::Encoder;
use crate::governor::{Budget, Permit};
use crate::model::{Batch, Chunk, Codec, Origin, Reject};
use crate::reader::{self, BATCH_BYTES_TARGET, Block, Blocks, RECORD_BYTES_MAX, Reader};
use crate::reader::{csv, json};
use crate::telemetry::{Activity, Laps, Part, Progress, Stage};

/// Where pieces come from.
pub(super) enum Feed {
    Batches(Box<dyn Reader>),
    /// With the line on which the first block starts.
    Blocks(Blocks, u64),
}

/// What makes rows of a piece.
pub(super) enum Hands {
    /// With the room that the text of the last batch has taken.
    Encoder(Box<dyn Encoder>, usize),
    Relay(Box<Courier>),
    JsonRelay(Box<JsonRelay>),
}

/// Something to work on: a part of the input, or a chunk that is full.
pub(super) enum Piece {
    Batch(Batch, Vec<Reject>),
    Block(Block),
    Filled(Box<Filled>, Codec),
}

/// A piece, and what became of it.
pub(super) enum Done {
    Rows(Rows),
    /// The bytes are needed again if the block was not cut between two records.
    Block(Block, Rows),
    Chunk(Chunk, Permit),
    End(Vec<Reject>),
    Failed(reader::Error),
}

/// Where what becomes of a piece is awaited, with the piece's room in the memory for pieces.
pub(super) type Awaited = (Receiver<Done>, Option<Permit>);

/// Reads until the end, an error, or until nobody wants more. `room` is for the pieces that are being worked on.
pub(super) fn read(
    mut feed: Feed,
    mut tick: impl FnMut(),
    room: &Budget,
    order: &Sender<Awaited>,
    work: &Sender<(Piece, Sender<Done>)>,
    mut laps: Laps<'_>,
) {
    loop {
        let next = feed.next();
        tick();
        laps.then(Activity::Busy);
        let (sender, receiver) = bounded(1);
        let permit = match next {
            Ok(piece) => {
                // A piece that is larger than the room is worked on alone.
                let Ok(permit) = room.take(piece.bytes().min(room.limit())) else { return };
                if work.send((piece, sender)).is_err() {
                    return;
                }
                Some(permit)
            }
            Err(done) => {
                sender.send(done).expect("it has room for one");
                None
            }
        };
        let ends = permit.is_none();
        if order.send((receiver, permit)).is_err() || ends {
            return;
        }
        laps.then(Activity::Blocked);
    }
}

impl Piece {
    /// The memory it takes, but for what is made of it.
    fn bytes(&self) -> u64 {
        match self {
            // Columns may share memory that is counted for each of them.
            Self::Batch(batch, _) => batch.rows.get_array_memory_size().min(BATCH_BYTES_TARGET) as u64,
            Self::Block(block) => block.bytes.len() as u64,
            // It has a permit of its own.
            Self::Filled(..) => 0,
        }
    }
}

impl Feed {
    /// The next piece, or what there is instead of one.
    #[expect(clippy::result_large_err, reason = "it is moved once for each half megabyte")]
    fn next(&mut self) -> Result<Piece, Done> {
        match self {
            Self::Batches(reader) => {
                let mut rejects = Vec::new();
                match reader.next(&mut rejects) {
                    Ok(Some(batch)) => Ok(Piece::Batch(batch, rejects)),
                    Ok(None) => Err(Done::End(rejects)),
                    Err(error) => Err(Done::Failed(error)),
                }
            }
            Self::Blocks(blocks, _) => match blocks.next() {
                Ok(Some(block)) => Ok(Piece::Block(block)),
                Ok(None) => Err(Done::End(Vec::new())),
                Err(error) => Err(Done::Failed(error)),
            },
        }
    }
}

/// Makes rows until there are no pieces.
pub(super) fn work(hands: &mut Hands, buffers: &Buffers, pieces: &Receiver<(Piece, Sender<Done>)>, mut laps: Laps<'_>) {
    for (piece, place) in pieces {
        laps.then(Activity::Starved);
        let done = hands.make(piece, buffers);
        laps.then(Activity::Busy);
        // Nobody waits for it where the pipeline has ended early.
        let _ = place.send(done);
    }
}

impl Hands {
    fn make(&mut self, piece: Piece, buffers: &Buffers) -> Done {
        match (self, piece) {
            (_, Piece::Filled(filled, codec)) => {
                let (chunk, permit) = filled.compress(codec);
                Done::Chunk(chunk, permit)
            }
            (Self::Encoder(encoder, room), Piece::Batch(batch, rejects)) => {
                // Text that outgrows its buffer is copied, and the pages of the new one are fresh.
                let mut rows = Rows { text: buffers.empty(*room), rejects, ..Rows::default() };
                rows.append(&batch, encoder.as_mut());
                *room = (rows.text.len() + rows.text.len() / 8).max(BUFFER_BYTES);
                Done::Rows(rows)
            }
            (hands, Piece::Block(block)) => {
                let rows = hands.relay(&block, buffers);
                Done::Block(block, rows)
            }
            _ => unreachable!("a pipeline has pieces of one kind, and hands for them"),
        }
    }

    fn relay(&mut self, block: &Block, buffers: &Buffers) -> Rows {
        match self {
            Self::Relay(relay) => relay.rows(block, buffers),
            Self::JsonRelay(relay) => relay.rows(block, buffers),
            Self::Encoder(..) => unreachable!("an encoder is given batches"),
        }
    }

    /// What is wrong with an input that ends within the record that starts at `pending`, in which something `open`s.
    fn cut_off(&self, path: &Path, origin: Origin, pending: &[u8], open: usize) -> reader::Error {
        match self {
            Self::JsonRelay(_) => json::cut_off(path, origin),
            _ => csv::open_quote(path, origin, pending, open),
        }
    }
}

/// Puts rows together.
pub(super) struct Assembly {
    hands: Hands,
    cutter: Cutter,
    buffers: Buffers,
    path: PathBuf,
    /// Line ends before the next block.
    lines: u64,
    /// What the last block has left: the start of a record.
    rest: Option<Block>,
}

impl Assembly {
    pub(super) fn new(feed: &Feed, hands: Hands, cutter: Cutter, buffers: Buffers) -> Self {
        let (path, lines) = match feed {
            Feed::Batches(_) => (PathBuf::new(), 0),
            Feed::Blocks(blocks, line) => (blocks.path().to_owned(), *line),
        };
        Self { hands, cutter, buffers, path, lines, rest: None }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the receiver is dropped here, which ends the other threads")]
    pub(super) fn run(&mut self, order: Receiver<Awaited>, mut outlet: Outlet) -> Result<(), Failure> {
        let context = outlet.context;
        let mut laps = Laps::start(&context.progress, context.clock.as_ref(), Part::Assembly);
        loop {
            laps.then(Activity::Busy);
            if context.budget.is_closed() {
                return Err(Failure::Stopped);
            }
            let start = context.clock.instant();
            let place = select! {
                recv(order) -> place => place,
                recv(outlet.first()) -> done => {
                    outlet.leave(done.map_err(|_| Stopped)?)?;
                    continue;
                }
            };
            let read = context.clock.instant();
            context.progress.waited_for(Stage::Reader, read - start);
            // Given back when the rows are in their chunk, which has room for them.
            let (place, _permit) = place.map_err(|_| Stopped)?;
            let done = place.recv().ok();
            context.progress.waited_for(Stage::Encoder, context.clock.instant() - read);
            laps.then(Activity::Starved);
            match done {
                Some(Done::Rows(rows)) => self.take(rows, &mut outlet)?,
                Some(Done::Block(block, rows)) => self.block(&block, rows, &mut outlet)?,
                Some(Done::End(rejects)) => {
                    if let Some(rest) = self.rest.take() {
                        let rows = self.make_again(&rest);
                        self.accept(&rest, rows, &mut outlet)?;
                    }
                    self.take(Rows { rejects, ..Rows::default() }, &mut outlet)?;
                    self.cutter.finish(&mut outlet)?;
                    laps.then(Activity::Busy);
                    return Ok(());
                }
                Some(Done::Failed(error)) => {
                    // What was full before is as good as ever.
                    outlet.finish()?;
                    return Err(Failure::Reading(error));
                }
                Some(Done::Chunk(..)) => unreachable!("chunks are not awaited among pieces of the input"),
                // A thread panicked; the scope passes that on as soon as this returns.
                None => return Err(Failure::Stopped),
            }
        }
    }

    fn block(&mut self, block: &Block, rows: Rows, outlet: &mut Outlet) -> Result<(), Failure> {
        let Some(rest) = self.rest.take() else { return self.accept(block, rows, outlet) };
        // The cut in front of the block was wrong, and so is what was made of it.
        let bytes = Bytes::from([&rest.bytes[..], &block.bytes[..]].concat());
        let whole = Block { bytes, byte: rest.byte, last: block.last };
        let rows = self.make_again(&whole);
        self.accept(&whole, rows, outlet)
    }

    fn make_again(&mut self, block: &Block) -> Rows {
        self.hands.relay(block, &self.buffers)
    }

    fn accept(&mut self, block: &Block, rows: Rows, outlet: &mut Outlet) -> Result<(), Failure> {
        let (rest, open_quote, too_long, before) = (rows.rest, rows.open_quote, rows.too_long, self.lines);
        let lines = self.lines + rows.lines;
        self.take(rows, outlet)?;
        self.lines = lines;
        let at = |start: usize| Origin { line: lines, byte: block.byte + start as u64 };
        let failure = if let Some(origin) = too_long {
            self.too_long(after(origin, before))
        } else if let Some((start, open)) = open_quote {
            self.hands.cut_off(&self.path, at(start), &block.bytes[start..], open)
        } else if let Some(start) = rest {
            if block.bytes.len() - start <= RECORD_BYTES_MAX {
                self.rest = Some(Block { bytes: block.bytes.slice(start..), byte: at(start).byte, last: true });
                return Ok(());
            }
            self.too_long(at(start))
        } else {
            return Ok(());
        };
        outlet.finish()?;
        Err(Failure::Reading(failure))
    }

    fn too_long(&self, at: Origin) -> reader::Error {
        reader::Error::RecordTooLong { path: self.path.clone(), at, bytes_max: RECORD_BYTES_MAX }
    }

    /// Counts what was read, and hands it on.
    fn take(&mut self, mut rows: Rows, outlet: &mut Outlet) -> Result<(), Failure> {
        Progress::add(&outlet.context.progress.rows_read, rows.records() as u64);
        let mut rejects = std::mem::take(&mut rows.rejects);
        if !rejects.is_empty() {
            for reject in &mut rejects {
                reject.origin = after(reject.origin, self.lines);
            }
            outlet.rejects(rejects)?;
        }
        let text = rows.take_text(&self.buffers);
        Ok(self.cutter.cut(&rows, &text, self.lines, outlet)?)
    }
}
