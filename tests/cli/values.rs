//! No value changes on its way: extreme values of every type, from every kind of input, over both wire formats.
//!
//! What is expected is written down by hand or by the standard library, and asked for by a MySQL client that knows nothing of
//! shipload.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow::array::{Array as _, Int64Builder};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mysql_async::prelude::Queryable as _;
use serde_json::{Value, json};

use super::formats::parquet;
use super::outside::mysql;
use super::support::World;

/// A column of a table: the same values as each kind of input has them, and as they are expected back. None is NULL.
struct Column {
    name: &'static str,
    ty: &'static str,
    /// Fields as they stand in a CSV file, quotes and all.
    csv: Vec<Option<String>>,
    /// Values as they stand in a JSON record.
    json: Vec<Option<String>>,
    array: ArrayRef,
    expected: Vec<Option<Expected>>,
}

/// What a `SELECT` has to give.
#[derive(Clone, Debug)]
enum Expected {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A text that names this number, sign of zero included.
    Double(f64),
    Float(f32),
    /// The same document.
    Json(Value),
}

impl Expected {
    fn is(&self, actual: &[u8]) -> bool {
        let text = || std::str::from_utf8(actual).unwrap();
        match self {
            Self::Bytes(bytes) => bytes == actual,
            Self::Double(value) => text().parse::<f64>().unwrap().to_bits() == value.to_bits(),
            Self::Float(value) => text().parse::<f32>().unwrap().to_bits() == value.to_bits(),
            Self::Json(value) => serde_json::from_str::<Value>(text()).unwrap() == *value,
        }
    }
}

impl Column {
    /// Values whose text is the same in a CSV file, in a JSON record (perhaps in quotes) and in the answer.
    fn plain(name: &'static str, ty: &'static str, quoted: bool, texts: &[&str], array: impl Into<ArrayRef>) -> Self {
        let json = texts.iter().map(|text| Some(if quoted { format!("\"{text}\"") } else { (*text).to_owned() }));
        Self {
            name,
            ty,
            csv: texts.iter().map(|text| Some((*text).to_owned())).collect(),
            json: json.collect(),
            array: array.into(),
            expected: texts.iter().map(|text| Some(Expected::Bytes(text.as_bytes().to_vec()))).collect(),
        }
    }

    fn text(name: &'static str, ty: &'static str, texts: &[&str]) -> Self {
        let texts: Vec<_> = texts.iter().copied().map(Some).chain([None]).collect();
        let each = |make: &dyn Fn(&str) -> String| texts.iter().map(|text| text.map(make)).collect();
        Self {
            name,
            ty,
            csv: each(&quoted),
            json: each(&|text| json!(text).to_string()),
            expected: texts.iter().map(|text| text.map(|text| Expected::Bytes(text.as_bytes().to_vec()))).collect(),
            array: Arc::new(StringArray::from(texts)),
        }
    }

    /// Documents, or nested values, by their JSON text.
    fn documents(name: &'static str, ty: &'static str, texts: &[&str], array: ArrayRef) -> Self {
        let parsed = |text: &&str| Some(Expected::Json(serde_json::from_str(text).unwrap()));
        Self {
            name,
            ty,
            csv: texts.iter().map(|text| Some(quoted(text))).collect(),
            json: texts.iter().map(|text| Some((*text).to_owned())).collect(),
            array,
            expected: texts.iter().map(parsed).collect(),
        }
    }
}

/// A CSV field in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn columns() -> Vec<Column> {
    let mut columns = numbers();
    columns.extend(floats());
    columns.extend(times());
    columns.extend(texts());
    columns.extend(documents());
    columns
}

