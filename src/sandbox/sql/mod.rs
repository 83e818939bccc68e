//! StarRocks' SQL over SQLite: statements in, answers out.
//!
//! ```text
//!  text ─▶ token ─▶ session ─┬▶ create, catalog, show        what changes or shows the catalogue
//!                            └▶ sqlparser ─▶ query, insert, dml ─▶ SQLite's SQL and StarRocks' types
//!                                             │ expression, call, aggregate
//!                                             └ scope, coerce, arithmetic
//! ```
//!
//! Every expression is bound with its StarRocks type before a word of SQLite is written, because SQLite's own typing
//! would answer, but wrongly: `1/2` is 0 there, and a DECIMAL held as text is compared as text. What the binder does not
//! know is refused by name; nothing is passed through in the hope that it means the same. Exact arithmetic is done by the
//! functions of `function`.
//!
//! Times are UTC unless a session sets `time_zone`. Every statement is a transaction of its own.

mod account;
mod admin;
mod aggregate;
mod alter;
mod arithmetic;
mod call;
mod catalog;
mod coerce;
mod create;
mod define;
mod depth;
mod dml;
mod error;
mod expression;
mod function_table;
mod information_config;
mod information_empty;
mod information_loads;
mod information_schema;
mod insert;
mod keys;
mod listing;
pub(super) mod password;
mod query;
mod rewrite;
mod scope;
mod session;
mod show;
mod show_cluster;
mod statement;
pub(super) mod token;
pub(super) mod variables;

pub(super) use create::{comment_and_properties, partition_clause};
pub(super) use error::Error;
pub(super) use scope::BoundQuery;
pub(super) use session::{Answer, Session, Table, translate};
pub(super) use statement::{is_single, leading_keyword, placeholders, with_parameters};

#[cfg(test)]
mod tests;
