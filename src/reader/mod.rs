//! Bytes to batches: reads an input in its format and types every value as the table wants it.
//!
//! ```text
//!  Opened ─▶ decompress ─▶ csv | json | parquet | arrow_ipc ─▶ cast ─▶ Batch
//!             gzip zstd …    records: where, what                 └────▶ Reject ─▶ RejectsWriter
//!  └─────── probe ──────┘ └────── what map projects ──────┘
//! ```
//!
//! Every record becomes exactly one row of one batch, or exactly one reject (ROWS-1), in the order they stand in the
//! input, and reading the same bytes again gives the same batches (LABEL-1). A batch has at most [`BATCH_ROWS_MAX`] rows
//! and closes early at about [`BATCH_BYTES_TARGET`] bytes, so that memory does not follow the width of rows. What makes
//! the rest of an input unreadable (a truncated file, an open quote, bytes that are no record at all) is an [`Error`];
//! what spoils one row is a [`Reject`].

mod arrow_ipc;
mod batches;
mod blocks;
pub mod cast;
mod columnar;
pub mod csv;
pub mod decompress;
mod error;
mod finder;
pub mod format;
pub mod infer;
pub mod json;
pub mod mapping;
mod parquet;
pub mod probe;
pub mod reject;
mod stored;
mod window;

pub(crate) use blocks::{Block, Blocks};
pub use columnar::row_as_json;
pub use error::{Cause, Error};
pub use format::{Compression, Format};
pub use mapping::{FieldKind, Mapping, SourceFields, map};
pub use probe::{Options, Probed, probe};
pub use reject::{RejectsError, RejectsWriter};
pub use stored::Meter;

use crate::model::{Batch, Column, Reject};

/// How a CSV or TSV file is written. Unset fields are found out from the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CsvOptions {
    /// The byte between fields; found out among `,` tab `;` `|` when unset.
    pub delimiter: Option<u8>,
    /// The byte around quoted fields; `"` when unset, none when `Some(None)`.
    pub quote: Option<Option<u8>>,
    /// A byte that takes the next one literally, inside quotes; none when unset: a quote is then doubled.
    pub escape: Option<u8>,
    /// The unquoted text that stands for NULL; when unset it is the empty field. The marker replaces that meaning: an
    /// empty field is then the empty string in text columns, and a reject in others.
    pub null: Option<String>,
    /// Whether the first record names the fields; yes when unset.
    pub header: Option<bool>,
}

/// One column to deliver, and where the input has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Projected {
    /// The column: its type is what values are read as, and `nullable` whether NULL is a reject. (In a NOT NULL text
    /// column the empty field of a CSV file is the empty string, unless a NULL marker is set.)
    pub column: Column,
    /// Where it comes from.
    pub source: FieldRef,
}

/// A field of an input.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldRef {
    /// By position, from 0: CSV, Parquet, Arrow.
    Index(usize),
    /// By key, case-sensitive: JSON.
    Name(String),
}

/// The most rows of one batch. 8192 keeps Arrow buffers in the cache; measured fastest for decoding Parquet.
pub const BATCH_ROWS_MAX: usize = 8192;

/// The size of text at which a batch closes before it is full.
pub const BATCH_BYTES_TARGET: usize = 1 << 20;

/// The longest record of a text input, in bytes: 16 MiB. Several may be in memory at once, as records and
/// as rejects, and a quote that is never closed would otherwise swallow the file.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Reads one input.
pub trait Reader: Send {
    /// Returns the next rows, or none at the end. Rows set aside on the way are appended to `rejects`.
    ///
    /// A batch may be empty when every record it would hold was rejected.
    ///
    /// # Errors
    /// When the rest of the input cannot be read.
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error>;
}
