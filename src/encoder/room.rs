//! [`Room`]: the end of a buffer, where rows are written without asking for each byte whether there is place for it.
//!
//! A buffer that grows by each piece of a cell keeps its length in memory, and every piece waits for the one before it to have
//! stored it. Here there is always room for a row whatever its numbers are; a cell is written at a place that is handed on from
//! one to the next in a register. Short pieces are copied as blocks of a fixed size, which is one instruction; what is written
//! too much is written over by what follows.

use super::copy::copied;
use super::escape::{ESCAPED, ESCAPED_ROOM, Letters, escaped};

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

/// The end of a buffer.
pub(super) struct Room<'a> {
    out: &'a mut Vec<u8>,
    /// Where the rows end that are whole.
    at: usize,
    /// What the cells of a row take at most, but for those that ask for more.
    row_bytes_max: usize,
    /// For cells that are not written in their place at once.
    aside: Vec<u8>,
}

impl<'a> Room<'a> {
    /// Room for rows whose cells take no more than so many bytes, or ask for more.
    pub(super) fn new(out: &'a mut Vec<u8>, row_bytes_max: usize) -> Self {
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

    /// The buffer ends with its last whole row.
    pub(super) fn end(self) {
        self.out.truncate(self.at);
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

    /// Writes a text between quotes, with what stands in place of each special byte.
    #[inline]
    pub(super) fn put_quoted(
        &mut self,
        at: usize,
        text: &[u8],
        special: impl Fn(u8) -> bool,
        letters: &Letters,
    ) -> usize {
        self.reserve(at, text.len() + 2);
        let end = at + text.len() + 2;
        if let [open, place @ .., close] = &mut self.out[at..end] {
            (*open, *close) = (b'"', b'"');
            if copied(text, place, special) {
                return self.put_escaped(at, text, letters);
            }
        }
        end
    }

    #[inline(never)]
    fn put_escaped(&mut self, at: usize, text: &[u8], letters: &Letters) -> usize {
        let mut at = at + 1;
        for part in text.chunks(ESCAPED) {
            self.reserve(at, ESCAPED_ROOM);
            let to = self.out[at..].first_chunk_mut().expect("there is room for it");
            at += escaped(part, letters, to);
        }
        self.reserve(at, 1);
        self.put(at, [b'"'])
    }

    /// Writes what is made in another buffer.
    #[inline(never)]
    pub(super) fn put_made(&mut self, at: usize, make: impl FnOnce(&mut Vec<u8>)) -> usize {
        let mut text = std::mem::take(&mut self.aside);
        text.clear();
        make(&mut text);
        self.reserve(at, text.len());
        let end = at + text.len();
        self.out[at..end].copy_from_slice(&text);
        self.aside = text;
        end
    }
}
