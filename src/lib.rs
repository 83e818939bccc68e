//! A bulk loader: files into StarRocks by Stream Load, every row exactly once.
//!
//! ```text
//!  source ──▶ reader ──▶ Batch ──▶ encoder ──▶ compressor ──▶ Chunk ──▶ dispatcher ──▶ target
//!   bytes     per format   typed      wire text                  label, attempt        HTTP
//!                  └─▶ Reject                    └── one memory budget ──┘
//! ```
//!
//! Modules import only what stands above them in this list:
//!
//! | what | modules |
//! |---|---|
//! | words, imported by everyone | [`model`], [`failure`], [`clock`], [`buffers`], [`near`], `simulated` |
//! | what the outside sees | [`telemetry`] |
//! | parts, strangers to each other | [`source`], [`reader`], [`encoder`], [`compressor`], [`target`], [`journal`], [`governor`], [`spool`], `sandbox` |
//! | engine, introducing parts to each other | [`planner`], [`pipeline`], [`dispatcher`] |
//! | the door for users of the library | [`loader`] |
//! | faces | [`config`], [`daemon`], [`cli`] |
//!
//! # Loading a file from a program
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use shipload::loader::{JobSpec, Loader};
//! use shipload::model::Secret;
//! use shipload::target::{Options, StarRocks};
//!
//! # async fn load() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "starrocks://loader@fe1:8030/shop/orders".parse()?;
//! let options = Options { password: Secret::new("secret".to_owned()), ..Options::new(url) };
//! let loader = Loader::new(Arc::new(StarRocks::new(options)?));
//! let spec = JobSpec::new(vec!["orders.parquet".to_owned()], "/var/lib/shipload".into());
//! let (_cancel, cancelled) = tokio::sync::watch::channel(false);
//! let ended = loader.run(&spec, cancelled).await;
//! println!("{} rows", ended.report.rows_loaded);
//! # Ok(())
//! # }
//! ```
//!
//! # Words
//!
//! A **job** is one request to load **inputs** into a table. An input is read as **batches** (rows in memory) and sent as
//! **chunks** (encoded bytes). A **load** is one delivery that becomes visible as a whole, under one **label**, the
//! target's idempotency key; it may take several **attempts**. A **reject** is a row set aside, with place and reason. The
//! **target** is the database's table, an **endpoint** one HTTP address of it. The **journal** is our durable record, the
//! **budget** bounds what is in flight.

mod bits;
pub mod buffers;
pub mod clock;
pub mod failure;
pub mod model;
pub mod near;
mod simulated;

pub mod telemetry;

pub mod compressor;
pub mod encoder;
pub mod governor;
pub mod journal;
pub mod reader;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod source;
pub mod spool;
pub mod target;

pub mod dispatcher;
pub mod pipeline;
pub mod planner;

pub mod loader;

pub mod cli;
pub mod config;
pub mod daemon;
