//! One number or date as text, the same for every text format.
//!
//! All of it is ASCII out of `0`–`9`, `-`, `+`, `.`, `e`, `:`, space and the letters of `true` and `false`: no byte means
//! anything to a CSV parser, so no field of it needs quotes.
//!
//! Measured per value on one core: zmij writes a double in 19–24 ns, ryu in 47–74, std in 109–144; itoa writes 16 digits
//! in 13 ns. Dates take no division by a variable and no table of months.
//!
//! Each function writes into a window from a place on, and returns where the text ends; what is behind that means nothing.

use super::Unfit;
use super::room::{WINDOW, Window, put, put_text};

/// Appends what is written into a window.
pub(crate) fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Window) -> Result<usize, Unfit>) -> Result<(), Unfit> {
    let mut window = [0; WINDOW];
    let end = write(&mut window)?;
    out.extend_from_slice(&window[..end]);
    Ok(())
}

/// An integer. Wide ones that are small take the cheaper 64-bit path.
pub(crate) fn integer(value: i128, to: &mut Window, at: usize) -> usize {
    match i64::try_from(value) {
        Ok(small) => small_integer(small, to, at),
        Err(_) => put_text(to, at, itoa::Buffer::new().format(value).as_bytes()),
    }
}

/// An integer of at most 64 bits.
#[inline]
pub(super) fn small_integer(value: i64, to: &mut Window, at: usize) -> usize {
    let at = minus(value < 0, to, at);
    digits(value.unsigned_abs(), to, at)
}

/// The sign of a negative number, written also where it is none, which takes no branch.
#[inline]
fn minus(negative: bool, to: &mut Window, at: usize) -> usize {
    to[at] = b'-';
    at + usize::from(negative)
}

/// Numbers of eight digits, and fewer, are below this.
const EIGHT_DIGITS: u64 = 100_000_000;

/// The digits of a number.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "below 10^8")]
fn digits(value: u64, to: &mut Window, at: usize) -> usize {
    if value < EIGHT_DIGITS {
        few_digits(value as u32, to, at)
    } else if value < EIGHT_DIGITS * EIGHT_DIGITS {
        let at = few_digits((value / EIGHT_DIGITS) as u32, to, at);
        put(to, at, (eight_digits((value % EIGHT_DIGITS) as u32) | ZEROS).to_le_bytes());
        at + 8
    } else {
        long_digits(value, to, at)
    }
}

/// The digits of a number below 10^8.
#[inline]
fn few_digits(value: u32, to: &mut Window, at: usize) -> usize {
    let eight = eight_digits(value);
    // The last digit is one also where it is zero.
    let zeros = (eight | 1 << 56).trailing_zeros() as usize / 8;
    put(to, at, ((eight | ZEROS) >> (8 * zeros)).to_le_bytes());
    at + 8 - zeros
}

#[cold]
fn long_digits(value: u64, to: &mut Window, at: usize) -> usize {
    put_text(to, at, itoa::Buffer::new().format(value).as_bytes())
}

/// Eight times the character `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of a number below 10^8, the first one in the lowest byte, as numbers.
///
/// The number is halved into two of four digits, these into four of two and these into eight, each time all at once: a
/// multiplication by the inverse, scaled to a power of two, divides every lane of the word.
#[inline]
fn eight_digits(value: u32) -> u64 {
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - 10 * tens) << 8
}

/// The one single-precision number, but for its sign, whose shortest text does not survive a detour: `7.038531e-26` read as
/// a double lies exactly between two singles, and narrowing takes the other. Found by trying all of them.
const SINGLE_TWICE_ROUNDED: u32 = 0x15ae_43fd;

/// The shortest text that reads back as the same single-precision number, whether it is read as one or as a double that is
/// narrowed, which is what JSON parsers do.
pub(crate) fn float(value: f32, to: &mut Window, at: usize) -> Result<usize, Unfit> {
    if value.abs().to_bits() == SINGLE_TWICE_ROUNDED {
        return double(value.into(), to, at);
    }
    finite(value.is_finite(), value, to, at)
}

/// The shortest text that reads back as the same double-precision number.
pub(crate) fn double(value: f64, to: &mut Window, at: usize) -> Result<usize, Unfit> {
    match few_decimals(value, to, at) {
        Some(end) => Ok(end),
        None => finite(value.is_finite(), value, to, at),
    }
}

