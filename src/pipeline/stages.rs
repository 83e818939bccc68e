//! The stages of a pipeline: one thread reads pieces of the input, several make rows of them, one puts the rows together.
//!
//! Each piece travels with the place where its rows are awaited, so that they are taken in the order of the input whoever is
//! done first: what becomes of a piece depends on its bytes alone, never on the number of threads (LABEL-1).

use std::path::PathBuf;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::cutter::{Cutter, after};
use super::relay::Relay;
use super::rows::Rows;
use super::{Context, Failure, Sink};
use crate::encoder::Encoder;
use crate::model::{Batch, Origin, Reject};
use crate::reader::csv::{self, Block, Blocks};
use crate::reader::{self, RECORD_BYTES_MAX, Reader};
use crate::telemetry::{Progress, Stage};

/// Where pieces come from.
pub(super) enum Feed {
    Batches(Box<dyn Reader>),
    /// With the line on which the first block starts.
    Blocks(Blocks, u64),
}

/// What makes rows of a piece.
pub(super) enum Hands {
    Encoder(Box<dyn Encoder>),
    Relay(Box<Relay>),
}

/// A part of the input.
pub(super) enum Piece {
    Batch(Batch, Vec<Reject>),
    Block(Block),
}

/// A piece, and what became of it.
pub(super) enum Done {
    Rows(Rows),
    /// The bytes are needed again if the block was not cut between two records.
    Block(Block, Rows),
    End(Vec<Reject>),
    Failed(reader::Error),
}

/// Reads until the end, an error, or until nobody wants more.
pub(super) fn read(
    mut feed: Feed,
    mut tick: impl FnMut(),
    order: &Sender<Receiver<Done>>,
    work: &Sender<(Piece, Sender<Done>)>,
) {
    loop {
        let next = feed.next();
        tick();
        let (sender, receiver) = bounded(1);
        let goes_on = match next {
            Ok(piece) => work.send((piece, sender)).is_ok(),
            Err(done) => {
                sender.send(done).expect("it has room for one");
                false
            }
        };
        if order.send(receiver).is_err() || !goes_on {
            return;
        }
    }
}

impl Feed {
    /// The next piece, or what there is instead of one.
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
pub(super) fn work(hands: &mut Hands, pieces: &Receiver<(Piece, Sender<Done>)>) {
    for (piece, place) in pieces {
        // Nobody waits for it where the pipeline has ended early.
        let _ = place.send(hands.make(piece));
    }
}

impl Hands {
    fn make(&mut self, piece: Piece) -> Done {
        match (self, piece) {
            (Self::Encoder(encoder), Piece::Batch(batch, rejects)) => {
                let mut rows = Rows { rejects, ..Rows::default() };
                rows.append(&batch, encoder.as_mut());
                Done::Rows(rows)
            }
            (Self::Relay(relay), Piece::Block(block)) => {
                let rows = relay.rows(&block);
                Done::Block(block, rows)
            }
            _ => unreachable!("a pipeline has pieces of one kind, and hands for them"),
        }
    }
}

/// Puts rows together.
pub(super) struct Assembly {
    hands: Hands,
    cutter: Cutter,
    path: PathBuf,
    /// Line ends before the next block.
    lines: u64,
    /// What the last block has left: the start of a record.
    rest: Option<Block>,
}

impl Assembly {
    pub(super) fn new(feed: &Feed, hands: Hands, cutter: Cutter) -> Self {
        let (path, lines) = match feed {
            Feed::Batches(_) => (PathBuf::new(), 0),
            Feed::Blocks(blocks, line) => (blocks.path().to_owned(), *line),
        };
        Self { hands, cutter, path, lines, rest: None }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the receiver is dropped here, which ends the other threads")]
    pub(super) fn run(
        &mut self,
        order: Receiver<Receiver<Done>>,
        context: &Context,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        loop {
            if context.budget.is_closed() {
                return Err(Failure::Stopped);
            }
            let start = context.clock.instant();
            let place = order.recv();
            let read = context.clock.instant();
            context.progress.waited_for(Stage::Reader, read - start);
            let done = place.ok().and_then(|place| place.recv().ok());
            context.progress.waited_for(Stage::Encoder, context.clock.instant() - read);
            match done {
                Some(Done::Rows(rows)) => self.take(rows, context, sink)?,
                Some(Done::Block(block, rows)) => self.block(&block, rows, context, sink)?,
                Some(Done::End(rejects)) => {
                    if let Some(rest) = self.rest.take() {
                        let rows = self.make_again(&rest);
                        self.accept(&rest, rows, context, sink)?;
                    }
                    self.take(Rows { rejects, ..Rows::default() }, context, sink)?;
                    return Ok(self.cutter.finish(context, sink)?);
                }
                Some(Done::Failed(error)) => return Err(Failure::Reading(error)),
                // A thread panicked; the scope passes that on as soon as this returns.
                None => return Err(Failure::Stopped),
            }
        }
    }

    fn block(&mut self, block: &Block, rows: Rows, context: &Context, sink: &mut dyn Sink) -> Result<(), Failure> {
        let Some(mut rest) = self.rest.take() else { return self.accept(block, rows, context, sink) };
        // The cut in front of the block was wrong, and so is what was made of it.
        rest.bytes.extend_from_slice(&block.bytes);
        rest.last = block.last;
        let rows = self.make_again(&rest);
        self.accept(&rest, rows, context, sink)
    }

    fn make_again(&mut self, block: &Block) -> Rows {
        let Hands::Relay(relay) = &mut self.hands else { unreachable!("only blocks leave a rest") };
        relay.rows(block)
    }

    fn accept(&mut self, block: &Block, rows: Rows, context: &Context, sink: &mut dyn Sink) -> Result<(), Failure> {
        let (rest, open_quote, too_long, before) = (rows.rest, rows.open_quote, rows.too_long, self.lines);
        let lines = self.lines + rows.lines;
        self.take(rows, context, sink)?;
        self.lines = lines;
        let at = |start: usize| Origin { line: lines, byte: block.byte + start as u64 };
        let long = |at| {
            Err(Failure::Reading(reader::Error::RecordTooLong {
                path: self.path.clone(),
                at,
                bytes_max: RECORD_BYTES_MAX,
            }))
        };
        if let Some(origin) = too_long {
            return long(after(origin, before));
        }
        if let Some((start, open)) = open_quote {
            return Err(Failure::Reading(csv::open_quote(&self.path, at(start), &block.bytes[start..], open)));
        }
        if let Some(start) = rest {
            if block.bytes.len() - start > RECORD_BYTES_MAX {
                return long(at(start));
            }
            self.rest = Some(Block { bytes: block.bytes[start..].to_vec(), byte: at(start).byte, last: true });
        }
        Ok(())
    }

    /// Counts what was read, and hands it on.
    fn take(&mut self, mut rows: Rows, context: &Context, sink: &mut dyn Sink) -> Result<(), Failure> {
        Progress::add(&context.progress.rows_read, rows.records() as u64);
        let mut rejects = std::mem::take(&mut rows.rejects);
        if !rejects.is_empty() {
            Progress::add(&context.progress.rows_rejected, rejects.len() as u64);
            for reject in &mut rejects {
                reject.origin = after(reject.origin, self.lines);
            }
            sink.rejects(rejects)?;
        }
        Ok(self.cutter.cut(&rows, self.lines, context, sink)?)
    }
}
