//! Batches to bytes: the text that travels to the server.
//!
//! ```text
//!  Batch ─▶ cells ─▶ csv | json ─▶ text
//!           typed      │  nested: lists, maps
//!           slices     │  scalar: numbers, dates     └─▶ aside: rows this format cannot carry
//!                      └─ escape: strings
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
mod csv;
mod escape;
mod json;
mod nested;
mod scalar;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sample;

use arrow::record_batch::RecordBatch;

pub use self::carry::{binary_columns, carries, wire_for};
use crate::model::{Column, WireFormat};

/// Turns rows into text.
pub trait Encoder: Send {
    /// Appends rows from `from` on to `out`, until it holds `bytes_target` bytes or more or the batch ends.
    ///
    /// Rows that this format cannot carry are left out, and their indices appended to `aside`. Returns the row to go on
    /// with. Where the text ends depends on the rows and on `bytes_target` alone, not on how rows were grouped into
    /// batches: a buffer that is full already takes no row, an empty one takes at least one.
    fn encode(
        &mut self,
        batch: &RecordBatch,
        from: usize,
        bytes_target: usize,
        out: &mut Vec<u8>,
        aside: &mut Vec<usize>,
    ) -> usize;
}

/// An encoder for batches with these columns, typed by [`ColumnType::arrow`](crate::model::ColumnType::arrow).
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
struct Unfit;

/// The loop that both formats share: whole rows until the buffer is full; a row that does not fit leaves no trace.
///
/// Per row it costs one reservation, and per cell one match. `benches/stage.rs` measures it.
fn rows(
    from: usize,
    to: usize,
    bytes_target: usize,
    out: &mut Vec<u8>,
    aside: &mut Vec<usize>,
    mut append: impl FnMut(usize, &mut Vec<u8>) -> Result<(), Unfit>,
) -> usize {
    let bytes_target = bytes_target.max(1);
    let mut row = from;
    while row < to && out.len() < bytes_target {
        let start = out.len();
        if append(row, out).is_err() {
            out.truncate(start);
            aside.push(row);
        }
        row += 1;
    }
    row
}