/// A number that was a decimal with at most six digits behind the point, as prices and measurements are; a quarter of the work.
///
/// It is one if the nearest number of millionths, divided again, is the same double: the quotient of two whole numbers that a
/// double holds is the double nearest to it. With no more than 15 digits no other decimal reads back as that double.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "below 10^15, which both hold exactly; only the same number will do"
)]
fn few_decimals(value: f64, to: &mut Window, at: usize) -> Option<usize> {
    const MILLION: u64 = 1_000_000;
    let size = value.abs();
    if !(1e-6..1e9).contains(&size) {
        return None;
    }
    let millionths = (size * 1e6 + 0.5) as i64;
    if millionths as f64 / 1e6 != size {
        return None;
    }
    let millionths = millionths as u64;
    let at = minus(value < 0.0, to, at);
    let at = digits(millionths / MILLION, to, at);
    // The last six of eight digits, up to the last one that is not zero; one is there in any case.
    let fraction = eight_digits((millionths % MILLION) as u32) >> 16;
    put(to, at, [b'.']);
    put(to, at + 1, (fraction | ZEROS).to_le_bytes());
    Some(at + 1 + (8 - fraction.leading_zeros() as usize / 8).max(1))
}

#[inline]
fn finite(is_finite: bool, value: impl zmij::Float, to: &mut Window, at: usize) -> Result<usize, Unfit> {
    if !is_finite {
        return Err(Unfit);
    }
    Ok(put_text(to, at, zmij::Buffer::new().format_finite(value).as_bytes()))
}

/// A decimal number that is stored in 64 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "below 10^8")]
pub(super) fn short_decimal(value: i64, scale: u8, to: &mut Window, at: usize) -> usize {
    let Some(power) = POWERS.get(usize::from(scale)) else { return decimal(value.into(), scale, to, at) };
    let at = minus(value < 0, to, at);
    let value = value.unsigned_abs();
    if scale == 2 {
        // Most money has two digits there, and a division by what the compiler knows is none.
        let at = digits(value / 100, to, at);
        put(to, at, (u64::from(b'.') | pair((value % 100) as u32) << 8).to_le_bytes());
        return at + 3;
    }
    let at = digits(value / power, to, at);
    if scale == 0 {
        return at;
    }
    // The point, and behind it the last `scale` of eight digits.
    let fraction = (eight_digits((value % power) as u32) | ZEROS) >> (8 * (8 - usize::from(scale)));
    put(to, at, [b'.']);
    put(to, at + 1, fraction.to_le_bytes());
    at + 1 + usize::from(scale)
}

/// Ten to the powers of which eight digits hold a fraction.
const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, EIGHT_DIGITS];

/// The most digits behind a decimal point.
const SCALE_MAX: usize = 38;

/// `value / 10^scale` with all its fraction digits: the server rounds or refuses what has another scale.
pub(crate) fn decimal(value: i128, scale: u8, to: &mut Window, at: usize) -> usize {
    if let Ok(short) = i64::try_from(value)
        && usize::from(scale) < POWERS.len()
    {
        return short_decimal(short, scale, to, at);
    }
    let at = minus(value < 0, to, at);
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(value.unsigned_abs()) {
        Ok(small) => buffer.format(small),
        Err(_) => buffer.format(value.unsigned_abs()),
    };
    let (digits, scale) = (digits.as_bytes(), usize::from(scale));
    if scale == 0 {
        put_text(to, at, digits)
    } else if let Some(whole) = digits.len().checked_sub(scale).filter(|whole| *whole > 0) {
        let at = put_text(to, at, &digits[..whole]);
        put(to, at, [b'.']);
        put_text(to, at + 1, &digits[whole..])
    } else {
        put(to, at, *b"0.");
        let at = put_text(to, at + 2, &[b'0'; SCALE_MAX][..scale - digits.len()]);
        put_text(to, at, digits)
    }
}

/// 0000-01-01 and 9999-12-31 as days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;

