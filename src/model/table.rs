//! The table at the far side: [`Table`], [`Column`], [`ColumnType`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// A table as the target describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The database it is in.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its columns, in the table's order.
    pub columns: Vec<Column>,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts of the catalogue, all of their combinations valid"
)]
pub struct Column {
    /// Its name, as the table spells it.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Whether it is part of the key.
    pub key: bool,
    /// Whether the server has a value for it when a load leaves it out: a default, auto-increment.
    pub has_default: bool,
    /// Whether the server computes it; such a column cannot be loaded.
    pub generated: bool,
}

impl Column {
    /// A nullable column that is no key and has no default.
    pub fn new(name: impl Into<String>, ty: ColumnType) -> Self {
        Self { name: name.into(), ty, nullable: true, key: false, has_default: false, generated: false }
    }
}

/// A StarRocks column type. Lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// `true` or `false`.
    Boolean,
    /// 8-bit integer.
    TinyInt,
    /// 16-bit integer.
    SmallInt,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    BigInt,
    /// 128-bit integer.
    LargeInt,
    /// 32-bit binary floating point.
    Float,
    /// 64-bit binary floating point.
    Double,
    /// Exact decimal with up to 38 digits.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// A day of the years 0000 to 9999.
    Date,
    /// A day and a time to the microsecond, without a time zone.
    DateTime,
    /// Text of at most this many bytes.
    Char(u32),
    /// Text of at most this many bytes.
    Varchar(u32),
    /// A JSON document.
    Json,
    /// At most this many bytes of any kind.
    Varbinary(u32),
    /// Values of one type, in order.
    Array(Box<ColumnType>),
    /// Keys to values.
    Map(Box<ColumnType>, Box<ColumnType>),
    /// Named fields.
    Struct(Vec<StructField>),
    /// A type that cannot be loaded directly (BITMAP, HLL, PERCENTILE …), as the target names it.
    Other(String),
}

/// One field of a STRUCT.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
}

/// `STRING` is this: the longest VARCHAR that every supported version takes without a setting.
pub const STRING_BYTES: u32 = 65_533;

/// The longest VARCHAR or VARBINARY, in bytes (SR §2.2).
pub const VARCHAR_BYTES_MAX: u32 = 1_048_576;

impl ColumnType {
    /// The Arrow type that holds values of this type in a [`Batch`](super::Batch).
    ///
    /// LARGEINT uses the 128 bits of `Decimal128(38, 0)`, beyond 38 digits too. JSON is held as its text.
    #[must_use]
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::LargeInt => DataType::Decimal128(38, 0),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            #[expect(clippy::cast_possible_wrap, reason = "a scale is at most 38")]
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::Date => DataType::Date32,
            Self::DateTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Char(_) | Self::Varchar(_) | Self::Json | Self::Other(_) => DataType::Utf8,
            Self::Varbinary(_) => DataType::Binary,
            Self::Array(element) => DataType::List(Arc::new(Field::new("item", element.arrow(), true))),
            Self::Map(key, value) => {
                DataType::Map(Arc::new(Field::new("entries", Self::map_entries(key, value), false)), false)
            }
            Self::Struct(fields) => DataType::Struct(
                fields.iter().map(|field| Field::new(&field.name, field.ty.arrow(), true)).collect::<Fields>(),
            ),
        }
    }

    fn map_entries(key: &Self, value: &Self) -> DataType {
        let fields = [Field::new("keys", key.arrow(), false), Field::new("values", value.arrow(), true)];
        DataType::Struct(fields.into_iter().collect())
    }

    /// Whether values are text: an empty field is then the empty string.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Char(_) | Self::Varchar(_))
    }
}

/// The Arrow schema of batches with these columns.
///
/// Every field is nullable there: whether NULL is allowed is the reader's check, not Arrow's.
#[must_use]
pub fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(&column.name, column.ty.arrow(), true));
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::LargeInt => f.write_str("LARGEINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Date => f.write_str("DATE"),
            Self::DateTime => f.write_str("DATETIME"),
            Self::Char(bytes) => write!(f, "CHAR({bytes})"),
            Self::Varchar(STRING_BYTES) => f.write_str("STRING"),
            Self::Varchar(bytes) => write!(f, "VARCHAR({bytes})"),
            Self::Json => f.write_str("JSON"),
            Self::Varbinary(VARCHAR_BYTES_MAX) => f.write_str("VARBINARY"),
            Self::Varbinary(bytes) => write!(f, "VARBINARY({bytes})"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{} {}", field.name, field.ty)?;
                }
                f.write_str(">")
            }
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl FromStr for ColumnType {
    type Err = std::convert::Infallible;

    /// Reads a type as DDL and `DESC` write it: `decimal(10, 2)`, `array<map<int,string>>`, `DECIMAL64(18,2)`.
    ///
    /// A type this program does not know is [`ColumnType::Other`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Ok(parse(text).unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

fn parse(text: &str) -> Option<ColumnType> {
    let name_end = text.find(['(', '<']).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let name = name.trim().to_ascii_lowercase();
    let rest = rest.trim();
    if let Some(inner) = rest.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        return parse_nested(&name, inner);
    }
    let numbers = match rest.strip_prefix('(') {
        Some(inner) => {
            let inner = inner.strip_suffix(')')?;
            inner.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<u32>>>()?
        }
        None if rest.is_empty() => Vec::new(),
        None => return None,
    };
    parse_scalar(&name, &numbers)
}

