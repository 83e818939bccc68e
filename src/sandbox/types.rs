//! StarRocks' column types and table definitions, as the sandbox reads them.
//!
//! How each type is stored, in columns without affinity so that a value stays what was written:
//!
//! | Type | SQLite value |
//! |---|---|
//! | BOOLEAN, TINYINT … BIGINT | INTEGER |
//! | LARGEINT, DECIMAL | canonical TEXT, a DECIMAL with its full scale; collation `sr_numeric` |
//! | FLOAT, DOUBLE | REAL |
//! | DATE, DATETIME | TEXT, `YYYY-MM-DD` and `YYYY-MM-DD HH:MM:SS[.ffffff]` |
//! | CHAR, VARCHAR | TEXT |
//! | JSON, ARRAY, MAP, STRUCT | TEXT, as JSON |
//! | VARBINARY | BLOB |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::function::hex_text;
use super::sql::Error;
use super::sql::token::Tokens;

/// The bytes of a `STRING`, which is a VARCHAR by another name.
pub(super) const STRING_BYTES: u32 = 65_533;

/// The longest VARCHAR or VARBINARY, in bytes.
pub(super) const VARCHAR_BYTES_MAX: u32 = 1_048_576;

/// A column type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum SqlType {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    LargeInt,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    DateTime,
    Char(u32),
    Varchar(u32),
    Json,
    Varbinary(u32),
    Array(Box<SqlType>),
    Map(Box<SqlType>, Box<SqlType>),
    Struct(Vec<(String, SqlType)>),
    /// A type that only expressions can fill: BITMAP, HLL, PERCENTILE.
    Other(String),
}

impl SqlType {
    /// The type of a text whose length nobody declared.
    pub(super) const TEXT: Self = Self::Varchar(STRING_BYTES);

    /// Whether it is one of the integers up to 64 bits, or BOOLEAN.
    pub(super) fn is_small_integer(&self) -> bool {
        matches!(self, Self::Boolean | Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt)
    }

    /// Whether its values are held as numeric text.
    pub(super) fn is_numeric_text(&self) -> bool {
        matches!(self, Self::LargeInt | Self::Decimal { .. })
    }

    /// Whether it is FLOAT or DOUBLE.
    pub(super) fn is_float(&self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether it takes part in arithmetic as it is.
    pub(super) fn is_number(&self) -> bool {
        self.is_small_integer() || self.is_numeric_text() || self.is_float()
    }

    /// Whether it is CHAR or VARCHAR.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Char(_) | Self::Varchar(_))
    }

    /// Whether it is DATE or DATETIME.
    pub(super) fn is_temporal(&self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }

    /// Whether it is ARRAY, MAP or STRUCT.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(..) | Self::Struct(_))
    }

    /// The smallest and largest value of an integer up to 64 bits.
    pub(super) fn integer_range(&self) -> Option<(i64, i64)> {
        match self {
            Self::Boolean => Some((0, 1)),
            Self::TinyInt => Some((i8::MIN.into(), i8::MAX.into())),
            Self::SmallInt => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int => Some((i32::MIN.into(), i32::MAX.into())),
            Self::BigInt => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }
}

/// The type as DDL writes it, in lower case as `SHOW CREATE TABLE` and `DESC` do.
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::LargeInt => f.write_str("largeint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Date => f.write_str("date"),
            Self::DateTime => f.write_str("datetime"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::Varchar(length) => write!(f, "varchar({length})"),
            Self::Json => f.write_str("json"),
            Self::Varbinary(length) => write!(f, "varbinary({length})"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (at, (name, ty)) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {ty}", name.replace('`', "``"))?;
                }
                f.write_str(">")
            }
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// Reads a type as DDL writes it.
impl FromStr for SqlType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut tokens = Tokens::new(text)?;
        let ty = tokens.sql_type()?;
        tokens.end()?;
        Ok(ty)
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Column {
    pub name: String,
    pub ty: SqlType,
    pub nullable: bool,
    pub key: bool,
    /// What becomes of the values of rows with equal keys, in a table with an aggregate key. Tables from before there
    /// were any have no word about it.
    #[serde(default)]
    pub aggregation: Option<Aggregation>,
    pub default: Option<Default>,
    pub auto_increment: bool,
    /// The expression of a generated column, in StarRocks' SQL.
    pub generated: Option<String>,
    pub comment: String,
}

/// What a column holds when a load leaves it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Default {
    /// A constant, as its text.
    Literal(String),
    /// A function call: `CURRENT_TIMESTAMP`, `uuid()`.
    Expression(String),
}

/// How a table treats rows with equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeysType {
    /// It keeps them all.
    Duplicate,
    /// It makes one of them, column by column.
    Aggregate,
    /// It keeps the last.
    Unique,
    /// It keeps the last, and rows can be deleted and changed in part.
    Primary,
}

impl KeysType {
    /// Every kind there is.
    pub(super) const ALL: [Self; 4] = [Self::Duplicate, Self::Aggregate, Self::Unique, Self::Primary];