/// Days since 1970-01-01 as `yyyy-MM-dd`.
#[inline]
pub(crate) fn date(days: i32, to: &mut Window, at: usize) -> Result<usize, Unfit> {
    let (year, month, day) = calendar(days)?;
    let text = pair(year / 100) | pair(year % 100) << 16 | u64::from(b'-') << 32 | pair(month) << 40;
    put(to, at, (text | u64::from(b'-') << 56).to_le_bytes());
    put(to, at + 8, pair(day).to_le_bytes());
    Ok(at + 10)
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Microseconds since 1970-01-01 as `yyyy-MM-dd HH:mm:ss`, with `.ffffff` behind it when that is not zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "remainders of the divisors at hand")]
pub(crate) fn datetime(micros: i64, to: &mut Window, at: usize) -> Result<usize, Unfit> {
    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).map_err(|_| Unfit)?;
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let (seconds, fraction) = ((of_day / MICROS_PER_SECOND) as u32, (of_day % MICROS_PER_SECOND) as u32);
    let at = date(days, to, at)?;
    let (colon, minutes) = (u64::from(b':'), seconds / 60);
    let text = u64::from(b' ') | pair(minutes / 60) << 8 | colon << 24 | pair(minutes % 60) << 32 | colon << 48;
    put(to, at, text.to_le_bytes());
    put(to, at + 7, pair(seconds % 60).to_le_bytes());
    if fraction == 0 {
        return Ok(at + 9);
    }
    let text = u64::from(b'.') | pair(fraction / 10_000) << 8 | pair(fraction / 100 % 100) << 24;
    put(to, at + 9, (text | pair(fraction % 100) << 40).to_le_bytes());
    Ok(at + 16)
}

/// Days of 400 years, after which the Gregorian calendar repeats.
const DAYS_PER_ERA: i32 = 146_097;

/// From 1970-01-01 back to the first of March of the year -400: an era before the first year we write, so that nothing
/// below is negative.
const DAYS_BEFORE_EPOCH: i32 = 719_468 + DAYS_PER_ERA;

/// Year, month and day of a day number.
///
/// Years are taken to start in March, which puts the leap day last; century, year and month then follow from linear
/// functions (Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms", 2022).
/// Their magic numbers are `2^32 / 1461` rounded up (years of a century) and `31 + 306/153` scaled by 2^16 (months).
#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "in range by the check in front")]
#[inline]
fn calendar(days: i32) -> Result<(u32, u32, u32), Unfit> {
    if !DAYS.contains(&days) {
        return Err(Unfit);
    }
    let quarters = 4 * (days + DAYS_BEFORE_EPOCH) + 3;
    let (century, day_of_century) = ((quarters / DAYS_PER_ERA) as u32, (quarters % DAYS_PER_ERA / 4) as u32);
    let product = 2_939_745 * u64::from(4 * day_of_century + 3);
    let (year_of_century, day_of_year) = ((product >> 32) as u32, (product as u32) / 2_939_745 / 4);
    let month_and_day = 2141 * day_of_year + 197_913;
    let (month, day) = (month_and_day >> 16, (month_and_day & 0xffff) / 2141 + 1);
    // From the 306th day on, the year that started in March is in January or February of the next one.
    let after_december = u32::from(day_of_year >= 306);
    let year = 100 * century + year_of_century + after_december - 400;
    Ok((year, month - 12 * after_december, day))
}

/// The two digits of a number below 100, the first one in the lowest byte.
#[inline]
fn pair(value: u32) -> u64 {
    u64::from(PAIRS[value as usize])
}

