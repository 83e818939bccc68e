//! The columns of one batch, each resolved once to its typed values, so that the row loop only matches and indexes.

use std::ops::Range;

use arrow::array::{Array, AsArray, BinaryArray, StringArray, StringViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal64Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};

use super::room::{Window, put_text};
use super::slots::{Frame, Slots};
use super::{Unfit, escape, scalar};
use crate::model::ColumnType;

/// The values of one column, or of what is inside a nested one.
pub(super) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    pub(super) values: Values<'a>,
}

/// Values by how a text format treats them.
pub(super) enum Values<'a> {
    Scalar(Scalar<'a>),
    Text(Texts<'a>),
    Json(&'a StringArray),
    Binary(&'a BinaryArray),
    List { offsets: &'a [i32], items: Box<Cells<'a>> },
    Map { offsets: &'a [i32], keys: Box<Cells<'a>>, values: Box<Cells<'a>> },
    // With each field the JSON key in front of it, as `json_key` writes it.
    Struct(Vec<(Vec<u8>, Cells<'a>)>),
}

/// Texts, however they are stored.
pub(super) enum Texts<'a> {
    InRow(&'a StringArray),
    Views(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    fn of(array: &'a dyn Array) -> Self {
        match array.data_type() {
            DataType::Utf8View => Self::Views(array.as_string_view()),
            _ => Self::InRow(array.as_string()),
        }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> &'a [u8] {
        match self {
            Self::InRow(texts) => texts.value(row).as_bytes(),
            Self::Views(texts) => texts.value(row).as_bytes(),
        }
    }
}

/// Values whose text is the same in every format and holds nothing to escape.
pub(super) enum Scalar<'a> {
    Boolean(&'a BooleanBuffer),
    TinyInt(&'a [i8]),
    SmallInt(&'a [i16]),
    Int(&'a [i32]),
    BigInt(&'a [i64]),
    LargeInt(&'a [i128]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Decimal(&'a [i128], u8),
    ShortDecimal(&'a [i64], u8),
    Date(&'a [i32]),
    DateTime(&'a [i64]),
}

impl<'a> Cells<'a> {
    /// Resolves an array that holds values of `ty`.
    ///
    /// # Panics
    /// When the array has another type than [`ColumnType::arrow`] says: batches are typed by it.
    pub(super) fn resolve(ty: &ColumnType, array: &'a dyn Array) -> Self {
        let values = match ty {
            ColumnType::Boolean => Values::Scalar(Scalar::Boolean(array.as_boolean().values())),
            ColumnType::TinyInt => Values::Scalar(Scalar::TinyInt(primitive::<Int8Type>(array))),
            ColumnType::SmallInt => Values::Scalar(Scalar::SmallInt(primitive::<Int16Type>(array))),
            ColumnType::Int => Values::Scalar(Scalar::Int(primitive::<Int32Type>(array))),
            ColumnType::BigInt => Values::Scalar(Scalar::BigInt(primitive::<Int64Type>(array))),
            ColumnType::LargeInt => Values::Scalar(Scalar::LargeInt(primitive::<Decimal128Type>(array))),
            ColumnType::Float => Values::Scalar(Scalar::Float(primitive::<Float32Type>(array))),
            ColumnType::Double => Values::Scalar(Scalar::Double(primitive::<Float64Type>(array))),
            ColumnType::Decimal { scale, .. } if matches!(array.data_type(), DataType::Decimal64(..)) => {
                Values::Scalar(Scalar::ShortDecimal(primitive::<Decimal64Type>(array), *scale))
            }
            ColumnType::Decimal { scale, .. } => {
                Values::Scalar(Scalar::Decimal(primitive::<Decimal128Type>(array), *scale))
            }
            ColumnType::Date => Values::Scalar(Scalar::Date(primitive::<Date32Type>(array))),
            ColumnType::DateTime => Values::Scalar(Scalar::DateTime(primitive::<TimestampMicrosecondType>(array))),
            ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Other(_) => Values::Text(Texts::of(array)),
            ColumnType::Json => Values::Json(array.as_string()),
            ColumnType::Varbinary(_) => Values::Binary(array.as_binary()),
            ColumnType::Array(item) => {
                let list = array.as_list::<i32>();
                Values::List { offsets: list.value_offsets(), items: boxed(item, list.values()) }
            }
            ColumnType::Map(key, value) => {
                let map = array.as_map();
                let (keys, values) = (boxed(key, map.keys()), boxed(value, map.values()));
                Values::Map { offsets: map.value_offsets(), keys, values }
            }
            ColumnType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns()).enumerate();
                Values::Struct(
                    columns
                        .map(|(index, (field, column))| {
                            (json_key(index, &field.name), Self::resolve(&field.ty, column))
                        })
                        .collect(),
                )
            }
        };
        Self { nulls: array.nulls(), values }
    }

    /// Whether these are numbers or dates.
    #[inline]
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.values, Values::Scalar(_))
    }

    /// Writes numbers or dates of these rows into slots.
    pub(super) fn fill(&self, rows: Range<usize>, frame: &Frame, slots: &mut Slots) {
        if let Values::Scalar(scalar) = &self.values {
            slots.resize(rows.len());
            scalar.fill(rows, self.nulls, frame, slots);
        }
    }

    /// Whether the cell is NULL.
    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

fn boxed<'a>(ty: &ColumnType, array: &'a dyn Array) -> Box<Cells<'a>> {
    Box::new(Cells::resolve(ty, array))
}

/// What stands in front of the value of an object's `index`th key: `{"name":` or `,"name":`.
pub(super) fn json_key(index: usize, name: &str) -> Vec<u8> {
    let mut key = vec![if index == 0 { b'{' } else { b',' }];
    escape::json_string(name.as_bytes(), &mut key);
    key.push(b':');
    key
}

/// The items of the nested value in `row`.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "offsets are never negative")]
pub(super) fn items(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

impl Scalar<'_> {
    /// Writes the values of these rows into slots.
    pub(super) fn fill(&self, rows: Range<usize>, nulls: Option<&NullBuffer>, frame: &Frame, slots: &mut Slots) {
        match self {
            Self::Boolean(values) => {
                let text = |value, to: &mut Window, at| put_text(to, at, if value { b"true" } else { b"false" });
                slots.fill(rows, nulls, frame, |row| values.value(row), |value, to, at| Ok(text(value, to, at)));
            }
            Self::TinyInt(values) => integers(values, rows, nulls, frame, slots),
            Self::SmallInt(values) => integers(values, rows, nulls, frame, slots),
            Self::Int(values) => integers(values, rows, nulls, frame, slots),
            Self::BigInt(values) => integers(values, rows, nulls, frame, slots),
            Self::LargeInt(values) => {
                slots.fill(rows, nulls, frame, |row| values[row], |value, to, at| Ok(scalar::integer(value, to, at)));
            }
            Self::Float(values) => slots.fill(rows, nulls, frame, |row| values[row], scalar::float),
            Self::Double(values) => slots.fill(rows, nulls, frame, |row| values[row], scalar::double),
            Self::Decimal(values, scale) => {
                let write = |value, to: &mut Window, at| Ok(scalar::decimal(value, *scale, to, at));
                slots.fill(rows, nulls, frame, |row| values[row], write);
            }
            Self::ShortDecimal(values, scale) => {
                let write = |value, to: &mut Window, at| Ok(scalar::short_decimal(value, *scale, to, at));
                slots.fill(rows, nulls, frame, |row| values[row], write);
            }
            Self::Date(values) => slots.fill(rows, nulls, frame, |row| values[row], scalar::date),
            Self::DateTime(values) => slots.fill(rows, nulls, frame, |row| values[row], scalar::datetime),
        }
    }

    /// Appends the text of the value in `row`, between quotes or not.
    pub(super) fn append(&self, row: usize, quoted: bool, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let mut slot = Slots::default();
        slot.resize(1);
        self.fill(row..row + 1, None, &Frame { null: b"", quoted, tail: None }, &mut slot);
        out.extend_from_slice(slot.text(0)?);
        Ok(())
    }

    /// Whether JSON writes it as a string: what its numbers cannot hold, or what is no number (SR §6.8).
    #[inline]
    pub(super) fn is_json_string(&self) -> bool {
        matches!(
            self,
            Self::LargeInt(_) | Self::Decimal(..) | Self::ShortDecimal(..) | Self::Date(_) | Self::DateTime(_)
        )
    }

    /// Whether it is a string inside the CSV text of an ARRAY or MAP: the server takes dates there only in quotes
    /// (starrocks `DateConverter`, `DatetimeConverter`).
    #[inline]
    pub(super) fn is_csv_element_string(&self) -> bool {
        matches!(self, Self::Date(_) | Self::DateTime(_))
    }
}

#[inline]
fn integers<T: Copy + Into<i64>>(
    values: &[T],
    rows: Range<usize>,
    nulls: Option<&NullBuffer>,
    frame: &Frame,
    slots: &mut Slots,
) {
    let write = |value, to: &mut Window, at| Ok(scalar::small_integer(value, to, at));
    slots.fill(rows, nulls, frame, |row| values[row].into(), write);
}
