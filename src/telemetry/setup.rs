//! The log: set up once, by the program, never by the library.

use std::io;

use tracing_subscriber::EnvFilter;

/// Writes log lines to stderr, filtered as `directives` says (`info`, `shipload=debug` …).
///
/// # Errors
/// When the directives cannot be read.
pub fn log(directives: &str) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(directives).map_err(|error| error.to_string())?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    subscriber.try_init().map_err(|error| error.to_string())
}
