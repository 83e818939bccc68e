//! [`Rows`]: rows as text on their way to chunks; [`Out`], where the relays make them; [`Slow`], which makes them of batches.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::kind::Odd;
use crate::buffers::Buffers;
use crate::encoder::{self, Encoder, Layout, Lines};
use crate::model::{Batch, Column, Origin, Reject, WireFormat};
use crate::reader::cast::BatchBuilder;

/// What became of a piece of an input.
#[derive(Default)]
pub(super) struct Rows {
    /// Rows, one behind the other.
    pub(super) text: Vec<u8>,
    /// Where that text stands already as it is, if it does; nothing was written then.
    pub(super) as_it_is: Option<Bytes>,
    /// Where each of them ends in `text`.
    pub(super) ends: Vec<usize>,
    /// Where each of them stands in the input. In pieces of text, lines count from the start of the piece.
    pub(super) origins: Vec<Origin>,
    /// Rows that the ordinary format cannot carry.
    pub(super) aside: Vec<Batch>,
    /// Records that are no rows.
    pub(super) rejects: Vec<Reject>,
    /// Line ends in it.
    pub(super) lines: u64,
    /// Where in the piece the record starts that does not end in it.
    pub(super) rest: Option<usize>,
    /// Where the input ends within quotes: the offset of the record in the piece, and that of the quote in the record.
    pub(super) open_quote: Option<(usize, usize)>,
    /// The place of a record that is longer than records may be.
    pub(super) too_long: Option<Origin>,
}

impl Rows {
    /// The text, for good.
    pub(super) fn take_text(&mut self, buffers: &Buffers) -> Bytes {
        let written = std::mem::take(&mut self.text);
        self.as_it_is.take().unwrap_or_else(|| buffers.share(written))
    }

    /// How many records it was made of.
    pub(super) fn records(&self) -> usize {
        self.ends.len() + self.aside.iter().map(|batch| batch.origins.len()).sum::<usize>() + self.rejects.len()
    }

    /// Appends the rows of a batch as an encoder writes them.
    pub(super) fn append(&mut self, batch: &Batch, encoder: &mut dyn Encoder) {
        let mut aside = Vec::new();
        encoder.encode(&batch.rows, &mut self.text, &mut self.ends, &mut aside);
        let mut unfit = aside.iter().copied().peekable();
        for (row, origin) in batch.origins.iter().enumerate() {
            if unfit.next_if_eq(&row).is_some() {
                self.aside.push(Batch { rows: batch.rows.slice(row, 1), origins: vec![*origin] });
            } else {
                self.origins.push(*origin);
            }
        }
    }
}

/// The rows of a block, as they are made: those that stand in it as they are to travel, until one does not; rows written from
/// what stands in it; and those that go the way of all formats.
pub(super) struct Out<'a> {
    block: &'a Bytes,
    pub(super) rows: Rows,
    /// Up to where the block is its rows as it stands, if it is.
    kept: Option<usize>,
    buffers: &'a Buffers,
    layout: &'a Arc<Layout>,
    /// Where rows are being written; none while they are where [`Slow`] appends to them.
    lines: Option<Lines>,
    slow: &'a mut Slow,
}

impl<'a> Out<'a> {
    /// For a block whose records may be rows as they stand.
    pub(super) fn keeping(block: &'a Bytes, buffers: &'a Buffers, layout: &'a Arc<Layout>, slow: &'a mut Slow) -> Self {
        Self { block, rows: Rows::default(), kept: Some(0), buffers, layout, lines: None, slow }
    }

    /// For a block whose records are written anew in any case, and are likely to take so much room.
    pub(super) fn anew(self, room: usize) -> Self {
        let rows = Rows { text: self.buffers.empty(room), ..Rows::default() };
        Self { rows, kept: None, ..self }
    }

    /// Leaves records where they are, if everything before them is there as well and they end as rows do.
    #[inline]
    fn keep(&mut self, records: &Range<usize>) -> bool {
        let stays = self.kept == Some(records.start) && self.block.get(records.end) == Some(&b'\n');
        if stays {
            self.kept = Some(records.end + 1);
        }
        stays
    }

