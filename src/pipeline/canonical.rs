//! Whether a text is written as we would write it, or in another way that the server is sure to read as the same value. Such
//! a field may travel as it stands. What is not recognised here is not wrong: it is parsed and written anew.
//!
//! Numbers and dates are looked at eight bytes at a time, as words: nearly all are not longer than two.

use crate::reader::cast::number;
use crate::reader::cast::time::days_of;

/// Digits that a reader of FLOAT has to read right in any case: the shortest text that stands for a value has as many.
const FLOAT_DIGITS: usize = 9;

/// The same for DOUBLE.
const DOUBLE_DIGITS: usize = 17;

/// The longest text that is looked at by words.
const WORDS_BYTES: usize = 16;

/// The high bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A field in the text around it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// The text around it: what follows the field is read with it, and passed over.
    pub(super) around: &'a [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Field<'a> {
    pub(super) fn text(self) -> &'a [u8] {
        &self.around[self.start..self.end]
    }

    fn len(self) -> usize {
        self.end - self.start
    }

    /// The byte at this offset, which the text around it reaches.
    #[inline]
    fn at(self, offset: usize) -> u8 {
        self.around[self.start + offset]
    }

    /// Eight bytes from this offset on; what is not there is zero.
    #[inline]
    fn word(self, offset: usize) -> u64 {
        let start = self.start + offset;
        match self.around.get(start..start + 8).and_then(|bytes| bytes.first_chunk()) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => short_word(&self.around[start.min(self.around.len())..]),
        }
    }

    /// Which of its first bytes are no digits: the high bit of each.
    #[inline]
    fn odd_bytes(self) -> u128 {
        let odd = |offset: usize| u128::from(odd_bytes(self.word(offset)));
        let bits = 8 * self.len();
        if bits <= 64 {
            odd(0) & ((1 << bits) - 1)
        } else {
            (odd(0) | odd(8) << 64)
                & u128::MAX.unbounded_shr(128_u32.saturating_sub(u32::try_from(bits).unwrap_or(128)))
        }
    }

    /// Without the sign.
    #[inline]
    fn unsigned(self) -> Self {
        let sign = usize::from(self.start < self.end && self.at(0) == b'-');
        Self { start: self.start + sign, ..self }
    }
}

#[cold]
fn short_word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let length = bytes.len().min(8);
    word[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(word)
}

/// The high bit of each byte that is no digit, exactly: no carry crosses from one byte to the next.
#[inline]
fn odd_bytes(word: u64) -> u64 {
    let digits = word ^ 0x3030_3030_3030_3030;
    (((digits & !HIGH) + 0x7676_7676_7676_7676) | digits) & HIGH
}

/// Digits with at most one point among them, as `[0-9]+(\.[0-9]+)?` without surplus zeros: how many stand before the point
/// and behind it.
#[inline]
fn number(field: Field) -> Option<(usize, usize)> {
    let (whole, fraction) = match field.len() {
        0 => return None,
        length @ ..=WORDS_BYTES => {
            let odd = field.odd_bytes();
            if odd == 0 {
                (length, 0)
            } else {
                let point = odd.trailing_zeros() as usize / 8;
                if odd & (odd - 1) != 0 || field.at(point) != b'.' || point == 0 || point + 1 == length {
                    return None;
                }
                (point, length - point - 1)
            }
        }
        _ => long_number(field.text())?,
    };
    (whole == 1 || field.at(0) != b'0').then_some((whole, fraction))
}

/// The same for more bytes than words are looked at.
#[cold]
fn long_number(text: &[u8]) -> Option<(usize, usize)> {
    let digits = |text: &[u8]| text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(text);
    match &text[whole..] {
        [] => Some((whole, 0)),
        [b'.', fraction @ ..] if whole > 0 && !fraction.is_empty() && digits(fraction) == fraction.len() => {
            Some((whole, fraction.len()))
        }
        _ => None,
    }
}

/// An integer within these limits.
#[inline]
pub(super) fn integer(field: Field, digits_max: usize, range: Option<(i64, i64)>) -> bool {
    let unsigned = field.unsigned();
    let Some((digits, 0)) = number(unsigned) else { return false };
    if digits < digits_max {
        // There is no negative zero.
        return digits > 1 || field.start == unsigned.start || unsigned.at(0) != b'0';
    }
    let Some((least, most)) = range else { return false };
    let text = std::str::from_utf8(field.text()).unwrap_or_default();
    digits == digits_max
        && number::integer(text).is_ok_and(|value| (i128::from(least)..=i128::from(most)).contains(&value))
}

