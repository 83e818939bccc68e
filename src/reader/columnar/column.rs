//! One column of a block to one column of a batch: as it is where possible, cell by cell where not.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Decimal128Array, GenericByteArray, PrimitiveArray, TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, ByteArrayType, DataType, Date32Type, Decimal64Type, Decimal128Type, Field, FieldRef,
    Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::cell::{self, DAYS, MICROS};
use crate::model::{Column, ColumnType, Rule};
use crate::reader::cast::{Cell, ColumnBuilder};

/// A converted column.
pub(super) struct Made {
    /// Its values, as the column's Arrow type.
    pub(super) array: ArrayRef,
    /// The rows whose values are no values of the column, ascending. What the array holds there means nothing.
    pub(super) faults: Vec<(usize, Fault)>,
}

/// A value that a column does not take.
pub(super) struct Fault {
    pub(super) value: String,
    pub(super) rule: Rule,
}

/// Converts an array to what `column` wants.
pub(super) fn convert(source: &ArrayRef, column: &Column) -> Result<Made, ArrowError> {
    if let Some(array) = as_it_is(source, column) {
        return Ok(Made { array, faults: Vec::new() });
    }
    let source = plain(source, is_text(&column.ty))?;
    if let Some(array) = fast(&source, column) {
        debug_assert_eq!(array.data_type(), &column.ty.arrow());
        return Ok(Made { array, faults: Vec::new() });
    }
    Ok(slow(&source, column))
}

fn is_text(ty: &ColumnType) -> bool {
    ty.is_text() || matches!(ty, ColumnType::Other(_))
}

/// Replaces types that are only another way to store a value: dictionaries, views, runs; and turns into text what no
/// column has a type for. `text` says that the column is one.
fn plain(array: &ArrayRef, text: bool) -> Result<ArrayRef, ArrowError> {
    let wanted = match array.data_type() {
        // Beyond the 128 bits that other columns have.
        DataType::Decimal256(..) if text => DataType::Utf8,
        other => plain_type(other),
    };
    if wanted == *array.data_type() { Ok(Arc::clone(array)) } else { cast(array, &wanted) }
}

fn plain_type(ty: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        Arc::new(Field::new(field.name(), plain_type(field.data_type()), field.is_nullable()))
    };
    match ty {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, value) => plain_type(value.data_type()),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Interval(_) => DataType::Utf8,
        DataType::List(items) => DataType::List(field(items)),
        DataType::LargeList(items) => DataType::LargeList(field(items)),
        DataType::FixedSizeList(items, size) => DataType::FixedSizeList(field(items), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

/// The same for all columns of a batch.
pub(in crate::reader) fn plain_batch(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = rows.columns().iter().map(|column| plain(column, false)).collect::<Result<_, _>>()?;
    let fields = rows.schema_ref().fields().iter().zip(&columns);
    let fields: Vec<Field> =
        fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)
}

/// Cell by cell, by the rules of every other input.
fn slow(source: &ArrayRef, column: &Column) -> Made {
    let mut builder = ColumnBuilder::new(column);
    let mut faults = Vec::new();
    for row in 0..source.len() {
        let result = match cell::cell(source, row) {
            Ok(cell) => builder.append(cell),
            Err(rule) => {
                // Whether or not the column takes NULL, something stands in this row, and the row is left out.
                let _ = builder.append(Cell::Null);
                Err(rule)
            }
        };
        if let Err(rule) = result {
            faults.push((row, Fault { value: cell::shown(source, row), rule }));
        }
    }
    Made { array: builder.finish(), faults }
}

/// The array as it is if encoders take it so, although it is not the column's Arrow type: text in views, decimals in 64 bits.
fn as_it_is(source: &ArrayRef, column: &Column) -> Option<ArrayRef> {
    if !column.nullable && source.logical_null_count() > 0 {
        return None;
    }
    let fits = match (&column.ty, source.data_type()) {
        (ColumnType::Char(bytes_max) | ColumnType::Varchar(bytes_max), DataType::Utf8View) => {
            source.as_string_view().lengths().all(|length| length <= *bytes_max)
        }
        (ColumnType::Decimal { precision, scale }, DataType::Decimal64(_, other))
            if i16::from(*scale) == i16::from(*other) =>
        {
            // A type of more digits takes them all.
            10_u64
                .checked_pow(u32::from(*precision))
                .is_none_or(|end| all(source.as_primitive::<Decimal64Type>(), |value| value.unsigned_abs() < end))
        }
        _ => false,
    };
    fits.then(|| Arc::clone(source))
}

