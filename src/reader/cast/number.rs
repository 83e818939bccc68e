//! Text to numbers, exactly or not at all, and without allocating.

use crate::model::Rule;

use super::rule;

/// Reads an integer: digits with an optional sign, and at most zeros behind a point (`1.0`).
///
/// Nothing else is taken for one. Exponents and spaces are more often a sign of a shifted column than of an integer.
pub(crate) fn integer(text: &str) -> Result<i128, Rule> {
    let (negative, digits) = sign(text.as_bytes());
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], Some(&digits[point + 1..])),
        None => (digits, None),
    };
    if whole.is_empty() || !whole.iter().all(u8::is_ascii_digit) {
        return Err(rule::not_a_number("an integer"));
    }
    if let Some(fraction) = fraction {
        if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
            return Err(rule::not_a_number("an integer"));
        }
        if fraction.iter().any(|digit| *digit != b'0') {
            return Err(rule::fractional());
        }
    }
    accumulate(whole, negative).ok_or_else(rule::beyond_largeint)
}

/// Reads what [`integer`] reads, quickly if it is short. Most integers are.
pub(super) fn integer_short(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text.as_bytes());
    // 18 nines are below 2^63, so the loop needs no overflow check.
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// Counts downwards for negative numbers, because the least `i128` has no positive counterpart.
fn accumulate(digits: &[u8], negative: bool) -> Option<i128> {
    digits.iter().try_fold(0_i128, |value, byte| {
        let digit = i128::from(byte - b'0');
        let value = value.checked_mul(10)?;
        if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
    })
}

/// A decimal number as its text writes it: digits, and where the point stands among them.
#[derive(Clone, Copy, Debug)]
struct Written<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// How many digits stand before the point once the exponent has moved it; negative for `1e-5`.
    point: i64,
}

impl<'a> Written<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = sign(text.as_bytes());
        let (digits, exponent) = match memchr::memchr2(b'e', b'E', rest) {
            Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = match memchr::memchr(b'.', digits) {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &[][..]),
        };
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if !all_digits || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let point = i64::try_from(whole.len()).ok()?.saturating_add(exponent);
        Some(Self { negative, whole, fraction, point })
    }

    fn digits(&self) -> impl Iterator<Item = (i64, u8)> + 'a {
        (0_i64..).zip(self.whole.iter().chain(self.fraction).map(|byte| byte - b'0'))
    }

    /// How many digits there are. A text has fewer than 2^63 bytes.
    #[expect(clippy::cast_possible_wrap, reason = "slices are shorter than isize::MAX")]
    fn len(&self) -> i64 {
        (self.whole.len() + self.fraction.len()) as i64
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Beyond a million every number is too large or zero; the exact exponent no longer matters.
    let value = digits.iter().fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1_000_000));
    Some(if negative { -value } else { value })
}

/// Reads a decimal number, with an exponent too, as the unscaled value of a DECIMAL(`precision`, `scale`).
///
/// More digits behind the point than the scale holds are taken only if they are zeros: nothing is rounded.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Rule> {
    let written = Written::parse(text).ok_or_else(|| rule::not_a_number("a decimal number"))?;
    let Some((first, _)) = written.digits().find(|(_, digit)| *digit != 0) else {
        return Ok(0);
    };
    if written.point - first > i64::from(precision - scale) {
        return Err(rule::decimal_out_of_range(precision, scale));
    }
    // The digits up to here are those that the scale holds.
    let end = written.point + i64::from(scale);
    let mut value = 0_i128;
    for (index, digit) in written.digits().skip_while(|(index, _)| *index < first) {
        if index < end {
            value = value * 10 + i128::from(digit);
        } else if digit != 0 {
            return Err(rule::too_precise(precision, scale));
        }
    }
    for _ in written.len()..end {
        value *= 10;
    }
    Ok(if written.negative { -value } else { value })
}

/// Reads a number with an optional point and exponent as the nearest binary one. Words such as `NaN` are no numbers.
pub(crate) fn double(text: &str) -> Result<f64, Rule> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(not_finite(text).unwrap_or_else(|| rule::beyond_float("DOUBLE", "1.7976931348623157e308"))),
        Err(_) => Err(rule::not_a_number("a number")),
    }
}

/// The same for FLOAT. The text is rounded once; by way of a DOUBLE it would be rounded twice.
pub(crate) fn float(text: &str) -> Result<f32, Rule> {
    match text.parse::<f32>() {
        Ok(value) => finite_float(value).map_err(|rule| not_finite(text).unwrap_or(rule)),
        Err(_) => Err(rule::not_a_number("a number")),
    }
}

pub(super) fn finite_float(value: f32) -> Result<f32, Rule> {
    if value.is_finite() { Ok(value) } else { Err(rule::beyond_float("FLOAT", "3.4028235e38")) }
}

/// The rule for words such as `NaN`, which the standard library reads as numbers that are not finite.
fn not_finite(text: &str) -> Option<Rule> {
    text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')).then(rule::not_finite)
}

/// Whether a DOUBLE gives back the same number as the text names.
pub(in crate::reader) fn is_exact_double(text: &str) -> bool {
    let Ok(value) = double(text) else { return false };
    let shortest = format!("{value:e}");
    match (Written::parse(text), Written::parse(&shortest)) {
        (Some(text), Some(shortest)) => significant(text) == significant(shortest),
        _ => false,
    }
}

