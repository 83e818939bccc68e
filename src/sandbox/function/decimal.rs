//! Exact numbers, held as text: LARGEINT and DECIMAL.

use std::cmp::Ordering;
use std::fmt;

use arrow::datatypes::i256;

/// The digits that a DECIMAL can have.
const DIGITS_MAX: u32 = 38;

/// The largest scale that arithmetic passes through: 38 digits times 38 digits fit into 256 bits.
const SCALE_MAX: u32 = 76;

/// A number with so many digits behind the point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sandbox) struct Decimal {
    units: i256,
    scale: u32,
}

impl Decimal {
    pub(in crate::sandbox) const ZERO: Self = Self { units: i256::ZERO, scale: 0 };

    /// Reads sign, digits, point, digits, exponent. Nothing else is a number.
    pub(in crate::sandbox) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().ok()?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let mut all = format!("{}{}", whole.trim_start_matches('0'), fraction);
        let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale < 0 {
            // An exponent beyond every type's digits is refused here, before it becomes that many zeros.
            let zeros = usize::try_from(-scale).ok().filter(|zeros| *zeros <= SCALE_MAX as usize)?;
            all.extend(std::iter::repeat_n('0', zeros));
            scale = 0;
        }
        let idle = usize::try_from(scale).ok()?.saturating_sub(SCALE_MAX as usize);
        if idle > 0 {
            // Digits that far behind the point decide nothing that can be stored.
            all.truncate(all.len().saturating_sub(idle));
            scale = SCALE_MAX.cast_signed();
        }
        let units = if all.is_empty() { i256::ZERO } else { i256::from_string(&all)? };
        let units = if negative { units.checked_neg()? } else { units };
        Some(Self { units, scale: scale.unsigned_abs() })
    }

    pub(in crate::sandbox) fn scale(self) -> u32 {
        self.scale
    }

    /// The same number with another scale, rounded half away from zero. Nothing if it does not fit into 256 bits.
    pub(in crate::sandbox) fn rescale(self, scale: u32) -> Option<Self> {
        let units = match scale.cmp(&self.scale) {
            Ordering::Equal => self.units,
            Ordering::Greater => self.units.checked_mul(ten_to(scale - self.scale)?)?,
            Ordering::Less => divide_rounded(self.units, ten_to(self.scale - scale)?)?,
        };
        Some(Self { units, scale })
    }

    /// The whole part: what is behind the point is cut off.
    pub(in crate::sandbox) fn truncate(self) -> Option<Self> {
        Some(Self { units: self.units.checked_div(ten_to(self.scale)?)?, scale: 0 })
    }

    /// Whether a DECIMAL of so many digits holds it.
    pub(in crate::sandbox) fn fits(self, precision: u32) -> bool {
        ten_to(precision).is_some_and(|limit| self.units.checked_abs().is_some_and(|units| units < limit))
    }

    pub(in crate::sandbox) fn to_i128(self) -> Option<i128> {
        self.truncate()?.units.to_i128()
    }

    pub(in crate::sandbox) fn is_zero(self) -> bool {
        self.units == i256::ZERO
    }

    pub(in crate::sandbox) fn add(self, other: Self) -> Option<Self> {
        let (left, right) = aligned(self, other)?;
        Some(Self { units: left.units.checked_add(right.units)?, scale: left.scale })
    }

    pub(in crate::sandbox) fn subtract(self, other: Self) -> Option<Self> {
        let (left, right) = aligned(self, other)?;
        Some(Self { units: left.units.checked_sub(right.units)?, scale: left.scale })
    }

    pub(in crate::sandbox) fn multiply(self, other: Self) -> Option<Self> {
        Some(Self { units: self.units.checked_mul(other.units)?, scale: self.scale + other.scale })
    }

    /// The quotient with this scale, rounded half away from zero. Nothing for a division by zero.
    pub(in crate::sandbox) fn divide(self, other: Self, scale: u32) -> Option<Self> {
        let shift = (scale + other.scale).checked_sub(self.scale)?;
        let units = divide_rounded(self.units.checked_mul(ten_to(shift)?)?, other.units)?;
        Some(Self { units, scale })
    }

    /// The remainder, with the sign of the dividend. Nothing for a division by zero.
    pub(in crate::sandbox) fn remainder(self, other: Self) -> Option<Self> {
        let (left, right) = aligned(self, other)?;
        if right.is_zero() {
            return None;
        }
        Some(Self { units: left.units.checked_rem(right.units)?, scale: left.scale })
    }

    pub(in crate::sandbox) fn negate(self) -> Option<Self> {
        Some(Self { units: self.units.checked_neg()?, scale: self.scale })
    }

    pub(in crate::sandbox) fn is_negative(self) -> bool {
        self.units.is_negative()
    }

    /// The sum as a column that adds up keeps it: in an integer of so many bits, which wraps around.
    pub(in crate::sandbox) fn wrapping_sum(self, other: Self, bits: u32) -> Option<Self> {
        let (left, right) = aligned(self, other)?;
        let sum = left.units.to_i128()?.wrapping_add(right.units.to_i128()?);
        Some(Self { units: i256::from_i128(wrapped(sum, bits)), scale: left.scale })
    }

    /// What such a column adds to take this number out again.
    pub(in crate::sandbox) fn wrapping_negate(self, bits: u32) -> Option<Self> {
        let units = self.units.to_i128()?.wrapping_neg();
        Some(Self { units: i256::from_i128(wrapped(units, bits)), scale: self.scale })
    }

    /// Whether it holds as many digits as the largest DECIMAL.
    pub(in crate::sandbox) fn fits_any(self) -> bool {
        self.fits(DIGITS_MAX)
    }
}

