//! Records to batches: the loop that the text readers share.

use crate::model::{Batch, Column, Reject};

use super::cast::BatchBuilder;
use super::{Error, Reader};

/// Where records come from, one at a time.
pub(super) trait Records: Send {
    /// Puts the next record into the batch or among the rejects. False at the end of the input.
    fn read(&mut self, batch: &mut BatchBuilder, rejects: &mut Vec<Reject>) -> Result<bool, Error>;
}

/// Collects records into batches.
pub(super) struct Batches<R> {
    records: R,
    batch: BatchBuilder,
    ended: bool,
    failed: Option<Error>,
}

impl<R: Records> Batches<R> {
    pub(super) fn new(records: R, columns: &[Column]) -> Self {
        Self { records, batch: BatchBuilder::new(columns), ended: false, failed: None }
    }

    /// Where the records come from.
    pub(super) fn records_mut(&mut self) -> &mut R {
        &mut self.records
    }
}

impl<R: Records> Reader for Batches<R> {
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        while !self.ended && !self.batch.is_full() {
            match self.records.read(&mut self.batch, rejects) {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.ended = true;
                    self.failed = Some(error);
                }
            }
        }
        // What was read before an error is good, and is delivered before it.
        if !self.batch.is_empty() {
            return Ok(Some(self.batch.finish()));
        }
        self.failed.take().map_or(Ok(None), Err)
    }
}
