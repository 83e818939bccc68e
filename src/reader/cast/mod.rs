//! The rules by which a value of an input becomes a value of the table: exactly, or not at all.
//!
//! They are the server's own rules (SR §6.6) less everything it does silently: nothing is truncated, rounded, shifted
//! or replaced by NULL. What the column cannot hold as it stands breaks a [`Rule`](crate::model::Rule), and its row becomes a reject.
//!
//! | column | takes |
//! |---|---|
//! | BOOLEAN | `true`, `false` in any case; `1`, `0` |
//! | integers | digits with an optional sign, and `1.0`; no spaces, no exponent; within the type's range |
//! | DECIMAL | digits, point, exponent; surplus digits behind the point only if they are zeros |
//! | FLOAT, DOUBLE | any finite number, as the nearest that the type has: that is what binary types are |
//! | DATE | a day of the calendar; a time behind it only if it is midnight |
//! | DATETIME | a day, or a day and a time to the microsecond; no zone |
//! | CHAR, VARCHAR | text of at most so many *bytes*; numbers as their source writes them |
//! | JSON | any JSON document, kept digit by digit, without the spaces between its parts |
//! | VARBINARY | bytes of binary inputs; base64 from text |
//! | ARRAY, MAP, STRUCT | the JSON of that shape, or a nested value; each element by the rules above |
//!
//! A binary number that goes into a DECIMAL or a text is the shortest decimal that names it: the DOUBLE 0.1 is `0.1`,
//! and not the 55 digits of its exact value.

mod batch;
mod cell;
mod column;
mod json;
mod nested;
pub(crate) mod number;
pub(in crate::reader) mod rule;
mod scalar;
#[cfg(test)]
mod tests;
pub(crate) mod time;

pub use batch::BatchBuilder;
pub use cell::Cell;
pub use column::ColumnBuilder;
pub(in crate::reader) use json::write as write_json;
pub(crate) use json::{Node, compact, is_escaped_plainly, unescape};
pub(in crate::reader) use number::is_exact_double;

use crate::model::ColumnType;

/// Whether a column of this type takes this text.
pub(in crate::reader) fn takes(ty: &ColumnType, text: &str) -> bool {
    ColumnBuilder::of_type(ty, true).append(Cell::Text(text)).is_ok()
}