/// The number that the lowest bits hold.
pub(in crate::sandbox) fn wrapped(number: i128, bits: u32) -> i128 {
    let idle = 128 - bits.clamp(1, 128);
    (number << idle) >> idle
}

impl From<i128> for Decimal {
    fn from(number: i128) -> Self {
        Self { units: i256::from_i128(number), scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.units.to_string();
        let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn ten_to(exponent: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(exponent)
}

fn aligned(left: Decimal, right: Decimal) -> Option<(Decimal, Decimal)> {
    let scale = left.scale.max(right.scale);
    Some((left.rescale(scale)?, right.rescale(scale)?))
}

fn divide_rounded(dividend: i256, divisor: i256) -> Option<i256> {
    let quotient = dividend.checked_div(divisor)?;
    let remainder = dividend.checked_rem(divisor)?.checked_abs()?;
    let rest = divisor.checked_abs()?.checked_sub(remainder)?;
    if remainder < rest {
        return Some(quotient);
    }
    let away = if dividend.is_negative() == divisor.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)
}

/// Compares two numeric texts by value. Texts that are no numbers are compared as texts, so that there is an order.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (parts(left), parts(right)) {
        (Some(left), Some(right)) => compare_parts(left, right),
        _ => left.cmp(right),
    }
}

/// Whether it is negative, the digits before the point and those behind it, without idle zeros.
type Parts<'a> = (bool, &'a str, &'a str);

fn parts(text: &str) -> Option<Parts<'_>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    Some((negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction))
}

fn compare_parts(left: Parts<'_>, right: Parts<'_>) -> Ordering {
    let magnitude =
        |a: Parts<'_>, b: Parts<'_>| a.1.len().cmp(&b.1.len()).then_with(|| a.1.cmp(b.1)).then_with(|| a.2.cmp(b.2));
    match (left.0, right.0) {
        (false, false) => magnitude(left, right),
        (true, true) => magnitude(right, left),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numeric_texts_are_ordered_by_value() {
        let ordered =
            ["-170141183460469231731687303715884105728", "-10", "-9.5", "-9.4", "0", "0.05", "0.5", "9", "10.0"];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(compare(left, right), at.cmp(&other), "{left} and {right}");
            }
        }
        assert_eq!(compare("-0.00", "0"), Ordering::Equal);
        assert_eq!(compare("1.10", "1.1"), Ordering::Equal);
    }

    #[test]
    fn decimals_are_read_and_written() {
        for (text, scale, written) in [
            ("1.5", 2, "1.50"),
            ("-1.005", 2, "-1.01"),
            ("1.004999", 2, "1.00"),
            ("+.5", 0, "1"),
            ("12e3", 1, "12000.0"),
            ("12.5e-1", 2, "1.25"),
            ("-0.001", 2, "0.00"),
        ] {
            let read = Decimal::parse(text).and_then(|decimal| decimal.rescale(scale)).expect(text);
            assert_eq!(read.to_string(), written, "{text}");
        }
        for text in ["", "-", ".", "1.2.3", "1e", "0x1", " 1", "1e999"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_128_bits(a in -1_000_000_000_000_i64..1_000_000_000_000, b in -1_000_000_i64..1_000_000) {
            let (x, y) = (Decimal { units: i256::from(a), scale: 3 }, Decimal { units: i256::from(b), scale: 1 });
            let (a, b) = (i128::from(a), i128::from(b));
            prop_assert_eq!(x.add(y), Some(Decimal { units: i256::from_i128(a + b * 100), scale: 3 }));
            prop_assert_eq!(x.subtract(y), Some(Decimal { units: i256::from_i128(a - b * 100), scale: 3 }));
            prop_assert_eq!(x.multiply(y), Some(Decimal { units: i256::from_i128(a * b), scale: 4 }));
            if b != 0 {
                // Twice the exact quotient at scale 9, cut off: its last bit tells which way to round.
                let twice = (2 * a * 10_000_000).abs() / b.abs();
                let rounded = (twice + 1) / 2 * if (a < 0) == (b < 0) { 1 } else { -1 };
                prop_assert_eq!(x.divide(y, 9), Some(Decimal { units: i256::from_i128(rounded), scale: 9 }));
            }
        }

        #[test]
        fn what_is_written_is_read_back(units in any::<i128>(), scale in 0_u32..38) {
            let decimal = Decimal { units: i256::from_i128(units), scale };
            prop_assert_eq!(Decimal::parse(&decimal.to_string()), Some(decimal));
        }
    }
}
