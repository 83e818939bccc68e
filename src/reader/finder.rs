//! Finds records again by the places where they stood: rows that the target refused, long after they were read.
//!
//! The input is read once more, by the same rules for where a record begins and ends, and up to the last of the wanted
//! records. Values are not looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::columnar::{Blocks, damaged, guarded, plain_batch, row_as_json};
use super::{Error, Reader};
use crate::model::{Batch, Origin, Reject, Rule};

/// The records that are still to be found, by the byte at which each starts.
pub(super) type Wanted = BTreeSet<u64>;

/// A record that was found. Why it is rejected is the caller's to say.
pub(super) fn found(origin: Origin, raw: Vec<u8>) -> Reject {
    Reject { origin, column: None, value: None, rule: Rule { code: "refused-by-target", text: String::new() }, raw }
}

/// Finds rows of typed inputs.
pub(super) struct RowFinder<B> {
    path: PathBuf,
    blocks: B,
    wanted: Wanted,
    rows_before: u64,
}

impl<B: Blocks> RowFinder<B> {
    pub(super) fn new(path: &Path, blocks: B, wanted: Wanted) -> Self {
        Self { path: path.to_owned(), blocks, wanted, rows_before: 0 }
    }

    fn read(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        while !self.wanted.is_empty() {
            let Some(rows) = self.blocks.next()? else { break };
            let behind = self.rows_before + rows.num_rows() as u64;
            let later = self.wanted.split_off(&behind);
            let here = std::mem::replace(&mut self.wanted, later);
            if !here.is_empty() {
                let whole = self.blocks.whole()?;
                for row in here {
                    let at = usize::try_from(row - self.rows_before).expect("a block is in memory");
                    let plain = plain_batch(&whole.slice(at, 1)).map_err(|error| damaged(&self.path, error))?;
                    let origin = Origin { line: row + 1, byte: row };
                    rejects.push(found(origin, row_as_json(&plain, 0).into_bytes()));
                }
                self.rows_before = behind;
                let rows = RecordBatch::new_empty(Schema::empty().into());
                return Ok(Some(Batch { rows, origins: Vec::new() }));
            }
            self.rows_before = behind;
        }
        Ok(None)
    }
}

impl<B: Blocks> Reader for RowFinder<B> {
    fn next(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<Batch>, Error> {
        let path = self.path.clone();
        guarded(&path, || self.read(rejects))
    }
}
