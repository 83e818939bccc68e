//! [`Room`]: the end of a buffer, where rows are written without asking for each byte whether there is place for it.
//!
//! A buffer that grows by each piece of a cell keeps its length in memory, and every piece waits for the one before it to have
//! stored it. Here there is always room for a row whatever its numbers are; a cell is written at a place that is handed on from
//! one to the next in a register. Short pieces are copied as blocks of a fixed size, which is one instruction; what is written
//! too much is written over by what follows.

use std::ops::Range;

use super::copy::copied;
use super::escape::{Quoting, escaped};
use crate::bits::SMALL;

/// Bytes that hold the text of any scalar, between quotes, and what is copied too much.
pub(crate) const WINDOW: usize = 64;

/// Where a scalar is written.
pub(crate) type Window = [u8; WINDOW];

/// Writes at a place of a window.
#[inline]
pub(super) fn put<const N: usize>(to: &mut Window, at: usize, bytes: [u8; N]) {
    to[at..at + N].copy_from_slice(&bytes);
}

/// Writes a text that fits, and returns its end.
#[inline]
pub(super) fn put_text(to: &mut Window, at: usize, text: &[u8]) -> usize {
    let end = at + text.len();
    copied(text, &mut to[at..end], |_| false);
    end
}

/// The first bytes of a text that stands in another; if there are fewer, what follows them is not said.
#[inline]
fn block(around: &[u8], text: Range<usize>) -> [u8; SMALL] {
    around[text.start..].first_chunk().copied().unwrap_or_else(|| padded(&around[text]))
}

/// For the last bytes of all.
#[inline]
fn padded(text: &[u8]) -> [u8; SMALL] {
    let mut block = [0; SMALL];
    let len = text.len().min(SMALL);
    copied(&text[..len], &mut block, |_| false);
    block
}

/// What stands in front of a value, with blanks behind it up to a whole block: it is copied in blocks, and the value is written
/// over what is too much.
#[derive(Debug, Default)]
pub(super) struct Key {
    blocks: Vec<[u8; SMALL]>,
    len: usize,
}

impl Key {
    pub(super) fn new(text: &[u8]) -> Self {
        let blocks = text.chunks(SMALL).map(|part| {
            let mut block = [b' '; SMALL];
            block[..part.len()].copy_from_slice(part);
            block
        });
        Self { blocks: blocks.collect(), len: text.len() }
    }

    /// The bytes that it takes, with the blanks.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.as_flattened().len()
    }

    #[inline]
    pub(super) fn put(&self, room: &mut Room, at: usize) -> usize {
        let mut place = at;
        for block in &self.blocks {
            place = room.put(place, *block);
        }
        at + self.len
    }
}

/// The end of a buffer.
#[derive(Debug, Default)]
pub(super) struct Room {
    out: Vec<u8>,
    /// Where the rows end that are whole.
    at: usize,
    /// What the cells of a row take at most, but for those that ask for more.
    row_bytes_max: usize,
    /// For cells that are not written in their place at once.
    aside: Vec<u8>,
}

impl Room {
    /// Room for rows whose cells take no more than so many bytes, or ask for more.
    pub(super) fn new(out: Vec<u8>, row_bytes_max: usize) -> Self {
        let at = out.len();
        Self { out, at, row_bytes_max, aside: Vec::new() }
    }

    /// Where the next row is written.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Everything before `at` is whole rows.
    pub(super) fn keep(&mut self, at: usize) {
        self.at = at;
    }

    /// The buffer, which ends with its last whole row.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.truncate(self.at);
        self.out
    }

    /// Makes room for so many bytes from `at` on, and for a row behind them.
    #[inline]
    pub(super) fn reserve(&mut self, at: usize, bytes: usize) {
        let needed = at + bytes + self.row_bytes_max;
        if needed > self.out.len() {
            self.grow(needed);
        }
    }

    /// In steps that stay in the cache: what is written soon is close by, and zeros are cheap there.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, needed: usize) {
        const STEP: usize = 16 << 10;
        let len = needed + STEP;
        let capacity = self.out.capacity();
        self.out.resize(if needed <= capacity { len.min(capacity) } else { len }, 0);
    }

    /// Where a scalar is written.
    #[inline]
    pub(super) fn window(&mut self, at: usize) -> &mut Window {
        self.out[at..].first_chunk_mut().expect("there is room for a row")
    }

    /// Writes bytes of a fixed number.
    #[inline]
    pub(super) fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> usize {
        self.out[at..at + N].copy_from_slice(&bytes);
        at + N
    }

    /// Writes a text that stands in another between quotes, with what stands in place of each special byte. Its quotes may be
    /// doubled, as CSV has them.
    ///
    /// Sixteen bytes are copied at a time, and what is behind the first special one among them is written over.
    #[inline]
    pub(super) fn put_quoted<Q: Quoting>(
        &mut self,
        at: usize,
        around: &[u8],
        text: Range<usize>,
        doubled: bool,
    ) -> usize {
        self.reserve(at, text.len() + SMALL);
        let mut at = self.put(at, [b'"']);
        let mut from = text.start;
        while from < text.end {
            let left = text.end - from;
            let block = block(around, from..text.end);
            self.put(at, block);
            let clean = (Q::special(&block).trailing_zeros() as usize).min(left).min(SMALL);
            (from, at) = (from + clean, at + clean);
            if clean < left.min(SMALL) {
                let byte = around[from];
                self.reserve(at, left + 2 * SMALL);
                let (piece, len) = escaped(byte, Q::LETTERS);
                self.put(at, piece);
                at += len;
                from += 1 + usize::from(doubled && byte == b'"');
            }
        }
        self.put(at, [b'"'])
    }

    /// The same with a text that stands by itself. Most hold nothing special, and are copied as they are looked at.
    #[inline]
    pub(super) fn put_whole<Q: Quoting>(&mut self, at: usize, text: &[u8]) -> usize {
        self.reserve(at, text.len() + 2);
        let end = at + text.len() + 2;
        if let [open, place @ .., close] = &mut self.out[at..end] {
            (*open, *close) = (b'"', b'"');
            if copied(text, place, Q::is_special) {
                return self.put_quoted::<Q>(at, text, 0..text.len(), false);
            }
        }
        end
    }

    /// Writes a text that stands in another, as it is.
    #[inline]
    pub(super) fn put_copy(&mut self, at: usize, around: &[u8], text: Range<usize>) -> usize {
        if text.len() > WINDOW {
            return self.put_long(at, &around[text]);
        }
        self.reserve(at, text.len() + SMALL);
        let end = at + text.len();
        let (mut from, mut place) = (text.start, at);
        loop {
            place = self.put(place, block(around, from..text.end));
            if place >= end {
                return end;
            }
            from += SMALL;
        }
    }

    /// Writes a text that may be long.
    pub(super) fn put_long(&mut self, at: usize, text: &[u8]) -> usize {
        self.reserve(at, text.len());
        let end = at + text.len();
        self.out[at..end].copy_from_slice(text);
        end
    }

    /// Writes what is made in another buffer.
    #[inline(never)]
    pub(super) fn put_made(&mut self, at: usize, make: impl FnOnce(&mut Vec<u8>)) -> usize {
        let mut text = std::mem::take(&mut self.aside);
        text.clear();
        make(&mut text);
        let end = self.put_long(at, &text);
        self.aside = text;
        end
    }
}
