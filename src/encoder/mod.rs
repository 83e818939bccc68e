//! Batches to bytes: the text that travels to the server.
//!
//! ```text
//!  Batch ─▶ cells ─▶ slots ─▶ csv | json ─▶ room ─▶ text
//!           typed    some rows  │  escape: strings
//!           slices   of a       └─ nested: lists, maps   └─▶ aside: rows this format cannot carry
//!                    column by scalar: numbers, dates
//! ```
//!
//! Two formats (SR §6). *CSV*, profile A: `,` between fields, strings in `"` with `\` before each `"` and `\`, `\n` after
//! each row, NULL as `\\N`. *JSON*: one object per line, every key present, in column order. CSV is the cheaper one on
//! both sides; JSON carries what CSV cannot: the two characters `\N` as text, STRUCT columns, and nested types for which
//! no CSV form is known to work ([`wire_for`]).
//!
//! Both are exact: what the server parses equals what the batch holds, byte for byte. A row of which that cannot be said
//! is put aside whole. For CSV that is a string `\N`; for JSON the document `null` in a JSON column, which would arrive as
//! NULL; for both a map that has a key twice, and what a reader is bound to refuse earlier: NaN, infinities, dates outside
//! the years 0000 to 9999. Of JSON columns the reader has checked that each value is one valid document.
//!
//! Rows are appended to a buffer that the caller owns; nothing is allocated per row.

mod carry;
mod cells;
mod copy;
mod csv;
mod escape;
mod json;
mod lines;
mod nested;
mod room;
pub(crate) mod scalar;
mod slots;

#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod sample;

use std::ops::Range;

use arrow::record_batch::RecordBatch;

pub use self::carry::{binary_columns, carries, wire_for};
pub(crate) use self::lines::{Layout, Lines};
use self::room::Room;
use crate::model::{Column, WireFormat};

/// Turns rows into text.
pub trait Encoder: Send {
    /// Appends the rows of a batch to `out`, and for each of them where it ends in `out` to `ends`.
    ///
    /// Rows that this format cannot carry are left out, and their indices appended to `aside`.
    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>, ends: &mut Vec<usize>, aside: &mut Vec<usize>);
}

/// An encoder for batches with these columns, typed by [`ColumnType::arrow`](crate::model::ColumnType::arrow), or else with
/// text as views and decimals in 64 bits.
///
/// The names are the keys of JSON objects; see [`binary_columns`] for those that are not the table's.
///
/// # Panics
/// Without columns, and with columns that the format cannot carry: ask [`carries`] before. Some of them would otherwise
/// arrive as something else.
#[must_use]
pub fn new(format: WireFormat, columns: &[Column]) -> Box<dyn Encoder> {
    assert!(!columns.is_empty(), "a load has at least one column");
    assert_eq!(carries(format, columns), Ok(()), "the columns were checked against the format");
    match format {
        WireFormat::Csv => Box::new(csv::Csv::new(columns)),
        WireFormat::Json => Box::new(json::Json::new(columns)),
    }
}

/// A value that cannot travel in the format at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// Whether a text is the one that CSV cannot carry.
pub(crate) fn is_csv_null(text: &[u8]) -> bool {
    text == csv::NULL_DECODED
}

/// The rows of a batch, as many at a time as are written ahead.
fn blocks(batch: &RecordBatch) -> impl Iterator<Item = Range<usize>> {
    let (rows, step) = (batch.num_rows(), slots::rows_ahead(batch.num_columns()));
    (0..rows).step_by(step).map(move |first| first..rows.min(first + step))
}

/// The loop that both formats share; a row that does not fit leaves no trace.
///
/// `append` is given the index of a row among these, its index in the batch and a place; it writes the row there and returns
/// where it ends.
fn rows(
    rows: Range<usize>,
    room: &mut Room,
    ends: &mut Vec<usize>,
    aside: &mut Vec<usize>,
    mut append: impl FnMut(usize, usize, &mut Room, usize) -> Result<usize, Unfit>,
) {
    let mut at = room.at();
    for (index, row) in rows.enumerate() {
        room.reserve(at, 0);
        if let Ok(end) = append(index, row, room, at) {
            at = end;
            ends.push(end);
        } else {
            aside.push(row);
        }
    }
    room.keep(at);
}
