//! A bulk loader: files into StarRocks by Stream Load, every row exactly once.

pub mod clock;
pub mod failure;
pub mod model;
pub mod near;
pub mod telemetry;
pub mod compressor;
pub mod encoder;
pub mod governor;
pub mod journal;
pub mod reader;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod source;
pub mod target;
pub mod dispatcher;
pub mod pipeline;
pub mod planner;
pub mod loader;
