//! Values for tests: what a cell holds, batches made of them, and strategies that draw types and values.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray, PrimitiveArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::table::arrow_schema;
use crate::model::{Column, ColumnType, StructField};

/// What a cell holds. Floats are their bits, so that zero is not minus zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    /// Integers, decimals without their point, days and microseconds since 1970.
    Integer(i128),
    Float(u32),
    Double(u64),
    Text(String),
    Json(serde_json::Value),
    Binary(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Vec<Value>),
}

/// Rows of values as a batch with these columns.
pub(super) fn batch(columns: &[Column], rows: &[Vec<Value>]) -> RecordBatch {
    let arrays = columns.iter().enumerate().map(|(index, column)| {
        let values: Vec<_> = rows.iter().map(|row| &row[index]).collect();
        array(&column.ty, &values)
    });
    RecordBatch::try_new(arrow_schema(columns), arrays.collect()).unwrap()
}

fn array(ty: &ColumnType, values: &[&Value]) -> ArrayRef {
    match ty {
        ColumnType::Boolean => collect::<BooleanArray, _>(values, |value| match value {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }),
        ColumnType::TinyInt => integers::<Int8Type>(values),
        ColumnType::SmallInt => integers::<Int16Type>(values),
        ColumnType::Int => integers::<Int32Type>(values),
        ColumnType::BigInt => integers::<Int64Type>(values),
        ColumnType::Date => integers::<Date32Type>(values),
        ColumnType::DateTime => integers::<TimestampMicrosecondType>(values),
        ColumnType::LargeInt | ColumnType::Decimal { .. } => {
            let array: Decimal128Array = values.iter().map(|value| integer(value)).collect();
            Arc::new(array.with_data_type(ty.arrow()))
        }
        ColumnType::Float => collect::<PrimitiveArray<Float32Type>, _>(values, |value| match value {
            Value::Float(bits) => Some(f32::from_bits(*bits)),
            _ => None,
        }),
        ColumnType::Double => collect::<PrimitiveArray<Float64Type>, _>(values, |value| match value {
            Value::Double(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }),
        ColumnType::Varbinary(_) => collect::<BinaryArray, _>(values, |value| match value {
            Value::Binary(bytes) => Some(bytes.clone()),
            _ => None,
        }),
        ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Json | ColumnType::Other(_) => {
            collect::<StringArray, _>(values, |value| match value {
                Value::Text(text) => Some(text.clone()),
                Value::Json(document) => Some(pretty(document)),
                _ => None,
            })
        }
        ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_) => nested_array(ty, values),
    }
}

fn collect<A: Array + FromIterator<Option<T>> + 'static, T>(
    values: &[&Value],
    pick: impl Fn(&Value) -> Option<T>,
) -> ArrayRef {
    Arc::new(values.iter().map(|value| pick(value)).collect::<A>())
}

fn nested_array(ty: &ColumnType, values: &[&Value]) -> ArrayRef {
    let nulls: NullBuffer = values.iter().map(|value| **value != Value::Null).collect();
    match (ty, ty.arrow()) {
        (ColumnType::Array(item), DataType::List(field)) => {
            let list = |value: &'_ &Value| if let Value::Array(items) = value { items.clone() } else { Vec::new() };
            let lists: Vec<_> = values.iter().map(list).collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
            let items: Vec<_> = lists.iter().flatten().collect();
            Arc::new(ListArray::new(field, offsets, array(item, &items), Some(nulls)))
        }
        (ColumnType::Map(key, value), DataType::Map(field, sorted)) => {
            let map = |value: &'_ &Value| if let Value::Map(entries) = value { entries.clone() } else { Vec::new() };
            let maps: Vec<_> = values.iter().map(map).collect();
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(Vec::len));
            let (keys, items): (Vec<_>, Vec<_>) = maps.iter().flatten().map(|(key, value)| (key, value)).unzip();
            let DataType::Struct(fields) = field.data_type().clone() else { unreachable!("entries are a struct") };
            let entries = StructArray::new(fields, vec![array(key, &keys), array(value, &items)], None);
            Arc::new(MapArray::new(field, offsets, entries, Some(nulls), sorted))
        }
        (ColumnType::Struct(members), DataType::Struct(fields)) => {
            let arrays = members.iter().enumerate().map(|(index, member)| {
                let member_of = |value: &&Value| match value {
                    Value::Struct(values) => values[index].clone(),
                    _ => Value::Null,
                };
                let member_values: Vec<_> = values.iter().map(member_of).collect();
                array(&member.ty, &member_values.iter().collect::<Vec<_>>())
            });
            Arc::new(StructArray::new(fields, arrays.collect(), Some(nulls)))
        }
        _ => unreachable!("{ty} is not nested"),
    }
}