#[expect(clippy::cast_possible_truncation, reason = "below 100")]
const PAIRS: [u16; 100] = {
    let mut pairs = [0; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = u16::from_le_bytes([b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
        value += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Decimal128Array, TimestampMicrosecondArray};
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Window) -> usize) -> String {
        // What is behind the text is not read, nor does it matter what was there.
        let mut window = [b'7'; WINDOW];
        let end = write(&mut window);
        String::from_utf8(window[..end].to_vec()).unwrap()
    }

    fn arrow_text(array: &ArrayRef, format: &str) -> String {
        let options =
            FormatOptions::new().with_date_format(Some(format)).with_timestamp_format(Some(format)).with_null("NULL");
        ArrayFormatter::try_new(array, &options).unwrap().value(0).to_string()
    }

    #[test]
    fn every_day_of_ten_thousand_years_follows_the_one_before() {
        let (mut year, mut month, mut day) = (0, 1, 1);
        for days in DAYS {
            assert_eq!(calendar(days), Ok((year, month, day)), "{days}");
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
        assert_eq!(text(|to| date(0, to, 0).unwrap()), "1970-01-01");
    }

    #[test]
    fn days_outside_the_calendar_are_unfit() {
        for days in [DAYS.start() - 1, DAYS.end() + 1, i32::MIN, i32::MAX] {
            assert_eq!(date(days, &mut [0; WINDOW], 0), Err(Unfit), "{days}");
        }
        for micros in [i64::MIN, i64::MAX, i64::from(*DAYS.start()) * MICROS_PER_DAY - 1] {
            assert_eq!(datetime(micros, &mut [0; WINDOW], 0), Err(Unfit), "{micros}");
        }
    }

    #[test]
    fn a_fraction_of_a_second_is_there_in_full_or_not_at_all() {
        for (micros, expected) in [
            (0, "1970-01-01 00:00:00"),
            (1, "1970-01-01 00:00:00.000001"),
            (-1, "1969-12-31 23:59:59.999999"),
            (86_399_000_000, "1970-01-01 23:59:59"),
            (1_500_000, "1970-01-01 00:00:01.500000"),
        ] {
            assert_eq!(text(|to| datetime(micros, to, 0).unwrap()), expected);
        }
    }

    #[test]
    fn decimals_keep_every_fraction_digit() {
        for (value, scale, expected) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (100, 2, "1.00"),
            (-12_345, 4, "-1.2345"),
            (12_345, 5, "0.12345"),
            (1, 38, "0.00000000000000000000000000000000000001"),
            (i128::pow(10, 38) - 1, 0, "99999999999999999999999999999999999999"),
            (1 - i128::pow(10, 38), 20, "-999999999999999999.99999999999999999999"),
        ] {
            assert_eq!(text(|to| decimal(value, scale, to, 0)), expected);
        }
    }

    #[test]
    fn numbers_of_every_length_are_written_digit_by_digit() {
        let mut value = 1_u64;
        while let Some(longer) = value.checked_mul(10) {
            for near in [value - 1, value, value + 1, 5 * value, longer - 1] {
                assert_eq!(text(|to| digits(near, to, 0)), near.to_string());
            }
            value = longer;
        }
        assert_eq!(text(|to| small_integer(i64::MIN, to, 0)), i64::MIN.to_string());
        assert_eq!(text(|to| digits(u64::MAX, to, 0)), u64::MAX.to_string());
        assert_eq!(text(|to| short_decimal(i64::MIN, 8, to, 0)), "-92233720368.54775808");
    }

    #[test]
    fn integers_reach_both_ends_of_128_bits() {
        for value in [0, -1, i128::from(i64::MAX) + 1, i128::MIN, i128::MAX] {
            assert_eq!(text(|to| integer(value, to, 0)), value.to_string());
        }
    }

    #[test]
    fn what_is_not_a_number_is_unfit() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(double(value, &mut [0; WINDOW], 0), Err(Unfit));
            #[expect(clippy::cast_possible_truncation, reason = "the same three in single precision")]
            let single = value as f32;
            assert_eq!(float(single, &mut [0; WINDOW], 0), Err(Unfit));
        }
    }

    /// What C's `strtod` and JSON both read: `-`? digits (`.` digits)? (`e` (`-`|`+`)? digits)?, no leading zeros.
    fn is_plain_number(text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        digits(whole) && digits(fraction) && digits(exponent) && (whole == "0" || !whole.starts_with('0'))
    }

    /// Digits without sign, point, exponent and the zeros around them: what makes a text long.
    fn significant(text: &str) -> String {
        let mantissa = text.split('e').next().unwrap();
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        digits.trim_matches('0').to_owned()
    }

    fn is_exact_and_short(value: f64) -> Result<(), TestCaseError> {
        let text = text(|to| double(value, to, 0).unwrap());
        prop_assert!(is_plain_number(&text), "{}", text);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{}", text);
        prop_assert_eq!(significant(&text).len(), significant(&format!("{value:e}")).len(), "{}", text);
        Ok(())
    }

    #[test]
    fn doubles_of_few_decimals_are_written_without_zeros_behind() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-0.1, "-0.1"),
            (0.000_001, "0.000001"),
            (464.7, "464.7"),
            (-103.314_114, "-103.314114"),
            (999_999_999.999_999, "999999999.999999"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(text(|to| double(value, to, 0).unwrap()), expected);
        }
    }

    proptest! {
        #[test]
        fn doubles_read_back_bit_for_bit_and_are_as_short_as_std_writes_them(bits: u64) {
            prop_assume!(f64::from_bits(bits).is_finite());
            is_exact_and_short(f64::from_bits(bits))?;
        }

        #[test]
        fn doubles_at_and_beside_decimals_do_so_too(
            digits in 0..10_u64.pow(15), shrink in 0_u32..15, places in 0_i32..8, beside in -2_i64..=2, negative: bool,
        ) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let value = (digits / 10_u64.pow(shrink)) as f64 / 10_f64.powi(places);
            let value = f64::from_bits(value.to_bits().saturating_add_signed(beside));
            is_exact_and_short(if negative { -value } else { value })?;
        }

        #[test]
        fn singles_read_back_bit_for_bit_also_by_way_of_a_double(bits: u32) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = text(|to| float(value, to, 0).unwrap());
            prop_assert!(is_plain_number(&text), "{}", text);
            prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), bits);
            #[expect(clippy::cast_possible_truncation, reason = "as a server may do it")]
            let narrowed = text.parse::<f64>().unwrap() as f32;
            prop_assert_eq!(narrowed.to_bits(), bits);
            prop_assert_eq!(significant(&text).len(), significant(&format!("{value:e}")).len());
        }

        #[test]
        fn short_integers_are_written_as_std_writes_them(value: i64, shrink in 0_u32..19) {
            let value = value / i64::pow(10, shrink);
            prop_assert_eq!(text(|to| small_integer(value, to, 0)), value.to_string());
        }

        #[test]
        fn short_decimals_are_written_as_long_ones(value: i64, shrink in 0_u32..19, scale in 0_i8..=18) {
            let value = value / i64::pow(10, shrink);
            let array = Decimal128Array::from(vec![i128::from(value)]).with_precision_and_scale(38, scale).unwrap();
            let ours = text(|to| short_decimal(value, scale.unsigned_abs(), to, 0));
            prop_assert_eq!(ours, arrow_text(&(Arc::new(array) as ArrayRef), "%Y"));
        }

        #[test]
        fn decimals_are_written_as_arrow_shows_them(
            value in 1 - i128::pow(10, 38)..i128::pow(10, 38), shrink in 0_u32..38, scale in 0_i8..=38,
        ) {
            let value = value / i128::pow(10, shrink);
            let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
            let ours = text(|to| decimal(value, scale.unsigned_abs(), to, 0));
            prop_assert_eq!(ours, arrow_text(&(Arc::new(array) as ArrayRef), "%Y"));
        }

        #[test]
        fn dates_and_times_are_written_as_arrow_shows_them(days in DAYS, of_day in 0..MICROS_PER_DAY) {
            let ours = text(|to| date(days, to, 0).unwrap());
            prop_assert_eq!(ours, arrow_text(&(Arc::new(Date32Array::from(vec![days])) as ArrayRef), "%Y-%m-%d"));
            let micros = i64::from(days) * MICROS_PER_DAY + of_day;
            let format = if micros % MICROS_PER_SECOND == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
            let ours = text(|to| datetime(micros, to, 0).unwrap());
            let array = TimestampMicrosecondArray::from(vec![micros]);
            prop_assert_eq!(ours, arrow_text(&(Arc::new(array) as ArrayRef), format));
        }
    }

    #[test]
    fn the_single_that_would_be_rounded_twice_is_not() {
        for value in [f32::from_bits(SINGLE_TWICE_ROUNDED), -f32::from_bits(SINGLE_TWICE_ROUNDED)] {
            let text = text(|to| float(value, to, 0).unwrap());
            #[expect(clippy::cast_possible_truncation, reason = "as a server may do it")]
            let narrowed = text.parse::<f64>().unwrap() as f32;
            assert_eq!((narrowed.to_bits(), text.parse()), (value.to_bits(), Ok(value)), "{text}");
        }
    }

    #[test]
    fn floats_at_the_edges_read_back() {
        for value in [0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e20, 1e22, 1e23, 5e-324, f64::MAX, f64::MIN_POSITIVE, 9e-7] {
            let text = text(|to| double(value, to, 0).unwrap());
            assert!(is_plain_number(&text), "{text}");
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), f64::to_bits(value), "{text}");
            // A whole number without point and exponent would be an integer to a JSON parser, and too wide a one fails.
            assert!(text.contains(['.', 'e']), "{text}");
        }
    }
}
