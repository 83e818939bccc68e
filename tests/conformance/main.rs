//! The protocol document as tests: outside clients against the sandbox, or against a StarRocks.
//!
//! Every expected value is taken from the document, none from what the sandbox does. `README.md` says how to run it
//! and which module holds which section.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]

mod csv;
mod support;
