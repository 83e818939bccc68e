//! Typed inputs (Parquet, Arrow) to batches: what both formats share once their bytes are Arrow arrays.
//!
//! ```text
//!  Blocks::next ─▶ slice ─▶ column by column ─▶ filter ─▶ Batch
//!   projected       rows,    fast: as it is, or a cast     └────▶ Reject, its row from Blocks::whole
//!   columns         bytes    slow: cell by cell
//! ```
//!
//! A column whose array already is what the table wants, and whose values all pass a vectorised check, goes through
//! untouched. One that does not, and every column with a value at fault, goes cell by cell through
//! [`ColumnBuilder`](super::cast::ColumnBuilder), whose rules are those of text inputs.
//!
//! *Time zones.* A timestamp with a zone is an instant. It becomes the UTC wall time of that instant, for DATETIME has no
//! zone and every other choice would depend on where the program runs. What a DATETIME cannot hold, nanoseconds and
//! years beyond 9999, is a reject.

mod cell;
mod column;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType, TimestampNanosecondType};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::cast::Cell;
use super::{BATCH_BYTES_TARGET, BATCH_ROWS_MAX, Error, FieldRef, Projected, Reader};
use crate::model::{Batch, Column, Origin, Reject};
use crate::telemetry::panics;

pub use cell::row_as_json;
pub(super) use column::plain_batch;
pub(super) use schema::columns;

/// Rows of a typed input, as they come out of its format.
pub(super) trait Blocks: Send {
    /// The next rows, with the columns that were asked for, in the input's order.
    fn next(&mut self) -> Result<Option<RecordBatch>, Error>;

    /// The rows that `next` gave last, with every column of the input. It is asked for rejected rows only.
    fn whole(&mut self) -> Result<RecordBatch, Error>;
}

/// Which columns to read, and what becomes of them.
pub(super) struct Projection {
    /// The indices of the input's columns to read, ascending, each once.
    pub(super) indices: Vec<usize>,
    /// The table's columns, and for each the place of its source among `indices`.
    columns: Vec<(Column, usize)>,
}

impl Projection {
    /// Looks up what `projected` asks of an input with this schema.
    pub(super) fn new(path: &Path, schema: &Schema, projected: Vec<Projected>) -> Result<Self, Error> {
        let mut wanted = Vec::with_capacity(projected.len());
        for Projected { column, source } in projected {
            let index = match source {
                FieldRef::Index(index) => Some(index).filter(|index| *index < schema.fields().len()),
                FieldRef::Name(name) => schema.index_of(&name).ok(),
            };
            let index = index.ok_or_else(|| Error::ColumnsMismatch {
                path: path.to_owned(),
                what: format!("the input has no field for `{}`", column.name),
                hint: "all inputs of one import need the same columns; import this one by itself".into(),
            })?;
            let field = schema.field(index);
            if let Some(ty) = unreadable(field.data_type()) {
                return Err(Error::ColumnsMismatch {
                    path: path.to_owned(),
                    what: format!("field `{}` has the type {ty}, which no column of a table can hold", field.name()),
                    hint: "leave it out: list the fields to load with `--columns`".into(),
                });
            }
            wanted.push((column, index));
        }
        let mut indices: Vec<usize> = wanted.iter().map(|(_, index)| *index).collect();
        indices.sort_unstable();
        indices.dedup();
        let columns = wanted.into_iter().map(|(column, index)| {
            let place = indices.binary_search(&index).expect("every wanted index is among the indices");
            (column, place)
        });
        Ok(Self { columns: columns.collect(), indices })
    }
}

/// The part of a type that has no counterpart in a table, if there is one.
fn unreadable(ty: &DataType) -> Option<String> {
    match ty {
        DataType::Union(..) => Some("Union".into()),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => unreadable(field.data_type()),
        DataType::Struct(fields) => fields.iter().find_map(|field| unreadable(field.data_type())),
        _ => None,
    }
}

/// Reads the blocks of one input as batches.
pub(super) struct ColumnarReader<B> {
    path: PathBuf,
    blocks: B,
    columns: Vec<(Column, usize)>,
    /// The block at hand.
    block: Option<Block>,
    /// How many rows came before it.
    rows_before: u64,
}

struct Block {
    rows: RecordBatch,
    /// Rows of it that have been delivered.
    at: usize,
    /// Rows to deliver at a time.
    step: usize,
    /// The same rows with all columns, once they were needed.
    whole: Option<RecordBatch>,
}

impl<B: Blocks> ColumnarReader<B> {
    pub(super) fn new(path: &Path, blocks: B, projection: Projection) -> Self {
        Self { path: path.to_owned(), blocks, columns: projection.columns, block: None, rows_before: 0 }
    }

