//! The real binary against the sandbox, as a user runs it.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]
#![expect(clippy::float_cmp, reason = "counts and sums of the inputs are exact as floats")]
#![expect(clippy::format_collect, reason = "inputs are made once per test")]

mod cluster;
mod commands;
mod commit;
mod failures;
mod faults;
mod formats;
mod hostile;
mod idempotence;
mod interrupts;
mod journal;
mod journal_damage;
mod lies;
mod manual;
mod operations;
mod outside;
mod overload;
mod peers;
mod plan;
mod profile;
mod real_data;
mod rejects;
mod relay;
mod run;
mod server_rejects;
mod spool;
mod stalls;
mod support;
mod surprises;
mod transactions;
mod values;
