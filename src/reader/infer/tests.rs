//! What a person would choose, for values as real files have them.

use proptest::prelude::*;

use super::*;
use crate::failure::{Code, Failure as _};
use crate::reader::CsvOptions;

fn csv(sample: &str, at_end: bool) -> Result<Vec<Column>, Error> {
    let dialect = csv::sniff(sample.as_bytes(), &CsvOptions::default(), Path::new("x.csv"));
    infer_csv(Path::new("x.csv"), sample.as_bytes(), at_end, &dialect)
}

fn shown(columns: &[Column]) -> String {
    assert!(columns.iter().all(|column| column.nullable));
    columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect::<Vec<_>>().join(", ")
}

fn json(sample: &str) -> String {
    shown(&infer_json(Path::new("x.json"), sample.as_bytes(), true).unwrap())
}

#[test]
fn a_file_of_incidents_gets_days_costs_and_texts() {
    let sample = "Airport Name,Aircraft Make Model,Flight Date,Phase of flight,Cost Repair,Cost Total $,Speed IAS in knots\r\n\
        BARKSDALE AIR FORCE BASE ARPT,T-38A,1990-01-08,Climb,0,0,300\r\n\
        NEW ORLEANS INTL,B-737-300,1990-01-11,,1481711,1481711,\r\n\
        \"WASHINGTON, DULLES\",,1990-02-22,Approach,0,0,190\r\n\
        CUT O";
    assert_eq!(
        shown(&csv(sample, false).unwrap()),
        "Airport Name STRING, Aircraft Make Model STRING, Flight Date DATE, Phase of flight STRING, \
         Cost Repair BIGINT, Cost Total $ BIGINT, Speed IAS in knots BIGINT"
    );
}

#[test]
fn a_file_of_airports_keeps_its_codes() {
    let sample =
        "iata,name,latitude,longitude\n00M,Thigpen,31.95376472,-89.23450472\n00V,Meadow Lake,38,-104.5698933\n";
    assert_eq!(shown(&csv(sample, true).unwrap()), "iata STRING, name STRING, latitude DOUBLE, longitude DOUBLE");
}