fn arc(array: impl arrow::array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn numbers() -> Vec<Column> {
    let large = [i128::MIN, -1, 0, i128::from(i64::MAX) + 1, i128::MAX].map(|value| value.to_string());
    let large: Vec<_> = large.iter().map(String::as_str).collect();
    let decimal = |values: &[i128], precision, scale| {
        arc(Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap())
    };
    let nines = 10_i128.pow(38) - 1;
    vec![
        Column {
            name: "boolean",
            ty: "BOOLEAN",
            csv: ["true", "FALSE", "1", "0"].map(|text| Some(text.to_owned())).to_vec(),
            json: ["true", "false", "1", "\"0\""].map(|text| Some(text.to_owned())).to_vec(),
            array: arc(BooleanArray::from(vec![true, false, true, false])),
            expected: ["1", "0", "1", "0"].map(|text| Some(Expected::Bytes(text.into()))).to_vec(),
        },
        Column::plain(
            "tinyint",
            "TINYINT",
            false,
            &["-128", "0", "127"],
            arc(Int8Array::from(vec![i8::MIN, 0, i8::MAX])),
        ),
        Column::plain(
            "smallint",
            "SMALLINT",
            false,
            &["-32768", "32767"],
            arc(Int16Array::from(vec![i16::MIN, i16::MAX])),
        ),
        Column::plain(
            "int",
            "INT",
            false,
            &["-2147483648", "2147483647"],
            arc(Int32Array::from(vec![i32::MIN, i32::MAX])),
        ),
        Column::plain(
            "bigint",
            "BIGINT",
            false,
            &["-9223372036854775808", "9223372036854775807", "9007199254740993"],
            arc(Int64Array::from(vec![i64::MIN, i64::MAX, 9_007_199_254_740_993])),
        ),
        // No type of Parquet reaches both of its limits; text does.
        Column::plain("largeint", "LARGEINT", false, &large, arc(StringArray::from(large.clone()))),
        Column::plain(
            "decimal32",
            "DECIMAL(9,2)",
            false,
            &["9999999.99", "-9999999.99", "-0.01"],
            decimal(&[999_999_999, -999_999_999, -1], 9, 2),
        ),
        Column::plain(
            "decimal64",
            "DECIMAL(18,0)",
            false,
            &["999999999999999999", "0"],
            decimal(&[10_i128.pow(18) - 1, 0], 18, 0),
        ),
        Column::plain(
            "decimal128",
            "DECIMAL(38,10)",
            false,
            &[
                "9999999999999999999999999999.9999999999",
                "-9999999999999999999999999999.9999999999",
                "0.0000000001",
                "0.0000000000",
            ],
            decimal(&[nines, -nines, 1, 0], 38, 10),
        ),
        Column::plain(
            "fraction",
            "DECIMAL(38,38)",
            false,
            &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"],
            decimal(&[nines, -1], 38, 38),
        ),
    ]
}

fn floats() -> Vec<Column> {
    let doubles = [
        0.0,
        -0.0,
        0.1,
        -1.5,
        1e22,
        1e23,
        123_456_789.123_456_79,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        f64::EPSILON,
        9_007_199_254_740_993.0,
    ];
    let singles =
        [0.0, -0.0, 0.1, 16_777_216.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, 7.038_531e-26, 3.141_592_5];
    let double_texts: Vec<_> = doubles.iter().map(|value| Some(format!("{value:e}"))).collect();
    let single_texts: Vec<_> = singles.iter().map(|value| Some(format!("{value:e}"))).collect();
    vec![
        Column {
            name: "float",
            ty: "FLOAT",
            csv: single_texts.clone(),
            json: single_texts,
            array: arc(Float32Array::from(singles.to_vec())),
            expected: singles.iter().map(|value| Some(Expected::Float(*value))).collect(),
        },
        Column {
            name: "double",
            ty: "DOUBLE",
            csv: double_texts.clone(),
            json: double_texts,
            array: arc(Float64Array::from(doubles.to_vec())),
            expected: doubles.iter().map(|value| Some(Expected::Double(*value))).collect(),
        },
    ]
}

fn times() -> Vec<Column> {
    let days = vec![-719_528, 2_932_896, -1, 0, 11_016];
    let micros =
        vec![-62_167_219_200_000_000, 253_402_300_799_999_999, -1, 1, 1_767_323_045_100_000, 951_782_400_000_000];
    vec![
        Column::plain(
            "date",
            "DATE",
            true,
            &["0000-01-01", "9999-12-31", "1969-12-31", "1970-01-01", "2000-02-29"],
            arc(Date32Array::from(days)),
        ),
        Column::plain(
            "datetime",
            "DATETIME",
            true,
            &[
                "0000-01-01 00:00:00",
                "9999-12-31 23:59:59.999999",
                "1969-12-31 23:59:59.999999",
                "1970-01-01 00:00:00.000001",
                "2026-01-02 03:04:05.100000",
                "2000-02-29 00:00:00",
            ],
            arc(TimestampMicrosecondArray::from(micros)),
        ),
    ]
}

fn texts() -> Vec<Column> {
    let long = "ä€😀\"\\,\n".repeat(4000);
    let nasty = [
        "",
        " ",
        "  padded  ",
        "\\N",
        "\\\\N",
        "\\n",
        "N",
        "NULL",
        "null",
        "\"",
        "\"\"",
        "\\",
        "\\\"",
        "\\\\\"\"",
        ",",
        ",,",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\t",
        "\0",
        "a\0b",
        "ä€😀",
        "\u{feff}mark",
        "'",
        "`",
        "{}",
        "[1",
        "true",
        "007",
        "1e5",
        "-0",
        "\u{7f}\u{1b}[31m",
        "\u{1}\u{2}",
        "a\nb\r\nc",
        "\u{2028}",
        "x\\",
        "\"x",
        "x\"",
        &long,
    ];
    let bytes: Vec<Option<Vec<u8>>> = vec![
        Some((0..=255).collect()),
        Some(Vec::new()),
        Some(b"\\N".to_vec()),
        Some(vec![0]),
        Some(vec![0xFF; 3]),
        None,
    ];
    let base64 = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| format!("\"{}\"", STANDARD.encode(bytes)));
    let arrow: Vec<Option<&[u8]>> = bytes.iter().map(Option::as_deref).collect();
    vec![
        Column::text("varchar", "VARCHAR(65533)", &nasty),
        Column::text("string", "STRING", &nasty),
        Column::text("fixed", "CHAR(5)", &["", "a", "äb", "a b c", "\\N", "€\"", "\\\\\\\\\\", ",\n\r\t;"]),
        Column {
            name: "varbinary",
            ty: "VARBINARY",
            csv: bytes.iter().map(base64).collect(),
            json: bytes.iter().map(base64).collect(),
            array: arc(BinaryArray::from(arrow)),
            expected: bytes.iter().map(|bytes| bytes.clone().map(Expected::Bytes)).collect(),
        },
    ]
}

