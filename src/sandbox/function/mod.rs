//! StarRocks' functions, as functions of SQLite named `sr_…`.
//!
//! The binder in `sql` chooses them by type and writes their names; nobody else calls them by name. A NULL argument makes
//! the result NULL in all of them but those registered as seeing NULLs.

pub(super) mod calendar;
pub(super) use aggregate::quotient_scale;
pub(super) use convert::{double_text, float_text};
pub(super) use hash::{random_bytes, uuid_text};
pub(super) use json::spaced;
pub(super) use text::like;
mod aggregate;
mod convert;
pub(super) mod decimal;
mod hash;
mod json;
mod number;
mod text;
mod time;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

/// What a function makes of its arguments, or why it refuses them.
type Outcome = Result<Value, String>;

/// A function: its name, its number of arguments (-1 for any), and what it does.
type Scalar = (&'static str, i32, fn(&[ValueRef<'_>]) -> Outcome);

/// Adds the functions and collations to a connection.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_collation("sr_numeric", decimal::compare)?;
    for table in
        [convert::FUNCTIONS, number::FUNCTIONS, text::FUNCTIONS, time::FUNCTIONS, json::FUNCTIONS, hash::FUNCTIONS]
    {
        table.iter().try_for_each(|function| register_scalar(connection, function, true))?;
    }
    for table in [text::SEEING_NULLS, json::SEEING_NULLS, convert::SEEING_NULLS] {
        table.iter().try_for_each(|function| register_scalar(connection, function, false))?;
    }
    connection.create_scalar_function("sr_uuid", 0, FunctionFlags::SQLITE_UTF8, |_| Ok(hash::uuid()))?;
    connection.create_scalar_function(
        "sr_uuid_numeric",
        0,
        FunctionFlags::SQLITE_UTF8,
        |_| Ok(hash::uuid_numeric()),
    )?;
    aggregate::register(connection)
}

fn register_scalar(connection: &Connection, function: &Scalar, strict: bool) -> rusqlite::Result<()> {
    let (name, arguments, body) = *function;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(name, arguments, flags, move |context: &Context<'_>| {
        let arguments: Vec<ValueRef<'_>> = (0..context.len()).map(|at| context.get_raw(at)).collect();
        if strict && arguments.contains(&ValueRef::Null) {
            return Ok(Value::Null);
        }
        body(&arguments).map_err(|refusal| rusqlite::Error::UserFunctionError(refusal.into()))
    })
}

/// A text argument. Numbers are texts held as numbers; bytes are taken for UTF-8.
fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => convert::double_text(number),
        ValueRef::Null => String::new(),
    }
}

/// The bytes of a text or binary argument.
fn bytes_of(value: ValueRef<'_>) -> std::borrow::Cow<'_, [u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.into(),
        other => text_of(other).into_bytes().into(),
    }
}

/// An integer argument; the binder has cast it.
fn integer_of(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Integer(number) => number,
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as the casts of StarRocks' own arguments do")]
        ValueRef::Real(number) => number as i64,
        other => text_of(other).parse().unwrap_or_default(),
    }
}

/// A floating-point argument.
fn double_of(value: ValueRef<'_>) -> f64 {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "that is what a cast to DOUBLE does")]
        ValueRef::Integer(number) => number as f64,
        ValueRef::Real(number) => number,
        other => text_of(other).parse().unwrap_or_default(),
    }
}

/// Bytes as pairs of hexadecimal digits, in upper case.
pub(super) fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase()));
        }
        text
    })
}
