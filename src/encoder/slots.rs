//! [`Slots`]: the numbers and dates of a column, written some rows ahead.
//!
//! A row has one value of each column, and what has to be decided for a value is decided by its column. So the values of a column
//! are written one after the other, in a loop that does nothing else, each into a slot of a fixed size; a row then copies its
//! slots. That costs a third of writing the cells of a row one by one.

use std::ops::Range;

use arrow::buffer::NullBuffer;

use super::Unfit;
use super::room::{Room, WINDOW, Window};

/// Rows that are written ahead, at most: more of them save nothing.
const ROWS_MAX: usize = 64;

/// And at least, however many columns there are.
const ROWS_MIN: usize = 8;

/// Bytes of slots that stay in a core's own cache beside the values and the text.
const CACHED_BYTES: usize = 256 << 10;

/// How many rows of so many columns are written ahead.
pub(super) fn rows_ahead(columns: usize) -> usize {
    (CACHED_BYTES / (columns.max(1) * WINDOW)).clamp(ROWS_MIN, ROWS_MAX)
}

/// What a format writes around a value.
pub(super) struct Frame {
    /// What stands for NULL.
    pub(super) null: &'static [u8],
    pub(super) quoted: bool,
    /// What follows each value, NULL too.
    pub(super) tail: Option<u8>,
}

/// Texts of values of one column.
#[derive(Default)]
pub(super) struct Slots {
    texts: Vec<Window>,
    /// How long each is; zero for a value that is unfit.
    lengths: Vec<u8>,
}

impl Slots {
    /// Makes them so many.
    pub(super) fn resize(&mut self, count: usize) {
        self.texts.resize(count, [0; WINDOW]);
        self.lengths.resize(count, 0);
    }

    /// Fills the slots with the values of these rows.
    #[inline]
    pub(super) fn fill<T>(
        &mut self,
        rows: Range<usize>,
        nulls: Option<&NullBuffer>,
        frame: &Frame,
        value: impl Fn(usize) -> T,
        write: impl Fn(T, &mut Window, usize) -> Result<usize, Unfit>,
    ) {
        let start = usize::from(frame.quoted);
        for (row, (text, length)) in rows.zip(self.texts.iter_mut().zip(&mut self.lengths)) {
            let written = if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                text[..frame.null.len()].copy_from_slice(frame.null);
                Ok(frame.null.len())
            } else {
                text[0] = b'"';
                write(value(row), text, start).map(|end| {
                    text[end] = b'"';
                    end + start
                })
            };
            *length = written.map_or(0, |mut end| {
                if let Some(tail) = frame.tail {
                    text[end] = tail;
                    end += 1;
                }
                u8::try_from(end).expect("a slot is shorter than 256 bytes")
            });
        }
    }

    /// The text in a slot.
    pub(super) fn text(&self, index: usize) -> Result<&[u8], Unfit> {
        match usize::from(self.lengths[index]) {
            0 => Err(Unfit),
            length => Ok(&self.texts[index][..length]),
        }
    }

    /// Copies what is in a slot.
    #[inline]
    pub(super) fn put(&self, index: usize, room: &mut Room, at: usize) -> Result<usize, Unfit> {
        const HALF: usize = WINDOW / 2;
        let length = usize::from(self.lengths[index]);
        let (first, last) = self.texts[index].split_at(HALF);
        let to = room.window(at);
        to[..HALF].copy_from_slice(first);
        if length > HALF {
            to[HALF..].copy_from_slice(last);
        }
        if length == 0 { Err(Unfit) } else { Ok(at + length) }
    }
}
