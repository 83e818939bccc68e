//! What the outside sees of a running job: the counters behind the progress bar and the report, and the log.

pub mod memory;
pub mod panics;
mod profile;
pub mod progress;
pub mod setup;

pub use profile::{Activity, Laps, Part};
pub use progress::{Progress, Stage};
