//! [`Cutter`]: decides where one chunk ends and the next begins, and which rows go aside.

use arrow::record_batch::RecordBatch;

use super::chunker::Chunker;
use super::{Context, Cut, Options, Sink, Stopped};
use crate::encoder::{self, Encoder};
use crate::governor::Budget;
use crate::model::{Batch, Codec, Origin, Reject, Rule, WireFormat};
use crate::reader;
use crate::telemetry::{Progress, Stage};

/// Cuts the rows of one input into ordinary and side chunks.
///
/// Both kinds are cut by their own bytes alone, so each side chunk holds the same rows in every attempt, too.
pub(super) struct Cutter {
    options: Options,
    main: Lane,
    side: Lane,
    /// Indices of rows that the ordinary format cannot carry; kept to be used again.
    aside: Vec<usize>,
}

impl Cutter {
    pub(super) fn new(options: Options, budget: Budget) -> Self {
        let columns = match options.wire {
            WireFormat::Csv => &options.columns,
            WireFormat::Json => &options.columns_json,
        };
        let main = Lane::new(options.wire, encoder::new(options.wire, columns), false, budget.clone());
        let side = Lane::new(WireFormat::Json, encoder::new(WireFormat::Json, &options.columns_json), true, budget);
        Self { options, main, side, aside: Vec::new() }
    }

    /// Encodes a batch and hands on every chunk that it fills.
    pub(super) fn cut(&mut self, batch: &Batch, context: &Context, sink: &mut dyn Sink) -> Result<(), Stopped> {
        let mut row = 0;
        while row < batch.origins.len() {
            self.aside.clear();
            let next = self.main.encode(&self.options, context, &batch.rows, row, &batch.origins, &mut self.aside)?;
            for &index in &self.aside {
                let origin = &batch.origins[index..=index];
                let mut nowhere = Vec::new();
                self.side.encode(&self.options, context, &batch.rows.slice(index, 1), 0, origin, &mut nowhere)?;
                if !nowhere.is_empty() {
                    Progress::add(&context.progress.rows_rejected, 1);
                    sink.rejects(vec![reject(batch, index)])?;
                }
                self.side.hand_on_if_full(&self.options, self.main.first(), context, sink)?;
            }
            self.main.hand_on_if_full(&self.options, self.side.first(), context, sink)?;
            row = next;
        }
        Ok(())
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self, context: &Context, sink: &mut dyn Sink) -> Result<(), Stopped> {
        self.main.hand_on(&self.options, self.side.first(), context, sink)?;
        self.side.hand_on(&self.options, None, context, sink)
    }
}

/// A row that neither format carries (SR §6.8): a map with one key twice, or a JSON `null` that would arrive as NULL. It is
/// set aside, because ROWS-1 knows no third way. Its record is gone by now, so its values stand for it.
fn reject(batch: &Batch, index: usize) -> Reject {
    let text = "no wire format carries these values unchanged: a map with a repeated key, or a JSON null".to_owned();
    Reject {
        origin: batch.origins[index],
        column: None,
        value: None,
        rule: Rule { code: "cannot-travel", text },
        raw: reader::row_as_json(&batch.rows, index).into_bytes(),
    }
}

/// One stream of chunks.
struct Lane {
    format: WireFormat,
    encoder: Box<dyn Encoder>,
    side: bool,
    budget: Budget,
    open: Option<Chunker>,
    sequence: u32,
    /// Text of the rows being added; kept to be used again.
    text: Vec<u8>,
}

impl Lane {
    fn new(format: WireFormat, encoder: Box<dyn Encoder>, side: bool, budget: Budget) -> Self {
        Self { format, encoder, side, budget, open: None, sequence: 0, text: Vec::new() }
    }

    /// Adds rows from `row` on, as many as the chunk has room for; returns the row to go on with.
    fn encode(
        &mut self,
        options: &Options,
        context: &Context,
        rows: &RecordBatch,
        row: usize,
        origins: &[Origin],
        aside: &mut Vec<usize>,
    ) -> Result<usize, Stopped> {
        let filled = self.open.as_ref().map_or(0, Chunker::text_bytes);
        let room = usize::try_from(options.load_bytes.saturating_sub(filled)).unwrap_or(usize::MAX);
        self.text.clear();
        let next = self.encoder.encode(rows, row, room.max(1), &mut self.text, aside);
        debug_assert!(next > row, "an encoder always takes a row");
        if next - row == aside.len() {
            return Ok(next);
        }
        self.opened(options.load_bytes, options.codec, context)?;
        let chunker = self.open.as_mut().expect("it has just been opened");
        let taken = (row..next).filter(|index| aside.is_empty() || aside.binary_search(index).is_err());
        chunker.append(&self.text, taken.map(|index| origins[index]));
        Ok(next)
    }

    /// Opens a chunk if none is open, waiting for its room in the budget.
    fn opened(&mut self, load_bytes: u64, codec: Codec, context: &Context) -> Result<(), Stopped> {
        if self.open.is_none() {
            let start = context.clock.instant();
            let permit = self.budget.take(load_bytes)?;
            context.progress.waited_for(Stage::Target, context.clock.instant() - start);
            self.open = Some(Chunker::new(self.format, codec, permit));
        }
        Ok(())
    }

    /// The first row of the chunk that is being filled.
    fn first(&self) -> Option<Origin> {
        self.open.as_ref().and_then(Chunker::first)
    }

    fn hand_on_if_full(
        &mut self,
        options: &Options,
        beside: Option<Origin>,
        context: &Context,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let full = self.open.as_ref().is_some_and(|chunker| chunker.text_bytes() >= options.load_bytes);
        if full { self.hand_on(options, beside, context, sink) } else { Ok(()) }
    }

    /// Hands on the chunk being filled; `beside` is the first row in the other lane's.
    fn hand_on(
        &mut self,
        options: &Options,
        beside: Option<Origin>,
        context: &Context,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let Some(chunker) = self.open.take() else { return Ok(()) };
        let (chunk, permit) = chunker.finish(options.input);
        self.sequence += 1;
        let start = context.clock.instant();
        let waiting = beside.filter(|row| row.byte < chunk.to.byte);
        let taken = sink.chunk(Cut { chunk, sequence: self.sequence, side: self.side, waiting, permit });
        context.progress.waited_for(Stage::Target, context.clock.instant() - start);
        taken
    }
}
