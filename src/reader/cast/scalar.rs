//! One cell to one scalar of the table: a function per type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{ColumnType, Rule};

use super::cell::Cell;
use super::{json, number, rule, time};

pub(super) fn boolean(cell: &Cell<'_>) -> Result<bool, Rule> {
    match cell {
        Cell::Bool(value) => Ok(*value),
        Cell::Int(0) => Ok(false),
        Cell::Int(1) => Ok(true),
        Cell::Text("0") => Ok(false),
        Cell::Text("1") => Ok(true),
        Cell::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Cell::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(rule::not_a_boolean()),
    }
}

/// An integer, still to be checked against the column's range. A typed boolean counts as 1 or 0.
pub(super) fn integer(cell: &Cell<'_>) -> Result<i128, Rule> {
    match cell {
        Cell::Text(text) => match number::integer_short(text) {
            Some(value) => Ok(i128::from(value)),
            None => number::integer(text),
        },
        Cell::Int(value) => Ok(*value),
        Cell::Bool(value) => Ok(i128::from(*value)),
        Cell::Decimal { unscaled, scale } => whole(*unscaled, *scale),
        Cell::Float(value) => whole_float(*value),
        Cell::Float32(value) => whole_float(f64::from(*value)),
        _ => Err(rule::not_a_number("an integer")),
    }
}

fn whole(unscaled: i128, scale: i8) -> Result<i128, Rule> {
    let power = 10_i128.checked_pow(u32::from(scale.unsigned_abs()));
    if scale <= 0 {
        let value = power.and_then(|power| unscaled.checked_mul(power));
        return if unscaled == 0 { Ok(0) } else { value.ok_or_else(rule::beyond_largeint) };
    }
    match power {
        Some(power) if unscaled % power == 0 => Ok(unscaled / power),
        None if unscaled == 0 => Ok(0),
        _ => Err(rule::fractional()),
    }
}

fn whole_float(value: f64) -> Result<i128, Rule> {
    // 2^127 is the first whole number above the range, and a double can hold it exactly.
    const END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if !value.is_finite() {
        return Err(rule::not_a_number("an integer"));
    }
    if value.fract() != 0.0 {
        return Err(rule::fractional());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and lies in the range")]
    if (-END..END).contains(&value) { Ok(value as i128) } else { Err(rule::beyond_largeint()) }
}

pub(super) fn decimal(cell: &Cell<'_>, precision: u8, scale: u8) -> Result<i128, Rule> {
    match cell {
        Cell::Text(text) => number::decimal(text, precision, scale),
        Cell::Int(_) | Cell::Decimal { .. } | Cell::Float(_) | Cell::Float32(_) => {
            // By way of the text: the digits are then the ones that a person sees, also of a binary number.
            with_text(cell, |text| number::decimal(text, precision, scale))
        }
        _ => Err(rule::not_a_number("a decimal number")),
    }
}

pub(super) fn double(cell: &Cell<'_>) -> Result<f64, Rule> {
    match cell {
        Cell::Text(text) => number::double(text),
        Cell::Float(value) => finite(*value),
        Cell::Float32(value) => finite(f64::from(*value)),
        Cell::Int(_) | Cell::Decimal { .. } => with_text(cell, number::double),
        _ => Err(rule::not_a_number("a number")),
    }
}

fn finite(value: f64) -> Result<f64, Rule> {
    if value.is_finite() { Ok(value) } else { Err(rule::not_finite()) }
}

/// A DOUBLE becomes the nearest FLOAT, as long as there is one.
pub(super) fn float(cell: &Cell<'_>) -> Result<f32, Rule> {
    match cell {
        Cell::Text(text) => number::float(text),
        Cell::Float32(value) => finite(f64::from(*value)).map(|_| *value),
        #[expect(clippy::cast_possible_truncation, reason = "the nearest is what is wanted, and overflow is checked")]
        Cell::Float(value) => finite(*value).and_then(|value| number::finite_float(value as f32)),
        Cell::Int(_) | Cell::Decimal { .. } => with_text(cell, number::float),
        _ => Err(rule::not_a_number("a number")),
    }
}

pub(super) fn date(cell: &Cell<'_>) -> Result<i32, Rule> {
    match cell {
        Cell::Text(text) => time::date(text),
        Cell::Date(days) => time::check_days(*days),
        Cell::DateTime(micros) => {
            time::check_micros(*micros)?;
            if micros.rem_euclid(time::DAY_MICROS) != 0 {
                return Err(rule::time_in_date());
            }
            i32::try_from(micros.div_euclid(time::DAY_MICROS)).map_err(|_| rule::year_out_of_range())
        }
        _ => Err(rule::not_a_date()),
    }
}

pub(super) fn datetime(cell: &Cell<'_>) -> Result<i64, Rule> {
    match cell {
        Cell::Text(text) => time::datetime(text),
        Cell::DateTime(micros) => time::check_micros(*micros),
        Cell::Date(days) => time::check_days(*days).map(|days| i64::from(days) * time::DAY_MICROS),
        _ => Err(rule::not_a_datetime()),
    }
}

/// Hands the value's text to `append`, if it is not longer than the column takes.
pub(super) fn text(cell: &Cell<'_>, ty: &ColumnType, append: impl FnOnce(&str)) -> Result<(), Rule> {
    let fitting = |text: &str| check_length(text.len(), ty).map(|()| append(text));
    match cell {
        Cell::Text(text) => fitting(text),
        Cell::Bytes(bytes) => fitting(std::str::from_utf8(bytes).map_err(|_| rule::not_utf8())?),
        _ => with_text(cell, fitting),
    }
}

/// Hands the value's bytes to `append`. Text is base64: it is how bytes are written where only text can be (SR §6.6).
pub(super) fn binary(cell: &Cell<'_>, ty: &ColumnType, append: impl FnOnce(&[u8])) -> Result<(), Rule> {
    match cell {
        Cell::Bytes(bytes) => check_length(bytes.len(), ty).map(|()| append(bytes)),
        Cell::Text(text) => {
            let bytes = STANDARD.decode(text).map_err(|_| rule::not_base64())?;
            check_length(bytes.len(), ty).map(|()| append(&bytes))
        }
        _ => Err(rule::wrong_kind(ty, "bytes, or base64 text")),
    }
}

fn check_length(bytes: usize, ty: &ColumnType) -> Result<(), Rule> {
    match ty {
        ColumnType::Char(bytes_max) | ColumnType::Varchar(bytes_max) | ColumnType::Varbinary(bytes_max) => {
            let fits = u32::try_from(bytes).is_ok_and(|bytes| bytes <= *bytes_max);
            if fits { Ok(()) } else { Err(rule::too_long(ty, bytes, *bytes_max)) }
        }
        _ => Ok(()),
    }
}

/// Hands the value's JSON text to `append`.
pub(super) fn document(cell: &Cell<'_>, append: impl FnOnce(&str)) -> Result<(), Rule> {
    let mut out = String::new();
    match cell {
        Cell::Text(text) | Cell::Json(text) => json::compact(text, &mut out).map_err(|error| rule::not_json(&error))?,
        Cell::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| rule::not_utf8())?;
            json::compact(text, &mut out).map_err(|error| rule::not_json(&error))?;
        }
        _ => json::write(cell, &mut out),
    }
    append(&out);
    Ok(())
}

fn with_text<T>(cell: &Cell<'_>, parse: impl FnOnce(&str) -> Result<T, Rule>) -> Result<T, Rule> {
    let mut text = String::new();
    if cell.write(&mut text) { parse(&text) } else { Err(rule::not_utf8()) }
}
