//! The protocol document as tests: outside clients against the sandbox, or against a StarRocks.
//!
//! Every expected value is taken from the document, none from what the sandbox does. `README.md` says how to run it
//! and which module holds which section.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]
#![expect(clippy::format_collect, reason = "bodies are made once per test")]

mod compression;
mod crashes;
mod csv;
mod dialects;
mod endurance;
mod faults;
mod headers;
mod hostile;
mod idempotence;
mod json;
mod labels;
mod merge_commit;
mod multi_table;
mod operations;
mod primary_key;
mod redirects;
mod replies;
mod sql_api;
mod support;
mod transactions;
mod types;
