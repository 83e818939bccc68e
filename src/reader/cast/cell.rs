//! [`Cell`]: one value of an input, as its format has it.

use std::fmt::Write as _;

use super::json;
use super::time;

/// One value as the input has it, on its way to become the table's.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A boolean of a typed input.
    Bool(bool),
    /// An integer of a typed input.
    Int(i128),
    /// A 32-bit binary number of a typed input.
    Float32(f32),
    /// A 64-bit binary number of a typed input.
    Float(f64),
    /// An exact decimal number of a typed input: `unscaled` · 10^-`scale`.
    Decimal {
        /// The digits as one integer.
        unscaled: i128,
        /// How many of them stand behind the point.
        scale: i8,
    },
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 00:00, without a zone.
    DateTime(i64),
    /// Text: a CSV field, or the text of a typed input.
    Text(&'a str),
    /// Bytes of a binary input.
    Bytes(&'a [u8]),
    /// One JSON value, as its text stands in the input; `null` too.
    Json(&'a str),
    /// A list of a typed input.
    List(Vec<Cell<'a>>),
    /// A map of a typed input.
    Map(Vec<(Cell<'a>, Cell<'a>)>),
    /// A struct of a typed input: names and values.
    Struct(Vec<(&'a str, Cell<'a>)>),
}

impl Cell<'_> {
    /// About how many bytes of memory the value takes as the table's.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len() + 4,
            Self::Bytes(bytes) => bytes.len() + 4,
            Self::List(items) => items.iter().map(Cell::size).sum::<usize>() + 4,
            Self::Map(entries) => entries.iter().map(|(key, value)| key.size() + value.size()).sum::<usize>() + 4,
            Self::Struct(fields) => fields.iter().map(|(_, value)| value.size()).sum(),
            _ => 8,
        }
    }

    /// Appends the value as text: what a text column holds, and what a reject shows. False if it is none: bytes that
    /// are no UTF-8.
    pub(super) fn write(&self, out: &mut String) -> bool {
        match self {
            Self::Null => out.push_str("NULL"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => write!(out, "{value}").expect("a String takes any text"),
            Self::Float32(value) => write_float(f64::from(*value), &format!("{value:?}"), out),
            Self::Float(value) => write_float(*value, &format!("{value:?}"), out),
            Self::Decimal { unscaled, scale } => write_decimal(*unscaled, *scale, out),
            Self::Date(days) => match time::check_days(*days) {
                Ok(days) => time::write_date(days, out),
                Err(_) => write!(out, "day {days} from 1970-01-01").expect("a String takes any text"),
            },
            Self::DateTime(micros) => match time::check_micros(*micros) {
                Ok(micros) => time::write_datetime(micros, out),
                Err(_) => write!(out, "microsecond {micros} from 1970-01-01").expect("a String takes any text"),
            },
            Self::Text(text) | Self::Json(text) => out.push_str(text),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => out.push_str(text),
                Err(_) => return false,
            },
            Self::List(_) | Self::Map(_) | Self::Struct(_) => json::write(self, out),
        }
        true
    }

    /// The value as a reject shows it, cut to a readable length.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = String::new();
        match self {
            // Cut before they are copied: the longest values are those that do not fit.
            Self::Text(whole) | Self::Json(whole) => return cut(whole),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(whole) => return cut(whole),
                Err(_) => text.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)])),
            },
            _ => _ = self.write(&mut text),
        }
        cut(&text)
    }
}

/// What is shown of a value at most: a few lines of a terminal. The whole of it is in the raw record.
const SHOWN_BYTES_MAX: usize = 256;

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

/// Writes integral numbers without `.0`, as `1e16` counts beyond: `debug` is the shortest text that Rust has for it.
fn write_float(value: f64, debug: &str, out: &mut String) {
    out.push_str(if value.is_finite() { debug.strip_suffix(".0").unwrap_or(debug) } else { debug });
}

/// Writes a decimal number without an exponent, with as many digits behind the point as its scale says.
fn write_decimal(unscaled: i128, scale: i8, out: &mut String) {
    let digits = unscaled.unsigned_abs().to_string();
    if unscaled < 0 {
        out.push('-');
    }
    match usize::try_from(scale) {
        Ok(0) => out.push_str(&digits),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            write!(out, "{whole}.{fraction}").expect("a String takes any text");
        }
        Err(_) => {
            out.push_str(&digits);
            if unscaled != 0 {
                out.extend(std::iter::repeat_n('0', usize::from(scale.unsigned_abs())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_a_person_writes_them() {
        for (cell, text) in [
            (Cell::Null, "NULL"),
            (Cell::Bool(true), "true"),
            (Cell::Int(-5), "-5"),
            (Cell::Float(0.1), "0.1"),
            (Cell::Float(3.0), "3"),
            (Cell::Float32(0.1), "0.1"),
            (Cell::Float(f64::NAN), "NaN"),
            (Cell::Decimal { unscaled: -5, scale: 2 }, "-0.05"),
            (Cell::Decimal { unscaled: 1234, scale: 2 }, "12.34"),
            (Cell::Decimal { unscaled: 12, scale: -2 }, "1200"),
            (Cell::Date(0), "1970-01-01"),
            (Cell::DateTime(1), "1970-01-01 00:00:00.000001"),
            (Cell::Bytes(b"ab"), "ab"),
            (Cell::List(vec![Cell::Int(1), Cell::Null, Cell::Text("a\"b")]), r#"[1,null,"a\"b"]"#),
            (Cell::Struct(vec![("d", Cell::Date(0))]), r#"{"d":"1970-01-01"}"#),
            (Cell::Map(vec![(Cell::Int(1), Cell::Bool(false))]), r#"{"1":false}"#),
        ] {
            assert_eq!(cell.shown(), text);
        }
    }

    #[test]
    fn a_long_value_is_cut_between_two_characters() {
        let text = "ä".repeat(1000);
        let shown = Cell::Text(&text).shown();
        assert_eq!(shown.chars().count(), SHOWN_BYTES_MAX / 2 + 1);
        assert!(shown.ends_with('…'));
    }
}
