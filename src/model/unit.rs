//! [`ByteCount`]: bytes as people write and read them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. Parses `512MiB`, `64M`, `1.5GB` or plain digits; shows itself in binary units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(pub u64);

const KIB: u64 = 1024;
const UNITS: [(&str, u64); 4] =
    [("TiB", KIB * KIB * KIB * KIB), ("GiB", KIB * KIB * KIB), ("MiB", KIB * KIB), ("KiB", KIB)];

/// A text that is no byte count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size: write a number with an optional unit, such as 512MiB, 64M or 1.5GB")]
pub struct InvalidByteCount(String);

impl FromStr for ByteCount {
    type Err = InvalidByteCount;

    /// `K`, `M`, `G`, `T` and `KiB` … are powers of 1024; `KB`, `MB`, `GB`, `TB` are powers of 1000.
    fn from_str(text: &str) -> Result<Self, InvalidByteCount> {
        let invalid = || InvalidByteCount(text.to_owned());
        let trimmed = text.trim();
        let digits_end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits_end);
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => KIB,
            "m" | "mib" => KIB.pow(2),
            "g" | "gib" => KIB.pow(3),
            "t" | "tib" => KIB.pow(4),
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(invalid()),
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self).ok_or_else(invalid);
        }
        let value: f64 = number.parse().map_err(|_| invalid())?;
        #[expect(clippy::cast_precision_loss, reason = "sizes with a decimal point are approximate by intent")]
        let bytes = value * factor as f64;
        #[expect(clippy::cast_precision_loss, reason = "a bound, not a value")]
        let fits = bytes.is_finite() && bytes < u64::MAX as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to fit; no sign is parsed"
        )]
        if fits { Ok(Self(bytes as u64)) } else { Err(invalid()) }
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, size) in UNITS {
            if self.0 >= size {
                #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
                let value = self.0 as f64 / size as f64;
                return if self.0.is_multiple_of(size) {
                    write!(f, "{} {name}", self.0 / size)
                } else {
                    write!(f, "{value:.1} {name}")
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("512MiB", 512 << 20), ("64m", 64 << 20), ("1.5 GB", 1_500_000_000), ("10kb", 10_000)]
        {
            assert_eq!(text.parse(), Ok(ByteCount(bytes)), "{text}");
        }
        for wrong in ["", "MiB", "1 parsec", "-1", "1..2", "99999999999T"] {
            assert!(wrong.parse::<ByteCount>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_in_binary_units() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1 << 20, "1 MiB"), (1_500_000_000, "1.4 GiB")] {
            assert_eq!(ByteCount(bytes).to_string(), text);
        }
    }
}