/// The array as it is, or a lossless cast of it, if every value passes the column's checks.
fn fast(source: &ArrayRef, column: &Column) -> Option<ArrayRef> {
    if !column.nullable && source.logical_null_count() > 0 {
        return None;
    }
    match (&column.ty, source.data_type()) {
        (ColumnType::Boolean, DataType::Boolean) => Some(Arc::clone(source)),
        (
            ColumnType::TinyInt
            | ColumnType::SmallInt
            | ColumnType::Int
            | ColumnType::BigInt
            | ColumnType::LargeInt
            | ColumnType::Double,
            ty,
        ) if ty.is_integer() => integers(source, &column.ty.arrow()),
        (ColumnType::Float, DataType::Float32) => {
            all(source.as_primitive::<Float32Type>(), f32::is_finite).then(|| Arc::clone(source))
        }
        (ColumnType::Double, DataType::Float64) => {
            all(source.as_primitive::<Float64Type>(), f64::is_finite).then(|| Arc::clone(source))
        }
        (ColumnType::Double, DataType::Float32) => {
            let finite = all(source.as_primitive::<Float32Type>(), f32::is_finite);
            if finite { cast(source, &DataType::Float64).ok() } else { None }
        }
        (ColumnType::Decimal { precision, scale }, DataType::Decimal128(_, other))
            if i16::from(*scale) == i16::from(*other) =>
        {
            decimal(source.as_primitive(), *precision, *other)
        }
        (ColumnType::Date, DataType::Date32) => {
            all(source.as_primitive::<Date32Type>(), |day| DAYS.contains(&day)).then(|| Arc::clone(source))
        }
        (ColumnType::DateTime, DataType::Timestamp(unit, _)) => datetime(source, *unit),
        (ColumnType::Char(bytes_max) | ColumnType::Varchar(bytes_max), DataType::Utf8) => {
            short(source.as_string::<i32>(), *bytes_max).then(|| Arc::clone(source))
        }
        (ColumnType::Varbinary(bytes_max), DataType::Binary) => {
            short(source.as_binary::<i32>(), *bytes_max).then(|| Arc::clone(source))
        }
        _ => None,
    }
}

/// Integers as another type, if it holds each of them.
fn integers(source: &ArrayRef, wanted: &DataType) -> Option<ArrayRef> {
    if source.data_type() == wanted {
        return Some(Arc::clone(source));
    }
    // A double holds every integer of 32 bits.
    if *wanted == DataType::Float64 && bits(source.data_type()) > 32 {
        return None;
    }
    // A value that does not fit is an error, and one for the slow way to name.
    cast_with_options(source, wanted, &CastOptions { safe: false, ..CastOptions::default() }).ok()
}

fn bits(ty: &DataType) -> usize {
    ty.primitive_width().map_or(usize::MAX, |bytes| bytes * 8)
}

/// Whether `check` holds for every value that is not NULL.
fn all<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, check: impl Fn(T::Native) -> bool) -> bool {
    match array.nulls() {
        None => array.values().iter().all(|value| check(*value)),
        Some(nulls) => array.values().iter().zip(nulls).all(|(value, valid)| !valid || check(*value)),
    }
}

fn decimal(source: &Decimal128Array, precision: u8, scale: i8) -> Option<ArrayRef> {
    let end = 10_u128.pow(u32::from(precision));
    if !all::<Decimal128Type>(source, |value| value.unsigned_abs() < end) {
        return None;
    }
    let array = source.clone().with_precision_and_scale(precision, scale).ok()?;
    Some(Arc::new(array))
}

/// Timestamps of any unit and zone as microseconds without one.
fn datetime(source: &ArrayRef, unit: TimeUnit) -> Option<ArrayRef> {
    if unit == TimeUnit::Microsecond {
        let array = source.as_primitive::<TimestampMicrosecondType>();
        let fits = all(array, |micros| MICROS.contains(&micros));
        return fits.then(|| Arc::new(array.clone().with_timezone_opt(None::<Arc<str>>)) as ArrayRef);
    }
    let micros: Option<Vec<i64>> =
        (0..source.len())
            .map(|row| {
                if source.is_null(row) { Some(0) } else { cell::micros(unit, cell::timestamp(source, unit, row)).ok() }
            })
            .collect();
    let array = TimestampMicrosecondArray::new(micros?.into(), source.nulls().cloned());
    Some(Arc::new(array))
}

/// Whether no value has more than `bytes_max` bytes. Values under a NULL count too; they only cost the slow way.
fn short<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>, bytes_max: u32) -> bool {
    array.value_offsets().windows(2).all(|pair| (pair[1] - pair[0]).unsigned_abs() <= bytes_max)
}
