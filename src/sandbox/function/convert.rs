//! `CAST`, by target. What cannot be converted becomes NULL.

#![expect(clippy::unnecessary_wraps, reason = "functions of one table have one signature")]

use rusqlite::types::{Value, ValueRef};

use super::calendar::Moment;
use super::decimal::Decimal;
use super::{Outcome, Scalar, integer_of, text_of};

pub(super) const FUNCTIONS: &[Scalar] = &[
    ("sr_to_boolean", 1, to_boolean),
    ("sr_to_integer", 3, to_integer),
    ("sr_to_largeint", 1, to_largeint),
    ("sr_to_decimal", 3, to_decimal),
    ("sr_to_double", 1, to_double),
    ("sr_to_float", 1, to_float),
    ("sr_double_text", 1, |a| Ok(Value::Text(text_of(a[0])))),
    ("sr_float_text", 1, float_as_text),
    ("sr_to_date", 1, |a| Ok(moment_of(a[0]).map_or(Value::Null, |moment| Value::Text(moment.date_text())))),
    ("sr_to_datetime", 1, |a| Ok(moment_of(a[0]).map_or(Value::Null, |moment| Value::Text(moment.to_string())))),
    ("sr_date_number", 1, date_number),
];

pub(super) const SEEING_NULLS: &[Scalar] = &[("sr_checked", 5, checked)];

