//! Arrow schemas as columns of a table.

use arrow::datatypes::{DataType, Schema};

use crate::model::table::{STRING_BYTES, VARCHAR_BYTES_MAX};
use crate::model::{Column, ColumnType, StructField};

/// The columns of a table that takes every value of an input with this schema.
pub(in crate::reader) fn columns(schema: &Schema) -> Vec<Column> {
    let column = |field: &arrow::datatypes::FieldRef| Column {
        nullable: field.is_nullable() || *field.data_type() == DataType::Null,
        ..Column::new(field.name(), column_type(field.data_type()))
    };
    schema.fields().iter().map(column).collect()
}

fn column_type(ty: &DataType) -> ColumnType {
    match ty {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int8 => ColumnType::TinyInt,
        DataType::Int16 | DataType::UInt8 => ColumnType::SmallInt,
        DataType::Int32 | DataType::UInt16 => ColumnType::Int,
        DataType::Int64 | DataType::UInt32 | DataType::Duration(_) => ColumnType::BigInt,
        DataType::UInt64 => ColumnType::LargeInt,
        DataType::Float16 | DataType::Float32 => ColumnType::Float,
        DataType::Float64 => ColumnType::Double,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(*precision, *scale),
        DataType::Date32 => ColumnType::Date,
        DataType::Date64 | DataType::Timestamp(..) => ColumnType::DateTime,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ColumnType::Varbinary(VARCHAR_BYTES_MAX)
        }
        DataType::List(items)
        | DataType::LargeList(items)
        | DataType::ListView(items)
        | DataType::LargeListView(items)
        | DataType::FixedSizeList(items, _) => ColumnType::Array(Box::new(column_type(items.data_type()))),
        DataType::Struct(fields) => ColumnType::Struct(
            fields
                .iter()
                .map(|field| StructField { name: field.name().clone(), ty: column_type(field.data_type()) })
                .collect(),
        ),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                ColumnType::Map(Box::new(column_type(pair[0].data_type())), Box::new(column_type(pair[1].data_type())))
            }
            _ => ColumnType::Json,
        },
        DataType::Dictionary(_, value) => column_type(value),
        DataType::RunEndEncoded(_, value) => column_type(value.data_type()),
        // Text, and what is loaded as text: times of day, intervals, types that are new to Arrow.
        _ => ColumnType::Varchar(STRING_BYTES),
    }
}

/// Arrow's scale may be negative (hundreds, thousands) or beyond the precision (0.00012); a table's may not.
fn decimal(precision: u8, scale: i8) -> ColumnType {
    let (precision, scale) = match u8::try_from(scale) {
        Ok(scale) => (precision.max(scale), scale),
        Err(_) => (precision.saturating_add(scale.unsigned_abs()), 0),
    };
    if precision <= 38 { ColumnType::Decimal { precision, scale } } else { ColumnType::Varchar(STRING_BYTES) }
}
