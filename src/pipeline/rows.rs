//! [`Rows`]: rows as text on their way to chunks, and [`Slow`], which makes them of batches.

use std::ops::Range;

use bytes::Bytes;

use crate::buffers::Buffers;
use crate::encoder::{self, Encoder};
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

/// How much of a block is its rows as it stands: all of it, until one is written in another way.
pub(super) struct Kept<'a> {
    block: &'a Bytes,
    /// Up to where it is.
    up_to: Option<usize>,
    buffers: &'a Buffers,
}

impl<'a> Kept<'a> {
    /// Of a block whose records may be rows as they stand.
    pub(super) fn all(block: &'a Bytes, buffers: &'a Buffers) -> Self {
        Self { block, up_to: Some(0), buffers }
    }

    /// Of a block whose records are written anew in any case.
    pub(super) fn none(block: &'a Bytes, buffers: &'a Buffers) -> Self {
        Self { block, up_to: None, buffers }
    }

    /// Leaves records where they are, if everything before them is there as well and they end as rows do.
    #[inline]
    pub(super) fn keep(&mut self, records: &Range<usize>) -> bool {
        let stays = self.up_to == Some(records.start) && self.block.get(records.end) == Some(&b'\n');
        if stays {
            self.up_to = Some(records.end + 1);
        }
        stays
    }

    /// Where to write a record that is not kept: behind those that were.
    #[inline]
    pub(super) fn give_up<'r>(&mut self, rows: &'r mut Rows) -> &'r mut Vec<u8> {
        if let Some(end) = self.up_to.take() {
            rows.text = self.buffers.empty(self.block.len() + self.block.len() / 8);
            rows.text.extend_from_slice(&self.block[..end]);
        }
        &mut rows.text
    }

    /// The rows, if all are where they were.
    pub(super) fn untouched(self) -> Option<Bytes> {
        self.up_to.map(|end| self.block.slice(..end))
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

    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Where the next record goes.
    pub(super) fn open<'a>(&'a mut self, rows: &'a mut Rows) -> (&'a mut BatchBuilder, &'a mut Vec<Reject>) {
        (&mut self.batch, &mut rows.rejects)
    }

    pub(super) fn flush_if_full(&mut self, rows: &mut Rows) {
        if self.batch.is_full() {
            self.flush(rows);
        }
    }

    /// Appends what there is.
    pub(super) fn flush(&mut self, rows: &mut Rows) {
        if !self.batch.is_empty() {
            rows.append(&self.batch.finish(), self.encoder.as_mut());
        }
    }
}
