//! One value of an Arrow array as a [`Cell`].

use arrow::array::{
    Array, ArrayRef, AsArray as _, GenericListArray, GenericListViewArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType as _, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use crate::model::Rule;
use crate::reader::cast::{Cell, write_json};

const DAY_MILLIS: i64 = 86_400_000;

/// The value at `index` of an array that [`plain`](super::column::plain) has been over.
///
/// # Errors
/// The rule that it breaks: it is a value that no column holds exactly, whatever its type.
pub(super) fn cell(array: &dyn Array, index: usize) -> Result<Cell<'_>, Rule> {
    if array.is_null(index) {
        return Ok(Cell::Null);
    }
    macro_rules! integer {
        ($ty:ty) => {
            Cell::Int(i128::from(array.as_primitive::<$ty>().value(index)))
        };
    }
    macro_rules! decimal {
        ($ty:ty, $scale:expr) => {
            Cell::Decimal { unscaled: i128::from(array.as_primitive::<$ty>().value(index)), scale: *$scale }
        };
    }
    Ok(match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(index)),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Duration(TimeUnit::Second) => integer!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => integer!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => integer!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => integer!(DurationNanosecondType),
        DataType::Float16 => Cell::Float32(array.as_primitive::<Float16Type>().value(index).to_f32()),
        DataType::Float32 => Cell::Float32(array.as_primitive::<Float32Type>().value(index)),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(index)),
        DataType::Decimal32(_, scale) => decimal!(Decimal32Type, scale),
        DataType::Decimal64(_, scale) => decimal!(Decimal64Type, scale),
        DataType::Decimal128(_, scale) => decimal!(Decimal128Type, scale),
        DataType::Decimal256(_, scale) => {
            let unscaled = array.as_primitive::<Decimal256Type>().value(index).to_i128();
            Cell::Decimal { unscaled: unscaled.ok_or_else(beyond_decimal)?, scale: *scale }
        }
        DataType::Date32 => day(array.as_primitive::<Date32Type>().value(index))?,
        DataType::Date64 => milliseconds(array.as_primitive::<Date64Type>().value(index))?,
        DataType::Timestamp(unit, _) => time(*unit, timestamp(array, *unit, index))?,
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(index)),
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(index)),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(index)),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(index)),
        DataType::LargeBinary => Cell::Bytes(array.as_binary::<i64>().value(index)),
        DataType::BinaryView => Cell::Bytes(array.as_binary_view().value(index)),
        DataType::FixedSizeBinary(_) => Cell::Bytes(array.as_fixed_size_binary().value(index)),
        _ => return nested(array, index),
    })
}

fn nested(array: &dyn Array, index: usize) -> Result<Cell<'_>, Rule> {
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>(), index),
        DataType::LargeList(_) => list(array.as_list::<i64>(), index),
        DataType::ListView(_) => list_view(array.as_list_view::<i32>(), index),
        DataType::LargeListView(_) => list_view(array.as_list_view::<i64>(), index),
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or_default();
            let start = index * size;
            items(list.values(), start, start + size)
        }
        DataType::Struct(_) => structure(array.as_struct(), index),
        DataType::Map(..) => map(array.as_map(), index),
        DataType::Dictionary(key, _) => match **key {
            DataType::Int8 => entry::<Int8Type>(array, index),
            DataType::Int16 => entry::<Int16Type>(array, index),
            DataType::Int32 => entry::<Int32Type>(array, index),
            DataType::Int64 => entry::<Int64Type>(array, index),
            DataType::UInt8 => entry::<UInt8Type>(array, index),
            DataType::UInt16 => entry::<UInt16Type>(array, index),
            DataType::UInt32 => entry::<UInt32Type>(array, index),
            _ => entry::<UInt64Type>(array, index),
        },
        other => Err(Rule { code: "wrong-kind", text: format!("no column holds a value of the type {other}") }),
    }
}

fn list<O: OffsetSizeTrait>(list: &GenericListArray<O>, index: usize) -> Result<Cell<'_>, Rule> {
    let offsets = list.value_offsets();
    items(list.values(), offsets[index].as_usize(), offsets[index + 1].as_usize())
}

fn list_view<O: OffsetSizeTrait>(list: &GenericListViewArray<O>, index: usize) -> Result<Cell<'_>, Rule> {
    let start = list.value_offset(index).as_usize();
    items(list.values(), start, start + list.value_size(index).as_usize())
}

