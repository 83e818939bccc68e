//! [`Batch`]: rows in memory, as Arrow, and where each of them came from.

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

/// Where a row stands in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The line of a text input on which the record starts, or the number of the row in a binary one; from 1.
    pub line: u64,
    /// The offset of the record's first byte in the decompressed text; for binary inputs the row's index from 0.
    pub byte: u64,
}

/// Rows of one input, typed as the table wants them, in the order they were read.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows. Its columns are those the load sends, in that order, typed by [`ColumnType::arrow`](super::ColumnType::arrow);
    /// text may also stand in views, and decimals in 64 bits, as typed inputs have them.
    pub rows: RecordBatch,
    /// One entry per row.
    pub origins: Vec<Origin>,
}
