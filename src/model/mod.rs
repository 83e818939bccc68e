//! The words everything else is said in: plain values, valid from the moment they exist, with no I/O of their own.
//!
//! A *job* reads *inputs* as *batches* (rows, Arrow), which become *chunks* (bytes), each delivered as one *load* under
//! one *label*. A row that cannot be loaded is a *reject*. The promises that hold across these words are in
//! [`invariant`].

pub mod batch;
pub mod chunk;
pub mod id;
pub mod invariant;
pub mod origins;
pub mod plan;
pub mod reject;
pub mod report;
pub mod secret;
pub mod table;
pub mod unit;

pub use batch::{Batch, Origin};
pub use chunk::{Chunk, Codec, WireFormat};
pub use id::{JobId, Label};
pub use origins::Origins;
pub use reject::{Reject, Rule};
pub use report::{InputReport, JobState, LoadReport, LoadState, Relay, Report};
pub use secret::Secret;
pub use table::{Column, ColumnType, StructField, Table};
pub use unit::ByteCount;
