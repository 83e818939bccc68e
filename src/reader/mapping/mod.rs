//! Which field of an input becomes which column of the table.
//!
//! ```text
//!  SourceFields ─┐                    ┌─▶ projected   what the reader delivers, in the order it is sent
//!  Table        ─┼─▶ map ─▶ Mapping ──┼─▶ derived     what the server computes from that
//!  --columns    ─┘                    └─▶ notices     what a person should know, and need not act on
//! ```
//!
//! Names match exactly, or else without regard to case where that leaves one candidate. Without `--columns` every field must
//! have its column: a field that is dropped silently is data lost. With it the list is the user's word, and fields that it does
//! not name are ignored.
//!
//! Columns are sent in the table's order, and behind them *temporaries*: fields that no column takes and that expressions
//! use. What an expression uses travels as text, because that is how the server reads it (SR §2.3).

mod bind;
mod fault;
mod list;
mod listed;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;

use super::{Error, Projected};
use crate::model::Table;

/// What an input says about its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFields {
    /// Their names; none where there is no header.
    pub names: Option<Vec<String>>,
    /// How many there are.
    pub count: usize,
    /// What kind of input says so.
    pub kind: FieldKind,
}

/// How an input knows its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// By position; a header may name them (CSV, TSV).
    Delimited,
    /// By key, record by record: the sample may not have shown all of them (JSON).
    Keyed,
    /// By a schema (Parquet, Arrow).
    Schema,
}

/// Where the columns of a load come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The columns that the reader delivers, in the order in which they are sent.
    pub projected: Vec<Projected>,
    /// The items `name=expression` that the server computes, as the user wrote them, except that temporaries carry the
    /// names under which they are sent.
    pub derived: Vec<String>,
    /// What is unusual and allowed, in sentences without a full stop.
    pub notices: Vec<String>,
    /// The keys that a record of a keyed input may have; none where others are ignored.
    pub known: Option<HashSet<String>>,
}

/// Decides what becomes of each field of `input` and of each column of `table`. `columns` is the list that the user gave.
///
/// # Errors
/// When fields and columns do not go together, in [`Error::ColumnsMismatch`]; when a column has a type that only an
/// expression can fill, in [`Error::ColumnNeedsExpression`].
pub fn map(input: &Path, fields: &SourceFields, table: &Table, columns: Option<&str>) -> Result<Mapping, Error> {
    match columns {
        Some(text) => listed::listed(input, fields, table, text),
        None if fields.names.is_some() => bind::by_name(input, fields, table),
        None => bind::by_position(input, fields, table),
    }
}
