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
        main.add(&rows.text, &rows.ends, &rows.origins, lines, options, context, sink)?;
        for batch in &rows.aside {
            let (mut ends, mut nowhere) = (Vec::new(), Vec::new());
            text.clear();
            encoder.encode(&batch.rows, text, &mut ends, &mut nowhere);
            if nowhere.is_empty() {
                side.add(text, &ends, &batch.origins, lines, options, context, sink)?;
            } else {
                Progress::add(&context.progress.rows_rejected, 1);
                sink.rejects(vec![reject(batch, lines)])?;
            }
        }
        Ok(())
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self, context: &Context, sink: &mut dyn Sink) -> Result<(), Stopped> {
        self.main.hand_on(&self.options, context, sink)?;
        self.side.hand_on(&self.options, context, sink)
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

    /// Adds rows that end at these offsets of the text. A chunk closes after the row that fills it.
    #[expect(clippy::too_many_arguments, reason = "the first four are one thing, and the last three are context")]
    fn add(
        &mut self,
        text: &[u8],
        ends: &[usize],
        origins: &[Origin],
        lines: u64,
        options: &Options,
        context: &Context,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let (mut row, mut start) = (0_usize, 0_usize);
        while row < ends.len() {
            let filled = self.open.as_ref().map_or(0, Chunker::text_bytes);
            let room = usize::try_from(options.load_bytes.saturating_sub(filled)).unwrap_or(usize::MAX);
            let full = start.saturating_add(room.max(1));
            let next = (row + ends[row..].partition_point(|end| *end < full) + 1).min(ends.len());
            self.opened(options.load_bytes, options.codec, context)?;
            let chunker = self.open.as_mut().expect("it has just been opened");
            let (first, last) = (after(origins[row], lines), after(origins[next - 1], lines));
            chunker.append(&text[start..ends[next - 1]], (next - row) as u64, first, last);
            self.hand_on_if_full(options, context, sink)?;
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

    fn hand_on_if_full(&mut self, options: &Options, context: &Context, sink: &mut dyn Sink) -> Result<(), Stopped> {
        let full = self.open.as_ref().is_some_and(|chunker| chunker.text_bytes() >= options.load_bytes);
        if full { self.hand_on(options, context, sink) } else { Ok(()) }
    }

    fn hand_on(&mut self, options: &Options, context: &Context, sink: &mut dyn Sink) -> Result<(), Stopped> {
        let Some(chunker) = self.open.take() else { return Ok(()) };
        let (chunk, permit) = chunker.finish(options.input);
        self.sequence += 1;
        let start = context.clock.instant();
        let taken = sink.chunk(Cut { chunk, sequence: self.sequence, side: self.side, permit });
        context.progress.waited_for(Stage::Target, context.clock.instant() - start);
        taken
    }
}