    /// Adds a record that is a row as it stands.
    #[inline]
    pub(super) fn add(&mut self, record: Range<usize>) {
        if self.keep(&record) {
            self.rows.ends.push(record.end + 1);
            return;
        }
        let block = self.block;
        let lines = self.lines();
        lines.start();
        lines.copy(block, record);
        let end = lines.end_line();
        self.rows.ends.push(end);
    }

    /// Adds records one behind the other that are rows as they stand, and where each of them ends.
    pub(super) fn add_all(&mut self, records: Range<usize>, ends: impl Iterator<Item = usize>) {
        if self.keep(&records) {
            self.rows.ends.extend(ends);
            return;
        }
        let block = self.block;
        let start = self.lines().add_rows(block, records.start..records.end + 1);
        self.rows.ends.extend(ends.map(|end| start + end - records.start));
    }

    /// Adds a row if it can be written; `write` says where it ends.
    #[inline]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Lines) -> Result<usize, Odd>) -> Result<(), Odd> {
        if !self.slow.is_empty() {
            return self.write_after(write);
        }
        let end = write(self.lines())?;
        self.rows.ends.push(end);
        Ok(())
    }

    /// Adds a row behind records that were put off. If it is to be put off as well, all of them wait on.
    #[cold]
    fn write_after(&mut self, write: impl FnOnce(&mut Lines) -> Result<usize, Odd>) -> Result<(), Odd> {
        let mut lines = self.layout.behind(Vec::new());
        let len = write(&mut lines)?;
        let start = self.lines().add_rows(&lines.end(), 0..len);
        self.rows.ends.push(start + len);
        Ok(())
    }

    /// Where to write the next row: behind everything before it.
    #[inline]
    pub(super) fn lines(&mut self) -> &mut Lines {
        if self.lines.is_none() {
            self.give_up();
            self.slow.flush(&mut self.rows);
        }
        let Self { rows, layout, lines, .. } = self;
        lines.get_or_insert_with(|| layout.behind(std::mem::take(&mut rows.text)))
    }

    /// What was kept so far is written as well.
    fn give_up(&mut self) {
        if let Some(end) = self.kept.take() {
            self.rows.text = self.buffers.empty(self.block.len() + self.block.len() / 8);
            self.rows.text.extend_from_slice(&self.block[..end]);
        }
    }

    /// Puts off a record: `read` reads it the way that all formats go.
    pub(super) fn put_off<R>(&mut self, read: impl FnOnce(&mut BatchBuilder, &mut Vec<Reject>) -> R) -> R {
        self.give_up();
        self.rows.text = self.lines.take().map_or_else(|| std::mem::take(&mut self.rows.text), Lines::end);
        let result = read(&mut self.slow.batch, &mut self.rows.rejects);
        if self.slow.batch.is_full() {
            self.slow.flush(&mut self.rows);
        }
        result
    }

    /// The rows of the block, of which everything was read.
    pub(super) fn end(mut self) -> Rows {
        if let Some(lines) = self.lines.take() {
            self.rows.text = lines.end();
        }
        self.slow.flush(&mut self.rows);
        self.rows.as_it_is = self.kept.map(|end| self.block.slice(..end));
        self.rows
    }
}

/// The way that all formats go, for single records: typed, and encoded.
pub(super) struct Slow {
    batch: BatchBuilder,
    encoder: Box<dyn Encoder>,
}

impl Slow {
    pub(super) fn new(wire: WireFormat, columns: &[Column]) -> Self {
        Self { batch: BatchBuilder::new(columns), encoder: encoder::new(wire, columns) }
    }

    fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Appends what there is.
    fn flush(&mut self, rows: &mut Rows) {
        if !self.batch.is_empty() {
            rows.append(&self.batch.finish(), self.encoder.as_mut());
        }
    }
}
