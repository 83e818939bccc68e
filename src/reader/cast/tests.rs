//! Every type and every rule, in tables.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::model::{Column, Origin, Reject, Rule};

fn column(ty: &str) -> Column {
    Column::new("c", ty.parse().unwrap())
}

/// Casts one value; the array has the column's exact Arrow type and one value, whatever happens.
fn cast(ty: &str, cell: Cell<'_>) -> Result<ArrayRef, Rule> {
    let column = column(ty);
    let mut builder = ColumnBuilder::new(&column);
    let result = builder.append(cell);
    let array = builder.finish();
    assert_eq!(array.data_type(), &column.ty.arrow());
    assert_eq!((array.len(), builder.len()), (1, 0));
    result.map(|()| array)
}

fn shown(ty: &str, cell: Cell<'_>) -> String {
    match cast(ty, cell) {
        Ok(array) if array.is_null(0) => "NULL".into(),
        Ok(array) => ArrayFormatter::try_new(&array, &FormatOptions::default()).unwrap().value(0).to_string(),
        Err(rule) => rule.code.into(),
    }
}

#[test]
fn text_becomes_what_the_column_holds_or_breaks_a_rule() {
    for (ty, text, expected) in [
        ("BOOLEAN", "TRUE", "true"),
        ("BOOLEAN", "false", "false"),
        ("BOOLEAN", "1", "true"),
        ("BOOLEAN", "0", "false"),
        ("BOOLEAN", "2", "not-a-boolean"),
        ("BOOLEAN", "yes", "not-a-boolean"),
        ("BOOLEAN", "", "not-a-boolean"),
        ("TINYINT", "-128", "-128"),
        ("TINYINT", "128", "out-of-range"),
        ("SMALLINT", "32768", "out-of-range"),
        ("INT", "2147483647", "2147483647"),
        ("INT", "2147483648", "out-of-range"),
        ("INT", "1.0", "1"),
        ("INT", "1.5", "fractional"),
        ("INT", "", "not-a-number"),
        ("BIGINT", "-9223372036854775808", "-9223372036854775808"),
        ("BIGINT", "9223372036854775808", "out-of-range"),
        ("LARGEINT", "-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728"),
        ("LARGEINT", "170141183460469231731687303715884105728", "out-of-range"),
        ("FLOAT", "0.1", "0.1"),
        ("FLOAT", "1e39", "out-of-range"),
        ("DOUBLE", "-1.5e300", "-1.5e300"),
        ("DOUBLE", "NaN", "not-finite"),
        ("DECIMAL(5,2)", "-123.4", "-123.40"),
        ("DECIMAL(5,2)", "1.005", "too-precise"),
        ("DECIMAL(5,2)", "1.500", "1.50"),
        ("DECIMAL(5,2)", "1000", "out-of-range"),
        ("DECIMAL(5,2)", "1e2", "100.00"),
        ("DATE", "2001/1/2", "2001-01-02"),
        ("DATE", "2001-01-02 03:04", "time-in-date"),
        ("DATETIME", "2001/01/01 06:55", "2001-01-01T06:55:00"),
        ("DATETIME", "2001-01-01T06:55:00Z", "time-zone"),
        ("CHAR(2)", "ä", "ä"),
        ("CHAR(2)", "äb", "too-long"),
        ("VARCHAR(3)", "", ""),
        ("VARCHAR(3)", "\\N", "\\N"),
        ("JSON", " { \"a\" : 1 } ", "{\"a\":1}"),
        ("JSON", "null", "null"),
        ("JSON", "{a}", "not-json"),
        ("JSON", "", "not-json"),
        ("VARBINARY(3)", "QUJD", "414243"),
        ("VARBINARY(3)", "QUJDRA==", "too-long"),
        ("VARBINARY(3)", "abc", "not-base64"),
        ("ARRAY<INT>", "[1, null,2]", "[1, , 2]"),
        ("ARRAY<INT>", "1,2", "not-json"),
        ("ARRAY<INT>", "{}", "wrong-kind"),
        ("ARRAY<INT>", "null", "wrong-kind"),
        ("ARRAY<INT>", "[1.5]", "fractional"),
        ("ARRAY<ARRAY<DATE>>", "[[\"2001-01-01\"],[]]", "[[2001-01-01], []]"),
        ("MAP<INT,STRING>", "{\"1\":\"a\",\"2\":null}", "{1: a, 2: }"),
        ("MAP<INT,STRING>", "{\"x\":\"a\"}", "not-a-number"),
        ("MAP<STRING,INT>", "{\"a\":1,\"a\":2}", "duplicate-key"),
        ("MAP<STRING,INT>", "{\"a\":[]}", "wrong-kind"),
        ("STRUCT<a INT,b DECIMAL(3,1)>", "{\"b\":1.5}", "{a: , b: 1.5}"),
        ("STRUCT<a INT>", "{\"b\":1}", "unknown-field"),
        ("STRUCT<a INT>", "{\"a\":1,\"a\":2}", "duplicate-key"),
        ("STRUCT<a INT>", "[1]", "wrong-kind"),
        ("BITMAP", "anything", "anything"),
    ] {
        assert_eq!(shown(ty, Cell::Text(text)), expected, "{text:?} as {ty}");
    }
}

