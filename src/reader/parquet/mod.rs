//! Parquet files.
//!
//! Pages are decoded as rows are asked for, a row group is never in memory as a whole. How many rows are asked for at a time
//! follows from the file's own figures on the width of its rows, so that wide rows do not add up (MEM-1) and the same file is
//! always cut alike (LABEL-1).

mod decode;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type;
use parquet::errors::ParquetError;

use super::columnar::{Blocks, damaged};
use super::stored::CountedFile;
use super::{BATCH_BYTES_TARGET, BATCH_ROWS_MAX, Error};
use decode::{Rows, Which};

/// How a file begins and ends.
const MAGIC: &[u8] = b"PAR1";

/// How a file with an encrypted footer ends.
const MAGIC_ENCRYPTED: &[u8] = b"PARE";

/// What a file says about itself.
#[derive(Clone)]
pub(super) struct Footer {
    path: PathBuf,
    file: CountedFile,
    metadata: ArrowReaderMetadata,
}

impl Footer {
    /// Reads the footer of a file.
    pub(super) fn read(path: &Path, file: CountedFile) -> Result<Self, Error> {
        check_end(path, &file)?;
        let load = |options: ArrowReaderOptions| ArrowReaderMetadata::load(&file, options);
        let metadata = load(ArrowReaderOptions::new())
            .and_then(|metadata| {
                let options = ArrowReaderOptions::new().with_schema(cheap_schema(&metadata));
                ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
            })
            // The library's own choice for 96-bit timestamps, nanoseconds in 64 bits, silently wraps around beyond 2262.
            .and_then(|metadata| match with_old_timestamps(&metadata, TimeUnit::Microsecond) {
                Some(schema) => {
                    let options = ArrowReaderOptions::new().with_schema(schema);
                    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
                }
                None => Ok(metadata),
            })
            .map_err(|error| broken(path, error))?;
        Ok(Self { path: path.to_owned(), file, metadata })
    }

    /// The schema, in Arrow's terms.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Opens the file for some of its columns.
    pub(super) fn open(self, indices: &[usize]) -> Result<ParquetFile, Error> {
        self.open_on(indices, decode::threads())
    }

    /// The same on so many threads.
    fn open_on(self, indices: &[usize], threads: usize) -> Result<ParquetFile, Error> {
        self.refuse_nested_times(indices)?;
        let step = self.step(indices);
        let rows = Rows::open(&self, &self.file, indices, &Which { step, window: None }, threads)?;
        Ok(ParquetFile { footer: self, rows, last: 0..0 })
    }

    /// Within lists and structs 96-bit timestamps cannot be read in two units side by side, and one alone is not exact.
    fn refuse_nested_times(&self, indices: &[usize]) -> Result<(), Error> {
        let schema = self.metadata.parquet_schema();
        let nested = (0..schema.num_columns()).find(|leaf| {
            schema.column(*leaf).physical_type() == Type::INT96
                && !schema.get_column_root(*leaf).is_primitive()
                && indices.contains(&schema.get_column_root_idx(*leaf))
        });
        let Some(leaf) = nested else { return Ok(()) };
        Err(Error::ColumnsMismatch {
            path: self.path.clone(),
            what: format!(
                "field `{}` holds 96-bit timestamps within a nested value",
                schema.get_column_root(leaf).name()
            ),
            hint: "write the file with INT64 timestamps, or leave the field out: list the others with `--columns`"
                .into(),
        })
    }

    fn mask(&self, indices: &[usize]) -> ProjectionMask {
        ProjectionMask::roots(self.metadata.parquet_schema(), indices.iter().copied())
    }

    /// How many rows to decode at a time: as many as make a batch, by the widest row group.
    fn step(&self, indices: &[usize]) -> usize {
        let mask = self.mask(indices);
        let row_bytes = self.metadata.metadata().row_groups().iter().map(|group| {
            let leaves = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
            // A dictionary says a long value once, however many rows have it. Writers that count the values' bytes tell more.
            let bytes: i64 = leaves
                .map(|(_, column)| {
                    column.uncompressed_size().max(column.unencoded_byte_array_data_bytes().unwrap_or(0)).max(0)
                })
                .sum();
            bytes.unsigned_abs() / group.num_rows().max(1).unsigned_abs()
        });
        let row_bytes = usize::try_from(row_bytes.max().unwrap_or(0)).unwrap_or(usize::MAX);
        (BATCH_BYTES_TARGET / row_bytes.max(1)).clamp(1, BATCH_ROWS_MAX)
    }
}

