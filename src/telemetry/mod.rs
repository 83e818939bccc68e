//! What the outside sees of a running job: the counters behind the progress bar and the report, and the log.

mod line;
pub mod memory;
pub mod metric;
pub mod panics;
mod profile;
pub mod progress;
pub mod setup;

pub use line::Form;
pub use metric::Registry;
pub use profile::{Activity, Laps, Part};
pub use progress::{Progress, Stage};