#[test]
fn json_values_become_what_the_column_holds_or_break_a_rule() {
    for (ty, json, expected) in [
        ("BIGINT", "null", "NULL"),
        ("BIGINT", "9007199254740993", "9007199254740993"),
        ("BIGINT", "\"7\"", "7"),
        ("BIGINT", "true", "1"),
        ("BIGINT", "1e3", "not-a-number"),
        ("BIGINT", "[1]", "wrong-kind"),
        ("BOOLEAN", "true", "true"),
        ("BOOLEAN", "1", "true"),
        ("BOOLEAN", "\"False\"", "false"),
        ("DOUBLE", "1E2", "100.0"),
        ("DOUBLE", "true", "not-a-number"),
        ("DECIMAL(38,20)", "123456789012345678.12345678901234567890", "123456789012345678.12345678901234567890"),
        ("DATE", "\"2001-01-02\"", "2001-01-02"),
        ("DATE", "true", "not-a-date"),
        ("STRING", "1.50", "1.50"),
        ("STRING", "true", "true"),
        ("STRING", "\"a\\n\\u00e9\"", "a\né"),
        ("STRING", "{\"a\": [1, 2]}", "{\"a\":[1,2]}"),
        ("JSON", "\"5\"", "\"5\""),
        ("JSON", "null", "NULL"),
        ("JSON", "[ 1.0 ]", "[1.0]"),
        ("JSON", "\"\\ud800\"", "not-json"),
        ("VARBINARY", "\"QUI=\"", "4142"),
        ("VARBINARY", "1234", "wrong-kind"),
        ("VARBINARY", "[]", "wrong-kind"),
        ("ARRAY<STRING>", "[1, \"a\", null]", "[1, a, ]"),
        ("ARRAY<STRING>", "\"[1]\"", "[1]"),
        ("ARRAY<STRING>", "\"\\\"[1]\\\"\"", "wrong-kind"),
        ("ARRAY<STRING>", "7", "wrong-kind"),
        ("MAP<STRING,JSON>", "{\"a\": {\"b\": 1}}", "{a: {\"b\":1}}"),
        ("STRUCT<a ARRAY<INT>>", "{\"a\":[1]}", "{a: [1]}"),
    ] {
        assert_eq!(shown(ty, Cell::Json(json)), expected, "{json} as {ty}");
    }
}