/// A number's digits from the first to the last that is not zero, and the place of the point before them.
fn significant(written: Written<'_>) -> (Vec<u8>, i64) {
    let digits: Vec<u8> = written.digits().map(|(_, digit)| digit).collect();
    let first = digits.iter().position(|digit| *digit != 0);
    let last = digits.iter().rposition(|digit| *digit != 0);
    match (first, last) {
        (Some(first), Some(last)) => {
            #[expect(clippy::cast_possible_wrap, reason = "an index is below isize::MAX")]
            let point = written.point - first as i64;
            (digits[first..=last].to_vec(), point)
        }
        _ => (Vec::new(), 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, Rule>) -> &'static str {
        result.unwrap_err().code
    }

    #[test]
    fn integers_are_digits_and_at_most_zeros_behind_a_point() {
        let least = i128::MIN.to_string();
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            ("007", 7),
            ("-12.000", -12),
            ("170141183460469231731687303715884105727", i128::MAX),
            (least.as_str(), i128::MIN),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        for (text, expected) in [
            ("", "not-a-number"),
            ("-", "not-a-number"),
            (" 1", "not-a-number"),
            ("1 ", "not-a-number"),
            ("1,000", "not-a-number"),
            ("1e3", "not-a-number"),
            ("1.", "not-a-number"),
            (".0", "not-a-number"),
            ("0x10", "not-a-number"),
            ("--1", "not-a-number"),
            ("1.0.0", "not-a-number"),
            ("1.5", "fractional"),
            ("170141183460469231731687303715884105728", "out-of-range"),
        ] {
            assert_eq!(code(integer(text)), expected, "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, precision, scale, value) in [
            ("12.34", 4, 2, 1234),
            ("-12.3", 4, 2, -1230),
            ("12", 4, 2, 1200),
            ("+0012.3400", 4, 2, 1234),
            (".5", 4, 2, 50),
            ("5.", 4, 2, 500),
            ("0.000", 1, 0, 0),
            ("0e9", 1, 0, 0),
            ("1.2e1", 2, 0, 12),
            ("1200e-2", 2, 0, 12),
            ("1e-2", 2, 2, 1),
            ("0.00012e4", 4, 1, 12),
            ("99999999999999999999999999999999999999", 38, 0, 10_i128.pow(38) - 1),
            ("0.99999999999999999999999999999999999999", 38, 38, 10_i128.pow(38) - 1),
        ] {
            assert_eq!(decimal(text, precision, scale), Ok(value), "{text} as DECIMAL({precision},{scale})");
        }
        for (text, precision, scale, expected) in [
            ("123", 4, 2, "out-of-range"),
            ("1e38", 38, 0, "out-of-range"),
            ("1e999999999999", 38, 0, "out-of-range"),
            ("12.345", 4, 2, "too-precise"),
            ("1e-3", 4, 2, "too-precise"),
            ("1e-999999999999", 4, 2, "too-precise"),
            ("", 4, 2, "not-a-number"),
            (".", 4, 2, "not-a-number"),
            ("1e", 4, 2, "not-a-number"),
            ("e1", 4, 2, "not-a-number"),
            ("NaN", 4, 2, "not-a-number"),
            (" 1", 4, 2, "not-a-number"),
        ] {
            assert_eq!(code(decimal(text, precision, scale)), expected, "{text} as DECIMAL({precision},{scale})");
        }
    }

    #[test]
    fn binary_numbers_are_finite_and_the_nearest() {
        assert_eq!(double("0.1"), Ok(0.1));
        assert_eq!(double("-1e3"), Ok(-1000.0));
        assert_eq!(float("16777217"), Ok(16_777_216.0));
        for (text, expected) in [
            ("NaN", "not-finite"),
            ("-Infinity", "not-finite"),
            ("inf", "not-finite"),
            ("1e309", "out-of-range"),
            ("", "not-a-number"),
            ("1,5", "not-a-number"),
            ("1e", "not-a-number"),
        ] {
            assert_eq!(code(double(text)), expected, "{text}");
        }
        assert_eq!(code(float("3.5e38")), "out-of-range");
    }

    #[test]
    fn a_double_is_exact_when_it_gives_the_same_digits_back() {
        for text in ["0", "0.0", "12.80", "-89.23450472", "1e5", "9007199254740992", ".5", "100"] {
            assert!(is_exact_double(text), "{text}");
        }
        for text in ["9007199254740993", "0.1234567890123456789", "x", "1e999"] {
            assert!(!is_exact_double(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_is_read_back_and_the_quick_way_agrees(value: i128, short: i64) {
            prop_assert_eq!(integer(&value.to_string()), Ok(value));
            let text = short.to_string();
            if let Some(quick) = integer_short(&text) {
                prop_assert_eq!(quick, short);
            }
            prop_assert_eq!(integer(&text), Ok(i128::from(short)));
        }

        #[test]
        fn every_decimal_is_read_back_in_every_notation(
            unscaled in -(10_i128.pow(38) - 1)..10_i128.pow(38),
            scale in 0_u8..=38,
            shift in -40_i32..40,
        ) {
            let text = format!("{unscaled}e{}", -i32::from(scale));
            prop_assert_eq!(decimal(&text, 38, scale), Ok(unscaled));
            // Moving the point and taking it back by the exponent changes nothing.
            let digits = format!("{:0>80}", unscaled.unsigned_abs());
            let at = usize::try_from(40 + shift).unwrap();
            let moved = format!(
                "{}{}.{}e{}",
                if unscaled < 0 { "-" } else { "" },
                &digits[..at],
                &digits[at..],
                80 - i32::try_from(at).unwrap() - i32::from(scale)
            );
            prop_assert_eq!(decimal(&moved, 38, scale), Ok(unscaled), "{}", moved);
        }
    }
}
