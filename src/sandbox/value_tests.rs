//! Each type with values that it holds and values that it does not.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{Cell, Unfit, from_json, from_text};
use crate::sandbox::types::SqlType;

fn text(value: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(value))
}

fn ty(name: &str) -> SqlType {
    name.parse().expect(name)
}

fn csv(name: &str, fits: &[(&str, Cell<'_>)], unfit: &[&str]) {
    for (value, cell) in fits {
        assert_eq!(from_text(&ty(name), value).as_ref(), Ok(cell), "{name}: {value:?}");
    }
    for value in unfit {
        assert_eq!(from_text(&ty(name), value), Err(Unfit), "{name}: {value:?}");
    }
}

fn json(name: &str, fits: &[(&str, Cell<'_>)], unfit: &[&str]) {
    for (value, cell) in fits {
        assert_eq!(from_json(&ty(name), value).as_ref(), Ok(cell), "{name}: {value}");
    }
    for value in unfit {
        assert_eq!(from_json(&ty(name), value), Err(Unfit), "{name}: {value}");
    }
}

#[test]
fn numbers_as_text() {
    use Cell::{Integer, Real};
    csv(
        "boolean",
        &[("true", Integer(1)), ("FALSE", Integer(0)), ("2", Integer(1)), ("0.0", Integer(0))],
        &["", "yes"],
    );
    csv("tinyint", &[("-128", Integer(-128)), ("+127", Integer(127)), (" 1.9 ", Integer(1))], &["128", "", "x", "1e1"]);
    csv("int", &[("2147483647", Integer(2_147_483_647)), ("-0", Integer(0))], &["2147483648", "-", "1 2", "."]);
    csv("bigint", &[("-9223372036854775808", Integer(i64::MIN))], &["9223372036854775808"]);
    let smallest = "-170141183460469231731687303715884105728";
    csv("largeint", &[(smallest, text(smallest)), ("007", text("7"))], &["170141183460469231731687303715884105728"]);
    csv("float", &[("0.1", Real(f64::from(0.1_f32))), ("-1e3", Real(-1000.0))], &["1e39", "NaN", ""]);
    csv("double", &[("0.1", Real(0.1)), ("1e308", Real(1e308))], &["1e309", "infinity", "0x1"]);
}

#[test]
fn decimals_have_their_full_scale() {
    csv(
        "decimal(5,2)",
        &[
            ("1", text("1.00")),
            ("-12.34", text("-12.34")),
            ("999.99", text("999.99")),
            ("0.005", text("0.01")),
            ("-0.001", text("0.00")),
            ("1.5e1", text("15.00")),
            ("1234e-2", text("12.34")),
            (".5", text("0.50")),
            ("0012", text("12.00")),
        ],
        &["1000", "999.995", "", ".", "1,5", "1e9", "--1"],
    );
    csv("decimal(2,2)", &[("0.25", text("0.25")), (".99", text("0.99"))], &["1", "0.999"]);
    csv("decimal(3,0)", &[("12.5", text("13")), ("-0", text("0"))], &["999.5"]);
    let wide = "-99999999999999999999999999999999999999";
    csv("decimal(38,0)", &[(wide, text(wide))], &[&format!("{wide}0")]);
}

#[test]
fn dates_and_times() {
    csv(
        "date",
        &[
            ("2024-02-29", text("2024-02-29")),
            ("2024-2-9", text("2024-02-09")),
            ("2024-02-9 ", text("2024-02-09")),
            ("20240229", text("2024-02-29")),
            ("2024/02/29", text("2024-02-29")),
            ("2024-02-29 23:59:59", text("2024-02-29")),
        ],
        &["2023-02-29", "2024-13-01", "2024-00-01", "", "24-02-01", "2024-02", "2024-02-01-01"],
    );
    csv(
        "datetime",
        &[
            ("2024-02-29 01:02:03", text("2024-02-29 01:02:03")),
            ("2024-02-29T01:02:03.5", text("2024-02-29 01:02:03.500000")),
            ("2024-02-29 01:02:03.000001", text("2024-02-29 01:02:03.000001")),
            ("2024-02-29", text("2024-02-29 00:00:00")),
            ("2024-02-29  1:02:03", text("2024-02-29 01:02:03")),
            ("2024-02-29 01:02:3 ", text("2024-02-29 01:02:03")),
            ("20240229010203", text("2024-02-29 01:02:03")),
        ],
        &["2024-02-29 24:00:00", "2024-02-29 01:60:00", "2024-02-29 01:02:03Z", "2024-02-29 01:02:03.1234567", "x"],
    );
}

#[test]
fn texts_count_bytes_and_binaries_are_base64() {
    csv("varchar(3)", &[("abc", text("abc")), ("", text("")), ("ä\0", text("ä\0"))], &["abcd", "ää"]);
    csv("char(2)", &[(" a", text(" a"))], &["abc"]);
    let blob = |bytes: &'static [u8]| Cell::Blob(Cow::Borrowed(bytes));
    csv("varbinary(4)", &[("AAEC", blob(&[0, 1, 2])), ("a-b", blob(b"a-b")), (" \t", blob(b""))], &["a-b-c"]);
}

#[test]
fn nested_types_as_csv() {
    csv("json", &[("{\"a\": [1, \"b c\"]}", text("{\"a\": [1, \"b c\"]}")), ("1.50", text("1.50"))], &["", "{a}"]);
    csv(
        "array<int>",
        &[("[1,2,null]", text("[1,2,null]")), ("[]", text("[]"))],
        &["1,2", "[1,x]", "[99999999999]", "[1", ""],
    );
    csv("array<varchar(9)>", &[("[\"a,b\",\"c\"\"d\"]", text("[\"a,b\",\"c\\\"d\"]"))], &["[a]", "[\"0123456789\"]"]);
    csv("array<array<int>>", &[("[[1,2],[],null]", text("[[1,2],[],null]"))], &["[1]"]);
    csv("map<varchar(5),int>", &[("{\"a\":1,\"b\":2,\"a\":3}", text("{\"a\":3,\"b\":2}"))], &["{\"a\"}", "[1]"]);
    csv("map<int,array<int>>", &[("{1:[1,2],2:null}", text("{\"1\":[1,2],\"2\":null}"))], &["{x:[1]}"]);
    csv("array<date>", &[("[\"2024-01-02\"]", text("[\"2024-01-02\"]"))], &["[\"2024-13-02\"]"]);
}

#[test]
fn json_values_are_cast_as_the_server_does() {
    use Cell::{Integer, Null, Real};
    json(
        "int",
        &[
            ("1", Integer(1)),
            ("\"7\"", Integer(7)),
            ("1.9", Integer(1)),
            ("1e3", Integer(1000)),
            ("true", Integer(1)),
            ("null", Null),
        ],
        &["{}", "\"x\"", "[1]", "3000000000"],
    );
    json("boolean", &[("false", Integer(0)), ("3", Integer(1)), ("\"true\"", Integer(1))], &["\"maybe\""]);
    json("double", &[("0.1", Real(0.1)), ("\"2.5\"", Real(2.5))], &["\"a\""]);
    json("decimal(20,10)", &[("1.0000000001", text("1.0000000001")), ("\"2\"", text("2.0000000000"))], &["[]"]);
    json("largeint", &[("12345678901234567890123", text("12345678901234567890123"))], &["\"a\""]);
    json(
        "varchar(20)",
        &[
            ("1.50", text("1.50")),
            ("1e2", text("1e2")),
            ("true", text("1")),
            ("{ \"a\" : [ 1 , 2 ] }", text("{\"a\":[1,2]}")),
            ("\"a\\u00e4\\n\"", text("aä\n")),
            ("\"\\\\N\"", text("\\N")),
        ],
        &["\"012345678901234567890\""],
    );
    json("date", &[("\"2024-02-29\"", text("2024-02-29"))], &["\"2023-02-29\"", "true"]);
    json("varbinary(9)", &[("\"AAEC\"", Cell::Blob(Cow::Borrowed(b"AAEC")))], &[]);
    json("json", &[("{ \"a\":1.0}", text("{\"a\": 1.0}")), ("\"x\"", text("\"x\"")), ("null", Null)], &[]);
    json("array<int>", &[("[1, \"2\", null]", text("[1,2,null]")), ("\"[1,2]\"", text("[1,2]"))], &["1", "[\"x\"]"]);
    json("map<int,varchar(3)>", &[("{\"1\": \"a\"}", text("{\"1\":\"a\"}"))], &["{\"x\": \"a\"}"]);
    json(
        "struct<a int, b varchar(3)>",
        &[("{\"b\": \"x\", \"c\": 1}", text("{\"a\":null,\"b\":\"x\"}"))],
        &["{\"a\": []}"],
    );
}

proptest! {
    #[test]
    fn a_decimal_is_the_same_however_it_is_written(units in any::<i64>(), scale in 0..10_u8, zeros in 0..3_usize) {
        let digits = format!("{:0width$}", units.unsigned_abs(), width = usize::from(scale) + 1);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
        let sign = if units < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        let canonical = format!("{sign}{whole}{point}{fraction}");
        let decimal = SqlType::Decimal { precision: 38, scale };
        prop_assert_eq!(from_text(&decimal, &canonical), Ok(text(&canonical)));
        let padded = format!(" {sign}{}{whole}.{fraction}{} ", "0".repeat(zeros), "0".repeat(zeros));
        prop_assert_eq!(from_text(&decimal, &padded), Ok(text(&canonical)));
        let scaled = format!("{units}e-{scale}");
        prop_assert_eq!(from_text(&decimal, &scaled), Ok(text(&canonical)));
    }

    #[test]
    fn an_integer_fits_where_its_range_says(value in any::<i64>()) {
        let written = value.to_string();
        prop_assert_eq!(from_text(&SqlType::BigInt, &written), Ok(Cell::Integer(value)));
        let narrow = from_text(&SqlType::SmallInt, &written);
        prop_assert_eq!(narrow.is_ok(), i16::try_from(value).is_ok());
    }
}
