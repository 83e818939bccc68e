//! Values on the MySQL wire, in both directions.

use std::borrow::Cow;
use std::io::{self, Write};

use opensrv_mysql::{Column, ColumnType, ToMysqlValue, ValueInner};

use crate::sandbox::function::hex_text;

/// A value of a result, as its text. The binary protocol is written from the text too: it is a small price for having one
/// place that says how a value looks.
pub(super) struct Cell(Option<Box<[u8]>>);

impl Cell {
    pub(super) fn new(text: Option<Cow<'_, [u8]>>) -> Self {
        Self(text.map(|text| text.into_owned().into_boxed_slice()))
    }

    /// The text of a value that is no NULL, which the library has asked about before.
    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    fn parse<T: std::str::FromStr>(&self, column: &Column) -> io::Result<T> {
        let parsed = str::from_utf8(self.bytes()).ok().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| {
            let text = String::from_utf8_lossy(self.bytes());
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{text}` in column {} is not of its type", column.column),
            )
        })
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        Self(text.map(|text| text.into_bytes().into_boxed_slice()))
    }
}

impl ToMysqlValue for Cell {
    fn to_mysql_text<W: Write>(&self, w: &mut W) -> io::Result<()> {
        match &self.0 {
            None => w.write_all(&[0xfb]),
            Some(bytes) => length_encoded(w, bytes),
        }
    }

    fn to_mysql_bin<W: Write>(&self, w: &mut W, column: &Column) -> io::Result<()> {
        match column.coltype {
            ColumnType::MYSQL_TYPE_TINY => w.write_all(&self.parse::<i8>(column)?.to_le_bytes()),
            ColumnType::MYSQL_TYPE_SHORT => w.write_all(&self.parse::<i16>(column)?.to_le_bytes()),
            ColumnType::MYSQL_TYPE_LONG => w.write_all(&self.parse::<i32>(column)?.to_le_bytes()),
            ColumnType::MYSQL_TYPE_LONGLONG => w.write_all(&self.parse::<i64>(column)?.to_le_bytes()),
            ColumnType::MYSQL_TYPE_FLOAT => w.write_all(&self.parse::<f32>(column)?.to_le_bytes()),
            ColumnType::MYSQL_TYPE_DOUBLE => w.write_all(&self.parse::<f64>(column)?.to_le_bytes()),
            ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_DATETIME => w.write_all(&moment(self.bytes())),
            _ => length_encoded(w, self.bytes()),
        }
    }

    fn is_null(&self) -> bool {
        self.0.is_none()
    }
}

/// Bytes behind their length, which takes one byte up to 250.
fn length_encoded<W: Write>(w: &mut W, bytes: &[u8]) -> io::Result<()> {
    let length = bytes.len() as u64;
    let spelled = length.to_le_bytes();
    match length {
        0..=250 => w.write_all(&spelled[..1])?,
        251..=0xffff => w.write_all(&[0xfc, spelled[0], spelled[1]])?,
        0x1_0000..=0xff_ffff => w.write_all(&[0xfd, spelled[0], spelled[1], spelled[2]])?,
        _ => {
            w.write_all(&[0xfe])?;
            w.write_all(&spelled)?;
        }
    }
    w.write_all(bytes)
}

/// `YYYY-MM-DD[ HH:MM:SS[.ffffff]]` in the binary form: a length, then as many parts as there are.
fn moment(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut parts = text.split(['-', ' ', ':', '.']).map(|part| part.parse::<u32>().unwrap_or_default());
    let mut bytes = Vec::with_capacity(12);
    let year = parts.next().unwrap_or_default();
    bytes.extend(&year.to_le_bytes()[..2]);
    for (at, part) in parts.enumerate() {
        // Month, day, hour, minute and second take a byte each, the microseconds four.
        let width = if at < 5 { 1 } else { 4 };
        bytes.extend(&part.to_le_bytes()[..width]);
    }
    let length = u8::try_from(bytes.len()).expect("there are at most eleven bytes");
    bytes.insert(0, length);
    bytes
}

/// A parameter of a prepared statement as a literal of StarRocks' SQL.
pub(super) fn literal(value: ValueInner<'_>) -> String {
    match value {
        ValueInner::NULL => "NULL".to_owned(),
        ValueInner::Int(number) => number.to_string(),
        ValueInner::UInt(number) => number.to_string(),
        ValueInner::Double(number) => format!("CAST('{number:e}' AS DOUBLE)"),
        ValueInner::Bytes(bytes) => match str::from_utf8(bytes) {
            Ok(text) => quoted(text),
            Err(_) => format!("X'{}'", hex_text(bytes)),
        },
        ValueInner::Date(bytes) | ValueInner::Datetime(bytes) => quoted(&moment_text(bytes)),
        ValueInner::Time(bytes) => quoted(&time_text(bytes)),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn moment_text(bytes: &[u8]) -> String {
    let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
    let date = format!("{:04}-{:02}-{:02}", u16::from_le_bytes([at(0), at(1)]), at(2), at(3));
    match bytes.len() {
        0..=4 => date,
        5..=7 => format!("{date} {:02}:{:02}:{:02}", at(4), at(5), at(6)),
        _ => {
            let micros = u32::from_le_bytes([at(7), at(8), at(9), at(10)]);
            format!("{date} {:02}:{:02}:{:02}.{micros:06}", at(4), at(5), at(6))
        }
    }
}

fn time_text(bytes: &[u8]) -> String {
    let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
    let days = u32::from_le_bytes([at(1), at(2), at(3), at(4)]);
    let sign = if at(0) == 1 { "-" } else { "" };
    format!("{sign}{:02}:{:02}:{:02}", days * 24 + u32::from(at(5)), at(6), at(7))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_literals_that_cannot_break_out() {
        assert_eq!(literal(ValueInner::Bytes(b"it's \\' OR 1")), "'it''s \\\\'' OR 1'");
        assert_eq!(literal(ValueInner::Bytes(&[0xff, 0x00])), "X'FF00'");
        assert_eq!(
            literal(ValueInner::Datetime(&[0xe8, 0x07, 2, 29, 1, 2, 3, 1, 0, 0, 0])),
            "'2024-02-29 01:02:03.000001'"
        );
        assert_eq!(literal(ValueInner::Date(&[0xe8, 0x07, 2, 29])), "'2024-02-29'");
    }

    #[test]
    fn moments_are_packed_into_their_parts() {
        assert_eq!(moment(b"2024-02-29"), [4, 0xe8, 0x07, 2, 29]);
        assert_eq!(moment(b"2024-02-29 01:02:03"), [7, 0xe8, 0x07, 2, 29, 1, 2, 3]);
        assert_eq!(moment(b"2024-02-29 01:02:03.000001"), [11, 0xe8, 0x07, 2, 29, 1, 2, 3, 1, 0, 0, 0]);
    }

    #[test]
    fn long_values_carry_long_lengths() {
        for (length, head) in [(250, vec![250]), (251, vec![0xfc, 251, 0]), (70_000, vec![0xfd, 0x70, 0x11, 0x01])] {
            let mut out = Vec::new();
            length_encoded(&mut out, &vec![b'x'; length]).expect("memory takes it");
            assert_eq!(out[..head.len()], head[..]);
            assert_eq!(out.len(), head.len() + length);
        }
    }
}
