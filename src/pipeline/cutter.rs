//! [`Cutter`]: decides where one chunk ends and the next begins, and which rows go aside.

use bytes::Bytes;

use super::chunker::Chunker;
use super::outlet::{Outlet, Place};
use super::rows::Rows;
use super::{Options, Stopped};
use crate::encoder::{self, Encoder};
use crate::model::{Batch, Origin, Reject, Rule, WireFormat};
use crate::reader;

/// Cuts the rows of one input into ordinary and side chunks.
///
/// Both kinds are cut by their own bytes alone, so each side chunk holds the same rows in every attempt, too.
pub(super) struct Cutter {
    options: Options,
    main: Lane,
    side: Lane,
    /// Writes what goes aside.
    encoder: Box<dyn Encoder>,
}

impl Cutter {
    pub(super) fn new(options: Options) -> Self {
        let main = Lane::new(options.wire, false);
        let side = Lane::new(WireFormat::Json, true);
        let encoder = encoder::new(WireFormat::Json, &options.columns_json);
        Self { options, main, side, encoder }
    }

    /// Takes rows, and hands on every chunk that they fill. `lines` lie before the first of them, unless their origins
    /// count already from the start of the input.
    pub(super) fn cut(&mut self, rows: &Rows, text: &Bytes, lines: u64, outlet: &mut Outlet) -> Result<(), Stopped> {
        let Self { options, main, side, encoder } = self;
        // What waits for its chunk while a side chunk is handed on: rows of before, or else the first of these.
        let first = main.first().or_else(|| rows.origins.first().map(|origin| after(*origin, lines)));
        for batch in &rows.aside {
            let (mut text, mut ends, mut nowhere) = (Vec::new(), Vec::new(), Vec::new());
            encoder.encode(&batch.rows, &mut text, &mut ends, &mut nowhere);
            if nowhere.is_empty() {
                let text = Bytes::from(text);
                let added = Added { text: &text, ends: &ends, origins: &batch.origins, lines };
                side.add(&added, first, options, outlet)?;
            } else {
                outlet.rejects(vec![reject(batch, lines)])?;
            }
        }
        let added = Added { text, ends: &rows.ends, origins: &rows.origins, lines };
        main.add(&added, side.first(), options, outlet)
    }

    /// Hands on what is left.
    pub(super) fn finish(&mut self, outlet: &mut Outlet) -> Result<(), Stopped> {
        self.main.hand_on(&self.options, self.side.first(), outlet)?;
        self.side.hand_on(&self.options, None, outlet)?;
        outlet.finish()
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
    text: &'a Bytes,
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
    open: Option<Chunker>,
    sequence: u32,
}

impl Lane {
    fn new(format: WireFormat, side: bool) -> Self {
        Self { format, side, open: None, sequence: 0 }
    }

    /// Adds rows. A chunk closes after the row that fills it; `waiting` is the first row of the other lane that is in none.
    fn add(
        &mut self,
        added: &Added<'_>,
        waiting: Option<Origin>,
        options: &Options,
        outlet: &mut Outlet,
    ) -> Result<(), Stopped> {
        let Added { text, ends, origins, lines } = added;
        let (mut row, mut start) = (0_usize, 0_usize);
        while row < ends.len() {
            let filled = self.open.as_ref().map_or(0, Chunker::text_bytes);
            let room = usize::try_from(options.load_bytes.saturating_sub(filled)).unwrap_or(usize::MAX);
            let full = start.saturating_add(room.max(1));
            let next = (row + ends[row..].partition_point(|end| *end < full) + 1).min(ends.len());
            let chunker = match &mut self.open {
                Some(open) => open,
                // Waits for its room in the budget.
                none => none.insert(Chunker::new(self.format, outlet.room(options.load_bytes)?)),
            };
            let origins = origins[row..next].iter().map(|origin| after(*origin, *lines));
            chunker.append(text.slice(start..ends[next - 1]), origins);
            if chunker.text_bytes() >= options.load_bytes {
                self.hand_on(options, waiting, outlet)?;
            }
            (row, start) = (next, ends[next - 1]);
        }
        Ok(())
    }

    /// The first row of the chunk that is being filled.
    fn first(&self) -> Option<Origin> {
        self.open.as_ref().and_then(Chunker::first)
    }

    /// Hands on the chunk being filled; `waiting` is the first row in the other lane's.
    fn hand_on(&mut self, options: &Options, waiting: Option<Origin>, outlet: &mut Outlet) -> Result<(), Stopped> {
        let Some(chunker) = self.open.take() else { return Ok(()) };
        self.sequence += 1;
        outlet.chunk(chunker.finish(options.input), Place { sequence: self.sequence, side: self.side, waiting })
    }
}
