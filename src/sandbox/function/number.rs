//! Arithmetic and mathematics.

#![expect(clippy::unnecessary_wraps, reason = "functions of one table have one signature")]

use rusqlite::types::{Value, ValueRef};

use super::convert::decimal_of;
use super::decimal::{Decimal, wrapped};
use super::{Outcome, Scalar, double_of, integer_of};

pub(super) const FUNCTIONS: &[Scalar] = &[
    ("sr_add", 2, |a| Ok(Value::Integer(integer_of(a[0]).wrapping_add(integer_of(a[1]))))),
    ("sr_subtract", 2, |a| Ok(Value::Integer(integer_of(a[0]).wrapping_sub(integer_of(a[1]))))),
    ("sr_multiply", 2, |a| Ok(Value::Integer(integer_of(a[0]).wrapping_mul(integer_of(a[1]))))),
    ("sr_int_divide", 2, |a| Ok(optional(integer_of(a[0]).checked_div(integer_of(a[1]))))),
    ("sr_remainder", 2, |a| Ok(optional(integer_of(a[0]).checked_rem(integer_of(a[1]))))),
    ("sr_double_remainder", 2, double_remainder),
    ("sr_integer_sum", 3, integer_sum),
    ("sr_exact_sum", 3, exact_sum),
    ("sr_decimal_add", 2, |a| decimal(a, Decimal::add)),
    ("sr_decimal_subtract", 2, |a| decimal(a, Decimal::subtract)),
    ("sr_decimal_multiply", 2, |a| decimal(a, Decimal::multiply)),
    ("sr_decimal_remainder", 2, |a| decimal(a, Decimal::remainder)),
    ("sr_decimal_divide", 3, decimal_divide),
    ("sr_decimal_int_divide", 2, decimal_int_divide),
    ("sr_decimal_negate", 1, |a| Ok(exact(decimal_of(a[0]).and_then(Decimal::negate)))),
    ("sr_decimal_abs", 1, |a| Ok(exact(decimal_of(a[0]).and_then(absolute)))),
    ("sr_decimal_round", 2, |a| decimal_to(a, Decimal::rescale)),
    ("sr_decimal_truncate", 2, |a| decimal_to(a, cut)),
    ("sr_decimal_floor", 1, |a| decimal_whole(a, true)),
    ("sr_decimal_ceil", 1, |a| decimal_whole(a, false)),
    ("sr_round", 2, round),
    ("sr_truncate", 2, truncate),
    ("sr_floor", 1, |a| Ok(whole(double_of(a[0]).floor()))),
    ("sr_ceil", 1, |a| Ok(whole(double_of(a[0]).ceil()))),
    ("sr_power", 2, |a| Ok(finite(double_of(a[0]).powf(double_of(a[1]))))),
    ("sr_sqrt", 1, |a| Ok(finite(double_of(a[0]).sqrt()))),
    ("sr_exp", 1, |a| Ok(finite(double_of(a[0]).exp()))),
    ("sr_ln", 1, |a| Ok(finite(double_of(a[0]).ln()))),
    ("sr_log2", 1, |a| Ok(finite(double_of(a[0]).log2()))),
    ("sr_log10", 1, |a| Ok(finite(double_of(a[0]).log10()))),
    ("sr_log", 2, |a| Ok(finite(double_of(a[1]).ln() / double_of(a[0]).ln()))),
    ("sr_sin", 1, |a| Ok(finite(double_of(a[0]).sin()))),
    ("sr_cos", 1, |a| Ok(finite(double_of(a[0]).cos()))),
    ("sr_tan", 1, |a| Ok(finite(double_of(a[0]).tan()))),
    ("sr_asin", 1, |a| Ok(finite(double_of(a[0]).asin()))),
    ("sr_acos", 1, |a| Ok(finite(double_of(a[0]).acos()))),
    ("sr_atan", 1, |a| Ok(finite(double_of(a[0]).atan()))),
    ("sr_atan2", 2, |a| Ok(finite(double_of(a[0]).atan2(double_of(a[1]))))),
    ("sr_radians", 1, |a| Ok(finite(double_of(a[0]).to_radians()))),
    ("sr_degrees", 1, |a| Ok(finite(double_of(a[0]).to_degrees()))),
];

fn optional(number: Option<i64>) -> Value {
    number.map_or(Value::Null, Value::Integer)
}

/// StarRocks has no infinities in these results: where there is no number there is NULL.
fn finite(number: f64) -> Value {
    if number.is_finite() { Value::Real(number) } else { Value::Null }
}

/// An exact number as text. Beyond 38 digits the result is NULL, as it is in StarRocks unless it is told to fail.
fn exact(number: Option<Decimal>) -> Value {
    number.map_or(Value::Null, |number| Value::Text(number.to_string()))
}

