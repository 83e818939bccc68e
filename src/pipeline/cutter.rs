//! [`Cutter`]: decides where one chunk ends and the next begins, and which rows go aside.

use super::chunker::Chunker;
use super::rows::Rows;
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
    /// Writes what goes aside.
    encoder: Box<dyn Encoder>,
    /// Where it writes it; kept to be used again.
    text: Vec<u8>,
}

impl Cutter {
    pub(super) fn new(options: Options, budget: Budget) -> Self {
        let main = Lane::new(options.wire, false, budget.clone());
        let side = Lane::new(WireFormat::Json, true, budget);
        let encoder = encoder::new(WireFormat::Json, &options.columns_json);
        Self { options, main, side, encoder, text: Vec::new() }
    }

    /// Takes rows, and hands on every chunk that they fill. `lines` lie before the first of them, unless their origins
    /// count already from the start of the input.
    pub(super) fn cut(
        &mut self,
        rows: &Rows,
        lines: u64,
        context: &Context,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let Self { options, main, side, encoder, text } = self;
        // What waits for its chunk while a side chunk is handed on: rows of before, or else the first of these.
        let first = main.first().or_else(|| rows.origins.first().map(|origin| after(*origin, lines)));
        for batch in &rows.aside {
            let (mut ends, mut nowhere) = (Vec::new(), Vec::new());
            text.clear();
            encoder.encode(&batch.rows, text, &mut ends, &mut nowhere);
            if nowhere.is_empty() {
                let added = Added { text, ends: &ends, origins: &batch.origins, lines };
                side.add(added, first, options, context, sink)?;
            } else {
                Progress::add(&context.progress.rows_rejected, 1);
                sink.rejects(vec![reject(batch, lines)])?;
            }
        }
        let added = Added { text: &rows.text, ends: &rows.ends, origins: &rows.origins, lines };
        main.add(added, side.first(), options, context, sink)
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self, context: &Context, sink: &mut dyn Sink) -> Result<(), Stopped> {
        self.main.hand_on(&self.options, self.side.first(), context, sink)?;
        self.side.hand_on(&self.options, None, context, sink)
    }
}

/// A row that neither format carries (SR §6.8): a map with one key twice, or a JSON `null` that would arrive as NULL. It is
/// set aside, because ROWS-1 knows no third way. Its record is gone by now, so its values stand for it.
fn reject(batch: &Batch, lines: u64) -> Reject {
    let text = "no wire format carries these values unchanged: a map with a repeated key, or a JSON null".to_owned();
    Reject {
        origin: after(batch.origins[0], lines),
        column: None,
        value: None,
        rule: Rule { code: "cannot-travel", text },
        raw: reader::row_as_json(&batch.rows, 0).into_bytes(),
    }
}

/// A place that was counted from the start of a piece, before which there are so many lines.
pub(super) fn after(origin: Origin, lines: u64) -> Origin {
    Origin { line: origin.line + lines, ..origin }
}

/// Rows for a lane.
struct Added<'a> {
    text: &'a [u8],
    /// Where each of them ends in the text.
    ends: &'a [usize],
    origins: &'a [Origin],
    /// Lines before them that their origins do not count.
    lines: u64,
}

/// One stream of chunks.
struct Lane {
    format: WireFormat,
    side: bool,
    budget: Budget,
    open: Option<Chunker>,
    sequence: u32,
}

impl Lane {
    fn new(format: WireFormat, side: bool, budget: Budget) -> Self {
        Self { format, side, budget, open: None, sequence: 0 }
    }

    /// Adds rows. A chunk closes after the row that fills it; `waiting` is the first row of the other lane that is in none.
    fn add(
        &mut self,
        added: Added<'_>,
        waiting: Option<Origin>,
        options: &Options,
        context: &Context,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let Added { text, ends, origins, lines } = added;
        let (mut row, mut start) = (0_usize, 0_usize);
        while row < ends.len() {
            let filled = self.open.as_ref().map_or(0, Chunker::text_bytes);
            let room = usize::try_from(options.load_bytes.saturating_sub(filled)).unwrap_or(usize::MAX);
            let full = start.saturating_add(room.max(1));
            let next = (row + ends[row..].partition_point(|end| *end < full) + 1).min(ends.len());
            self.opened(options.load_bytes, options.codec, context)?;
            let chunker = self.open.as_mut().expect("it has just been opened");
            let origins = origins[row..next].iter().map(|origin| after(*origin, lines));
            chunker.append(&text[start..ends[next - 1]], origins);
            self.hand_on_if_full(options, waiting, context, sink)?;
            (row, start) = (next, ends[next - 1]);
        }
        Ok(())
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
