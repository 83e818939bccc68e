//! The log: set up once, by the program, never by the library.
//!
//! Warnings alone are for the person who runs the program: a line of plain words each. Whoever asks for more gets the
//! usual log, with times and levels.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::line::{Form, Lines};
use super::trace::Traces;

/// What is logged unless the user says otherwise.
pub const DEFAULT: &str = "warn";

/// Hands log lines, without their line end, to `write`, filtered as `directives` says (`info`, `shipload=debug` …).
///
/// # Errors
/// When the directives cannot be read.
pub fn log(directives: &str, write: fn(&str)) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(directives).map_err(|error| error.to_string())?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || Line { bytes: Vec::new(), write });
    let set = if directives == DEFAULT {
        subscriber.event_format(Plain).try_init()
    } else {
        subscriber.with_ansi(false).with_target(false).try_init()
    };
    set.map_err(|error| error.to_string())
}

/// Whether directives can be read.
///
/// # Errors
/// When they cannot; it says why.
pub fn check(directives: &str) -> Result<(), String> {
    EnvFilter::builder().parse(directives).map(drop).map_err(|error| error.to_string())
}

/// What is logged by a service, which may be changed while it runs.
#[derive(Clone)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// Logs what other directives say from now on; returns what was logged before, and what is now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn change(&self, directives: &str) -> Result<(String, String), String> {
        let filter = EnvFilter::builder().parse(directives).map_err(|error| error.to_string())?;
        let new = filter.to_string();
        let old = self.0.with_current(ToString::to_string).map_err(|error| error.to_string())?;
        self.0.reload(filter).map_err(|error| error.to_string())?;
        Ok((old, new))
    }
}

/// The log of a service: each line with its time and the names of what it is about. Traces, where there are any, go where
/// they go whatever is logged.
///
/// # Errors
/// When the directives cannot be read, or there is a log already.
pub fn service(directives: &str, form: Form, write: fn(&str), traces: Option<&Traces>) -> Result<Level, String> {
    let filter = EnvFilter::builder().parse(directives).map_err(|error| error.to_string())?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(Lines { form, write }.with_filter(filter));
    let registry = registry.with(traces.map(Traces::layer));
    registry.try_init().map_err(|error| error.to_string())?;
    Ok(Level(handle))
}

/// One line of the log, handed on when it is whole.
struct Line {
    bytes: Vec<u8>,
    write: fn(&str),
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        if !text.is_empty() {
            (self.write)(text.trim_end_matches('\n'));
        }
    }
}

/// `warning: what happened (label x, attempt 2)`.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut words = Words::default();
        event.record(&mut words);
        writeln!(writer, "{}", words.line())
    }
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    fn line(&self) -> String {
        let fields = if self.fields.is_empty() { String::new() } else { format!(" ({})", self.fields) };
        format!("warning: {}{fields}", self.message)
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            let comma = if self.fields.is_empty() { "" } else { ", " };
            write!(self.fields, "{comma}{} {value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    static SEEN: Mutex<String> = Mutex::new(String::new());

    #[test]
    fn a_warning_is_one_line_of_words() {
        let subscriber = tracing_subscriber::fmt()
            .event_format(Plain)
            .with_writer(|| Line { bytes: Vec::new(), write: |line| SEEN.lock().unwrap().push_str(line) })
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(label = %"job-1", attempt = 2, "no answer from {}", "be1:8040");
        });
        assert_eq!(*SEEN.lock().unwrap(), "warning: no answer from be1:8040 (label job-1, attempt 2)");
    }
}