#[test]
fn an_array_of_flights_gets_times_and_numbers() {
    let sample = r#"[{"date":"2001/01/01 06:55","delay":-19,"distance":1797,"origin":"LAX","destination":"BNA"},
        {"date":"2001/01/01 08:47","delay":0,"distance":1609,"origin":"SJC","destination":"IAH"},{"date":"2001"#;
    assert_eq!(json(sample), "date DATETIME, delay BIGINT, distance BIGINT, origin STRING, destination STRING");
}

#[test]
fn each_kind_of_value_has_its_type() {
    for (values, ty) in [
        (&["true", "FALSE", ""][..], "BOOLEAN"),
        (&["0", "1"], "BIGINT"),
        (&["1", "-9223372036854775808"], "BIGINT"),
        (&["1", "9223372036854775808"], "LARGEINT"),
        (&["170141183460469231731687303715884105728"], "STRING"),
        (&["1.5", "2", ".5", "-1e-3"], "DOUBLE"),
        (&["0.0", "12.80"], "DOUBLE"),
        (&["0.12345678901234567890"], "STRING"),
        (&["1.5", "9007199254740993"], "STRING"),
        (&["007", "8"], "STRING"),
        (&["00.5"], "STRING"),
        (&["+49"], "STRING"),
        (&["-0"], "STRING"),
        (&["1,000"], "STRING"),
        (&["NaN"], "STRING"),
        (&[" 1"], "STRING"),
        (&["2001-02-28", "2001/3/1"], "DATE"),
        (&["2001-02-29"], "STRING"),
        (&["20010228"], "BIGINT"),
        (&["2001-02-28", "2001-02-28 12:00"], "DATETIME"),
        (&["2001-02-28T12:00:00.123456"], "DATETIME"),
        (&["2001-02-28T12:00:00Z"], "STRING"),
        (&["12:00"], "STRING"),
        (&["true", "1"], "STRING"),
        (&["1", "x"], "STRING"),
        (&["", ""], "STRING"),
        (&["\"\""], "STRING"),
    ] {
        let rows: String = values
            .iter()
            .map(|value| if value.contains(',') { format!("\"{value}\";x\n") } else { format!("{value};x\n") })
            .collect();
        let columns = csv(&format!("a;b\n{rows}"), true).unwrap();
        assert_eq!(columns[0].ty.to_string(), ty, "{values:?}");
    }
}

#[test]
fn nested_values_are_arrays_of_one_scalar_type_or_json() {
    for (records, expected) in [
        (r#"{"a":[1,2]}{"a":[]}{"a":[null]}{"a":null}"#, "a ARRAY<BIGINT>"),
        (r#"{"a":[1,2.5]}"#, "a ARRAY<DOUBLE>"),
        (r#"{"a":["x"]}"#, "a ARRAY<STRING>"),
        (r#"{"a":["2001-01-01"]}"#, "a ARRAY<DATE>"),
        (r#"{"a":[[1]]}"#, "a JSON"),
        (r#"{"a":[{"b":1}]}"#, "a JSON"),
        (r#"{"a":[1]}{"a":{"b":1}}"#, "a JSON"),
        (r#"{"a":[]}"#, "a JSON"),
        (r#"{"a":[null]}"#, "a JSON"),
        (r#"{"a":{"b":1}}"#, "a JSON"),
        (r#"{"a":{"b":1}}{"a":"x"}"#, "a JSON"),
        (r#"{"a":1}{"a":"x"}"#, "a STRING"),
        (r#"{"a":"1"}"#, "a STRING"),
        (r#"{"a":null}"#, "a STRING"),
        (r#"{"a":true}{"b":1}{"a":false,"c":1e3}"#, "a BOOLEAN, b BIGINT, c DOUBLE"),
    ] {
        assert_eq!(json(records), expected, "{records}");
    }
}

#[test]
fn only_whole_records_of_the_right_width_count() {
    assert_eq!(shown(&csv("a,b\n1,2\n3\n4,x", false).unwrap()), "a BIGINT, b BIGINT");
    assert_eq!(shown(&csv("a,b\n1,2\n3\n4,x", true).unwrap()), "a BIGINT, b STRING");
    assert_eq!(shown(&csv("a,b\n\"1\"x,y\n1,2\n", true).unwrap()), "a BIGINT, b BIGINT");
}

#[test]
fn a_first_record_that_is_hardly_a_header_is_asked_about() {
    for sample in ["a,,b\n1,2,3\n", "a,A\n1,2\n", "1,2.5\n3,4\n", "a, \n1,2\n"] {
        let error = csv(sample, true).unwrap_err();
        assert_eq!(error.code(), Code::SchemaUnclear, "{sample:?}");
        assert!(error.hint().unwrap().contains("--no-csv-header"));
    }
    let dialect = Dialect { delimiter: b',', quote: None, escape: None, null: None, header: false };
    let columns = infer_csv(Path::new("x"), b"1,x\n", true, &dialect).unwrap();
    assert_eq!(shown(&columns), "c1 BIGINT, c2 STRING");
}

#[test]
fn an_input_without_records_has_no_schema() {
    for (sample, code) in [
        ("", Code::InputEmpty),
        (" \n", Code::InputEmpty),
        ("[]", Code::InputEmpty),
        ("[1]", Code::SchemaUnclear),
        ("{}", Code::SchemaUnclear),
        (r#"{"a":1,"A":2}"#, Code::SchemaUnclear),
    ] {
        let error = infer_json(Path::new("x"), sample.as_bytes(), true).unwrap_err();
        assert_eq!(error.code(), code, "{sample}");
    }
    assert_eq!(csv("", true).unwrap_err().code(), Code::InputEmpty);
}

proptest! {
    /// No inferred type rejects a value it was inferred from.
    #[test]
    fn every_inferred_column_takes_the_values_it_was_inferred_from(
        values in proptest::collection::vec(
            prop_oneof!["-?[0-9]{1,20}", "-?[0-9]{0,3}\\.[0-9]{0,3}(e-?[0-9])?", "20[0-9]{2}-[01]?[0-9]-[0-3][0-9]( 1[0-9]:0[0-9])?", "true|false|x"],
            1..4,
        ),
    ) {
        let mut guess = Guess::default();
        for value in &values {
            guess.see_text(value);
        }
        for value in &values {
            prop_assert!(crate::reader::cast::takes(&guess.ty(), value), "{} as {}", value, guess.ty());
        }
    }
}

#[test]
fn brackets_without_end_are_json_and_no_stack_is_needed_for_them() {
    let depth = 100_000;
    let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let columns = infer_json(Path::new("a.json"), text.as_bytes(), true).unwrap();
    assert_eq!(columns[0].ty, crate::model::ColumnType::Json);
}

#[test]
fn a_first_object_longer_than_the_sample_is_called_that() {
    let error = infer_json(Path::new("a.json"), b"\n{\"a\":\"xxxxxxxx", false).unwrap_err();
    assert_eq!(error.code(), Code::RecordTooLong);
    assert!(error.to_string().contains("line 2, byte 1"), "{error}");
    assert_eq!(infer_json(Path::new("a.json"), b"[ ]\n", true).unwrap_err().code(), Code::InputEmpty);
    assert_eq!(infer_json(Path::new("a.json"), b"[1, 2]", true).unwrap_err().code(), Code::SchemaUnclear);
}

#[test]
fn a_header_that_can_be_none_says_why_and_what_to_do() {
    for (text, words, hint) in [
        ("id,name\r1,a\r2,b\r", "CR alone", "tr '"),
        (&format!("id,{}\n", "x".repeat(2000)), "field 2 of the header has 2000 bytes", "--no-csv-header"),
    ] {
        let error = csv(text, true).unwrap_err();
        assert_eq!(error.code(), Code::SchemaUnclear);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}");
    }
}