fn items(values: &ArrayRef, from: usize, to: usize) -> Result<Cell<'_>, Rule> {
    (from..to).map(|index| cell(values, index)).collect::<Result<_, _>>().map(Cell::List)
}

fn structure(array: &StructArray, index: usize) -> Result<Cell<'_>, Rule> {
    let fields = array.fields().iter().zip(array.columns());
    let cells = fields.map(|(field, column)| Ok((field.name().as_str(), cell(column, index)?)));
    cells.collect::<Result<_, _>>().map(Cell::Struct)
}

fn map(array: &MapArray, index: usize) -> Result<Cell<'_>, Rule> {
    let offsets = array.value_offsets();
    let range = offsets[index].as_usize()..offsets[index + 1].as_usize();
    let cells = range.map(|entry| Ok((cell(array.keys(), entry)?, cell(array.values(), entry)?)));
    cells.collect::<Result<_, _>>().map(Cell::Map)
}

fn entry<K: ArrowDictionaryKeyType>(array: &dyn Array, index: usize) -> Result<Cell<'_>, Rule> {
    let dictionary = array.as_dictionary::<K>();
    let key = dictionary.key(index).expect("the value is not NULL");
    cell(dictionary.values(), key)
}

pub(super) fn timestamp(array: &dyn Array, unit: TimeUnit, index: usize) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(index),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(index),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(index),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(index),
    }
}

/// 0000-01-01 and 9999-12-31 as days since 1970-01-01.
pub(super) const DAYS: std::ops::RangeInclusive<i32> = -719_528..=2_932_896;

/// Their first and last microsecond.
pub(super) const MICROS: std::ops::RangeInclusive<i64> =
    *DAYS.start() as i64 * DAY_MILLIS * 1000..=(*DAYS.end() as i64 + 1) * DAY_MILLIS * 1000 - 1;

// Checked here and not only where a DATE is built: a text column would otherwise take a day that has no date as whatever
// stands for it.
fn day(days: i32) -> Result<Cell<'static>, Rule> {
    if DAYS.contains(&days) { Ok(Cell::Date(days)) } else { Err(beyond_years()) }
}

fn milliseconds(millis: i64) -> Result<Cell<'static>, Rule> {
    match i32::try_from(millis / DAY_MILLIS) {
        Ok(days) if millis % DAY_MILLIS == 0 => day(days),
        _ => time(TimeUnit::Millisecond, millis),
    }
}

fn time(unit: TimeUnit, value: i64) -> Result<Cell<'static>, Rule> {
    micros(unit, value).map(Cell::DateTime)
}

/// A timestamp in microseconds, if it is one of the years 0000 to 9999 and has nothing below a microsecond.
pub(super) fn micros(unit: TimeUnit, value: i64) -> Result<i64, Rule> {
    let micros = match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond if value % 1000 != 0 => {
            return Err(Rule {
                code: "too-precise",
                text: "a DATETIME takes 6 digits behind the second's point".into(),
            });
        }
        TimeUnit::Nanosecond => Some(value / 1000),
    };
    micros.filter(|micros| MICROS.contains(micros)).ok_or_else(beyond_years)
}

fn beyond_years() -> Rule {
    Rule { code: "out-of-range", text: "DATE and DATETIME lie in the years 0000 to 9999".into() }
}

fn beyond_decimal() -> Rule {
    Rule { code: "out-of-range", text: "a DECIMAL has at most 38 digits".into() }
}

/// The value at `index` as a reject shows it.
pub(super) fn shown(array: &dyn Array, index: usize) -> String {
    match cell(array, index) {
        Ok(cell) => cell.shown(),
        Err(_) => displayed(array, index),
    }
}

/// Values that no column holds, in Arrow's own words.
fn displayed(array: &dyn Array, index: usize) -> String {
    array_value_to_string(array, index).unwrap_or_else(|error| error.to_string())
}

/// A row as one JSON object, with every column.
#[must_use]
pub fn row_as_json(rows: &RecordBatch, row: usize) -> String {
    let mut out = String::from("{");
    for (index, (field, column)) in rows.schema_ref().fields().iter().zip(rows.columns()).enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_json(&Cell::Text(field.name()), &mut out);
        out.push(':');
        match cell(column, row) {
            Ok(cell) => write_json(&cell, &mut out),
            Err(_) => write_json(&Cell::Text(&displayed(column, row)), &mut out),
        }
    }
    out.push('}');
    out
}
