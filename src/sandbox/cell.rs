//! One value of a result, as text and as JSON.

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use super::function::{double_text, float_text};
use super::types::SqlType;

/// The value as MySQL's text protocol shows it, and nothing for NULL.
pub(super) fn text<'a>(value: ValueRef<'a>, ty: &SqlType) -> Option<Cow<'a, [u8]>> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number.to_string().into_bytes().into(),
        #[expect(clippy::cast_possible_truncation, reason = "a FLOAT is held as the double of the same value")]
        ValueRef::Real(number) if *ty == SqlType::Float => float_text(number as f32).into_bytes().into(),
        ValueRef::Real(number) => double_text(number).into_bytes().into(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.into(),
    })
}

/// The value as the HTTP SQL API gives it: small integers and floating-point numbers as numbers, BOOLEAN as a boolean,
/// nested values as JSON, and everything else as a string, DECIMAL and LARGEINT among it, which a reader of JSON would
/// otherwise round.
pub(super) fn json(value: ValueRef<'_>, ty: &SqlType) -> Json {
    let Some(bytes) = text(value, ty) else { return Json::Null };
    let text = String::from_utf8_lossy(&bytes);
    match ty {
        SqlType::Boolean => Json::Bool(text != "0"),
        _ if ty.is_small_integer() || ty.is_float() || ty.is_nested() || *ty == SqlType::Json => {
            serde_json::from_str(&text).unwrap_or_else(|_| Json::String(text.into_owned()))
        }
        _ => Json::String(text.into_owned()),
    }
}