fn documents() -> Vec<Column> {
    let documents = [
        "{}",
        "[]",
        "0",
        "-1.5",
        "true",
        "\"text\"",
        "\"\\\\N\"",
        "{\"a\":[1,null,{\"b\":\"\\\"\\\\\\n\\u0000ä😀\"}],\"c\":{}}",
        "9007199254740993",
        "{\"\":\"\",\" \":[[[]]]}",
    ];
    let lists = ["[]", "[null]", "[\"\",null,\"\\\\N\",\"a,b\",\"\\\"\",\"[\",\"null\",\"\\n\",\"\\\\\"]"];
    let maps = ["{}", "{\"a\":-9223372036854775808,\"b\\\",:{\":null}"];
    let mut list = ListBuilder::new(StringBuilder::new());
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for text in lists {
        for item in serde_json::from_str::<Vec<Option<String>>>(text).unwrap() {
            list.values().append_option(item);
        }
        list.append(true);
    }
    for text in maps {
        for (key, value) in serde_json::from_str::<serde_json::Map<String, Value>>(text).unwrap() {
            map.keys().append_value(key);
            map.values().append_option(value.as_i64());
        }
        map.append(true).unwrap();
    }
    vec![
        Column::documents("document", "JSON", &documents, arc(StringArray::from(documents.to_vec()))),
        Column::documents("list", "ARRAY<VARCHAR(100)>", &lists, arc(list.finish())),
        Column::documents("map", "MAP<VARCHAR(100),BIGINT>", &maps, arc(map.finish())),
    ]
}

/// The values at `row` of each column; a column with fewer values is NULL there.
fn at<'a, T>(columns: &'a [Column], row: usize, part: impl Fn(&'a Column) -> &'a Vec<Option<T>>) -> Vec<Option<&'a T>> {
    columns.iter().map(|column| part(column).get(row).and_then(Option::as_ref)).collect()
}

fn row_count(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.expected.len()).max().unwrap()
}

fn as_csv(columns: &[Column]) -> String {
    let mut text = columns.iter().fold("id".to_owned(), |line, column| line + "," + column.name);
    for row in 0..row_count(columns) {
        write!(text, "\n{row}").unwrap();
        for field in at(columns, row, |column| &column.csv) {
            text += ",";
            text += field.map_or("", String::as_str);
        }
    }
    text + "\n"
}

fn as_ndjson(columns: &[Column]) -> String {
    let mut text = String::new();
    for row in 0..row_count(columns) {
        write!(text, "{{\"id\":{row}").unwrap();
        for (column, value) in columns.iter().zip(at(columns, row, |column| &column.json)) {
            write!(text, ",\"{}\":{}", column.name, value.map_or("null", String::as_str)).unwrap();
        }
        text += "}\n";
    }
    text
}