/// Over several lines where it can be: the encoder has to cope with that.
fn pretty(document: &serde_json::Value) -> String {
    format!(" {}\r\n", serde_json::to_string_pretty(document).unwrap())
}

fn integer(value: &Value) -> Option<i128> {
    if let Value::Integer(value) = value { Some(*value) } else { None }
}

fn integers<T: ArrowPrimitiveType<Native: TryFrom<i128>>>(values: &[&Value]) -> ArrayRef {
    collect::<PrimitiveArray<T>, _>(values, |value| integer(value)?.try_into().ok())
}

fn scalar_type() -> BoxedStrategy<ColumnType> {
    let decimal =
        (1_u8..=38).prop_flat_map(|precision| (0..=precision).prop_map(move |scale| decimal_type(precision, scale)));
    let plain = select(vec![
        ColumnType::Boolean,
        ColumnType::TinyInt,
        ColumnType::SmallInt,
        ColumnType::Int,
        ColumnType::BigInt,
        ColumnType::LargeInt,
        ColumnType::Float,
        ColumnType::Double,
        ColumnType::Date,
        ColumnType::DateTime,
        ColumnType::Char(255),
    ]);
    prop_oneof![4 => plain, 1 => decimal, 2 => Just(ColumnType::Varchar(65_533))].boxed()
}

fn decimal_type(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

/// Any type that can be loaded by one of the formats.
pub(super) fn column_type() -> BoxedStrategy<ColumnType> {
    let inside = prop_oneof![5 => scalar_type(), 1 => Just(ColumnType::Json)].prop_recursive(2, 8, 3, |inside| {
        prop_oneof![
            inside.clone().prop_map(|item| ColumnType::Array(Box::new(item))),
            (scalar_type(), inside.clone()).prop_map(|(key, value)| ColumnType::Map(Box::new(key), Box::new(value))),
            vec(("[a-z\"\\\\]{1,3}", inside), 1..3).prop_map(|fields| {
                // Two fields of one name would not be a type.
                let named = fields.into_iter().enumerate();
                let field = |(index, (name, ty))| StructField { name: format!("{name}{index}"), ty };
                ColumnType::Struct(named.map(field).collect())
            }),
        ]
    });
    let csv_lists = prop_oneof![
        scalar_type().prop_map(|item| ColumnType::Array(Box::new(item))),
        scalar_type().prop_map(|item| ColumnType::Array(Box::new(ColumnType::Array(Box::new(item))))),
        (scalar_type(), scalar_type()).prop_map(|(key, value)| ColumnType::Map(Box::new(key), Box::new(value))),
    ];
    let binary = Just(ColumnType::Varbinary(1000));
    prop_oneof![6 => scalar_type(), 1 => Just(ColumnType::Json), 1 => binary, 3 => csv_lists, 1 => inside].boxed()
}

/// Strings out of what can go wrong.
pub(super) fn nasty_text() -> BoxedStrategy<String> {
    let whole =
        select(vec!["\\N", "", "null", "\\\\N", "N", " ", " \\N", "\"\"", "[]", "{}", "\\"]).prop_map(str::to_owned);
    let pieces = select(vec![
        "\"",
        "\\",
        "\n",
        "\r",
        "\0",
        ",",
        "\\N",
        "N",
        " ",
        "\t",
        "a",
        "é",
        "😀",
        "\u{1}",
        "\u{7f}",
        "\u{2028}",
        "[",
        "]",
        "{",
        "}",
        ":",
        "null",
        "0123456789abcdefghij",
    ]);
    let mixed = vec(pieces, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![1 => whole, 4 => mixed, 1 => any::<String>()].boxed()
}

fn document() -> BoxedStrategy<serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::from_str("123456789012345678901234567890.5e-3").unwrap()),
        nasty_text().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            vec((nasty_text(), inner), 0..3)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
    .boxed()
}

