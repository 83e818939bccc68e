//! Whether a text is written as we would write it, or in another way that the server is sure to read as the same value. Such
//! a field may travel as it stands. What is not recognised here is not wrong: it is parsed and written anew.

use crate::reader::cast::number;
use crate::reader::cast::time::days_of;

/// Digits that an FLOAT holds whatever they are, so that no reader of them can come to another number.
const FLOAT_DIGITS: usize = 6;

/// The same for DOUBLE.
const DOUBLE_DIGITS: usize = 15;

/// How many digits stand at the start.
#[inline]
fn digits(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

/// The digits before the point, if there are any and no surplus zero stands in front; a sign is passed over.
#[inline]
fn whole(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = unsigned.split_at(digits(unsigned));
    match whole {
        [] | [b'0', _, ..] => None,
        _ => Some((whole, rest)),
    }
}

/// An integer within these limits.
#[inline]
pub(super) fn integer(text: &[u8], digits_max: usize, range: Option<(i128, i128)>) -> bool {
    let Some((whole, b"")) = whole(text) else { return false };
    if whole.len() < digits_max {
        return whole != b"0" || text.len() == 1;
    }
    let Some((least, most)) = range else { return false };
    let text = std::str::from_utf8(text).unwrap_or_default();
    whole.len() == digits_max && number::integer(text).is_ok_and(|value| (least..=most).contains(&value))
}

/// A decimal number that the type holds exactly.
#[inline]
pub(super) fn decimal(text: &[u8], precision: u8, scale: u8) -> bool {
    let Some((whole, rest)) = whole(text) else { return false };
    let whole_digits = if whole == b"0" { 0 } else { whole.len() };
    if whole_digits + usize::from(scale) > usize::from(precision) {
        return false;
    }
    match rest {
        [] => true,
        [b'.', fraction @ ..] => {
            !fraction.is_empty() && fraction.len() <= usize::from(scale) && digits(fraction) == fraction.len()
        }
        _ => false,
    }
}

/// A binary number of so few digits that nobody rounds it.
#[inline]
fn binary(text: &[u8], digits_max: usize) -> bool {
    let Some((whole, rest)) = whole(text) else { return false };
    let fraction = match rest {
        [] => rest,
        [b'.', fraction @ ..] if !fraction.is_empty() && digits(fraction) == fraction.len() => fraction,
        _ => return false,
    };
    // The sign of zero is a matter of its own.
    let zero = text[0] == b'-' && whole == b"0" && fraction.iter().all(|digit| *digit == b'0');
    !zero && whole.len() + fraction.len() <= digits_max
}

pub(super) fn double(text: &[u8]) -> bool {
    binary(text, DOUBLE_DIGITS)
}

pub(super) fn float(text: &[u8]) -> bool {
    binary(text, FLOAT_DIGITS)
}

pub(super) fn boolean(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false")
}

/// `yyyy-MM-dd` of the calendar.
#[inline]
pub(super) fn date(text: &[u8]) -> bool {
    let Ok(text) = <&[u8; 10]>::try_from(text) else { return false };
    let shape = text
        .iter()
        .enumerate()
        .fold(true, |shape, (at, byte)| shape & if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    let number = |from: usize| i32::from(text[from] & 15) * 10 + i32::from(text[from + 1] & 15);
    let (month, day) = (number(5), number(8));
    shape && (1..=12).contains(&month) && day >= 1 && (day <= 28 || day <= days_of(number(0) * 100 + number(2), month))
}

/// `yyyy-MM-dd HH:mm:ss`, with six digits of a second behind it or none.
#[inline]
pub(super) fn datetime(text: &[u8]) -> bool {
    let Some((day, clock)) = text.split_first_chunk::<10>() else { return false };
    let Some((clock, fraction)) = clock.split_first_chunk::<9>() else { return false };
    let shape = clock.iter().enumerate().fold(true, |shape, (at, byte)| {
        shape
            & match at {
                0 => *byte == b' ',
                3 | 6 => *byte == b':',
                _ => byte.is_ascii_digit(),
            }
    });
    let fraction = match fraction {
        [] => true,
        [b'.', micros @ ..] => micros.len() == 6 && digits(micros) == 6,
        _ => false,
    };
    // As text: two digits in order are a number in order.
    shape && fraction && clock[1..3] <= b"23"[..] && clock[4..6] <= b"59"[..] && clock[7..9] <= b"59"[..] && date(day)
}