/// A decimal number that the type holds exactly.
#[inline]
pub(super) fn decimal(field: Field, precision: u8, scale: u8) -> bool {
    let unsigned = field.unsigned();
    let Some((whole, fraction)) = number(unsigned) else { return false };
    let whole = if whole == 1 && unsigned.at(0) == b'0' { 0 } else { whole };
    whole + usize::from(scale) <= usize::from(precision) && fraction <= usize::from(scale)
}

/// A binary number of so few digits that every reader of the type reads it right.
#[inline]
fn binary(field: Field, digits_max: usize) -> bool {
    let unsigned = field.unsigned();
    let Some((whole, fraction)) = number(unsigned) else { return false };
    // The sign of zero is a matter of its own.
    whole + fraction <= digits_max && (field.start == unsigned.start || unsigned.at(0) != b'0' || !is_zero(unsigned))
}

#[cold]
fn is_zero(field: Field) -> bool {
    field.text().iter().all(|byte| matches!(byte, b'0' | b'.'))
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
    matches!(field.text(), b"true" | b"false")
}

/// `yyyy-MM-dd` of the calendar.
#[inline]
pub(super) fn date(field: Field) -> bool {
    field.len() == 10 && day(field)
}

/// A date at the start.
#[inline]
fn day(field: Field) -> bool {
    let head = field.word(0);
    // The fifth and the eighth byte are dashes, and nothing else is no digit.
    let shape = odd_bytes(head) == 0x8000_0080_0000_0000 && field.at(4) == b'-' && field.at(7) == b'-';
    let tail = field.at(8).is_ascii_digit() && field.at(9).is_ascii_digit();
    let pair = |at: usize| i32::from(field.at(at) & 15) * 10 + i32::from(field.at(at + 1) & 15);
    let (month, day) = (pair(5), pair(8));
    shape
        && tail
        && (1..=12).contains(&month)
        && day >= 1
        && (day <= 28 || day <= days_of(pair(0) * 100 + pair(2), month))
}

/// `yyyy-MM-dd HH:mm:ss`, with six digits of a second behind it or none.
#[inline]
pub(super) fn datetime(field: Field) -> bool {
    if !matches!(field.len(), 19 | 26) || field.at(10) != b' ' || !day(field) {
        return false;
    }
    let head = field.word(11);
    let shape = odd_bytes(head) == 0x0000_8000_0080_0000 && field.at(13) == b':' && field.at(16) == b':';
    let text = field.text();
    let fraction = text.len() == 19 || (text[19] == b'.' && text[20..].iter().all(u8::is_ascii_digit));
    // As text: two digits in order are a number in order.
    shape && fraction && text[11..13] <= b"23"[..] && text[14..16] <= b"59"[..] && text[17..19] <= b"59"[..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn numbers_are_seen_by_words_as_byte_by_byte(
            before in "[0-9.,é]{0,9}",
            text in prop_oneof!["[0-9]{0,20}", "[0-9]{0,12}\\.[0-9]{0,12}", "[0-9./:,x\u{b0}]{0,20}"],
            after in "[0-9.,]{0,12}",
        ) {
            let around = format!("{before}{text}{after}");
            let field = Field { around: around.as_bytes(), start: before.len(), end: before.len() + text.len() };
            prop_assert_eq!(number(field), simply(&text));
        }

        #[test]
        fn days_and_times_are_what_the_caster_reads(
            text in prop_oneof![
                "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]",
                "[0-9]{4}[-/0][0-9]{2}[-/:][0-9]{2}",
                "2024-02-29 [0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{6})?",
                "2024-02-29[ T][0-2][0-9][:.][0-9]{2}[:5][0-9]{2}",
            ],
            after in "[-0-9:]{0,9}",
        ) {
            use crate::reader::cast::time;
            let around = format!("{text}{after}");
            let field = Field { around: around.as_bytes(), start: 0, end: text.len() };
            prop_assert_eq!(date(field), text.len() == 10 && time::date(&text).is_ok() && !text.contains('/'), "{}", text);
            prop_assert_eq!(datetime(field), text.len() > 10 && text.as_bytes()[10] == b' ' && time::datetime(&text).is_ok());
        }
    }
}
