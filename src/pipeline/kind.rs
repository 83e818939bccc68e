//! [`Kind`]: what the relays know of a column's type: how its values are written that may travel as they are, and how others
//! are written anew.

use super::canonical;
use crate::encoder::{self, scalar};
use crate::model::{ColumnType, WireFormat};
use crate::reader::cast::{number, time};

/// A type, as the relays see it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Boolean,
    /// Integers of fewer digits than the first fit; the limits decide for those of just as many.
    Integer(usize, Option<(i64, i64)>),
    Float,
    Double,
    Decimal(u8, u8),
    Date,
    DateTime,
    /// Text of at most so many bytes.
    Text(usize),
    /// A JSON document.
    Document,
}

impl Kind {
    pub(super) fn of(ty: &ColumnType) -> Option<Self> {
        let integer = |digits, least: i64, most: i64| Self::Integer(digits, Some((least, most)));
        Some(match ty {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::TinyInt => integer(3, i8::MIN.into(), i8::MAX.into()),
            ColumnType::SmallInt => integer(5, i16::MIN.into(), i16::MAX.into()),
            ColumnType::Int => integer(10, i32::MIN.into(), i32::MAX.into()),
            ColumnType::BigInt => integer(19, i64::MIN, i64::MAX),
            ColumnType::LargeInt => Self::Integer(39, None),
            ColumnType::Float => Self::Float,
            ColumnType::Double => Self::Double,
            ColumnType::Decimal { precision, scale } => Self::Decimal(*precision, *scale),
            ColumnType::Date => Self::Date,
            ColumnType::DateTime => Self::DateTime,
            ColumnType::Char(bytes) | ColumnType::Varchar(bytes) => Self::Text(usize::try_from(*bytes).ok()?),
            ColumnType::Json => Self::Document,
            ColumnType::Varbinary(_)
            | ColumnType::Array(_)
            | ColumnType::Map(..)
            | ColumnType::Struct(_)
            | ColumnType::Other(_) => return None,
        })
    }

    /// Whether values are strings on the wire.
    pub(super) fn is_string(self, wire: WireFormat) -> bool {
        match self {
            Self::Text(_) => true,
            // What JSON's numbers do not hold, or what is no number (SR §6.8).
            Self::Integer(_, None) | Self::Decimal(..) | Self::Date | Self::DateTime => wire == WireFormat::Json,
            Self::Boolean | Self::Integer(..) | Self::Float | Self::Double | Self::Document => false,
        }
    }

    /// Whether what is written rightly is written as a number.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Integer(..) | Self::Float | Self::Double | Self::Decimal(..))
    }

    /// Whether a value that is no text is written in a way that may travel.
    #[inline]
    pub(super) fn is_canonical(self, field: canonical::Field) -> bool {
        match self {
            Self::Integer(digits, range) => canonical::integer(field, digits, range),
            Self::Decimal(precision, scale) => canonical::decimal(field, precision, scale),
            Self::Date => canonical::date(field),
            Self::DateTime => canonical::datetime(field),
            Self::Double => canonical::double(field),
            Self::Float => canonical::float(field),
            Self::Boolean => canonical::boolean(field),
            Self::Text(_) | Self::Document => false,
        }
    }

    /// Writes a value that is no text, no document and not written in such a way.
    #[cold]
    pub(super) fn write_anew(self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Odd> {
        let text = std::str::from_utf8(text).map_err(|_| Odd)?;
        let parsed = |_| Odd;
        match self {
            Self::Boolean => match text {
                "1" => out.extend_from_slice(b"true"),
                "0" => out.extend_from_slice(b"false"),
                _ if text.eq_ignore_ascii_case("true") => out.extend_from_slice(b"true"),
                _ if text.eq_ignore_ascii_case("false") => out.extend_from_slice(b"false"),
                _ => return Err(Odd),
            },
            Self::Integer(_, range) => {
                let value = number::integer(text).map_err(parsed)?;
                if range.is_some_and(|(least, most)| !(i128::from(least)..=i128::from(most)).contains(&value)) {
                    return Err(Odd);
                }
                scalar::append(out, |to| Ok(scalar::integer(value, to, 0)))?;
            }
            Self::Decimal(precision, scale) => {
                let value = number::decimal(text, precision, scale).map_err(parsed)?;
                scalar::append(out, |to| Ok(scalar::decimal(value, scale, to, 0)))?;
            }
            Self::Double => {
                let value = number::double(text).map_err(parsed)?;
                scalar::append(out, |to| scalar::double(value, to, 0))?;
            }
            Self::Float => {
                let value = number::float(text).map_err(parsed)?;
                scalar::append(out, |to| scalar::float(value, to, 0))?;
            }
            Self::Date => {
                let value = time::date(text).map_err(parsed)?;
                scalar::append(out, |to| scalar::date(value, to, 0))?;
            }
            Self::DateTime => {
                let value = time::datetime(text).map_err(parsed)?;
                scalar::append(out, |to| scalar::datetime(value, to, 0))?;
            }
            Self::Text(_) | Self::Document => return Err(Odd),
        }
        Ok(())
    }
}

/// The record is not a row that the relay can make.
pub(super) struct Odd;

impl From<encoder::Unfit> for Odd {
    fn from(_: encoder::Unfit) -> Self {
        Self
    }
}