/// What INSERT stores: given value, converted value, column, whether it takes NULL, and the most bytes. A value that was
/// lost in conversion, a NULL too many or a text too long fails the statement.
fn checked(arguments: &[ValueRef<'_>]) -> Outcome {
    let (given, stored, column) = (arguments[0], arguments[1], text_of(arguments[2]));
    let nullable = integer_of(arguments[3]) != 0;
    if stored == ValueRef::Null && given != ValueRef::Null {
        let given = text_of(given);
        return Err(format!("Insert has filtered data: value '{given}' does not fit column '{column}'"));
    }
    if stored == ValueRef::Null && !nullable {
        return Err(format!("Insert has filtered data: NULL value in non-nullable column '{column}'"));
    }
    if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = stored
        && i64::try_from(bytes.len()).unwrap_or(i64::MAX) > integer_of(arguments[4])
    {
        return Err(format!(
            "Insert has filtered data: value is longer than column '{column}' takes: {} bytes",
            bytes.len()
        ));
    }
    Value::try_from(stored).map_err(|fault| fault.to_string())
}

/// A date or time argument: a text, or a number whose digits are one.
pub(super) fn moment_of(value: ValueRef<'_>) -> Option<Moment> {
    Moment::parse(&text_of(value))
}

/// A number of any kind.
pub(super) fn decimal_of(value: ValueRef<'_>) -> Option<Decimal> {
    match value {
        ValueRef::Integer(number) => Some(Decimal::from(i128::from(number))),
        other => Decimal::parse(text_of(other).trim()),
    }
}

fn to_boolean(arguments: &[ValueRef<'_>]) -> Outcome {
    let truth = match arguments[0] {
        ValueRef::Integer(number) => Some(number != 0),
        ValueRef::Real(number) => Some(number != 0.0),
        other => {
            let text = text_of(other);
            let text = text.trim();
            if text.eq_ignore_ascii_case("true") {
                Some(true)
            } else if text.eq_ignore_ascii_case("false") {
                Some(false)
            } else {
                Decimal::parse(text).map(|number| !number.is_zero())
            }
        }
    };
    Ok(truth.map_or(Value::Null, |truth| Value::Integer(i64::from(truth))))
}

/// An integer between two limits. Fractions are cut off.
fn to_integer(arguments: &[ValueRef<'_>]) -> Outcome {
    let (low, high) = (integer_of(arguments[1]), integer_of(arguments[2]));
    let number = match arguments[0] {
        ValueRef::Integer(number) => Some(i128::from(number)),
        ValueRef::Real(number) => double_as_integer(number),
        other => whole(&text_of(other)),
    };
    let number = number.and_then(|number| i64::try_from(number).ok());
    Ok(number.filter(|number| (low..=high).contains(number)).map_or(Value::Null, Value::Integer))
}

fn to_largeint(arguments: &[ValueRef<'_>]) -> Outcome {
    let number = match arguments[0] {
        ValueRef::Integer(number) => Some(i128::from(number)),
        ValueRef::Real(number) => double_as_integer(number),
        other => whole(&text_of(other)),
    };
    Ok(number.map_or(Value::Null, |number| Value::Text(number.to_string())))
}

fn double_as_integer(number: f64) -> Option<i128> {
    // 2^127 is a double of its own, so the comparison is exact where the cast begins to saturate.
    let limit = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked, and the fraction is to be cut off")]
    (number.is_finite() && number >= -limit && number < limit).then_some(number as i128)
}

/// Digits with a sign and perhaps a fraction, which is cut off.
fn whole(text: &str) -> Option<i128> {
    let text = text.trim();
    if text.contains(['e', 'E']) {
        return None;
    }
    Decimal::parse(text)?.to_i128()
}

fn to_decimal(arguments: &[ValueRef<'_>]) -> Outcome {
    let precision = u32::try_from(integer_of(arguments[1])).map_err(|_| "the precision is negative")?;
    let scale = u32::try_from(integer_of(arguments[2])).map_err(|_| "the scale is negative")?;
    let decimal = decimal_of(arguments[0]).and_then(|decimal| decimal.rescale(scale));
    Ok(decimal
        .filter(|decimal| decimal.fits(precision))
        .map_or(Value::Null, |decimal| Value::Text(decimal.to_string())))
}

fn to_double(arguments: &[ValueRef<'_>]) -> Outcome {
    let number = match arguments[0] {
        #[expect(clippy::cast_precision_loss, reason = "that is what a cast to DOUBLE does")]
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        other => text_of(other).trim().parse().ok(),
    };
    Ok(number.map_or(Value::Null, Value::Real))
}

fn to_float(arguments: &[ValueRef<'_>]) -> Outcome {
    Ok(match to_double(arguments)? {
        #[expect(clippy::cast_possible_truncation, reason = "that is what a cast to FLOAT does")]
        Value::Real(number) => Value::Real(f64::from(number as f32)),
        other => other,
    })
}

fn float_as_text(arguments: &[ValueRef<'_>]) -> Outcome {
    #[expect(clippy::cast_possible_truncation, reason = "a FLOAT is held as the double of the same value")]
    Ok(Value::Text(float_text(super::double_of(arguments[0]) as f32)))
}

/// A date as the number of its digits: 20240131 or 20240131235959.
fn date_number(arguments: &[ValueRef<'_>]) -> Outcome {
    let text = text_of(arguments[0]);
    let digits: String = text.split('.').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    Ok(digits.parse().map_or(Value::Null, Value::Integer))
}

/// A DOUBLE as StarRocks prints it: the shortest digits that mean it, with an exponent below 1e-4 and from 1e16.
pub(in crate::sandbox) fn double_text(number: f64) -> String {
    shortest(&format!("{number:e}"), number.is_finite())
}

/// A FLOAT as StarRocks prints it.
pub(in crate::sandbox) fn float_text(number: f32) -> String {
    shortest(&format!("{number:e}"), number.is_finite())
}

fn shortest(scientific: &str, finite: bool) -> String {
    if !finite {
        return scientific.to_ascii_lowercase();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let place = exponent.unsigned_abs() as usize;
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(place - 1));
    }
    if digits.len() <= place + 1 {
        return format!("{sign}{digits:0<width$}", width = place + 1);
    }
    let (whole, fraction) = digits.split_at(place + 1);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_printed_shortest() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123_456.789, "123456.789"),
            (1e15, "1000000000000000"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(double_text(number), text);
        }
        assert_eq!(float_text(0.1), "0.1");
    }
}
