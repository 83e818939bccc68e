//! The service, as operators and callers have it: the real binary, over real sockets, against the sandbox.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]
#![expect(clippy::float_cmp, reason = "metrics count, and counts are exact as floats")]

mod again;
mod dashboard;
#[path = "../chaos/dice.rs"]
#[expect(dead_code, reason = "the tests that kill everybody need more of it")]
mod dice;
mod events;
mod life;
mod log;
mod metrics;
mod openapi;
#[cfg(feature = "profiling")]
mod profiles;
#[cfg(any(feature = "otlp", feature = "profiling"))]
mod protobuf;
mod refused;
mod schema;
mod service;
mod sharing;
mod soak;
#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "the command line's tests need more of it")]
mod support;
mod systemd;
mod tls;
#[cfg(feature = "otlp")]
mod traces;
mod turned_away;
mod watched;
