//! One value of a load, as text or JSON, to what the table stores.
//!
//! A value that its type cannot hold is [`Unfit`]; what becomes of it (NULL or a filtered row) is the load's business,
//! because that hangs on the column and on `strict_mode`, not on the value.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::function::spaced;
use super::json;
use super::nested;
use super::number;
use super::temporal;
use super::types::SqlType;

/// A value as stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

impl Cell<'_> {
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(super) fn into_owned(self) -> Cell<'static> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(value) => Cell::Integer(value),
            Self::Real(value) => Cell::Real(value),
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Blob(bytes) => Cell::Blob(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The type cannot hold the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

/// Whether CSV has a converter for the type; where it has none, the load as a whole fails.
pub(super) fn csv_can_carry(ty: &SqlType) -> bool {
    match ty {
        SqlType::Struct(_) | SqlType::Other(_) => false,
        SqlType::Array(element) => csv_can_carry(element),
        SqlType::Map(key, value) => csv_can_carry(key) && csv_can_carry(value),
        _ => true,
    }
}

/// Reads a CSV field.
pub(super) fn from_text<'a>(ty: &SqlType, text: &'a str) -> Result<Cell<'a>, Unfit> {
    match ty {
        SqlType::Varbinary(limit) => binary_from_text(text, *limit),
        SqlType::Array(_) | SqlType::Map(..) => nested::from_csv(ty, text).map(|json| Cell::Text(Cow::Owned(json))),
        _ => scalar(ty, text),
    }
}

/// Reads a text as a type that has a plain textual form. This is the cast that CSV fields, JSON strings and the
/// results of expressions share.
pub(super) fn scalar<'a>(ty: &SqlType, text: &'a str) -> Result<Cell<'a>, Unfit> {
    match ty {
        SqlType::Boolean => boolean(text).map(Cell::Integer),
        SqlType::TinyInt => small(text, i8::MIN.into(), i8::MAX.into()),
        SqlType::SmallInt => small(text, i16::MIN.into(), i16::MAX.into()),
        SqlType::Int => small(text, i32::MIN.into(), i32::MAX.into()),
        SqlType::BigInt => small(text, i64::MIN, i64::MAX),
        SqlType::LargeInt => number::large(text).map(Cell::Text).ok_or(Unfit),
        SqlType::Float => number::float(text).map(|value| Cell::Real(f64::from(value))).ok_or(Unfit),
        SqlType::Double => number::double(text).map(Cell::Real).ok_or(Unfit),
        SqlType::Decimal { precision, scale } => number::decimal(text, *precision, *scale).map(Cell::Text).ok_or(Unfit),
        SqlType::Date => temporal::date(text).map(Cell::Text).ok_or(Unfit),
        SqlType::DateTime => temporal::datetime(text).map(Cell::Text).ok_or(Unfit),
        SqlType::Char(limit) | SqlType::Varchar(limit) => within(*limit, text.len()).map(|()| Cell::Text(text.into())),
        SqlType::Varbinary(limit) => within(*limit, text.len()).map(|()| Cell::Blob(text.as_bytes().into())),
        SqlType::Json => document(text),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
            nested::from_json(ty, text).map(|json| Cell::Text(Cow::Owned(json)))
        }
        SqlType::Other(_) => Err(Unfit),
    }
}

/// Reads a JSON value, given as its source text without blanks around it.
pub(super) fn from_json<'a>(ty: &SqlType, source: &'a str) -> Result<Cell<'a>, Unfit> {
    let first = source.as_bytes().first().copied().unwrap_or_default();
    if first == b'n' {
        return Ok(Cell::Null);
    }
    match ty {
        SqlType::Json => return document(source),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) if matches!(first, b'{' | b'[') => {
            return nested::from_json(ty, source).map(|json| Cell::Text(Cow::Owned(json)));
        }
        _ => {}
    }
    match first {
        b'"' => from_owned_text(ty, json::string(source).ok_or(Unfit)?),
        b't' => scalar(ty, "1"),
        b'f' => scalar(ty, "0"),
        b'{' | b'[' if matches!(ty, SqlType::Char(_) | SqlType::Varchar(_)) => {
            from_owned_text(ty, json::canonical(source).ok_or(Unfit)?)
        }
        b'{' | b'[' => Err(Unfit),
        _ => scalar(ty, source).or_else(|Unfit| exponent(ty, source)),
    }
}

/// A cast of a text that may be owned; what is stored must then not borrow from it.
fn from_owned_text<'a>(ty: &SqlType, text: Cow<'a, str>) -> Result<Cell<'a>, Unfit> {
    match text {
        Cow::Borrowed(text) => scalar(ty, text),
        Cow::Owned(text) => scalar(ty, &text).map(Cell::into_owned),
    }
}

/// A JSON document, spaced as the server prints it.
fn document(text: &str) -> Result<Cell<'static>, Unfit> {
    let document = serde_json::from_str(text).map_err(|_| Unfit)?;
    Ok(Cell::Text(Cow::Owned(spaced(&document))))
}

/// An integer written with an exponent, which JSON allows: `1e3`.
fn exponent(ty: &SqlType, source: &str) -> Result<Cell<'static>, Unfit> {
    if !source.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return Err(Unfit);
    }
    // The largest scale leaves the fraction to be cut off afterwards, as for any other fraction.
    let plain = number::decimal(source, 76, 18).ok_or(Unfit)?;
    scalar(ty, &plain).map(Cell::into_owned)
}

fn boolean(text: &str) -> Result<i64, Unfit> {
    let text = text.trim_ascii();
    if text.eq_ignore_ascii_case("true") {
        return Ok(1);
    }
    if text.eq_ignore_ascii_case("false") {
        return Ok(0);
    }
    number::double(text).map(|value| i64::from(value != 0.0)).ok_or(Unfit)
}

fn small(text: &str, min: i64, max: i64) -> Result<Cell<'static>, Unfit> {
    match number::integer(text) {
        Some(value) if value >= i128::from(min) && value <= i128::from(max) => {
            i64::try_from(value).map(Cell::Integer).map_err(|_| Unfit)
        }
        _ => Err(Unfit),
    }
}

/// Base64; what is not base64 is stored as the bytes it is.
fn binary_from_text(text: &str, limit: u32) -> Result<Cell<'_>, Unfit> {
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Ok(Cell::Blob(Cow::Borrowed(&[])));
    }
    let bytes = STANDARD.decode(text).map_or(Cow::Borrowed(text.as_bytes()), Cow::Owned);
    within(limit, bytes.len())?;
    Ok(Cell::Blob(bytes))
}

/// Declared lengths count bytes.
fn within(limit: u32, length: usize) -> Result<(), Unfit> {
    if length <= limit as usize { Ok(()) } else { Err(Unfit) }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
