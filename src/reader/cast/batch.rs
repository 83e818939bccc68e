//! [`BatchBuilder`]: rows, growing into a batch.

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::model::table::arrow_schema;
use crate::model::{Batch, Column, Origin, Reject, Rule};
use crate::reader::{BATCH_BYTES_TARGET, BATCH_ROWS_MAX};

use super::cell::Cell;
use super::column::ColumnBuilder;

/// Rows of one batch: each is started, then gets one value per column in order, or is rejected on the way.
pub struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    origins: Vec<Origin>,
    good: Vec<bool>,
    /// Records that never became a row: they count, so that a run of bad records ends its batch too.
    aside: usize,
    bytes: usize,
}

impl BatchBuilder {
    /// Starts a batch of these columns.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self {
            schema: arrow_schema(columns),
            columns: columns.iter().map(ColumnBuilder::new).collect(),
            origins: Vec::new(),
            good: Vec::new(),
            aside: 0,
            bytes: 0,
        }
    }

    /// Starts a row.
    pub fn start_row(&mut self, origin: Origin) {
        debug_assert!(self.columns.iter().all(|column| column.len() == self.good.len()), "the last row is complete");
        self.origins.push(origin);
        self.good.push(true);
    }

    /// Appends the row's value for the column at `index`.
    ///
    /// # Errors
    /// The rule that the value breaks; the row is then to be rejected with [`reject_row`](Self::reject_row).
    pub fn append(&mut self, index: usize, cell: &Cell<'_>) -> Result<(), Rule> {
        self.bytes += cell.size();
        self.columns[index].append_ref(cell)
    }

    /// Gives up the row that was started last, whatever columns it has by now.
    ///
    /// # Panics
    /// When no row was started.
    pub fn reject_row(&mut self, reject: Reject, rejects: &mut Vec<Reject>) {
        let rows = self.good.len();
        *self.good.last_mut().expect("a row was started") = false;
        for column in self.columns.iter_mut().filter(|column| column.len() < rows) {
            column.append_placeholder();
        }
        self.bytes += reject.raw.len();
        rejects.push(reject);
    }

    /// Sets a record aside that is no row.
    pub fn reject_record(&mut self, reject: Reject, rejects: &mut Vec<Reject>) {
        self.aside += 1;
        self.bytes += reject.raw.len();
        rejects.push(reject);
    }

    /// Whether nothing was read into it, no reject either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.good.is_empty() && self.aside == 0
    }

    /// Whether it is time to close the batch.
    ///
    /// Rejects count as if they were rows: they are in memory as well.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.good.len() + self.aside >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_TARGET
    }

    /// Takes the rows out, without the rejected ones, and starts anew.
    ///
    /// # Panics
    /// When the last row has not got all of its values.
    pub fn finish(&mut self) -> Batch {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.good.len()));
        let rows = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)
            .expect("columns are built by the schema, one value per row");
        let good = std::mem::take(&mut self.good);
        let mut origins = std::mem::take(&mut self.origins);
        (self.aside, self.bytes) = (0, 0);
        if good.iter().all(|good| *good) {
            return Batch { rows, origins };
        }
        let mut kept = good.iter();
        origins.retain(|_| *kept.next().expect("one mark per row"));
        let rows = filter_record_batch(&rows, &BooleanArray::from(good)).expect("the mask is as long as the batch");
        Batch { rows, origins }
    }
}