    /// Turns rows of the block at hand into a batch.
    fn batch(&mut self, from: usize, count: usize, rejects: &mut Vec<Reject>) -> Result<Batch, Error> {
        let block = self.block.as_mut().expect("batches are made of a block");
        let mut arrays = Vec::with_capacity(self.columns.len());
        // The first value at fault of each row: one is enough to set it aside, and the order of the columns decides.
        let mut faults: Vec<Option<(usize, column::Fault)>> = Vec::new();
        for (index, (column, place)) in self.columns.iter().enumerate() {
            let source = block.rows.column(*place).slice(from, count);
            let made = column::convert(&source, column).map_err(|error| damaged(&self.path, error))?;
            for (row, fault) in made.faults {
                faults.resize_with(count, || None);
                faults[row].get_or_insert((index, fault));
            }
            arrays.push(made.array);
        }
        let fields = self.columns.iter().zip(&arrays);
        let schema = Arc::new(Schema::new(
            fields
                .map(|((column, _), array)| Field::new(&column.name, array.data_type().clone(), true))
                .collect::<Vec<_>>(),
        ));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows = RecordBatch::try_new_with_options(schema, arrays, &options)
            .expect("every column is converted to its Arrow type, row by row");
        let first = self.rows_before + from as u64;
        let origin = |row: usize| Origin { line: first + row as u64 + 1, byte: first + row as u64 };
        if faults.is_empty() {
            return Ok(Batch { rows, origins: (0..count).map(origin).collect() });
        }
        let good: BooleanArray = faults.iter().map(|fault| Some(fault.is_none())).collect();
        let origins = (0..count).filter(|row| good.value(*row)).map(origin).collect();
        let rows = filter_record_batch(&rows, &good).expect("the mask is as long as the batch");
        let whole = match &block.whole {
            Some(whole) => whole,
            None => block.whole.insert(self.blocks.whole()?),
        };
        let whole = column::plain_batch(&whole.slice(from, count)).map_err(|error| damaged(&self.path, error))?;
        for (row, fault) in faults.into_iter().enumerate() {
            if let Some((column, fault)) = fault {
                let name = self.columns[column].0.name.clone();
                rejects.push(Reject {
                    origin: origin(row),
                    column: Some(name),
                    value: Some(fault.value),
                    rule: fault.rule,
                    raw: cell::row_as_json(&whole, row).into_bytes(),
                });
            }
        }
        Ok(Batch { rows, origins })
    }
}

impl<B: Blocks> Reader for ColumnarReader<B> {
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        let path = self.path.clone();
        guarded(&path, || self.read(rejects))
    }
}

impl<B: Blocks> ColumnarReader<B> {
    fn read(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(block) = &mut self.block {
                let (from, count) = (block.at, block.step.min(block.rows.num_rows() - block.at));
                if count > 0 {
                    block.at += count;
                    return self.batch(from, count, rejects).map(Some);
                }
                self.rows_before += block.rows.num_rows() as u64;
                self.block = None;
            }
            let Some(rows) = self.blocks.next()? else { return Ok(None) };
            self.block = Some(Block { step: step(&rows), rows, at: 0, whole: None });
        }
    }
}

/// How many rows of a block make a batch: all batches of a block have as many, so that what is made of them fits the buffers
/// of those before. It follows from the values alone, not from how memory happens to be allocated, so that the same input is
/// always cut alike (LABEL-1).
fn step(rows: &RecordBatch) -> usize {
    let bytes: usize = rows.columns().iter().map(bytes).sum();
    let count = rows.num_rows();
    let batches = bytes.div_ceil(BATCH_BYTES_TARGET).max(count.div_ceil(BATCH_ROWS_MAX)).max(1);
    count.div_ceil(batches).max(1)
}

fn bytes(column: &ArrayRef) -> usize {
    match column.as_string_view_opt() {
        // Views share what they show with their neighbours.
        Some(views) => views.lengths().map(|length| size_of::<u128>() + length as usize).sum(),
        None => column.to_data().get_slice_memory_size().unwrap_or_default(),
    }
}

/// Runs a decoder of the Arrow libraries. They are written for files that are whole: some kinds of damage make them panic,
/// and a file must not be able to end the program.
pub(super) fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // An input that failed is not read on: what the decoder leaves half-done is dropped with it.
    panics::caught(decode).unwrap_or_else(|words| {
        Err(Error::Malformed {
            path: path.to_owned(),
            at: None,
            what: "its columns cannot be decoded".into(),
            source: Some(words.into()),
        })
    })
}

/// Sorts an error of the Arrow libraries.
pub(super) fn damaged(path: &Path, error: arrow::error::ArrowError) -> Error {
    match error {
        arrow::error::ArrowError::IoError(_, error) => Error::read(path, error),
        error => Error::Malformed {
            path: path.to_owned(),
            at: None,
            what: "its columns cannot be decoded".into(),
            source: Some(Box::new(error)),
        },
    }
}

/// The same timestamps, read as microseconds and as nanoseconds, as text with all their digits; none when microseconds say
/// it all. As text they go into a text column as they are, and are rejected by the rule of any other text elsewhere.
pub(super) fn exact_times(micros: &ArrayRef, nanos: &ArrayRef) -> Option<ArrayRef> {
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let nanos = nanos.as_primitive::<TimestampNanosecondType>();
    // Both count modulo 2^64, so that what is left between them is digits, whatever the year.
    let digits = |row: usize| nanos.value(row).wrapping_sub(micros.value(row).wrapping_mul(1000));
    if (0..micros.len()).all(|row| micros.is_null(row) || digits(row) == 0) {
        return None;
    }
    let text = (0..micros.len()).map(|row| {
        micros.is_valid(row).then(|| match (Cell::DateTime(micros.value(row)).shown(), digits(row)) {
            (time, 0) => time,
            (time, digits) if time.contains('.') => format!("{time}{digits:03}"),
            (time, digits) => format!("{time}.000000{digits:03}"),
        })
    });
    Some(Arc::new(text.collect::<StringArray>()))
}