fn as_parquet(columns: &[Column]) -> Vec<u8> {
    let count = row_count(columns);
    let ids = (0..i32::try_from(count).unwrap()).collect::<Vec<_>>();
    let padded = columns.iter().map(|column| {
        let missing = arrow::array::new_null_array(column.array.data_type(), count - column.array.len());
        let array = arrow::compute::concat(&[column.array.as_ref(), missing.as_ref()]).unwrap();
        (column.name, array, true)
    });
    let batch =
        RecordBatch::try_from_iter_with_nullable([("id", arc(Int32Array::from(ids)), false)].into_iter().chain(padded));
    parquet(&batch.unwrap())
}

/// Loads the columns from each kind of input over this wire, and compares.
fn check(columns: &[Column], wire: &str) {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let definitions =
        columns.iter().fold("id INT".to_owned(), |list, column| list + &format!(", `{}` {}", column.name, column.ty));
    let files = [
        ("csv", world.file("values.csv", as_csv(columns))),
        ("ndjson", world.file("values.ndjson", as_ndjson(columns))),
        ("parquet", world.file("values.parquet", as_parquet(columns))),
    ];
    for (format, path) in &files {
        mysql(&sandbox, async |connection| {
            connection.query_drop("CREATE DATABASE IF NOT EXISTS demo").await.unwrap();
            connection.query_drop(format!("CREATE TABLE demo.{format} ({definitions})")).await.unwrap();
        });
        world.import(&[path, "--to", &sandbox.target(&format!("demo/{format}")), "--wire", wire]).loaded();
        let names = columns.iter().fold("id".to_owned(), |list, column| list + &format!(", `{}`", column.name));
        let rows: Vec<mysql_async::Row> = mysql(&sandbox, async |connection| {
            connection.query(format!("SELECT {names} FROM demo.{format} ORDER BY id")).await.unwrap()
        });
        assert_eq!(rows.len(), row_count(columns), "{format} over {wire}");
        for (index, row) in rows.iter().enumerate() {
            let expected = at(columns, index, |column| &column.expected);
            for (place, (column, expected)) in columns.iter().zip(expected).enumerate() {
                let what = || format!("{} ({}) of row {index}, {format} over {wire}", column.name, column.ty);
                match (expected, row.as_ref(place + 1).unwrap()) {
                    (None, mysql_async::Value::NULL) => {}
                    (Some(expected), mysql_async::Value::Bytes(bytes)) => assert!(
                        expected.is(bytes),
                        "{}: {:?} instead of {expected:?}",
                        what(),
                        String::from_utf8_lossy(bytes)
                    ),
                    (expected, actual) => panic!("{}: {actual:?} instead of {expected:?}", what()),
                }
            }
        }
    }
}

#[test]
fn every_value_of_every_type_comes_back_over_csv() {
    check(&columns(), "csv");
}

#[test]
fn every_value_of_every_type_comes_back_over_json() {
    check(&columns(), "json");
}

#[test]
fn structs_and_what_they_hold_come_back() {
    let texts = [
        "{\"n\":170141183460469231731687303715884105727,\"t\":\"\\\\N\",\"d\":\"9999-12-31\",\"l\":[{\"x\":\"0.10\"},null]}",
        "{\"n\":null,\"t\":\"\",\"d\":null,\"l\":[]}",
    ];
    let large = StringArray::from(vec![Some("170141183460469231731687303715884105727"), None]);
    let inner = Field::new("x", DataType::Decimal128(9, 2), true);
    let decimals = Decimal128Array::from(vec![Some(10), None]).with_precision_and_scale(9, 2).unwrap();
    let structs = StructArray::new(vec![inner].into(), vec![arc(decimals)], Some(vec![true, false].into()));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0]);
    let item = Arc::new(Field::new("item", structs.data_type().clone(), true));
    let list = arrow::array::ListArray::new(item, offsets, arc(structs), None);
    let parts: Vec<(&str, ArrayRef)> = vec![
        ("n", arc(large)),
        ("t", arc(StringArray::from(vec!["\\N", ""]))),
        ("d", arc(Date32Array::from(vec![Some(2_932_896), None]))),
        ("l", arc(list)),
    ];
    let parts =
        parts.into_iter().map(|(name, array)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array));
    let array = StructArray::from(parts.collect::<Vec<_>>());
    let ty = "STRUCT<n LARGEINT, t VARCHAR(10), d DATE, l ARRAY<STRUCT<x DECIMAL(9,2)>>>";
    let mut column = Column::documents("record", ty, &texts, arc(array));
    // A DECIMAL in a nested value is a number in the answer.
    let first = texts[0].replace("\"0.10\"", "0.10");
    column.expected[0] = Some(Expected::Json(serde_json::from_str(&first).unwrap()));
    check(&[column], "auto");
}