/// The schema with text as views, which are not copied out of their pages, and with short decimals as the integers that they
/// are stored as.
fn cheap_schema(metadata: &ArrowReaderMetadata) -> SchemaRef {
    let parquet = metadata.parquet_schema();
    let leaf_of = |root: usize| (0..parquet.num_columns()).find(|leaf| parquet.get_column_root_idx(*leaf) == root);
    let fields = metadata.schema().fields().iter().enumerate().map(|(index, field)| {
        let physical = leaf_of(index).map(|leaf| parquet.column(leaf).physical_type());
        let cheap = match (field.data_type(), physical) {
            (DataType::Utf8 | DataType::LargeUtf8, Some(Type::BYTE_ARRAY)) => DataType::Utf8View,
            (DataType::Decimal128(precision, scale), Some(Type::INT32 | Type::INT64)) => {
                DataType::Decimal64(*precision, *scale)
            }
            _ => return Arc::clone(field),
        };
        Arc::new(field.as_ref().clone().with_data_type(cheap))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The schema with 96-bit timestamps in this unit; none when the file has no such columns.
fn with_old_timestamps(metadata: &ArrowReaderMetadata, unit: TimeUnit) -> Option<SchemaRef> {
    let roots = old_timestamps(metadata);
    if roots.is_empty() {
        return None;
    }
    let fields = metadata.schema().fields().iter().enumerate().map(|(index, field)| {
        if roots.contains(&index) {
            Arc::new(Field::new(field.name(), DataType::Timestamp(unit, None), field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    Some(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The columns that are 96-bit timestamps.
fn old_timestamps(metadata: &ArrowReaderMetadata) -> Vec<usize> {
    let schema = metadata.parquet_schema();
    let leaves = (0..schema.num_columns()).filter(|leaf| {
        schema.column(*leaf).physical_type() == Type::INT96 && schema.get_column_root(*leaf).is_primitive()
    });
    leaves.map(|leaf| schema.get_column_root_idx(leaf)).collect()
}

/// Fails unless the file ends as its writer ends it: the footer is the last thing written.
fn check_end(path: &Path, file: &CountedFile) -> Result<(), Error> {
    let end = file.end(MAGIC.len() as u64).map_err(|error| Error::read(path, error))?;
    if end == MAGIC_ENCRYPTED {
        return Err(Error::Malformed {
            path: path.to_owned(),
            at: None,
            what: "its footer is encrypted".into(),
            source: None,
        });
    }
    // Twelve bytes are the two marks and the footer's length.
    if end == MAGIC && file.size() >= 12 {
        return Ok(());
    }
    let what = "a Parquet file: its footer (with PAR1 at the very end) is missing".into();
    Err(Error::Truncated { path: path.to_owned(), at: None, what, source: None })
}

/// The rows of a file.
pub(super) struct ParquetFile {
    footer: Footer,
    rows: Rows,
    /// The rows that were read last, counted from 0.
    last: Range<usize>,
}

impl Blocks for ParquetFile {
    fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(rows) = self.rows.next(&self.footer.path)? else {
            self.check_count()?;
            let footer = &self.footer;
            footer.file.finish().map_err(|error| Error::read(&footer.path, error))?;
            return Ok(None);
        };
        self.last = self.last.end..self.last.end + rows.num_rows();
        Ok(Some(rows))
    }

    fn whole(&mut self) -> Result<RecordBatch, Error> {
        let footer = &self.footer;
        let all: Vec<usize> = (0..footer.schema().fields().len()).collect();
        let file = footer.file.uncounted();
        let which = Which { step: self.last.len(), window: Some(&self.last) };
        let mut rows = Rows::open(footer, &file, &all, &which, 1)?;
        rows.next(&footer.path)?.filter(|rows| rows.num_rows() == self.last.len()).ok_or_else(|| Error::Truncated {
            path: footer.path.clone(),
            at: None,
            what: "a column that no other one goes with".into(),
            source: None,
        })
    }
}

impl ParquetFile {
    /// Fails unless there were as many rows as the footer promised (ROWS-1).
    fn check_count(&self) -> Result<(), Error> {
        let promised = self.footer.metadata.metadata().file_metadata().num_rows();
        if usize::try_from(promised) == Ok(self.last.end) {
            return Ok(());
        }
        Err(Error::Malformed {
            path: self.footer.path.clone(),
            at: None,
            what: format!("its footer promises {promised} rows, and {} are in it", self.last.end),
            source: None,
        })
    }
}

/// Sorts an error of the Parquet reader.
fn broken(path: &Path, error: ParquetError) -> Error {
    let path = path.to_owned();
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(error) => Error::read(&path, *error),
            Err(cause) => malformed(path, cause),
        },
        ParquetError::EOF(_) | ParquetError::NeedMoreData(_) | ParquetError::NeedMoreDataRange(_) => {
            Error::Truncated { path, at: None, what: "a Parquet column".into(), source: Some(Box::new(error)) }
        }
        error => malformed(path, Box::new(error)),
    }
}

/// The same for errors that have come through Arrow, which keeps their text alone.
fn broken_batch(path: &Path, error: ArrowError) -> Error {
    match error {
        ArrowError::ParquetError(text) if text.starts_with("EOF") => broken(path, ParquetError::EOF(text)),
        error => damaged(path, error),
    }
}

fn malformed(path: PathBuf, cause: super::Cause) -> Error {
    Error::Malformed { path, at: None, what: "its columns cannot be decoded".into(), source: Some(cause) }
}
