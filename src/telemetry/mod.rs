//! What the outside sees of a running job: the counters behind the progress bar and the report, the log, and traces.

mod line;
pub mod memory;
pub mod metric;
pub mod panics;
mod profile;
pub mod progress;
pub mod setup;
#[cfg_attr(not(feature = "otlp"), path = "no_trace.rs")]
mod trace;

pub use line::Form;
pub use metric::Registry;
pub use profile::{Activity, Laps, Part};
pub use progress::{Progress, Stage};
pub use trace::Traces;

use crate::failure::Code;

/// Notes on a span how that has ended which it is about, for whoever traces: the span has the fields `outcome`, `code` and
/// `otel.status_code`.
pub fn ended(span: &tracing::Span, outcome: &str, failure: Option<Code>) {
    span.record("outcome", outcome);
    if let Some(code) = failure {
        span.record("code", code.as_str());
        span.record("otel.status_code", "ERROR");
    }
}