    /// The name in the catalogue and in its answers.
    pub(super) fn catalogue_name(self) -> &'static str {
        match self {
            Self::Duplicate => "DUP_KEYS",
            Self::Aggregate => "AGG_KEYS",
            Self::Unique => "UNIQUE_KEYS",
            Self::Primary => "PRIMARY_KEYS",
        }
    }

    /// The kind with this name in the catalogue.
    pub(super) fn from_catalogue(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keys| keys.catalogue_name() == name)
    }

    /// The word in front of KEY.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Duplicate => "DUPLICATE",
            Self::Aggregate => "AGGREGATE",
            Self::Unique => "UNIQUE",
            Self::Primary => "PRIMARY",
        }
    }

    /// What `information_schema` calls a column of such a key.
    pub(super) fn column_key(self) -> &'static str {
        match self {
            Self::Duplicate => "DUP",
            Self::Aggregate => "AGG",
            Self::Unique => "UNI",
            Self::Primary => "PRI",
        }
    }

    /// Whether no two rows have the same key.
    pub(super) fn merges(self) -> bool {
        self != Self::Duplicate
    }
}

/// What becomes of a column's values when rows with equal keys become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Aggregation {
    Sum,
    Max,
    Min,
    /// The last value.
    Replace,
    /// The last value that is not NULL.
    ReplaceIfNotNull,
}

impl Aggregation {
    /// Every one there is.
    pub(super) const ALL: [Self; 5] = [Self::Sum, Self::Max, Self::Min, Self::Replace, Self::ReplaceIfNotNull];

    /// The word in DDL.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Sum => "SUM",
            Self::Max => "MAX",
            Self::Min => "MIN",
            Self::Replace => "REPLACE",
            Self::ReplaceIfNotNull => "REPLACE_IF_NOT_NULL",
        }
    }

    /// Whether it knows what to do with values of this type.
    pub(super) fn takes(self, ty: &SqlType) -> bool {
        match self {
            Self::Sum => ty.is_number() && *ty != SqlType::Boolean,
            Self::Max | Self::Min => ty.is_number() && *ty != SqlType::Boolean || ty.is_temporal() || ty.is_text(),
            Self::Replace | Self::ReplaceIfNotNull => true,
        }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct TableDef {
    pub id: i64,
    pub database: String,
    pub name: String,
    pub keys: KeysType,
    pub columns: Vec<Column>,
    /// What `SHOW CREATE TABLE` shows.
    pub ddl: String,
}

impl TableDef {
    /// The quoted name of the SQLite table with its rows. The id names it, because StarRocks tells `T` from `t` and
    /// SQLite does not.
    pub(super) fn storage(&self) -> String {
        quote(&format!("t{}", self.id))
    }

    /// The columns that hold what they are given, with their positions; SQLite computes the others.
    pub(super) fn stored(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.generated.is_none())
    }

    /// The column of this name, in any case.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// A name as SQLite reads it back.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal of SQLite.
pub(super) fn literal(text: &str) -> String {
    // A NUL ends the statement for SQLite's parser, so such a text is given by its bytes.
    if text.contains('\0') {
        return format!("CAST(x'{}' AS TEXT)", hex_text(text.as_bytes()));
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_people_write_them() {
        for (written, canonical) in [
            ("INT", "int"),
            ("integer", "int"),
            ("INT(11)", "int"),
            ("BigInt(20)", "bigint"),
            ("BOOL", "boolean"),
            ("STRING", "varchar(65533)"),
            ("varchar", "varchar(1)"),
            ("VARCHAR(*)", "varchar(65533)"),
            ("VARCHAR ( 20 )", "varchar(20)"),
            ("DECIMAL(10)", "decimal(10,0)"),
            ("DECIMAL", "decimal(10,0)"),
            ("decimal128(38, 9)", "decimal(38,9)"),
            ("NUMERIC(5,2)", "decimal(5,2)"),
            ("JSONB", "json"),
            ("VARBINARY", "varbinary(1048576)"),
            ("BINARY(8)", "varbinary(8)"),
            ("ARRAY<ARRAY<INT>>", "array<array<int>>"),
            ("MAP<INT, VARCHAR(5)>", "map<int,varchar(5)>"),
            ("STRUCT<a INT, `b c` ARRAY<DATE>>", "struct<`a` int, `b c` array<date>>"),
            ("STRUCT<a: INT>", "struct<`a` int>"),
            ("BITMAP", "bitmap"),
        ] {
            let ty: SqlType = written.parse().expect(written);
            assert_eq!(ty.to_string(), canonical, "{written}");
            assert_eq!(ty.to_string().parse::<SqlType>().expect(canonical), ty, "{canonical}");
        }
    }

    #[test]
    fn impossible_types_are_refused() {
        for written in ["", "INTT", "DECIMAL(39,0)", "DECIMAL(4,5)", "VARCHAR(0)", "CHAR(256)", "ARRAY<INT", "INT INT"]
        {
            assert!(written.parse::<SqlType>().is_err(), "{written}");
        }
    }
}