fn parse_scalar(name: &str, numbers: &[u32]) -> Option<ColumnType> {
    let first = numbers.first().copied();
    Some(match name {
        "boolean" | "bool" => ColumnType::Boolean,
        // `TINYINT(1)` is how a MySQL-minded server spells BOOLEAN in places, and just a display width in others; it
        // stays the integer it says.
        "tinyint" => ColumnType::TinyInt,
        "smallint" => ColumnType::SmallInt,
        "int" | "integer" => ColumnType::Int,
        "bigint" => ColumnType::BigInt,
        "largeint" => ColumnType::LargeInt,
        "float" => ColumnType::Float,
        "double" => ColumnType::Double,
        "decimal" | "numeric" | "decimalv2" | "decimalv3" | "decimal32" | "decimal64" | "decimal128" => {
            let default = match name {
                "decimal32" => 9,
                "decimal64" => 18,
                "decimal128" => 38,
                _ => 10,
            };
            let precision = u8::try_from(first.unwrap_or(default)).ok().filter(|p| (1..=38).contains(p))?;
            let scale = u8::try_from(numbers.get(1).copied().unwrap_or(0)).ok().filter(|s| *s <= precision)?;
            ColumnType::Decimal { precision, scale }
        }
        "date" => ColumnType::Date,
        "datetime" => ColumnType::DateTime,
        "char" => ColumnType::Char(first.unwrap_or(1)),
        "varchar" => ColumnType::Varchar(first.unwrap_or(STRING_BYTES)),
        "string" | "text" => ColumnType::Varchar(STRING_BYTES),
        "json" => ColumnType::Json,
        "varbinary" | "binary" => ColumnType::Varbinary(first.unwrap_or(VARCHAR_BYTES_MAX)),
        _ => return None,
    })
}

fn parse_nested(name: &str, inner: &str) -> Option<ColumnType> {
    let parts = split_top_level(inner);
    match (name, parts.as_slice()) {
        ("array", [element]) => Some(ColumnType::Array(Box::new(parse(element)?))),
        ("map", [key, value]) => Some(ColumnType::Map(Box::new(parse(key)?), Box::new(parse(value)?))),
        ("struct", fields) => {
            fields.iter().map(|field| parse_field(field)).collect::<Option<_>>().map(ColumnType::Struct)
        }
        _ => None,
    }
}

fn parse_field(text: &str) -> Option<StructField> {
    let (name, ty) = match text.strip_prefix('`') {
        Some(rest) => rest.split_once('`')?,
        None => text.split_once([' ', ':'])?,
    };
    let ty = parse(ty.trim().trim_start_matches(':').trim())?;
    Some(StructField { name: name.to_owned(), ty })
}

/// Splits at the commas that stand in no bracket.
fn split_top_level(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'<' | b'(' => depth += 1,
            b'>' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_ddl_writes_them_and_shown_the_same_way() {
        for text in [
            "BOOLEAN",
            "TINYINT",
            "LARGEINT",
            "DOUBLE",
            "DECIMAL(10,2)",
            "DATETIME",
            "CHAR(3)",
            "VARCHAR(20)",
            "STRING",
            "JSON",
            "VARBINARY",
            "ARRAY<INT>",
            "MAP<STRING,ARRAY<DECIMAL(9,0)>>",
            "STRUCT<a INT,b ARRAY<STRING>>",
            "BITMAP",
        ] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn spellings_of_one_type_are_one_type() {
        for (text, ty) in [
            ("decimal64(18, 2)", ColumnType::Decimal { precision: 18, scale: 2 }),
            ("DECIMAL128(38,9)", ColumnType::Decimal { precision: 38, scale: 9 }),
            ("int(11)", ColumnType::Int),
            ("varchar(65533)", ColumnType::Varchar(STRING_BYTES)),
            (
                "struct<`a b` int(11), c: varchar(3)>",
                ColumnType::Struct(vec![
                    StructField { name: "a b".into(), ty: ColumnType::Int },
                    StructField { name: "c".into(), ty: ColumnType::Varchar(3) },
                ]),
            ),
            ("hll", ColumnType::Other("hll".into())),
            ("decimal(77,2)", ColumnType::Other("decimal(77,2)".into())),
        ] {
            assert_eq!(text.parse::<ColumnType>().unwrap(), ty, "{text}");
        }
    }
}
