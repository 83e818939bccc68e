//! The records of the journal.

use crate::model::{JobId, LoadState, Report};

/// What a job is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The job.
    pub job: &'a JobId,
    /// Stands for everything the rows of its labels depend on.
    pub fingerprint: &'a str,
    /// The target.
    pub target: &'a str,
    /// The absolute paths of the inputs that must not be loaded if other work left a part of them in the table. A job
    /// that was given a name lists none: the name says that it is other work.
    pub inputs: &'a [String],
}

/// What the journal knows when a job wants to start.
#[derive(Debug)]
pub enum Begun {
    /// Nothing of this job has run, or `--again` was said.
    New {
        /// The number of the run that has now begun, from 0.
        run: u32,
    },
    /// A run of it did not finish; this one goes on with it.
    Resumed {
        /// The number of that run.
        run: u32,
    },
    /// It finished.
    Finished {
        /// When: RFC 3339, UTC.
        at: String,
        /// What it said then.
        report: Box<Report>,
    },
}

/// One load, as the journal has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadEntry {
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its body.
    pub bytes: u64,
    /// XXH64 of its text.
    pub digest: u64,
    /// How it stands.
    pub state: LoadState,
    /// The server's transaction, where it said so.
    pub transaction_id: Option<i64>,
    /// Rows that the table has because of it.
    pub rows_loaded: u64,
    /// Rows that the filter left out.
    pub rows_unselected: u64,
    /// The input its rows come from: an absolute path, or `-`.
    pub input: String,
}

/// The settled outcome of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// How it ended.
    pub state: LoadState,
    /// The server's transaction, where it said so.
    pub transaction_id: Option<i64>,
    /// Rows that the table has because of it.
    pub rows_loaded: u64,
    /// Rows that the filter left out.
    pub rows_unselected: u64,
}