#[test]
fn typed_values_become_what_the_column_holds_or_break_a_rule() {
    let day = 86_400_000_000;
    for (ty, cell, expected) in [
        ("BOOLEAN", Cell::Bool(true), "true"),
        ("BOOLEAN", Cell::Int(1), "true"),
        ("BOOLEAN", Cell::Int(2), "not-a-boolean"),
        ("BOOLEAN", Cell::Float(1.0), "not-a-boolean"),
        ("TINYINT", Cell::Bool(true), "1"),
        ("TINYINT", Cell::Int(128), "out-of-range"),
        ("INT", Cell::Float(3.0), "3"),
        ("INT", Cell::Float(3.5), "fractional"),
        ("INT", Cell::Float(f64::NAN), "not-a-number"),
        ("INT", Cell::Decimal { unscaled: 1200, scale: 2 }, "12"),
        ("INT", Cell::Decimal { unscaled: 1250, scale: 2 }, "fractional"),
        ("INT", Cell::Decimal { unscaled: 12, scale: -2 }, "1200"),
        ("INT", Cell::Date(0), "not-a-number"),
        ("LARGEINT", Cell::Float(1e39), "out-of-range"),
        ("LARGEINT", Cell::Float(2_f64.powi(126)), "85070591730234615865843651857942052864"),
        ("FLOAT", Cell::Float(0.1), "0.1"),
        ("FLOAT", Cell::Float(1e300), "out-of-range"),
        ("FLOAT", Cell::Float32(f32::INFINITY), "not-finite"),
        ("DOUBLE", Cell::Float32(0.5), "0.5"),
        ("DOUBLE", Cell::Int(1 << 60), "1.152921504606847e18"),
        ("DOUBLE", Cell::Decimal { unscaled: 15, scale: 1 }, "1.5"),
        ("DOUBLE", Cell::Float(f64::NAN), "not-finite"),
        ("DECIMAL(4,2)", Cell::Float(0.1), "0.10"),
        ("DECIMAL(4,2)", Cell::Float(0.125), "too-precise"),
        ("DECIMAL(4,2)", Cell::Float32(0.1), "0.10"),
        ("DECIMAL(4,2)", Cell::Float(f64::NAN), "not-a-number"),
        ("DECIMAL(4,2)", Cell::Int(100), "out-of-range"),
        ("DECIMAL(4,2)", Cell::Decimal { unscaled: 12_340, scale: 3 }, "12.34"),
        ("DATE", Cell::Date(1), "1970-01-02"),
        ("DATE", Cell::Date(i32::MAX), "out-of-range"),
        ("DATE", Cell::DateTime(-day), "1969-12-31"),
        ("DATE", Cell::DateTime(1), "time-in-date"),
        ("DATE", Cell::Int(20_010_101), "not-a-date"),
        ("DATETIME", Cell::Date(1), "1970-01-02T00:00:00"),
        ("DATETIME", Cell::DateTime(day + 1), "1970-01-02T00:00:00.000001"),
        ("DATETIME", Cell::DateTime(i64::MIN), "out-of-range"),
        ("STRING", Cell::Decimal { unscaled: 150, scale: 2 }, "1.50"),
        ("STRING", Cell::DateTime(0), "1970-01-01 00:00:00"),
        ("STRING", Cell::Bytes(b"ab"), "ab"),
        ("STRING", Cell::Bytes(b"\xff"), "not-utf8"),
        ("STRING", Cell::List(vec![Cell::Int(1)]), "[1]"),
        ("JSON", Cell::Struct(vec![("a", Cell::Bytes(b"AB")), ("b", Cell::Null)]), r#"{"a":"QUI=","b":null}"#),
        ("JSON", Cell::Int(1), "1"),
        ("JSON", Cell::Date(0), "\"1970-01-01\""),
        ("JSON", Cell::Float(f64::NAN), "\"NaN\""),
        ("VARBINARY(2)", Cell::Bytes(b"\xff"), "ff"),
        ("VARBINARY(2)", Cell::Bytes(b"abc"), "too-long"),
        ("VARBINARY(2)", Cell::Int(1), "wrong-kind"),
        ("ARRAY<INT>", Cell::List(vec![Cell::Int(1), Cell::Null]), "[1, ]"),
        ("ARRAY<INT>", Cell::List(vec![Cell::Text("x")]), "not-a-number"),
        ("ARRAY<INT>", Cell::Int(1), "wrong-kind"),
        ("MAP<INT,INT>", Cell::Map(vec![(Cell::Int(1), Cell::Int(2))]), "{1: 2}"),
        ("MAP<INT,INT>", Cell::Map(vec![(Cell::Null, Cell::Int(2))]), "null-not-allowed"),
        ("STRUCT<a INT>", Cell::Struct(vec![("a", Cell::Int(2))]), "{a: 2}"),
        ("STRUCT<a INT>", Cell::Struct(vec![("A", Cell::Int(2))]), "unknown-field"),
    ] {
        assert_eq!(shown(ty, cell.clone()), expected, "{cell:?} as {ty}");
    }
}

#[test]
fn rules_name_the_limit_and_the_place_within_a_value() {
    for (ty, text, expected) in [
        ("INT", "2147483648", "INT lies between -2147483648 and 2147483647"),
        ("VARCHAR(3)", "abcd", "VARCHAR(3) takes 3 bytes; this is 4"),
        ("DECIMAL(5,2)", "1000", "DECIMAL(5,2) takes 3 digits before the point"),
        ("ARRAY<ARRAY<TINYINT>>", "[[1],[2,300]]", "[1][1]: TINYINT lies between -128 and 127"),
        (
            "STRUCT<a MAP<STRING,DECIMAL(2,1)>>",
            r#"{"a":{"x":0.25}}"#,
            ".a[x]: DECIMAL(2,1) takes 1 digits behind the point",
        ),
    ] {
        assert_eq!(cast(ty, Cell::Text(text)).unwrap_err().text, expected);
    }
}

#[test]
fn null_is_refused_where_the_column_says_so() {
    let mut builder = ColumnBuilder::new(&Column { nullable: false, ..column("INT") });
    assert_eq!(builder.append(Cell::Null).unwrap_err().code, "null-not-allowed");
    assert_eq!(builder.append(Cell::Json("null")).unwrap_err().code, "null-not-allowed");
    assert_eq!(builder.finish().len(), 2);
    assert_eq!(shown("INT", Cell::Null), "NULL");
}

#[test]
fn values_stand_where_the_target_reads_them() {
    let at = |ty, text| cast(ty, Cell::Text(text)).unwrap();
    assert_eq!(at("TINYINT", "-7").as_primitive::<Int8Type>().value(0), -7);
    assert_eq!(at("INT", "-7").as_primitive::<Int32Type>().value(0), -7);
    assert_eq!(at("BIGINT", "-7").as_primitive::<Int64Type>().value(0), -7);
    assert_eq!(at("FLOAT", "16777217").as_primitive::<Float32Type>().value(0).to_bits(), 16_777_216_f32.to_bits());
    assert_eq!(at("DOUBLE", "0.1").as_primitive::<Float64Type>().value(0).to_bits(), 0.1_f64.to_bits());
    assert_eq!(at("DECIMAL(9,3)", "1.5").as_primitive::<Decimal128Type>().value(0), 1500);
    assert_eq!(at("DATE", "1970-01-02").as_primitive::<Date32Type>().value(0), 1);
    let micros = at("DATETIME", "1970-01-01 00:00:00.000002");
    assert_eq!(micros.as_primitive::<TimestampMicrosecondType>().value(0), 2);
}

/// Rows that fail anywhere, in any column, leave the others aligned.
#[test]
fn rejected_rows_are_filtered_out_of_every_column() {
    let types = ["ARRAY<MAP<INT,STRUCT<a INT,b STRING>>>", "INT", "MAP<STRING,INT>"];
    let columns: Vec<Column> = types.iter().map(|ty| column(ty)).collect();
    let mut batch = BatchBuilder::new(&columns);
    let mut rejects = Vec::new();
    let rows = [
        [r#"[{"1":{"a":1}},{}]"#, "1", "{}"],
        [r#"[{"1":{"a":1},"2":{"a":2,"b":"x","c":1}}]"#, "2", "{}"],
        [r#"[{"1":{"a":1},"x":{}}]"#, "3", "{}"],
        ["[]", "x", "{}"],
        ["[]", "4", r#"{"a":1,"b":"x"}"#],
        [r#"[{"5":{"b":"y"}}]"#, "5", r#"{"a":1}"#],
    ];
    for (line, row) in (1..).zip(rows) {
        let origin = Origin { line, byte: 0 };
        batch.start_row(origin);
        let broken = row.iter().enumerate().find_map(|(index, text)| batch.append(index, &Cell::Text(text)).err());
        if let Some(rule) = broken {
            let reject = Reject { origin, column: None, value: None, rule, raw: Vec::new() };
            batch.reject_row(reject, &mut rejects);
        }
    }
    let finished = batch.finish();
    let lines: Vec<_> = finished.origins.iter().map(|origin| origin.line).collect();
    assert_eq!(lines, [1, 6]);
    let codes: Vec<_> = rejects.iter().map(|reject| (reject.origin.line, reject.rule.code)).collect();
    assert_eq!(codes, [(2, "unknown-field"), (3, "not-a-number"), (4, "not-a-number"), (5, "not-a-number")]);
    let show = |column: usize, row| {
        let array = finished.rows.column(column);
        ArrayFormatter::try_new(array, &FormatOptions::default()).unwrap().value(row).to_string()
    };
    assert_eq!((show(0, 0), show(1, 0), show(2, 0)), ("[{1: {a: 1, b: }}, {}]".into(), "1".into(), "{}".into()));
    assert_eq!((show(0, 1), show(1, 1), show(2, 1)), ("[{5: {a: , b: y}}]".into(), "5".into(), "{a: 1}".into()));
    assert!(batch.is_empty() && batch.finish().rows.num_rows() == 0);
}

#[test]
fn a_batch_of_no_columns_keeps_its_row_count() {
    let mut batch = BatchBuilder::new(&[]);
    batch.start_row(Origin { line: 1, byte: 0 });
    assert_eq!(batch.finish().rows.num_rows(), 1);
}