fn decimal(arguments: &[ValueRef<'_>], operation: impl Fn(Decimal, Decimal) -> Option<Decimal>) -> Outcome {
    let result = match (decimal_of(arguments[0]), decimal_of(arguments[1])) {
        (Some(left), Some(right)) => operation(left, right),
        _ => None,
    };
    // A LARGEINT may have 39 digits; its range is checked by the cast that the binder puts around.
    Ok(exact(result))
}

/// The bits of the third argument.
fn bits(arguments: &[ValueRef<'_>]) -> Result<u32, String> {
    u32::try_from(integer_of(arguments[2])).map_err(|_| "the width is negative".to_owned())
}

/// What a SUM column of a small integer type becomes.
fn integer_sum(arguments: &[ValueRef<'_>]) -> Outcome {
    let sum = i128::from(integer_of(arguments[0])) + i128::from(integer_of(arguments[1]));
    Ok(optional(wrapped(sum, bits(arguments)?).try_into().ok()))
}

/// What a SUM column of LARGEINT or DECIMAL becomes.
fn exact_sum(arguments: &[ValueRef<'_>]) -> Outcome {
    let bits = bits(arguments)?;
    decimal(arguments, |left, right| left.wrapping_sum(right, bits))
}

fn decimal_divide(arguments: &[ValueRef<'_>]) -> Outcome {
    let scale = u32::try_from(integer_of(arguments[2])).map_err(|_| "the scale is negative")?;
    let result = match (decimal_of(arguments[0]), decimal_of(arguments[1])) {
        (Some(left), Some(right)) => left.divide(right, scale),
        _ => None,
    };
    Ok(exact(result))
}

fn decimal_int_divide(arguments: &[ValueRef<'_>]) -> Outcome {
    decimal(arguments, |left, right| {
        let rest = left.remainder(right)?;
        left.subtract(rest)?.divide(right, 0)
    })
}

fn absolute(number: Decimal) -> Option<Decimal> {
    if number.is_negative() { number.negate() } else { Some(number) }
}

/// Rounds to a number of digits and keeps the scale that the type has. Negative digits round before the point.
fn decimal_to(arguments: &[ValueRef<'_>], operation: fn(Decimal, u32) -> Option<Decimal>) -> Outcome {
    let digits = integer_of(arguments[1]);
    let result = decimal_of(arguments[0]).and_then(|number| {
        if let Ok(digits) = u32::try_from(digits) {
            return operation(number, digits.min(number.scale()));
        }
        let unit = Decimal::parse(&format!("1e{}", digits.unsigned_abs()))?;
        let scale = number.scale().checked_add(u32::try_from(digits.unsigned_abs()).ok()?)?;
        operation(number.divide(unit, scale)?, 0)?.multiply(unit)
    });
    Ok(exact(result))
}

fn cut(number: Decimal, scale: u32) -> Option<Decimal> {
    let unit = Decimal::parse(&format!("1e{scale}"))?;
    let whole = number.multiply(unit)?.truncate()?;
    whole.divide(unit, scale)
}

fn decimal_whole(arguments: &[ValueRef<'_>], down: bool) -> Outcome {
    let result = decimal_of(arguments[0]).and_then(|number| {
        let whole = number.truncate()?;
        let rest = number.subtract(whole)?;
        let step = match (rest.is_zero(), rest.is_negative(), down) {
            (false, true, true) => -1,
            (false, false, false) => 1,
            _ => 0,
        };
        whole.add(Decimal::from(step))
    });
    Ok(result
        .and_then(Decimal::to_i128)
        .and_then(|number| i64::try_from(number).ok())
        .map_or(Value::Null, Value::Integer))
}

fn double_remainder(arguments: &[ValueRef<'_>]) -> Outcome {
    let (left, right) = (double_of(arguments[0]), double_of(arguments[1]));
    Ok(if right == 0.0 { Value::Null } else { finite(left % right) })
}

fn round(arguments: &[ValueRef<'_>]) -> Outcome {
    scaled(arguments, f64::round)
}

fn truncate(arguments: &[ValueRef<'_>]) -> Outcome {
    scaled(arguments, f64::trunc)
}

/// Applies a rounding so many digits behind the point. A number too large to be scaled has no such digits.
fn scaled(arguments: &[ValueRef<'_>], operation: fn(f64) -> f64) -> Outcome {
    let number = double_of(arguments[0]);
    let digits = i32::try_from(integer_of(arguments[1]).clamp(-308, 308)).unwrap_or_default();
    let factor = 10_f64.powi(digits);
    let scaled = operation(number * factor) / factor;
    Ok(finite(if scaled.is_finite() { scaled } else { number }))
}

fn whole(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "saturates at the limits of BIGINT")]
    Value::Integer(number as i64)
}
