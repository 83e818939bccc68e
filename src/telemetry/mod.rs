//! What the outside sees of a running job: the counters behind the progress bar and the report, and the log.

pub mod memory;
pub mod panics;
pub mod progress;
pub mod setup;

pub use progress::{Progress, Stage};
