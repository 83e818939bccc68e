//! Numbers as text, the way the server reads them.

use std::borrow::Cow;

/// The longest run of digits that an `i64` holds whatever they are.
const SAFE_DIGITS: usize = 18;
/// An exponent beyond this makes every number zero or too large, and would only cost memory to write out.
const EXPONENT_MAX: i32 = 400;

/// An integer; a fraction is cut off.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = sign(text.trim_ascii());
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if whole.len() <= SAFE_DIGITS {
        let value = whole.bytes().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Some(i128::from(if negative { -value } else { value }));
    }
    // Built downwards, because the smallest value has no positive twin.
    let mut value = 0_i128;
    for digit in whole.bytes() {
        value = value.checked_mul(10)?.checked_sub(i128::from(digit - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A LARGEINT in its canonical text.
pub(super) fn large(text: &str) -> Option<Cow<'_, str>> {
    let canonical = integer(text)?.to_string();
    Some(if canonical == text { Cow::Borrowed(text) } else { Cow::Owned(canonical) })
}

/// A FLOAT. What is not finite does not fit.
pub(super) fn float(text: &str) -> Option<f32> {
    text.trim_ascii().parse::<f32>().ok().filter(|value| value.is_finite())
}

/// A DOUBLE. What is not finite does not fit.
pub(super) fn double(text: &str) -> Option<f64> {
    text.trim_ascii().parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A DECIMAL in its canonical text: full scale, no needless zeros, no minus on zero. A longer fraction is rounded,
/// away from zero in the middle; digits beyond the precision do not fit.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Option<Cow<'_, str>> {
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    if is_canonical(text, precision, scale) {
        return Some(Cow::Borrowed(text));
    }
    let (negative, number) = sign(text.trim_ascii());
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], number[at + 1..].parse::<i32>().ok()?.clamp(-EXPONENT_MAX, EXPONENT_MAX)),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    // How many of the digits stand before the point.
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let kept = point + i64::try_from(scale).ok()?;
    let digits = round(&mut digits, kept);
    render(negative, digits, precision, scale)
}

/// Keeps so many digits, or adds zeros up to there, rounding half away from zero.
fn round(digits: &mut Vec<u8>, kept: i64) -> Vec<u8> {
    let Ok(kept) = usize::try_from(kept) else { return Vec::new() };
    let up = digits.get(kept).is_some_and(|digit| *digit >= 5);
    digits.resize(kept, 0);
    let mut carry = u8::from(up);
    for digit in digits.iter_mut().rev() {
        let sum = *digit + carry;
        (*digit, carry) = (sum % 10, sum / 10);
    }
    let mut rounded = vec![carry];
    rounded.append(digits);
    rounded
}

fn render<'a>(negative: bool, digits: Vec<u8>, precision: usize, scale: usize) -> Option<Cow<'a, str>> {
    let mut digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
    if digits.len() > precision {
        return None;
    }
    let zero = digits.is_empty();
    if digits.len() <= scale {
        let missing = scale + 1 - digits.len();
        digits.splice(0..0, std::iter::repeat_n(0, missing));
    }
    let mut text = String::with_capacity(digits.len() + 2);
    if negative && !zero {
        text.push('-');
    }
    let point = digits.len() - scale;
    for (at, digit) in digits.into_iter().enumerate() {
        if at == point {
            text.push('.');
        }
        text.push(char::from(b'0' + digit));
    }
    Some(Cow::Owned(text))
}

fn is_canonical(text: &str, precision: usize, scale: usize) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if scale > 0 => (whole, fraction),
        None if scale == 0 => (digits, ""),
        _ => return false,
    };
    let zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    // Zero's one whole digit does not count: DECIMAL(2,2) holds 0.25.
    let whole_count = if whole == "0" { 0 } else { whole.len() };
    fraction.len() == scale
        && all_digits(whole)
        && all_digits(fraction)
        && whole_count + scale <= precision
        && !(whole.is_empty() || whole.len() > 1 && whole.starts_with('0'))
        && !(zero && text.starts_with('-'))
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
