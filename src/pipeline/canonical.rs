//! Whether a text is written as we would write it, or in another way that the server is sure to read as the same value. Such
//! a field may travel as it stands. What is not recognised here is not wrong: it is parsed and written anew.
//!
//! Which bytes of a text are no digits is known beforehand, from masks that were made of the whole block: of most numbers
//! and dates there is little left to look at.

use crate::reader::cast::number;
use crate::reader::cast::time::days_of;

/// Digits that a reader of FLOAT has to read right in any case: the shortest text that stands for a value has as many.
const FLOAT_DIGITS: usize = 9;

/// The same for DOUBLE.
const DOUBLE_DIGITS: usize = 17;

/// A text, and which of its bytes are no digits.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) text: &'a [u8],
    /// The bit of each byte that is no digit; all of them for a text of more than 64 bytes.
    pub(super) odd: u64,
}

impl Field<'_> {
    /// Without the sign, and whether there is one.
    #[inline]
    fn unsigned(self) -> (Self, bool) {
        match self.text {
            [b'-', text @ ..] => (Self { text, odd: self.odd >> 1 }, true),
            _ => (self, false),
        }
    }
}

/// Digits with at most one point among them, as `[0-9]+(\.[0-9]+)?` without surplus zeros: how many stand before the point
/// and behind it.
#[inline]
fn number(Field { text, odd }: Field) -> Option<(usize, usize)> {
    let (whole, fraction) = if odd == 0 {
        (text.len(), 0)
    } else {
        let point = odd.trailing_zeros() as usize;
        if odd & (odd - 1) != 0 || text.get(point) != Some(&b'.') {
            return None;
        }
        let fraction = text.len() - point - 1;
        if fraction == 0 {
            return None;
        }
        (point, fraction)
    };
    (whole == 1 || (whole > 1 && text[0] != b'0')).then_some((whole, fraction))
}

/// An integer within these limits.
#[inline]
pub(super) fn integer(field: Field, digits_max: usize, range: Option<(i64, i64)>) -> bool {
    let (unsigned, negative) = field.unsigned();
    let Some((digits, 0)) = number(unsigned) else { return false };
    if digits < digits_max {
        // There is no negative zero.
        return !negative || unsigned.text != b"0";
    }
    let Some((least, most)) = range else { return false };
    let text = std::str::from_utf8(field.text).unwrap_or_default();
    digits == digits_max
        && number::integer(text).is_ok_and(|value| (i128::from(least)..=i128::from(most)).contains(&value))
}

/// A decimal number that the type holds exactly.
#[inline]
pub(super) fn decimal(field: Field, precision: u8, scale: u8) -> bool {
    let (unsigned, _) = field.unsigned();
    let Some((whole, fraction)) = number(unsigned) else { return false };
    let whole = if whole == 1 && unsigned.text[0] == b'0' { 0 } else { whole };
    whole + usize::from(scale) <= usize::from(precision) && fraction <= usize::from(scale)
}

/// A binary number of so few digits that every reader of the type reads it right.
#[inline]
fn binary(field: Field, digits_max: usize) -> bool {
    let (unsigned, negative) = field.unsigned();
    let Some((whole, fraction)) = number(unsigned) else { return false };
    // The sign of zero is a matter of its own.
    whole + fraction <= digits_max && !(negative && unsigned.text.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

#[inline]
pub(super) fn double(field: Field) -> bool {
    binary(field, DOUBLE_DIGITS)
}

#[inline]
pub(super) fn float(field: Field) -> bool {
    binary(field, FLOAT_DIGITS)
}

#[inline]
pub(super) fn boolean(field: Field) -> bool {
    matches!(field.text, b"true" | b"false")
}

/// The bytes of a date that are no digits.
const DASHES: u64 = 1 << 4 | 1 << 7;

/// The bytes of a time that are no digits, with the blank before it, behind a date.
const COLONS: u64 = 1 << 10 | 1 << 13 | 1 << 16;

/// `yyyy-MM-dd` of the calendar.
#[inline]
pub(super) fn date(field: Field) -> bool {
    let Some(text) = field.text.first_chunk::<10>() else { return false };
    field.text.len() == 10 && field.odd == DASHES && day(text)
}

/// Whether a text whose digits are in their places is a day.
#[inline]
fn day(text: &[u8; 10]) -> bool {
    let pair = |at: usize| i32::from(text[at] & 15) * 10 + i32::from(text[at + 1] & 15);
    let (month, day) = (pair(5), pair(8));
    text[4] == b'-'
        && text[7] == b'-'
        && (1..=12).contains(&month)
        && day >= 1
        && (day <= 28 || day <= days_of(pair(0) * 100 + pair(2), month))
}

/// `yyyy-MM-dd HH:mm:ss`, with six digits of a second behind it or none.
#[inline]
pub(super) fn datetime(field: Field) -> bool {
    let Some((text, fraction)) = field.text.split_first_chunk::<19>() else { return false };
    let odd = match fraction {
        [] => DASHES | COLONS,
        [b'.', micros @ ..] if micros.len() == 6 => DASHES | COLONS | 1 << 19,
        _ => return false,
    };
    let [date @ .., b' ', _, _, b':', _, _, b':', _, _] = text else { return false };
    // As text: two digits in order are a number in order.
    field.odd == odd && day(date) && text[11..13] <= b"23"[..] && text[14..16] <= b"59"[..] && text[17..19] <= b"59"[..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(text: &str) -> Field<'_> {
        let odd = |bits, (at, byte): (usize, u8)| bits | u64::from(!byte.is_ascii_digit()) << at;
        Field { text: text.as_bytes(), odd: text.bytes().enumerate().fold(0, odd) }
    }

    /// One byte after the other.
    fn simply(text: &str) -> Option<(usize, usize)> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let surplus = whole.len() > 1 && whole.starts_with('0');
        (digits(whole) && fraction.is_none_or(digits) && !surplus).then(|| (whole.len(), fraction.map_or(0, str::len)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn numbers_are_seen_by_masks_as_byte_by_byte(
            text in prop_oneof!["[0-9]{0,20}", "[0-9]{0,12}\\.[0-9]{0,12}", "[0-9./:,x\u{b0}]{0,20}"],
        ) {
            prop_assert_eq!(number(field(&text)), simply(&text));
        }

        #[test]
        fn days_and_times_are_what_the_caster_reads(
            text in prop_oneof![
                "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]",
                "[0-9]{4}[-/0][0-9]{2}[-/:][0-9]{2}",
                "2024-02-29 [0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{6})?",
                "2024-02-29[ T][0-2][0-9][:.][0-9]{2}[:5][0-9]{2}",
            ],
        ) {
            use crate::reader::cast::time;
            let (date, datetime) = (date(field(&text)), datetime(field(&text)));
            prop_assert_eq!(date, text.len() == 10 && time::date(&text).is_ok() && !text.contains('/'), "{}", text);
            prop_assert_eq!(datetime, text.len() > 10 && text.as_bytes()[10] == b' ' && time::datetime(&text).is_ok());
        }
    }
}