/// A value of a type, NULL too.
pub(super) fn value(ty: &ColumnType) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 5 => non_null(ty)].boxed()
}

fn integers_within(low: i128, high: i128) -> BoxedStrategy<Value> {
    let edges = select(vec![low, high, 0.clamp(low, high), 1.clamp(low, high)]);
    prop_oneof![1 => edges, 4 => low..=high].prop_map(Value::Integer).boxed()
}

fn non_null(ty: &ColumnType) -> BoxedStrategy<Value> {
    const DAY: i128 = 86_400_000_000;
    match ty {
        ColumnType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ColumnType::TinyInt => integers_within(i8::MIN.into(), i8::MAX.into()),
        ColumnType::SmallInt => integers_within(i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int => integers_within(i32::MIN.into(), i32::MAX.into()),
        ColumnType::BigInt => integers_within(i64::MIN.into(), i64::MAX.into()),
        ColumnType::LargeInt => integers_within(i128::MIN, i128::MAX),
        ColumnType::Float => {
            any::<u32>().prop_filter("finite", |bits| f32::from_bits(*bits).is_finite()).prop_map(Value::Float).boxed()
        }
        ColumnType::Double => {
            any::<u64>().prop_filter("finite", |bits| f64::from_bits(*bits).is_finite()).prop_map(Value::Double).boxed()
        }
        ColumnType::Decimal { precision, .. } => {
            let most = i128::pow(10, u32::from(*precision)) - 1;
            integers_within(-most, most)
        }
        ColumnType::Date => integers_within(-719_528, 2_932_896),
        ColumnType::DateTime => prop_oneof![
            integers_within(-719_528 * DAY, 2_932_897 * DAY - 1),
            (-62_167_219_200_i128..253_402_300_800).prop_map(|seconds| Value::Integer(seconds * 1_000_000)),
        ]
        .boxed(),
        ColumnType::Json => document().prop_map(Value::Json).boxed(),
        ColumnType::Varbinary(_) => vec(any::<u8>(), 0..9).prop_map(Value::Binary).boxed(),
        ColumnType::Array(item) => vec(value(item), 0..4).prop_map(Value::Array).boxed(),
        ColumnType::Map(key, item) => vec((non_null(key), value(item)), 0..4).prop_map(Value::Map).boxed(),
        ColumnType::Struct(fields) => {
            fields.iter().map(|field| value(&field.ty)).collect::<Vec<_>>().prop_map(Value::Struct).boxed()
        }
        ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Other(_) => {
            nasty_text().prop_map(Value::Text).boxed()
        }
    }
}

/// Columns, and rows of them.
pub(super) fn table() -> BoxedStrategy<(Vec<Column>, Vec<Vec<Value>>)> {
    vec(column_type(), 1..4)
        .prop_flat_map(|types| {
            let named = types.iter().enumerate();
            let columns: Vec<_> = named.map(|(index, ty)| Column::new(format!("c \"{index}"), ty.clone())).collect();
            let row = types.iter().map(value).collect::<Vec<_>>();
            (Just(columns), vec(row, 0..10))
        })
        .boxed()
}
